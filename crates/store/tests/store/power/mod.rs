//! Power cuts simulated from what a process really asked of its files: everything acknowledged is there, whichever of the writes
//! since the last sync are lost, torn or reordered.
//!
//! strace records the victim's calls with its acknowledgements, in their order; `state` lays out what a disk may hold after a cut
//! at any of these moments, and the store is opened on that. `WARDEIN_POWER_STATES` asks for more states of each store than the
//! usual ones.

mod state;
pub(crate) mod trace;

use std::path::Path;
use std::process::{Command, Stdio};

use super::verify::{Acknowledged, verify};
use super::victim::{CHANGES, PATIENCE, Random, as_victim};
use state::Kept;
use trace::{CALLS, Trace};
use wardein_store::Kind;

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
    let mut random = Random::seeded(kind);
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
        assert!(!trace.acknowledged.is_empty(), "nothing was acknowledged");
        failed_syncs += trace.failed_syncs.len();
        recordings += 1;
        for _ in
            0..states.div_ceil(if states < 100 { 2 } else { 20 }).min(states - counted.iter().sum::<usize>())
        {
            let style = random.below(Kept::ALL.len() as u64) as usize;
            let moment = moment(&trace, &mut random);
            let after = tempfile::tempdir().unwrap();
            trace.lay_out(moment, Kept::ALL[style], &mut random, after.path());
            let mut acknowledged = acknowledged.clone();
            let by_then = trace.acknowledged.iter().filter(|(at, _)| *at < moment);
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
        acknowledged.count(trace.acknowledged.into_iter().map(|(_, ack)| ack).collect());
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

/// By each task in a recording.
const CHANGES_EACH: u64 = 16;

/// Half of the moments are right after an acknowledgement, when the least may be lost.
fn moment(trace: &Trace, random: &mut Random) -> usize {
    match random.below(2) {
        0 => random.below(trace.moments as u64) as usize + 1,
        _ => trace.acknowledged[random.below(trace.acknowledged.len() as u64) as usize].0 + 1,
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
    Trace::of(&place, || {
        let output = tempfile::NamedTempFile::new().unwrap();
        let mut command = Command::new("strace");
        command.args(["-f", "-y", "-xx", "-qq", "-s", "16777216", "-e", "signal=none", "-e"]);
        command.arg(format!("trace={CALLS}")).args(fault.into_iter().flat_map(|fault| ["-e", fault]));
        command.arg("-o").arg(output.path());
        if victims == Victims::TheNextAfterAFailure {
            // The second is too short to come to the fault.
            command.args([
                "sh",
                "-c",
                &format!("{PATIENCE}=0 \"$0\" \"$@\"; {CHANGES}=2 exec \"$0\" \"$@\""),
            ]);
        }
        command.arg(std::env::current_exe().unwrap());
        as_victim(&mut command, kind, &place.join(kind.file_name())).env(CHANGES, changes.to_string());
        // It fails where a fault was too much for the victim.
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().ok()?;
        let text = std::fs::read_to_string(output.path()).unwrap();
        (!text.is_empty()).then_some(text)
    })
}
