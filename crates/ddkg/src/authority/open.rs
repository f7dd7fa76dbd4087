//! Tokens, payloads, files, delegations and answers to challenges, the authority's part (specification, sections 2, 7 and 7.1).

use super::record::{Enrollment, Generation, Pending, Record, Trees};
use super::refusal::Refusal;
use crate::code::{EmergencyCode, ServiceChallenge, ServiceCode};
use crate::key::{DeviceName, FileWrapKey, KeyName, NumberKey, PayloadKey};
use crate::message::{CarriedProtocol, FileStanza, SealedPayload, ServiceKey, Token};
use crate::policy::Policy;
use crate::time::AuthorityTime;
use crate::tree::{Cover, OutOfRange};
use crate::wire::{DecodeError, Problem, Reader, Sink};
use alloc::string::ToString;
use wardein_crypto::{Secret, SecretBytes};
use wardein_domain::{Audience, Purpose, Schedule, ServiceScope};

/// A key that is used up. The caller inserts its name, insert-only and in the same step as the record; a name that is
/// there already means that the token, or the key, was spent before, and nothing may be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a key that is not recorded as spent can be used again"]
pub struct Spend(pub KeyName);

/// A platform's expectations of a token.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The platform's own name.
    pub audience: &'a Audience,
    /// The nonce that it gave, or nothing.
    pub platform_nonce: &'a [u8],
}

impl Record {
    /// Verifies a platform token whose key is not spent. The record changes, and the token is spent.
    pub fn verify_token(
        &mut self,
        token: &Token,
        expected: Expected<'_>,
        time: AuthorityTime,
        policy: &Policy,
    ) -> Result<Spend, Refusal> {
        let first = self.judge_token(token, expected, time, policy)?;
        let (uses, schedule) = (&self.cold.token_uses, self.cold.active.schedule);
        if uses.is_full(token.epoch, &schedule) {
            let reached = self.hot.highest(Purpose::Token).max(first);
            let next = if uses.is_full(reached, &schedule) { reached.saturating_add(1) } else { reached };
            return Err(Refusal::EpochSpent { next });
        }
        if schedule.max_uses != 0 {
            self.cold.change().token_uses.add(token.epoch, first);
        }
        self.hot.reach(Purpose::Token, token.epoch);
        self.settle(time, policy);
        Ok(Spend(token.key_name()))
    }

    /// Judges a platform token, and changes nothing: one whose key is spent on another token is the sign of two holders if it is
    /// right. Gives the first epoch that takes a token now.
    pub fn judge_token(
        &self,
        token: &Token,
        expected: Expected<'_>,
        time: AuthorityTime,
        policy: &Policy,
    ) -> Result<u32, Refusal> {
        self.check_owner(&token.device)?;
        let (claimed, active) = (token.generation, self.cold.active.number);
        if self.pending_generation() == Some(claimed) {
            return Err(Refusal::GenerationPending { claimed });
        }
        if self.cold.retired.iter().any(|retired| retired.number == claimed) {
            return Err(Refusal::GenerationRetired { claimed, active });
        }
        if claimed != active {
            return Err(Refusal::GenerationUnknown { claimed, active });
        }
        let generation = &self.cold.active;
        let (due, now) = (|time: u64| generation.schedule.due(time), time.now());
        let grace = policy.grace_of(&generation.schedule);
        let (lowest, highest) = (due(now.saturating_sub(grace)), due(now.saturating_add(grace)));
        let cover = generation.trees.get(&Purpose::Token).ok_or(Refusal::PurposeNotKept(Purpose::Token))?;
        let (reached, first) = (self.hot.highest(Purpose::Token).max(lowest), cover.first());
        let next = reached.saturating_sub(policy.token_retention);
        if token.epoch < next {
            return Err(Refusal::EpochSpent { next: next.max(first) });
        }
        let highest = reached.max(first).max(highest).saturating_add(policy.token_lead);
        if token.epoch > highest {
            return Err(Refusal::EpochAhead { highest });
        }
        // The tree may have been moved further than the retention of today, by a policy or a clock that was another.
        let epoch_secret =
            cover.epoch_secret(token.epoch).map_err(|_| Refusal::EpochSpent { next: first })?;
        epoch_secret
            .key(token.number)
            .token_mac()
            .verify(&token.transcript(), &token.mac)
            .map_err(|_| Refusal::MacWrong)?;
        if token.audience != *expected.audience {
            return Err(Refusal::AudienceWrong { found: token.audience.clone() });
        }
        if token.platform_nonce != expected.platform_nonce {
            return Err(Refusal::NonceWrong);
        }
        Ok(next.max(first))
    }

    /// Opens a payload without giving out its key. Where policy says once, the caller records [`Spend`] as well.
    pub fn open(
        &mut self,
        sealed: &SealedPayload,
        additional: &[u8],
        now: u64,
        policy: &Policy,
    ) -> Result<(SecretBytes, Spend), Refusal> {
        let key = self.key(sealed.name(), now, policy)?.payload();
        let plaintext = sealed.open(&key, additional).map_err(|_| Refusal::OpenFailed)?;
        self.opened(sealed.name());
        Ok((plaintext, Spend(sealed.name().clone())))
    }

    /// Opens the file key of an age file.
    pub fn unwrap_file_key(
        &mut self,
        stanza: &FileStanza,
        now: u64,
        policy: &Policy,
    ) -> Result<(Secret<16>, Spend), Refusal> {
        let key = self.key(stanza.name(), now, policy)?.file_wrap();
        let file_key = stanza.unwrap_with(&key).map_err(|_| Refusal::OpenFailed)?;
        self.opened(stanza.name());
        Ok((file_key, Spend(stanza.name().clone())))
    }

    /// The key of a payload, for release to a platform that was granted it. The caller records [`Spend`].
    ///
    /// A name proves nothing, unlike a payload that opens: it moves no tree forward, and names no epoch that is not due yet.
    pub fn release_payload_key(
        &mut self,
        name: &KeyName,
        now: u64,
        policy: &Policy,
    ) -> Result<(PayloadKey, Spend), Refusal> {
        if name.purpose != Purpose::Data {
            return Err(Refusal::PurposeNotKept(name.purpose));
        }
        let key = self.named_key(name, now, policy)?.payload();
        Ok((key, Spend(name.clone())))
    }

    /// The wrapping key of a file, for release to a platform that was granted it; as with
    /// [`Record::release_payload_key`].
    pub fn release_file_key(
        &mut self,
        name: &KeyName,
        now: u64,
        policy: &Policy,
    ) -> Result<(FileWrapKey, Spend), Refusal> {
        if name.purpose != Purpose::File {
            return Err(Refusal::PurposeNotKept(name.purpose));
        }
        let key = self.named_key(name, now, policy)?.file_wrap();
        Ok((key, Spend(name.clone())))
    }

    /// Answers a challenge that the device showed to a technician, for `units` of [`ServiceCode::UNIT`] seconds. The caller records
    /// [`Spend`]; the record stays as it is, for a name alone moves nothing.
    ///
    /// A generation that no proof came under yet counts as well: its device may be without network since.
    pub fn answer_service_challenge(
        &self,
        challenge: &ServiceChallenge,
        scope: &ServiceScope,
        units: u8,
    ) -> Result<(ServiceCode, Spend), Refusal> {
        let owner = &self.cold.device;
        self.check_owner(owner)?;
        let name = challenge.key_name(owner.clone());
        let key = self.service_key(&name)?;
        challenge.verify(owner, &key, scope).map_err(|_| Refusal::MacWrong)?;
        Ok((challenge.answer(owner, &key, scope, units), Spend(name)))
    }

    /// Verifies a protocol that came as a file. The record stays as it is, and the key is not spent: what comes twice changes
    /// nothing.
    ///
    /// A generation that no proof came under yet counts as well, as with challenges.
    pub fn verify_protocol(&self, carried: &CarriedProtocol) -> Result<(), Refusal> {
        self.check_owner(&carried.protocol().device)?;
        let name = carried.key_name().ok_or(Refusal::MacWrong)?;
        // Whatever generation is claimed: another file of the device would not help either.
        if !self.live().any(|generation| generation.trees.contains_key(&Purpose::Service)) {
            return Err(Refusal::PurposeNotKept(Purpose::Service));
        }
        let key = self.service_key(&name)?;
        carried.verify(&name, &key).map_err(|_| Refusal::MacWrong)
    }

    /// A key of the purpose `service`, under the active or the pending generation.
    fn service_key(&self, name: &KeyName) -> Result<NumberKey, Refusal> {
        let (claimed, active) = (name.generation, self.cold.active.number);
        let generation = self.live().find(|generation| generation.number == claimed);
        let trees = &generation.ok_or(Refusal::GenerationUnknown { claimed, active })?.trees;
        let cover = trees.get(&Purpose::Service).ok_or(Refusal::PurposeNotKept(Purpose::Service))?;
        Ok(cover.epoch_secret(name.epoch).map_err(Refusal::EpochGone)?.key(name.number))
    }

    /// The code for emergencies that the device says, by a proof under its active generation, to have made of this key. What can yield a key of
    /// an earlier epoch is erased: the device can show no challenge of one.
    pub fn emergency_code(&mut self, key: ServiceKey) -> Result<EmergencyCode, Refusal> {
        let (claimed, active) = (key.generation, self.cold.active.number);
        if claimed != active {
            return Err(Refusal::GenerationUnknown { claimed, active });
        }
        let cover = self.cold.active.trees.get(&Purpose::Service);
        let cover = cover.ok_or(Refusal::PurposeNotKept(Purpose::Service))?;
        let code =
            EmergencyCode::of(&cover.epoch_secret(key.epoch).map_err(Refusal::EpochGone)?.key(key.number));
        if cover.first() < key.epoch
            && let Some(cover) = self.cold.change().active.trees.get_mut(&Purpose::Service)
        {
            cover.advance(key.epoch).map_err(Refusal::EpochGone)?;
        }
        Ok(code)
    }

    /// Whether the key of that name can still be derived. Once it cannot, it never can again: a caller that remembers that it was
    /// spent may forget it.
    pub fn yields(&self, name: &KeyName) -> bool {
        let is_token = name.purpose == Purpose::Token;
        let live = self.live().map(|generation| (generation.number, &generation.trees));
        // A retired generation's tokens are refused whatever their epoch.
        let retired = self.cold.retired.iter().filter(|_| !is_token);
        let retired = retired.map(|retired| (retired.number, &retired.sealed));
        let trees = live.chain(retired).find(|(number, _)| *number == name.generation);
        name.owner == self.cold.device
            && trees
                .and_then(|(_, trees)| trees.get(&name.purpose))
                .is_some_and(|cover| cover.first() <= name.epoch)
    }

    /// The keys of `purpose` in the active generation from epoch `first` to `last`, and no other, for a site that must work
    /// without the authority for a while.
    pub fn delegate(&self, purpose: Purpose, first: u32, last: u32) -> Result<Delegation, Refusal> {
        self.check_owner(&self.cold.device)?;
        let tree = self.cold.active.trees.get(&purpose).ok_or(Refusal::PurposeNotKept(purpose))?;
        let cover = tree.narrow(first, last).map_err(Refusal::EpochGone)?;
        Ok(Delegation {
            owner: self.cold.device.clone(),
            generation: self.cold.active.number,
            purpose,
            cover,
        })
    }

    /// A `data` or `file` key of which nothing but its name is shown. Its epoch is due, or, with `max_uses`, is one that so many
    /// numbers can have led to: otherwise keys could be had that the device has not used yet.
    fn named_key(&self, name: &KeyName, now: u64, policy: &Policy) -> Result<NumberKey, Refusal> {
        let key = self.key(name, now, policy)?;
        let (schedule, _) = self.sealing_trees(name.generation, now)?;
        let led_to = name.number.checked_div(schedule.max_uses).unwrap_or(0);
        let due = schedule.due(now.saturating_add(policy.grace_of(schedule)));
        let highest = due.saturating_add(u32::try_from(led_to).unwrap_or(u32::MAX));
        if name.epoch > highest {
            return Err(Refusal::EpochAhead { highest });
        }
        Ok(key)
    }

    /// A `data` or `file` key by its name. There is no upper bound on its epoch: the device's clock may have been ahead.
    fn key(&self, name: &KeyName, now: u64, policy: &Policy) -> Result<NumberKey, Refusal> {
        self.check_owner(&name.owner)?;
        let (schedule, trees) = self.sealing_trees(name.generation, now)?;
        let cover = trees.get(&name.purpose).ok_or(Refusal::PurposeNotKept(name.purpose))?;
        // Data whose retention has ended is not opened, even if the sweep has not erased it yet.
        let due = schedule.due(now.saturating_sub(policy.grace_of(schedule)));
        let retained = due.saturating_sub(policy.retention(name.purpose));
        if name.epoch < retained {
            let (epoch, first, last) = (name.epoch, retained.max(cover.first()), cover.last());
            return Err(Refusal::EpochGone(OutOfRange { epoch, first, last }));
        }
        let epoch_secret = cover.epoch_secret(name.epoch).map_err(Refusal::EpochGone)?;
        Ok(epoch_secret.key(name.number))
    }

    /// The schedule and the trees of a generation that payloads and files are opened under.
    fn sealing_trees(&self, claimed: u64, now: u64) -> Result<(&Schedule, &Trees), Refusal> {
        self.live()
            .find(|generation| generation.number == claimed)
            .map(|generation| (&generation.schedule, &generation.trees))
            .or_else(|| {
                let retired = self.cold.retired.iter().find(|retired| retired.number == claimed)?;
                let is_over = retired.until.is_some_and(|until| until <= now);
                (!is_over).then_some((&retired.schedule, &retired.sealed))
            })
            .ok_or(Refusal::GenerationUnknown { claimed, active: self.cold.active.number })
    }

    /// The generations that keys are used of: the active one, and the pending one.
    fn live(&self) -> impl Iterator<Item = &Generation> {
        let pending = self.cold.pending.iter().map(|pending| &pending.generation);
        core::iter::once(&self.cold.active).chain(pending)
    }

    /// Remembers the highest epoch that was opened, by which trees without a period are moved forward.
    fn opened(&mut self, name: &KeyName) {
        let is_higher = |pending: &Pending| {
            pending.generation.number == name.generation && pending.hot.highest(name.purpose) < name.epoch
        };
        if name.generation == self.cold.active.number {
            self.hot.reach(name.purpose, name.epoch);
        } else if self.cold.pending.as_ref().is_some_and(is_higher)
            && let Some(pending) = &mut self.cold.change().pending
        {
            pending.hot.reach(name.purpose, name.epoch);
        }
    }

    fn check_owner(&self, device: &DeviceName) -> Result<(), Refusal> {
        if *device != self.cold.device {
            return Err(Refusal::WrongDevice);
        }
        match self.cold.enrollment {
            Enrollment::Pending { .. } => Err(Refusal::EnrollmentPending),
            Enrollment::Confirmed(_) | Enrollment::Done(_) => Ok(()),
        }
    }
}

/// The keys of one purpose over a range of epochs, handed to a site.
pub struct Delegation {
    owner: DeviceName,
    generation: u64,
    purpose: Purpose,
    cover: Cover,
}

impl Delegation {
    /// The key of a payload, if it lies within the delegation.
    pub fn payload_key(&self, name: &KeyName) -> Result<PayloadKey, Refusal> {
        Ok(self.key(name, Purpose::Data)?.payload())
    }

    /// The wrapping key of a file, if it lies within the delegation.
    pub fn file_key(&self, name: &KeyName) -> Result<FileWrapKey, Refusal> {
        Ok(self.key(name, Purpose::File)?.file_wrap())
    }

    fn key(&self, name: &KeyName, purpose: Purpose) -> Result<NumberKey, Refusal> {
        if name.owner != self.owner {
            return Err(Refusal::WrongDevice);
        }
        let (claimed, active) = (name.generation, self.generation);
        if claimed != active {
            return Err(Refusal::GenerationUnknown { claimed, active });
        }
        if name.purpose != self.purpose || name.purpose != purpose {
            return Err(Refusal::PurposeNotKept(name.purpose));
        }
        Ok(self.cover.epoch_secret(name.epoch).map_err(Refusal::EpochGone)?.key(name.number))
    }

    /// The delegation as secret bytes: owner, generation, purpose, and the cover in the encoding of section 2.
    pub fn encode(&self) -> SecretBytes {
        let mut out = SecretBytes::with_capacity(MAX_DELEGATION);
        crate::message::put_device(&mut out, &self.owner);
        out.u64(self.generation);
        out.frame(self.purpose.to_string().as_bytes());
        out.put(self.cover.encode().expose());
        out
    }

    /// The inverse of [`Delegation::encode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (length, min, max) = (bytes.len(), 1, MAX_DELEGATION);
        if !(min..=max).contains(&length) {
            return Err(Problem::Length { length, min, max }.of("delegation"));
        }
        let mut reader = Reader::new(bytes);
        let owner = crate::message::read_device(&mut reader)?;
        let generation = crate::message::read_generation(&mut reader)?;
        let purpose = reader.name("purpose")?;
        Ok(Self { owner, generation, purpose, cover: Cover::decode(reader.rest())? })
    }
}

const MAX_DELEGATION: usize =
    4 + 63 + 4 + 128 + 8 + 4 + 5 + crate::tree::MAX_COVER_NODES * crate::tree::NODE_LEN;
