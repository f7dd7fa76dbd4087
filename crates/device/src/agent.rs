//! The agent: renews the certificate and the keys by itself, gives a sign of life, and waits longer the longer nobody answers.

use crate::backoff;
use crate::certificate::Certificate;
use crate::config::Config;
use crate::directory::Files;
use crate::error::Error;
use crate::service::give_protocols;
use crate::update::{OfferAnswer, tell_kept};
use std::path::PathBuf;
use std::time::Duration;
use wardein_domain::DeviceAction;
use wardein_pki::PinBundle;

/// What a round did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Round {
    /// It gave a sign of life.
    Authenticated,
    /// It renewed the certificate, which is a sign of life too.
    Renewed,
    /// It agreed on new keys, and did what else was due.
    Rekeyed,
    /// It went over to another tenant, and did what else was due.
    Transferred,
}

/// When the certificate is to be renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// There is none that can be used.
    Now,
    /// At this Unix second of known time.
    At(u64),
}

/// A device that can prove who it is: by keys that it derives, or by signatures.
#[allow(async_fn_in_trait, reason = "the agent runs on one thread; no caller needs the futures to be Send")]
pub trait Prover {
    /// Shows that the device is there, and learns the time, which it gives in Unix seconds.
    async fn authenticate(&mut self) -> Result<u64, Error>;
    /// A new certificate for the device's own key, checked and stored.
    async fn certificate(&mut self) -> Result<Certificate, Error>;
    /// The pins of the platform's keys as the authority vouches for them now, verified and stored; `None` where there are none.
    async fn pins(&mut self) -> Result<Option<PinBundle>, Error>;
    /// Trusts the roots that the authority vouches for now, in the place of those before.
    async fn roots(&mut self) -> Result<(), Error>;
    /// Takes the readers of the device's files as the authority vouches for them now. A device that cannot seal files has none.
    #[cfg(feature = "files")]
    async fn take_readers(&mut self) -> Result<(), Error>;
    /// Asks for an offer of an update, with that body (DDKG-1 §8.3).
    async fn update_offer(&mut self, body: &[u8]) -> Result<OfferAnswer, Error>;
    /// Tells what came of an installation, with that body (DDKG-1 §8.6).
    async fn update_receipt(&mut self, body: &[u8]) -> Result<(), Error>;
    /// Asks which visits of the device wait for their release (DDKG-1 §8.9); the reply body.
    async fn pending_visits(&mut self) -> Result<Vec<u8>, Error>;
    /// Releases a visit, with that body (DDKG-1 §8.9).
    async fn visit_release(&mut self, body: &[u8]) -> Result<(), Error>;
    /// Gives the protocol of a technician's session (DDKG-1 §8.7).
    async fn visit_protocol(&mut self, body: &[u8]) -> Result<(), Error>;
    /// Agrees on new keys and goes over to them.
    async fn rekey(&mut self) -> Result<(), Error>;
    /// Whether keys are to be agreed again.
    fn is_rekey_due(&self) -> bool;
    /// Goes over to another tenant, where the last reply said so; whether it did.
    async fn transfer_if_due(&mut self) -> Result<bool, Error>;
    /// The certificate that is stored, if it is for the device's key and can be read.
    fn stored_certificate(&self) -> Result<Option<Certificate>, Error>;
    /// The last time that the authority told, and what the monotonic clock has counted since, in Unix seconds.
    fn known_time(&self) -> u64;
    /// What device.toml says.
    fn config(&self) -> &Config;
    /// Lets other processes work in the state directory until [`Prover::wake`], without which nothing can be asked.
    fn rest(&mut self);
    /// Goes on where the state is now: others may have changed it meanwhile. It waits for those who are at work in it.
    async fn wake(&mut self) -> Result<(), Error>;
    /// 64 random bits.
    fn random(&mut self) -> Result<u64, Error>;
}

/// Runs a session on a schedule: renews the certificate, rekeys, sends keep-alives.
pub struct Agent<P> {
    session: P,
    /// Where the device keeps what it has to tell of its updates, and of visits.
    files: Option<(Files, PathBuf)>,
    renew: When,
    failures: u32,
}

impl<P: Prover> Agent<P> {
    /// An agent over `session`; the certificate that is stored tells it when to renew.
    pub fn new(mut session: P) -> Result<Self, Error> {
        let stored = session.stored_certificate().unwrap_or_else(|error| {
            tracing::warn!(%error, "a new certificate is asked for");
            None
        });
        let renew = match stored {
            None => When::Now,
            Some(stored) => {
                let random = session.random()?;
                When::At(backoff::within(stored.renewal, random))
            }
        };
        Ok(Self { session, files: None, renew, failures: 0 })
    }

    /// The same; it tells the authority what the state directory `files` and the visits in `spool` have for it, too.
    pub fn telling(self, files: Files, spool: PathBuf) -> Self {
        Self { files: Some((files, spool)), ..self }
    }

    /// Works until `stop`. Dropping what is under way is safe: whatever had to be saved was saved before it was sent.
    pub async fn run(&mut self, stop: impl Future<Output = ()>) -> Result<(), Error> {
        tokio::select! {
            () = stop => Ok(()),
            failed = self.forever() => failed,
        }
    }

    /// Ends only when there is no randomness, without which nothing may be asked.
    async fn forever(&mut self) -> Result<(), Error> {
        // A hospital that gets its power back is not to call all at once.
        let mut wait = backoff::after(1, self.session.random()?);
        loop {
            // Others may use the device's keys while this waits.
            self.session.rest();
            tokio::time::sleep(wait).await;
            let done = self.round().await;
            wait = self.wait_after(&done)?;
            let seconds = wait.as_secs();
            match done {
                Ok(round) => tracing::info!(?round, next_in_seconds = seconds, "done"),
                Err(error) => {
                    tracing::error!(%error, failures = self.failures, next_in_seconds = seconds, "failed");
                }
            }
        }
    }

    /// Does what is due, once, and has the state directory to itself meanwhile.
    pub async fn round(&mut self) -> Result<Round, Error> {
        self.session.wake().await?;
        let done = match self.certified().await {
            // Nothing else is taken before that.
            Err(Error::Refused(refused)) if refused.action() == DeviceAction::Rekey => {
                self.session.rekey().await?;
                self.certified().await?;
                return Ok(Round::Rekeyed);
            }
            done => done?,
        };
        self.tell().await;
        match self.session.transfer_if_due().await {
            Ok(false) => {}
            Ok(true) => {
                self.renew = When::Now;
                self.certified().await?;
                return Ok(Round::Transferred);
            }
            Err(error) => {
                tracing::warn!(%error, "the device is not transferred yet; the next round tries again");
                return Ok(done);
            }
        }
        if !self.session.is_rekey_due() {
            return Ok(done);
        }
        match self.session.rekey().await {
            Ok(_) => Ok(Round::Rekeyed),
            // The device is in service with the keys that it has, which a failed round would say it is not.
            Err(error) => {
                tracing::warn!(%error, "no new keys; the next round tries again");
                Ok(done)
            }
        }
    }

    /// Sends the receipts of updates and the protocols of visits that are kept. The device is in service without that.
    async fn tell(&mut self) {
        let Some((files, spool)) = &self.files else { return };
        let config = self.session.config().clone();
        if let Err(error) = tell_kept(files, &config, &mut self.session).await {
            tracing::warn!(%error, "receipts of updates are kept; the next round tries again");
        }
        if let Err(error) = give_protocols(spool, &config.device, &mut self.session).await {
            tracing::warn!(%error, "protocols of visits are kept; the next round tries again");
        }
    }

    /// Gives a sign of life, or renews the certificate, which is one.
    async fn certified(&mut self) -> Result<Round, Error> {
        if !self.is_renewal_due() {
            self.session.authenticate().await?;
            // The ack told the time: what seemed to have time may be late.
            if !self.is_renewal_due() {
                return Ok(Round::Authenticated);
            }
        }
        let renewed = self.session.certificate().await?;
        let random = self.session.random()?;
        self.renew = When::At(backoff::within(renewed.renewal, random));
        // Beside the certificate, and so before the first delivery and as often after. The device is in service without it.
        if let Err(error) = self.session.pins().await {
            tracing::warn!(%error, "the platform's pins are as they were; the next renewal tries again");
        }
        // While the former root is trusted: once it is not, no server can be verified by it.
        if let Err(error) = self.session.roots().await {
            tracing::warn!(%error, "the trust roots are as they were; the next renewal tries again");
        }
        #[cfg(feature = "files")]
        if let Err(error) = self.session.take_readers().await {
            tracing::warn!(%error, "the readers of files are as they were; the next renewal tries again");
        }
        Ok(Round::Renewed)
    }

    /// How long to wait after a round that ended so.
    fn wait_after(&mut self, done: &Result<Round, Error>) -> Result<Duration, Error> {
        let random = self.session.random()?;
        if let Err(error) = done {
            self.failures = self.failures.saturating_add(1);
            let is_final = matches!(error, Error::Refused(refused) if refused.action() == DeviceAction::Stop);
            return Ok(if is_final {
                backoff::around(DAY, random)
            } else {
                backoff::after(self.failures, random)
            });
        }
        self.failures = 0;
        let sign_of_life = backoff::around(self.session.config().authenticate_every, random);
        let renewal = match self.renew {
            When::Now => Duration::ZERO,
            When::At(time) => Duration::from_secs(time.saturating_sub(self.session.known_time())),
        };
        Ok(sign_of_life.min(renewal).max(SHORTEST))
    }

    fn is_renewal_due(&self) -> bool {
        match self.renew {
            When::Now => true,
            When::At(time) => time <= self.session.known_time(),
        }
    }
}

/// The body of the action `trust-bundle` for its second version.
pub(crate) const PIN_BUNDLE: [u8; 1] = [2];

const SHORTEST: Duration = Duration::from_secs(1);

/// Seconds between the attempts of a device that was revoked or retired. It does not end: nothing authenticates a refusal.
const DAY: u64 = 24 * 60 * 60;
