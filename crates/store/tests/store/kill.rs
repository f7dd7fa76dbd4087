//! kill -9 and power cuts at random moments: everything that was acknowledged is there, and every change is there whole or not at
//! all.
//!
//! The test starts itself as the victim: a process that writes through the port from several tasks, and prints each
//! acknowledgement as it comes. `WARDEIN_KILL_ROUNDS` asks for more rounds than the usual 30 kills
//! and 10 cuts of each store.
//!
//! The power is cut by shutting a file system down beneath the victim: what it had not put on its disk is gone, as is its
//! journal's tail, and nothing reaches the disk any more. What a disk does with what it had in hand is not simulated.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wardein_port::{Change, Feed, Head, Table};
use wardein_store::{Kind, Options};
use wardein_testkit::{block_on, commit, get};

#[test]
fn sqlite_keeps_what_it_acknowledged() {
    kill_repeatedly(Kind::Sqlite);
}

#[test]
fn sled_keeps_what_it_acknowledged() {
    kill_repeatedly(Kind::Sled);
}

#[test]
fn sqlite_keeps_what_it_acknowledged_when_the_power_is_cut() {
    cut_repeatedly(Kind::Sqlite);
}

#[test]
fn sled_keeps_what_it_acknowledged_when_the_power_is_cut() {
    cut_repeatedly(Kind::Sled);
}

/// Not a test: what is killed. Without its variables it does nothing.
#[test]
fn victim() {
    let (Ok(path), Ok(kind)) = (std::env::var(PATH), std::env::var(KIND)) else { return };
    let kind = if kind == "sled" { Kind::Sled } else { Kind::Sqlite };
    std::io::stdout().lock().write_all(b"opening\n").unwrap();
    let store = told(wardein_store::open(kind, Path::new(&path), &options()));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let store = Arc::clone(&store);
            runtime.spawn(async move {
                for _ in 0..u64::MAX {
                    let counter = told(get(&*store, Table::Device, &[task]).await);
                    let n = counter.as_ref().map_or(0, |row| number(&row.value)) + 1;
                    let revision =
                        told(commit(&*store, change(task, n, counter.map(|row| row.version))).await);
                    // One write each, so that a line is whole or not there. Not println, which the harness keeps.
                    let line = format!("ack {task} {n} {revision}\n");
                    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
                }
            })
        })
        .collect();
    // None of them ends.
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
}

/// What came of it; a failure is told in a line and ends the process.
fn told<T, E: std::fmt::Display>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| {
        std::io::stdout().lock().write_all(format!("failed: {error}\n").as_bytes()).unwrap();
        std::process::exit(1)
    })
}

/// The change number `n` of a task: its counter over the version that was found, a row of its own of a size that varies from
/// nothing to several pieces, and an audit entry.
fn change(task: u8, n: u64, found: Option<u64>) -> Change {
    let mut change = Change::default();
    change.put(Table::Device, vec![task], found, value(task, n));
    change.insert(Table::Certificate, key(task, n), value(task, n));
    change.audit.push(key(task, n));
    change
}

fn key(task: u8, n: u64) -> Vec<u8> {
    [&[task][..], &n.to_be_bytes()].concat()
}

fn value(task: u8, n: u64) -> Vec<u8> {
    let size = (n * 2_654_435_761 + u64::from(task) * 97) % if n.is_multiple_of(10) { 20_000 } else { 3000 };
    let filler = (0..size).map(|at| (at * 31 + n * 7 + u64::from(task)) as u8);
    n.to_be_bytes().into_iter().chain(filler).collect()
}

/// The number of the change that wrote a value.
fn number(value: &[u8]) -> u64 {
    u64::from_be_bytes(*value.first_chunk().unwrap())
}

fn rounds(usual: usize) -> usize {
    std::env::var("WARDEIN_KILL_ROUNDS").map_or(usual, |rounds| rounds.parse().unwrap())
}

fn kill_repeatedly(kind: Kind) {
    let rounds = rounds(30);
    let mut place = tempfile::tempdir().unwrap();
    let mut random = Random(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64 | 1);
    println!("{kind:?}: seed {:#x}", random.0);
    let mut acknowledged = Acknowledged::default();
    let mut total = 0;
    for round in 0..rounds {
        if round % 4 == 0 {
            // A new place: creation is killed, and then what it left is used.
            place = tempfile::tempdir().unwrap();
            acknowledged = Acknowledged::default();
        }
        let path = place.path().join(kind.file_name());
        let (await_line, within) = if round % 2 == 0 { ("opening", 12_000) } else { ("ack", 120_000) };
        let (sure, unsure) =
            run_and_end(kind, &path, await_line, Duration::from_micros(random.below(within)), || {});
        total += sure.len() + unsure.len();
        acknowledged.count(sure);
        // A process that is killed takes nothing back.
        acknowledged.count(unsure);
        verify(kind, &path, &mut acknowledged);
    }
    println!("{kind:?}: {rounds} kills, {total} acknowledged, none lost");
    assert!(total > rounds, "the victim came to write");
}

fn cut_repeatedly(kind: Kind) {
    let rounds = rounds(10);
    let place = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::format(place.path()) else {
        eprintln!("SKIPPED: cutting the power needs to mount a loop device, which is refused here");
        return;
    };
    let mut random = Random(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64 | 1);
    println!("{kind:?}: seed {:#x}", random.0);
    let (mut acknowledged, mut total) = (Acknowledged::default(), 0);
    for round in 0..rounds {
        let mounted = disk.mount().unwrap();
        let path = disk.at.join(kind.file_name());
        let (await_line, within) = if round % 2 == 0 { ("opening", 12_000) } else { ("ack", 120_000) };
        let delay = Duration::from_micros(random.below(within));
        let (sure, unsure) = run_and_end(kind, &path, await_line, delay, || mounted.cut());
        total += sure.len();
        acknowledged.count(sure);
        // Linux lets an fsync that meets the shutdown return 0: its transaction is aborted, and counts as done
        // (jbd2_complete_transaction). A machine without power would not have answered.
        acknowledged.maybe(unsure);
        drop(mounted);
        // Mounted again, the file system knows what is on its disk and nothing else.
        let mounted = disk.mount().unwrap();
        verify(kind, &path, &mut acknowledged);
        drop(mounted);
    }
    println!("{kind:?}: {rounds} power cuts, {total} acknowledged, none lost");
    assert!(total > rounds, "the victim came to write");
}

/// The last change of each task that was acknowledged, and the last revision.
#[derive(Default)]
struct Acknowledged {
    changes: HashMap<u8, u64>,
    /// What was acknowledged while the power was cut.
    maybe: HashMap<u8, u64>,
    revision: u64,
}

/// An acknowledgement: task, number of its change, revision.
type Ack = (u8, u64, u64);

impl Acknowledged {
    /// Takes in what was acknowledged, in its order.
    fn count(&mut self, now: Vec<Ack>) {
        for (task, n, revision) in now {
            let last = self.changes.entry(task).or_insert(0);
            assert_eq!(n, *last + 1, "a change was made twice or skipped");
            assert!(revision > self.revision, "a revision was given twice, or too late");
            (*last, self.revision) = (n, revision);
        }
    }

    /// Takes in what was acknowledged while the power was cut.
    fn maybe(&mut self, now: Vec<Ack>) {
        self.maybe = now.into_iter().map(|(task, n, _)| (task, n)).collect();
    }
}

/// A file system in a file.
struct Disk {
    image: PathBuf,
    at: PathBuf,
}

/// It is unmounted when this is dropped.
struct Mounted<'a>(&'a Disk);

impl Disk {
    /// Makes one within `place`; none where that, or mounting it, is refused.
    fn format(place: &Path) -> Option<Self> {
        let disk = Self { image: place.join("image"), at: place.join("disk") };
        std::fs::create_dir(&disk.at).unwrap();
        std::fs::File::create(&disk.image).unwrap().set_len(256 << 20).unwrap();
        let is_formatted = is_done(Command::new("mkfs.ext4").arg("-q").arg(&disk.image));
        (is_formatted && disk.mount().is_some()).then_some(disk)
    }

    fn mount(&self) -> Option<Mounted<'_>> {
        // Another process that takes the same free loop device at the same moment may get it.
        (0..20).find_map(|_| {
            let is_mounted =
                is_done(Command::new("mount").args(["-o", "loop"]).arg(&self.image).arg(&self.at));
            if !is_mounted {
                std::thread::sleep(Duration::from_millis(50));
            }
            is_mounted.then_some(Mounted(self))
        })
    }
}

impl Mounted<'_> {
    /// `EXT4_IOC_SHUTDOWN` with `EXT4_GOING_FLAGS_NOLOGFLUSH` (linux/ext4.h); Perl makes the call, as it needs unsafe code here.
    fn cut(&self) {
        const CUT: &str = "open(my $root, '<', $ARGV[0]) or die $!; my $how = pack('L', 2); \
                           ioctl($root, 0x8004587d, $how) or die $!";
        assert!(is_done(Command::new("perl").args(["-e", CUT]).arg(&self.0.at)), "the file system goes down");
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        // The victim is gone, and its files with it; what still looks at the file system, as an indexer may, lets it go soon.
        // Mounted a second time above, it would be written by two that know nothing of one another.
        let is_unmounted = (0..100).any(|_| {
            let is_done = is_done(Command::new("umount").arg(&self.0.at));
            if !is_done {
                std::thread::sleep(Duration::from_millis(50));
            }
            is_done
        });
        assert!(is_unmounted || std::thread::panicking(), "{} stays mounted", self.0.at.display());
    }
}

fn is_done(command: &mut Command) -> bool {
    command.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Runs the victim for `delay` from the first line on that begins with `await_line`, and kills it after `end`; what it
/// acknowledged before `end`, and from then on.
fn run_and_end(
    kind: Kind,
    path: &Path,
    await_line: &str,
    delay: Duration,
    end: impl FnOnce(),
) -> (Vec<Ack>, Vec<Ack>) {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::victim", "--nocapture", "--test-threads=1"])
        .env(PATH, path)
        .env(KIND, kind.name())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = victim.stdout.take().unwrap();
    let (lines, seen) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n') {
            lines.send(String::from_utf8(line.unwrap()).unwrap()).unwrap();
        }
    });
    // The harness writes into the first line before it is done.
    let first = loop {
        let line = seen.recv_timeout(Duration::from_secs(60)).expect("the victim comes to write");
        if line.contains(await_line) {
            break line;
        }
    };
    std::thread::sleep(delay);
    let has_ended = victim.try_wait().unwrap().is_some();
    assert!(!has_ended, "the victim ended by itself: {:?}", seen.try_iter().last());
    let before = std::iter::once(first).chain(seen.try_iter()).filter_map(ack).collect();
    end();
    victim.kill().unwrap();
    victim.wait().unwrap();
    reader.join().unwrap();
    (before, seen.into_iter().filter_map(ack).collect())
}

fn ack(line: String) -> Option<Ack> {
    let mut numbers = line.strip_prefix("ack ")?.split(' ').map(|number| number.parse::<u64>().unwrap());
    let mut next = || numbers.next().unwrap();
    Some((next() as u8, next(), next()))
}

/// Everything acknowledged is there; what is there beyond is whole. `acknowledged` becomes what is there.
fn verify(kind: Kind, path: &Path, acknowledged: &mut Acknowledged) {
    wardein_store::verify(kind, path, &options()).unwrap();
    let store = wardein_store::open(kind, path, &options()).unwrap();
    // The revisions at which each change was made, from the rows that it inserted.
    let mut revisions = HashMap::new();
    for task in 0..TASKS {
        let counter = block_on(get(&*store, Table::Device, &[task])).unwrap();
        let n = counter.as_ref().map_or(0, |row| number(&row.value));
        let known = acknowledged.changes.get(&task).copied().unwrap_or(0);
        assert!(n >= known, "task {task}: {known} was acknowledged, {n} is there");
        let asked = acknowledged.maybe.get(&task).copied().unwrap_or(known).max(known) + 1;
        assert!(n <= asked, "task {task} has one change under way at most");
        let rows = block_on(store.scan(Table::Certificate, &[task], None, usize::MAX)).unwrap();
        assert_eq!(rows.len() as u64, n);
        assert_eq!(counter.as_ref().map(|row| row.version), rows.last().map(|(_, row)| row.version));
        assert_eq!(counter.map(|row| row.value), (n > 0).then(|| value(task, n)));
        assert!(rows.is_sorted_by(|(_, one), (_, next)| one.version < next.version));
        for (at, (found, row)) in (1..).zip(rows) {
            assert_eq!((found, &row.value), (key(task, at), &value(task, at)));
            assert_eq!(revisions.insert(row.version, (task, at)), None, "a revision was given twice");
        }
        acknowledged.changes.insert(task, n);
    }
    acknowledged.maybe.clear();
    let changes = revisions.len() as u64;
    assert_eq!(block_on(store.head()), Ok(Head { revision: changes, last_audit: changes }));
    assert!((1..=changes).all(|revision| revisions.contains_key(&revision)), "revisions have no gaps");
    acknowledged.revision = changes;
    for (number, (seq, entry)) in (1..).zip(block_on(store.audit(1, usize::MAX)).unwrap()) {
        assert_eq!(seq, number);
        let (task, n) = revisions[&number];
        assert_eq!(entry, key(task, n), "entries are in commit order");
    }
    let Feed::Since(feed) = block_on(store.feed(0, usize::MAX)).unwrap() else { panic!("it is truncated") };
    assert_eq!(feed.len() as u64, changes);
    for (number, committed) in (1..).zip(feed) {
        let named: Vec<_> = committed.rows.iter().map(|row| (row.table, &row.key[..])).collect();
        assert_eq!((committed.revision, named), (number, vec![(Table::Device, &[revisions[&number].0][..])]));
    }
}

fn options() -> Options {
    // A short log, so that some of the kills come while it is copied into the file.
    Options { cache: 1 << 20, log: 1 << 20, ..Options::default() }
}

/// xorshift64: moments need no better randomness.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

const TASKS: u8 = 8;
const PATH: &str = "WARDEIN_KILL_PATH";
const KIND: &str = "WARDEIN_KILL_KIND";
