//! The older form, in which a record was stored in one piece. It is read, and no longer written.

use super::super::cold::Cold;
use super::super::hot::Hot;
use super::super::recent::Recent;
use super::super::record::{Generation, Kept, Pending, Record, Trees};
use super::{Form, read_format, read_set};
use crate::ledger::Ledger;
use crate::message::{read_generation, read_schedule};
use crate::suite::Suite;
use crate::tree::Cover;
use crate::wire::{DecodeError, Reader};
use wardein_domain::Purpose;

impl Record {
    /// Reads a record that was stored in one piece, as format 1. It counts as changed: both parts are to be stored in its place.
    pub fn decode_v1(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        read_format(&mut reader, FORMAT)?;
        let (kept, hot) = Kept::read(&mut reader, &WHOLE)?;
        reader.finish("record")?;
        Ok(Self { cold: Cold::new(kept, 0), hot, recent: Recent::default() })
    }
}

const WHOLE: Form<Hot> = Form {
    active: read_live,
    pending: |reader| {
        let (generation, hot) = read_live(reader)?;
        Ok(Pending { generation, hot })
    },
    sealed: |reader| read_trees(reader, |_, _| {}),
};

/// A generation with its ledger before its trees.
fn read_live(reader: &mut Reader<'_>) -> Result<(Generation, Hot), DecodeError> {
    let number = read_generation(reader)?;
    let suite = Suite::from_number(reader.u16("suite")?)?;
    let schedule = read_schedule(reader)?;
    let mut hot = Hot::new(Ledger::read(reader)?);
    let trees = read_trees(reader, |purpose, highest| hot.reach(purpose, highest))?;
    Ok((Generation { number, suite, schedule, trees }.with_proof()?, hot))
}

/// Each tree behind its highest epoch. Proofs had one too, which stayed 0, and so had retired generations, where it moves
/// nothing.
fn read_trees(reader: &mut Reader<'_>, mut highest: impl FnMut(Purpose, u32)) -> Result<Trees, DecodeError> {
    read_set(reader)?
        .map(|purpose| {
            highest(purpose, reader.u32("highest epoch")?);
            Ok((purpose, Cover::read(reader)?))
        })
        .collect()
}

const FORMAT: u8 = 1;

#[cfg(test)]
mod tests {
    use super::super::super::record::{Enrollment, Retired};
    use super::super::super::sample::longest;
    use super::super::super::uses::TokenUses;
    use super::*;
    use crate::attribute::Attributes;
    use crate::message::{put_device, put_schedule};
    use crate::wire::{Problem, Sink};
    use wardein_crypto::SecretBytes;

    /// One that has less of everything.
    fn shorter() -> Record {
        let mut record = longest();
        let kept = record.cold.change();
        (kept.announced, kept.pending, kept.enrollment) = (None, None, Enrollment::Done(None));
        kept.attributes = Attributes::new().digests();
        kept.retired.truncate(1);
        kept.retired.iter_mut().for_each(|retired| retired.until = None);
        kept.replaced.clear();
        kept.token_uses = TokenUses::default();
        kept.active.trees.remove(&Purpose::Token);
        record.hot = Hot::new(record.hot.ledger.clone());
        record
    }

    /// The record as this form had it. A retired generation's highest epochs, which nothing asks for, are `retired`.
    fn encode(record: &Record, retired: u32) -> SecretBytes {
        let mut out = SecretBytes::with_capacity(2048);
        let kept = &*record.cold;
        out.put(&[FORMAT]);
        put_device(&mut out, &kept.device);
        kept.attributes.put(&mut out);
        out.put(&[u8::from(kept.announced.is_some())]);
        kept.announced.iter().for_each(|announced| announced.put(&mut out));
        kept.enrollment.put(&mut out);
        put_live(&mut out, &kept.active, &record.hot);
        out.put(&[u8::from(kept.pending.is_some())]);
        kept.pending.iter().for_each(|pending| put_live(&mut out, &pending.generation, &pending.hot));
        out.u16(kept.retired.len() as u16);
        for Retired { number, schedule, proof, sealed, until } in &kept.retired {
            out.u64(*number);
            put_schedule(&mut out, schedule);
            out.put(&[u8::from(proof.is_some())]);
            proof.iter().for_each(|proof| proof.put(&mut out));
            put_trees(&mut out, sealed, |_| retired);
            out.put(&[u8::from(until.is_some())]);
            out.u64(until.unwrap_or_default());
        }
        out.put(&[kept.replaced.len() as u8]);
        for replaced in &kept.replaced {
            out.u64(replaced.number);
            replaced.proof.put(&mut out);
        }
        out
    }

    fn put_live(out: &mut SecretBytes, generation: &Generation, hot: &Hot) {
        out.u64(generation.number);
        out.u16(generation.suite.number());
        put_schedule(out, &generation.schedule);
        hot.ledger.put(out);
        let highest = |purpose| if purpose == Purpose::Proof { 0 } else { hot.highest(purpose) };
        put_trees(out, &generation.trees, highest);
    }

    fn put_trees(out: &mut SecretBytes, trees: &Trees, highest: impl Fn(Purpose) -> u32) {
        out.put(&[trees.keys().fold(0, |set, purpose| set | 1 << *purpose as u8)]);
        for (purpose, cover) in trees {
            out.u32(highest(*purpose));
            cover.put(out);
        }
    }

    /// Without the sequence, in which a freshly read one differs.
    fn content(record: &Record) -> (SecretBytes, alloc::vec::Vec<u8>) {
        let mut cold = SecretBytes::with_capacity(2048);
        cold.put(&record.encode_cold().expose()[9..]);
        (cold, record.encode_hot()[9..].to_vec())
    }

    fn assert_same(left: &Record, right: &Record) {
        let ((left_cold, left_hot), (right_cold, right_hot)) = (content(left), content(right));
        assert!(left_cold.expose() == right_cold.expose());
        assert_eq!(left_hot, right_hot);
    }

    #[test]
    fn a_record_in_one_piece_is_read_whole_and_is_to_be_stored_in_two() {
        let mut record = longest();
        // They came later.
        record.cold.change().token_uses = TokenUses::default();
        for retired in [0, u32::MAX] {
            let read = Record::decode_v1(encode(&record, retired).expose()).unwrap();
            assert_same(&read, &record);
            assert!(read.is_cold_changed());
            let again = Record::decode(read.encode_cold().expose(), &read.encode_hot()).unwrap();
            assert_same(&again, &record);
            assert!(!again.is_cold_changed());
        }
        assert_same(&Record::decode_v1(encode(&shorter(), 3).expose()).unwrap(), &shorter());
    }

    #[test]
    fn the_older_form_has_its_bounds() {
        let mut record = shorter();
        let refused = |bytes: &[u8]| Record::decode_v1(bytes).err().unwrap();
        let whole = encode(&record, 0);
        let (version, min, max) = (2, 1, 1);
        let other = [&[2], &whole.expose()[1..]].concat();
        assert_eq!(refused(&other), Problem::Range { value: version, min, max }.of("format version"));
        let longer = [whole.expose(), &[0]].concat();
        assert_eq!(refused(&longer), Problem::Trailing { count: 1 }.of("record"));
        for end in 0..whole.expose().len() {
            assert!(matches!(refused(&whole.expose()[..end]).problem, Problem::Truncated { .. }));
        }
        let cold = record.encode_cold();
        assert_eq!(refused(cold.expose()).field, "format version");
        record.cold.change().active.trees.remove(&Purpose::Proof);
        let without = Problem::NotCanonical("lacks proof").of("trees");
        assert_eq!(refused(encode(&record, 0).expose()), without);
    }
}
