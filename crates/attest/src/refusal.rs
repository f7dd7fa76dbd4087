//! Why evidence is refused, with a stable code for each reason.

use crate::wire::ParseError;
use wardein_crypto::EntropyError;
use wardein_domain::ErrorCode;
use wardein_pki::EndorsementError;

/// Why evidence is refused. It was judged alone: nothing is changed by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The bytes are not the structure that they should be.
    #[error("{0}")]
    Structure(ParseError),
    /// The endorsement key is not one of the templates.
    #[error(
        "the endorsement key's {0} is none of the TCG templates for RSA-2048, P-256 and P-384; use the standard EK"
    )]
    EkTemplate(&'static str),
    /// Its certificate does not verify.
    #[error("endorsement key: {0}")]
    EkCertificate(EndorsementError),
    /// The certificate is of another key.
    #[error("the certificate is of another endorsement key; send the one that belongs to it")]
    EkCertificateOfAnother,
    /// There is nothing by which to trust the endorsement key.
    #[error(
        "the endorsement key has no certificate and is not listed; list its digest, or send its certificate"
    )]
    EkUntrusted,
    /// The attestation key is not bound to its TPM, not restricted, or does not only sign.
    #[error(
        "the attestation key must have fixedTPM, fixedParent, sensitiveDataOrigin, restricted and sign, and not decrypt"
    )]
    AkAttributes,
    /// It has no scheme, or a cipher.
    #[error("the attestation key must have a signing scheme and no symmetric cipher")]
    AkScheme,
    /// What came back is not what went into the credential.
    #[error(
        "the credential's secret is wrong: the two keys are not in one TPM, or it was made for another request"
    )]
    CredentialWrong,
    /// The signature claims another scheme than the attestation key's.
    #[error("the signature's scheme is not the attestation key's")]
    AttestScheme,
    /// The signature is not the attestation key's.
    #[error("the signature is not one of this statement by the attestation key")]
    AttestSignature,
    /// The statement was not made by a TPM.
    #[error("the statement does not begin with TPM_GENERATED_VALUE: no TPM made it")]
    AttestMagic,
    /// The statement is of another type.
    #[error("the statement is of another type: certify where quote is wanted, or the other way")]
    AttestType,
    /// It answers another nonce.
    #[error("the statement's qualifying data is not the nonce of this request; ask for a new one")]
    AttestNonce,
    /// It certifies another key.
    #[error("the statement certifies another key than the one that was sent")]
    CertifyName,
    /// The device's key is not bound to its TPM, or is not one that only signs.
    #[error(
        "the device's key must have fixedTPM, fixedParent, sensitiveDataOrigin and sign, and neither restricted nor decrypt"
    )]
    DeviceKeyAttributes,
    /// It is of another kind.
    #[error("the device's key must be on P-256")]
    DeviceKeyKind,
    /// Other registers were quoted than the ones that were asked for.
    #[error("the quote is of other registers or of another bank than the policy's")]
    PcrSelection,
    /// The values are not those that were quoted.
    #[error("the values of the registers do not give the digest that was quoted")]
    PcrDigest,
    /// A register has a value that it may not have.
    #[error("PCR {register} has a value that the policy does not allow")]
    PcrValue {
        /// Its number.
        register: u8,
    },
    /// The registers changed since the enrollment.
    #[error("the registers are not as they were at enrollment; an administrator must approve the change")]
    PcrChanged,
    /// A fault of the authority: its randomness failed.
    #[error("the authority's randomness failed")]
    Fault,
}

impl Refusal {
    /// The stable code.
    pub fn code(self) -> ErrorCode {
        match self {
            Self::Structure(error) => error.code(),
            Self::EkTemplate(_) => ErrorCode::EkTemplate,
            Self::EkCertificate(error) => error.code(),
            Self::EkCertificateOfAnother => ErrorCode::EkCertificateOfAnother,
            Self::EkUntrusted => ErrorCode::EkUntrusted,
            Self::AkAttributes => ErrorCode::AkAttributes,
            Self::AkScheme => ErrorCode::AkScheme,
            Self::CredentialWrong => ErrorCode::CredentialWrong,
            Self::AttestScheme => ErrorCode::AttestScheme,
            Self::AttestSignature => ErrorCode::AttestSignature,
            Self::AttestMagic => ErrorCode::AttestMagic,
            Self::AttestType => ErrorCode::AttestType,
            Self::AttestNonce => ErrorCode::AttestNonce,
            Self::CertifyName => ErrorCode::CertifyName,
            Self::DeviceKeyAttributes => ErrorCode::DeviceKeyAttributes,
            Self::DeviceKeyKind => ErrorCode::DeviceKeyKind,
            Self::PcrSelection => ErrorCode::PcrSelection,
            Self::PcrDigest => ErrorCode::PcrDigest,
            Self::PcrValue { .. } => ErrorCode::PcrValue,
            Self::PcrChanged => ErrorCode::PcrChanged,
            Self::Fault => ErrorCode::Fault,
        }
    }
}

impl From<ParseError> for Refusal {
    fn from(error: ParseError) -> Self {
        Self::Structure(error)
    }
}

impl From<EntropyError> for Refusal {
    fn from(EntropyError: EntropyError) -> Self {
        Self::Fault
    }
}
