//! Enrollment and its confirmation, the device's part (specification, section 4).

use super::error::DeviceError;
use super::state::{Attempt, DeviceState, Standing, Unsaved};
use crate::attribute::Attributes;
use crate::derive::derive;
use crate::key::{ConfirmKey, DeviceName};
use crate::message::{Confirmation, EnrollReply, EnrollRequest};
use crate::progress::ProofEpochs;
use crate::purposes::Purposes;
use crate::suite::{DeviceEphemeral, Suite};
use wardein_crypto::{Entropy, P256VerifyingKey};

/// An enrollment that waits for its reply. A restart forgets it; the station then asks again.
pub struct Enrolling {
    identity: P256VerifyingKey,
    ephemeral: DeviceEphemeral,
    request: EnrollRequest,
}

impl Enrolling {
    /// Begins an enrollment. `identity` is the authority's identity key, pinned in the device's software.
    pub fn begin(
        identity: P256VerifyingKey,
        suite: Suite,
        device: DeviceName,
        attributes: Attributes,
        entropy: &mut impl Entropy,
    ) -> Result<Self, DeviceError> {
        let (ephemeral, share) = DeviceEphemeral::generate(suite, entropy)?;
        let request = EnrollRequest { device, nonce: entropy.array()?, share, attributes };
        Ok(Self { identity, ephemeral, request })
    }

    /// The request for the station to relay. It may be sent again unchanged, and then gets the same answer.
    pub fn request(&self) -> &EnrollRequest {
        &self.request
    }

    /// Checks signature and confirmation, and makes the trees of those of `purposes` that an enrollment agrees on. After an error the
    /// enrollment starts over.
    ///
    /// Nothing is saved yet: [`DeviceState::confirmation`] saves before it speaks.
    pub fn finish(self, reply: &EnrollReply, purposes: Purposes) -> Result<DeviceState, DeviceError> {
        let transcript = self.request.transcript(&reply.share, reply.generation, &reply.schedule);
        self.identity
            .verify(transcript.as_ref(), &reply.signature)
            .map_err(|_| DeviceError::SignatureWrong)?;
        let agreed = self.ephemeral.agree(&reply.share).map_err(DeviceError::Share)?;
        let root = agreed.root(transcript.as_ref(), &transcript);
        ConfirmKey::from(derive(&root.0, "confirm authority", transcript.as_ref()))
            .verify(&transcript, &reply.confirmation)
            .map_err(|_| DeviceError::ConfirmationWrong)?;
        let confirmation = ConfirmKey::from(derive(&root.0, "confirm device", transcript.as_ref()));
        Ok(DeviceState {
            trees: DeviceState::trees_of(&root, purposes.at_enrollment()),
            suite: self.request.share.suite(),
            device: self.request.device,
            identity: self.identity,
            generation: reply.generation,
            schedule: reply.schedule,
            standing: Standing::Unconfirmed(confirmation.tag(&transcript)),
            // The schedule is signed, and starts when the authority answered: a time that it has reported.
            known_time: reply.schedule.not_before,
            proofs: ProofEpochs::new(0, 0),
            writes: 0,
            is_dirty: true,
            rekey_attempt: Attempt::new(),
            challenge_ask: Attempt::new(),
        })
    }
}

impl DeviceState {
    /// The confirmation to send, again and again, until a first proof is acknowledged; `None` from then on.
    pub fn confirmation(&mut self) -> Option<Unsaved<'_, Confirmation>> {
        let Standing::Unconfirmed(tag) = self.standing else { return None };
        let confirmation = Confirmation { device: self.device.clone(), tag };
        Some(self.unsaved(confirmation))
    }
}
