//! A device's life in one process: both ends of DDKG-1, step by step, with what travels between them and what each keeps.
//!
//! `cargo run --release -p wardein-ddkg --features suite2 --example two_ends`
//!
//! It is also what runs under emulation on the processors of small devices (`deploy/cross.sh`): it fails when a step does.

use std::error::Error;
use wardein_crypto::{Digest, P256SigningKey, Secret, SystemEntropy};
use wardein_ddkg::authority::{Accepted, EnrollTerms, Expected, Record, Refusal};
use wardein_ddkg::device::{Clock, DeviceState, Enrolling, Unsaved};
use wardein_ddkg::message::{
    AckedReply, ChallengeOffer, Confirmation, EnrollReply, EnrollRequest, FileStanza, ProofRequest, RekeyAsk,
    SealedPayload, Token,
};
use wardein_ddkg::{
    Attributes, AuthorityTime, ChallengeKey, CheckedChallenge, DeviceName, Policy, Purposes, Suite,
};
use wardein_domain::{Purpose, Schedule};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    println!("DDKG-1, both ends, on {} with {}-bit addresses", std::env::consts::ARCH, usize::BITS);
    for suite in [1, 2].into_iter().filter_map(|number| Suite::from_number(number).ok()) {
        live(suite)?;
    }
    println!("\nEvery step went as it must.");
    Ok(())
}

fn live(suite: Suite) -> Outcome<()> {
    println!(
        "\nSuite {} ({})",
        suite.number(),
        ["P-256", "P-256 with ML-KEM-768"][usize::from(suite.number()) - 1]
    );
    let (mut authority, mut device) = enroll(suite)?;
    let first = authority.prove(&mut device, "a request is proved and answered")?;
    authority.repeat(&first)?;

    authority.now += 24 * 3_600;
    let later = authority.prove(&mut device, "a day later, without a word between")?;
    say("its keys had moved by themselves", &format!("from epoch {} to {}", first.epoch, later.epoch));

    authority.rekey(&mut device, suite)?;
    authority.prove(&mut device, "the first request under the new keys")?;
    authority.repeat(&later)?;

    authority.log_in(&mut device)?;
    authority.open(&mut device)?;
    authority.unwrap(&mut device)?;

    device.restart()?;
    authority.prove(&mut device, "the device restarts and is heard")?;
    say(
        "what the device keeps",
        &format!("{} bytes, written {} times", device.flash.len(), device.state.writes()),
    );
    let (cold, hot) = (authority.record.encode_cold(), authority.record.encode_hot());
    let kept = format!("{} bytes, of which a proof writes {}", cold.expose().len() + hot.len(), hot.len());
    say("what the authority keeps of it", &kept);
    Ok(())
}

/// The device: its state in memory, and what stands for its flash.
struct Device {
    state: DeviceState,
    flash: Vec<u8>,
}

impl Device {
    /// Memory is lost, flash stays; the hardware counter tells that it is no older image.
    fn restart(&mut self) -> Outcome<()> {
        self.state = DeviceState::restore(&self.flash, self.state.writes())?;
        Ok(())
    }

    fn clock(&self) -> Clock {
        Clock { elapsed: 0, wall: None }
    }
}

/// A message leaves only when the state that it rests on is on flash.
fn save<M>(unsaved: Unsaved<'_, M>, flash: &mut Vec<u8>) -> Outcome<M> {
    unsaved.save(|bytes| {
        *flash = bytes.expose().to_vec();
        Ok(())
    })
}

/// The authority with the one device that it knows.
struct Authority {
    challenges: ChallengeKey,
    policy: Policy,
    record: Record,
    /// Unix seconds.
    now: u64,
}

/// The device's request, the authority's reply, the device's confirmation.
fn enroll(suite: Suite) -> Outcome<(Authority, Device)> {
    let now = 1_800_000_000;
    let document = P256SigningKey::generate_pkcs8().map_err(|_| "no random bytes")?;
    let identity = P256SigningKey::from_pkcs8(&document).map_err(|_| "no identity key")?;

    let name = DeviceName { tenant: "klinik-nord".parse()?, device: "pump-0001".parse()? };
    let entropy = &mut SystemEntropy::default();
    let enrolling = Enrolling::begin(*identity.verifying_key(), suite, name, measure()?, entropy)?;
    let request = enrolling.request().encode();

    let schedule = Schedule { period: 3_600, max_uses: 0, not_before: now };
    let terms = EnrollTerms { generation: 1, schedule, purposes: Purposes::ENROLLED };
    let sign = |digest: &Digest| identity.sign(digest.as_ref());
    let enrolled = Record::enroll(None, &EnrollRequest::decode(&request)?, &terms, sign, entropy)?;
    let reply = enrolled.reply.encode();
    let mut record = enrolled.record.ok_or("a first enrollment makes a record")?;

    let mut state = enrolling.finish(&EnrollReply::decode(&reply)?, Purposes::ENROLLED)?;
    let mut flash = Vec::new();
    let unsaved = state.confirmation().ok_or("an enrolled device confirms")?;
    let confirmation = save(unsaved, &mut flash)?.encode();
    record.confirm(&Confirmation::decode(&confirmation)?)?;

    say(
        "a device enrolls",
        &sizes(&[("request", &request), ("reply", &reply), ("confirmation", &confirmation)]),
    );
    let challenges = ChallengeKey::new(Secret::copied_from(&[7; 32]));
    Ok((Authority { challenges, policy: Policy::default(), record, now }, Device { state, flash }))
}

/// The device's measurements of itself, repeated for each proof.
fn measure() -> Outcome<Attributes> {
    let mut attributes = Attributes::new();
    attributes.insert("firmware".parse()?, b"1.4.2")?;
    attributes.insert("serial".parse()?, b"A-77")?;
    Ok(attributes)
}

impl Authority {
    /// A challenge for all attributes on record.
    fn offer(&self) -> Outcome<Vec<u8>> {
        let recipe = self.record.attributes().names();
        let entropy = &mut SystemEntropy::default();
        let challenge = self
            .challenges
            .issue(self.record.device(), &recipe, self.now * 1_000, entropy)
            .map_err(|_| "no random bytes")?;
        Ok(ChallengeOffer { challenge, server_time: self.now, recipe }.encode())
    }

    /// Its clock was never wrong.
    fn time(&self) -> AuthorityTime {
        AuthorityTime::sure(self.now)
    }

    fn check(&self, request: &ProofRequest) -> Outcome<CheckedChallenge> {
        let recipe = self.record.attributes().names();
        let now_ms = self.now * 1_000;
        Ok(self.challenges.check(&request.challenge, self.record.device(), &recipe, now_ms, &self.policy)?)
    }

    fn verify(&mut self, request: &ProofRequest, body: &[u8]) -> Outcome<Accepted> {
        let (checked, recipe) = (self.check(request)?, self.record.attributes().names());
        Ok(self.record.verify(request, checked, &recipe, body, self.time(), &self.policy)?)
    }

    /// Challenge, proof, acked reply.
    fn prove(&mut self, device: &mut Device, what: &str) -> Outcome<ProofRequest> {
        let ask = device.state.ask_challenge();
        let offer = self.offer()?;
        let (measured, action) = (measure()?.digests(), "authenticate".parse()?);
        let decoded = ChallengeOffer::decode(&offer)?;
        let entropy = &mut SystemEntropy::default();
        let unsaved = device.state.prove(ask, &decoded, &measured, action, b"", entropy)?;
        let (request, in_flight) = save(unsaved, &mut device.flash)?;
        let proof = request.encode();

        let accepted = self.verify(&ProofRequest::decode(&proof)?, b"")?;
        let reply = accepted.reply(self.now, Vec::new()).encode();

        let unsaved = device.state.acknowledge(in_flight, AckedReply::decode(&reply)?)?;
        save(unsaved, &mut device.flash)?;
        say(what, &sizes(&[("challenge", &offer), ("proof", &proof), ("reply", &reply)]));
        Ok(request)
    }

    /// A message that was heard before is refused.
    fn repeat(&mut self, request: &ProofRequest) -> Outcome<()> {
        // Where its challenge has expired, that alone would do; here it has a fresh one, and is refused all the same.
        let offer = ChallengeOffer::decode(&self.offer()?)?;
        let now_ms = self.now * 1_000;
        let checked = self.check(request).or_else(|_| {
            let (device, recipe) = (self.record.device(), &offer.recipe);
            self.challenges.check(&offer.challenge, device, recipe, now_ms, &self.policy)
        })?;
        match self.record.verify(request, checked, &offer.recipe, b"", self.time(), &self.policy) {
            Ok(_) => Err("a repeated proof was accepted".into()),
            Err(refusal) => {
                say("the same request again is refused", refusal.code().as_str());
                Ok(())
            }
        }
    }

    fn rekey(&mut self, device: &mut Device, suite: Suite) -> Outcome<()> {
        let ask = device.state.ask_challenge();
        let offer = ChallengeOffer::decode(&self.offer()?)?;
        let entropy = &mut SystemEntropy::default();
        let unsaved = device.state.rekey(ask, &offer, &measure()?.digests(), suite, entropy)?;
        let (request, rekey, in_flight) = save(unsaved, &mut device.flash)?;
        let (proof, body) = (request.encode(), rekey.encode());

        let accepted = self.verify(&ProofRequest::decode(&proof)?, &body)?;
        let schedule = Schedule { not_before: self.now, ..*self.record.schedule() };
        let answer = self.record.rekey(&accepted, &RekeyAsk::decode(&body)?, schedule, entropy)?;
        let reply = accepted.reply(self.now, answer.encode()).encode();

        let unsaved = device.state.acknowledge(in_flight, AckedReply::decode(&reply)?)?;
        save(unsaved, &mut device.flash)?;
        let proof = [proof, body].concat();
        say("both ends agree on new keys", &sizes(&[("proof with body", &proof), ("reply", &reply)]));
        Ok(())
    }

    /// The platform hands the token to the authority; the second time its key is spent.
    fn log_in(&mut self, device: &mut Device) -> Outcome<()> {
        let clock = device.clock();
        let unsaved = device.state.token(clock, "platform.example".parse()?, b"nonce")?;
        let token = save(unsaved, &mut device.flash)?.encode();
        let expected = Expected { audience: &"platform.example".parse()?, platform_nonce: b"nonce" };
        let decoded = Token::decode(&token)?;
        let spend = self.record.verify_token(&decoded, expected, self.time(), &self.policy)?;
        say("a token logs the device in", &sizes(&[("token", &token)]));
        say("which uses up the key", &spend.0.to_string());
        Ok(())
    }

    fn open(&mut self, device: &mut Device) -> Outcome<()> {
        let clock = device.clock();
        let (ward, reading) = (b"ward 3", b"37.2");
        let unsaved = device.state.seal(clock, ward, reading, &mut SystemEntropy::default())?;
        let sealed = save(unsaved, &mut device.flash)?.encode();
        let decoded = SealedPayload::decode(&sealed)?;

        // A site that has these epochs only opens it without the authority.
        let epoch = decoded.name().epoch;
        let site = self.record.delegate(Purpose::Data, epoch, epoch + 23)?;
        let at_site =
            decoded.open(&site.payload_key(decoded.name())?, ward).map_err(|_| "the site cannot open it")?;
        let (plain, spend) = self.record.open(&decoded, ward, self.now, &self.policy)?;
        if plain.expose() != reading || at_site.expose() != reading {
            return Err("what was opened is not what was sealed".into());
        }
        if !matches!(self.record.open(&decoded, b"ward 4", self.now, &self.policy), Err(Refusal::OpenFailed))
        {
            return Err("a payload was opened for another ward".into());
        }
        say("a reading of 4 bytes is sealed", &sizes(&[("payload", &sealed)]));
        say("and opened with the key", &spend.0.to_string());
        say("or by a site with a day's keys", &sizes(&[("delegation", site.encode().expose())]));
        Ok(())
    }

    fn unwrap(&mut self, device: &mut Device) -> Outcome<()> {
        let clock = device.clock();
        let unsaved = device.state.wrap_file_key(clock, &Secret::copied_from(&[5; 16]))?;
        let stanza = save(unsaved, &mut device.flash)?;
        let read = FileStanza::parse(&stanza.arguments(), stanza.body())?;
        let (file_key, spend) = self.record.unwrap_file_key(&read, self.now, &self.policy)?;
        if file_key.expose() != &[5; 16] {
            return Err("the file's key came out another".into());
        }
        say("the key of an age file is wrapped", &sizes(&[("stanza body", stanza.body())]));
        say("and unwrapped with the key", &spend.0.to_string());
        Ok(())
    }
}

fn say(what: &str, outcome: &str) {
    println!("  {what:<38} {outcome}");
}

fn sizes(messages: &[(&str, &[u8])]) -> String {
    let each = messages.iter().map(|(name, bytes)| format!("{name} {} bytes", bytes.len()));
    each.collect::<Vec<_>>().join(", ")
}
