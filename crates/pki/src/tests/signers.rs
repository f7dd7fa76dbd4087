//! Signers for tests: keys of every algorithm, and one elsewhere that can be at fault.

use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey as FixedKey};
use std::sync::{Arc, LazyLock, Mutex};
use wardein_crypto::{
    KeyAlgorithm, P256VerifyingKey, SignatureAlgorithm, Signer, SigningError, SigningKey, VerifyingKey,
};

/// Every signer that a CA may have: each kind of key, and RSA with either hash. Generated once, for RSA takes its time.
pub(super) static EVERY: LazyLock<[Arc<dyn Signer>; 4]> = LazyLock::new(|| {
    [
        (KeyAlgorithm::P256, SignatureAlgorithm::EcdsaP256Sha256),
        (KeyAlgorithm::P384, SignatureAlgorithm::EcdsaP384Sha384),
        (KeyAlgorithm::Rsa3072, SignatureAlgorithm::RsaPkcs1Sha256),
        (KeyAlgorithm::Rsa4096, SignatureAlgorithm::RsaPkcs1Sha384),
    ]
    .map(|(key, algorithm)| {
        let document = SigningKey::generate_pkcs8(key).unwrap();
        Arc::new(SigningKey::from_pkcs8(algorithm, &document).unwrap()) as Arc<dyn Signer>
    })
});

/// The faults of a signer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// It signs with another key than it says.
    OtherKey,
    /// It signs other bytes than it was given.
    OtherBytes,
    /// It returns bytes that are not a signature.
    Garbage,
    /// It does not answer.
    Unreachable,
}

/// A signer in another process, as far as anyone can see. Its key is fixed and its signatures are deterministic (RFC 6979).
pub(super) struct Elsewhere {
    key: FixedKey,
    fault: Fault,
    /// The bytes that it was given to sign.
    pub(super) given: Mutex<Vec<Vec<u8>>>,
}

impl Elsewhere {
    /// `number` is not zero: it tells one key from another.
    pub(super) fn new(number: u8, fault: Fault) -> Arc<Self> {
        Arc::new(Self { key: fixed(number), fault, given: Mutex::default() })
    }
}

impl Signer for Elsewhere {
    fn verifying_key(&self) -> VerifyingKey {
        let point = self.key.verifying_key().to_encoded_point(false);
        P256VerifyingKey(point.as_bytes().try_into().unwrap()).into()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        self.given.lock().unwrap().push(message.to_vec());
        let signature: Signature = match self.fault {
            Fault::None => self.key.sign(message),
            Fault::OtherKey => fixed(0xee).sign(message),
            Fault::OtherBytes => self.key.sign(&message[1..]),
            Fault::Garbage => return Ok(vec![0x30, 0]),
            Fault::Unreachable => return Err(SigningError),
        };
        Ok(signature.to_der().as_bytes().to_vec())
    }

    fn is_external(&self) -> bool {
        true
    }
}

/// A signer that says that its signatures are by an algorithm that its key does not have, or that it has another key.
pub(super) struct Claims {
    pub(super) key: VerifyingKey,
    pub(super) algorithm: SignatureAlgorithm,
}

impl Signer for Claims {
    fn verifying_key(&self) -> VerifyingKey {
        self.key.clone()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, SigningError> {
        Ok(vec![0; 8])
    }
}

fn fixed(number: u8) -> FixedKey {
    FixedKey::from_slice(&[number; 32]).unwrap()
}
