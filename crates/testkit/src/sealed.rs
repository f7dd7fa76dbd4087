//! Sealed values of the engine, opened from outside: by its format as written down, and none of its code.

use wardein_crypto::{AeadKey, Prk, Secret};
use wardein_port::Table;

/// The plaintext of a value that was sealed for this column of this row; `None` where another key sealed it. It is as
/// `crates/engine/src/rows/seal.rs` says: format and version, nonce, ciphertext.
pub fn unsealed(key: &Secret<32>, table: Table, row: &[u8], column: &str, sealed: &[u8]) -> Option<Vec<u8>> {
    let mut place = Vec::new();
    for part in [&[table as u8], row, column.as_bytes()] {
        place.extend_from_slice(&u32::try_from(part.len()).unwrap().to_be_bytes());
        place.extend_from_slice(part);
    }
    let key = Secret::filled(|out: &mut [u8; 32]| {
        Prk::uniform(key).expand_into(&[b"wardein row ", &place], out).unwrap();
    });
    let mut buffer = sealed.get(17..)?.to_vec();
    AeadKey::aes_256_gcm(&key).open(sealed[5..17].try_into().unwrap(), &place, &mut buffer).ok()?;
    Some(buffer)
}

/// Bytes of a tenant's sealed key: format and version, nonce, number and key, and the tag.
pub const SEALED_KEY: usize = 1 + 4 + 12 + 4 + 32 + 16;
