//! The maximum length of a record, whatever a device asks for: the store must have room for it.

use super::hot::Hot;
use super::record::{MAX_REPLACED, MAX_RETIRED, RETIRED_PROOFS, Record};
use super::uses::TokenUses;
use crate::attribute::MAX_ATTRIBUTES;
use wardein_domain::{AttributeName, DeviceId, TenantId};

impl Record {
    /// The most bytes of [`Record::encode_cold`]: every name of full length, every list full, and every tree with the 32 nodes
    /// of the frontier of epoch 1.
    pub const MAX_COLD_LEN: usize = 1
        + 8
        + FRAME
        + TenantId::MAX_LEN
        + FRAME
        + DeviceId::MAX_LEN
        + (ATTRIBUTES + 1 + ATTRIBUTES)
        + ENROLLMENT
        + (GENERATION + 1 + GENERATION + Hot::LEN)
        + (2 + MAX_RETIRED * RETIRED + RETIRED_PROOFS * FRONTIER)
        + (1 + MAX_REPLACED * (8 + FRONTIER))
        + TokenUses::MAX_LEN;

    /// The bytes of [`Record::encode_hot`]: format, cold sequence, generation, and how far it was used.
    pub const MAX_HOT_LEN: usize = 1 + 8 + 8 + Hot::LEN;
}

const FRAME: usize = 4;
/// The first and the last epoch, then a node at each depth.
const FRONTIER: usize = 4 + 4 + 32 * 32;
const ATTRIBUTES: usize = 1 + MAX_ATTRIBUTES * (FRAME + AttributeName::MAX_LEN + 32);
/// One that was confirmed. A pending one is longer, and has none of the later parts.
const ENROLLMENT: usize = 1 + 32 + 32;
const SCHEDULE: usize = 3 * 8;
const GENERATION: usize = 8 + 2 + SCHEDULE + 1 + 5 * FRONTIER;
/// Without its proof tree, which the newest have.
const RETIRED: usize = 8 + SCHEDULE + 1 + 1 + 2 * FRONTIER + 1 + 8;

#[cfg(test)]
mod tests {
    use super::super::sample::longest;
    use super::*;

    #[test]
    fn the_longest_record_has_the_most_bytes_and_is_read_again() {
        let record = longest();
        let (cold, hot) = (record.encode_cold(), record.encode_hot());
        assert_eq!((cold.expose().len(), hot.len()), (Record::MAX_COLD_LEN, Record::MAX_HOT_LEN));
        let again = Record::decode(cold.expose(), &hot).unwrap();
        assert_eq!((again.encode_cold().expose(), again.encode_hot()), (cold.expose(), hot));
    }

    #[test]
    fn the_readme_says_how_long_they_are() {
        assert_eq!((Record::MAX_COLD_LEN, Record::MAX_HOT_LEN), (69_896, 90));
    }
}
