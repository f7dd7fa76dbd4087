//! Going over to another tenant, the authority's part (specification, section 6.2).
//!
//! The device has two records meanwhile: the one that it leaves, under which it goes on being answered, and the one that awaits it.
//! The first proof under the second ends the first. That no more than one of them is trusted is the caller's to see to, who
//! stores both in one step.

use super::cold::Cold;
use super::hot::Hot;
use super::proof::Accepted;
use super::recent::Recent;
use super::record::{Enrollment, Generation, Kept, Pending, Record};
use super::refusal::Refusal;
use super::uses::TokenUses;
use crate::key::DeviceName;
use crate::ledger::Ledger;
use crate::message::{RekeyAnswer, RekeyAsk, TransferAnswer, transfer_transcript};
use crate::policy::Policy;
use crate::purposes::Purposes;
use crate::rekey::{NextStep, next_root};
use crate::suite::answer;
use crate::time::AuthorityTime;
use crate::tree::GenerationRoot;
use alloc::collections::VecDeque;
use wardein_crypto::{Entropy, EntropyError};
use wardein_domain::Schedule;

/// Who a device is to be, and on which terms.
pub struct TransferTerms {
    /// Its name there.
    pub device: DeviceName,
    /// The record of that name, where there is one: of this device, which was there before, or was answered before.
    pub previous: Option<Record>,
    /// The least generation that may be given: one above all that the authority may have given under that name and not know of.
    pub least: u64,
    /// When keys change there. Its `not_before` is the authority's time now.
    pub schedule: Schedule,
}

impl Record {
    /// Answers a proved `transfer` with the name and the keys of the device there, and the record that awaits it. The body names no
    /// purposes: they stay. Which suites are allowed is the caller's to judge before.
    ///
    /// Nothing changes in this record. Asked again, as where the reply was lost, it makes another agreement, which replaces the
    /// former one; that is remembered only to detect a clone.
    pub fn transfer(
        &self,
        accepted: &Accepted,
        ask: &RekeyAsk,
        terms: TransferTerms,
        entropy: &mut impl Entropy,
    ) -> Result<(TransferAnswer, Self), Refusal> {
        let (claimed, active) = (accepted.generation, self.cold.active.number);
        if claimed != active || !accepted.is_transfer() {
            return Err(Refusal::GenerationUnknown { claimed, active });
        }
        let TransferTerms { device, previous, least, schedule } = terms;
        // Each takes one more generation when the device has gone over, or by its next rekey.
        for record in [Some(self), previous.as_ref()].into_iter().flatten() {
            if !record.can_rekey() {
                return Err(Refusal::RetentionFull { kept: record.cold.retired.len() });
            }
        }
        let (share, agreed) = answer(&ask.share, entropy)?;
        let former = previous.as_ref().map_or(0, Self::last_generation);
        let generation = former.max(self.last_generation()).saturating_add(1).max(least);
        let keys = RekeyAnswer { share, generation, schedule, purposes: None };
        let answer = TransferAnswer { device, keys };
        let transcript = transfer_transcript(&accepted.transcript, ask, &answer);
        let root = next_root(NextStep::Transfer, &accepted.epoch_secret, agreed, &transcript);
        let purposes = self.cold.active.purposes();
        let active = Generation::new(generation, ask.share.suite(), schedule, &root, purposes);
        let mut kept = Kept {
            device: answer.device.clone(),
            attributes: self.cold.attributes.clone(),
            announced: self.cold.announced.clone(),
            enrollment: Enrollment::Done(None),
            active,
            pending: None,
            retired: VecDeque::new(),
            replaced: VecDeque::new(),
            token_uses: TokenUses::default(),
        };
        let mut sequence = 0;
        if let Some(previous) = previous {
            sequence = previous.cold.sequence();
            let former = previous.cold.into_value();
            (kept.retired, kept.replaced) = (former.retired, former.replaced);
            former.pending.into_iter().for_each(|pending| kept.replace(pending.generation));
            kept.replace(former.active);
        }
        // As the proof of this transfer has written it.
        let hot = Hot::new(Ledger::new(self.hot.ledger.latest_ms()));
        let record = Self { cold: Cold::new(kept, sequence), hot, recent: Recent::default() };
        Ok((answer, record))
    }

    /// The device has proved itself as `successor`, which accepted it at `time`: under this record nothing is accepted any more.
    /// Its generation retires, so that what was sealed under it can be opened as long as retention says, and what speaks under it
    /// later is a clone. In its place comes one whose root nobody has.
    ///
    /// Refused as `retention-full` where as many generations are kept as a record may hold. That ends by itself, and the device
    /// loses nothing by it.
    pub fn hand_over(
        &mut self,
        successor: &Self,
        time: AuthorityTime,
        policy: &Policy,
        entropy: &mut impl Entropy,
    ) -> Result<(), Refusal> {
        if !self.can_rekey() {
            return Err(Refusal::RetentionFull { kept: self.cold.retired.len() });
        }
        let secret = entropy.secret().map_err(|EntropyError| Refusal::Fault)?;
        let number = self.last_generation().saturating_add(1);
        let active = &self.cold.active;
        let schedule = Schedule { not_before: time.now(), ..active.schedule };
        let generation =
            Generation::new(number, active.suite, schedule, &GenerationRoot::new(secret), Purposes::of([]));
        // An honest device has answered no challenge here that was issued after the one that it answered there.
        let ledger = self.hot.ledger.at(time, policy.skew_ms);
        let hot = Hot::new(Ledger::new(ledger.latest_ms().max(successor.hot.ledger.latest_ms())));
        self.cold.change().await_proof_of(Pending { generation, hot: hot.clone() });
        self.activate(time.now(), policy);
        (self.hot, self.recent) = (hot, Recent::default());
        self.settle(time, policy);
        Ok(())
    }

    /// The highest generation that was given under this name, used or not.
    pub fn last_generation(&self) -> u64 {
        let replaced = self.cold.replaced.iter().map(|replaced| replaced.number);
        let pending = self.pending_generation().unwrap_or_default();
        replaced.fold(self.cold.active.number.max(pending), u64::max)
    }
}
