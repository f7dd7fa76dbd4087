//! How the device of a state directory proves who it is: by keys that it derives, or by a key in its TPM.

use crate::commands::ROOT;
use std::path::{Path, PathBuf};
use wardein_crypto::SystemEntropy;
use wardein_device::{
    Certificate, Config, Directory, Error, Link, OfferAnswer, Prover, Session, SigningSession, TpmSettings,
    TpmStation,
};
use wardein_domain::EnrolledKey;
use wardein_pki::PinBundle;

type Derives = Session<Link, SystemEntropy>;
type Signs = SigningSession<Link, SystemEntropy>;

/// One or the other, as device.toml says.
pub(crate) enum Either {
    Derives(Box<Derives>),
    Signs(Box<Signs>),
}

/// The device of `path`.
pub(crate) async fn prover(path: &Path) -> Result<Either, Error> {
    let directory = Directory::open_when_free(path).await?;
    let config = directory.files().config()?.ok_or_else(|| directory.files().not_configured())?;
    let link = Link::of(&config);
    let entropy = SystemEntropy::default();
    let Some(tpm) = config.signs_with.clone() else {
        let session = Session::new(directory, config, link, entropy, PathBuf::from(ROOT))?;
        return Ok(Either::Derives(Box::new(session)));
    };
    Ok(Either::Signs(Box::new(signing(directory, config, &tpm, link, entropy)?)))
}

/// A session of a device that derives keys, which `action` is only for.
pub(crate) async fn session(path: &Path, action: &'static str) -> Result<Derives, Error> {
    match prover(path).await? {
        Either::Derives(session) => Ok(*session),
        Either::Signs(_) => Err(Error::Signs(action)),
    }
}

#[cfg(feature = "tpm")]
fn signing(
    directory: Directory,
    config: Config,
    tpm: &TpmSettings,
    link: Link,
    entropy: SystemEntropy,
) -> Result<Signs, Error> {
    let signer = Box::new(wardein_device::open_tpm(tpm)?);
    SigningSession::new(directory, config, signer, link, entropy)
}

#[cfg(feature = "tpm")]
pub(crate) async fn enroll_signing(
    directory: &Directory,
    config: &Config,
    tpm: &TpmSettings,
    station: &mut impl TpmStation,
) -> Result<EnrolledKey, Error> {
    let mut signer = wardein_device::open_tpm(tpm)?;
    wardein_device::enroll_tpm(directory, config, &mut signer, station).await
}

/// `device.toml` names no TPM in a build that has none: it is refused when it is read.
#[cfg(not(feature = "tpm"))]
fn signing(_: Directory, _: Config, _: &TpmSettings, _: Link, _: SystemEntropy) -> Result<Signs, Error> {
    Err(Error::Fault("using a TPM that this build has not"))
}

#[cfg(not(feature = "tpm"))]
pub(crate) async fn enroll_signing(
    _: &Directory,
    _: &Config,
    _: &TpmSettings,
    _: &mut impl TpmStation,
) -> Result<EnrolledKey, Error> {
    Err(Error::Fault("using a TPM that this build has not"))
}

impl Prover for Either {
    async fn authenticate(&mut self) -> Result<u64, Error> {
        match self {
            Self::Derives(session) => session.authenticate().await,
            Self::Signs(session) => session.authenticate().await,
        }
    }

    async fn certificate(&mut self) -> Result<Certificate, Error> {
        match self {
            Self::Derives(session) => session.certificate().await,
            Self::Signs(session) => session.certificate().await,
        }
    }

    async fn pins(&mut self) -> Result<Option<PinBundle>, Error> {
        match self {
            Self::Derives(session) => session.pins().await,
            Self::Signs(session) => session.pins().await,
        }
    }

    async fn roots(&mut self) -> Result<(), Error> {
        match self {
            Self::Derives(session) => session.roots().await,
            Self::Signs(session) => session.roots().await,
        }
    }

    #[cfg(feature = "files")]
    async fn take_readers(&mut self) -> Result<(), Error> {
        match self {
            Self::Derives(session) => session.take_readers().await,
            Self::Signs(session) => session.take_readers().await,
        }
    }

    async fn update_offer(&mut self, body: &[u8]) -> Result<OfferAnswer, Error> {
        match self {
            Self::Derives(session) => session.update_offer(body).await,
            Self::Signs(session) => session.update_offer(body).await,
        }
    }

    async fn update_receipt(&mut self, body: &[u8]) -> Result<(), Error> {
        match self {
            Self::Derives(session) => session.update_receipt(body).await,
            Self::Signs(session) => session.update_receipt(body).await,
        }
    }

    async fn pending_visits(&mut self) -> Result<Vec<u8>, Error> {
        match self {
            Self::Derives(session) => session.pending_visits().await,
            Self::Signs(session) => session.pending_visits().await,
        }
    }

    async fn visit_release(&mut self, body: &[u8]) -> Result<(), Error> {
        match self {
            Self::Derives(session) => session.visit_release(body).await,
            Self::Signs(session) => session.visit_release(body).await,
        }
    }

    async fn visit_protocol(&mut self, body: &[u8]) -> Result<(), Error> {
        match self {
            Self::Derives(session) => session.visit_protocol(body).await,
            Self::Signs(session) => session.visit_protocol(body).await,
        }
    }

    async fn rekey(&mut self) -> Result<(), Error> {
        match self {
            Self::Derives(session) => session.rekey().await.map(|_| ()),
            Self::Signs(session) => session.rekey().await,
        }
    }

    fn is_rekey_due(&self) -> bool {
        match self {
            Self::Derives(session) => session.is_rekey_due(),
            Self::Signs(session) => session.is_rekey_due(),
        }
    }

    async fn transfer_if_due(&mut self) -> Result<bool, Error> {
        match self {
            Self::Derives(session) => session.transfer_if_due().await,
            Self::Signs(session) => session.transfer_if_due().await,
        }
    }

    fn stored_certificate(&self) -> Result<Option<Certificate>, Error> {
        match self {
            Self::Derives(session) => session.stored_certificate(),
            Self::Signs(session) => session.stored_certificate(),
        }
    }

    fn known_time(&self) -> u64 {
        match self {
            Self::Derives(session) => session.known_time(),
            Self::Signs(session) => session.known_time(),
        }
    }

    fn config(&self) -> &Config {
        match self {
            Self::Derives(session) => session.config(),
            Self::Signs(session) => session.config(),
        }
    }

    fn rest(&mut self) {
        match self {
            Self::Derives(session) => session.rest(),
            Self::Signs(session) => session.rest(),
        }
    }

    async fn wake(&mut self) -> Result<(), Error> {
        match self {
            Self::Derives(session) => session.wake().await,
            Self::Signs(session) => session.wake().await,
        }
    }

    fn random(&mut self) -> Result<u64, Error> {
        match self {
            Self::Derives(session) => session.random(),
            Self::Signs(session) => session.random(),
        }
    }
}
