//! The authority's record of one device.

use super::cold::Cold;
use super::hot::Hot;
use super::recent::Recent;
use super::uses::TokenUses;
use crate::attribute::AttributeDigests;
use crate::key::{ConfirmKey, DeviceName};
use crate::message::EnrollReply;
use crate::policy::Policy;
use crate::purposes::Purposes;
use crate::suite::Suite;
use crate::time::AuthorityTime;
use crate::tree::{Cover, GenerationRoot};
use alloc::collections::{BTreeMap, VecDeque};
use wardein_crypto::{Digest, Secret};
use wardein_domain::{Purpose, Schedule};

/// All that the authority keeps of one device's keys: a value that is loaded, changed by accepting, and stored.
///
/// It is stored in two parts. Every accepted proof changes the *hot* one: one small row without a secret
/// ([`Record::encode_hot`]). All keys, and whatever changes seldom, are the *cold* one: secret bytes, which the caller seals
/// ([`Record::encode_cold`]) and writes only where [`Record::is_cold_changed`]. Whatever is written of a record is written in one
/// step.
pub struct Record {
    pub(super) cold: Cold<Kept>,
    /// How far the active generation was used.
    pub(super) hot: Hot,
    /// Of the active generation. It is not stored.
    pub(super) recent: Recent,
}

/// The part that is secret or changes seldom.
pub(super) struct Kept {
    pub(super) device: DeviceName,
    pub(super) attributes: AttributeDigests,
    /// The measurements that the device announced; a proof that shows them makes them the expected ones.
    pub(super) announced: Option<AttributeDigests>,
    pub(super) enrollment: Enrollment,
    pub(super) active: Generation,
    /// Agreed by a rekey, no proof accepted yet.
    pub(super) pending: Option<Pending>,
    /// Newest first.
    pub(super) retired: VecDeque<Retired>,
    /// Pending generations that a later rekey replaced, newest first, at most [`MAX_REPLACED`].
    pub(super) replaced: VecDeque<Replaced>,
    /// Of the active generation.
    pub(super) token_uses: TokenUses,
}

/// The progress of the enrollment. Its data is dropped as soon as nothing can ask for it any more.
pub(super) enum Enrollment {
    /// Answered; the device's confirmation is awaited, and the same request gets the same answer.
    Pending { request: Digest, reply: EnrollReply, confirm: ConfirmSecret },
    /// Confirmed.
    Confirmed(ConfirmSecret),
    /// A proof was accepted. The digest of the confirmation is kept, so that the same one again is known; records of before revision
    /// 3 have none.
    Done(Option<Digest>),
}

impl Enrollment {
    /// What is left of it once a proof was accepted.
    pub(super) fn done(&self) -> Self {
        Self::Done(match self {
            Self::Pending { .. } => None,
            Self::Confirmed(confirm) => Some(Digest::of(&confirm.key().tag(&confirm.transcript).0)),
            Self::Done(confirmed) => *confirmed,
        })
    }
}

/// The data that checks a device's confirmation.
pub(super) struct ConfirmSecret {
    pub(super) secret: Secret<32>,
    pub(super) transcript: Digest,
}

impl ConfirmSecret {
    pub(super) fn key(&self) -> ConfirmKey {
        ConfirmKey::from(self.secret.duplicate())
    }
}

/// One key agreement, as the authority holds it.
pub(super) struct Generation {
    pub(super) number: u64,
    pub(super) suite: Suite,
    pub(super) schedule: Schedule,
    pub(super) trees: Trees,
}

/// The tree of each purpose.
pub(super) type Trees = BTreeMap<Purpose, Cover>;

/// A generation that no proof was accepted under yet.
pub(super) struct Pending {
    pub(super) generation: Generation,
    /// Payloads may be opened under it already.
    pub(super) hot: Hot,
}

/// A generation that a later one took over from.
pub(super) struct Retired {
    pub(super) number: u64,
    pub(super) schedule: Schedule,
    /// Kept in the newest [`RETIRED_PROOFS`] generations, to tell clones only.
    pub(super) proof: Option<Cover>,
    /// The trees of `data` and `file`, until their retention ends.
    pub(super) sealed: Trees,
    /// Unix second at which they are erased; without one, when the next generation retires.
    pub(super) until: Option<u64>,
}

/// A generation that was agreed, and replaced before it was used: a proof under it gives a clone away.
pub(super) struct Replaced {
    pub(super) number: u64,
    pub(super) proof: Cover,
}

/// How many retired generations' proof trees are kept (specification, section 5).
pub(super) const RETIRED_PROOFS: usize = 4;

/// How many retired generations a record may hold for data sealed under them. Beside it a rekey is refused, so that a device
/// that asks for one all the time cannot make its record grow without end. Where payloads are retained for long, rekeys are to
/// be rarer.
pub(super) const MAX_RETIRED: usize = 16;

/// How many replaced generations' proof trees are kept (specification, section 6).
pub(super) const MAX_REPLACED: usize = 8;

/// How far a device's enrollment has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The device's confirmation is awaited.
    Pending,
    /// The device may prove requests.
    Enrolled,
}

impl Record {
    /// Whose record it is.
    pub fn device(&self) -> &DeviceName {
        &self.cold.device
    }

    /// The digests of the attributes that the device is expected to measure.
    pub fn attributes(&self) -> &AttributeDigests {
        &self.cold.attributes
    }

    /// How far the enrollment has come.
    pub fn standing(&self) -> Standing {
        match self.cold.enrollment {
            Enrollment::Pending { .. } => Standing::Pending,
            Enrollment::Confirmed(_) | Enrollment::Done(_) => Standing::Enrolled,
        }
    }

    /// The generation that proofs are accepted under.
    pub fn active_generation(&self) -> u64 {
        self.cold.active.number
    }

    /// The generation that was agreed and not used yet, if any.
    pub fn pending_generation(&self) -> Option<u64> {
        self.cold.pending.as_ref().map(|pending| pending.generation.number)
    }

    /// The generation that an enrollment of this device gets: that of a pending one again, or one more than the last of all, so
    /// that no key name ever means two keys.
    pub fn generation_for_enrollment(&self) -> u64 {
        match self.standing() {
            Standing::Pending => self.cold.active.number,
            Standing::Enrolled => {
                self.pending_generation().unwrap_or(self.cold.active.number).saturating_add(1)
            }
        }
    }

    /// The suite of the active generation.
    pub fn suite(&self) -> Suite {
        self.cold.active.suite
    }

    /// The schedule of the active generation.
    pub fn schedule(&self) -> &Schedule {
        &self.cold.active.schedule
    }

    /// A human readmits the device at `time`, after a clone alarm, and it is to rekey (specification, section 6.1): its numbers begin
    /// again, so that no number of the other holder keeps it from that. The hot part is then to be stored.
    pub fn readmit(&mut self, time: AuthorityTime, policy: &Policy) {
        let mut ledger = self.hot.ledger.at(time, policy.skew_ms);
        ledger.readmit(time.now_ms);
        self.hot.ledger = ledger;
    }

    /// Whether another generation can be agreed on: not while as many as a record may hold are kept for data sealed under them.
    pub fn can_rekey(&self) -> bool {
        self.cold.retired.len() < MAX_RETIRED
    }

    /// Whether keys of the active generation were erased whose time has not come, by a clock that ran ahead (specification, section 9.1):
    /// what the device makes with them is refused until it rekeys.
    pub fn was_erased_ahead(&self, now: u64, policy: &Policy) -> bool {
        let Generation { schedule, trees, .. } = &self.cold.active;
        let due = schedule.due(now.saturating_add(policy.grace_of(schedule)));
        schedule.period != 0 && trees.values().any(|cover| cover.first() > due)
    }

    /// The highest proof epoch accepted in the active generation.
    pub fn proof_epoch(&self) -> u32 {
        self.hot.ledger.current()
    }

    /// Whether the cold part has changed since the record was decoded, or since the last [`Record::mark_stored`]; it has in a
    /// record that was never stored in this form. It is then to be written together with the hot part. Otherwise the hot part
    /// alone is written.
    ///
    /// An accepted proof changes it where a tree moves: with the first proof of an epoch, and with the first one after `grace`
    /// has passed in it. Otherwise it does only as the first one of an enrollment or a generation, or as the first one that shows
    /// what was announced. A change that was reverted counts as a change.
    pub fn is_cold_changed(&self) -> bool {
        self.cold.is_changed()
    }

    /// Notes that both parts are durable in their present form, for a caller that keeps the record in memory.
    pub fn mark_stored(&mut self) {
        self.cold.mark_stored();
    }
}

impl Generation {
    pub(super) fn new(
        number: u64,
        suite: Suite,
        schedule: Schedule,
        root: &GenerationRoot,
        purposes: Purposes,
    ) -> Self {
        let trees = purposes.iter().map(|purpose| (purpose, root.tree(purpose))).collect();
        Self { number, suite, schedule, trees }
    }

    pub(super) fn purposes(&self) -> Purposes {
        Purposes::of(self.trees.keys().copied())
    }
}
