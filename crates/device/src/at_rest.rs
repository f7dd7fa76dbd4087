//! The DDKG state, the certificate's key and the key of an update's artifact encrypted at rest, under a key of the device's own
//! that only its TPM opens. The README says what that is good for.
//!
//! It is made once, before the first state, and sealed to the TPM alone. Registers are left out of it: an update of the firmware
//! would lock the device out, and nobody stands beside it to bring it back.

use crate::error::Error;
use std::path::Path;
use wardein_crypto::{AES_256_GCM_NONCE_LEN, AeadKey, Entropy, Secret, SecretBytes, SystemEntropy, TAG_LEN};
use wardein_ddkg::DeviceName;

/// What is sealed: none opens in another's place.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Content {
    /// The DDKG state.
    State,
    /// The key that the certificate is for, PEM.
    CertificateKey,
    /// The key of a sealed artifact that the device is offered.
    ArtifactKey,
}

/// The key of one device's state, as the TPM gave it.
pub(crate) struct StateKey(Secret<32>);

/// Bytes that sealing adds to a state.
pub(crate) const OVERHEAD: usize = HEADER_LEN + TAG_LEN;

/// Whether these are the bytes of a sealed state, of whichever version. A state that is not sealed begins with its format, 1.
pub(crate) fn is_sealed(state: &[u8]) -> bool {
    state.starts_with(MAGIC)
}

impl StateKey {
    /// The file of `device`'s `content`: magic, version, nonce, ciphertext and tag.
    ///
    /// The nonce is random: SP 800-38D §8.3 allows 2³² of them under one key, and flash wears out long before so many writes.
    pub(crate) fn seal(
        &self,
        device: &DeviceName,
        content: Content,
        secret: &SecretBytes,
    ) -> Result<Vec<u8>, Error> {
        let nonce: [u8; AES_256_GCM_NONCE_LEN] =
            SystemEntropy::default().array().map_err(|_| Error::Fault("the source of randomness"))?;
        let mut bytes = SecretBytes::with_capacity(secret.expose().len() + OVERHEAD);
        for part in [&MAGIC[..], &[VERSION], &nonce, secret.expose()] {
            bytes.extend(part);
        }
        AeadKey::aes_256_gcm(&self.0)
            .seal_behind(&nonce, &place(device, content), HEADER_LEN, bytes)
            .map_err(|_| Error::Fault("sealing what is stored"))
    }

    /// The inverse of [`StateKey::seal`]; `None` for anything else, and for what was sealed under another key, for
    /// another device, or as something else.
    pub(crate) fn open(&self, device: &DeviceName, content: Content, sealed: &[u8]) -> Option<SecretBytes> {
        let rest = sealed.strip_prefix(MAGIC)?.strip_prefix(&[VERSION])?;
        let (nonce, ciphertext) = rest.split_first_chunk()?;
        let mut buffer = ciphertext.to_vec();
        let opened = AeadKey::aes_256_gcm(&self.0).open(nonce, &place(device, content), &mut buffer);
        let secret = SecretBytes::from_vec(buffer);
        opened.ok().map(|()| secret)
    }
}

/// What a sealed file is bound to, so that it opens in no other file's and no other device's place.
fn place(device: &DeviceName, content: Content) -> Vec<u8> {
    let (tenant, device) = (device.tenant.to_string(), device.device.to_string());
    let content = match content {
        Content::State => "state",
        Content::CertificateKey => "certificate-key",
        Content::ArtifactKey => "artifact-key",
    };
    let mut bytes = [&MAGIC[..], &[VERSION]].concat();
    for part in [content, &tenant, &device] {
        bytes.extend((part.len() as u64).to_be_bytes());
        bytes.extend(part.as_bytes());
    }
    bytes
}

#[cfg(feature = "tpm")]
mod tpm {
    use super::*;
    use crate::signing::{TpmSettings, TpmSigner, open_tpm};
    use wardein_tpm::{Sealed, TpmError};

    impl StateKey {
        /// The bytes of a new key's file, sealed by the TPM at `tcti`.
        pub(crate) fn make(tcti: &str) -> Result<Vec<u8>, Error> {
            let key = SecretBytes::try_filled(KEY_LEN, |bytes| {
                SystemEntropy::default().fill(bytes).map(|()| KEY_LEN)
            });
            let key = key.map_err(|_| Error::Fault("the source of randomness"))?;
            Ok(open(tcti)?.tpm()?.seal(&key, None)?.encode())
        }

        /// The key in `file`, which lies at `path`, opened by the TPM at `tcti`. That is let go at once: others may use it.
        pub(crate) fn unseal(tcti: &str, file: &[u8], path: &Path) -> Result<Self, Error> {
            // What is not a sealed secret of 32 bytes was not made here, or is damaged.
            let elsewhere = || Error::SealedElsewhere(path.into());
            let sealed = Sealed::decode(file).map_err(|_| elsewhere())?;
            let key = open(tcti)?.tpm()?.unseal(&sealed).map_err(|error| match error {
                TpmError::SealedElsewhere => elsewhere(),
                other => other.into(),
            })?;
            key.expose().try_into().map(Secret::copied_from).map(Self).map_err(|_| elsewhere())
        }
    }

    fn open(tcti: &str) -> Result<TpmSigner, Error> {
        open_tpm(&TpmSettings { tcti: tcti.to_owned(), endorsement_key: None })
    }

    const KEY_LEN: usize = 32;
}

/// `device.toml` names no TPM in a build that has none: it is refused when it is read.
#[cfg(not(feature = "tpm"))]
impl StateKey {
    pub(crate) fn make(_: &str) -> Result<Vec<u8>, Error> {
        Err(Error::Fault("using a TPM that this build has not"))
    }

    pub(crate) fn unseal(_: &str, _: &[u8], _: &Path) -> Result<Self, Error> {
        Err(Error::Fault("using a TPM that this build has not"))
    }
}

const MAGIC: &[u8; 4] = b"WDSS";
const VERSION: u8 = 1;
const HEADER_LEN: usize = MAGIC.len() + 1 + AES_256_GCM_NONCE_LEN;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> StateKey {
        StateKey(Secret::filled(|bytes| bytes.fill(byte)))
    }

    fn name(tenant: &str, device: &str) -> DeviceName {
        DeviceName { tenant: tenant.parse().unwrap(), device: device.parse().unwrap() }
    }

    #[test]
    fn a_sealed_state_opens_in_its_place_alone_and_unchanged_alone() {
        let (key, device, state) = (key(1), name("ab", "c"), SecretBytes::from_vec(b"the keys".to_vec()));
        let sealed = key.seal(&device, Content::State, &state).unwrap();
        assert_eq!(sealed.len(), 8 + OVERHEAD);
        assert!(is_sealed(&sealed) && !is_sealed(state.expose()));
        assert_eq!(key.open(&device, Content::State, &sealed).unwrap().expose(), b"the keys");
        assert_ne!(key.seal(&device, Content::State, &state).unwrap(), sealed, "the nonce is new each time");
        for other in [name("a", "bc"), name("ab", "d"), name("b", "c")] {
            assert!(key.open(&other, Content::State, &sealed).is_none(), "{}/{}", other.tenant, other.device);
        }
        assert!(super::tests::key(2).open(&device, Content::State, &sealed).is_none());
        for other in [Content::CertificateKey, Content::ArtifactKey] {
            assert!(key.open(&device, other, &sealed).is_none());
        }
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(key.open(&device, Content::State, &changed).is_none(), "{at}");
            assert!(key.open(&device, Content::State, &sealed[..at]).is_none(), "{at}");
        }
        assert!(key.open(&device, Content::State, &[&sealed[..], &[0]].concat()).is_none());
    }
}
