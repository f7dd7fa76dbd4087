//! Signed requests: challenge, signature, and a reply that the authority signed.

use super::SigningKey;
use crate::agent::{PIN_BUNDLE, Prover};
use crate::authority::{CallError, SignedReply, SignedRequest, SigningAuthority};
use crate::certificate::{self, Certificate};
use crate::config::Config;
use crate::directory::{Contact, Directory};
use crate::error::Error;
use crate::service::ServiceAccess;
use crate::session::in_time;
use crate::update::OfferAnswer;
use tokio::time::Instant;
use wardein_crypto::{Digest, Entropy};
use wardein_ddkg::DeviceName;
use wardein_ddkg::device::DeviceError;
use wardein_ddkg::message::{SignatureClaim, ack_transcript};
use wardein_domain::{Action, DeviceAction, PcrSelection, Quote, RenewalWindow};
use wardein_pki::{Csr, PinBundle, PublicKey};

/// What signs: a TPM, or what else keeps a key that it does not give away.
pub trait Signer {
    /// An ECDSA signature with SHA-256 on P-256 of `message`, DER.
    fn sign(&mut self, message: &[u8]) -> Result<Vec<u8>, Error>;
    /// What the TPM says of its registers, with `nonce` as qualifying data.
    fn quote(&mut self, nonce: &[u8; 32], selection: PcrSelection) -> Result<Quote, Error>;
}

/// A device that signs, and can ask for things, one at a time.
pub struct SigningSession<A, E> {
    directory: Directory,
    config: Config,
    enrolled: SigningKey,
    signer: Box<dyn Signer>,
    authority: A,
    entropy: E,
    /// The last time that the authority told, in Unix seconds, and when, if that was in this process.
    time: u64,
    contact: Option<Instant>,
}

/// A reply that the authority signed.
struct Acknowledged {
    server_time: u64,
    body: Vec<u8>,
    renewal: Option<RenewalWindow>,
}

impl<A: SigningAuthority, E: Entropy> SigningSession<A, E> {
    /// What sshd needs to let technicians in while they are invited (DDKG-1 section 8.4).
    pub async fn service_access(&mut self) -> Result<ServiceAccess, Error> {
        let body = self.request("service-access", b"").await?.body;
        ServiceAccess::decode(&body)
            .ok_or(Error::Fault("reading the authority's answer about service access"))
    }

    /// The device.
    pub fn name(&self) -> &DeviceName {
        &self.config.device
    }

    /// The id of its key (DDKG-1 §5.1).
    pub(crate) fn key_id(&self) -> Digest {
        Digest::of(&PublicKey::from(self.enrolled.key).spki())
    }

    /// Its signature of a transcript.
    pub(crate) fn sign(&mut self, transcript: &Digest) -> Result<Vec<u8>, Error> {
        self.signer.sign(transcript.as_ref())
    }

    /// A session of the device that `directory` holds, whose key is `signer`'s.
    pub fn new(
        directory: Directory,
        config: Config,
        signer: Box<dyn Signer>,
        authority: A,
        entropy: E,
    ) -> Result<Self, Error> {
        let files = directory.files();
        let enrolled = files.signing_key()?.ok_or_else(|| files.no_signing_key())?;
        let time = files.contact().map_or(0, |contact| contact.server_time);
        Ok(Self { directory, config, enrolled, signer, authority, entropy, time, contact: None })
    }

    /// Asks until it is answered, or refused for a reason that asking again does not mend.
    async fn request(&mut self, action: &'static str, body: &[u8]) -> Result<Acknowledged, Error> {
        let mut last = Error::Fault("asking");
        for _ in 0..ATTEMPTS {
            match self.attempt(action, body).await {
                Ok(acknowledged) => {
                    self.time = acknowledged.server_time;
                    self.contact = Some(Instant::now());
                    let contact = Contact { server_time: self.time, action: action.to_owned() };
                    if let Err(error) = self.directory.save_contact(&contact) {
                        tracing::warn!(%error, "the last contact is not noted");
                    }
                    return Ok(acknowledged);
                }
                // Somebody between changed the reply, or it took too long: asking again is safe.
                Err(error @ Error::Protocol(DeviceError::AckWrong)) => last = error,
                Err(Error::Refused(refused)) if refused.action() == DeviceAction::AskAgain => {
                    last = Error::Refused(refused);
                }
                Err(other) => return Err(other),
            }
        }
        Err(last)
    }

    async fn attempt(&mut self, action: &'static str, body: &[u8]) -> Result<Acknowledged, Error> {
        let (offer, selection) = in_time(self.authority.challenge_to_sign(&self.config.device)).await?;
        let claim = SignatureClaim {
            device: self.config.device.clone(),
            challenge: offer.challenge,
            nonce: self.entropy.array().map_err(|_| Error::Fault("the source of randomness"))?,
            key_id: self.key_id(),
            action: action.parse().expect("the constant is an action"),
            body_digest: Digest::of(body),
        };
        let transcript = claim.transcript();
        let signature = self.sign(&transcript)?;
        let selection = selection.filter(|_| action == "certificate");
        let quote = selection.map(|selection| self.signer.quote(&transcript.0, selection)).transpose()?;
        let request = SignedRequest { claim, signature, quote };
        let reply: Result<SignedReply, CallError> =
            in_time(self.authority.prove_by_signature(&request, body)).await;
        let SignedReply { server_time, body, signature, renewal } = reply?;
        let acknowledged = ack_transcript(&transcript, server_time, &body);
        self.config
            .identity_key
            .verify(acknowledged.as_ref(), &signature)
            .map_err(|_| Error::Protocol(DeviceError::AckWrong))?;
        Ok(Acknowledged { server_time, body, renewal })
    }
}

impl<A: SigningAuthority, E: Entropy> Prover for SigningSession<A, E> {
    async fn authenticate(&mut self) -> Result<u64, Error> {
        Ok(self.request("authenticate", b"").await?.server_time)
    }

    async fn certificate(&mut self) -> Result<Certificate, Error> {
        let (key, signer) = (self.enrolled.key, &mut self.signer);
        let csr = Csr::create_by(&key, |message| signer.sign(message))?;
        let acknowledged = self.request("certificate", &csr).await?;
        let chain = certificate::split(&acknowledged.body)?;
        let told = (acknowledged.server_time, acknowledged.renewal);
        let certificate = certificate::check(&chain, &key.into(), &self.config, told)?;
        self.directory.save_certificate(&certificate, &certificate::to_pem(&chain)?)?;
        Ok(certificate)
    }

    async fn pins(&mut self) -> Result<Option<PinBundle>, Error> {
        let body = self.request("trust-bundle", &PIN_BUNDLE).await?.body;
        match body.is_empty() {
            true => self.directory.files().pins(&self.config),
            false => self.directory.take_pins(&self.config, &body).map(Some),
        }
    }

    async fn roots(&mut self) -> Result<(), Error> {
        let bundle = self.request("trust-bundle", b"").await?.body;
        if let Some(roots) = self.directory.take_roots(&self.config, &bundle)? {
            self.authority.trust(&roots);
            self.config.trust_roots = roots;
        }
        Ok(())
    }

    #[cfg(feature = "files")]
    async fn take_readers(&mut self) -> Result<(), Error> {
        Ok(())
    }

    async fn update_offer(&mut self, body: &[u8]) -> Result<OfferAnswer, Error> {
        OfferAnswer::read(&self.request(Action::UPDATE_OFFER, body).await?.body, None)
    }

    async fn update_receipt(&mut self, body: &[u8]) -> Result<(), Error> {
        self.request("update-receipt", body).await.map(|_| ())
    }

    async fn pending_visits(&mut self) -> Result<Vec<u8>, Error> {
        Ok(self.request("pending-visits", b"").await?.body)
    }

    async fn visit_release(&mut self, body: &[u8]) -> Result<(), Error> {
        self.request("visit-release", body).await.map(|_| ())
    }

    async fn visit_protocol(&mut self, body: &[u8]) -> Result<(), Error> {
        self.request("visit-protocol", body).await.map(|_| ())
    }

    async fn rekey(&mut self) -> Result<(), Error> {
        Err(Error::Signs("rekey"))
    }

    fn is_rekey_due(&self) -> bool {
        false
    }

    /// Its key stays the same, so no tenant can give it to another.
    async fn transfer_if_due(&mut self) -> Result<bool, Error> {
        Ok(false)
    }

    fn stored_certificate(&self) -> Result<Option<Certificate>, Error> {
        certificate::stored(self.directory.files(), &self.config, &self.enrolled.key.into())
    }

    fn known_time(&self) -> u64 {
        self.time.saturating_add(self.contact.map_or(0, |contact| contact.elapsed().as_secs()))
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn rest(&mut self) {
        self.directory.rest();
    }

    async fn wake(&mut self) -> Result<(), Error> {
        self.directory.wake().await?;
        // Somebody may have enrolled the device again.
        let files = self.directory.files();
        self.enrolled = files.signing_key()?.ok_or_else(|| files.no_signing_key())?;
        Ok(())
    }

    fn random(&mut self) -> Result<u64, Error> {
        self.entropy.array().map(u64::from_be_bytes).map_err(|_| Error::Fault("the source of randomness"))
    }
}

/// One for the request, the others for a challenge that took too long and for a reply that somebody changed.
const ATTEMPTS: usize = 3;
