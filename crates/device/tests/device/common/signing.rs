//! The authority's side of devices that sign, and a key in this process in the place of one in a TPM.

use super::{Device, Fault, Shared, World, key};
use wardein_crypto::{Digest, P256SigningKey, SystemEntropy};
use wardein_ddkg::DeviceName;
use wardein_ddkg::message::{ChallengeOffer, ack_transcript};
use wardein_device::{
    Authority, CallError, Directory, Error, Refused, SignedReply, SignedRequest, Signer, SigningAuthority,
    SigningKey, SigningSession,
};
use wardein_domain::{Assurance, PcrSelection, Quote};
use wardein_pki::PublicKey;

pub(crate) struct SoftKey(P256SigningKey);

impl SoftKey {
    pub(crate) fn new() -> Self {
        Self(key())
    }
}

impl Signer for SoftKey {
    fn sign(&mut self, message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.0.sign(message).unwrap())
    }

    fn quote(&mut self, nonce: &[u8; 32], _: PcrSelection) -> Result<Quote, Error> {
        Ok(Quote { attested: nonce.to_vec(), signature: Vec::new(), values: Vec::new() })
    }
}

impl SigningAuthority for Shared {
    async fn challenge_to_sign(
        &mut self,
        device: &DeviceName,
    ) -> Result<(ChallengeOffer, Option<PcrSelection>), CallError> {
        let offer = self.challenge(device).await?;
        Ok((offer, self.0.borrow().registers))
    }

    async fn prove_by_signature(
        &mut self,
        request: &SignedRequest,
        body: &[u8],
    ) -> Result<SignedReply, CallError> {
        let mut world = self.0.borrow_mut();
        let fault = world.enter("prove by signature")?;
        let SignedRequest { claim, signature, quote } = request;
        let (now, policy, recipe) = (world.now, world.policy.clone(), world.recipe());
        world
            .challenges
            .check(&claim.challenge, &claim.device, &recipe, now * 1000, &policy)
            .expect("the challenge is fresh");
        let (transcript, known) = (claim.transcript(), world.signs_with.unwrap());
        assert_eq!(claim.body_digest, Digest::of(body));
        assert_eq!(claim.key_id, Digest::of(&PublicKey::from(known).spki()));
        known.verify(transcript.as_ref(), signature).map_err(|_| {
            CallError::Refused(Refused { code: "signature-wrong".into(), ..Refused::default() })
        })?;
        let is_asked = world.registers.is_some() && claim.action.as_str() == "certificate";
        assert_eq!(quote.is_some(), is_asked);
        if let Some(quote) = quote {
            world.quoted = Some((transcript.0, quote.clone()));
        }
        let body = match claim.action.as_str() {
            "certificate" => world.certify_request(&claim.device, body),
            "pending-visits" => world.pending.clone(),
            "visit-release" => {
                world.released.push(body.to_vec());
                Vec::new()
            }
            // A key, which nothing is derived for that opens it.
            "update-offer" => vec![2; 60],
            _ => Vec::new(),
        };
        let signature = world.identity.sign(ack_transcript(&transcript, now, &body).as_ref()).unwrap();
        let server_time = if fault == Some(Fault::AnswerChanged) { now + 1 } else { now };
        let renewal = world.renewal;
        World::leave(fault, SignedReply { server_time, body, signature, renewal })
    }
}

impl Device {
    /// Enrolled by `key`, as the authority has it on record.
    pub(crate) fn enroll_key(&self, key: &SoftKey) {
        let key = *key.0.verifying_key();
        let signing = SigningKey { key, assurance: Assurance::TpmListed };
        Directory::create(&self.path()).unwrap().save_signing_key(&signing).unwrap();
        self.authority.0.borrow_mut().signs_with = Some(key);
    }

    /// A restart: everything is read from the disk again.
    pub(crate) fn signing_session(
        &self,
        signer: impl Signer + 'static,
    ) -> Result<SigningSession<Shared, SystemEntropy>, Error> {
        let (directory, config) = (Directory::open(&self.path())?, self.authority.config());
        let (authority, entropy) = (self.authority.clone(), SystemEntropy::default());
        SigningSession::new(directory, config, Box::new(signer), authority, entropy)
    }
}
