//! The certificates that the device trusts, as a later trust bundle has them: in device.toml, in the place of those before.

use super::Directory;
use crate::certificate::CertificateError;
use crate::config::Config;
use crate::error::Error;
use std::collections::BTreeSet;
use wardein_pki::{PinBundle, pem, roots_of};

impl Directory {
    /// Stores the roots of a trust bundle durably, where they are others than those of `config`, and gives them. The authority has vouched
    /// for the bundle in the reply to a proof: nothing here judges it. Only roots are taken, at most [`PinBundle::MAX_ROOTS`].
    pub(crate) fn take_roots(&self, config: &Config, bundle: &[u8]) -> Result<Option<String>, Error> {
        let came = std::str::from_utf8(bundle).ok().and_then(|bundle| roots_of(bundle).ok());
        let came = came.ok_or(CertificateError::Roots)?;
        let (news, held) = (set(&came)?, set(&config.trust_roots)?);
        if news.len() > PinBundle::MAX_ROOTS {
            return Err(CertificateError::Roots.into());
        }
        if news == held {
            return Ok(None);
        }
        let present = self.files.config()?.unwrap_or_else(|| config.clone());
        self.save_config(&Config { trust_roots: came.clone(), ..present })?;
        Ok(Some(came))
    }
}

/// Their order says nothing.
fn set(roots: &str) -> Result<BTreeSet<Vec<u8>>, CertificateError> {
    let roots = pem::decode_certificates(roots).map_err(CertificateError::TrustRoots)?;
    Ok(roots.into_iter().collect())
}
