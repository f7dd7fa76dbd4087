//! One device and its authority, as all targets use them.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};
use wardein_crypto::{Entropy, EntropyError, P256SigningKey, Secret};
use wardein_ddkg::authority::{EnrollTerms, Record, Refusal};
use wardein_ddkg::device::{DeviceState, Enrolling};
use wardein_ddkg::message::{ChallengeOffer, EnrollReply};
use wardein_ddkg::{
    Attributes, AuthorityTime, ChallengeKey, CheckedChallenge, DecodeError, DeviceName, Policy, Purposes,
    Recipe, Suite,
};
use wardein_domain::Schedule;

/// When everything begins, in Unix seconds.
pub const START: u64 = 1_800_000_000;

/// Random bytes that are none, so that a run can be repeated. Agreements still draw from the operating system.
pub struct Counter(pub u64);

impl Entropy for Counter {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        for chunk in bytes.chunks_mut(8) {
            self.0 = self.0.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
            chunk.copy_from_slice(&self.0.to_be_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

/// The authority's identity key; one for the whole process, since making one takes long.
pub fn identity() -> &'static P256SigningKey {
    static KEY: OnceLock<P256SigningKey> = OnceLock::new();
    KEY.get_or_init(|| {
        let document = P256SigningKey::generate_pkcs8().expect("the operating system gives random bytes");
        P256SigningKey::from_pkcs8(&document).expect("it was made here")
    })
}

/// Who the device is.
pub fn name() -> DeviceName {
    DeviceName {
        tenant: "klinik-nord".parse().expect("a tenant"),
        device: "pump-0001".parse().expect("a device id"),
    }
}

/// Who it is in the other tenant.
pub fn other_name() -> DeviceName {
    DeviceName {
        tenant: "labor-sued".parse().expect("a tenant"),
        device: "pump-7".parse().expect("a device id"),
    }
}

/// What it measures.
pub fn attributes() -> Attributes {
    let mut attributes = Attributes::new();
    for (name, value) in [("firmware", "1.4.2"), ("serial", "A-77")] {
        attributes.insert(name.parse().expect("a name"), value.as_bytes()).expect("two attributes");
    }
    attributes
}

/// The key of the authority's challenges.
pub fn challenge_key() -> ChallengeKey {
    ChallengeKey::new(Secret::copied_from(&[7; 32]))
}

/// When everything begins.
pub fn time() -> AuthorityTime {
    AuthorityTime::sure(START)
}

/// Retention of two epochs, so that there is something to erase; otherwise the defaults.
pub fn policy() -> Policy {
    Policy { data_retention: 2, file_retention: 2, ..Policy::default() }
}

/// Both suites where both are built in.
pub fn suites() -> impl Iterator<Item = Suite> {
    [1, 2].into_iter().filter_map(|number| Suite::from_number(number).ok())
}

/// An enrollment's beginning, its answer, and the authority's record of it.
pub fn enroll(
    previous: Option<&Record>,
    suite: Suite,
    schedule: Schedule,
    entropy: &mut Counter,
) -> Result<(Enrolling, EnrollReply, Option<Record>), Refusal> {
    let enrolling = Enrolling::begin(*identity().verifying_key(), suite, name(), attributes(), entropy)
        .expect("there is entropy");
    let terms = EnrollTerms { generation: 1, schedule, purposes: Purposes::ENROLLED };
    let sign = |digest: &wardein_crypto::Digest| identity().sign(digest.as_ref());
    let enrolled = Record::enroll(previous, enrolling.request(), &terms, sign, entropy)?;
    Ok((enrolling, enrolled.reply, enrolled.record))
}

/// The bytes of a record and of a device's state, enrolled and not confirmed yet. Agreements take long, so each is made once
/// in a process.
pub fn enrolled(suite: Suite, schedule: Schedule) -> (Vec<u8>, Vec<u8>) {
    type Pairs = BTreeMap<(Suite, u64, u64), (Vec<u8>, Vec<u8>)>;
    static PAIRS: Mutex<Pairs> = Mutex::new(BTreeMap::new());
    let make = || {
        let (enrolling, reply, record) =
            enroll(None, suite, schedule, &mut Counter(1)).expect("it is the first");
        let mut device = enrolling.finish(&reply, Purposes::ENROLLED).expect("the reply is right");
        let mut saved = Vec::new();
        save(device.confirmation().expect("it is unconfirmed"), &mut saved);
        (bytes(&record.expect("it is new")), saved)
    };
    let mut pairs = PAIRS.lock().unwrap_or_else(PoisonError::into_inner);
    pairs.entry((suite, schedule.period, schedule.max_uses)).or_insert_with(make).clone()
}

/// A confirmed pair of suite 1 with keys for an hour.
pub fn pair() -> (Record, DeviceState) {
    let schedule = Schedule { period: 3_600, max_uses: 0, not_before: START };
    let (record, saved) = enrolled(Suite::P256, schedule);
    let mut record = load(&record).expect("it was encoded there");
    let mut device = DeviceState::restore(&saved, 0).expect("it was saved there");
    let confirmation = save(device.confirmation().expect("it is unconfirmed"), &mut Vec::new());
    assert_eq!(record.confirm(&confirmation), Ok(true));
    (record, device)
}

/// Both parts of a record, the hot one first: its length is known.
pub fn bytes(record: &Record) -> Vec<u8> {
    [&record.encode_hot(), record.encode_cold().expose()].concat()
}

/// The inverse of [`bytes`].
pub fn load(bytes: &[u8]) -> Result<Record, DecodeError> {
    let (hot, cold) = bytes.split_at(bytes.len().min(Record::MAX_HOT_LEN));
    Record::decode(cold, hot)
}

/// Gives the message of `unsaved`, with the state on what stands for flash.
pub fn save<M>(unsaved: wardein_ddkg::device::Unsaved<'_, M>, saved: &mut Vec<u8>) -> M {
    let written = unsaved.save(|bytes| {
        *saved = bytes.expose().to_vec();
        Ok::<(), ()>(())
    });
    written.expect("writing to memory does not fail")
}

/// A challenge for `recipe`, issued now, and the proof that it is good.
pub fn offer(
    record: &Record,
    recipe: Recipe,
    now: u64,
    entropy: &mut Counter,
) -> (ChallengeOffer, CheckedChallenge) {
    let (key, now_ms) = (challenge_key(), now.saturating_mul(1_000));
    let challenge = key.issue(record.device(), &recipe, now_ms, entropy).expect("there is entropy");
    let checked = key.check(&challenge, record.device(), &recipe, now_ms, &policy()).expect("it is good now");
    (ChallengeOffer { challenge, server_time: now, recipe }, checked)
}

/// All that can be seen of a device's state from outside.
pub fn visible(device: &DeviceState) -> impl PartialEq + std::fmt::Debug + use<> {
    (
        (device.device().clone(), device.generation(), device.suite(), *device.schedule()),
        (device.known_time(), device.proof_epoch(), device.purposes(), device.writes()),
    )
}
