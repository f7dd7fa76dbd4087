//! Where random bytes come from.

use std::cell::RefCell;
use wardein_crypto::{AES_256_GCM_NONCE_LEN, Entropy, EntropyError, SystemEntropy};

/// A source of random bytes that many decisions draw from at one time.
pub trait EntropySource: Send + Sync + 'static {
    /// Fills `bytes`, or says that it could not; it never gives fewer.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError>;

    /// A nonce to seal with. Nonces are not secret.
    fn nonce(&self) -> Result<[u8; AES_256_GCM_NONCE_LEN], EntropyError> {
        let mut nonce = [0; AES_256_GCM_NONCE_LEN];
        self.fill(&mut nonce).map(|()| nonce)
    }
}

/// The operating system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemSource;

impl EntropySource for SystemSource {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        SystemEntropy::default().fill(bytes)
    }

    /// Nonces are drawn by the hundred for each thread: a system call each would be a tenth of the cost of sealing.
    fn nonce(&self) -> Result<[u8; AES_256_GCM_NONCE_LEN], EntropyError> {
        thread_local! {
            static DRAWN: RefCell<Vec<[u8; AES_256_GCM_NONCE_LEN]>> = const { RefCell::new(Vec::new()) };
        }
        DRAWN.with_borrow_mut(|drawn| {
            if let Some(nonce) = drawn.pop() {
                return Ok(nonce);
            }
            let mut bytes = [0; 128 * AES_256_GCM_NONCE_LEN];
            self.fill(&mut bytes)?;
            drawn.extend(bytes.as_chunks().0);
            drawn.pop().ok_or(EntropyError)
        })
    }
}
