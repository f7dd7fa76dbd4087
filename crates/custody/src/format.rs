//! `custody.json`, version 1.

use crate::CustodyError;
use crate::protection::{Argon2Cost, Kind};
use serde::{Deserialize, Serialize};
use std::path::Path;
use wardein_crypto::hex;

/// The version that is written and read.
pub(crate) const VERSION: u32 = 1;

/// The most versions of the root key at one time.
pub(crate) const MAX_KEYS: usize = 2;

/// The most bytes of a custody file.
pub(crate) const MAX_LEN: usize = 8 * 1024;

/// The file, field by field. Numbers are decimal, bytes are lower-case hexadecimal.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CustodyFile {
    pub(crate) version: u32,
    pub(crate) protection: ProtectionRecord,
    /// Tells a wrong secret from a damaged file: see [`crate::wrap`].
    pub(crate) check: Hex<16>,
    /// The root key; in two versions while it is being changed.
    pub(crate) keys: Vec<WrappedKey>,
}

/// A version of the root key.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrappedKey {
    pub(crate) version: u32,
    pub(crate) nonce: Hex<12>,
    pub(crate) wrapped: Hex<48>,
}

/// What the root key is under, and how a key-encryption key comes of it.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum ProtectionRecord {
    /// Argon2id of a passphrase.
    Passphrase { memory_kib: u32, passes: u32, lanes: u32, salt: Hex<16> },
    /// HKDF-SHA-256 of a key file, with this salt.
    KeyFile { salt: Hex<16> },
    /// HKDF-SHA-256, with this salt, of a random key: sealed by a TPM to the state of these registers, and beside it under a
    /// passphrase.
    Tpm { registers: String, salt: Hex<16>, sealed: HexText, recovery: Recovery },
    /// The same of a random key that a key of AWS KMS wraps, in an encryption context of the authority's trust domain and the salt.
    AwsKms {
        key: String,
        authority: String,
        salt: Hex<16>,
        wrapped: HexText,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        recovery: Option<Recovery>,
    },
}

/// The key that a TPM seals or KMS wraps, under Argon2id of a passphrase.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recovery {
    pub(crate) memory_kib: u32,
    pub(crate) passes: u32,
    pub(crate) lanes: u32,
    pub(crate) salt: Hex<16>,
    pub(crate) nonce: Hex<12>,
    pub(crate) wrapped: Hex<48>,
}

impl Recovery {
    pub(crate) fn cost(&self) -> Argon2Cost {
        Argon2Cost { memory_kib: self.memory_kib, passes: self.passes, lanes: self.lanes }
    }
}

impl CustodyFile {
    pub(crate) fn parse(path: &Path, text: &[u8]) -> Result<Self, CustodyError> {
        let damaged = |error: serde_json::Error| CustodyError::Damaged {
            path: path.to_owned(),
            reason: format!("line {}, column {}: {}", error.line(), error.column(), category(&error)),
        };
        // The version first: a later one may have fields that this program does not know.
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let Versioned { version } = serde_json::from_slice(text).map_err(damaged)?;
        if version != VERSION {
            return Err(CustodyError::Version { path: path.to_owned(), found: version });
        }
        let file: Self = serde_json::from_slice(text).map_err(damaged)?;
        let are_rising = file.keys.windows(2).all(|pair| pair[0].version < pair[1].version);
        if !are_rising || !(1..=MAX_KEYS).contains(&file.keys.len()) || file.keys[0].version == 0 {
            let reason = format!("keys: takes 1 to {MAX_KEYS} versions, which rise from 1 on");
            return Err(CustodyError::Damaged { path: path.to_owned(), reason });
        }
        // A hostile file must not choose how much memory and time we spend.
        if let Some(cost) = file.protection.cost() {
            cost.check()?;
        }
        Ok(file)
    }

    pub(crate) fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        Ok(text)
    }
}

impl ProtectionRecord {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Passphrase { .. } => Kind::Passphrase,
            Self::KeyFile { .. } => Kind::KeyFile,
            Self::Tpm { .. } => Kind::Tpm,
            Self::AwsKms { .. } => Kind::AwsKms,
        }
    }

    pub(crate) fn cost(&self) -> Option<Argon2Cost> {
        match self {
            &Self::Passphrase { memory_kib, passes, lanes, .. } => {
                Some(Argon2Cost { memory_kib, passes, lanes })
            }
            Self::KeyFile { .. } => None,
            Self::Tpm { recovery, .. } => Some(recovery.cost()),
            Self::AwsKms { recovery, .. } => recovery.as_ref().map(Recovery::cost),
        }
    }

    pub(crate) fn salt(&self) -> &[u8; 16] {
        match self {
            Self::Passphrase { salt, .. } | Self::KeyFile { salt } => &salt.0,
            Self::Tpm { salt, .. } | Self::AwsKms { salt, .. } => &salt.0,
        }
    }

    /// Versions, kind and parameters in one unambiguous row: the additional data of the wrap. Of fields without a fixed width one
    /// is last, or each has its length before it. What a TPM sealed or KMS wrapped is not in it: they know their own.
    pub(crate) fn additional(&self, key_version: u32) -> Vec<u8> {
        let cost = self.cost().unwrap_or(Argon2Cost { memory_kib: 0, passes: 0, lanes: 0 });
        let kind = match self.kind() {
            Kind::Passphrase => 1u32,
            Kind::KeyFile => 2,
            Kind::Tpm => 3,
            Kind::AwsKms => 4,
        };
        let mut row = b"wardein custody".to_vec();
        for number in [VERSION, key_version, kind, cost.memory_kib, cost.passes, cost.lanes] {
            row.extend(number.to_be_bytes());
        }
        row.extend(self.salt());
        match self {
            Self::Passphrase { .. } | Self::KeyFile { .. } => (),
            Self::Tpm { registers, .. } => row.extend(registers.as_bytes()),
            Self::AwsKms { key, authority, .. } => {
                for text in [key, authority] {
                    row.extend((text.len() as u64).to_be_bytes());
                    row.extend(text.as_bytes());
                }
            }
        }
        row
    }
}

fn category(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Io | serde_json::error::Category::Eof => "the text ends too early",
        serde_json::error::Category::Syntax => "no JSON",
        serde_json::error::Category::Data => {
            "a field is unknown, missing or has a value that it does not take"
        }
    }
}

/// `N` bytes as 2·`N` lower-case hexadecimal digits, and in no other spelling.
pub(crate) struct Hex<const N: usize>(pub(crate) [u8; N]);

impl<const N: usize> Serialize for Hex<N> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write_hex(&self.0, serializer)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Hex<N> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_hex::<D>(deserializer)?.try_into().map(Self).map_err(|_| serde::de::Error::custom(NOT_HEX))
    }
}

/// The same of any number of bytes, as many as the file has room for.
pub(crate) struct HexText(pub(crate) Vec<u8>);

impl Serialize for HexText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write_hex(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for HexText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_hex::<D>(deserializer).map(Self)
    }
}

fn write_hex<S: serde::Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex::encode(bytes))
}

fn read_hex<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    hex::decode(&text).ok_or_else(|| serde::de::Error::custom(NOT_HEX))
}

const NOT_HEX: &str = "hexadecimal digits of another number or spelling";
