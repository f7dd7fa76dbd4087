//! The record as bytes, versioned: the cold part and the hot one. The caller seals the cold part; a seal also detects a changed
//! byte, so there is no checksum.

mod whole;

use super::cold::Cold;
use super::hot::Hot;
use super::recent::Recent;
use super::record::{
    ConfirmSecret, Enrollment, Generation, Kept, MAX_REPLACED, MAX_RETIRED, Pending, RETIRED_PROOFS, Record,
    Replaced, Retired, Trees,
};
use super::uses::TokenUses;
use crate::attribute::AttributeDigests;
use crate::message::{EnrollReply, put_device, put_schedule, read_device, read_generation, read_schedule};
use crate::purposes::Purposes;
use crate::suite::Suite;
use crate::tree::Cover;
use crate::wire::{DecodeError, Problem, Reader, Sink};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use wardein_crypto::{Digest, SecretBytes};
use wardein_domain::Purpose;

impl Record {
    /// The cold part as secret bytes, at most [`Record::MAX_COLD_LEN`]: the keys, and whatever changes seldom.
    pub fn encode_cold(&self) -> SecretBytes {
        let mut out = SecretBytes::with_capacity(2048);
        self.encode_cold_to(&mut out);
        out
    }

    /// The same, appended to `out`.
    pub fn encode_cold_to(&self, out: &mut SecretBytes) {
        out.put(&[FORMAT]);
        out.u64(self.cold.sequence());
        self.cold.put(out);
    }

    /// The hot part, [`Record::MAX_HOT_LEN`] bytes: which cold part it belongs to, and how far the active generation was used. It
    /// fits only the present cold part of this record.
    ///
    /// It may be stored in the clear: it has no key, and nothing that a key was made from. It has epochs and numbers that the
    /// device sends in the clear, how many proofs were accepted and when the latest challenge was issued, and 8 bytes of the
    /// hash of a message. A reader learns how often the device spoke, and when it last did.
    ///
    /// Altering it yields no key and forges no proof. Set back, within one state of the cold part, it lets an accepted proof be
    /// accepted again as long as its challenge is good (a minute by default). Set forward, it locks the device out, or has its
    /// keys erased. Either way it can cause a false alarm about a clone, or suppress a true one. A token or a key that was spent
    /// stays spent: [`Spend`](super::Spend) is recorded apart. Where those who can write to the store are not trusted with that
    /// much, the caller authenticates these bytes too. Neither a seal nor a mac detects that a whole record was set back.
    pub fn encode_hot(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::MAX_HOT_LEN);
        out.put(&[FORMAT]);
        out.u64(self.cold.sequence());
        out.u64(self.cold.active.number);
        self.hot.put(&mut out);
        out
    }

    /// The inverse of [`Record::encode_cold`] and [`Record::encode_hot`].
    ///
    /// Parts of different states of a record are refused as [`Problem::Apart`]: both are written in one step, so only damage or
    /// tampering can have brought them together.
    pub fn decode(cold: &[u8], hot: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(cold);
        read_format(&mut reader, FORMAT)?;
        let sequence = reader.u64("cold sequence")?;
        let (kept, ()) = Kept::read(&mut reader, &SPLIT)?;
        let kept = Kept { token_uses: TokenUses::read(&mut reader)?, ..kept };
        reader.finish("record")?;
        let mut reader = Reader::new(hot);
        read_format(&mut reader, FORMAT)?;
        must_be(sequence, reader.u64("hot sequence")?, "hot sequence")?;
        must_be(kept.active.number, reader.u64("hot generation")?, "hot generation")?;
        let hot = Hot::read(&mut reader, &kept.active)?;
        reader.finish("hot part")?;
        Ok(Self { cold: Cold::stored(kept, sequence), hot, recent: Recent::default() })
    }
}

fn read_format(reader: &mut Reader<'_>, expected: u8) -> Result<(), DecodeError> {
    match reader.u8("format version")? {
        format if format == expected => Ok(()),
        format => {
            let (value, min, max) = (format.into(), expected.into(), expected.into());
            Err(Problem::Range { value, min, max }.of("format version"))
        }
    }
}

fn must_be(expected: u64, found: u64, field: &'static str) -> Result<(), DecodeError> {
    if found == expected { Ok(()) } else { Err(Problem::Apart { found, expected }.of(field)) }
}

/// Reads the fields that differ between this form and the older one. `H` is what the form has, beside the keys, of the
/// active generation.
struct Form<H> {
    active: Read<(Generation, H)>,
    pending: Read<Pending>,
    sealed: Read<Trees>,
}

type Read<T> = fn(&mut Reader<'_>) -> Result<T, DecodeError>;

const SPLIT: Form<()> = Form {
    active: |reader| Ok((Generation::read(reader)?, ())),
    pending: |reader| {
        let generation = Generation::read(reader)?;
        let hot = Hot::read(reader, &generation)?;
        Ok(Pending { generation, hot })
    },
    sealed: read_trees,
};

impl Kept {
    fn put(&self, out: &mut SecretBytes) {
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
            pending.generation.put(out);
            pending.hot.put(out);
        }
        out.u16(self.retired.len() as u16);
        self.retired.iter().for_each(|retired| retired.put(out));
        out.put(&[self.replaced.len() as u8]);
        for replaced in &self.replaced {
            out.u64(replaced.number);
            replaced.proof.put(out);
        }
        self.token_uses.put(out);
    }

    /// The inverse of [`Kept::put`], without what follows the replaced generations.
    fn read<H>(reader: &mut Reader<'_>, form: &Form<H>) -> Result<(Self, H), DecodeError> {
        let device = read_device(reader)?;
        let attributes = AttributeDigests::read(reader)?;
        let announced = match reader.small("has announced attributes", 1)? {
            0 => None,
            _ => Some(AttributeDigests::read(reader)?),
        };
        let enrollment = Enrollment::read(reader)?;
        let (active, hot) = (form.active)(reader)?;
        let pending = match reader.small("has pending", 1)? {
            0 => None,
            _ => Some((form.pending)(reader)?),
        };
        let mut retired = VecDeque::new();
        let count = reader.u16("retired generations")?;
        if usize::from(count) > MAX_RETIRED {
            let (value, min, max) = (count.into(), 0, MAX_RETIRED as u64);
            return Err(Problem::Range { value, min, max }.of("retired generations"));
        }
        for _ in 0..count {
            retired.push_back(Retired::read(reader, form.sealed)?);
        }
        if retired.iter().skip(RETIRED_PROOFS).any(|retired| retired.proof.is_some()) {
            return Err(Problem::NotCanonical("has more proof trees than are kept").of("retired generations"));
        }
        let mut replaced = VecDeque::new();
        for _ in 0..reader.small("replaced generations", MAX_REPLACED as u8)? {
            let number = read_generation(reader)?;
            replaced.push_back(Replaced { number, proof: Cover::read(reader)? });
        }
        let token_uses = TokenUses::default();
        let kept = Self {
            device,
            attributes,
            announced,
            enrollment,
            active,
            pending,
            retired,
            replaced,
            token_uses,
        };
        Ok((kept, hot))
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
            Self::Done(None) => out.put(&[2]),
            Self::Done(Some(confirmed)) => {
                out.put(&[3]);
                out.put(confirmed.as_ref());
            }
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let confirm = |reader: &mut Reader<'_>| {
            let secret = reader.secret("confirmation secret")?;
            Ok(ConfirmSecret { secret, transcript: Digest(reader.array("enrollment transcript")?) })
        };
        Ok(match reader.small("enrollment", 3)? {
            0 => Self::Pending {
                request: Digest(reader.array("request digest")?),
                reply: EnrollReply::decode(reader.frame("enrollment reply", 1, MAX_REPLY)?)?,
                confirm: confirm(reader)?,
            },
            1 => Self::Confirmed(confirm(reader)?),
            2 => Self::Done(None),
            _ => Self::Done(Some(Digest(reader.array("confirmation digest")?))),
        })
    }
}

impl Generation {
    fn put(&self, out: &mut SecretBytes) {
        out.u64(self.number);
        out.u16(self.suite.number());
        put_schedule(out, &self.schedule);
        put_trees(out, &self.trees);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let generation = Self {
            number: read_generation(reader)?,
            suite: Suite::from_number(reader.u16("suite")?)?,
            schedule: read_schedule(reader)?,
            trees: read_trees(reader)?,
        };
        generation.with_proof()
    }

    /// Without a tree of proofs a device could never speak again.
    fn with_proof(self) -> Result<Self, DecodeError> {
        let has_proof = self.trees.contains_key(&Purpose::Proof);
        has_proof.then_some(self).ok_or_else(|| Problem::NotCanonical("lacks proof").of("trees"))
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

    fn read(reader: &mut Reader<'_>, sealed: Read<Trees>) -> Result<Self, DecodeError> {
        let (number, schedule) = (read_generation(reader)?, read_schedule(reader)?);
        let proof = match reader.small("has proof tree", 1)? {
            0 => None,
            _ => Some(Cover::read(reader)?),
        };
        let sealed = sealed(reader)?;
        let has_until = reader.small("has end", 1)? == 1;
        let until = reader.u64("end")?;
        if !has_until && until != 0 {
            return Err(Problem::NotCanonical("is given where there is none").of("end"));
        }
        Ok(Self { number, schedule, proof, sealed, until: has_until.then_some(until) })
    }
}

/// `u8(set of purposes)`, then the cover of each.
fn put_trees(out: &mut SecretBytes, trees: &Trees) {
    let set = trees.keys().fold(0, |set, purpose| set | 1 << *purpose as u8);
    out.put(&[set]);
    trees.values().for_each(|cover| cover.put(out));
}

fn read_trees(reader: &mut Reader<'_>) -> Result<Trees, DecodeError> {
    read_set(reader)?.map(|purpose| Ok((purpose, Cover::read(reader)?))).collect()
}

fn read_set(reader: &mut Reader<'_>) -> Result<impl Iterator<Item = Purpose> + use<>, DecodeError> {
    let set = reader.small("purposes", Purposes::KNOWN.bits())?;
    Ok(Purpose::ALL.into_iter().filter(move |purpose| set & 1 << *purpose as u8 != 0))
}

const FORMAT: u8 = 2;
const MAX_REPLY: usize = 2048;
