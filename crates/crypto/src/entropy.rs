//! Where random bytes come from: a port, so that tests hand in their own.

use crate::Secret;
#[cfg(feature = "ring")]
use ring::rand::{SecureRandom, SystemRandom};

/// A source of random bytes fit for keys and nonces.
pub trait Entropy {
    /// Fills `bytes`, or says that it could not; it never gives fewer.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError>;

    /// `N` public random bytes, for a nonce.
    fn array<const N: usize>(&mut self) -> Result<[u8; N], EntropyError>
    where
        Self: Sized,
    {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// `N` secret random bytes, written in place.
    fn secret<const N: usize>(&mut self) -> Result<Secret<N>, EntropyError>
    where
        Self: Sized,
    {
        Secret::try_filled(|bytes| self.fill(bytes))
    }
}

/// The source of random bytes failed; nothing may be made without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntropyError;

/// The operating system's generator (getrandom(2)). A processor without one brings its own [`Entropy`].
#[cfg(feature = "ring")]
#[derive(Debug, Default)]
pub struct SystemEntropy(());

#[cfg(feature = "ring")]
impl Entropy for SystemEntropy {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        SystemRandom::new().fill(bytes).map_err(|_| EntropyError)
    }
}
