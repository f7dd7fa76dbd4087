//! Rekey, the authority's part (specification, section 6).

use super::hot::Hot;
use super::proof::Accepted;
use super::record::{Generation, Kept, MAX_REPLACED, Pending, Record, Replaced};
use super::refusal::Refusal;
use crate::ledger::Ledger;
use crate::message::{RekeyAnswer, RekeyAsk, rekey_transcript};
use crate::purposes::Purposes;
use crate::rekey::{NextStep, next_root};
use crate::suite::answer;
use wardein_crypto::Entropy;
use wardein_domain::{Purpose, Schedule};

impl Record {
    /// Answers a proved `rekey`. The new generation is pending until a proof comes under it; one that was pending already
    /// is replaced, and remembered only to detect a clone.
    ///
    /// Keys are kept for the purposes that the device names and this release knows, or for those of before where it names none.
    /// Which suites are allowed is the caller's to judge before. The schedule's `not_before` is the authority's time now.
    pub fn rekey(
        &mut self,
        accepted: &Accepted,
        ask: &RekeyAsk,
        schedule: Schedule,
        entropy: &mut impl Entropy,
    ) -> Result<RekeyAnswer, Refusal> {
        let (claimed, active) = (accepted.generation, self.cold.active.number);
        if claimed != active || !accepted.is_rekey() {
            return Err(Refusal::GenerationUnknown { claimed, active });
        }
        if !self.can_rekey() {
            return Err(Refusal::RetentionFull { kept: self.cold.retired.len() });
        }
        let (share, agreed) = answer(&ask.share, entropy)?;
        let granted = ask.purposes.map(Purposes::known);
        let (generation, purposes) = (active.saturating_add(1), granted.map(Purposes::named));
        let answer = RekeyAnswer { share, generation, schedule, purposes };
        let transcript = rekey_transcript(&accepted.transcript, ask, &answer);
        let root = next_root(NextStep::Rekey, &accepted.epoch_secret, agreed, &transcript);
        let generation = Generation::new(
            answer.generation,
            ask.share.suite(),
            schedule,
            &root,
            granted.unwrap_or_else(|| self.cold.active.purposes()),
        );
        // As the proof of this rekey has written it: a clock that ran ahead is not handed on.
        let hot = Hot::new(Ledger::new(self.hot.ledger.latest_ms()));
        self.cold.change().await_proof_of(Pending { generation, hot });
        Ok(answer)
    }
}

impl Kept {
    /// A generation is agreed, in the place of one that was and that no proof came under.
    pub(super) fn await_proof_of(&mut self, pending: Pending) {
        if let Some(Pending { generation: old, .. }) = self.pending.replace(pending) {
            self.replace(old);
        }
    }

    /// A generation that nothing is accepted under any more; what is kept of it tells clones.
    pub(super) fn replace(&mut self, mut old: Generation) {
        if let Some(proof) = old.trees.remove(&Purpose::Proof) {
            self.replaced.push_front(Replaced { number: old.number, proof });
            self.replaced.truncate(MAX_REPLACED);
        }
    }
}
