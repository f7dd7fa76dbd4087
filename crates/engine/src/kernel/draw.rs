//! The random bytes of one decision.

use crate::kernel::Error;
use wardein_crypto::{AES_256_GCM_NONCE_LEN, Entropy, EntropyError, Secret, SecretBytes};
use wardein_port::EntropySource;

/// The random bytes of a decision. When it has to be made again because rows were missing, it draws the same bytes again:
/// otherwise a random serial would ask for another row each time. Nonces to seal with are always fresh: the plaintext may have
/// become another.
pub(crate) struct Draw<'a> {
    source: &'a dyn EntropySource,
    drawn: SecretBytes,
    at: usize,
}

impl<'a> Draw<'a> {
    pub(crate) fn new(source: &'a dyn EntropySource) -> Self {
        Self { source, drawn: SecretBytes::with_capacity(0), at: 0 }
    }

    /// Back to the first byte.
    pub(crate) fn rewind(&mut self) {
        self.at = 0;
    }

    /// Other bytes from now on.
    pub(crate) fn renew(&mut self) {
        (self.drawn, self.at) = (SecretBytes::with_capacity(0), 0);
    }

    /// `N` public bytes.
    pub(crate) fn public<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        self.array().map_err(|_| no_entropy())
    }

    /// `N` secret bytes.
    pub(crate) fn hidden<const N: usize>(&mut self) -> Result<Secret<N>, Error> {
        self.secret().map_err(|_| no_entropy())
    }

    pub(crate) fn nonce(&self) -> Result<[u8; AES_256_GCM_NONCE_LEN], Error> {
        self.source.nonce().map_err(|_| no_entropy())
    }
}

impl Entropy for Draw<'_> {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        let known = self.drawn.expose().get(self.at..).unwrap_or_default();
        let (again, fresh) = bytes.split_at_mut(known.len().min(bytes.len()));
        again.copy_from_slice(&known[..again.len()]);
        if !fresh.is_empty() {
            self.source.fill(fresh)?;
            self.drawn.extend(fresh);
        }
        self.at += bytes.len();
        Ok(())
    }
}

fn no_entropy() -> Error {
    Error::internal("the system gives no random bytes")
}
