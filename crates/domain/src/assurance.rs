//! How surely a key lives where it is said to live.

use core::fmt;

/// How surely a device's key cannot leave its hardware: what the record, the verdict and the certificate say of it. Strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Assurance {
    /// In a TPM whose endorsement key is certified by its vendor.
    TpmVendor,
    /// In a TPM whose endorsement key is on the list of the factory.
    TpmListed,
    /// In what said at its first use that it is a TPM; any program can say so.
    TpmFirstUse,
}

impl Assurance {
    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::TpmVendor => "tpm-vendor",
            Self::TpmListed => "tpm-listed",
            Self::TpmFirstUse => "tpm-first-use",
        }
    }
}

impl fmt::Display for Assurance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
