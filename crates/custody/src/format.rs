//! `custody.json`, version 1.

use crate::CustodyError;
use crate::wrap::{Argon2Cost, Kind};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The version that is written and read.
pub(crate) const VERSION: u32 = 1;

/// The most versions of the root key at one time.
pub(crate) const MAX_KEYS: usize = 2;

/// The most bytes of a custody file.
pub(crate) const MAX_LEN: usize = 4 * 1024;

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
        }
    }

    pub(crate) fn cost(&self) -> Option<Argon2Cost> {
        match *self {
            Self::Passphrase { memory_kib, passes, lanes, .. } => {
                Some(Argon2Cost { memory_kib, passes, lanes })
            }
            Self::KeyFile { .. } => None,
        }
    }

    pub(crate) fn salt(&self) -> &[u8; 16] {
        match self {
            Self::Passphrase { salt, .. } | Self::KeyFile { salt } => &salt.0,
        }
    }

    /// Versions, kind and parameters in one unambiguous row of fixed width: the additional data of the wrap.
    pub(crate) fn additional(&self, key_version: u32) -> Vec<u8> {
        let cost = self.cost().unwrap_or(Argon2Cost { memory_kib: 0, passes: 0, lanes: 0 });
        let kind = match self.kind() {
            Kind::Passphrase => 1u32,
            Kind::KeyFile => 2,
        };
        let mut row = b"wardein custody".to_vec();
        for number in [VERSION, key_version, kind, cost.memory_kib, cost.passes, cost.lanes] {
            row.extend(number.to_be_bytes());
        }
        row.extend(self.salt());
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
        let text: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        serializer.serialize_str(&text)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Hex<N> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let refused = || serde::de::Error::custom("hexadecimal digits of another number or spelling");
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(refused()),
        };
        if text.len() != 2 * N {
            return Err(refused());
        }
        let mut bytes = [0; N];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = pair.iter().try_fold(0, |value, hex| Ok(value << 4 | digit(*hex)?))?;
        }
        Ok(Self(bytes))
    }
}
