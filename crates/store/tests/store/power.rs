//! Power cuts simulated from what a process really asked of its files: everything acknowledged is there, whichever of the writes
//! since the last sync are lost, torn or reordered.
//!
//! The victim's calls are recorded with its acknowledgements; a state that a disk may hold after a cut at any of these moments is laid out
//! (`wardein_testkit::power`), and the store is opened on that. `WARDEIN_POWER_STATES` asks for more states of each store than the
//! usual ones.

use std::path::Path;
use std::process::Command;

use super::verify::{Acknowledged, verify};
use super::victim::{Ack, CHANGES, PATIENCE, ack, as_victim, seeded};
use wardein_store::Kind;
use wardein_testkit::power::{Kept, Random, Trace};

#[test]
fn sqlite_keeps_what_it_acknowledged() {
    cut(Kind::Sqlite, None);
}

#[test]
fn sled_keeps_what_it_acknowledged() {
    cut(Kind::Sled, None);
}

/// A disk that cannot write what it is to sync, and says so once: what the kernel then takes for written is not there after a cut.
#[test]
fn sqlite_keeps_what_it_acknowledged_after_a_sync_failed() {
    cut(Kind::Sqlite, Some("inject=fsync,fdatasync:error=EIO:when=6"));
}

fn cut(kind: Kind, fault: Option<&str>) {
    let states = std::env::var("WARDEIN_POWER_STATES").map_or(40, |states| states.parse().unwrap());
    let mut random = seeded(kind);
    let mut counted = [0; Kept::ALL.len()];
    let mut place = tempfile::tempdir().unwrap();
    let mut acknowledged = Acknowledged::default();
    let (mut recordings, mut proven, mut failed_syncs) = (0, 0, 0);
    while counted.iter().sum::<usize>() < states {
        if recordings % 4 == 0 {
            // One that is created; then it is opened as the victim left it, with its log.
            place = tempfile::tempdir().unwrap();
            acknowledged = Acknowledged::by_disk(fault.is_some());
        }
        let victims =
            if fault.is_some() && recordings % 2 == 1 { Victims::TheNextAfterAFailure } else { Victims::One };
        let Some(trace) = record(kind, place.path(), CHANGES_EACH, fault, victims) else {
            eprintln!("SKIPPED: simulating power cuts needs strace, which is missing or refused here");
            return;
        };
        let acks = acks(&trace);
        assert!(!acks.is_empty(), "nothing was acknowledged");
        failed_syncs += trace.failed_syncs.len();
        recordings += 1;
        for _ in
            0..states.div_ceil(if states < 100 { 2 } else { 20 }).min(states - counted.iter().sum::<usize>())
        {
            let style = random.below(Kept::ALL.len() as u64) as usize;
            let moment = moment(&trace, &acks, &mut random);
            let after = tempfile::tempdir().unwrap();
            trace.lay_out(moment, Kept::ALL[style], &mut random, after.path());
            let mut acknowledged = acknowledged.clone();
            let by_then = acks.iter().filter(|(at, _)| *at < moment);
            acknowledged.count(by_then.map(|(_, ack)| *ack).collect());
            proven += acknowledged.count_all();
            println!(
                "  state of {kind:?}: recording {recordings}, moment {moment} of {}, {:?} kept",
                trace.moments,
                Kept::ALL[style]
            );
            verify(kind, &after.path().join(kind.file_name()), &mut acknowledged);
            counted[style] += 1;
        }
        acknowledged.count(acks.into_iter().map(|(_, ack)| ack).collect());
        verify(kind, &place.path().join(kind.file_name()), &mut acknowledged);
    }
    println!(
        "{kind:?}: {} states from {recordings} recordings ({}), {proven} acknowledged changes looked for, none lost",
        counted.iter().sum::<usize>(),
        Kept::ALL
            .iter()
            .zip(counted)
            .map(|(kept, count)| format!("{count} {kept:?}"))
            .collect::<Vec<_>>()
            .join(", "),
    );
    assert!(proven > 0, "nothing was looked for");
    assert_eq!(failed_syncs > 0, fault.is_some(), "{failed_syncs} syncs failed");
}

/// What it acknowledged, each with its moment.
pub(crate) fn acks(trace: &Trace) -> Vec<(usize, Ack)> {
    trace.lines.iter().filter_map(|(at, line)| Some((*at, ack(line)?))).collect()
}

/// By each task in a recording.
const CHANGES_EACH: u64 = 16;

/// Half of the moments are right after an acknowledgement, when the least may be lost.
fn moment(trace: &Trace, acks: &[(usize, Ack)], random: &mut Random) -> usize {
    match random.below(2) {
        0 => random.below(trace.moments as u64) as usize + 1,
        _ => acks[random.below(acks.len() as u64) as usize].0 + 1,
    }
}

/// Who writes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Victims {
    /// One that tries again after a failure.
    One,
    /// One that ends with its first failure, and then another, as a service that is restarted.
    TheNextAfterAFailure,
}

/// Runs the victim at `place` until each of its tasks made so many changes; none where strace is missing or refused.
pub(crate) fn record(
    kind: Kind,
    place: &Path,
    changes: u64,
    fault: Option<&str>,
    victims: Victims,
) -> Option<Trace> {
    let place = place.canonicalize().unwrap();
    let own = std::env::current_exe().unwrap();
    let mut victim = match victims {
        Victims::One => Command::new(own),
        // The second is too short to come to the fault.
        Victims::TheNextAfterAFailure => {
            let script = format!("{PATIENCE}=0 \"$0\" \"$@\"; {CHANGES}=2 exec \"$0\" \"$@\"");
            let mut shell = Command::new("sh");
            shell.args(["-c", &script]).arg(own);
            shell
        }
    };
    as_victim(&mut victim, kind, &place.join(kind.file_name())).env(CHANGES, changes.to_string());
    let faults: Vec<_> = fault.into_iter().flat_map(|fault| ["-e", fault]).collect();
    Trace::of(&place, &faults, &victim)
}
