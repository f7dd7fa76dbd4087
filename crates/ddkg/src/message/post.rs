//! The methods of devices as bytes, where the transport has no form of its own for them (specification, section 11.1): what is
//! posted, and what comes back.

use super::{
    AckedReply, ChallengeOffer, Kind, MAX_BODY, ProofRequest, put_device, read_device, read_generation,
    read_number,
};
use crate::attribute::Recipe;
use crate::challenge::Challenge;
use crate::key::DeviceName;
use crate::wire::{DecodeError, Problem, Reader, Sink};
use alloc::vec::Vec;
use wardein_crypto::{Digest, Tag};
use wardein_domain::{Bank, PCRS, PcrSelection};

/// Asks for a challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChallengeAsk {
    /// For whom.
    pub device: DeviceName,
}

impl ChallengeAsk {
    /// The message as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        Kind::ChallengeAsk.put(&mut out);
        put_device(&mut out, &self.device);
        out
    }

    /// The inverse of [`ChallengeAsk::encode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        Kind::ChallengeAsk.read(&mut reader)?;
        let ask = Self { device: read_device(&mut reader)? };
        reader.finish("challenge request")?;
        Ok(ask)
    }
}

/// A challenge, and what the device's TPM is to quote with the action `certificate`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChallengeAnswer {
    /// The challenge.
    pub offer: ChallengeOffer,
    /// The registers; none for a device that is not asked.
    pub quote: Option<PcrSelection>,
}

impl ChallengeAnswer {
    /// The message as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        Kind::ChallengeAnswer.put(&mut out);
        out.frame(self.offer.challenge.as_bytes());
        out.u64(self.offer.server_time);
        self.offer.recipe.put(&mut out);
        out.u32(self.quote.map_or(0, |quote| quote.mask()));
        if let Some(quote) = self.quote {
            out.frame(quote.bank().name().as_bytes());
        }
        out
    }

    /// The inverse of [`ChallengeAnswer::encode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        Kind::ChallengeAnswer.read(&mut reader)?;
        let offer = ChallengeOffer {
            challenge: Challenge::new(reader.frame("challenge", 1, Challenge::MAX_LEN)?)?,
            server_time: reader.u64("server_time")?,
            recipe: Recipe::read(&mut reader)?,
        };
        let quote = match reader.u32("registers")? {
            0 => None,
            mask => Some(read_selection(&mut reader, mask)?),
        };
        reader.finish("challenge reply")?;
        Ok(Self { offer, quote })
    }
}

fn read_selection(reader: &mut Reader<'_>, mask: u32) -> Result<PcrSelection, DecodeError> {
    let name = reader.frame("bank", 1, MAX_BANK)?;
    let bank = Bank::ALL.into_iter().find(|bank| bank.name().as_bytes() == name);
    let bank = bank.ok_or(Problem::NotCanonical("is no bank that is taken").of("bank"))?;
    let (value, min, max) = (mask.into(), 0, (1 << PCRS) - 1);
    PcrSelection::from_mask(bank, mask).map_err(|_| Problem::Range { value, min, max }.of("registers"))
}

/// A proved request with its body.
#[derive(Debug, Clone)]
pub struct ProofAsk {
    /// The proof; its digest is the body's.
    pub request: ProofRequest,
    /// The action's body.
    pub body: Vec<u8>,
}

impl ProofAsk {
    /// The message as bytes: the proof's, with the body in the place of its digest.
    pub fn encode(&self) -> Vec<u8> {
        let request = &self.request;
        let mut out = Vec::new();
        Kind::ProofAsk.put(&mut out);
        put_device(&mut out, &request.device);
        out.frame(request.challenge.as_bytes());
        out.put(&request.nonce);
        out.u64(request.generation);
        out.u32(request.epoch);
        out.u64(request.number);
        out.frame(request.action.as_str().as_bytes());
        out.frame(&self.body);
        out.put(&request.mac.0);
        out
    }

    /// The inverse of [`ProofAsk::encode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        Kind::ProofAsk.read(&mut reader)?;
        let device = read_device(&mut reader)?;
        let challenge = Challenge::new(reader.frame("challenge", 1, Challenge::MAX_LEN)?)?;
        let nonce = reader.array("device nonce")?;
        let (generation, epoch) = (read_generation(&mut reader)?, reader.u32("epoch")?);
        let (number, action) = (read_number(&mut reader)?, reader.name("action")?);
        let body = reader.frame("body", 0, MAX_BODY)?.to_vec();
        let (body_digest, mac) = (Digest::of(&body), Tag(reader.array("mac")?));
        reader.finish("proved request")?;
        let request =
            ProofRequest { device, challenge, nonce, generation, epoch, number, action, body_digest, mac };
        Ok(Self { request, body })
    }
}

/// The reply to a proved request, with what its ack does not cover.
#[derive(Debug, Clone)]
pub struct ProofAnswer {
    /// What the device believes, once it has checked the ack.
    pub reply: AckedReply,
    /// The device is to rekey soon.
    pub rekey_due: bool,
}

impl ProofAnswer {
    /// The message as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let AckedReply { server_time, ack, body } = &self.reply;
        let mut out = Vec::new();
        Kind::ProofAnswer.put(&mut out);
        out.u64(*server_time);
        out.put(&ack.0);
        out.frame(body);
        out.put(&[self.rekey_due.into()]);
        out
    }

    /// The inverse of [`ProofAnswer::encode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        Kind::ProofAnswer.read(&mut reader)?;
        let reply = AckedReply {
            server_time: reader.u64("server_time")?,
            ack: Tag(reader.array("ack")?),
            body: reader.frame("body", 0, MAX_BODY)?.to_vec(),
        };
        let rekey_due = reader.small("rekey due", 1)? == 1;
        reader.finish("proved reply")?;
        Ok(Self { reply, rekey_due })
    }
}

/// The confirmation of an enrollment was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confirmed;

impl Confirmed {
    /// The message as bytes.
    pub fn encode(self) -> Vec<u8> {
        let mut out = Vec::new();
        Kind::Confirmed.put(&mut out);
        out
    }

    /// The inverse of [`Confirmed::encode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        Kind::Confirmed.read(&mut reader)?;
        reader.finish("confirmed")?;
        Ok(Self)
    }
}

/// No bank has a longer name.
const MAX_BANK: usize = 16;
