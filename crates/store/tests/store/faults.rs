//! A disk that fails: full, read-only, or unable to write, at calls that are chosen at random. Nothing that was acknowledged is lost,
//! nothing is acknowledged that is not there, and no file is trusted again after a sync of it failed until it was opened again.
//!
//! strace has the victim's calls fail (`inject`, strace(1)). `WARDEIN_DISK_ROUNDS` asks for more rounds of each fault.

use std::collections::BTreeMap;
use std::process::Command;

use super::opening::Disk;
use super::power::{Victims, acks, record};
use super::verify::{Acknowledged, verify};
use super::victim::{TASKS, options, seeded};
use wardein_store::Kind;
use wardein_testkit::power::Trace;

#[test]
fn sqlite_survives_a_failing_disk() {
    fail_repeatedly(Kind::Sqlite);
}

#[test]
fn sled_survives_a_failing_disk() {
    fail_repeatedly(Kind::Sled);
}

/// Nothing is opened for writing alone, and the error says what is wrong with the disk.
#[test]
fn a_read_only_disk_is_said_to_be_one() {
    for kind in [Kind::Sqlite, Kind::Sled] {
        let place = tempfile::tempdir().unwrap();
        let Some(_disk) = Disk::mount(place.path(), "12m") else {
            eprintln!(
                "SKIPPED: a_read_only_disk_is_said_to_be_one needs to mount a tmpfs, which is refused here"
            );
            return;
        };
        let path = place.path().join(kind.file_name());
        drop(wardein_store::open(kind, &path, &options()).unwrap());
        let remount = |how: &str| {
            let done =
                Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(place.path()).status();
            assert!(done.unwrap().success());
        };
        remount("ro");
        let error = wardein_store::open(kind, &path, &options()).err().unwrap();
        assert!(error.to_string().to_lowercase().contains("read-only"), "{error}");
        remount("rw");
        wardein_store::verify(kind, &path, &options()).unwrap();
    }
}

/// What fails, in words and in strace's, and from among how many calls it is chosen. A `+` means that it fails from then on.
const FAULTS: [(&str, &str, &str, u64); 6] = [
    ("a sync fails once", "fsync,fdatasync:error=EIO", "", 40),
    ("syncs fail from then on", "fsync,fdatasync:error=EIO", "+", 40),
    ("a write fails once", "pwrite64:error=EIO", "", 80),
    ("writes fail from then on", "pwrite64:error=EIO", "+", 80),
    ("the disk is full", "pwrite64,ftruncate:error=ENOSPC", "+", 80),
    ("the file system turns read-only", "pwrite64,ftruncate,fsync,fdatasync:error=EROFS", "+", 80),
];

fn fail_repeatedly(kind: Kind) {
    let rounds = std::env::var("WARDEIN_DISK_ROUNDS").map_or(1, |rounds| rounds.parse().unwrap());
    let mut random = seeded(kind);
    let mut summary = BTreeMap::<&str, (usize, usize)>::new();
    for _ in 0..rounds {
        for (what, call, from_then_on, among) in FAULTS {
            let place = tempfile::tempdir().unwrap();
            // strace counts the calls of each thread by itself. SQLite's writes are many to a change; sled's threads share them.
            let among = if kind == Kind::Sqlite && call.starts_with("pwrite") { among * 20 } else { among };
            let fault = format!("inject={call}:when={}{from_then_on}", 1 + random.below(among));
            println!("  state of {kind:?}: {fault}");
            let Some(trace) = record(kind, place.path(), 40, Some(&fault), Victims::One) else {
                eprintln!("SKIPPED: a failing disk needs strace, which is missing or refused here");
                return;
            };
            let mut acknowledged = Acknowledged::by_disk(true);
            acknowledged.count(acks(&trace).into_iter().map(|(_, ack)| ack).collect());
            no_sync_is_repeated_as_if_it_had_succeeded(kind, &trace);
            verify(kind, &place.path().join(kind.file_name()), &mut acknowledged);
            let (runs, changes) = summary.entry(what).or_default();
            (*runs, *changes) = (*runs + 1, *changes + acks(&trace).len());
        }
    }
    for (what, (runs, changes)) in summary {
        println!("{kind:?}: {what}: {runs} times, {changes} changes acknowledged, none lost");
    }
}

/// After a failed sync, Linux takes the pages for written and lets the next sync succeed (fsync(2), "EIO"; the handle has had its
/// error). So nothing more is acknowledged until the file was opened again, beyond what each task may have had synced before.
fn no_sync_is_repeated_as_if_it_had_succeeded(kind: Kind, trace: &Trace) {
    for (failed, path) in &trace.failed_syncs {
        let reopened =
            trace.opened.iter().find(|(at, opened)| at > failed && opened == path).map(|(at, _)| *at);
        // sled is not opened again in the same process.
        let until = if kind == Kind::Sled { None } else { reopened };
        let after = acks(trace).into_iter().map(|(at, _)| at).filter(|at| at > failed);
        let after = after.filter(|at| until.is_none_or(|until| *at < until)).count();
        assert!(
            after <= usize::from(TASKS),
            "{}: {after} acknowledged after a sync had failed",
            path.display()
        );
    }
}
