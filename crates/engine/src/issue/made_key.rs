//! Keys that the authority makes for devices that cannot (DDKG-1 §8.2, RFC 7030 §4.4). They are on no record: a device that does not hear
//! the answer asks for another.

use crate::kernel::{Engine, Error};
use std::sync::{Arc, OnceLock};
use wardein_crypto::{KeyAlgorithm, SecretBytes, Signer, SigningKey};
use wardein_domain::{ErrorCode, KeyKind};
use wardein_pki::SubjectKey;

/// A key that was made for a device.
pub struct MadeKey {
    /// PKCS#8, DER.
    pub pkcs8: SecretBytes,
    /// Its public half.
    pub key: SubjectKey,
}

/// Where such keys come from.
pub trait KeySource: Send + Sync {
    /// A fresh key of that kind, or why there is none.
    fn take(&self, kind: KeyKind) -> Result<MadeKey, Error>;
}

/// The source of an engine's made keys, once there is one.
#[derive(Default)]
pub(crate) struct MadeKeys(OnceLock<Arc<dyn KeySource>>);

impl Engine {
    /// Says where keys for devices come from. Until then none are made; a second source is not taken.
    pub fn make_keys_by(&self, source: Arc<dyn KeySource>) {
        let _first = self.made_keys.0.set(source);
    }

    /// A key for a device that may have it.
    pub(crate) fn make_key(&self, kind: KeyKind) -> Result<MadeKey, Error> {
        let source = self.made_keys.0.get().ok_or_else(|| {
            let message = "no keys are made for devices here; the device makes its own, or an administrator sets made_keys";
            Error::new(ErrorCode::NotSupported, message)
        })?;
        source.take(kind)
    }
}

impl MadeKey {
    /// Makes one: of RSA it takes some tenths of a second, or seconds.
    pub fn make(kind: KeyKind) -> Result<Self, Error> {
        let algorithm = match kind {
            KeyKind::P256 => KeyAlgorithm::P256,
            KeyKind::P384 => KeyAlgorithm::P384,
            KeyKind::Rsa2048 | KeyKind::Rsa3072 => KeyAlgorithm::Rsa3072,
            KeyKind::Rsa4096 => {
                let message =
                    "keys of RSA with 4096 bits are not made here; ask for one of 3072, or on P-256";
                return Err(Error::new(ErrorCode::CsrKeyNotAccepted, message));
            }
        };
        let pkcs8 = match kind {
            KeyKind::Rsa2048 => SigningKey::generate_rsa_2048_pkcs8(),
            _ => SigningKey::generate_pkcs8(algorithm),
        };
        let pkcs8 = pkcs8.map_err(|_| Error::internal("a key could not be made"))?;
        let signer = SigningKey::from_pkcs8(algorithm.signature(), &pkcs8)
            .map_err(|_| Error::internal("a key that was made is damaged"))?;
        let key = SubjectKey::from(signer.verifying_key());
        Ok(Self { pkcs8, key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_of_the_kind_that_was_asked_for() {
        for kind in [KeyKind::P256, KeyKind::P384, KeyKind::Rsa2048, KeyKind::Rsa3072] {
            assert_eq!(MadeKey::make(kind).unwrap().key.kind(), kind);
        }
        assert_eq!(MadeKey::make(KeyKind::Rsa4096).err().unwrap().code, ErrorCode::CsrKeyNotAccepted);
    }
}
