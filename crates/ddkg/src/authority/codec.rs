//! The record as bytes, versioned. The caller seals them; a seal also tells a changed byte, so there is no checksum.

use super::record::{
    ConfirmSecret, Enrollment, Generation, MAX_REPLACED, MAX_RETIRED, RETIRED_PROOFS, Record, Replaced,
    Retired, Tree,
};
use crate::attribute::AttributeDigests;
use crate::ledger::Ledger;
use crate::message::{EnrollReply, put_device, put_schedule, read_device, read_generation, read_schedule};
use crate::purposes::Purposes;
use crate::suite::Suite;
use crate::tree::Cover;
use crate::wire::{DecodeError, Problem, Reader, Sink};
use alloc::collections::{BTreeMap, VecDeque};
use wardein_crypto::{Digest, SecretBytes};
use wardein_domain::Purpose;

impl Record {
    /// The record as secret bytes.
    pub fn encode(&self) -> SecretBytes {
        let mut out = SecretBytes::with_capacity(2048);
        self.encode_to(&mut out);
        out
    }

    /// The same, behind what is in `out`.
    pub fn encode_to(&self, out: &mut SecretBytes) {
        out.put(&[FORMAT]);
        put_device(out, &self.device);
        self.attributes.put(out);
        out.put(&[u8::from(self.announced.is_some())]);
        if let Some(announced) = &self.announced {
            announced.put(out);
        }
        self.enrollment.put(out);
        self.active.put(out);
        out.put(&[u8::from(self.pending.is_some())]);
        if let Some(pending) = &self.pending {
            pending.put(out);
        }
        out.u16(self.retired.len() as u16);
        self.retired.iter().for_each(|retired| retired.put(out));
        out.put(&[self.replaced.len() as u8]);
        for replaced in &self.replaced {
            out.u64(replaced.number);
            replaced.proof.put(out);
        }
    }

    /// The inverse of [`Record::encode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let format = reader.u8("format version")?;
        if format != FORMAT {
            let (value, min, max) = (format.into(), FORMAT.into(), FORMAT.into());
            return Err(Problem::Range { value, min, max }.of("format version"));
        }
        let device = read_device(&mut reader)?;
        let attributes = AttributeDigests::read(&mut reader)?;
        let announced = match reader.small("has announced attributes", 1)? {
            0 => None,
            _ => Some(AttributeDigests::read(&mut reader)?),
        };
        let enrollment = Enrollment::read(&mut reader)?;
        let active = Generation::read(&mut reader)?;
        let pending = match reader.small("has pending", 1)? {
            0 => None,
            _ => Some(Generation::read(&mut reader)?),
        };
        let mut retired = VecDeque::new();
        let count = reader.u16("retired generations")?;
        if usize::from(count) > MAX_RETIRED {
            let (value, min, max) = (count.into(), 0, MAX_RETIRED as u64);
            return Err(Problem::Range { value, min, max }.of("retired generations"));
        }
        for _ in 0..count {
            retired.push_back(Retired::read(&mut reader)?);
        }
        if retired.iter().skip(RETIRED_PROOFS).any(|retired| retired.proof.is_some()) {
            return Err(Problem::NotCanonical("has more proof trees than are kept").of("retired generations"));
        }
        let mut replaced = VecDeque::new();
        for _ in 0..reader.small("replaced generations", MAX_REPLACED as u8)? {
            let number = read_generation(&mut reader)?;
            replaced.push_back(Replaced { number, proof: Cover::read(&mut reader)? });
        }
        reader.finish("record")?;
        Ok(Self { device, attributes, announced, enrollment, active, pending, retired, replaced })
    }
}

impl Enrollment {
    fn put(&self, out: &mut SecretBytes) {
        let put_confirm = |out: &mut SecretBytes, confirm: &ConfirmSecret| {
            out.put(confirm.secret.expose());
            out.put(confirm.transcript.as_ref());
        };
        match self {
            Self::Pending { request, reply, confirm } => {
                out.put(&[0]);
                out.put(request.as_ref());
                out.frame(&reply.encode());
                put_confirm(out, confirm);
            }
            Self::Confirmed(confirm) => {
                out.put(&[1]);
                put_confirm(out, confirm);
            }
            Self::Done => out.put(&[2]),
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let confirm = |reader: &mut Reader<'_>| {
            let secret = reader.secret("confirmation secret")?;
            Ok(ConfirmSecret { secret, transcript: Digest(reader.array("enrollment transcript")?) })
        };
        Ok(match reader.small("enrollment", 2)? {
            0 => Self::Pending {
                request: Digest(reader.array("request digest")?),
                reply: EnrollReply::decode(reader.frame("enrollment reply", 1, MAX_REPLY)?)?,
                confirm: confirm(reader)?,
            },
            1 => Self::Confirmed(confirm(reader)?),
            _ => Self::Done,
        })
    }
}

impl Generation {
    fn put(&self, out: &mut SecretBytes) {
        out.u64(self.number);
        out.u16(self.suite.number());
        put_schedule(out, &self.schedule);
        self.ledger.put(out);
        put_trees(out, &self.trees);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let generation = Self {
            number: read_generation(reader)?,
            suite: Suite::from_number(reader.u16("suite")?)?,
            schedule: read_schedule(reader)?,
            ledger: Ledger::read(reader)?,
            trees: read_trees(reader)?,
        };
        if !generation.trees.contains_key(&Purpose::Proof) {
            return Err(Problem::NotCanonical("lacks proof").of("trees"));
        }
        Ok(generation)
    }
}

impl Retired {
    fn put(&self, out: &mut SecretBytes) {
        out.u64(self.number);
        put_schedule(out, &self.schedule);
        out.put(&[u8::from(self.proof.is_some())]);
        if let Some(proof) = &self.proof {
            proof.put(out);
        }
        put_trees(out, &self.sealed);
        out.put(&[u8::from(self.until.is_some())]);
        out.u64(self.until.unwrap_or_default());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (number, schedule) = (read_generation(reader)?, read_schedule(reader)?);
        let proof = match reader.small("has proof tree", 1)? {
            0 => None,
            _ => Some(Cover::read(reader)?),
        };
        let sealed = read_trees(reader)?;
        let has_until = reader.small("has end", 1)? == 1;
        let until = reader.u64("end")?;
        if !has_until && until != 0 {
            return Err(Problem::NotCanonical("is given where there is none").of("end"));
        }
        Ok(Self { number, schedule, proof, sealed, until: has_until.then_some(until) })
    }
}

/// `u8(set of purposes)`, then for each its highest epoch and its cover.
fn put_trees(out: &mut SecretBytes, trees: &BTreeMap<Purpose, Tree>) {
    let set = trees.keys().fold(0, |set, purpose| set | 1 << *purpose as u8);
    out.put(&[set]);
    for tree in trees.values() {
        out.u32(tree.highest);
        tree.cover.put(out);
    }
}

fn read_trees(reader: &mut Reader<'_>) -> Result<BTreeMap<Purpose, Tree>, DecodeError> {
    let set = reader.small("purposes", Purposes::ALL.bits())?;
    let kept = Purpose::ALL.into_iter().filter(|purpose| set & 1 << *purpose as u8 != 0);
    kept.map(|purpose| {
        let highest = reader.u32("highest epoch")?;
        Ok((purpose, Tree { highest, cover: Cover::read(reader)? }))
    })
    .collect()
}

const FORMAT: u8 = 1;
const MAX_REPLY: usize = 2048;
