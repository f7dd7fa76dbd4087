//! The form of a backup, version 1.
//!
//! ```text
//! "wardein backup\0" ‖ u16(1) ‖ u32(version of the root key) ‖ u64(taken at, Unix ms) ‖ 16 random bytes
//!     ‖ u16(length) ‖ custody file
//!     ‖ parts: u32(length) ‖ u8(is last) ‖ ciphertext ‖ tag
//! ```
//!
//! Each part is AES-256-GCM under HKDF-Expand(root key, "wardein backup 1 " ‖ SHA-256 of all in front of the parts), with the
//! number of the part as nonce, and number and "is last" as additional data. So each backup has a key of its own, and no part can
//! be changed, left out, moved, or taken from another backup, and the last one not be cut off, unnoticed.

use crate::kernel::Error;
use crate::rows::seal::Keyring;
use serde::{Deserialize, Serialize};
use std::io::{ErrorKind, Read};
use wardein_crypto::{AeadKey, Digest, TAG_LEN};
use wardein_domain::ErrorCode;
use wardein_port::{MAX_KEY, MAX_VALUE, Table};

/// The most bytes of a part before it is sealed.
pub(crate) const MAX_PLAIN: usize = 5 << 20;

/// The head in front of the parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) root_version: u32,
    /// Unix milliseconds.
    pub(crate) taken_ms: u64,
    pub(crate) id: [u8; 16],
    pub(crate) custody: Vec<u8>,
}

/// A row or an audit entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Item<'a> {
    Row { table: u8, key: &'a [u8], value: &'a [u8] },
    Entry(&'a [u8]),
}

impl Head {
    pub(crate) fn encode(&self) -> Result<Vec<u8>, Error> {
        let length = u16::try_from(self.custody.len()).map_err(|_| Error::internal("custody is too long"))?;
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&FORMAT.to_be_bytes());
        out.extend_from_slice(&self.root_version.to_be_bytes());
        out.extend_from_slice(&self.taken_ms.to_be_bytes());
        out.extend_from_slice(&self.id);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&self.custody);
        Ok(out)
    }

    pub(crate) fn read(from: &mut impl Read) -> Result<Self, Error> {
        let magic = array(from).map_err(|error| match error.code {
            ErrorCode::BackupCutOff => not_a_backup(),
            _ => error,
        })?;
        if magic != *MAGIC {
            return Err(not_a_backup());
        }
        let format = u16::from_be_bytes(array(from)?);
        if format != FORMAT {
            let message = format_args!(
                "it has format {format}, and this release reads {FORMAT}; use the one that took it"
            );
            return Err(Error::new(ErrorCode::BackupVersion, message));
        }
        let root_version = u32::from_be_bytes(array(from)?);
        let taken_ms = u64::from_be_bytes(array(from)?);
        let id = array(from)?;
        let length = u16::from_be_bytes(array(from)?);
        let custody = bytes(from, length.into())?;
        Ok(Self { root_version, taken_ms, id, custody })
    }
}

impl<'a> Item<'a> {
    pub(crate) fn put(&self, into: &mut Vec<u8>) -> Result<(), Error> {
        let bytes = postcard::to_extend(self, std::mem::take(into));
        *into = bytes.map_err(|error| Error::internal(format_args!("an item does not encode: {error}")))?;
        Ok(())
    }

    /// The first item of a part, and the rest.
    pub(crate) fn take(plain: &'a [u8]) -> Result<(Self, &'a [u8]), Error> {
        let (item, rest) = postcard::take_from_bytes(plain).map_err(|_| damaged("a row is malformed"))?;
        let is_bounded = match item {
            Self::Row { key, value, .. } => (1..=MAX_KEY).contains(&key.len()) && value.len() <= MAX_VALUE,
            Self::Entry(entry) => entry.len() <= MAX_VALUE,
        };
        if is_bounded { Ok((item, rest)) } else { Err(damaged("a row is out of bounds")) }
    }

    pub(crate) fn table(number: u8) -> Result<Table, Error> {
        let table = Table::ALL.into_iter().find(|table| *table as u8 == number);
        table.ok_or_else(|| damaged(format_args!("there is no table {number}")))
    }
}

/// Seals parts, one after the other.
pub(crate) struct Sealer(Parts);

/// Opens parts, one after the other.
pub(crate) struct Opener<R> {
    parts: Parts,
    from: R,
    is_over: bool,
}

struct Parts {
    key: AeadKey,
    number: u64,
}

impl Sealer {
    pub(crate) fn new(root: &Keyring, root_version: u32, head: &[u8]) -> Result<Self, Error> {
        let parts = Parts::new(root, root_version, head);
        parts.map(Self).ok_or_else(|| Error::internal("the root key does not have that version"))
    }

    /// The part as stored in the file.
    pub(crate) fn seal(&mut self, mut plain: Vec<u8>, is_last: bool) -> Result<Vec<u8>, Error> {
        let too_long = || Error::internal("a part of a backup is too long");
        let length = u32::try_from(plain.len() + TAG_LEN).map_err(|_| too_long())?;
        let (nonce, additional) = self.0.next(is_last);
        self.0.key.seal(&nonce, &additional, &mut plain).map_err(|_| too_long())?;
        let mut out = Vec::with_capacity(5 + plain.len());
        out.extend_from_slice(&length.to_be_bytes());
        out.push(is_last.into());
        out.append(&mut plain);
        Ok(out)
    }
}

impl<R: Read> Opener<R> {
    /// Opens the parts after `head` in `from`.
    pub(crate) fn new(root: &Keyring, head: &Head, from: R) -> Result<Self, Error> {
        let parts = Parts::new(root, head.root_version, &head.encode()?);
        let parts = parts.ok_or_else(|| damaged("its custody does not have the root key that seals it"))?;
        Ok(Self { parts, from, is_over: false })
    }

    /// The next part; none behind the last one.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        if self.is_over {
            return Ok(None);
        }
        let number = self.parts.number;
        let length = u32::from_be_bytes(array(&mut self.from)?) as usize;
        let [is_last] = array(&mut self.from)?;
        if !(TAG_LEN..=MAX_PLAIN + TAG_LEN).contains(&length) || is_last > 1 {
            return Err(damaged(format_args!("part {number} is malformed")));
        }
        let mut buffer = bytes(&mut self.from, length)?;
        let (nonce, additional) = self.parts.next(is_last == 1);
        self.parts.key.open(&nonce, &additional, &mut buffer).map_err(|_| {
            damaged(format_args!(
                "part {number} does not open: it was changed, moved, or belongs to another backup"
            ))
        })?;
        if is_last == 1 {
            self.is_over = true;
            let mut more = [0];
            if self.from.read(&mut more).map_err(|error| unreadable(&error))? != 0 {
                return Err(damaged("bytes follow its last part"));
            }
        }
        Ok(Some(buffer))
    }
}

impl Parts {
    fn new(root: &Keyring, root_version: u32, head: &[u8]) -> Option<Self> {
        let key = root.derived(root_version, &[b"wardein backup 1 ", Digest::of(head).as_ref()])?;
        Some(Self { key: AeadKey::aes_256_gcm(&key), number: 0 })
    }

    /// Nonce and additional data of the next part.
    fn next(&mut self, is_last: bool) -> ([u8; 12], [u8; 9]) {
        let (mut nonce, mut additional) = ([0; 12], [0; 9]);
        nonce[4..].copy_from_slice(&self.number.to_be_bytes());
        additional[..8].copy_from_slice(&self.number.to_be_bytes());
        additional[8] = is_last.into();
        self.number += 1;
        (nonce, additional)
    }
}

pub(crate) fn damaged(what: impl std::fmt::Display) -> Error {
    let message = format_args!("the backup is damaged: {what}; take another one");
    Error::new(ErrorCode::BackupDamaged, message)
}

fn not_a_backup() -> Error {
    Error::new(
        ErrorCode::BackupUnknown,
        "this is not a Wardein backup; name the file that `wardein backup` wrote",
    )
}

fn unreadable(error: &std::io::Error) -> Error {
    Error::new(ErrorCode::BackupUnreadable, format_args!("the backup cannot be read: {error}"))
}

fn array<const N: usize>(from: &mut impl Read) -> Result<[u8; N], Error> {
    let mut array = [0; N];
    read_all(from, &mut array)?;
    Ok(array)
}

fn bytes(from: &mut impl Read, length: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; length];
    read_all(from, &mut bytes)?;
    Ok(bytes)
}

fn read_all(from: &mut impl Read, into: &mut [u8]) -> Result<(), Error> {
    from.read_exact(into).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => Error::new(
            ErrorCode::BackupCutOff,
            "the backup is incomplete; copy all of it, or take another one",
        ),
        _ => unreadable(&error),
    })
}

const MAGIC: &[u8; 15] = b"wardein backup\0";
const FORMAT: u16 = 1;
