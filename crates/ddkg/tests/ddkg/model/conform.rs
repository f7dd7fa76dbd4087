//! The model against the shipped ends: the same steps, and after each of them the same to be seen. What the model shows of
//! its own lines it thereby shows of `src/authority` and `src/device`.

use super::authority::Refusal;
use super::config::Config;
use super::explore::Protocol;
use super::real::Real;
use super::step::{Seen, Step};
use super::world::{Verdict, World};
use stateright::Model;

/// Walks `walks` times through the run, by choices that differ from walk to walk and not from time to time.
pub(crate) fn check(config: &Config, walks: u64) {
    let (protocol, mut taken, mut met) = (Protocol(config.clone()), 0, std::collections::BTreeMap::new());
    for walk in 0..walks {
        let (mut choice, mut trace) = (Choice(walk + 1), Vec::new());
        let (mut world, mut real) = (World::start(config), Real::start(config));
        for _ in 0..2 * config.depth {
            let mut steps = Vec::new();
            protocol.actions(&world, &mut steps);
            // Memory is not copied, and a message that no run sends again and again fills no walk.
            steps.retain(|step| {
                !matches!(step, Step::CopyMemory | Step::LostRequest { .. } | Step::LostReply { .. })
            });
            if steps.is_empty() {
                break;
            }
            let step = steps[choice.below(steps.len())];
            trace.push(step);
            let expected = seen(world.take(step, config));
            let (found, decided) = real.take(step).expect("the shipped ends can take this step");
            let (found, _) = seen(found);
            assert_eq!((found, decided), expected.clone(), "{}: {trace:#?}", config.name);
            same(&world, &real, config, &trace);
            taken += 1;
            if let Some(decided) = expected.1 {
                *met.entry(decided.split(' ').next().unwrap_or_default().to_owned()).or_insert(0) += 1;
            }
        }
    }
    say!("{}: {walks} walks, {taken} steps like the shipped ends; {met:?}", config.name);
    assert!(met.contains_key("accepted") && met.len() > 3, "the walks met little: {met:?}");
}

/// What is stored at both ends, as far as it can be seen from outside.
fn same(world: &World, real: &Real, config: &Config, trace: &[Step]) {
    let record = world.record.as_ref().expect("the run begins enrolled");
    let model = (
        record.active.number,
        record.pending.as_ref().map(|pending| pending.number),
        record.active.ledger.current(),
    );
    let shipped =
        (real.record.active_generation(), real.record.pending_generation(), real.record.proof_epoch());
    assert_eq!(shipped, model, "{trace:#?}");
    if !config.jumps.is_empty() {
        assert_eq!(real.first_data_epoch(), record.active.data_first, "{trace:#?}");
    }
    for (holder, shipped) in world.holders.iter().zip(&real.holders) {
        let key = holder.ram.key.expect("the run begins enrolled");
        let model = (world.agreements[usize::from(key)].number, holder.ram.proofs.acked());
        assert_eq!((shipped.state.generation(), shipped.state.proof_epoch()), model, "{trace:#?}");
    }
}

/// The verdict as text, which both can say, and the rest.
fn seen(seen: Seen) -> (Seen, Option<String>) {
    match seen {
        Seen::Judged(verdict) => (Seen::Nothing, Some(decided(verdict))),
        Seen::Whole(sent, verdict, got) => {
            (Seen::Whole(sent, Verdict::Overtaken, got), Some(decided(verdict)))
        }
        other => (other, None),
    }
}

fn decided(verdict: Verdict) -> String {
    match verdict {
        Verdict::Accepted(true) => "activated".into(),
        Verdict::Accepted(false) => "accepted".into(),
        Verdict::Overtaken => "overtaken".into(),
        Verdict::Refused(refusal) => match refusal {
            Refusal::EnrollmentPending => "enrollment-pending".into(),
            Refusal::ChallengeUnknown => "challenge-unknown".into(),
            Refusal::ChallengeExpired => "challenge-expired".into(),
            Refusal::ChallengeFromTheFuture => "challenge-from-the-future".into(),
            Refusal::GenerationUnknown => "generation-unknown".into(),
            Refusal::Retired => "generation-retired".into(),
            Refusal::EpochSpent(next) => format!("epoch-spent {next}"),
            Refusal::EpochAhead => "epoch-ahead".into(),
            Refusal::MacWrong => "mac-wrong".into(),
            Refusal::Replayed => "replayed".into(),
            Refusal::Clone(sign) => sign.code().into(),
        },
    }
}

/// splitmix64: the same walks each time.
struct Choice(u64);

impl Choice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed >> 33) % bound as u64).expect("it is below the bound")
    }
}
