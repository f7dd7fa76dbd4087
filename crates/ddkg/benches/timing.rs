//! Does comparing a mac tell by its time where the mac is wrong? A check in the style of dudect (Reparaz, Balasch,
//! Verbauwhede, "Dude, is my code constant time?", DATE 2017).
//!
//! `cargo bench -p wardein-ddkg --bench timing`
//!
//! Two classes of wrong macs, one wrong in its first byte and one in its last, come in random order. Welch's t-test asks
//! whether their times have different means, for all times and for those below each of several percentiles, which crops
//! what interrupts add. |t| above 4.5 is a difference that chance hardly makes. Three subjects:
//!
//! - `MacKey::verify`, by which every mac, ack, token and confirmation is compared,
//! - `Record::verify`, the whole way of a proof with a wrong mac,
//! - a comparison that stops at the first difference, which the check must find (|t| above 10), or it could find nothing.
//!
//! A measurement is no proof. The argument is the code's: both tags have 32 bytes by type, `MacKey::verify` is the only
//! comparison of a tag (`Tag` has no `PartialEq`), and `ring::hmac::verify` combines the differences of all bytes before it
//! looks at them. It is no part of the tests, since other work on the machine can disturb it; a subject that seems to fail
//! is measured again, up to five times.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;
use wardein_crypto::{Digest, Entropy, MacKey, P256SigningKey, Secret, SystemEntropy, Tag};
use wardein_ddkg::authority::{EnrollTerms, Record, Refusal};
use wardein_ddkg::device::Enrolling;
use wardein_ddkg::message::{ChallengeOffer, ProofRequest};
use wardein_ddkg::{Attributes, AuthorityTime, ChallengeKey, DeviceName, Policy, Purposes, Suite};
use wardein_domain::Schedule;

fn main() -> ExitCode {
    // `cargo test --benches` runs this too, and wants no measurement.
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    let is_found = judge("a comparison that stops early", 20_000, |t| t > CONTROL, early_exit());
    let is_mac_even = judge("MacKey::verify", 400_000, |t| t < LEAK, mac_key());
    let is_record_even = judge("Record::verify", 100_000, |t| t < LEAK, record());
    match is_found && is_mac_even && is_record_even {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// The mac that is wrong in its first byte, and the one that is wrong in its last.
fn wrong(right: &Tag) -> [Tag; 2] {
    [0, 31].map(|at| {
        let mut tag = *right;
        tag.0[at] ^= 1;
        tag
    })
}

fn early_exit() -> impl FnMut(usize) {
    let right = Tag([0x5a; 32]);
    let classes = wrong(&right);
    move |class| {
        // Some repetitions, as one such comparison is about as short as reading the clock.
        for _ in 0..8 {
            let (a, b) = (black_box(&right.0), black_box(&classes[class].0));
            black_box(a.iter().zip(b).all(|(a, b)| black_box(a == b)));
        }
    }
}

fn mac_key() -> impl FnMut(usize) {
    let key = MacKey::new(Secret::copied_from(&[9; 32]));
    let message = [0x33; 32];
    let classes = wrong(&key.tag(&message));
    move |class| assert!(black_box(&key).verify(&message, black_box(&classes[class])).is_err())
}

fn record() -> impl FnMut(usize) {
    let entropy = &mut SystemEntropy::default();
    let document = P256SigningKey::generate_pkcs8().expect("there is entropy");
    let identity = P256SigningKey::from_pkcs8(&document).expect("it was made here");
    let name = DeviceName {
        tenant: "klinik-nord".parse().expect("a tenant"),
        device: "pump-0001".parse().expect("a device id"),
    };
    let key = *identity.verifying_key();
    let enrolling = Enrolling::begin(key, Suite::P256, name, Attributes::new(), entropy);
    let enrolling = enrolling.expect("there is entropy");
    let schedule = Schedule { period: 3_600, max_uses: 0, not_before: NOW };
    let terms = EnrollTerms { generation: 1, schedule, purposes: Purposes::ENROLLED };
    let sign = |digest: &Digest| identity.sign(digest.as_ref());
    let enrolled = Record::enroll(None, enrolling.request(), &terms, sign, entropy).expect("the first");
    let mut record = enrolled.record.expect("it is new");
    let mut device = enrolling.finish(&enrolled.reply, Purposes::ENROLLED).expect("an honest reply");
    let confirmation = device.confirmation().expect("unconfirmed").save(|_| Ok::<(), ()>(()));
    record.confirm(&confirmation.expect("memory does not fail")).expect("an honest confirmation");

    let time = AuthorityTime::sure(NOW);
    let (challenges, policy) = (ChallengeKey::new(Secret::copied_from(&[7; 32])), Policy::default());
    let recipe = record.attributes().names();
    let challenge =
        challenges.issue(record.device(), &recipe, NOW * 1_000, entropy).expect("there is entropy");
    let checked = challenges.check(&challenge, record.device(), &recipe, NOW * 1_000, &policy);
    let checked = checked.expect("it is fresh");
    let offer = ChallengeOffer { challenge, server_time: NOW, recipe: recipe.clone() };
    let (ask, action) = (device.ask_challenge(), "authenticate".parse().expect("an action"));
    let unsaved = device.prove(ask, &offer, &Default::default(), action, b"", entropy);
    let (request, _) = unsaved.expect("a good challenge").save(|_| Ok::<(), ()>(())).expect("memory");
    let classes = wrong(&request.mac).map(|mac| ProofRequest { mac, ..request.clone() });
    move |class| {
        let verified = record.verify(black_box(&classes[class]), checked, &recipe, b"", time, &policy);
        assert_eq!(verified.err(), Some(Refusal::MacWrong));
    }
}

/// Measures until `is_good`, at most five times, and prints what came out.
fn judge(what: &str, samples: usize, is_good: impl Fn(f64) -> bool, mut subject: impl FnMut(usize)) -> bool {
    for attempt in 1..=5 {
        let t = worst_t(&measure(samples, &mut subject));
        let verdict = if is_good(t) { "PASS" } else { "FAIL" };
        println!("{verdict}: {what}: |t| = {t:.2} over {samples} samples, attempt {attempt}");
        if is_good(t) {
            return true;
        }
    }
    false
}

/// The time of each run in nanoseconds, with its class.
fn measure(samples: usize, subject: &mut impl FnMut(usize)) -> Vec<(usize, f64)> {
    let mut random = vec![0; samples];
    SystemEntropy::default().fill(&mut random).expect("there is entropy");
    for class in [0, 1] {
        (0..1_000).for_each(|_| subject(class));
    }
    let time = |byte: &u8| {
        let class = usize::from(byte & 1);
        let begin = Instant::now();
        subject(class);
        (class, begin.elapsed().as_nanos() as f64)
    };
    random.iter().map(time).collect()
}

/// The greatest |t| over all times and over those below each percentile.
fn worst_t(times: &[(usize, f64)]) -> f64 {
    let mut sorted: Vec<f64> = times.iter().map(|(_, time)| *time).collect();
    sorted.sort_by(f64::total_cmp);
    let limit = |share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize];
    let ts = [1.0, 0.99, 0.95, 0.9, 0.75, 0.5].map(|share| welch(times, limit(share)).abs());
    ts.into_iter().fold(0.0, f64::max)
}

/// Welch's t of the two classes among the times up to `limit`.
fn welch(times: &[(usize, f64)], limit: f64) -> f64 {
    let [first, second] = [0, 1].map(|class| {
        let of_class =
            || times.iter().filter(|(c, time)| *c == class && *time <= limit).map(|(_, time)| *time);
        let count = of_class().count() as f64;
        let mean = of_class().sum::<f64>() / count;
        let variance = of_class().map(|time| (time - mean).powi(2)).sum::<f64>() / (count - 1.0);
        (mean, variance / count)
    });
    let spread = (first.1 + second.1).sqrt();
    // Times that are all the same differ in nothing.
    if spread > 0.0 { (first.0 - second.0) / spread } else { 0.0 }
}

/// dudect's bound: above it, a difference is there.
const LEAK: f64 = 4.5;
/// What the control must exceed.
const CONTROL: f64 = 10.0;
/// Unix seconds.
const NOW: u64 = 1_800_000_000;
