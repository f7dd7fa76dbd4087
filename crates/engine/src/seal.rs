//! Values under keys: sealed so that no ciphertext can be moved to another place.

use crate::error::Error;
use crate::port::Table;
use wardein_crypto::{AES_256_GCM_NONCE_LEN, AeadKey, Entropy, Prk, Secret, SecretBytes, SystemEntropy};

/// A key that seals rows: the root key, or a tenant's.
pub(crate) struct SealingKey(Secret<32>);

/// Where a sealed value belongs.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) table: Table,
    pub(crate) key: &'a [u8],
    pub(crate) column: &'static str,
}

impl SealingKey {
    pub(crate) fn new(secret: Secret<32>) -> Self {
        Self(secret)
    }

    /// `u8(1) ‖ nonce ‖ ciphertext ‖ tag`: AES-256-GCM under a key derived for the place, so that no key ever comes near the 2³²
    /// random nonces that one key bears (NIST SP 800-38D §8.3), with the place as additional data.
    pub(crate) fn seal(&self, place: Place<'_>, plaintext: &[u8]) -> Result<Vec<u8>, Error> {
        let fault = |_| Error::internal("no entropy to seal with");
        let nonce: [u8; AES_256_GCM_NONCE_LEN] = SystemEntropy::default().array().map_err(fault)?;
        let additional = place.encode();
        let mut buffer = Vec::with_capacity(plaintext.len() + 16);
        buffer.extend_from_slice(plaintext);
        self.key(&additional)
            .seal(&nonce, &additional, &mut buffer)
            .map_err(|_| Error::internal("a value is too long to seal"))?;
        let mut out = Vec::with_capacity(HEADER + buffer.len());
        out.push(FORMAT);
        out.extend_from_slice(&nonce);
        out.append(&mut buffer);
        Ok(out)
    }

    /// The plaintext of a value that was sealed for this very place.
    pub(crate) fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<SecretBytes, Error> {
        let damaged = || Error::internal(format_args!("a sealed value of {:?} does not open", place.table));
        let (header, ciphertext) = sealed.split_at_checked(HEADER).ok_or_else(damaged)?;
        let (format, nonce) = header.split_first().ok_or_else(damaged)?;
        if *format != FORMAT {
            return Err(Error::internal(format_args!(
                "a sealed value has format {format}; {FORMAT} is known"
            )));
        }
        let nonce = nonce.try_into().map_err(|_| damaged())?;
        let additional = place.encode();
        let mut buffer = ciphertext.to_vec();
        self.key(&additional).open(nonce, &additional, &mut buffer).map_err(|_| damaged())?;
        Ok(SecretBytes::from_vec(buffer))
    }

    fn key(&self, place: &[u8]) -> AeadKey {
        let key = Secret::filled(|out| {
            Prk::uniform(&self.0)
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

const FORMAT: u8 = 1;
const HEADER: usize = 1 + AES_256_GCM_NONCE_LEN;

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'static> = Place { table: Table::DeviceKeys, key: b"t\0d", column: "record" };

    fn key(byte: u8) -> SealingKey {
        SealingKey::new(Secret::copied_from(&[byte; 32]))
    }

    #[test]
    fn a_value_opens_in_its_place_and_nowhere_else() {
        let sealed = key(1).seal(PLACE, b"secret").unwrap();
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
    fn every_changed_byte_is_refused() {
        let sealed = key(1).seal(PLACE, b"secret").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(key(1).open(PLACE, &changed).is_err(), "byte {at}");
            assert!(key(1).open(PLACE, &sealed[..at]).is_err());
        }
    }
}
