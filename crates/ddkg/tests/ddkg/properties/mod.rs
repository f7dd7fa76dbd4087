//! What holds for every input: covers, codecs, erasure, and that no bit of any message can change unnoticed.

mod bits;
mod bits_sealed;
mod codecs;
mod covers;
mod erased;
mod ledger;
mod parts;
mod unpredictable;

pub(crate) use codecs::records;
