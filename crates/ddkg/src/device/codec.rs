//! The state as bytes: versioned, checksummed, at most [`DeviceState::MAX_LEN`].

use super::error::DeviceError;
use super::state::{Attempt, DeviceState, Standing, Tree};
use crate::key::DeviceName;
use crate::message::{put_device, put_schedule, read_device, read_generation, read_schedule};
use crate::progress::{Numbers, ProofEpochs};
use crate::purposes::Purposes;
use crate::suite::Suite;
use crate::tree::Cover;
use crate::wire::{DecodeError, Problem, Reader, Sink};
use alloc::collections::BTreeMap;
use wardein_crypto::{Digest, P256VerifyingKey, SecretBytes, Tag};
use wardein_domain::Purpose;

impl DeviceState {
    /// The most bytes of a state, with five purposes.
    pub const MAX_LEN: usize = 6 * 1024;

    /// By how many fewer a state without the purpose `service` does.
    pub const SERVICE_LEN: usize = 1024;

    /// The state as bytes. They hold the state that a crash now would leave: all reserved numbers count as used.
    pub(super) fn encode(&self) -> SecretBytes {
        let less = if self.trees.contains_key(&Purpose::Service) { 0 } else { Self::SERVICE_LEN };
        let mut out = SecretBytes::with_capacity(Self::MAX_LEN - less);
        out.put(&[FORMAT]);
        out.u64(self.writes);
        put_device(&mut out, &self.device);
        out.put(&self.identity.0);
        out.u16(self.suite.number());
        out.u64(self.generation);
        put_schedule(&mut out, &self.schedule);
        let (standing, tag) = match &self.standing {
            Standing::Unconfirmed(tag) => (0, tag.0),
            Standing::Unproven => (1, [0; 32]),
            Standing::Proven => (2, [0; 32]),
        };
        out.put(&[standing]);
        out.put(&tag);
        out.u64(self.known_time);
        out.u32(self.proofs.acked());
        out.u64(self.proofs.acks());
        out.put(&[self.purposes().bits()]);
        for tree in self.trees.values() {
            out.u64(tree.numbers.reserved());
            out.u64(tree.taken.saturating_add(tree.numbers.unused()));
            tree.cover.put(&mut out);
        }
        let checksum = Digest::of(out.expose());
        out.put(checksum.as_ref().split_at(CHECKSUM_LEN).0);
        out
    }

    /// The state that was saved last, after a restart.
    ///
    /// `floor` is the value of a hardware counter that the device raises with every write, or 0 without one: a state of an
    /// earlier write is an old image and is refused. Without a counter the device cannot know; the authority will.
    pub fn restore(bytes: &[u8], floor: u64) -> Result<Self, DeviceError> {
        let state = Self::decode(bytes)?;
        if state.writes < floor {
            return Err(DeviceError::RolledBack { found: state.writes, floor });
        }
        Ok(state)
    }

    /// How often this state was saved: the value for a hardware counter.
    pub fn writes(&self) -> u64 {
        self.writes
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (length, min, max) = (bytes.len(), CHECKSUM_LEN, Self::MAX_LEN);
        if !(min..=max).contains(&length) {
            return Err(Problem::Length { length, min, max }.of("state"));
        }
        let (body, checksum) = bytes.split_at(length - CHECKSUM_LEN);
        if !Digest::of(body).as_ref().starts_with(checksum) {
            return Err(Problem::Checksum.of("state"));
        }
        let mut reader = Reader::new(body);
        let format = reader.u8("format version")?;
        if format != FORMAT {
            let (value, min, max) = (format.into(), FORMAT.into(), FORMAT.into());
            return Err(Problem::Range { value, min, max }.of("format version"));
        }
        let writes = reader.u64("writes")?;
        let device: DeviceName = read_device(&mut reader)?;
        let identity = P256VerifyingKey(reader.array("identity key")?);
        let suite = Suite::from_number(reader.u16("suite")?)?;
        let generation = read_generation(&mut reader)?;
        let schedule = read_schedule(&mut reader)?;
        let standing = reader.small("standing", 2)?;
        let tag = Tag(reader.array("confirmation")?);
        if standing != 0 && tag.0 != [0; 32] {
            return Err(Problem::NotCanonical("is given where none is awaited").of("confirmation"));
        }
        let standing = match standing {
            0 => Standing::Unconfirmed(tag),
            1 => Standing::Unproven,
            _ => Standing::Proven,
        };
        let known_time = reader.u64("known time")?;
        let proofs = ProofEpochs::new(reader.u32("acknowledged epoch")?, reader.u64("acks")?);
        let purposes = Purposes::read(&mut reader)?;
        let mut trees = BTreeMap::new();
        for purpose in purposes.iter() {
            let numbers = Numbers::restored(reader.u64("reserved numbers")?);
            let taken = reader.u64("taken numbers")?;
            let cover = Cover::read(&mut reader)?;
            if cover.last() != u32::MAX {
                return Err(Problem::NotCanonical("is not a frontier").of("tree"));
            }
            trees.insert(purpose, Tree { cover, numbers, taken });
        }
        let frontier = trees.get(&Purpose::Proof).map(|tree: &Tree| tree.cover.first());
        if frontier != Some(proofs.acked()) {
            return Err(Problem::NotCanonical("is not where the proof tree starts").of("acknowledged epoch"));
        }
        reader.finish("state")?;
        Ok(Self {
            device,
            identity,
            suite,
            generation,
            schedule,
            standing,
            known_time,
            proofs,
            trees,
            writes,
            is_dirty: false,
            rekey_attempt: Attempt::new(),
            challenge_ask: Attempt::new(),
        })
    }
}

const FORMAT: u8 = 1;
const CHECKSUM_LEN: usize = 16;
