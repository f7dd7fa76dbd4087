//! Random bytes that are the same at every run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wardein_crypto::{EntropyError, Sha256};
use wardein_port::EntropySource;

/// A source of bytes that look random and follow from a seed alone; its clones are one source.
#[derive(Debug, Clone)]
pub struct SeededSource(Arc<Drawn>);

#[derive(Debug)]
struct Drawn {
    seed: u64,
    /// How many blocks were drawn.
    blocks: AtomicU64,
}

impl SeededSource {
    /// The source of this seed, from its first byte on.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Drawn { seed, blocks: AtomicU64::new(0) }))
    }
}

impl EntropySource for SeededSource {
    /// SHA-256 of the seed and a counter, as Hash_DRBG expands (NIST SP 800-90A, 10.1.1.4).
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        for block in bytes.chunks_mut(32) {
            let mut hash = Sha256::new();
            hash.update(b"wardein testkit entropy");
            hash.update(&self.0.seed.to_be_bytes());
            hash.update(&self.0.blocks.fetch_add(1, Ordering::Relaxed).to_be_bytes());
            block.copy_from_slice(&hash.finish().0[..block.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_follow_from_the_seed_and_never_come_again() {
        let draw = |source: &SeededSource| {
            let mut bytes = [0; 100];
            source.fill(&mut bytes).unwrap();
            bytes
        };
        let (one, same, other) = (SeededSource::new(1), SeededSource::new(1), SeededSource::new(2));
        let first = draw(&one);
        assert_eq!(first, draw(&same));
        assert_ne!(first, draw(&other));
        let second = draw(&one.clone());
        assert_ne!(first, second, "a clone goes on where the source is");
        assert_eq!(second, draw(&same));
        assert_ne!(one.nonce(), one.nonce());
    }
}
