//! The TPM of this machine: a key is sealed to it and to the state of its registers, and is had back from it alone.

use crate::{CustodyError, Passphrase};

/// A TPM, the registers that a key is to be sealed to, and the passphrase that opens it where the TPM does not.
pub struct TpmProtection {
    /// Where the TPM is, and which registers.
    pub target: TpmTarget,
    /// For the day on which the registers have other values, or the TPM is gone.
    pub recovery: Passphrase,
}

#[cfg(feature = "tpm")]
pub use present::TpmTarget;

#[cfg(not(feature = "tpm"))]
pub use absent::TpmTarget;

#[cfg(feature = "tpm")]
mod present {
    use super::CustodyError;
    use std::fmt;
    use wardein_crypto::{Secret, SecretBytes};
    use wardein_domain::{Bank, PcrSelection};
    use wardein_tpm::{Sealed, Tcti, Tpm, TpmError};

    /// A TPM, and registers of it.
    #[derive(Debug, Clone)]
    pub struct TpmTarget {
        tcti: Tcti,
        registers: PcrSelection,
    }

    impl TpmTarget {
        /// `tcti` as tpm2-tools take it, such as `device:/dev/tpmrm0`; `registers` such as `0,2,4,7` or `sha384:7`.
        pub fn parse(tcti: &str, registers: &str) -> Result<Self, CustodyError> {
            let selection = match registers.contains(':') {
                true => registers.parse(),
                false => format!("{}:{registers}", Bank::Sha256).parse(),
            };
            let registers = selection.map_err(|_| CustodyError::Registers(registers.to_owned()))?;
            Ok(Self { tcti: place(tcti)?, registers })
        }

        /// The registers, as [`TpmTarget::parse`] takes them.
        pub(crate) fn registers(&self) -> String {
            self.registers.to_string()
        }

        /// Seals `key` to the registers as they are now.
        pub(crate) fn seal(&self, key: &Secret<32>) -> Result<Vec<u8>, CustodyError> {
            let mut tpm = Tpm::open(&self.tcti)?;
            let mut secret = SecretBytes::with_capacity(32);
            secret.extend(key.expose());
            let values = tpm.read_pcrs(self.registers)?;
            Ok(tpm.seal(&secret, Some(&values))?.encode())
        }
    }

    impl fmt::Display for TpmTarget {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{} with registers {}", self.tcti, self.registers)
        }
    }

    /// What [`TpmTarget::seal`] sealed.
    pub(crate) fn unseal(tcti: &str, sealed: &[u8]) -> Result<Secret<32>, CustodyError> {
        let sealed = Sealed::decode(sealed).map_err(|_| CustodyError::Wrapped)?;
        let secret = Tpm::open(&place(tcti)?)?.unseal(&sealed)?;
        secret.expose().try_into().map(Secret::copied_from).map_err(|_| CustodyError::Wrapped)
    }

    fn place(tcti: &str) -> Result<Tcti, CustodyError> {
        tcti.parse().map_err(|_| CustodyError::Tcti(tcti.to_owned()))
    }

    impl From<TpmError> for CustodyError {
        fn from(error: TpmError) -> Self {
            Self::Tpm { code: error.code(), reason: error.to_string() }
        }
    }
}

#[cfg(not(feature = "tpm"))]
mod absent {
    use super::CustodyError;
    use std::convert::Infallible;
    use std::fmt;
    use wardein_crypto::Secret;

    /// None: this build cannot speak to one.
    #[derive(Debug, Clone)]
    pub struct TpmTarget(Infallible);

    impl TpmTarget {
        /// Says that this build has none.
        pub fn parse(_: &str, _: &str) -> Result<Self, CustodyError> {
            Err(CustodyError::NoTpm)
        }

        pub(crate) fn registers(&self) -> String {
            match self.0 {}
        }

        pub(crate) fn seal(&self, _: &Secret<32>) -> Result<Vec<u8>, CustodyError> {
            match self.0 {}
        }
    }

    impl fmt::Display for TpmTarget {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self.0 {}
        }
    }

    pub(crate) fn unseal(_: &str, _: &[u8]) -> Result<Secret<32>, CustodyError> {
        Err(CustodyError::NoTpm)
    }
}

#[cfg(not(feature = "tpm"))]
pub(crate) use absent::unseal;
#[cfg(feature = "tpm")]
pub(crate) use present::unseal;
