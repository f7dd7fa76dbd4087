//! The first step by which a device is enrolled by a key in its TPM. The structures are as TPM 2.0 marshals them; only `wardein-attest`
//! reads them.
//!
//! The second step brings a secret, which this crate has none of: what carries it is of the crate that holds it.

use crate::PcrSelection;
use alloc::vec::Vec;

/// What a device shows of its TPM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TpmEvidence {
    /// TPM2B_PUBLIC of its endorsement key.
    pub ek_public: Vec<u8>,
    /// The certificate of that key, DER, with the CAs above it; perhaps none.
    pub ek_certificates: Vec<Vec<u8>>,
    /// TPM2B_PUBLIC of its attestation key.
    pub ak_public: Vec<u8>,
}

/// What the TPM is to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TpmChallenge {
    /// For the second step, as it is.
    pub ticket: Vec<u8>,
    /// For TPM2_ActivateCredential: the contents of a TPM2B_ID_OBJECT.
    pub id_object: Vec<u8>,
    /// For TPM2_ActivateCredential: the contents of a TPM2B_ENCRYPTED_SECRET.
    pub encrypted_secret: Vec<u8>,
    /// The qualifying data of TPM2_Certify, and of TPM2_Quote.
    pub nonce: [u8; 32],
    /// The PCRs to quote with that nonce, if the profile asks for it.
    pub quote: Option<PcrSelection>,
}
