//! A holder of the device's state, with symbolic keys. It follows `src/device/{prove,state,codec,enroll}.rs`; numbers and
//! epochs are the shipped rules.

use super::authority::{Key, Refusal};
use super::config::Config;
use super::mutant::Mutant;
use wardein_ddkg::model::{Numbers, ProofEpochs};
use wardein_domain::Schedule;

/// What is durable and what lives until the next crash.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Holder {
    /// What was saved last; `None` before enrollment.
    pub(crate) image: Option<Image>,
    pub(crate) ram: Ram,
}

/// The bytes of `DeviceState::encode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Image {
    pub(crate) key: Key,
    pub(crate) reserved: u64,
    pub(crate) acked: u32,
    pub(crate) acks: u64,
    pub(crate) standing: Standing,
}

/// How far the authority is known to know of the generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Standing {
    Unconfirmed,
    Unproven,
    Proven,
}

/// What a crash takes away.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Ram {
    /// The agreement that its keys come from.
    pub(crate) key: Option<Key>,
    pub(crate) numbers: Numbers,
    pub(crate) proofs: ProofEpochs,
    pub(crate) standing: Standing,
    pub(crate) is_dirty: bool,
    /// Challenges that may be answered: at most one, but for the mutant.
    pub(crate) questions: Vec<Offer>,
    /// Requests whose replies are awaited, by id.
    pub(crate) awaited: Vec<u8>,
    /// The rekey that was sent last.
    pub(crate) last_rekey: Option<u8>,
    /// The enrollment request that waits for its reply.
    pub(crate) enrolling: Option<u8>,
}

/// A challenge with its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Offer {
    pub(crate) issued_ms: u64,
    pub(crate) server_time: u64,
    /// Of the authority that issued it. The device does not see it.
    pub(crate) era: u8,
}

impl Holder {
    /// A device as it leaves the factory.
    pub(crate) fn blank() -> Self {
        Self { image: None, ram: Ram::of(None) }
    }

    /// What a crash leaves.
    pub(crate) fn crash(&mut self) {
        self.ram = Ram::of(self.image);
    }

    /// `DeviceState::encode`, durable.
    pub(crate) fn save(&mut self) {
        let ram = &mut self.ram;
        if ram.is_dirty
            && let Some(key) = ram.key
        {
            let (reserved, acked, acks) = (ram.numbers.reserved(), ram.proofs.acked(), ram.proofs.acks());
            self.image = Some(Image { key, reserved, acked, acks, standing: ram.standing });
        }
        ram.is_dirty = false;
    }

    /// `DeviceState::ask_challenge`, and the challenge that came for it.
    pub(crate) fn ask(&mut self, offer: Offer, config: &Config) {
        if !config.is(Mutant::ManyQuestions) {
            self.ram.questions.clear();
        }
        self.ram.questions.push(offer);
    }

    /// `DeviceState::proof`: the epoch and number for the answer to `question`.
    pub(crate) fn prove(&mut self, question: usize, schedule: &Schedule) -> (Offer, u32, u64) {
        let ram = &mut self.ram;
        let offer = ram.questions.remove(question);
        let epoch = ram.proofs.next(schedule, offer.server_time);
        let reserved = ram.numbers.reserved();
        let number = ram.numbers.take().expect("a run takes few numbers");
        ram.is_dirty |= ram.numbers.reserved() != reserved;
        (offer, epoch, number)
    }

    /// `DeviceState::move_to`.
    pub(crate) fn acknowledged(&mut self, epoch: u32) {
        let ram = &mut self.ram;
        ram.is_dirty |= epoch > ram.proofs.acked() || ram.standing != Standing::Proven;
        ram.proofs.acknowledged(epoch);
        ram.standing = Standing::Proven;
    }

    /// `DeviceState::adopt`, and `Enrolling::finish`.
    pub(crate) fn adopt(&mut self, key: Key, standing: Standing) {
        let ram = &mut self.ram;
        ram.key = Some(key);
        (ram.numbers, ram.proofs) = (Numbers::new(), ProofEpochs::new(0, 0));
        (ram.standing, ram.is_dirty) = (standing, true);
    }

    /// `DeviceState::refused`, for a request of the present generation.
    pub(crate) fn refused(&mut self, epoch: u32, refusal: Refusal, config: &Config) {
        match refusal {
            Refusal::EpochSpent(_) if config.is(Mutant::HintIgnored) => {
                self.ram.proofs.refused_as_spent(epoch, 0);
            }
            Refusal::EpochSpent(next) if config.is(Mutant::NoLead) => {
                self.ram.proofs.refused_as_ahead();
                self.ram.proofs.refused_as_spent(epoch, next);
            }
            Refusal::EpochSpent(next) => self.ram.proofs.refused_as_spent(epoch, next),
            Refusal::EpochAhead if !config.is(Mutant::AheadIgnored) => self.ram.proofs.refused_as_ahead(),
            _ => {}
        }
    }
}

impl Ram {
    /// `DeviceState::restore`.
    pub(crate) fn of(image: Option<Image>) -> Self {
        let (reserved, acked, acks) =
            image.map_or((0, 0, 0), |image| (image.reserved, image.acked, image.acks));
        Self {
            key: image.map(|image| image.key),
            numbers: Numbers::restored(reserved),
            proofs: ProofEpochs::new(acked, acks),
            standing: image.map_or(Standing::Unconfirmed, |image| image.standing),
            is_dirty: false,
            questions: Vec::new(),
            awaited: Vec::new(),
            last_rekey: None,
            enrolling: None,
        }
    }
}
