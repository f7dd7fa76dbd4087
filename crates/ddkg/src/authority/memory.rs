//! How much memory a record takes, so that a cache of records can be bounded: it depends on what its device did.

use super::record::{Enrollment, Generation, Record, Trees};
use crate::attribute::AttributeDigests;
use crate::tree::Cover;
use core::mem::size_of;
use wardein_domain::AttributeName;

impl Record {
    /// About how many bytes of memory it takes: those of its parts, with the room that their collections keep free.
    pub fn memory_len(&self) -> usize {
        let cold = &*self.cold;
        let pending = cold.pending.as_ref().map_or(0, |pending| generation(&pending.generation));
        let retired: usize = cold
            .retired
            .iter()
            .map(|retired| PLACE + retired.proof.as_ref().map_or(0, cover) + trees(&retired.sealed))
            .sum();
        let replaced: usize = cold.replaced.iter().map(|replaced| PLACE + cover(&replaced.proof)).sum();
        let answer = if matches!(cold.enrollment, Enrollment::Pending { .. }) { ANSWER } else { 0 };
        size_of::<Self>()
            + answer
            + attributes(&cold.attributes)
            + cold.announced.as_ref().map_or(0, attributes)
            + generation(&cold.active)
            + pending
            + retired
            + replaced
    }
}

fn generation(generation: &Generation) -> usize {
    trees(&generation.trees)
}

fn trees(trees: &Trees) -> usize {
    if trees.is_empty() { 0 } else { MAP + trees.values().map(cover).sum::<usize>() }
}

/// The stack of its nodes has twice the room when it last grew.
fn cover(cover: &Cover) -> usize {
    2 * 32 * cover.len()
}

fn attributes(attributes: &AttributeDigests) -> usize {
    attributes.len() * (AttributeName::MAX_LEN + 2 * (size_of::<AttributeName>() + 32))
}

/// The ciphertext of an enrollment's answer.
const ANSWER: usize = 1_088;

/// A map's first node.
const MAP: usize = 640;

/// A place in a list, used or free.
const PLACE: usize = 256;

#[cfg(test)]
mod tests {
    use super::super::sample::{longest, young};

    /// The bytes that are stored are all in memory, too.
    #[test]
    fn it_is_neither_less_than_is_stored_nor_far_more() {
        for (record, most) in [(young(), 3 << 10), (longest(), 192 << 10)] {
            let (stored, memory) = (record.encode_cold().expose().len(), record.memory_len());
            assert!((stored..most).contains(&memory), "{stored} bytes stored, {memory} in memory");
        }
    }
}
