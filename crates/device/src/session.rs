//! Proved requests: challenge, measurement, proof, ack; and what a refusal asks for.

use crate::attribute::measure;
use crate::authority::{Authority, CallError, Refused};
use crate::certificate::{self, Certificate};
use crate::config::Config;
use crate::directory::{Contact, Directory};
use crate::error::Error;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, timeout};
use wardein_crypto::Entropy;
use wardein_ddkg::device::{Acknowledged, Clock, DeviceError, DeviceState};
use wardein_domain::Action;
use wardein_pki::Csr;

/// An enrolled device that can ask for things, one at a time.
pub struct Session<A, E> {
    directory: Directory,
    config: Config,
    state: DeviceState,
    authority: A,
    pub(crate) entropy: E,
    root: PathBuf,
    /// When the last ack of this process came.
    contact: Option<Instant>,
}

/// How one attempt ended.
enum Attempt {
    Acknowledged(Acknowledged),
    /// Asking anew may help; if it does not, this is why it failed.
    Again(Error),
}

impl<A: Authority, E: Entropy> Session<A, E> {
    /// A session of the device that `directory` holds. Attributes lie below `root`, which is `/` but in tests.
    pub fn new(
        directory: Directory,
        config: Config,
        authority: A,
        entropy: E,
        root: PathBuf,
    ) -> Result<Self, Error> {
        let state = directory.files().state(&config)?.ok_or_else(|| directory.files().not_enrolled())?;
        Ok(Self { directory, config, state, authority, entropy, root, contact: None })
    }

    /// Shows that the device is there, and learns the time, which it gives in Unix seconds.
    pub async fn authenticate(&mut self) -> Result<u64, Error> {
        Ok(self.request("authenticate", b"").await?.server_time)
    }

    /// A new certificate for the device's own key, checked and stored.
    pub async fn certificate(&mut self) -> Result<Certificate, Error> {
        let key = self.directory.key_or_new()?;
        let csr = Csr::create(&key).map_err(|_| Error::Fault("signing with device.key"))?;
        let acknowledged = self.request("certificate", &csr).await?;
        let chain = certificate::split(&acknowledged.body)?;
        let certificate =
            certificate::check(&chain, key.verifying_key(), &self.config, acknowledged.server_time)?;
        self.directory.save_certificate(&certificate::to_pem(&chain)?)?;
        Ok(certificate)
    }

    /// The certificate that is stored, if it is for the device's key and can be read.
    pub fn stored_certificate(&self) -> Result<Option<Certificate>, Error> {
        certificate::stored(self.directory.files(), &self.config)
    }

    /// The last time that the authority told, and what the monotonic clock has counted since (DDKG-1 §3.1).
    pub fn known_time(&self) -> u64 {
        let elapsed = self.contact.map_or(0, |contact| contact.elapsed().as_secs());
        self.state.known_time().saturating_add(elapsed)
    }

    /// What keys are taken with: where they are saved first, whence they come, what the clocks say, and randomness.
    pub(crate) fn keys(&mut self) -> (&Directory, &mut DeviceState, Clock, &mut E) {
        let elapsed = self.contact.map_or(0, |contact| contact.elapsed().as_secs());
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let clock = Clock { elapsed, wall: since.ok().map(|since| since.as_secs()) };
        (&self.directory, &mut self.state, clock, &mut self.entropy)
    }

    /// Whether the authority told this process the time.
    pub(crate) fn knows_the_time(&self) -> bool {
        self.contact.is_some()
    }

    /// What device.toml says.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Asks for `action` until it is acknowledged, or refused for a reason that asking anew does not mend.
    async fn request(&mut self, action: &'static str, body: &[u8]) -> Result<Acknowledged, Error> {
        let parsed: Action = action.parse().expect("the constant is an action");
        let mut last = Error::Fault("asking");
        for _ in 0..ATTEMPTS {
            match self.attempt(&parsed, body).await? {
                Attempt::Acknowledged(acknowledged) => {
                    self.contact = Some(Instant::now());
                    let contact = Contact { server_time: acknowledged.server_time, action: action.into() };
                    if let Err(error) = self.directory.save_contact(&contact) {
                        tracing::warn!(%error, "the last contact is not noted");
                    }
                    return Ok(acknowledged);
                }
                Attempt::Again(error) => {
                    tracing::debug!(%error, action, "asking anew");
                    last = error;
                }
            }
        }
        Err(last)
    }

    async fn attempt(&mut self, action: &Action, body: &[u8]) -> Result<Attempt, Error> {
        let ask = self.state.ask_challenge();
        let offer = in_time(self.authority.challenge(&self.config.device)).await?;
        let recipe = offer.recipe.names();
        let measured = measure(&self.config.attributes, &self.root, |name| recipe.contains(name))?.digests();
        let proof = self.state.prove(ask, &offer, &measured, action.clone(), body, &mut self.entropy)?;
        let (request, in_flight) = self.directory.save(proof)?;
        let reply = match in_time(self.authority.prove(&request, body)).await {
            Ok(reply) => reply,
            Err(CallError::Refused(refused)) => {
                let is_taught = refused.teach(&mut self.state, &request);
                return self.refused(refused, is_taught).await;
            }
            Err(other) => return Err(other.into()),
        };
        match self.state.acknowledge(in_flight, reply) {
            Ok(acknowledged) => Ok(Attempt::Acknowledged(self.directory.save(acknowledged)?)),
            // Somebody between changed the reply: it is not believed, and asking anew is safe.
            Err(error @ DeviceError::AckWrong) => Ok(Attempt::Again(error.into())),
            Err(error) => Err(error.into()),
        }
    }

    async fn refused(&mut self, refused: Refused, is_taught: bool) -> Result<Attempt, Error> {
        if is_taught || refused.asks_for_another_challenge() {
            return Ok(Attempt::Again(Error::Refused(refused)));
        }
        if refused.code != "enrollment-pending" {
            return Err(Error::Refused(refused));
        }
        // After a first ack there is nothing to confirm: the authority has lost what it knew, and a person must look.
        let Some(unsaved) = self.state.confirmation() else { return Err(Error::Refused(refused)) };
        let confirmation = self.directory.save(unsaved)?;
        match in_time(self.authority.confirm(&confirmation)).await {
            Err(CallError::Refused(refused)) if refused.code != "already-enrolled" => {
                Err(Error::Refused(refused))
            }
            Ok(()) | Err(CallError::Refused(_)) => Ok(Attempt::Again(Error::Refused(refused))),
            Err(other) => Err(other.into()),
        }
    }
}

async fn in_time<T>(call: impl Future<Output = Result<T, CallError>>) -> Result<T, CallError> {
    timeout(CALL_TIMEOUT, call).await.unwrap_or_else(|_| {
        Err(CallError::Unreachable(format!("no answer within {} seconds", CALL_TIMEOUT.as_secs())))
    })
}

/// One for the request itself, the others for the refusals that ask for a second try: an epoch, a confirmation, a
/// challenge, and one to spare for each of two false answers.
const ATTEMPTS: usize = 6;
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
