//! A key of AWS KMS: it wraps a random key, and is had back from KMS alone, by who may use it there.

use crate::{CustodyError, Passphrase};

/// A key of KMS, and a passphrase that opens the root key where KMS does not, if there is to be one.
pub struct KmsProtection {
    /// Which key.
    pub target: KmsTarget,
    /// For the day on which KMS cannot be reached or the key is gone.
    pub recovery: Option<Passphrase>,
}

#[cfg(feature = "aws-kms")]
pub use present::KmsTarget;

#[cfg(not(feature = "aws-kms"))]
pub use absent::KmsTarget;

#[cfg(feature = "aws-kms")]
mod present {
    use super::CustodyError;
    use crate::format::Hex;
    use std::fmt;
    use wardein_crypto::{Secret, hex};
    use wardein_kms::{Context, Environment, KeyArn, Kms, KmsError};

    /// A key of KMS, for an authority.
    #[derive(Clone)]
    pub struct KmsTarget {
        key: KeyArn,
        authority: String,
        environment: Environment,
    }

    impl KmsTarget {
        /// The key by its ARN, for the authority of that trust domain. How it is reached, and by which credentials, is in
        /// `environment`.
        pub fn parse(key: &str, authority: &str, environment: Environment) -> Result<Self, CustodyError> {
            Ok(Self { key: key.parse()?, authority: authority.to_owned(), environment })
        }

        pub(crate) fn key(&self) -> String {
            self.key.to_string()
        }

        pub(crate) fn authority(&self) -> &str {
            &self.authority
        }

        pub(crate) fn wrap(&self, salt: &Hex<16>, key: &Secret<32>) -> Result<Vec<u8>, CustodyError> {
            Ok(Kms::new(&self.key, &self.environment)?.encrypt(&context(&self.authority, salt), key)?)
        }
    }

    impl fmt::Display for KmsTarget {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "key {} of AWS KMS", self.key)
        }
    }

    /// What [`KmsTarget::wrap`] wrapped by the key `recorded`, or by its replica in another region.
    pub(crate) fn unwrap(
        recorded: &str,
        replica: Option<&str>,
        environment: &Environment,
        context_of: (&str, &Hex<16>),
        wrapped: &[u8],
    ) -> Result<Secret<32>, CustodyError> {
        let recorded: KeyArn = recorded.parse()?;
        let replica: Option<KeyArn> = replica.map(str::parse).transpose()?;
        let key = replica.filter(|replica| replica.is_replica_of(&recorded)).unwrap_or(recorded);
        let (authority, salt) = context_of;
        Ok(Kms::new(&key, environment)?.decrypt(&context(authority, salt), wrapped)?)
    }

    /// The trust domain, which policies of KMS can ask for, and the salt, which is this custody file's alone.
    fn context(authority: &str, salt: &Hex<16>) -> Context {
        Context::of([
            ("wardein:trust-domain", authority.to_owned()),
            ("wardein:custody", hex::encode(&salt.0)),
        ])
    }

    impl From<KmsError> for CustodyError {
        fn from(error: KmsError) -> Self {
            Self::Kms { code: error.code(), is_passing: error.is_passing(), reason: error.to_string() }
        }
    }
}

#[cfg(not(feature = "aws-kms"))]
mod absent {
    use super::CustodyError;
    use crate::Environment;
    use crate::format::Hex;
    use std::convert::Infallible;
    use std::fmt;
    use wardein_crypto::Secret;

    /// None: this build cannot speak to KMS.
    #[derive(Clone)]
    pub struct KmsTarget(Infallible);

    impl KmsTarget {
        /// Says that this build has none.
        pub fn parse(_: &str, _: &str, _: Environment) -> Result<Self, CustodyError> {
            Err(CustodyError::NoKms)
        }

        pub(crate) fn key(&self) -> String {
            match self.0 {}
        }

        pub(crate) fn authority(&self) -> &str {
            match self.0 {}
        }

        pub(crate) fn wrap(&self, _: &Hex<16>, _: &Secret<32>) -> Result<Vec<u8>, CustodyError> {
            match self.0 {}
        }
    }

    impl fmt::Display for KmsTarget {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self.0 {}
        }
    }

    pub(crate) fn unwrap(
        _: &str,
        _: Option<&str>,
        _: &Environment,
        _: (&str, &Hex<16>),
        _: &[u8],
    ) -> Result<Secret<32>, CustodyError> {
        Err(CustodyError::NoKms)
    }
}

#[cfg(not(feature = "aws-kms"))]
pub(crate) use absent::unwrap;
#[cfg(feature = "aws-kms")]
pub(crate) use present::unwrap;

/// Where credentials for KMS come from.
#[cfg(feature = "aws-kms")]
pub use wardein_kms::Environment;

/// Where credentials for KMS would come from.
#[cfg(not(feature = "aws-kms"))]
#[derive(Clone, Default)]
pub struct Environment;

#[cfg(not(feature = "aws-kms"))]
impl Environment {
    /// That of this process.
    pub fn of_process() -> Self {
        Self
    }
}
