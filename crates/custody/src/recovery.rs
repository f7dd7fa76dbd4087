//! The passphrase beside a TPM or KMS: it opens the root key where they do not, as after an update of the firmware, on another
//! machine, or without a network.

use crate::format::{Hex, Recovery, VERSION};
use crate::protection::Argon2Cost;
use crate::wrap::{key_encryption_key, stretch};
use crate::{CustodyError, Passphrase};
use wardein_crypto::{Entropy, Secret, SecretBytes, TAG_LEN};

/// Wraps the key that the TPM seals, or KMS wraps, under the passphrase as well, at today's cost.
pub(crate) fn wrap(
    passphrase: &Passphrase,
    key: &Secret<32>,
    entropy: &mut impl Entropy,
) -> Result<Recovery, CustodyError> {
    let Argon2Cost { memory_kib, passes, lanes } = Argon2Cost::RECOMMENDED;
    let (salt, nonce) = (Hex(entropy.array()?), Hex(entropy.array()?));
    let mut recovery = Recovery { memory_kib, passes, lanes, salt, nonce, wrapped: Hex([0; 48]) };
    let prk = stretch(passphrase, recovery.cost(), &recovery.salt.0)?;
    // Room for the tag, so that the plaintext is not left behind by a Vec that grows.
    let mut buffer = Vec::with_capacity(32 + TAG_LEN);
    buffer.extend_from_slice(key.expose());
    key_encryption_key(&prk)?
        .seal(&recovery.nonce.0, &additional(&recovery), &mut buffer)
        .map_err(|_| CustodyError::Wrapped)?;
    recovery.wrapped = Hex(buffer[..].try_into().map_err(|_| CustodyError::Wrapped)?);
    Ok(recovery)
}

/// The inverse of [`wrap`]. A passphrase that is wrong and a record that was changed look alike.
pub(crate) fn unwrap(passphrase: &Passphrase, recovery: &Recovery) -> Result<Secret<32>, CustodyError> {
    let prk = stretch(passphrase, recovery.cost(), &recovery.salt.0)?;
    let mut buffer = recovery.wrapped.0.to_vec();
    key_encryption_key(&prk)?
        .open(&recovery.nonce.0, &additional(recovery), &mut buffer)
        .map_err(|_| CustodyError::WrongPassphrase)?;
    let plain = SecretBytes::from_vec(buffer);
    plain.expose().try_into().map(Secret::copied_from).map_err(|_| CustodyError::Wrapped)
}

/// Version and parameters in one unambiguous row of fixed width.
fn additional(recovery: &Recovery) -> Vec<u8> {
    let mut row = b"wardein custody recovery".to_vec();
    for number in [VERSION, recovery.memory_kib, recovery.passes, recovery.lanes] {
        row.extend(number.to_be_bytes());
    }
    row.extend(recovery.salt.0);
    row
}
