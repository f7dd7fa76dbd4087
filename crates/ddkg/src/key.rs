//! Keys of one epoch and number, each of a type of its purpose, and their names (specification, section 3).

use crate::attribute::Binding;
use crate::derive::derive;
use crate::wire::{DecodeError, Problem, parse_name};
use core::fmt;
use core::str::FromStr;
use wardein_crypto::{AeadKey, Digest, MacKey, MacMismatch, Secret, Tag};
use wardein_domain::{DeviceId, Purpose, TenantId};

/// The device that keys, messages and records belong to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceName {
    /// The tenant that owns it.
    pub tenant: TenantId,
    /// Its id within the tenant.
    pub device: DeviceId,
}

/// The name of one key: `ddkg1:<tenant>/<device>/<g>.<p>.<e>.<n>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName {
    /// Whose key it is.
    pub owner: DeviceName,
    /// The generation, from 1.
    pub generation: u64,
    /// The purpose of the key.
    pub purpose: Purpose,
    /// The epoch.
    pub epoch: u32,
    /// The number within generation and purpose.
    pub number: u64,
}

/// The highest number of a key: one that a signed integer holds, which is what many languages and databases have.
pub const MAX_NUMBER: u64 = i64::MAX as u64;

impl KeyName {
    /// The most bytes that a name has.
    pub const MAX_LEN: usize = 6 + 63 + 1 + 128 + 1 + 20 + 1 + 5 + 1 + 10 + 1 + 19;
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { owner: DeviceName { tenant, device }, generation, purpose, epoch, number } = self;
        write!(f, "ddkg1:{tenant}/{device}/{generation}.{purpose}.{epoch}.{number}")
    }
}

impl FromStr for KeyName {
    type Err = DecodeError;

    fn from_str(text: &str) -> Result<Self, DecodeError> {
        let shape = || Problem::NotCanonical("is not ddkg1:<tenant>/<device>/<g>.<p>.<e>.<n>").of("key name");
        if text.len() > Self::MAX_LEN {
            return Err(Problem::Length { length: text.len(), min: 1, max: Self::MAX_LEN }.of("key name"));
        }
        let rest = text.strip_prefix("ddkg1:").ok_or_else(shape)?;
        let (tenant, rest) = rest.split_once('/').ok_or_else(shape)?;
        let (device, rest) = rest.split_once('/').ok_or_else(shape)?;
        let mut parts = rest.split('.');
        let mut part = || parts.next().ok_or_else(shape);
        let (generation, purpose, epoch, number) = (part()?, part()?, part()?, part()?);
        if parts.next().is_some() {
            return Err(shape());
        }
        Ok(Self {
            owner: DeviceName {
                tenant: parse_name("tenant", tenant.as_bytes())?,
                device: parse_name("device id", device.as_bytes())?,
            },
            generation: decimal("generation", generation, 1, u64::MAX)?,
            purpose: parse_name("purpose", purpose.as_bytes())?,
            epoch: decimal("epoch", epoch, 0, u64::from(u32::MAX))? as u32,
            number: decimal("number", number, 0, MAX_NUMBER)?,
        })
    }
}

/// A number in the one decimal form that it has: no sign, no leading zero.
fn decimal(field: &'static str, text: &str, min: u64, max: u64) -> Result<u64, DecodeError> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if text.is_empty() || !plain {
        return Err(Problem::NotCanonical("is not a plain decimal number").of(field));
    }
    let value = text.parse().map_err(|_| Problem::NotCanonical("does not fit in 64 bits").of(field))?;
    (min..=max).contains(&value).then_some(value).ok_or_else(|| Problem::Range { value, min, max }.of(field))
}

/// `ES[g,p,e]`: the secret of one epoch of one purpose.
pub struct EpochSecret(pub(crate) Secret<32>);

impl EpochSecret {
    pub(crate) fn duplicate(&self) -> Self {
        Self(self.0.duplicate())
    }

    /// `K[g,p,e,n]`.
    pub fn key(&self, number: u64) -> NumberKey {
        NumberKey(derive(&self.0, "key", &number.to_be_bytes()))
    }

    /// The bytes, for an implementation that is checked against vectors.
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}

/// `K[g,p,e,n]`: the secret of one number. It is turned into a key of its purpose, and used once.
pub struct NumberKey(Secret<32>);

impl NumberKey {
    /// The key that the device's mac of a proof is made with (section 5).
    pub(crate) fn device_mac(&self, binding: &Binding) -> DeviceMacKey {
        DeviceMacKey(MacKey::new(derive(&self.0, "device", binding.0.as_ref())))
    }

    /// The key that the authority's ack is made with (section 5).
    pub(crate) fn ack(&self, binding: &Binding) -> AckKey {
        AckKey(MacKey::new(derive(&self.0, "authority", binding.0.as_ref())))
    }

    /// The key of a platform token's mac (section 7).
    pub(crate) fn token_mac(&self) -> TokenMacKey {
        TokenMacKey(MacKey::new(derive(&self.0, "token", b"")))
    }

    /// The key that a payload is sealed under (section 7): K itself.
    pub fn payload(self) -> PayloadKey {
        PayloadKey(self.0)
    }

    /// The key that an age file key is wrapped under (section 7).
    pub fn file_wrap(&self) -> FileWrapKey {
        FileWrapKey(derive(&self.0, "age", b""))
    }

    /// The key that a key which the authority made is sealed under, in the reply to the proof of this number (section 8.2).
    pub(crate) fn made_key(&self, binding: &Binding) -> MadeKeySeal {
        MadeKeySeal(derive(&self.0, "made key", binding.0.as_ref()))
    }

    /// The key that the device authenticates a challenge for a technician with (section 7.1).
    pub(crate) fn service_challenge(&self) -> ServiceChallengeKey {
        ServiceChallengeKey(MacKey::new(derive(&self.0, "service challenge", b"")))
    }

    /// The key that the authority's code is made with (section 7.1).
    pub(crate) fn service_code(&self) -> ServiceCodeKey {
        ServiceCodeKey(MacKey::new(derive(&self.0, "service code", b"")))
    }

    /// The key that a device authenticates the protocol of a visit with, where it goes by a file (section 7.3).
    pub(crate) fn visit_protocol(&self) -> ProtocolMacKey {
        ProtocolMacKey(MacKey::new(derive(&self.0, "visit protocol", b"")))
    }

    /// What the code for emergencies is made of (section 7.2).
    pub(crate) fn emergency_code(&self) -> Secret<32> {
        derive(&self.0, "emergency code", b"")
    }

    /// The bytes, for an implementation that is checked against vectors.
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}

macro_rules! transcript_mac {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub(crate) struct $name(MacKey);

        impl $name {
            pub(crate) fn tag(&self, transcript: &Digest) -> Tag {
                self.0.tag(transcript.as_ref())
            }

            pub(crate) fn verify(&self, transcript: &Digest, tag: &Tag) -> Result<(), MacMismatch> {
                self.0.verify(transcript.as_ref(), tag)
            }
        }

        impl From<Secret<32>> for $name {
            fn from(secret: Secret<32>) -> Self {
                Self(MacKey::new(secret))
            }
        }
    };
}

transcript_mac! {
    /// Authenticates a device's proof.
    DeviceMacKey
}
transcript_mac! {
    /// Authenticates the authority's reply to a proof.
    AckKey
}
transcript_mac! {
    /// Authenticates a platform token.
    TokenMacKey
}
transcript_mac! {
    /// Shows that a challenge for a technician is the device's.
    ServiceChallengeKey
}
transcript_mac! {
    /// Authenticates the code that answers one.
    ServiceCodeKey
}
transcript_mac! {
    /// Authenticates the protocol of a visit.
    ProtocolMacKey
}
transcript_mac! {
    /// Confirms a key agreement, one for each end.
    ConfirmKey
}

/// Seals one payload.
pub struct PayloadKey(Secret<32>);

impl PayloadKey {
    pub(crate) fn aead(&self) -> AeadKey {
        AeadKey::aes_256_gcm(&self.0)
    }

    /// The key, for release to a platform that was granted it.
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}

impl From<Secret<32>> for PayloadKey {
    /// A key that was released to a platform.
    fn from(released: Secret<32>) -> Self {
        Self(released)
    }
}

/// Wraps the key of one age file.
pub struct FileWrapKey(Secret<32>);

impl FileWrapKey {
    pub(crate) fn aead(&self) -> AeadKey {
        AeadKey::chacha20_poly1305(&self.0)
    }

    /// The key, for release to a platform that was granted it.
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}

/// Seals one key that the authority made for a device.
pub(crate) struct MadeKeySeal(Secret<32>);

impl MadeKeySeal {
    /// The bytes, for an implementation that is checked against vectors.
    #[cfg(any(test, feature = "vectors"))]
    pub(crate) fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    pub(crate) fn aead(&self) -> AeadKey {
        AeadKey::aes_256_gcm(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_name_has_one_form() {
        let name = "ddkg1:klinik-nord/pump.0001:a/1.proof.0.9223372036854775807";
        assert_eq!(name.parse::<KeyName>().unwrap().to_string(), name);
        for (bad, field) in [
            ("ddkg2:t/d/1.proof.0.0", "key name"),
            ("ddkg1:t/d/1.proof.0", "key name"),
            ("ddkg1:t/d/1.proof.0.0.0", "key name"),
            ("ddkg1:t/d", "key name"),
            ("ddkg1:T/d/1.proof.0.0", "tenant"),
            ("ddkg1:t/ /1.proof.0.0", "device id"),
            ("ddkg1:t/d/0.proof.0.0", "generation"),
            ("ddkg1:t/d/01.proof.0.0", "generation"),
            ("ddkg1:t/d/+1.proof.0.0", "generation"),
            ("ddkg1:t/d/1.other.0.0", "purpose"),
            ("ddkg1:t/d/1.proof.4294967296.0", "epoch"),
            ("ddkg1:t/d/1.proof.0.9223372036854775808", "number"),
            ("ddkg1:t/d/1.proof.0.18446744073709551616", "number"),
            ("ddkg1:t/d/1.proof.0.", "number"),
        ] {
            assert_eq!(bad.parse::<KeyName>().unwrap_err().field, field, "{bad}");
        }
        assert_eq!("x".repeat(KeyName::MAX_LEN + 1).parse::<KeyName>().unwrap_err().field, "key name");
    }

    #[test]
    fn the_longest_name_is_as_long_as_said() {
        let name = KeyName {
            owner: DeviceName {
                tenant: "t".repeat(63).parse().unwrap(),
                device: "d".repeat(128).parse().unwrap(),
            },
            generation: u64::MAX,
            purpose: Purpose::Proof,
            epoch: u32::MAX,
            number: MAX_NUMBER,
        };
        assert_eq!(name.to_string().len(), KeyName::MAX_LEN);
    }
}
