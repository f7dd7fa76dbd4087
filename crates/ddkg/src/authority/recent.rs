//! The epoch secret that was derived last.

use crate::key::EpochSecret;
use crate::tree::{Cover, OutOfRange};

/// Spares the next number of an epoch the walk down the tree. It is in memory only, and only as long as the cover yields the
/// epoch (specification, section 9).
#[derive(Default)]
pub(super) struct Recent(Option<(Of, EpochSecret)>);

/// Generation and epoch of a proof's key.
type Of = (u64, u32);

impl Recent {
    /// The secret of an epoch of `cover`, the proof tree of `generation`.
    pub(super) fn recall(
        &mut self,
        generation: u64,
        cover: &Cover,
        epoch: u32,
    ) -> Result<&EpochSecret, OutOfRange> {
        let of = (generation, epoch);
        let (_, secret) = match self.0.take().filter(|(recent, _)| *recent == of) {
            Some(recent) => self.0.insert(recent),
            None => self.0.insert((of, cover.epoch_secret(epoch)?)),
        };
        Ok(secret)
    }

    /// Wipes entries not of `generation`, or of an epoch before `first`.
    pub(super) fn keep_from(&mut self, generation: u64, first: u32) {
        self.0.take_if(|((of, epoch), _)| *of != generation || *epoch < first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::GenerationRoot;
    use wardein_crypto::Secret;
    use wardein_domain::Purpose;

    fn cover(seed: u8) -> Cover {
        GenerationRoot::new(Secret::copied_from(&[seed; 32])).tree(Purpose::Proof)
    }

    #[test]
    fn what_is_remembered_is_what_is_derived() {
        let (mut recent, covers) = (Recent::default(), [cover(1), cover(2)]);
        for (generation, epoch) in [(1, 3), (1, 3), (1, 7), (1, 3), (0, 3), (1, 3)] {
            let cover = &covers[generation];
            let derived = *cover.epoch_secret(epoch).unwrap().expose();
            assert_eq!(*recent.recall(generation as u64, cover, epoch).unwrap().expose(), derived);
        }
    }

    #[test]
    fn it_goes_with_its_epoch_and_its_generation() {
        let (mut recent, mut cover) = (Recent::default(), cover(1));
        recent.recall(1, &cover, 3).unwrap();
        recent.keep_from(1, 3);
        assert!(recent.0.is_some());
        recent.keep_from(1, 4);
        assert!(recent.0.is_none());
        recent.recall(1, &cover, 3).unwrap();
        recent.keep_from(2, 0);
        assert!(recent.0.is_none());
        cover.advance(4).unwrap();
        assert!(recent.recall(1, &cover, 3).is_err());
        assert!(recent.0.is_none(), "a failed walk leaves nothing");
    }
}
