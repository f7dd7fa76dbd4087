//! What the root key can be under, and what a custody file says of it.

use crate::kms::KmsProtection;
use crate::tpm::TpmProtection;
use crate::{CustodyError, Passphrase};
use std::fmt;
use std::path::PathBuf;

/// What the root key is, or is to be, under.
pub enum Protection {
    /// A passphrase.
    Passphrase(Passphrase),
    /// A key file, which [`crate::create`] makes where there is none, and [`crate::open`] reads.
    KeyFile(PathBuf),
    /// A TPM, with a passphrase for where it does not give the key.
    Tpm(TpmProtection),
    /// A key of AWS KMS, with a passphrase or without.
    AwsKms(KmsProtection),
}

/// Which protection it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A passphrase.
    Passphrase,
    /// A key file.
    KeyFile,
    /// A TPM.
    Tpm,
    /// A key of AWS KMS.
    AwsKms,
}

/// What a guess of the passphrase costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argon2Cost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Argon2Cost {
    /// The second recommended option of RFC 9106 §4: 64 MiB, 3 passes, 4 lanes.
    pub const RECOMMENDED: Self = Self { memory_kib: 64 * 1024, passes: 3, lanes: 4 };

    /// Whether it is neither too cheap for the attacker nor too dear for us: 19 MiB (the least that OWASP recommends) to 1 GiB, 2
    /// to 16 passes, 1 to 16 lanes.
    pub(crate) fn check(self) -> Result<(), CustodyError> {
        let bounds = [
            ("memory_kib", self.memory_kib, 19 * 1024, 1024 * 1024),
            ("passes", self.passes, 2, 16),
            ("lanes", self.lanes, 1, 16),
        ];
        bounds.into_iter().try_for_each(|(field, value, min, max)| {
            (min..=max).contains(&value).then_some(()).ok_or(CustodyError::Bounds { field, value, min, max })
        })
    }
}

impl Protection {
    /// Which it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Passphrase(_) => Kind::Passphrase,
            Self::KeyFile(_) => Kind::KeyFile,
            Self::Tpm(_) => Kind::Tpm,
            Self::AwsKms(_) => Kind::AwsKms,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passphrase => "passphrase",
            Self::KeyFile => "key file",
            Self::Tpm => "TPM",
            Self::AwsKms => "key of AWS KMS",
        })
    }
}

/// What a custody file says to everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// What the root key is under.
    pub kind: Kind,
    /// What a guess of the passphrase costs, where one opens it.
    pub cost: Option<Argon2Cost>,
    /// The registers to whose state a TPM sealed it.
    pub registers: Option<String>,
    /// The key of AWS KMS that wraps it.
    pub kms_key: Option<String>,
    /// The trust domain for which KMS wraps it.
    pub authority: Option<String>,
    /// The versions of the root key; two while it is being changed.
    pub versions: Vec<u32>,
}
