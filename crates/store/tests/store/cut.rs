//! Power cuts at random moments beneath the victim.
//!
//! A file system is shut down beneath it: what it had not put on its disk is gone, as is its journal's tail, and nothing reaches
//! the disk any more. What a disk does with what it had in hand is simulated in `power`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::kill::{rounds, run_and_end};
use super::verify::{Acknowledged, verify};
use super::victim::seeded;
use wardein_store::Kind;

#[test]
fn sqlite_keeps_what_it_acknowledged() {
    cut_repeatedly(Kind::Sqlite);
}

#[test]
fn sled_keeps_what_it_acknowledged() {
    cut_repeatedly(Kind::Sled);
}

fn cut_repeatedly(kind: Kind) {
    let rounds = rounds(10);
    let place = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::format(place.path()) else {
        eprintln!("SKIPPED: cutting the power needs to mount a loop device, which is refused here");
        return;
    };
    let mut random = seeded(kind);
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
