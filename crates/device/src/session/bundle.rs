//! What the authority vouches for, asked for by proof: roots, pins, and service access.

use super::{Asking, Session};
use crate::agent::PIN_BUNDLE;
use crate::authority::Authority;
use crate::error::Error;
use crate::service::ServiceAccess;
use wardein_crypto::Entropy;
#[cfg(feature = "files")]
use wardein_files::ReaderList;
use wardein_pki::PinBundle;

impl<A: Authority, E: Entropy> Session<A, E> {
    /// The certificates that the authority vouches for now, PEM: the roots, then the issuing CAs (DDKG-1 section 8).
    pub async fn trust_bundle(&mut self) -> Result<Vec<u8>, Error> {
        Ok(self.request(&Asking::Action("trust-bundle", b"")).await?.body)
    }

    /// What sshd needs to let technicians in while they are invited (DDKG-1 section 8.4).
    pub async fn service_access(&mut self) -> Result<ServiceAccess, Error> {
        let body = self.request(&Asking::Action("service-access", b"")).await?.body;
        self.directory.end_lockout()?;
        ServiceAccess::decode(&body)
            .ok_or(Error::Fault("reading the authority's answer about service access"))
    }

    /// The readers of the device's files as the authority vouches for them now, verified and stored (DDKG-1 section 8.5).
    #[cfg(feature = "files")]
    pub async fn readers(&mut self) -> Result<ReaderList, Error> {
        let body = self.request(&Asking::Action("readers", b"")).await?.body;
        self.directory.take_readers(&self.config, &body)
    }

    /// Reports on codes for emergencies (DDKG-1 section 8.8).
    pub(crate) async fn report_emergency(&mut self, report: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.request(&Asking::Action("emergency-code", report)).await?.body)
    }

    /// The pins of the platform's keys as the authority vouches for them now, verified and stored; `None` where it has none, and none are
    /// stored (DDKG-1 section 8).
    pub async fn pins(&mut self) -> Result<Option<PinBundle>, Error> {
        let body = self.request(&Asking::Action("trust-bundle", &PIN_BUNDLE)).await?.body;
        match body.is_empty() {
            true => self.directory.files().pins(&self.config),
            false => self.directory.take_pins(&self.config, &body).map(Some),
        }
    }

    /// Trusts the roots that the authority vouches for now, in the place of those before: device.toml has them from then on.
    pub async fn roots(&mut self) -> Result<(), Error> {
        let bundle = self.trust_bundle().await?;
        if let Some(roots) = self.directory.take_roots(&self.config, &bundle)? {
            self.authority.trust(&roots);
            self.config.trust_roots = roots;
        }
        Ok(())
    }
}
