//! Proved requests: challenge, measurement, proof, ack; and what a refusal asks for.

mod bundle;
mod made_key;
mod transfer;

pub use transfer::Transferred;

use crate::agent::Prover;
use crate::attribute::{Source, measure};
use crate::authority::{Authority, CallError, Refused, Reply};
use crate::certificate::{self, Certificate};
use crate::config::Config;
use crate::directory::{Contact, Directory, StoredKey};
use crate::error::Error;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, timeout};
use wardein_crypto::Entropy;
use wardein_ddkg::device::{Acknowledged, Clock, DeviceError, DeviceState, MadeKeyOpener};
use wardein_ddkg::{DeviceName, Purposes, Suite};
use wardein_domain::{Action, AttributeName, DeviceAction, ErrorCode, KeyKind, RenewalWindow};
use wardein_pki::{Csr, PinBundle};

/// An enrolled device that can ask for things, one at a time.
pub struct Session<A, E> {
    directory: Directory,
    config: Config,
    state: DeviceState,
    authority: A,
    entropy: E,
    root: PathBuf,
    /// When the last ack of this process came.
    contact: Option<Instant>,
    /// Whether the last reply said that keys are to be agreed again.
    is_rekey_asked: bool,
    /// Whether the last reply said that the device is to go over to another tenant.
    is_transfer_asked: bool,
    /// When the last reply said that the certificate in it is to be renewed.
    renewal_told: Option<RenewalWindow>,
}

/// Keys that were agreed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rekeyed {
    /// The new generation.
    pub generation: u64,
    /// The number of its suite.
    pub suite: u16,
    /// Whether a proof under it was acknowledged, from which on the authority takes no other.
    pub is_in_use: bool,
}

/// What is asked for.
enum Asking<'a> {
    Action(&'static str, &'a [u8]),
    /// With the purposes that it names, if any.
    Rekey(Suite, Option<Purposes>),
    Transfer(Suite),
    MadeKey(KeyKind),
}

impl Asking<'_> {
    fn action(&self) -> &'static str {
        match self {
            Self::Action(action, _) => action,
            Self::Rekey(..) => Action::REKEY,
            Self::Transfer(_) => Action::TRANSFER,
            Self::MadeKey(_) => Action::MADE_KEY,
        }
    }
}

/// How one attempt ended.
enum Attempt {
    /// With what opens a key in its body, where one was asked for.
    Acknowledged(Acknowledged, Option<MadeKeyOpener>),
    /// Asking again may help; if it does not, this is why it failed.
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
        directory.end_transfer(&config)?;
        Ok(Self {
            directory,
            config,
            state,
            authority,
            entropy,
            root,
            contact: None,
            is_rekey_asked: false,
            is_transfer_asked: false,
            renewal_told: None,
        })
    }

    /// Lets other processes work in the state directory until [`Session::wake`], without which nothing can be asked.
    pub fn rest(&mut self) {
        self.directory.rest();
    }

    /// Goes on where the state is now: others may have changed it meanwhile. It waits for those who are at work in it.
    pub async fn wake(&mut self) -> Result<(), Error> {
        if self.directory.wake().await? {
            let (device, state) = self.read().inspect_err(|_| self.directory.rest_unread())?;
            // Another process may have carried out a transfer.
            self.is_transfer_asked &= device == self.config.device;
            self.config.device = device;
            // What was counted since our last ack says nothing of a time that another process was told.
            if state.known_time() != self.state.known_time() {
                self.contact = Some(Instant::now());
            }
            if state.generation() != self.state.generation() {
                self.is_rekey_asked = false;
            }
            self.state = state;
        }
        Ok(())
    }

    /// The device's name and state as they are on disk.
    fn read(&self) -> Result<(DeviceName, DeviceState), Error> {
        let files = self.directory.files();
        let device = files.config()?.map_or_else(|| self.config.device.clone(), |config| config.device);
        let config = Config { device, ..self.config.clone() };
        let state = files.state(&config)?.ok_or_else(|| files.not_enrolled())?;
        self.directory.end_transfer(&config)?;
        Ok((config.device, state))
    }

    /// Shows that the device is there, and learns the time, which it gives in Unix seconds.
    pub async fn authenticate(&mut self) -> Result<u64, Error> {
        Ok(self.request(&Asking::Action("authenticate", b"")).await?.server_time)
    }

    /// Agrees on new keys and goes over to them. The new ones are on flash, and the former ones gone, before they are used; when
    /// it fails anywhere, or its reply is lost, the device goes on with the former ones and may ask again (DDKG-1 §6).
    ///
    /// Where the authority does not allow suite 1, suite 2 is taken, if it is built in; never the other way round, for nothing but
    /// the channel vouches for a refusal.
    pub async fn rekey(&mut self) -> Result<Rekeyed, Error> {
        let suite = self.config.suite;
        match (self.agree(suite).await, Suite::from_number(2)) {
            (Err(Error::Refused(refused)), Ok(hybrid))
                if refused.action() == DeviceAction::TakeSuite && suite != hybrid =>
            {
                tracing::warn!("suite 1 is not allowed any more; suite 2 is agreed on");
                self.agree(hybrid).await?
            }
            (done, _) => done?,
        };
        let is_in_use = match self.authenticate().await {
            Ok(_) => true,
            Err(error) => {
                tracing::warn!(%error, "the new keys are not in use yet; the next request tries again");
                false
            }
        };
        Ok(Rekeyed { generation: self.state.generation(), suite: self.state.suite().number(), is_in_use })
    }

    /// A rekey that names the purposes of device.toml where keys are kept for others. An authority older than revision 3 of the
    /// specification takes no such body; the purposes then stay as they are.
    async fn agree(&mut self, suite: Suite) -> Result<Acknowledged, Error> {
        let named = (self.config.purposes != self.state.purposes()).then_some(self.config.purposes);
        match self.request(&Asking::Rekey(suite, named)).await {
            Err(Error::Refused(refused)) if named.is_some() && refused.is(ErrorCode::Malformed) => {
                tracing::warn!("the authority agrees on no other purposes; they stay as they are");
                self.request(&Asking::Rekey(suite, None)).await
            }
            done => done,
        }
    }

    /// Whether keys are to be agreed again: by the device's own schedule, or because the last reply said so.
    pub fn is_rekey_due(&self) -> bool {
        let (agreed_at, after) = (self.state.schedule().not_before, self.config.rekey_after);
        self.is_rekey_asked || (after != 0 && agreed_at.saturating_add(after) <= self.known_time())
    }

    /// Announces what the device measures (DDKG-1 §8.1): all attributes of device.toml, those in `will_be` from there. It is proved
    /// with what is measured now, those in `was` from there.
    pub async fn announce(
        &mut self,
        will_be: &BTreeMap<AttributeName, Source>,
        was: &BTreeMap<AttributeName, Source>,
    ) -> Result<Vec<AttributeName>, Error> {
        let known = &self.config.attributes;
        if let Some(name) = will_be.keys().chain(was.keys()).find(|name| !known.contains_key(*name)) {
            let why = format!("{name} is not among those of device.toml; add it there first");
            return Err(Error::Config { field: "attributes", why });
        }
        let with = |others: &BTreeMap<AttributeName, Source>| {
            let mut sources = known.clone();
            sources.extend(others.clone());
            sources
        };
        let (coming, former) = (with(will_be), with(was));
        let announced = measure(&coming, &self.root, |_| true)?;
        self.request_measuring(&former, &Asking::Action("attributes", &announced.encode())).await?;
        Ok(coming.into_keys().collect())
    }

    /// A new certificate, checked and stored: for the device's own key, or with one that the authority makes, where device.toml says so or
    /// the device has one of a kind that it does not make.
    pub async fn certificate(&mut self) -> Result<Certificate, Error> {
        if let Some(kind) = self.config.made_key {
            return self.made_certificate(kind).await;
        }
        let key = match self.directory.key_or_new(&self.config)? {
            StoredKey::Own(key) => key,
            StoredKey::Made(key) => return self.made_certificate(key.kind()).await,
        };
        let csr = Csr::create(&key).map_err(|_| Error::Fault("signing with the device's key"))?;
        let acknowledged = self.request(&Asking::Action("certificate", &csr)).await?;
        let chain = certificate::split(&acknowledged.body)?;
        let told = (acknowledged.server_time, self.renewal_told);
        let certificate = certificate::check(&chain, &(*key.verifying_key()).into(), &self.config, told)?;
        self.directory.save_certificate(&certificate, &certificate::to_pem(&chain)?)?;
        Ok(certificate)
    }

    /// The device.
    pub fn name(&self) -> &DeviceName {
        &self.config.device
    }

    /// The certificate that is stored, if it is for the device's key and can be read.
    pub fn stored_certificate(&self) -> Result<Option<Certificate>, Error> {
        let files = self.directory.files();
        match files.key(&self.config)? {
            None => Ok(None),
            Some(key) => certificate::stored(files, &self.config, &key.verifying_key()),
        }
    }

    /// The last time that the authority told, and what the monotonic clock has counted since (DDKG-1 §3.1).
    pub fn known_time(&self) -> u64 {
        let elapsed = self.contact.map_or(0, |contact| contact.elapsed().as_secs());
        self.state.known_time().saturating_add(elapsed)
    }

    /// What keys are taken with: where they are saved first, whence they come, what the clocks say, and randomness.
    #[expect(clippy::disallowed_methods, reason = "a device's wall clock is its own, and decides nothing")]
    pub(crate) fn keys(&mut self) -> (&Directory, &Config, &mut DeviceState, Clock, &mut E) {
        let elapsed = self.contact.map_or(0, |contact| contact.elapsed().as_secs());
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let clock = Clock { elapsed, wall: since.ok().map(|since| since.as_secs()) };
        (&self.directory, &self.config, &mut self.state, clock, &mut self.entropy)
    }

    /// Whether the authority told this process the time.
    pub(crate) fn knows_the_time(&self) -> bool {
        self.contact.is_some()
    }

    /// What device.toml says.
    pub fn config(&self) -> &Config {
        &self.config
    }

    async fn request(&mut self, asking: &Asking<'_>) -> Result<Acknowledged, Error> {
        Ok(self.request_opening(asking).await?.0)
    }

    /// The same, with what opens a key in the reply's body, where one was asked for.
    async fn request_opening(
        &mut self,
        asking: &Asking<'_>,
    ) -> Result<(Acknowledged, Option<MadeKeyOpener>), Error> {
        let sources = self.config.attributes.clone();
        self.request_measuring(&sources, asking).await
    }

    /// Asks until it is acknowledged, or refused for a reason that asking again does not mend.
    async fn request_measuring(
        &mut self,
        sources: &BTreeMap<AttributeName, Source>,
        asking: &Asking<'_>,
    ) -> Result<(Acknowledged, Option<MadeKeyOpener>), Error> {
        let mut last = Error::Fault("asking");
        for _ in 0..ATTEMPTS {
            match self.attempt(sources, asking).await? {
                Attempt::Acknowledged(acknowledged, opener) => {
                    self.contact = Some(Instant::now());
                    let action = asking.action().to_owned();
                    let contact = Contact { server_time: acknowledged.server_time, action };
                    if let Err(error) = self.directory.save_contact(&contact) {
                        tracing::warn!(%error, "the last contact is not noted");
                    }
                    return Ok((acknowledged, opener));
                }
                Attempt::Again(error) => {
                    tracing::debug!(%error, action = asking.action(), "asking again");
                    last = error;
                }
            }
        }
        Err(last)
    }

    async fn attempt(
        &mut self,
        sources: &BTreeMap<AttributeName, Source>,
        asking: &Asking<'_>,
    ) -> Result<Attempt, Error> {
        let ask = self.state.ask_challenge();
        let offer = in_time(self.authority.challenge(&self.config.device)).await?;
        let recipe = offer.recipe.names();
        let measured = measure(sources, &self.root, |name| recipe.contains(name))?.digests();
        let (request, body, mut in_flight) = match asking {
            Asking::Action(action, body) => {
                let action = action.parse().expect("the constant is an action");
                let proof = self.state.prove(ask, &offer, &measured, action, body, &mut self.entropy)?;
                let (request, in_flight) = self.directory.save(&self.config, proof)?;
                (request, Cow::Borrowed(*body), in_flight)
            }
            Asking::MadeKey(kind) => {
                let (body, entropy) = (kind.as_str().as_bytes(), &mut self.entropy);
                let action = Action::MADE_KEY.parse().expect("the constant is an action");
                let proof = self.state.prove(ask, &offer, &measured, action, body, entropy)?;
                let (request, in_flight) = self.directory.save(&self.config, proof)?;
                (request, Cow::Borrowed(body), in_flight)
            }
            Asking::Rekey(suite, named) => {
                let entropy = &mut self.entropy;
                let proof = match named {
                    Some(named) => self.state.rekey_for(ask, &offer, &measured, (*suite, *named), entropy)?,
                    None => self.state.rekey(ask, &offer, &measured, *suite, entropy)?,
                };
                let (request, ask, in_flight) = self.directory.save(&self.config, proof)?;
                (request, Cow::Owned(ask.encode()), in_flight)
            }
            Asking::Transfer(suite) => {
                let proof = self.state.transfer(ask, &offer, &measured, *suite, &mut self.entropy)?;
                let (request, ask, in_flight) = self.directory.save(&self.config, proof)?;
                (request, Cow::Owned(ask.encode()), in_flight)
            }
        };
        let Reply { acked, rekey_due, transfer_due, renewal } =
            match in_time(self.authority.prove(&request, &body)).await {
                Ok(reply) => reply,
                Err(CallError::Refused(refused)) => {
                    let is_taught = refused.teach(&mut self.state, &request);
                    return self.refused(refused, is_taught).await;
                }
                Err(other) => return Err(other.into()),
            };
        let opener = in_flight.take_opener();
        match self.state.acknowledge(in_flight, acked) {
            Ok(acknowledged) if *acknowledged.device() != self.config.device => {
                let config = Config { device: acknowledged.device().clone(), ..self.config.clone() };
                let begun = self.directory.begin_transfer(&config.device);
                let saved = begun.and_then(|()| self.directory.save(&config, acknowledged));
                let acknowledged = saved.or_else(|error| self.go_back(error))?;
                self.config = config;
                (self.is_rekey_asked, self.is_transfer_asked) = (false, false);
                if let Err(error) = self.directory.end_transfer(&self.config) {
                    tracing::warn!(%error, "device.toml has the device's former name; the next start corrects it");
                }
                Ok(Attempt::Acknowledged(acknowledged, None))
            }
            Ok(acknowledged) => {
                let acknowledged = self.directory.save(&self.config, acknowledged)?;
                (self.is_rekey_asked, self.is_transfer_asked) = (rekey_due, transfer_due);
                self.renewal_told = renewal;
                Ok(Attempt::Acknowledged(acknowledged, opener))
            }
            // Somebody between changed the reply: it is not believed, and asking again is safe.
            Err(error @ DeviceError::AckWrong) => Ok(Attempt::Again(error.into())),
            Err(error) => Err(error.into()),
        }
    }

    async fn refused(&mut self, refused: Refused, is_taught: bool) -> Result<Attempt, Error> {
        if is_taught || refused.action() == DeviceAction::AskAgain {
            return Ok(Attempt::Again(Error::Refused(refused)));
        }
        if refused.action() != DeviceAction::Confirm {
            return Err(Error::Refused(refused));
        }
        // After a first ack there is nothing to confirm: the authority has lost what it knew, and a person must look.
        let Some(unsaved) = self.state.confirmation() else { return Err(Error::Refused(refused)) };
        let confirmation = self.directory.save(&self.config, unsaved)?;
        match in_time(self.authority.confirm(&confirmation)).await {
            Err(CallError::Refused(refused)) if !refused.is(ErrorCode::AlreadyEnrolled) => {
                Err(Error::Refused(refused))
            }
            Ok(()) | Err(CallError::Refused(_)) => Ok(Attempt::Again(Error::Refused(refused))),
            Err(other) => Err(other.into()),
        }
    }
}

impl<A: Authority, E: Entropy> Prover for Session<A, E> {
    async fn authenticate(&mut self) -> Result<u64, Error> {
        Self::authenticate(self).await
    }

    async fn certificate(&mut self) -> Result<Certificate, Error> {
        Self::certificate(self).await
    }

    async fn pins(&mut self) -> Result<Option<PinBundle>, Error> {
        Self::pins(self).await
    }

    async fn roots(&mut self) -> Result<(), Error> {
        Self::roots(self).await
    }

    #[cfg(feature = "files")]
    async fn take_readers(&mut self) -> Result<(), Error> {
        self.readers().await.map(|_| ())
    }

    async fn update_offer(&mut self, body: &[u8]) -> Result<crate::OfferAnswer, Error> {
        crate::OfferAnswer::opened(self.request_opening(&Asking::Action(Action::UPDATE_OFFER, body)).await?)
    }

    async fn update_receipt(&mut self, body: &[u8]) -> Result<(), Error> {
        self.request(&Asking::Action("update-receipt", body)).await.map(|_| ())
    }

    async fn pending_visits(&mut self) -> Result<Vec<u8>, Error> {
        Ok(self.request(&Asking::Action("pending-visits", b"")).await?.body)
    }

    async fn visit_release(&mut self, body: &[u8]) -> Result<(), Error> {
        self.request(&Asking::Action("visit-release", body)).await.map(|_| ())
    }

    async fn visit_protocol(&mut self, body: &[u8]) -> Result<(), Error> {
        self.request(&Asking::Action("visit-protocol", body)).await.map(|_| ())
    }

    async fn rekey(&mut self) -> Result<(), Error> {
        Self::rekey(self).await.map(|_| ())
    }

    fn is_rekey_due(&self) -> bool {
        Self::is_rekey_due(self)
    }

    async fn transfer_if_due(&mut self) -> Result<bool, Error> {
        if !self.is_transfer_due() {
            return Ok(false);
        }
        let Transferred { device, .. } = self.transfer().await?;
        tracing::info!(tenant = %device.tenant, device = %device.device, "the device went over to another tenant");
        Ok(true)
    }

    fn stored_certificate(&self) -> Result<Option<Certificate>, Error> {
        Self::stored_certificate(self)
    }

    fn known_time(&self) -> u64 {
        Self::known_time(self)
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn rest(&mut self) {
        Self::rest(self);
    }

    async fn wake(&mut self) -> Result<(), Error> {
        Self::wake(self).await
    }

    fn random(&mut self) -> Result<u64, Error> {
        self.entropy.array().map(u64::from_be_bytes).map_err(|_| Error::Fault("the source of randomness"))
    }
}

pub(crate) async fn in_time<T>(call: impl Future<Output = Result<T, CallError>>) -> Result<T, CallError> {
    timeout(CALL_TIMEOUT, call).await.unwrap_or_else(|_| {
        Err(CallError::Unreachable(format!("no answer within {} seconds", CALL_TIMEOUT.as_secs())))
    })
}

/// One for the request itself, the others for the refusals that ask for a second try: an epoch, a confirmation, a
/// challenge, and one to spare for each of two false answers.
const ATTEMPTS: usize = 6;
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
