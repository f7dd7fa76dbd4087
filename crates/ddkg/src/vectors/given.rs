//! The vectors' random values as a source of randomness.

use super::form::Hex;
use alloc::vec::Vec;
use wardein_crypto::{Entropy, EntropyError};

/// Whether an end uses the private key of its P-256 share that it is given. `ring` takes it from the operating system.
pub(super) const IS_EXACT: bool = cfg!(not(feature = "ring"));

/// Gives out the vectors' random values in the order in which an end draws them.
pub(super) struct Given(Vec<u8>);

impl Given {
    /// `private` is that of the share, which an end draws first; then come the others.
    pub(super) fn new<'a>(private: &'a Hex, others: impl IntoIterator<Item = Option<&'a Hex>>) -> Self {
        let values = IS_EXACT.then_some(private).into_iter().chain(others.into_iter().flatten());
        Self(values.flat_map(|hex| hex.0.iter().copied()).collect())
    }
}

impl Entropy for Given {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        let (given, rest) = self.0.split_at_checked(bytes.len()).ok_or(EntropyError)?;
        bytes.copy_from_slice(given);
        self.0 = rest.to_vec();
        Ok(())
    }
}

/// Random bytes of which nothing is compared.
#[derive(Default)]
pub(super) struct Counting(u8);

impl Entropy for Counting {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        for byte in bytes {
            self.0 = self.0.wrapping_add(1);
            *byte = self.0;
        }
        Ok(())
    }
}
