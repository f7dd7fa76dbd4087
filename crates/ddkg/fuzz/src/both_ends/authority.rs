//! The authority's side: the device's record in the tenant that it is in, and one beside it in the tenant that it goes over to, or
//! came from.

use super::super::world::{self, Counter};
use wardein_ddkg::authority::{Accepted, Record, Refusal, TransferTerms};
use wardein_ddkg::message::{ProofRequest, RekeyAsk};
use wardein_ddkg::{AuthorityTime, DeviceName, Recipe};
use wardein_domain::Schedule;

pub(super) struct Authority {
    pub(super) home: Stored,
    other: Option<(Other, Stored)>,
    schedule: Schedule,
}

/// A record, and its parts on the authority's disk.
pub(super) struct Stored {
    pub(super) record: Record,
    cold: Vec<u8>,
    hot: Vec<u8>,
}

/// What the record beside that of the device's home is.
#[derive(Clone, Copy)]
enum Other {
    /// Of the tenant that the device has agreed on keys with, under that generation of its home.
    Arriving(u64),
    Left,
}

/// Where a message belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Home,
    Arriving,
    Left,
}

impl Stored {
    fn new(record: Record) -> Self {
        let (cold, hot) = (record.encode_cold().expose().to_vec(), record.encode_hot());
        Self { record, cold, hot }
    }

    /// The record goes to disk and is loaded again for the next request.
    pub(super) fn store(&mut self) {
        let bytes = world::bytes(&self.record);
        if self.record.is_cold_changed() {
            self.cold = self.record.encode_cold().expose().to_vec();
        }
        self.hot = self.record.encode_hot();
        self.record = self.on_disk();
        assert!(world::bytes(&self.record) == bytes, "what was not stored is lost");
    }

    fn on_disk(&self) -> Record {
        Record::decode(&self.cold, &self.hot).expect("what the authority stores it loads")
    }
}

impl Authority {
    pub(super) fn new(record: Record, schedule: Schedule) -> Self {
        Self { home: Stored::new(record), other: None, schedule }
    }

    /// The record of that name, and what it is.
    pub(super) fn at(&mut self, name: &DeviceName) -> Option<(Place, &mut Stored)> {
        if self.home.record.device() == name {
            return Some((Place::Home, &mut self.home));
        }
        let (other, stored) = self.other.as_mut().filter(|(_, stored)| stored.record.device() == name)?;
        let place = match other {
            Other::Arriving(_) => Place::Arriving,
            Other::Left => Place::Left,
        };
        Some((place, stored))
    }

    pub(super) fn recipe(&mut self, name: &DeviceName) -> Recipe {
        self.at(name).map(|(_, stored)| stored.record.attributes().names()).unwrap_or_default()
    }

    /// All that is in memory.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let other = self.other.as_ref().map(|(_, stored)| world::bytes(&stored.record));
        [world::bytes(&self.home.record), other.unwrap_or_default()].concat()
    }

    /// `None` when the bytes are no proof, are of nobody, or answer no good challenge.
    pub(super) fn verify(
        &mut self,
        request: &[u8],
        body: &[u8],
        now_ms: u64,
    ) -> Option<(Place, Result<Accepted, Refusal>)> {
        let request = ProofRequest::decode(request).ok()?;
        let (place, stored) = self.at(&request.device)?;
        let (recipe, policy) = (stored.record.attributes().names(), world::policy());
        let checked = world::challenge_key()
            .check(&request.challenge, stored.record.device(), &recipe, now_ms, &policy)
            .ok()?;
        let time = AuthorityTime::sure(now_ms / 1_000);
        let verified = stored.record.verify(&request, checked, &recipe, body, time, &policy);
        assert!(
            !matches!(verified, Err(Refusal::CloneSuspected(_))),
            "one honest device looked like two: {:?}",
            verified.err()
        );
        assert!(verified.is_err() || place != Place::Left, "a device was accepted where it had left");
        Some((place, verified))
    }

    /// The body of the reply to a proof that was accepted there; `None` where the action is refused, and then nothing has happened.
    pub(super) fn perform(
        &mut self,
        place: Place,
        accepted: &Accepted,
        body: &[u8],
        now: u64,
        entropy: &mut Counter,
    ) -> Option<Vec<u8>> {
        let schedule = Schedule { not_before: now, ..self.schedule };
        let reply = match () {
            () if accepted.is_transfer() => self.agree(place, accepted, body, schedule, entropy)?,
            () if accepted.is_rekey() => {
                let ask = RekeyAsk::decode(body).expect("the device made it");
                let (_, stored) = self.addressed(place);
                match stored.record.rekey(accepted, &ask, schedule, entropy) {
                    Ok(answer) => answer.encode(),
                    // The first proof of a generation that is pending cannot ask for the next one.
                    Err(refusal) => {
                        assert!(matches!(refusal, Refusal::GenerationUnknown { .. }), "{refusal}");
                        Vec::new()
                    }
                }
            }
            () => body.to_vec(),
        };
        if place == Place::Arriving {
            self.arrive(now, entropy);
        }
        Some(reply)
    }

    fn addressed(&mut self, place: Place) -> (Option<Other>, &mut Stored) {
        match &mut self.other {
            Some((other, stored)) if place != Place::Home => (Some(*other), stored),
            _ => (None, &mut self.home),
        }
    }

    /// The device agrees on keys with the other tenant, whatever it had agreed on with it before.
    fn agree(
        &mut self,
        place: Place,
        accepted: &Accepted,
        body: &[u8],
        schedule: Schedule,
        entropy: &mut Counter,
    ) -> Option<Vec<u8>> {
        // Nobody gives a device away that has not arrived.
        if place != Place::Home {
            return None;
        }
        let ask = RekeyAsk::decode(body).expect("the device made it");
        let [first, second] = [world::name(), world::other_name()];
        let device = if *self.home.record.device() == first { second } else { first };
        let previous = self.other.as_ref().map(|(_, stored)| stored.on_disk());
        let highest =
            previous.as_ref().map_or(0, Record::last_generation).max(self.home.record.last_generation());
        let terms = TransferTerms { device, previous, least: 1, schedule };
        match self.home.record.transfer(accepted, &ask, terms, entropy) {
            Ok((answer, record)) => {
                assert!(answer.keys.generation > highest, "a generation was given twice");
                let agreed = Other::Arriving(self.home.record.active_generation());
                self.other = Some((agreed, Stored::new(record)));
                Some(answer.encode())
            }
            Err(Refusal::GenerationUnknown { .. } | Refusal::RetentionFull { .. }) => None,
            Err(refusal) => unreachable!("{refusal}"),
        }
    }

    /// Its first proof there was accepted: that is its home, and the former record ends.
    fn arrive(&mut self, now: u64, entropy: &mut Counter) {
        let Some((Other::Arriving(agreed), arriving)) = self.other.take() else {
            unreachable!("it was asked there")
        };
        let mut left = std::mem::replace(&mut self.home, arriving);
        // It erased what agreed before it spoke under its new name.
        assert_eq!(left.record.active_generation(), agreed, "the device has gone on where it left");
        let time = AuthorityTime::sure(now);
        let handed = left.record.hand_over(&self.home.record, time, &world::policy(), entropy);
        handed.expect("there was room when it agreed");
        self.other = Some((Other::Left, left));
    }

    pub(super) fn sweep(&mut self, now: u64) {
        let (time, policy) = (AuthorityTime::sure(now), world::policy());
        self.home.record.sweep(time, &policy);
        if let Some((_, stored)) = &mut self.other {
            stored.record.sweep(time, &policy);
        }
        self.store();
    }

    /// Both records go to disk in one step.
    pub(super) fn store(&mut self) {
        self.home.store();
        if let Some((_, stored)) = &mut self.other {
            stored.store();
        }
    }

    /// What was not stored is forgotten, as after a power cut.
    pub(super) fn load(&mut self) {
        self.home.record = self.home.on_disk();
        if let Some((_, stored)) = &mut self.other {
            stored.record = stored.on_disk();
        }
    }
}
