//! How long a record can become, whatever a device asks for: whoever stores records must have room for it.

use super::record::{MAX_REPLACED, MAX_RETIRED, RETIRED_PROOFS, Record};
use crate::attribute::MAX_ATTRIBUTES;
use wardein_domain::{AttributeName, DeviceId, TenantId};

impl Record {
    /// The most bytes of [`Record::encode`]: every name of full length, every list full, and every tree with the 32 nodes of the
    /// frontier of epoch 1.
    pub const MAX_LEN: usize = 1
        + FRAME
        + TenantId::MAX_LEN
        + FRAME
        + DeviceId::MAX_LEN
        + (ATTRIBUTES + 1 + ATTRIBUTES)
        + ENROLLMENT
        + 1
        + 2 * GENERATION
        + (2 + MAX_RETIRED * RETIRED + RETIRED_PROOFS * FRONTIER)
        + (1 + MAX_REPLACED * (8 + FRONTIER));
}

const FRAME: usize = 4;
/// The first and the last epoch, then a node at each depth.
const FRONTIER: usize = 4 + 4 + 32 * 32;
const TREE: usize = 4 + FRONTIER;
const ATTRIBUTES: usize = 1 + MAX_ATTRIBUTES * (FRAME + AttributeName::MAX_LEN + 32);
/// One that was confirmed. A pending one is longer, and has nothing of what comes after it.
const ENROLLMENT: usize = 1 + 32 + 32;
const SCHEDULE: usize = 3 * 8;
const LEDGER: usize = 4 + 8 + 1 + 8 + 8 + 16 + 8;
const GENERATION: usize = 8 + 2 + SCHEDULE + LEDGER + 1 + 4 * TREE;
/// Without its proof tree, which the newest have.
const RETIRED: usize = 8 + SCHEDULE + 1 + 1 + 2 * TREE + 1 + 8;

#[cfg(test)]
mod tests {
    use super::super::record::{ConfirmSecret, Enrollment, Generation, Replaced, Retired, Tree};
    use super::*;
    use crate::attribute::Attributes;
    use crate::key::DeviceName;
    use crate::ledger::{Claim, Ledger};
    use crate::suite::Suite;
    use crate::tree::{Cover, GenerationRoot};
    use alloc::format;
    use alloc::string::String;
    use wardein_crypto::{Digest, Secret};
    use wardein_domain::{Purpose, Schedule};

    fn secret() -> Secret<32> {
        Secret::copied_from(&[7; 32])
    }

    fn frontier(purpose: Purpose) -> Cover {
        let mut cover = GenerationRoot::new(secret()).tree(purpose);
        cover.advance(1).unwrap();
        cover
    }

    fn tree(purpose: Purpose) -> (Purpose, Tree) {
        (purpose, Tree { cover: frontier(purpose), highest: u32::MAX })
    }

    fn name(letter: char, length: usize) -> String {
        String::from(letter).repeat(length)
    }

    fn schedule() -> Schedule {
        Schedule { period: u64::MAX, max_uses: u64::MAX, not_before: u64::MAX }
    }

    fn generation(number: u64) -> Generation {
        let mut ledger = Ledger::new(u64::MAX);
        ledger.accept(&Claim { epoch: 1, number: 9, issued_ms: 0, is_ordered: false, mark: [9; 8] });
        let trees = Purpose::ALL.map(tree).into();
        Generation { number, suite: Suite::P256, schedule: schedule(), ledger, trees }
    }

    fn retired(number: u64) -> Retired {
        let proof = (number < RETIRED_PROOFS as u64).then(|| frontier(Purpose::Proof));
        let sealed = [Purpose::Data, Purpose::File].map(tree).into();
        Retired { number: number + 1, schedule: schedule(), proof, sealed, until: Some(u64::MAX) }
    }

    #[test]
    fn the_longest_record_has_the_most_bytes_and_is_read_again() {
        let mut attributes = Attributes::new();
        for number in 0..MAX_ATTRIBUTES {
            let name = format!("{number:02}{}", name('a', AttributeName::MAX_LEN - 2));
            attributes.insert(name.parse().unwrap(), b"").unwrap();
        }
        let tenant = name('t', TenantId::MAX_LEN).parse().unwrap();
        let device = DeviceName { tenant, device: name('d', DeviceId::MAX_LEN).parse().unwrap() };
        let confirm = ConfirmSecret { secret: secret(), transcript: Digest([1; 32]) };
        let replaced = |number| Replaced { number, proof: frontier(Purpose::Proof) };
        let record = Record {
            device,
            attributes: attributes.digests(),
            announced: Some(attributes.digests()),
            enrollment: Enrollment::Confirmed(confirm),
            active: generation(100),
            pending: Some(generation(101)),
            retired: (0..MAX_RETIRED as u64).map(retired).collect(),
            replaced: (1..=MAX_REPLACED as u64).map(replaced).collect(),
        };
        let bytes = record.encode();
        assert_eq!(bytes.expose().len(), Record::MAX_LEN);
        assert_eq!(Record::decode(bytes.expose()).unwrap().encode().expose(), bytes.expose());
    }
}
