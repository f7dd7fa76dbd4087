//! A token, as the engine has it: keys to be found, made and signed by.

use crate::Pkcs11Error;
use crate::encoding::{ecdsa_der, sha256_info};
use crate::keys::{self, TokenKey};
use crate::sessions::{Open, Sessions};
use cryptoki::mechanism::Mechanism;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use wardein_crypto::tpm::HashAlgorithm;
use wardein_crypto::{Digest, KeyAlgorithm, Signer, SigningError, VerifyingKey};
use wardein_port::{Signers, SignersError};

/// Which token, and how it is used.
#[derive(Debug, Clone)]
pub struct TokenOptions {
    /// The library of the token.
    pub module: PathBuf,
    /// Its label.
    pub token: String,
    /// The file with its PIN, of mode 600.
    pub pin_file: PathBuf,
    /// Sessions at one time, at least 1.
    pub sessions: usize,
    /// Whether keys of new CAs are made in it.
    pub makes_keys: bool,
}

/// A token with keys of CAs.
pub struct Token {
    shared: Arc<Shared>,
    makes_keys: bool,
    keys: RwLock<Vec<Arc<InToken>>>,
}

struct Shared {
    sessions: Sessions,
    /// Hears why a key did not sign.
    fault: Box<dyn Fn(&Pkcs11Error) + Send + Sync>,
}

impl Token {
    /// Opens a token, and looks which keys of CAs are in it. `fault` hears of those that cannot be used, and later of each signature that
    /// failed.
    pub fn open(
        options: &TokenOptions,
        fault: impl Fn(&Pkcs11Error) + Send + Sync + 'static,
    ) -> Result<Self, Pkcs11Error> {
        let TokenOptions { module, token, pin_file, sessions, makes_keys } = options;
        let sessions = Sessions::open(module, token, pin_file, *sessions)?;
        let found = sessions.with(|open| keys::all(&open.session, &fault))?;
        let shared = Arc::new(Shared { sessions, fault: Box::new(fault) });
        let keys = found.into_iter().map(|key| Arc::new(InToken::new(shared.clone(), key))).collect();
        Ok(Self { shared, makes_keys: *makes_keys, keys: RwLock::new(keys) })
    }

    /// How many keys of CAs are known to be in it.
    pub fn keys(&self) -> usize {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn known(&self, key: &VerifyingKey) -> Option<Arc<InToken>> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.iter().find(|known| known.key.public == *key).cloned()
    }
}

impl Signers for Token {
    fn find(&self, key: &VerifyingKey) -> Option<Arc<dyn Signer>> {
        self.known(key).map(|known| known as Arc<dyn Signer>)
    }

    fn look(&self, key: &VerifyingKey) -> Option<Arc<dyn Signer>> {
        if self.known(key).is_none() {
            let fault = |error: &Pkcs11Error| (self.shared.fault)(error);
            let found = self.shared.sessions.with(|open| keys::all(&open.session, &fault));
            let found = found.inspect_err(fault).ok()?;
            let found = found.into_iter().find(|found| found.public == *key)?;
            let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
            keys.push(Arc::new(InToken::new(self.shared.clone(), found)));
        }
        self.find(key)
    }

    fn makes_keys(&self) -> bool {
        self.makes_keys
    }

    fn make(&self, algorithm: KeyAlgorithm) -> Result<Arc<dyn Signer>, SignersError> {
        let made = self.shared.sessions.with_writing(|session| keys::make(session, algorithm));
        let key = made.map_err(|error| SignersError(error.to_string()))?;
        let key = Arc::new(InToken::new(self.shared.clone(), key));
        self.keys.write().unwrap_or_else(PoisonError::into_inner).push(key.clone());
        Ok(key)
    }

    fn discard(&self, key: &VerifyingKey) {
        let Some(known) = self.known(key) else { return };
        let keys = || self.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys().retain(|other| other.key.public != *key);
        let removed = self.shared.sessions.with_writing(|session| keys::destroy(session, &known.key.id));
        if let Err(error) = removed {
            (self.shared.fault)(&error);
        }
    }
}

/// A key in a token, which signs there.
struct InToken {
    shared: Arc<Shared>,
    key: TokenKey,
}

impl InToken {
    fn new(shared: Arc<Shared>, key: TokenKey) -> Self {
        Self { shared, key }
    }

    fn signed(&self, message: &[u8]) -> Result<Vec<u8>, Pkcs11Error> {
        // Hashed here: a revocation list can be larger than what a token takes at once.
        let (mechanism, input, length) = match &self.key.public {
            VerifyingKey::P256(_) => (Mechanism::Ecdsa, Digest::of(message).0.to_vec(), 64),
            VerifyingKey::P384(_) => {
                let digest = HashAlgorithm::Sha384.digest(&[message]);
                (Mechanism::Ecdsa, digest.as_ref().to_vec(), 96)
            }
            VerifyingKey::Rsa(key) => {
                (Mechanism::RsaPkcs, sha256_info(&Digest::of(message).0), key.bits() / 8)
            }
        };
        let signature = self.shared.sessions.with(|open| {
            let handle = self.handle(open)?;
            open.session.sign(&mechanism, handle, &input).map_err(Pkcs11Error::from)
        })?;
        if signature.len() != length {
            return Err(Pkcs11Error::Signature { length: signature.len() });
        }
        Ok(match mechanism {
            Mechanism::Ecdsa => ecdsa_der(&signature),
            _ => signature,
        })
    }

    /// The private half in this session. It is looked at once in each, so that one that was replaced is not used blindly.
    fn handle(&self, open: &mut Open) -> Result<cryptoki::object::ObjectHandle, Pkcs11Error> {
        let id = &self.key.id;
        if let Some(handle) = open.handles.get(id) {
            return Ok(*handle);
        }
        let handle = keys::private(&open.session, id)?;
        keys::require_kept(&open.session, handle, id)?;
        open.handles.insert(id.clone(), handle);
        Ok(handle)
    }
}

impl Signer for InToken {
    fn verifying_key(&self) -> VerifyingKey {
        self.key.public.clone()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        self.signed(message).map_err(|error| {
            (self.shared.fault)(&error);
            SigningError
        })
    }

    fn is_external(&self) -> bool {
        true
    }
}
