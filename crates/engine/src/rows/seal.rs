//! Values under keys: sealed so that no ciphertext can be moved to another place, and none is tied to a key for good.

use crate::kernel::Error;
use std::sync::{Arc, PoisonError, RwLock};
use wardein_crypto::{AES_256_GCM_NONCE_LEN, AeadKey, Prk, Secret, SecretBytes};
use wardein_port::{RootKey, Table};

/// A key that seals stored data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StorageKey {
    /// The version that is sealed under now, from 1.
    pub version: u32,
    /// How many older versions are kept, because something may be under them still.
    pub older: u32,
}

/// One version of a key that seals rows: of the root key, or of a tenant's.
struct SealingKey {
    version: u32,
    secret: Secret<32>,
}

/// A key in its versions. Writes are sealed under the newest; reads open under the one that sealed the value.
pub(crate) struct Keyring {
    /// Newest first, and never none.
    versions: Vec<Arc<SealingKey>>,
}

/// A random nonce, used once.
pub(crate) type Nonce = [u8; AES_256_GCM_NONCE_LEN];

/// The root key as the process has it. A change of the root key replaces it; custody has it on disk.
pub(crate) struct RootRing(RwLock<Arc<Keyring>>);

impl RootRing {
    pub(crate) fn new(ring: Keyring) -> Self {
        Self(RwLock::new(Arc::new(ring)))
    }

    pub(crate) fn ring(&self) -> Arc<Keyring> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set(&self, ring: Keyring) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
    }
}

/// Where a sealed value belongs.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) table: Table,
    pub(crate) key: &'a [u8],
    pub(crate) column: &'static str,
}

impl Keyring {
    pub(crate) fn new(version: u32, secret: Secret<32>) -> Self {
        Self { versions: vec![Arc::new(SealingKey { version, secret })] }
    }

    /// A ring of those versions; none if there are none, or one comes twice.
    pub(crate) fn of(keys: impl IntoIterator<Item = RootKey>) -> Option<Self> {
        let sealing = |RootKey { version, secret }| Arc::new(SealingKey { version, secret });
        let mut versions: Vec<_> = keys.into_iter().map(sealing).collect();
        versions.sort_by_key(|key| std::cmp::Reverse(key.version));
        let is_strict = versions.windows(2).all(|pair| pair[0].version != pair[1].version);
        (is_strict && !versions.is_empty()).then_some(Self { versions })
    }

    /// The same with a newer version.
    pub(crate) fn with(&self, version: u32, secret: Secret<32>) -> Self {
        debug_assert!(version > self.newest(), "versions rise");
        let mut versions = vec![Arc::new(SealingKey { version, secret })];
        versions.extend(self.versions.iter().cloned());
        Self { versions }
    }

    /// The same without versions older than `version`, but never without the newest.
    pub(crate) fn since(&self, version: u32) -> Self {
        let oldest = version.min(self.newest());
        Self { versions: self.versions.iter().filter(|key| key.version >= oldest).cloned().collect() }
    }

    pub(crate) fn newest(&self) -> u32 {
        self.versions.first().map_or(0, |key| key.version)
    }

    /// The numbers of all versions but the newest, newest first.
    pub(crate) fn older(&self) -> Vec<u32> {
        self.versions.iter().skip(1).map(|key| key.version).collect()
    }

    /// Its newest version, and how many older ones there are.
    pub(crate) fn standing(&self) -> StorageKey {
        StorageKey { version: self.newest(), older: self.len().saturating_sub(1) as u32 }
    }

    /// How many versions there are.
    pub(crate) fn len(&self) -> usize {
        self.versions.len()
    }

    /// `u8(1) ‖ u32(version) ‖ nonce ‖ ciphertext ‖ tag`: AES-256-GCM under a key derived for the place, so that no key ever
    /// comes near the 2³² random nonces that one key bears (NIST SP 800-38D §8.3), with the place as additional data.
    pub(crate) fn seal(&self, nonce: Nonce, place: Place<'_>, plaintext: &[u8]) -> Result<Vec<u8>, Error> {
        self.seal_with(nonce, place, |out| out.extend(plaintext))
    }

    /// The same for the bytes that `write` adds, which are sealed in place: no copy of it is made that would have to be wiped.
    pub(crate) fn seal_with(
        &self,
        nonce: Nonce,
        place: Place<'_>,
        write: impl FnOnce(&mut SecretBytes),
    ) -> Result<Vec<u8>, Error> {
        let newest = self.versions.first().ok_or_else(|| Error::internal("a ring without keys"))?;
        let additional = place.encode();
        let mut out = SecretBytes::with_capacity(ROOM);
        out.extend(&[FORMAT]);
        out.extend(&newest.version.to_be_bytes());
        out.extend(&nonce);
        write(&mut out);
        newest
            .key(&additional)
            .seal_behind(&nonce, &additional, HEADER, out)
            .map_err(|_| Error::internal("a value is too long to seal"))
    }

    /// The plaintext of a value that was sealed for this very place.
    pub(crate) fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<SecretBytes, Error> {
        let damaged = || Error::internal(format_args!("a sealed value of {:?} does not open", place.table));
        let (version, rest) = split_version(sealed)?;
        let (nonce, ciphertext) = rest.split_first_chunk::<AES_256_GCM_NONCE_LEN>().ok_or_else(damaged)?;
        let key = self.versions.iter().find(|key| key.version == version).ok_or_else(|| {
            let (table, newest) = (place.table, self.newest());
            // At a node that was away, or where a directory was put back.
            if table == Table::Authority && version > newest {
                return Error::internal(format_args!(
                    "the store is under version {version} of the root key, and custody holds none after {newest}: the root key was changed \
                     since; put the custody of today, such as custody.json, in the place of this one"
                ));
            }
            Error::internal(format_args!(
                "a sealed value of {table:?} is under version {version}, which is gone"
            ))
        })?;
        let additional = place.encode();
        let mut buffer = ciphertext.to_vec();
        key.key(&additional).open(nonce, &additional, &mut buffer).map_err(|_| damaged())?;
        Ok(SecretBytes::from_vec(buffer))
    }

    /// A key of its own for `purpose`, out of that version; none if the ring has it not.
    pub(crate) fn derived(&self, version: u32, purpose: &[&[u8]]) -> Option<Secret<32>> {
        let key = self.versions.iter().find(|key| key.version == version)?;
        Some(Secret::filled(|out| {
            Prk::uniform(&key.secret)
                .expand_into(purpose, out)
                .expect("32 bytes are within any bound of HKDF");
        }))
    }

    /// The value under the newest version; none if it is already.
    pub(crate) fn renew(
        &self,
        nonce: Nonce,
        place: Place<'_>,
        sealed: &[u8],
    ) -> Result<Option<Vec<u8>>, Error> {
        if split_version(sealed)?.0 == self.newest() {
            return Ok(None);
        }
        self.seal(nonce, place, self.open(place, sealed)?.expose()).map(Some)
    }
}

/// The version of the key that seals a value, and the rest.
fn split_version(sealed: &[u8]) -> Result<(u32, &[u8]), Error> {
    let cut = || Error::internal("a sealed value is cut off");
    let (format, rest) = sealed.split_first().ok_or_else(cut)?;
    if *format != FORMAT {
        return Err(Error::internal(format_args!("a sealed value has format {format}; {FORMAT} is known")));
    }
    let (version, rest) = rest.split_first_chunk().ok_or_else(cut)?;
    Ok((u32::from_be_bytes(*version), rest))
}

impl SealingKey {
    fn key(&self, place: &[u8]) -> AeadKey {
        let key = Secret::filled(|out| {
            Prk::uniform(&self.secret)
                .expand_into(&[b"wardein row ", place], out)
                .expect("32 bytes are within any bound of HKDF");
        });
        AeadKey::aes_256_gcm(&key)
    }
}

impl Place<'_> {
    fn encode(&self) -> Vec<u8> {
        let table = [self.table as u8];
        let mut out = Vec::with_capacity(self.key.len() + 32);
        for part in [&table[..], self.key, self.column.as_bytes()] {
            out.extend_from_slice(&(part.len() as u32).to_be_bytes());
            out.extend_from_slice(part);
        }
        out
    }
}

/// The size into which most rows fit, sealed.
const ROOM: usize = 2048;

const FORMAT: u8 = 1;
const HEADER: usize = 1 + 4 + AES_256_GCM_NONCE_LEN;

/// By how many bytes a sealed value is longer than its content: the header and the tag.
pub(crate) const OVERHEAD: usize = HEADER + 16;

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'static> = Place { table: Table::DeviceKeys, key: b"t\0d", column: "record" };

    const NONCE: Nonce = [7; 12];

    fn secret(byte: u8) -> Secret<32> {
        Secret::copied_from(&[byte; 32])
    }

    fn key(byte: u8) -> Keyring {
        Keyring::new(1, secret(byte))
    }

    #[test]
    fn what_an_older_version_sealed_opens_until_that_version_is_dropped() {
        let (first, second) = (key(1), key(1).with(2, secret(2)));
        let old = first.seal(NONCE, PLACE, b"secret").unwrap();
        assert_eq!(second.open(PLACE, &old).unwrap().expose(), b"secret");
        let renewed = second.renew(NONCE, PLACE, &old).unwrap().unwrap();
        assert!(second.renew(NONCE, PLACE, &renewed).unwrap().is_none(), "it is under the newest");
        assert!(first.open(PLACE, &renewed).is_err());
        let dropped = second.since(2);
        assert_eq!((dropped.newest(), dropped.len(), second.since(9).len()), (2, 1, 1));
        assert_eq!(dropped.open(PLACE, &renewed).unwrap().expose(), b"secret");
        assert!(dropped.open(PLACE, &old).is_err() && dropped.renew(NONCE, PLACE, &old).is_err());
        let ring = |versions: &[u32]| {
            Keyring::of(versions.iter().map(|version| RootKey { version: *version, secret: secret(1) }))
        };
        assert_eq!(ring(&[1, 3, 2]).unwrap().newest(), 3);
        assert!(ring(&[]).is_none() && ring(&[1, 1]).is_none());
    }

    #[test]
    fn a_value_opens_in_its_place_and_nowhere_else() {
        let sealed = key(1).seal(NONCE, PLACE, b"secret").unwrap();
        assert_eq!(key(1).open(PLACE, &sealed).unwrap().expose(), b"secret");
        for moved in [
            Place { table: Table::Device, ..PLACE },
            Place { key: b"t\0e", ..PLACE },
            Place { column: "other", ..PLACE },
        ] {
            assert!(key(1).open(moved, &sealed).is_err());
        }
        assert!(key(2).open(PLACE, &sealed).is_err(), "another tenant's key");
    }

    #[test]
    fn the_longest_keys_of_a_device_fit_into_a_value() {
        let longest = vec![7; 16 + wardein_ddkg::authority::Record::MAX_COLD_LEN];
        let sealed = key(1).seal(NONCE, PLACE, &longest).unwrap();
        assert_eq!(sealed.len(), longest.len() + OVERHEAD);
        assert!(sealed.len() <= wardein_port::MAX_VALUE);
        assert_eq!(key(1).open(PLACE, &sealed).unwrap().expose(), longest);
    }

    #[test]
    fn every_changed_byte_is_refused() {
        let sealed = key(1).seal(NONCE, PLACE, b"secret").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(key(1).open(PLACE, &changed).is_err(), "byte {at}");
            assert!(key(1).open(PLACE, &sealed[..at]).is_err());
        }
    }
}
