//! What is killed, starved and lied to: a process that writes through the port from several tasks, and prints each acknowledgement
//! as it comes.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use std::io::Write as _;
use wardein_port::{Change, Clock as _, Store, SystemClock, Table};
use wardein_store::{Kind, Options};
use wardein_testkit::power::Random;
use wardein_testkit::{commit, get};

/// Not a test: the victim. Without its variables it does nothing.
#[test]
fn victim() {
    let (Ok(path), Ok(kind)) = (std::env::var(PATH), std::env::var(KIND)) else { return };
    let kind = if kind == "sled" { Kind::Sled } else { Kind::Sqlite };
    let changes = std::env::var(CHANGES).map_or(u64::MAX, |changes| changes.parse().unwrap());
    let patience = std::env::var(PATIENCE).map_or(60, |patience| patience.parse().unwrap());
    say("opening");
    let store = said(wardein_store::open(kind, Path::new(&path), &options()));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let store = Arc::clone(&store);
            runtime.spawn(async move {
                for _ in 0..changes {
                    match write_one(&*store, task).await {
                        Ok((n, revision)) => say(&format!("ack {task} {n} {revision}")),
                        Err(why) if FAILURES.fetch_add(1, Ordering::Relaxed) < patience => {
                            say(&format!("failed: {why}"));
                            std::thread::sleep(Duration::from_millis(25));
                        }
                        // As a service that is restarted.
                        Err(_) => std::process::exit(1),
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
    // As abruptly as a kill: nothing is put in order first.
    std::process::exit(0);
}

async fn write_one(store: &dyn Store, task: u8) -> Result<(u64, u64), String> {
    let counter = get(store, Table::Device, &[task]).await.map_err(|error| error.to_string())?;
    let n = counter.as_ref().map_or(0, |row| number(&row.value)) + 1;
    let change = change(task, n, counter.map(|row| row.version));
    let revision = commit(store, change).await.map_err(|error| error.to_string())?;
    Ok((n, revision))
}

/// What came of it; a failure is told in a line and ends the process.
fn said<T, E: std::fmt::Display>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| {
        say(&format!("failed: {error}"));
        std::process::exit(1)
    })
}

/// One write each, so that a line is whole or not there. Not println, which the harness keeps.
fn say(line: &str) {
    std::io::stdout().lock().write_all(format!("{line}\n").as_bytes()).unwrap();
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

pub(crate) fn key(task: u8, n: u64) -> Vec<u8> {
    [&[task][..], &n.to_be_bytes()].concat()
}

pub(crate) fn value(task: u8, n: u64) -> Vec<u8> {
    let size = (n * 2_654_435_761 + u64::from(task) * 97) % if n.is_multiple_of(10) { 20_000 } else { 3000 };
    let filler = (0..size).map(|at| (at * 31 + n * 7 + u64::from(task)) as u8);
    n.to_be_bytes().into_iter().chain(filler).collect()
}

/// The number of the change that wrote a value.
pub(crate) fn number(value: &[u8]) -> u64 {
    u64::from_be_bytes(*value.first_chunk().unwrap())
}

/// An acknowledgement: task, number of its change, revision.
pub(crate) type Ack = (u8, u64, u64);

pub(crate) fn ack(line: &str) -> Option<Ack> {
    let mut numbers = line.strip_prefix("ack ")?.split(' ').map(|number| number.parse::<u64>().unwrap());
    let mut next = || numbers.next().unwrap();
    Some((next() as u8, next(), next()))
}

/// The arguments and variables with which this test's binary is the victim.
pub(crate) fn as_victim<'a>(command: &'a mut Command, kind: Kind, path: &Path) -> &'a mut Command {
    command
        .args(["--exact", "victim::victim", "--nocapture", "--test-threads=1"])
        .env(PATH, path)
        .env(KIND, kind.name())
}

pub(crate) fn options() -> Options {
    // A short log, so that some of the kills come while it is copied into the file.
    Options { cache: 1 << 20, log: 1 << 20, ..Options::default() }
}

/// It says its seed.
pub(crate) fn seeded(kind: Kind) -> Random {
    let random = Random(SystemClock.boot_ms().wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    println!("{kind:?}: seed {:#x}", random.0);
    random
}

pub(crate) const TASKS: u8 = 8;
pub(crate) const PATH: &str = "WARDEIN_VICTIM_PATH";
pub(crate) const KIND: &str = "WARDEIN_VICTIM_KIND";
/// How many changes each task makes before the process ends; without it, it does not end.
pub(crate) const CHANGES: &str = "WARDEIN_VICTIM_CHANGES";
/// How many failures it takes before it gives up.
pub(crate) const PATIENCE: &str = "WARDEIN_VICTIM_PATIENCE";
static FAILURES: AtomicU32 = AtomicU32::new(0);
