//! The device's certificate: judged when it comes, read again from where it is stored.

use crate::config::Config;
use crate::directory::Files;
use crate::error::Error;
use crate::frames;
use wardein_crypto::VerifyingKey;
use wardein_domain::{RenewalWindow, Serial};
use wardein_pki::{DeviceIdentity, pem, verify_device_chain};

/// What the device's certificate says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Certificate {
    /// Its serial.
    pub serial: Serial,
    /// The first Unix second of its validity.
    pub not_before: u64,
    /// The last Unix second of its validity.
    pub not_after: u64,
    /// When it is to be renewed.
    pub renewal: RenewalWindow,
}

/// Why a certificate that came is not stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The reply's body is not a row of framed certificates.
    #[error("the reply's body is not 2 to {MAX_CHAIN} framed certificates")]
    Body,
    /// The trust bundle that came has no roots, or too many.
    #[error("the trust bundle that came does not have 1 to {} roots", wardein_pki::PinBundle::MAX_ROOTS)]
    Roots,
    /// The trust roots in device.toml cannot be read.
    #[error("trust_roots: {0}")]
    TrustRoots(pem::PemError),
    /// The chain does not lead from a device's certificate to a trusted root.
    #[error("{0}")]
    Chain(wardein_pki::CertificateError),
    /// The key that was made is not whole, or of another kind than was asked for.
    #[error("the key that the authority made cannot be read, or is of another kind than was asked for")]
    MadeKey,
    /// It certifies another key.
    #[error("it is for another key than the device's")]
    OtherKey,
    /// It names another device.
    #[error("it is for {0}")]
    OtherDevice(String),
    /// The authority's own time lies outside its validity.
    #[error("it is valid from {not_before} to {not_after} (Unix seconds), the authority's time is {now}")]
    NotValidNow {
        /// The first Unix second of its validity.
        not_before: u64,
        /// The last Unix second of its validity.
        not_after: u64,
        /// The authority's time.
        now: u64,
    },
}

/// The certificates in the reply of the action `certificate`, leaf first (DDKG-1 section 8).
pub(crate) fn split(body: &[u8]) -> Result<Vec<&[u8]>, CertificateError> {
    let chain = frames::split(body).ok_or(CertificateError::Body)?;
    (2..=MAX_CHAIN).contains(&chain.len()).then_some(chain).ok_or(CertificateError::Body)
}

/// Judges a chain: it leads to a trust root, is for this device and its own `key`, and is valid at `now`, which an ack told.
/// The device's own clock is not asked: it may be wrong by years. It is renewed when the authority said, within bounds.
pub(crate) fn check(
    chain: &[&[u8]],
    key: &VerifyingKey,
    config: &Config,
    (now, told): (u64, Option<RenewalWindow>),
) -> Result<Certificate, CertificateError> {
    let certificate = recognize(chain, key, config)?;
    let Certificate { not_before, not_after, .. } = certificate;
    if !(not_before..=not_after).contains(&now) {
        return Err(CertificateError::NotValidNow { not_before, not_after, now });
    }
    let told = told.filter(|window| window.is_of(now, not_after));
    Ok(Certificate { renewal: told.unwrap_or(certificate.renewal), ..certificate })
}

/// The chain as the file certificate.pem.
pub(crate) fn to_pem(chain: &[&[u8]]) -> Result<String, Error> {
    pem::encode_certificates(chain.iter().copied()).map_err(|_| Error::Fault("writing certificates as PEM"))
}

/// The certificate that is stored, which must be for `key`; `None` where there is none.
pub(crate) fn stored(
    files: &Files,
    config: &Config,
    key: &VerifyingKey,
) -> Result<Option<Certificate>, Error> {
    let Some(text) = files.certificate()? else { return Ok(None) };
    let chain = pem::decode_certificates(&text).map_err(|error| files.certificate_damaged(error))?;
    let chain: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
    let found = recognize(&chain, key, config).map_err(|error| files.certificate_damaged(error))?;
    let noted = files.renewal(&found.serial).filter(|noted| noted.is_of(found.not_before, found.not_after));
    Ok(Some(Certificate { renewal: noted.unwrap_or(found.renewal), ..found }))
}

fn recognize(chain: &[&[u8]], key: &VerifyingKey, config: &Config) -> Result<Certificate, CertificateError> {
    let roots = pem::decode_certificates(&config.trust_roots).map_err(CertificateError::TrustRoots)?;
    let roots: Vec<&[u8]> = roots.iter().map(Vec::as_slice).collect();
    let (identity, certified) = verify_device_chain(chain, &roots).map_err(CertificateError::Chain)?;
    if certified.verifying_key() != key {
        return Err(CertificateError::OtherKey);
    }
    let DeviceIdentity { serial, tenant, device, validity, .. } = identity;
    if tenant != config.device.tenant || device != config.device.device {
        return Err(CertificateError::OtherDevice(format!("{tenant}/{device}")));
    }
    let (not_before, not_after) = (validity.not_before(), validity.not_after());
    let renewal = RenewalWindow::at(RenewalWindow::DEFAULT_SHARE, not_before, not_after);
    Ok(Certificate { serial, not_before, not_after, renewal })
}

const MAX_CHAIN: usize = 8;
