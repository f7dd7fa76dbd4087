//! What a device's TPM says of its registers.

use alloc::vec::Vec;

/// A quote with the values behind it. The structures are as TPM 2.0 marshals them; only `wardein-attest` reads them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// TPMS_ATTEST of TPM2_Quote.
    pub attested: Vec<u8>,
    /// TPMT_SIGNATURE of it by the attestation key.
    pub signature: Vec<u8>,
    /// The values of the PCRs, in order of their numbers.
    pub values: Vec<Vec<u8>>,
}
