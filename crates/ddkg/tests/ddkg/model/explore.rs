//! The state space, explored by stateright: which steps there are in a state, and the invariants.
//!
//! One thread and breadth first, so that a bound on the depth leaves out nothing within it, and a trace is a shortest one.

use super::authority::Refusal;
use super::config::Config;
use super::mutant::Mutant;
use super::recover;
use super::splice;
use super::step::Step;
use super::world::{Crash, Flaw, World};
use stateright::{Checker, HasDiscoveries, Model, Property};
use std::time::Instant;

/// The protocol as one run sees it.
#[derive(Clone)]
pub(crate) struct Protocol(pub(crate) Config);

impl Model for Protocol {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![World::start(&self.0)]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        if world.alarm.is_none() && world.flaws.is_empty() {
            world.steps(&self.0, steps);
        }
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let mut next = world.clone();
        next.take(step, &self.0);
        if self.0.spliced && splice::is_taken(&next, &self.0) {
            next.flaws.insert(Flaw::SpliceTaken);
        }
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("I1: both ends can agree again", |model, world| {
                recover::agrees(world, &model.0)
            }),
            Property::always("I2: no number is accepted twice", |_, world| lacks(world, Flaw::NumberTwice)),
            Property::always("I3: an acknowledged rekey is not lost", |_, world| recover::has_rekey(world)),
            Property::always("I4: where an alarm is due it comes", |_, world| {
                lacks(world, Flaw::NoAlarmWhereDue)
            }),
            Property::always("I4: two speakers raise the alarm", |_, world| lacks(world, Flaw::TwoSpeakers)),
            Property::always("I5: no false alarm", |_, world| lacks(world, Flaw::FalseAlarm)),
            Property::always("I6: a readmitted holder rekeys, and the other is out", |_, world| {
                lacks(world, Flaw::NotReadmitted)
            }),
            Property::always("no key is lost that retention promises", |_, world| {
                lacks(world, Flaw::KeyLost)
            }),
            Property::always("a spliced message changes nothing", |_, world| lacks(world, Flaw::SpliceTaken)),
        ]
    }
}

fn lacks(world: &World, flaw: Flaw) -> bool {
    !world.flaws.contains(&flaw)
}

/// Explores `config`. The invariant that fails, if one does, with a shortest trace to it.
pub(crate) fn explore(config: &Config) -> Result<(), (&'static str, String)> {
    let Err((name, steps, last)) = explore_to(config, config.depth) else { return Ok(()) };
    // stateright keeps the last failure of a block; whether there is a nearer one is found by looking again.
    let nearer = (0..steps.len()).find_map(|depth| explore_to(config, depth).err());
    let (name, steps, last) = nearer.unwrap_or((name, steps, last));
    let steps: Vec<String> = steps.iter().map(|step| format!("  {step:?}")).collect();
    Err((name, format!("{}\n  ends in {last:#?}", steps.join("\n"))))
}

type Failure = (&'static str, Vec<Step>, Box<World>);

fn explore_to(config: &Config, depth: usize) -> Result<(), Failure> {
    let began = Instant::now();
    // stateright counts states on a path, and does not judge those at its bound: two more than steps.
    let checker = Protocol(config.clone())
        .checker()
        .threads(1)
        .finish_when(HasDiscoveries::AnyFailures)
        .target_max_depth(depth + 2)
        .spawn_bfs()
        .join();
    if let Some((name, path)) = checker.discoveries().into_iter().next() {
        let last = Box::new(path.last_state().clone());
        return Err((name, path.into_actions(), last));
    }
    let states = checker.unique_state_count();
    if depth < config.depth {
        return Ok(());
    }
    let seconds = began.elapsed().as_secs_f32();
    let is_complete = checker.max_depth() < depth + 2;
    say!(
        "{}: {states} states, depth {depth}{}, {seconds:.1} s",
        config.name,
        if is_complete { " (all there are)" } else { "" }
    );
    assert!(states >= config.floor, "{}: only {states} states were explored", config.name);
    Ok(())
}

impl World {
    /// All steps that are possible here.
    fn steps(&self, config: &Config, steps: &mut Vec<Step>) {
        let nodes = if self.clocks[0] == self.clocks[1] && !config.interleaved { 0..1 } else { 0..2 };
        if self.left.ticks > 0 {
            steps.push(Step::Tick);
        }
        for node in nodes.clone() {
            if self.left.sweeps > 0 {
                steps.push(Step::Sweep { node });
            }
        }
        if self.left.clocks > 0 {
            let settings = 0..config.settings.len();
            steps.extend(
                settings.flat_map(|setting| (0..2).map(move |node| Step::SetClock { node, setting })),
            );
        }
        if self.ahead > 0 {
            steps.push(Step::BeginEra);
        } else if self.left.jumps > 0 {
            steps.extend((0..config.jumps.len()).map(|jump| Step::Jump { jump }));
        }
        self.enrollment_steps(nodes.clone(), steps);
        for holder in 0..self.holders.len() {
            if self.left.crashes > 0 {
                steps.push(Step::CrashDevice { holder });
            }
            if config.whole {
                self.whole_steps(holder, nodes.clone(), steps);
            }
            self.device_steps(holder, nodes.clone(), config.single, steps);
        }
        if config.single {
            self.network_steps(nodes, config, steps);
        }
        if (self.left.copies > 0 || self.left.restores > 0) && self.holders.len() == 1 {
            steps.push(Step::Keep);
            if self.left.copies > 0 {
                steps.push(Step::CopyMemory);
            }
            if self.left.copies > 0 && self.kept.is_some() {
                steps.push(Step::Copy);
            }
            if self.left.restores > 0 && self.kept.is_some() {
                steps.push(Step::Restore);
            }
        }
    }

    fn crashes(&self) -> &'static [Crash] {
        if self.left.crashes > 0 {
            &[Crash::None, Crash::BeforeSave, Crash::AfterSave]
        } else {
            &[Crash::None]
        }
    }

    fn kinds(&self) -> &'static [bool] {
        match (self.left.proofs, self.left.rekeys) {
            (0, _) => &[],
            (_, 0) => &[false],
            _ => &[false, true],
        }
    }

    fn enrollment_steps(&self, nodes: std::ops::Range<usize>, steps: &mut Vec<Step>) {
        if self.left.enrollments > 0 && (self.holders[0].ram.key.is_none() || self.is_unconfirmed(0)) {
            steps.push(Step::BeginEnrollment);
        }
        if self.left.enrollments == 0 && self.enrolls.len() < 2 {
            return;
        }
        for (id, keys) in self.enrolls.iter().enumerate() {
            steps.extend(nodes.clone().map(|node| Step::AnswerEnrollment { id, node }));
            steps.extend(keys.iter().map(|key| Step::FinishEnrollment { id, key: *key }));
        }
        if self.is_unconfirmed(0) {
            steps.extend(self.crashes().iter().map(|crash| Step::Confirm { crash: *crash }));
        }
        steps.extend(self.confirmations.iter().map(|key| Step::TakeConfirmation { key: *key }));
    }

    fn whole_steps(&self, holder: usize, nodes: std::ops::Range<usize>, steps: &mut Vec<Step>) {
        for &is_rekey in self.kinds() {
            for node in nodes.clone() {
                steps.push(Step::Request { holder, node, is_rekey });
                if self.left.crashes > 0 {
                    steps.push(Step::LostReply { holder, node, is_rekey });
                    steps.push(Step::LostRequest { holder, node, is_rekey });
                }
            }
        }
    }

    fn device_steps(
        &self,
        holder: usize,
        nodes: std::ops::Range<usize>,
        is_single: bool,
        steps: &mut Vec<Step>,
    ) {
        let ram = &self.holders[holder].ram;
        if ram.key.is_none() {
            return;
        }
        if self.left.asks > 0 && self.left.proofs > 0 {
            steps.extend(nodes.map(|node| Step::Ask { holder, node }));
        }
        if !is_single {
            return;
        }
        for question in 0..ram.questions.len() {
            for &is_rekey in self.kinds() {
                let prove = |crash: &Crash| Step::Prove { holder, question, is_rekey, crash: *crash };
                steps.extend(self.crashes().iter().map(prove));
            }
        }
        for id in ram.awaited.iter().copied().map(usize::from) {
            if self.replies.get(id).is_some_and(Option::is_some) {
                steps.extend(self.crashes().iter().map(|crash| Step::Receive { holder, id, crash: *crash }));
            }
            if self.left.refusals > 0 && id < self.sent.len() {
                let refusals = [Refusal::EpochSpent(0), Refusal::EpochSpent(FAR), Refusal::EpochAhead];
                steps.extend(refusals.map(|refusal| Step::Forge { id, refusal }));
            }
        }
    }

    fn network_steps(&self, nodes: std::ops::Range<usize>, config: &Config, steps: &mut Vec<Step>) {
        for node in nodes {
            for id in 0..self.sent.len() {
                if config.interleaved {
                    steps.push(Step::Load { id, node });
                    continue;
                }
                steps.push(Step::Deliver { id, node, told: true });
                steps.push(Step::Deliver { id, node, told: false });
                if config.is(Mutant::AnswersBeforeStoring) {
                    steps.push(Step::CrashedDelivery { id, node });
                }
            }
            if config.interleaved && self.loads[node].is_some() {
                steps.push(Step::Commit { node });
            }
        }
    }
}

/// An epoch that a forged refusal names.
const FAR: u32 = 1_000;
