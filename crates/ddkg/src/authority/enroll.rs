//! Enrollment, the authority's part (specification, section 4).

use super::cold::Cold;
use super::hot::Hot;
use super::recent::Recent;
use super::record::{ConfirmSecret, Enrollment, Generation, Kept, Record};
use super::refusal::Refusal;
use super::uses::TokenUses;
use crate::derive::derive;
use crate::key::ConfirmKey;
use crate::ledger::Ledger;
use crate::message::{Confirmation, EnrollReply, EnrollRequest};
use crate::purposes::Purposes;
use crate::suite::answer;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use wardein_crypto::{Digest, Entropy, SigningError};
use wardein_domain::Schedule;

/// The terms that the authority grants an enrolling device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnrollTerms {
    /// 1, or one more than the last generation of a device that enrolls again, so that no key name means two keys.
    pub generation: u64,
    /// When keys change. Its `not_before` is the authority's time now.
    pub schedule: Schedule,
    /// The purposes for which the authority keeps trees.
    pub purposes: Purposes,
}

/// The answer to an enrollment request.
pub struct Enrolled {
    /// The record to store before the reply leaves; `None` when the same request was answered before, with the same answer.
    pub record: Option<Record>,
    /// The reply.
    pub reply: EnrollReply,
}

impl Record {
    /// Answers an enrollment request. `previous` is the device's record, if there is one: a pending enrollment is replaced,
    /// or given the same answer when the request is the same; a confirmed one is never touched.
    ///
    /// `sign` signs the 32 bytes with the authority's identity key: ECDSA P-256 with SHA-256, DER.
    pub fn enroll(
        previous: Option<&Self>,
        request: &EnrollRequest,
        terms: &EnrollTerms,
        sign: impl FnOnce(&Digest) -> Result<Vec<u8>, SigningError>,
        entropy: &mut impl Entropy,
    ) -> Result<Enrolled, Refusal> {
        let digest = request.digest();
        match previous.map(|record| &record.cold.enrollment) {
            Some(Enrollment::Pending { request, reply, .. }) if *request == digest => {
                return Ok(Enrolled { record: None, reply: reply.clone() });
            }
            Some(Enrollment::Confirmed(_) | Enrollment::Done(_)) => return Err(Refusal::AlreadyEnrolled),
            Some(Enrollment::Pending { .. }) | None => {}
        }
        let (share, agreed) = answer(&request.share, entropy)?;
        let transcript = request.transcript(&share, terms.generation, &terms.schedule);
        let root = agreed.root(transcript.as_ref(), &transcript);
        let confirm_authority = ConfirmKey::from(derive(&root.0, "confirm authority", transcript.as_ref()));
        let reply = EnrollReply {
            share,
            generation: terms.generation,
            schedule: terms.schedule,
            signature: sign(&transcript)?,
            confirmation: confirm_authority.tag(&transcript),
        };
        let confirm =
            ConfirmSecret { secret: derive(&root.0, "confirm device", transcript.as_ref()), transcript };
        let suite = request.share.suite();
        let kept = Kept {
            device: request.device.clone(),
            attributes: request.attributes.digests(),
            announced: None,
            enrollment: Enrollment::Pending { request: digest, reply: reply.clone(), confirm },
            active: Generation::new(terms.generation, suite, terms.schedule, &root, terms.purposes),
            pending: None,
            retired: VecDeque::new(),
            replaced: VecDeque::new(),
            token_uses: TokenUses::default(),
        };
        // The parts of a record that this one replaces must not fit those of this one.
        let cold = Cold::new(kept, previous.map_or(0, |record| record.cold.sequence()));
        let record = Self { cold, hot: Hot::new(Ledger::new(0)), recent: Recent::default() };
        Ok(Enrolled { record: Some(record), reply })
    }

    /// Whether enrolling by `request` would agree on nothing: it was answered already, or a confirmed enrollment is in its way.
    pub fn has_answered(&self, request: &EnrollRequest) -> bool {
        match &self.cold.enrollment {
            Enrollment::Pending { request: answered, .. } => *answered == request.digest(),
            Enrollment::Confirmed(_) | Enrollment::Done(_) => true,
        }
    }

    /// Accepts the device's confirmation; from then on it may prove requests. The same confirmation again is fine. `Ok(true)` when the
    /// record changed.
    pub fn confirm(&mut self, confirmation: &Confirmation) -> Result<bool, Refusal> {
        if confirmation.device != self.cold.device {
            return Err(Refusal::WrongDevice);
        }
        let (confirm, is_new) = match &self.cold.enrollment {
            Enrollment::Pending { confirm, .. } => (confirm, true),
            Enrollment::Confirmed(confirm) => (confirm, false),
            // A digest of what the device sent in the open is no secret.
            Enrollment::Done(Some(known)) if *known == Digest::of(&confirmation.tag.0) => return Ok(false),
            Enrollment::Done(_) => return Err(Refusal::AlreadyEnrolled),
        };
        confirm
            .key()
            .verify(&confirm.transcript, &confirmation.tag)
            .map_err(|_| Refusal::ConfirmationWrong)?;
        if is_new {
            let enrollment = &mut self.cold.change().enrollment;
            if let Enrollment::Pending { confirm, .. } =
                core::mem::replace(enrollment, Enrollment::Done(None))
            {
                *enrollment = Enrollment::Confirmed(confirm);
            }
        }
        Ok(is_new)
    }
}
