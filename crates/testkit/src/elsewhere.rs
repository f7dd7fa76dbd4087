//! A signer in another process, as far as anyone can see.

use std::sync::{Arc, Mutex, PoisonError};
use wardein_crypto::{KeyAlgorithm, SignatureAlgorithm, Signer, SigningError, SigningKey, VerifyingKey};
use wardein_port::{Signers, SignersError};

/// Signs as a key of its own does, remembers the bytes, and can be made to fail.
pub struct Elsewhere {
    key: SigningKey,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    given: Vec<Vec<u8>>,
    is_down: bool,
    before: Option<Look>,
}

/// Looks at bytes that are to be signed.
type Look = Box<dyn Fn(&[u8]) + Send>;

impl Elsewhere {
    /// A signer with a fresh key.
    pub fn new(algorithm: KeyAlgorithm) -> Arc<Self> {
        let document = SigningKey::generate_pkcs8(algorithm).unwrap();
        let key = SigningKey::from_pkcs8(algorithm.signature(), &document).unwrap();
        Arc::new(Self { key, state: Mutex::default() })
    }

    /// The bytes that it was given to sign, oldest first.
    pub fn given(&self) -> Vec<Vec<u8>> {
        self.state().given.clone()
    }

    /// From now on it does not sign, or does again.
    pub fn set_down(&self, is_down: bool) {
        self.state().is_down = is_down;
    }

    /// Looks at the bytes before they are signed.
    pub fn before(&self, look: impl Fn(&[u8]) + Send + 'static) {
        self.state().before = Some(Box::new(look));
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Signer for Elsewhere {
    fn verifying_key(&self) -> VerifyingKey {
        self.key.verifying_key()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.key.algorithm()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        let mut state = self.state();
        if let Some(before) = &state.before {
            before(message);
        }
        state.given.push(message.to_vec());
        if state.is_down { Err(SigningError) } else { self.key.sign(message) }
    }

    fn is_external(&self) -> bool {
        true
    }
}

/// A store of keys in another process, in which the keys of new CAs are made.
#[derive(Default)]
pub struct KeysElsewhere {
    keys: Mutex<Vec<Arc<Elsewhere>>>,
    is_full: Mutex<bool>,
    is_unknown: Mutex<bool>,
}

impl KeysElsewhere {
    /// Those that are in it, the oldest first.
    pub fn keys(&self) -> Vec<Arc<Elsewhere>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on it makes no key, or does again.
    pub fn set_full(&self, is_full: bool) {
        *self.is_full.lock().unwrap_or_else(PoisonError::into_inner) = is_full;
    }
}

impl KeysElsewhere {
    /// From now on what is in it has to be looked for, as what another node made.
    pub fn forget(&self) {
        *self.is_unknown.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }
}

impl Signers for KeysElsewhere {
    fn find(&self, key: &VerifyingKey) -> Option<Arc<dyn Signer>> {
        let is_unknown = *self.is_unknown.lock().unwrap_or_else(PoisonError::into_inner);
        (!is_unknown).then(|| self.look(key)).flatten()
    }

    fn look(&self, key: &VerifyingKey) -> Option<Arc<dyn Signer>> {
        let found = self.keys().into_iter().find(|signer| signer.verifying_key() == *key);
        found.map(|signer| signer as Arc<dyn Signer>)
    }

    fn makes_keys(&self) -> bool {
        true
    }

    fn make(&self, algorithm: KeyAlgorithm) -> Result<Arc<dyn Signer>, SignersError> {
        if *self.is_full.lock().unwrap_or_else(PoisonError::into_inner) {
            return Err(SignersError("it is full".to_owned()));
        }
        let made = Elsewhere::new(algorithm);
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).push(made.clone());
        Ok(made)
    }

    fn discard(&self, key: &VerifyingKey) {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.retain(|signer| signer.verifying_key() != *key);
    }
}
