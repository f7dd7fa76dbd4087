//! Secrets that wipe themselves, of fixed and of growing size.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use zeroize::Zeroize;

/// `N` secret bytes, wiped when dropped.
///
/// They live on the heap, so that moving the value moves a pointer and leaves no copy behind. There is no
/// `Debug`, `Clone`, `PartialEq` or serialization: [`Secret::expose`] is the one way to the bytes, so that
/// searching for it finds every use.
pub struct Secret<const N: usize>(Box<[u8; N]>);

impl<const N: usize> Secret<N> {
    /// A secret that `fill` writes in place, so that it never exists elsewhere.
    pub fn filled(fill: impl FnOnce(&mut [u8; N])) -> Self {
        let mut bytes = Box::new([0; N]);
        fill(&mut bytes);
        Self(bytes)
    }

    /// The same, when filling can fail; the error is that of `fill`.
    pub fn try_filled<E>(fill: impl FnOnce(&mut [u8; N]) -> Result<(), E>) -> Result<Self, E> {
        let mut secret = Self(Box::new([0; N]));
        fill(&mut secret.0)?;
        Ok(secret)
    }

    /// A copy of `bytes`. The caller wipes its own.
    pub fn copied_from(bytes: &[u8; N]) -> Self {
        Self::filled(|to| to.copy_from_slice(bytes))
    }

    /// A second owner of the same bytes, by name, so that duplicates are found by searching for it.
    pub fn duplicate(&self) -> Self {
        Self::copied_from(&self.0)
    }

    /// The bytes.
    pub fn expose(&self) -> &[u8; N] {
        &self.0
    }
}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Secret bytes that are written piece by piece, wiped when dropped and whenever they move to a larger place.
#[derive(Default)]
pub struct SecretBytes(Vec<u8>);

impl SecretBytes {
    /// No bytes yet, with room for `capacity`.
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    /// Adds `bytes` at the end.
    pub fn extend(&mut self, bytes: &[u8]) {
        if self.0.capacity() - self.0.len() < bytes.len() {
            // A Vec that grows by itself would free its old place with the secret still in it.
            let mut larger = Vec::with_capacity(2 * (self.0.len() + bytes.len()));
            larger.extend_from_slice(&self.0);
            self.0.zeroize();
            self.0 = larger;
        }
        self.0.extend_from_slice(bytes);
    }

    /// At most `capacity` bytes, which `fill` writes in place, from the first, and counts.
    pub fn try_filled<E>(
        capacity: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<Self, E> {
        let mut bytes = Self(vec![0; capacity]);
        let length = fill(&mut bytes.0)?;
        // Only the bytes behind are cut off, and they stay within the wiped range: `zeroize` covers the whole capacity.
        bytes.0.truncate(length);
        Ok(bytes)
    }

    /// Takes over `bytes`, which are wiped with this value.
    pub fn from_vec(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Gives the bytes out with a tag behind them, once `seal` has made ciphertext of them; when it fails they are wiped.
    pub(crate) fn sealed<T: AsRef<[u8]>, E>(
        mut self,
        seal: impl FnOnce(&mut [u8]) -> Result<T, E>,
    ) -> Result<Vec<u8>, E> {
        let tag = seal(&mut self.0)?;
        let mut sealed = core::mem::take(&mut self.0);
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }
}

impl Drop for SecretBytes {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Secrets of `N` bytes each, in one place; they are added and taken away at the end. They are wiped when dropped, when taken
/// away, and whenever they move to a larger place.
pub struct SecretStack<const N: usize>(Vec<[u8; N]>);

impl<const N: usize> SecretStack<N> {
    /// None yet, with room for `capacity`.
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    /// Adds a copy of `secret`. The caller wipes its own.
    pub fn push(&mut self, secret: &[u8; N]) {
        if self.0.len() == self.0.capacity() {
            // A Vec that grows by itself would free its old place with the secrets still in it.
            let mut larger = Vec::with_capacity(2 * self.0.len() + 1);
            larger.extend_from_slice(&self.0);
            self.0.zeroize();
            self.0 = larger;
        }
        // From place to place: as a value it could leave a copy on the way.
        self.0.extend_from_slice(core::slice::from_ref(secret));
    }

    /// Takes the last one away.
    pub fn pop(&mut self) -> Option<Secret<N>> {
        let last = self.0.last_mut()?;
        let secret = Secret::copied_from(last);
        last.zeroize();
        self.0.truncate(self.0.len() - 1);
        Some(secret)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes of each, in the order in which they were added.
    pub fn expose(&self) -> &[[u8; N]] {
        &self.0
    }
}

impl<const N: usize> Drop for SecretStack<N> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_fill_gives_no_secret() {
        assert!(Secret::<4>::try_filled(|_| Err("no entropy")).is_err());
        let secret = Secret::<4>::try_filled(|bytes| {
            bytes.fill(7);
            Ok::<(), ()>(())
        });
        assert_eq!(secret.ok().map(|s| *s.expose()), Some([7; 4]));
    }

    #[test]
    fn secret_bytes_are_cut_to_what_was_filled() {
        let bytes = SecretBytes::try_filled(4, |bytes| {
            bytes[..3].copy_from_slice(b"abc");
            Ok::<usize, ()>(3)
        });
        assert_eq!(bytes.map(|bytes| bytes.expose().len()), Ok(3));
        assert!(SecretBytes::try_filled(4, |_| Err("refused")).is_err());
    }

    #[test]
    fn a_stack_gives_back_what_was_added_last() {
        let mut stack = SecretStack::with_capacity(1);
        assert!(stack.is_empty() && stack.pop().is_none());
        for byte in 0..5 {
            stack.push(&[byte; 4]);
        }
        assert_eq!(stack.expose(), [[0; 4], [1; 4], [2; 4], [3; 4], [4; 4]]);
        assert_eq!(stack.pop().map(|secret| *secret.expose()), Some([4; 4]));
        assert_eq!((stack.len(), stack.expose().last()), (4, Some(&[3; 4])));
    }

    #[test]
    fn secret_bytes_keep_all_that_was_added() {
        let mut bytes = SecretBytes::with_capacity(3);
        bytes.extend(&[1, 2]);
        bytes.extend(&[3, 4, 5]);
        assert_eq!(bytes.expose(), [1, 2, 3, 4, 5]);
    }
}
