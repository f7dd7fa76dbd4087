//! The endorsement key: by it a TPM is known, and only with it a credential is opened.

use crate::Tpm;
use crate::error::{Doing, TpmError};
use crate::keys::{is_present, read_public, with_key, with_persistent, with_transient};
use crate::session::{flushed, policy_session};
use crate::template::{Slot, is_of, public_bytes};
use std::fmt;
use std::str::FromStr;
use tss_esapi::Context;
use tss_esapi::abstraction::{AsymmetricAlgorithmSelection, ek};
use tss_esapi::handles::{AuthHandle, KeyHandle};
use tss_esapi::interface_types::algorithm::HashingAlgorithm;
use tss_esapi::interface_types::ecc::EccCurve;
use tss_esapi::interface_types::key_bits::RsaKeyBits;
use tss_esapi::interface_types::resource_handles::Hierarchy;
use tss_esapi::interface_types::session_handles::{AuthSession, PolicySession};
use tss_esapi::structures::{Digest, DigestList, EncryptedSecret, IdObject, Nonce, Public};
use wardein_crypto::SecretBytes;

/// Which endorsement key: a TPM has one for each template of the TCG EK Credential Profile for TPM Family 2.0 (annex B) that it
/// implements, and its vendor certifies one or two of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EkKind {
    /// Template L-1: what nearly every TPM has a certificate for.
    Rsa2048,
    /// Template L-2.
    P256,
    /// Template H-3.
    P384,
}

/// The text is none of `rsa2048`, `p256` and `p384`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an endorsement key is one of rsa2048, p256 and p384")]
pub struct InvalidEkKind;

impl EkKind {
    /// All of them, the most common first.
    pub const ALL: [Self; 3] = [Self::Rsa2048, Self::P256, Self::P384];

    fn name(self) -> &'static str {
        match self {
            Self::Rsa2048 => "rsa2048",
            Self::P256 => "p256",
            Self::P384 => "p384",
        }
    }

    fn selection(self) -> AsymmetricAlgorithmSelection {
        match self {
            Self::Rsa2048 => AsymmetricAlgorithmSelection::Rsa(RsaKeyBits::Rsa2048),
            Self::P256 => AsymmetricAlgorithmSelection::Ecc(EccCurve::NistP256),
            Self::P384 => AsymmetricAlgorithmSelection::Ecc(EccCurve::NistP384),
        }
    }

    /// Where it is if it is persistent (TCG TPM v2.0 Provisioning Guidance, §7.8).
    fn handle(self) -> u32 {
        match self {
            Self::Rsa2048 => 0x8101_0001,
            Self::P256 => 0x8101_0002,
            Self::P384 => 0x8101_0016,
        }
    }

    /// The NV index of its certificate (EK Credential Profile, §2.2.1.4 and §2.2.1.5).
    fn certificate_index(self) -> u32 {
        match self {
            Self::Rsa2048 => 0x01c0_0002,
            Self::P256 => 0x01c0_000a,
            Self::P384 => 0x01c0_0016,
        }
    }

    fn template(self) -> Result<Public, TpmError> {
        ek::create_ek_public_from_default_template_2(self.selection(), None)
            .doing("state the endorsement key's template")
    }
}

impl fmt::Display for EkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for EkKind {
    type Err = InvalidEkKind;

    fn from_str(text: &str) -> Result<Self, InvalidEkKind> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or(InvalidEkKind)
    }
}

/// What a TPM shows of an endorsement key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndorsementKey {
    /// TPM2B_PUBLIC.
    pub public: Vec<u8>,
    /// The vendor's certificate of it, DER; none if the TPM holds none.
    pub certificate: Option<Vec<u8>>,
}

impl Tpm {
    /// The endorsement key of this kind, with its certificate. A TPM that does not have the key persistent makes it again, which takes
    /// some seconds on hardware for RSA.
    pub fn endorsement_key(&mut self, kind: EkKind) -> Result<EndorsementKey, TpmError> {
        let public = with_endorsement_key(&mut self.context, kind, read_public)?;
        let certificate = match is_present(&mut self.context, kind.certificate_index())? {
            true => Some(self.certificate(kind)?),
            false => None,
        };
        Ok(EndorsementKey { public: public_bytes(&public)?, certificate })
    }

    /// The kind that the vendor has certified; of several the most common.
    pub fn certified_kind(&mut self) -> Result<Option<EkKind>, TpmError> {
        for kind in EkKind::ALL {
            if is_present(&mut self.context, kind.certificate_index())? {
                return Ok(Some(kind));
            }
        }
        Ok(None)
    }

    /// Opens a credential that was made for the attestation key (TPM2_ActivateCredential, part 3, §12.5).
    ///
    /// `id_object` and `encrypted_secret` are the contents of a TPM2B_ID_OBJECT and of a TPM2B_ENCRYPTED_SECRET, without their lengths.
    ///
    /// # Errors
    ///
    /// [`TpmError::Failed`] if it was made for another attestation key or for another TPM.
    pub fn activate(
        &mut self,
        kind: EkKind,
        id_object: &[u8],
        encrypted_secret: &[u8],
    ) -> Result<SecretBytes, TpmError> {
        let opening = "open the credential";
        let id_object = IdObject::try_from(id_object).doing(opening)?;
        let encrypted_secret = EncryptedSecret::try_from(encrypted_secret).doing(opening)?;
        with_key(&mut self.context, Slot::Attestation, |context, attestation| {
            with_endorsement_key(context, kind, |context, endorsement| {
                let hash =
                    if kind == EkKind::P384 { HashingAlgorithm::Sha384 } else { HashingAlgorithm::Sha256 };
                let session = policy_session(context, None, hash)?;
                flushed(context, session, |context| {
                    satisfy(context, kind, session.try_into().doing(opening)?)?;
                    let sessions = (Some(AuthSession::Password), Some(session), None);
                    let activate = |context: &mut Context| {
                        context.activate_credential(attestation, endorsement, id_object, encrypted_secret)
                    };
                    let secret = context.execute_with_sessions(sessions, activate).doing(opening)?;
                    Ok(SecretBytes::from_vec(secret.value().to_vec()))
                })
            })
        })
    }

    fn certificate(&mut self, kind: EkKind) -> Result<Vec<u8>, TpmError> {
        let reading = "read the endorsement key's certificate";
        let padded = ek::retrieve_ek_pubcert(&mut self.context, kind.selection()).doing(reading)?;
        Ok(without_padding(padded))
    }
}

/// The policy of the templates: PolicySecret of the endorsement hierarchy; in the high range it is one of two (annex B.6).
fn satisfy(context: &mut Context, kind: EkKind, session: PolicySession) -> Result<(), TpmError> {
    let authorizing = "authorize the endorsement key";
    let secret = |context: &mut Context| {
        let (nonce, digest) = (Nonce::default(), Digest::default());
        context.policy_secret(session, AuthHandle::Endorsement, nonce.clone(), digest, nonce, None)
    };
    context.execute_with_session(Some(AuthSession::Password), secret).doing(authorizing)?;
    if kind != EkKind::P384 {
        return Ok(());
    }
    let mut branches = DigestList::new();
    for branch in [POLICY_A_SHA384, POLICY_C_SHA384] {
        branches.add(Digest::try_from(branch.as_slice()).doing(authorizing)?).doing(authorizing)?;
    }
    context.execute_without_session(|context| context.policy_or(session, branches)).doing(authorizing)
}

fn with_endorsement_key<T>(
    context: &mut Context,
    kind: EkKind,
    work: impl FnOnce(&mut Context, KeyHandle) -> Result<T, TpmError>,
) -> Result<T, TpmError> {
    let template = kind.template()?;
    let is_kept = is_present(context, kind.handle())?
        && with_persistent(context, kind.handle(), |context, key| {
            Ok(is_of(&read_public(context, key)?, &template))
        })?;
    if is_kept {
        return with_persistent(context, kind.handle(), work);
    }
    let create = |context: &mut Context| {
        context.create_primary(Hierarchy::Endorsement, template, None, None, None, None)
    };
    let making = format!("make the endorsement key {kind}");
    let made = context.execute_with_session(Some(AuthSession::Password), create).doing(making)?;
    with_transient(context, made.key_handle.into(), |context| work(context, made.key_handle))
}

/// Vendors pad an index behind the certificate, which is a SEQUENCE of a length of two bytes.
fn without_padding(mut padded: Vec<u8>) -> Vec<u8> {
    if let [0x30, 0x82, high, low, ..] = padded[..] {
        padded.truncate(4 + usize::from(u16::from_be_bytes([high, low])));
    }
    padded
}

/// PolicySecret of the endorsement hierarchy by SHA-384 ("PolicyA").
const POLICY_A_SHA384: [u8; 48] = [
    0x8b, 0xbf, 0x22, 0x66, 0x53, 0x7c, 0x17, 0x1c, 0xb5, 0x6e, 0x40, 0x3c, 0x4d, 0xc1, 0xd4, 0xb6, 0x4f,
    0x43, 0x26, 0x11, 0xdc, 0x38, 0x6e, 0x6f, 0x53, 0x20, 0x50, 0xc3, 0x27, 0x8c, 0x93, 0x0e, 0x14, 0x3e,
    0x8b, 0xb1, 0x13, 0x38, 0x24, 0xcc, 0xb4, 0x31, 0x05, 0x38, 0x71, 0xc6, 0xdb, 0x53,
];

/// PolicyAuthorizeNV by SHA-384 ("PolicyC").
const POLICY_C_SHA384: [u8; 48] = [
    0xd6, 0x03, 0x2c, 0xe6, 0x1f, 0x2f, 0xb3, 0xc2, 0x40, 0xeb, 0x3c, 0xf6, 0xa3, 0x32, 0x37, 0xef, 0x2b,
    0x6a, 0x16, 0xf4, 0x29, 0x3c, 0x22, 0xb4, 0x55, 0xe2, 0x61, 0xcf, 0xfd, 0x21, 0x7a, 0xd5, 0xb4, 0x94,
    0x7c, 0x2d, 0x73, 0xe6, 0x30, 0x05, 0xee, 0xd2, 0xdc, 0x2b, 0x35, 0x93, 0xd1, 0x65,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_ends_where_its_length_says() {
        assert_eq!(without_padding(vec![0x30, 0x82, 0, 2, 1, 2, 0xff, 0xff]), [0x30, 0x82, 0, 2, 1, 2]);
        assert_eq!(without_padding(vec![0x30, 0x82, 0, 9, 1]), [0x30, 0x82, 0, 9, 1]);
        assert_eq!(without_padding(vec![0xff; 3]), [0xff; 3]);
    }

    #[test]
    fn kinds_are_read_as_they_are_written() {
        for kind in EkKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert_eq!("rsa4096".parse::<EkKind>(), Err(InvalidEkKind));
    }
}
