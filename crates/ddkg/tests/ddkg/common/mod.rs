//! A device and an authority in one place, with a clock, a flash and randomness that a test controls.

use std::sync::OnceLock;
use wardein_crypto::{
    Digest, Entropy, EntropyError, P256SigningKey, P256VerifyingKey, Secret, SecretBytes, SigningError,
};
use wardein_ddkg::authority::{Accepted, EnrollTerms, Enrolled, Expected, Record, Refusal, Spend};
use wardein_ddkg::device::{
    Acknowledged, ChallengeAsk, Clock, DeviceError, DeviceState, Enrolling, InFlight, Unsaved,
};
use wardein_ddkg::message::{
    AckedReply, ChallengeOffer, EnrollReply, EnrollRequest, ProofRequest, RekeyAsk, SealedPayload, Token,
};
use wardein_ddkg::{
    Attributes, AuthorityTime, ChallengeError, ChallengeKey, CheckedChallenge, DecodeError, DeviceName,
    Policy, Purposes, Recipe, Suite,
};
use wardein_domain::{Audience, Schedule};

/// When a test begins, in Unix seconds.
pub(crate) const START: u64 = 1_790_000_000;

/// Epochs of an hour, any number of uses.
pub(crate) const HOURLY: Schedule = Schedule { period: 3600, max_uses: 0, not_before: START };

/// One epoch for ever.
pub(crate) const TIMELESS: Schedule = Schedule { period: 0, max_uses: 0, not_before: START };

/// Every key an epoch of its own.
pub(crate) const ONCE: Schedule = Schedule { period: 0, max_uses: 1, not_before: START };

/// A device without a wall clock, right after an ack.
pub(crate) const NO_CLOCK: Clock = Clock { elapsed: 0, wall: None };

/// The suites that are built in.
pub(crate) fn suites() -> Vec<Suite> {
    [1, 2].into_iter().filter_map(|number| Suite::from_number(number).ok()).collect()
}

/// Bytes that differ from draw to draw and not from run to run.
pub(crate) struct Counter(pub(crate) u64);

impl Entropy for Counter {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        for chunk in bytes.chunks_mut(32) {
            self.0 += 1;
            chunk.copy_from_slice(&Digest::of(&self.0.to_be_bytes()).0[..chunk.len()]);
        }
        Ok(())
    }
}

/// A source that has failed.
pub(crate) struct Broken;

impl Entropy for Broken {
    fn fill(&mut self, _: &mut [u8]) -> Result<(), EntropyError> {
        Err(EntropyError)
    }
}

/// The authority's identity key.
pub(crate) fn identity() -> &'static P256SigningKey {
    static KEY: OnceLock<P256SigningKey> = OnceLock::new();
    KEY.get_or_init(|| P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap())
}

pub(crate) fn pinned() -> P256VerifyingKey {
    *identity().verifying_key()
}

pub(crate) fn sign(transcript: &Digest) -> Result<Vec<u8>, SigningError> {
    identity().sign(transcript.as_ref())
}

pub(crate) fn name(device: &str) -> DeviceName {
    DeviceName { tenant: "klinik-nord".parse().unwrap(), device: device.parse().unwrap() }
}

pub(crate) fn attributes() -> Attributes {
    let mut attributes = Attributes::new();
    attributes.insert("firmware".parse().unwrap(), b"sha256:5f2c").unwrap();
    attributes.insert("mac".parse().unwrap(), b"02:00:5e:10:00:01").unwrap();
    attributes
}

pub(crate) fn audience(name: &str) -> Audience {
    name.parse().unwrap()
}

/// What a pair is made with.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) suite: Suite,
    pub(crate) schedule: Schedule,
    pub(crate) purposes: Purposes,
    pub(crate) policy: Policy,
}

impl Setup {
    pub(crate) fn new(schedule: Schedule) -> Self {
        Self { suite: Suite::P256, schedule, purposes: Purposes::ENROLLED, policy: Policy::default() }
    }

    pub(crate) fn terms(&self) -> EnrollTerms {
        EnrollTerms { generation: 1, schedule: self.schedule, purposes: self.purposes }
    }

    pub(crate) fn begin(&self, entropy: &mut Counter) -> Enrolling {
        Enrolling::begin(pinned(), self.suite, name("pump-0001"), attributes(), entropy).unwrap()
    }

    /// The authority's answer to a device that it does not know.
    pub(crate) fn answer(&self, request: &EnrollRequest, entropy: &mut Counter) -> (Record, EnrollReply) {
        let Enrolled { record, reply } = Record::enroll(None, request, &self.terms(), sign, entropy).unwrap();
        (record.unwrap(), reply)
    }
}

/// Both ends.
pub(crate) struct Pair {
    pub(crate) setup: Setup,
    pub(crate) device: DeviceState,
    pub(crate) record: Record,
    /// The record's cold part as the authority stored it last.
    disk: Vec<u8>,
    /// What the device saved last, and how often it saved.
    pub(crate) flash: Vec<u8>,
    pub(crate) saves: usize,
    /// Unix milliseconds.
    pub(crate) now_ms: u64,
    /// When the present era of the authority's time began.
    pub(crate) era_ms: u64,
    /// Whether the authority is sure of its time.
    pub(crate) may_erase: bool,
    pub(crate) key: ChallengeKey,
    pub(crate) entropy: Counter,
}

/// A request on its way, with its body and what its challenge asked for.
pub(crate) struct Sent {
    pub(crate) request: ProofRequest,
    pub(crate) in_flight: InFlight,
    pub(crate) recipe: Recipe,
    pub(crate) body: Vec<u8>,
}

impl Pair {
    /// Enrolled and confirmed.
    pub(crate) fn new(setup: Setup) -> Self {
        let mut pair = Self::pending(setup);
        let confirmation = save(pair.device.confirmation().unwrap(), &mut pair.flash, &mut pair.saves);
        assert_eq!(pair.record.confirm(&confirmation), Ok(true));
        pair
    }

    /// Confirmed, and a first proof acknowledged.
    pub(crate) fn proven(setup: Setup) -> Self {
        let mut pair = Self::new(setup);
        pair.prove();
        pair
    }

    /// Enrolled; the confirmation is still to be sent.
    pub(crate) fn pending(setup: Setup) -> Self {
        let mut entropy = Counter(0);
        let enrolling = setup.begin(&mut entropy);
        let (record, reply) = setup.answer(enrolling.request(), &mut entropy);
        let device = enrolling.finish(&reply, setup.purposes).unwrap();
        let key = ChallengeKey::new(Secret::copied_from(&[7; 32]));
        let disk = record.encode_cold().expose().to_vec();
        let (now_ms, era_ms, may_erase) = (START * 1000, 0, true);
        Self { setup, device, record, disk, flash: vec![], saves: 0, now_ms, era_ms, may_erase, key, entropy }
    }

    pub(crate) fn now(&self) -> u64 {
        self.now_ms / 1000
    }

    /// As the authority takes it.
    pub(crate) fn time(&self) -> AuthorityTime {
        AuthorityTime { now_ms: self.now_ms, era_ms: self.era_ms, may_erase: self.may_erase }
    }

    pub(crate) fn wait(&mut self, seconds: u64) {
        self.now_ms += seconds * 1000;
    }

    pub(crate) fn recipe(&self) -> Recipe {
        self.record.attributes().names()
    }

    pub(crate) fn offer(&mut self) -> (ChallengeAsk, ChallengeOffer) {
        let (asked, recipe) = (self.device.ask_challenge(), self.recipe());
        let challenge =
            self.key.issue(self.record.device(), &recipe, self.now_ms, &mut self.entropy).unwrap();
        (asked, ChallengeOffer { challenge, server_time: self.now(), recipe })
    }

    /// The device asks for a challenge and proves an action.
    pub(crate) fn ask(&mut self, action: &str, body: &[u8]) -> Sent {
        self.ask_showing(&attributes(), action, body)
    }

    /// The same from a device that measures other attributes.
    pub(crate) fn ask_showing(&mut self, measured: &Attributes, action: &str, body: &[u8]) -> Sent {
        let (asked, offer) = self.offer();
        let action = action.parse().unwrap();
        let proof = self.device.prove(asked, &offer, &measured.digests(), action, body, &mut self.entropy);
        let (request, in_flight) = save(proof.unwrap(), &mut self.flash, &mut self.saves);
        Sent { request, in_flight, recipe: offer.recipe, body: body.to_vec() }
    }

    pub(crate) fn ask_rekey(&mut self) -> Sent {
        let (asked, offer) = self.offer();
        let (digests, suite) = (attributes().digests(), self.setup.suite);
        let proof = self.device.rekey(asked, &offer, &digests, suite, &mut self.entropy);
        let (request, ask, in_flight) = save(proof.unwrap(), &mut self.flash, &mut self.saves);
        Sent { request, in_flight, recipe: offer.recipe, body: ask.encode() }
    }

    pub(crate) fn check(
        &self,
        request: &ProofRequest,
        recipe: &Recipe,
    ) -> Result<CheckedChallenge, ChallengeError> {
        let device = self.record.device();
        self.key.check(&request.challenge, device, recipe, self.now_ms, &self.setup.policy)
    }

    /// The authority takes a request in, and stores its record.
    pub(crate) fn receive(&mut self, sent: &Sent) -> Result<Accepted, Refusal> {
        self.receive_as(&sent.request, &sent.recipe, &sent.body)
    }

    pub(crate) fn receive_as(
        &mut self,
        request: &ProofRequest,
        recipe: &Recipe,
        body: &[u8],
    ) -> Result<Accepted, Refusal> {
        let checked = self.check(request, recipe).unwrap();
        let time = self.time();
        let accepted = self.record.verify(request, checked, recipe, body, time, &self.setup.policy)?;
        self.store();
        Ok(accepted)
    }

    /// The authority stores its record, the cold part only where it must, and loads it again.
    pub(crate) fn store(&mut self) {
        if self.record.is_cold_changed() {
            self.disk = self.record.encode_cold().expose().to_vec();
        }
        let before = bytes(&self.record);
        self.record = Record::decode(&self.disk, &self.record.encode_hot()).unwrap();
        assert!(bytes(&self.record) == before, "what was not stored is lost");
    }

    /// What the authority has stored is this from now on.
    pub(crate) fn put_on_disk(&mut self, cold: Vec<u8>) {
        self.disk = cold;
    }

    /// The authority's reply to an accepted rekey.
    pub(crate) fn answer_rekey(&mut self, sent: &Sent, accepted: &Accepted) -> AckedReply {
        let ask = RekeyAsk::decode(&sent.body).unwrap();
        let schedule = Schedule { not_before: self.now(), ..self.setup.schedule };
        let answer = self.record.rekey(accepted, &ask, schedule, &mut self.entropy).unwrap();
        self.store();
        accepted.reply(self.now(), answer.encode())
    }

    pub(crate) fn acknowledge(
        &mut self,
        in_flight: InFlight,
        reply: AckedReply,
    ) -> Result<Acknowledged, DeviceError> {
        Ok(save(self.device.acknowledge(in_flight, reply)?, &mut self.flash, &mut self.saves))
    }

    /// A whole round trip; its epoch and number.
    pub(crate) fn prove(&mut self) -> (u32, u64) {
        let sent = self.ask("authenticate", b"");
        let reply = self.receive(&sent).unwrap().reply(self.now(), vec![]);
        self.acknowledge(sent.in_flight, reply).unwrap();
        (sent.request.epoch, sent.request.number)
    }

    /// A rekey that arrives, and the reply too; the new generation is not used yet.
    pub(crate) fn rekey(&mut self) {
        let sent = self.ask_rekey();
        let accepted = self.receive(&sent).unwrap();
        let reply = self.answer_rekey(&sent, &accepted);
        self.acknowledge(sent.in_flight, reply).unwrap();
    }

    pub(crate) fn token(&mut self, nonce: &[u8]) -> Token {
        let token = self.device.token(NO_CLOCK, audience("platform.example"), nonce);
        save(token.unwrap(), &mut self.flash, &mut self.saves)
    }

    pub(crate) fn verify_token(&mut self, token: &Token, nonce: &[u8]) -> Result<Spend, Refusal> {
        let audience = audience("platform.example");
        let expected = Expected { audience: &audience, platform_nonce: nonce };
        let time = self.time();
        self.record.verify_token(token, expected, time, &self.setup.policy)
    }

    pub(crate) fn seal(&mut self, plaintext: &[u8]) -> SealedPayload {
        let sealed = self.device.seal(NO_CLOCK, b"log", plaintext, &mut self.entropy);
        save(sealed.unwrap(), &mut self.flash, &mut self.saves)
    }

    pub(crate) fn open(&mut self, sealed: &SealedPayload) -> Result<Vec<u8>, Refusal> {
        let now = self.now();
        let (plaintext, spend) = self.record.open(sealed, b"log", now, &self.setup.policy)?;
        assert_eq!(&spend.0, sealed.name());
        Ok(plaintext.expose().to_vec())
    }

    pub(crate) fn sweep(&mut self) -> bool {
        let time = self.time();
        self.record.sweep(time, &self.setup.policy)
    }

    /// The device loses power, and all that it did not save.
    pub(crate) fn restart(&mut self) {
        self.device = DeviceState::restore(&self.flash, 0).unwrap();
    }

    /// A second holder of what the device saved last.
    pub(crate) fn copy(&self) -> DeviceState {
        DeviceState::restore(&self.flash, 0).unwrap()
    }

    /// The other holder speaks from here on.
    pub(crate) fn swap(&mut self, other: &mut DeviceState) {
        std::mem::swap(&mut self.device, other);
    }

    /// All that can be seen of both ends: the record's bytes, and what the device shows.
    pub(crate) fn state(&self) -> (Vec<u8>, impl PartialEq + std::fmt::Debug + use<>) {
        let device = &self.device;
        let seen = (device.generation(), device.suite(), *device.schedule(), device.known_time());
        let seen = (seen, device.proof_epoch(), device.purposes(), device.writes());
        (bytes(&self.record), seen)
    }

    /// What `act` gives; nothing may have changed.
    pub(crate) fn unchanged<T>(&mut self, what: &str, act: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.state();
        let out = act(self);
        assert!(self.state() == before, "{what} changed the state");
        out
    }
}

/// Both parts of a record, the hot one first: its length is known.
pub(crate) fn bytes(record: &Record) -> Vec<u8> {
    [&record.encode_hot(), record.encode_cold().expose()].concat()
}

/// The inverse of [`bytes`].
pub(crate) fn load(bytes: &[u8]) -> Result<Record, DecodeError> {
    let (hot, cold) = bytes.split_at(Record::MAX_HOT_LEN);
    Record::decode(cold, hot)
}

/// Saves onto `flash` and counts.
pub(crate) fn save<M>(unsaved: Unsaved<'_, M>, flash: &mut Vec<u8>, saves: &mut usize) -> M {
    let write = |bytes: &SecretBytes| {
        *flash = bytes.expose().to_vec();
        *saves += 1;
        Ok::<(), ()>(())
    };
    unsaved.save(write).unwrap()
}

/// `bytes` with one bit changed.
pub(crate) fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    changed[bit / 8] ^= 1 << (bit % 8);
    changed
}
