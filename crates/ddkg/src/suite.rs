//! The suites and their key agreements (specification, sections 1 and 4).

use crate::derive::derive_prk;
use crate::tree::GenerationRoot;
use crate::wire::{DecodeError, Problem};
use alloc::vec::Vec;
use wardein_crypto::{
    Digest, Entropy, EntropyError, EphemeralKey, InvalidPoint, P256_POINT_LEN, Prk, Secret,
};
#[cfg(feature = "suite2")]
use wardein_crypto::{ML_KEM_768_CIPHERTEXT_LEN, ML_KEM_768_KEY_LEN, MlKemSeed, ml_kem_encapsulate};

/// Which key agreement a generation comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Suite {
    /// Suite 1: ECDH on P-256.
    P256,
    /// Suite 2: suite 1 and ML-KEM-768, hybrid.
    #[cfg(feature = "suite2")]
    P256MlKem768,
}

impl Suite {
    /// The number that enters transcripts.
    pub fn number(self) -> u16 {
        match self {
            Self::P256 => 1,
            #[cfg(feature = "suite2")]
            Self::P256MlKem768 => 2,
        }
    }

    /// The suite of that number. Suite 2 exists where the feature `suite2` is built in.
    pub fn from_number(number: u16) -> Result<Self, DecodeError> {
        match number {
            1 => Ok(Self::P256),
            #[cfg(feature = "suite2")]
            2 => Ok(Self::P256MlKem768),
            _ => {
                let max = if cfg!(feature = "suite2") { 2 } else { 1 };
                Err(Problem::Range { value: number.into(), min: 1, max }.of("suite"))
            }
        }
    }

    fn device_share_len(self) -> usize {
        match self {
            Self::P256 => P256_POINT_LEN,
            #[cfg(feature = "suite2")]
            Self::P256MlKem768 => P256_POINT_LEN + ML_KEM_768_KEY_LEN,
        }
    }

    fn authority_share_len(self) -> usize {
        match self {
            Self::P256 => P256_POINT_LEN,
            #[cfg(feature = "suite2")]
            Self::P256MlKem768 => P256_POINT_LEN + ML_KEM_768_CIPHERTEXT_LEN,
        }
    }
}

/// The most bytes of a share of any suite.
pub(crate) const MAX_SHARE: usize = 65 + 1184;

macro_rules! share {
    ($(#[$doc:meta])* $name:ident, $field:literal, $length:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            suite: Suite,
            bytes: Vec<u8>,
        }

        impl $name {
            /// A share of `suite`, which fixes its length. Whether its point is on the curve shows when it is used.
            pub fn new(suite: Suite, bytes: &[u8]) -> Result<Self, DecodeError> {
                let (length, exact) = (bytes.len(), suite.$length());
                if length != exact {
                    return Err(Problem::Length { length, min: exact, max: exact }.of($field));
                }
                Ok(Self { suite, bytes: bytes.to_vec() })
            }

            /// The suite that the share is of.
            pub fn suite(&self) -> Suite {
                self.suite
            }

            /// The share as sent.
            pub fn as_bytes(&self) -> &[u8] {
                &self.bytes
            }

            fn point(&self) -> Result<&[u8; P256_POINT_LEN], ShareInvalid> {
                self.bytes.first_chunk().ok_or(ShareInvalid)
            }

            #[cfg(feature = "suite2")]
            fn kem<const N: usize>(&self) -> Result<&[u8; N], ShareInvalid> {
                self.bytes.last_chunk().ok_or(ShareInvalid)
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.bytes
            }
        }
    };
}

share! {
    /// The device's half: a P-256 point; in suite 2 followed by an ML-KEM-768 encapsulation key.
    DeviceShare, "device share", device_share_len
}
share! {
    /// The authority's half: a P-256 point; in suite 2 followed by an ML-KEM-768 ciphertext.
    AuthorityShare, "authority share", authority_share_len
}

/// The peer's share is not a point of P-256, or no valid encapsulation key (FIPS 203 §7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the share is not a valid public key of its suite")]
pub struct ShareInvalid;

impl From<InvalidPoint> for ShareInvalid {
    fn from(InvalidPoint: InvalidPoint) -> Self {
        Self
    }
}

/// The device's private half of one agreement, which consumes it.
pub(crate) struct DeviceEphemeral {
    p256: EphemeralKey,
    #[cfg(feature = "suite2")]
    kem: Option<MlKemSeed>,
}

impl DeviceEphemeral {
    pub(crate) fn generate(
        suite: Suite,
        entropy: &mut impl Entropy,
    ) -> Result<(Self, DeviceShare), EntropyError> {
        let p256 = EphemeralKey::generate(entropy)?;
        #[cfg_attr(not(feature = "suite2"), allow(unused_mut, reason = "only ML-KEM adds to it"))]
        let mut bytes = p256.public().to_vec();
        #[cfg(feature = "suite2")]
        let kem = match suite {
            Suite::P256 => None,
            Suite::P256MlKem768 => {
                let seed = MlKemSeed::new(entropy.secret()?);
                bytes.extend_from_slice(&seed.encapsulation_key());
                Some(seed)
            }
        };
        let ephemeral = Self {
            p256,
            #[cfg(feature = "suite2")]
            kem,
        };
        Ok((ephemeral, DeviceShare { suite, bytes }))
    }

    pub(crate) fn agree(self, share: &AuthorityShare) -> Result<Agreed, ShareInvalid> {
        Ok(Agreed {
            ecdh: self.p256.agree(share.point()?)?,
            #[cfg(feature = "suite2")]
            kem: match self.kem {
                Some(seed) if share.suite == Suite::P256MlKem768 => Some(seed.decapsulate(share.kem()?)),
                None if share.suite == Suite::P256 => None,
                _ => return Err(ShareInvalid),
            },
        })
    }
}

/// The authority's whole part of one agreement: its share, and the secret shared with the device.
pub(crate) fn answer(
    share: &DeviceShare,
    entropy: &mut impl Entropy,
) -> Result<(AuthorityShare, Agreed), AnswerError> {
    let p256 = EphemeralKey::generate(entropy).map_err(AnswerError::Entropy)?;
    #[cfg_attr(not(feature = "suite2"), allow(unused_mut, reason = "only ML-KEM adds to it"))]
    let mut bytes = p256.public().to_vec();
    let point = share.point().map_err(AnswerError::Share)?;
    let ecdh = p256.agree(point).map_err(|_| AnswerError::Share(ShareInvalid))?;
    #[cfg(feature = "suite2")]
    let kem = match share.suite {
        Suite::P256 => None,
        Suite::P256MlKem768 => {
            let key = share.kem().map_err(AnswerError::Share)?;
            let m = entropy.secret().map_err(AnswerError::Entropy)?;
            let (ciphertext, shared) =
                ml_kem_encapsulate(key, &m).map_err(|_| AnswerError::Share(ShareInvalid))?;
            bytes.extend_from_slice(&ciphertext);
            Some(shared)
        }
    };
    let agreed = Agreed {
        ecdh,
        #[cfg(feature = "suite2")]
        kem,
    };
    Ok((AuthorityShare { suite: share.suite, bytes }, agreed))
}

pub(crate) enum AnswerError {
    Share(ShareInvalid),
    Entropy(EntropyError),
}

/// The shared secret after an agreement: `ikm` of section 4.
pub(crate) struct Agreed {
    ecdh: Secret<32>,
    #[cfg(feature = "suite2")]
    kem: Option<Secret<32>>,
}

impl Agreed {
    /// `expand(HKDF-Extract(salt, ikm), "root", transcript)`; the shared secrets are wiped.
    pub(crate) fn root(self, salt: &[u8], transcript: &Digest) -> GenerationRoot {
        GenerationRoot(derive_prk(&self.extract(salt), "root", transcript.as_ref()))
    }

    #[cfg(not(feature = "suite2"))]
    fn extract(&self, salt: &[u8]) -> Prk {
        Prk::extract(salt, self.ecdh.expose())
    }

    #[cfg(feature = "suite2")]
    fn extract(&self, salt: &[u8]) -> Prk {
        match &self.kem {
            None => Prk::extract(salt, self.ecdh.expose()),
            Some(kem) => {
                let both = Secret::<64>::filled(|out| {
                    let (first, second) = out.split_at_mut(32);
                    first.copy_from_slice(self.ecdh.expose());
                    second.copy_from_slice(kem.expose());
                });
                Prk::extract(salt, both.expose())
            }
        }
    }

    /// An agreement that was made elsewhere, such as in a vector: `ikm` of 32 bytes, or 64 in suite 2.
    #[cfg(any(test, feature = "vectors"))]
    pub(crate) fn from_ikm(ikm: &[u8]) -> Self {
        Self {
            ecdh: Secret::copied_from(ikm.first_chunk().expect("32 bytes at least")),
            #[cfg(feature = "suite2")]
            kem: ikm.get(32..64).map(|kem| Secret::copied_from(kem.try_into().expect("32 bytes"))),
        }
    }
}
