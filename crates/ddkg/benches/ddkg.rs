//! What the operations of DDKG-1 cost, and whether verifying a proof stays within its bar.
//!
//! `cargo bench -p wardein-ddkg --bench ddkg`
//!
//! The bar: while epochs advance one at a time, a verified proof costs at most 3 µs of derivation beside its constant work.
//!
//! - *Constant work* is what a verify costs at a fixed epoch with the work in the tree removed. It is measured in the last
//!   epoch, where the authority's cover is one node right above the leaf and never moves, less the one expansion from that
//!   node to the leaf. What is left is the transcript, the keys of number, mac and ack, the mac, and the ledger.
//! - *Derivation* is what a verify costs more than that when each proof comes one epoch after the last: finding the epoch's
//!   secret and moving the cover forward. It is averaged over 4,096 epochs in a row, since a single one costs anything from
//!   none to 32 expansions, and taken from the quietest of several rounds.

#![allow(missing_docs, reason = "criterion's macro makes a public function without any")]

use criterion::{Criterion, criterion_group};
use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use wardein_crypto::{Digest, P256SigningKey, Secret, SystemEntropy};
use wardein_ddkg::authority::{Accepted, EnrollTerms, Record};
use wardein_ddkg::device::{DeviceState, Enrolling, InFlight};
use wardein_ddkg::message::{ChallengeOffer, ProofRequest};
use wardein_ddkg::{
    AttributeDigests, Attributes, ChallengeKey, CheckedChallenge, Cover, DeviceName, GenerationRoot, Policy,
    Purposes, Recipe, Suite,
};
use wardein_domain::{Purpose, Schedule};

fn main() -> ExitCode {
    operations();
    Criterion::default().configure_from_args().final_summary();
    // `cargo test` and `--list` run this too, and want no measurement.
    let measures = std::env::args().any(|argument| argument == "--bench");
    if measures && !bar() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

criterion_group!(operations, trees, proofs);

fn trees(c: &mut Criterion) {
    for epoch in EPOCHS {
        c.bench_function(&format!("seek from the root to epoch {epoch}"), |b| {
            let root = tree();
            b.iter(|| root.epoch_secret(black_box(epoch)));
        });
    }
    c.bench_function("key of a number", |b| {
        let secret = tree().epoch_secret(0).expect("the tree holds every epoch");
        b.iter(|| secret.key(black_box(7)));
    });
    for start in STARTS {
        c.bench_function(&format!("next epoch, a mean of {RUN} from epoch {start}"), |b| {
            b.iter_custom(|count| (0..count).map(|_| advance(start)).sum::<Duration>() / RUN);
        });
    }
}

fn proofs(c: &mut Criterion) {
    for epoch in EPOCHS {
        let mut ends = Ends::at(epoch);
        c.bench_function(&format!("proof made in epoch {epoch}"), |b| {
            b.iter_custom(|count| {
                let offers: Vec<_> = (0..count).map(|_| ends.offer(epoch)).collect();
                timed(|| offers.iter().for_each(|offer| drop(black_box(ends.prove(offer)))))
            });
        });
    }
    for epoch in EPOCHS {
        let mut ends = Ends::at(epoch);
        c.bench_function(&format!("proof verified in epoch {epoch}"), |b| {
            b.iter_custom(|count| ends.verified((0..count).map(|_| epoch)));
        });
    }
}

/// Measures both parts of the bar's sum, and prints them; `true` when every start is within it.
fn bar() -> bool {
    let last = u32::MAX;
    let fixed = quietest(|| Ends::at(last).verified((0..RUN).map(|_| last)));
    let leaf = quietest(|| {
        let above = tree().narrow(last - 1, last).expect("the tree holds every epoch");
        timed(|| (0..RUN).for_each(|_| drop(black_box(above.epoch_secret(last)))))
    });
    let constant = fixed.saturating_sub(leaf);
    println!(
        "constant work of a verify: {constant:?} (in the last epoch {fixed:?}, less one expansion {leaf:?})"
    );
    let mut is_within = true;
    for start in STARTS {
        let whole = quietest(|| Ends::at(start).verified((1..=RUN).map(|step| start + step)));
        let derivation = whole.saturating_sub(constant);
        let verdict = if derivation <= BAR { "PASS" } else { "FAIL" };
        let ratio = derivation.as_secs_f64() / BAR.as_secs_f64();
        println!(
            "{verdict}: epochs one at a time from {start}: verify {whole:?} - constant {constant:?} = derivation \
             {derivation:?}, {ratio:.2} of the bar of {BAR:?}"
        );
        is_within &= derivation <= BAR;
    }
    is_within
}

/// The least mean of [`RUN`] operations among the rounds: noise only ever adds.
fn quietest(round: impl Fn() -> Duration) -> Duration {
    (0..ROUNDS).map(|_| round() / RUN).min().unwrap_or_default()
}

fn timed(work: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    work();
    begin.elapsed()
}

fn tree() -> Cover {
    GenerationRoot::new(Secret::copied_from(&[5; 32])).tree(Purpose::Proof)
}

fn advance(start: u32) -> Duration {
    let mut cover = tree().narrow(start, u32::MAX).expect("the tree holds every epoch");
    timed(|| {
        for step in 1..=RUN {
            cover.advance(start + step).expect("the frontier reaches to the last epoch");
        }
    })
}

/// Both ends of one device. An epoch lasts a second, so that the time tells the epoch.
struct Ends {
    device: DeviceState,
    record: Record,
    challenges: ChallengeKey,
    policy: Policy,
    recipe: Recipe,
    measured: AttributeDigests,
}

impl Ends {
    /// Enrolled, and after a first proof in `epoch` that was acknowledged: both ends have erased what lies behind.
    fn at(epoch: u32) -> Self {
        let (device, record, measured) = enroll();
        let challenges = ChallengeKey::new(Secret::copied_from(&[7; 32]));
        let recipe = record.attributes().names();
        let mut ends = Self { device, record, challenges, policy: Policy::default(), recipe, measured };
        let offer = ends.offer(epoch);
        let (request, in_flight) = ends.prove(&offer);
        let checked = ends.check(&offer);
        let reply = ends.verify(&request, checked).reply(time(epoch), Vec::new());
        let unsaved = ends.device.acknowledge(in_flight, reply).expect("an honest reply");
        let _ = unsaved.save(|_| Ok::<(), ()>(()));
        assert_eq!((ends.device.proof_epoch(), ends.record.proof_epoch()), (epoch, epoch));
        ends
    }

    fn offer(&self, epoch: u32) -> ChallengeOffer {
        let (server_time, recipe) = (time(epoch), self.recipe.clone());
        let (device, entropy) = (self.record.device(), &mut SystemEntropy::default());
        let challenge = self.challenges.issue(device, &recipe, server_time * 1_000, entropy);
        ChallengeOffer { challenge: challenge.expect("there is entropy"), server_time, recipe }
    }

    fn check(&self, offer: &ChallengeOffer) -> CheckedChallenge {
        let (device, now_ms) = (self.record.device(), offer.server_time * 1_000);
        let checked = self.challenges.check(&offer.challenge, device, &self.recipe, now_ms, &self.policy);
        checked.expect("it is fresh")
    }

    /// Flash is memory here; every 64th proof encodes the state for it.
    fn prove(&mut self, offer: &ChallengeOffer) -> (ProofRequest, InFlight) {
        let (ask, action) = (self.device.ask_challenge(), "authenticate".parse().expect("an action"));
        let entropy = &mut SystemEntropy::default();
        let unsaved = self.device.prove(ask, offer, &self.measured, action, b"", entropy);
        unsaved.expect("a good challenge").save(|_| Ok::<(), ()>(())).expect("memory does not fail")
    }

    fn verify(&mut self, request: &ProofRequest, checked: CheckedChallenge) -> Accepted {
        let now = time(request.epoch);
        let accepted = self.record.verify(request, checked, &self.recipe, b"", now, &self.policy);
        accepted.expect("an honest proof")
    }

    /// How long verifying one proof in each of `epochs` takes, after all of them are made.
    fn verified(&mut self, epochs: impl Iterator<Item = u32>) -> Duration {
        let made: Vec<_> = epochs
            .map(|epoch| {
                let offer = self.offer(epoch);
                let (request, _) = self.prove(&offer);
                assert_eq!(request.epoch, epoch);
                (request, self.check(&offer))
            })
            .collect();
        timed(|| made.iter().for_each(|(request, checked)| drop(black_box(self.verify(request, *checked)))))
    }
}

fn enroll() -> (DeviceState, Record, AttributeDigests) {
    let document = P256SigningKey::generate_pkcs8().expect("there is entropy");
    let identity = P256SigningKey::from_pkcs8(&document).expect("it was made here");
    let name = DeviceName {
        tenant: "klinik-nord".parse().expect("a tenant"),
        device: "pump-0001".parse().expect("a device id"),
    };
    let mut attributes = Attributes::new();
    attributes.insert("serial".parse().expect("a name"), b"A-77").expect("one attribute");
    let (measured, entropy) = (attributes.digests(), &mut SystemEntropy::default());
    let enrolling = Enrolling::begin(*identity.verifying_key(), Suite::P256, name, attributes, entropy);
    let enrolling = enrolling.expect("there is entropy");
    let schedule = Schedule { period: 1, max_uses: 0, not_before: START };
    let terms = EnrollTerms { generation: 1, schedule, purposes: Purposes::of([]) };
    let sign = |digest: &Digest| identity.sign(digest.as_ref());
    let enrolled = Record::enroll(None, enrolling.request(), &terms, sign, entropy).expect("the first");
    let mut record = enrolled.record.expect("it is new");
    let mut device = enrolling.finish(&enrolled.reply, Purposes::of([])).expect("an honest reply");
    let confirmation = device.confirmation().expect("unconfirmed").save(|_| Ok::<(), ()>(()));
    record.confirm(&confirmation.expect("memory does not fail")).expect("an honest confirmation");
    (device, record, measured)
}

fn time(epoch: u32) -> u64 {
    START + u64::from(epoch)
}

const EPOCHS: [u32; 3] = [0, 1_000_000, u32::MAX];
/// Where runs of epochs start; the last run ends in the last epoch.
const STARTS: [u32; 3] = [0, 1_000_000, u32::MAX - RUN];
const RUN: u32 = 4_096;
const ROUNDS: u32 = 15;
const BAR: Duration = Duration::from_micros(3);
/// Unix seconds.
const START: u64 = 1_800_000_000;
