//! kill -9 at random moments: everything that was acknowledged is there, and every change is there whole or not at all.
//!
//! The test starts itself as the victim. `WARDEIN_KILL_ROUNDS` asks for more rounds than the usual 30 kills and 10 cuts of each
//! store.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use super::verify::{Acknowledged, verify};
use super::victim::{Ack, ack, as_victim, seeded};
use wardein_store::Kind;

#[test]
fn sqlite_keeps_what_it_acknowledged() {
    kill_repeatedly(Kind::Sqlite);
}

#[test]
fn sled_keeps_what_it_acknowledged() {
    kill_repeatedly(Kind::Sled);
}

pub(crate) fn rounds(usual: usize) -> usize {
    std::env::var("WARDEIN_KILL_ROUNDS").map_or(usual, |rounds| rounds.parse().unwrap())
}

fn kill_repeatedly(kind: Kind) {
    let rounds = rounds(30);
    let mut place = tempfile::tempdir().unwrap();
    let mut random = seeded(kind);
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

/// Runs the victim for `delay` from the first line on that begins with `await_line`, and kills it after `end`; what it
/// acknowledged before `end`, and from then on.
pub(crate) fn run_and_end(
    kind: Kind,
    path: &Path,
    await_line: &str,
    delay: Duration,
    end: impl FnOnce(),
) -> (Vec<Ack>, Vec<Ack>) {
    let mut victim = Command::new(std::env::current_exe().unwrap());
    let mut victim = as_victim(&mut victim, kind, path).stdout(Stdio::piped()).spawn().unwrap();
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
    let before = std::iter::once(first).chain(seen.try_iter()).filter_map(|line| ack(&line)).collect();
    end();
    victim.kill().unwrap();
    victim.wait().unwrap();
    reader.join().unwrap();
    (before, seen.into_iter().filter_map(|line| ack(&line)).collect())
}
