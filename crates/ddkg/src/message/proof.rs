//! Challenges, proofs, acknowledged replies and the rekey bodies (specification, sections 5, 5.1 and 6).

use super::{Kind, put_device, put_schedule, read_device, read_generation, read_number, read_schedule};
use crate::attribute::Recipe;
use crate::challenge::Challenge;
use crate::derive::Transcript;
use crate::key::DeviceName;
use crate::purposes::Purposes;
use crate::suite::{AuthorityShare, DeviceShare, MAX_SHARE, Suite};
use crate::wire::{DecodeError, Problem, Reader, Sink};
use alloc::vec::Vec;
use wardein_crypto::{Digest, Tag};
use wardein_domain::{Action, Schedule};

/// The most bytes of a reply's body: 1 MiB.
pub const MAX_BODY: usize = 1 << 20;

/// The authority's offer before a proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChallengeOffer {
    /// The challenge, opaque to the device.
    pub challenge: Challenge,
    /// The authority's time in Unix seconds. Nothing authenticates it until the ack.
    pub server_time: u64,
    /// The attributes to measure.
    pub recipe: Recipe,
}

impl ChallengeOffer {
    /// The message as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        Kind::ChallengeOffer.put(&mut out);
        out.frame(self.challenge.as_bytes());
        out.u64(self.server_time);
        self.recipe.put(&mut out);
        out
    }

    /// The inverse of [`ChallengeOffer::encode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        Kind::ChallengeOffer.read(&mut reader)?;
        let offer = Self {
            challenge: Challenge::new(reader.frame("challenge", 1, Challenge::MAX_LEN)?)?,
            server_time: reader.u64("server_time")?,
            recipe: Recipe::read(&mut reader)?,
        };
        reader.finish("challenge offer")?;
        Ok(offer)
    }
}

/// A proof that this device asks for this action with this body, now. The body itself travels beside it.
#[derive(Debug, Clone)]
pub struct ProofRequest {
    /// The device.
    pub device: DeviceName,
    /// The challenge that it answers.
    pub challenge: Challenge,
    /// 32 random bytes of the device.
    pub nonce: [u8; 32],
    /// The generation of the key, from 1.
    pub generation: u64,
    /// The epoch of the key.
    pub epoch: u32,
    /// The number of the key.
    pub number: u64,
    /// The requested action.
    pub action: Action,
    /// The SHA-256 of the action's body.
    pub body_digest: Digest,
    /// The proof.
    pub mac: Tag,
}

impl ProofRequest {
    /// The message as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        Kind::ProofRequest.put(&mut out);
        put_device(&mut out, &self.device);
        out.frame(self.challenge.as_bytes());
        out.put(&self.nonce);
        out.u64(self.generation);
        out.u32(self.epoch);
        out.u64(self.number);
        out.frame(self.action.as_str().as_bytes());
        out.put(self.body_digest.as_ref());
        out.put(&self.mac.0);
        out
    }

    /// The inverse of [`ProofRequest::encode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        Kind::ProofRequest.read(&mut reader)?;
        let request = Self {
            device: read_device(&mut reader)?,
            challenge: Challenge::new(reader.frame("challenge", 1, Challenge::MAX_LEN)?)?,
            nonce: reader.array("device nonce")?,
            generation: read_generation(&mut reader)?,
            epoch: reader.u32("epoch")?,
            number: read_number(&mut reader)?,
            action: reader.name("action")?,
            body_digest: Digest(reader.array("body digest")?),
            mac: Tag(reader.array("mac")?),
        };
        reader.finish("proof request")?;
        Ok(request)
    }

    /// T of section 5.
    pub(crate) fn transcript(&self) -> Digest {
        Transcript::new("proof")
            .field(self.device.tenant.as_str())
            .field(self.device.device.as_str())
            .field(&self.challenge)
            .field(self.nonce)
            .integer(self.generation)
            .integer(self.epoch)
            .integer(self.number)
            .field(self.action.as_str())
            .field(self.body_digest)
            .finish()
    }
}

/// A reply that the device believes: its ack is made with the key of the request.
#[derive(Debug, Clone)]
pub struct AckedReply {
    /// The authority's time in Unix seconds.
    pub server_time: u64,
    /// The ack.
    pub ack: Tag,
    /// The action's reply body, at most [`MAX_BODY`] bytes.
    pub body: Vec<u8>,
}

impl AckedReply {
    /// The message as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        Kind::AckedReply.put(&mut out);
        out.u64(self.server_time);
        out.put(&self.ack.0);
        out.frame(&self.body);
        out
    }

    /// The inverse of [`AckedReply::encode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        Kind::AckedReply.read(&mut reader)?;
        let reply = Self {
            server_time: reader.u64("server_time")?,
            ack: Tag(reader.array("ack")?),
            body: reader.frame("body", 0, MAX_BODY)?.to_vec(),
        };
        reader.finish("reply")?;
        Ok(reply)
    }
}

/// `transcript("ack", T, server_time, reply_digest)` of section 5.
/// It is a mac of this that a DDKG reply carries, and a signature of this that a PKI Signature reply does.
pub fn ack_transcript(transcript: &Digest, server_time: u64, body: &[u8]) -> Digest {
    Transcript::new("ack").field(transcript).integer(server_time).field(Digest::of(body)).finish()
}

/// The transcript that a device with its key in a TPM or secure element signs (section 5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureClaim {
    /// The device.
    pub device: DeviceName,
    /// The challenge that it answers.
    pub challenge: Challenge,
    /// 32 random bytes of the device.
    pub nonce: [u8; 32],
    /// The SHA-256 of the key's DER SubjectPublicKeyInfo.
    pub key_id: Digest,
    /// The requested action.
    pub action: Action,
    /// The SHA-256 of the action's body.
    pub body_digest: Digest,
}

impl SignatureClaim {
    /// T of section 5.1, whose 32 bytes are the message that is signed.
    pub fn transcript(&self) -> Digest {
        Transcript::new("signature")
            .field(self.device.tenant.as_str())
            .field(self.device.device.as_str())
            .field(&self.challenge)
            .field(self.nonce)
            .field(self.key_id)
            .field(self.action.as_str())
            .field(self.body_digest)
            .finish()
    }
}

/// The body of the action `rekey`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RekeyAsk {
    /// The device's new share; its suite is that of the new generation.
    pub share: DeviceShare,
    /// The purposes that the device can keep keys for, where it names any: a set by the places of section 3. Otherwise they stay
    /// as they are.
    pub purposes: Option<u32>,
}

impl RekeyAsk {
    /// The body: `u16(suite) ‖ frame(device_share′)`, and `u32(purposes)` where they are named.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.u16(self.share.suite().number());
        out.frame(self.share.as_bytes());
        self.purposes.iter().for_each(|named| out.u32(*named));
        out
    }

    /// The inverse of [`RekeyAsk::encode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let suite = Suite::from_number(reader.u16("suite")?)?;
        let share = DeviceShare::new(suite, reader.frame("device share", 1, MAX_SHARE)?)?;
        let purposes = read_purposes(&mut reader)?;
        reader.finish("rekey body")?;
        Ok(Self { share, purposes })
    }
}

/// The reply body of the action `rekey`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RekeyAnswer {
    /// The authority's new share.
    pub share: AuthorityShare,
    /// The new generation.
    pub generation: u64,
    /// Its schedule.
    pub schedule: Schedule,
    /// Those of the purposes that the device named for which both ends keep keys from now on, where it named any.
    pub purposes: Option<u32>,
}

impl RekeyAnswer {
    /// The body: `frame(authority_share′) ‖ u64(g+1) ‖ u64(period) ‖ u64(max_uses) ‖ u64(not_before)`, and `u32(purposes)` where
    /// the device named any.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.frame(self.share.as_bytes());
        out.u64(self.generation);
        put_schedule(&mut out, &self.schedule);
        self.purposes.iter().for_each(|granted| out.u32(*granted));
        out
    }

    /// The inverse of [`RekeyAnswer::encode`], for the requested suite.
    pub fn decode(suite: Suite, bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let answer = Self {
            share: AuthorityShare::new(suite, reader.frame("authority share", 1, MAX_SHARE)?)?,
            generation: match read_generation(&mut reader)? {
                1 => return Err(Problem::Range { value: 1, min: 2, max: u64::MAX }.of("generation")),
                generation => generation,
            },
            schedule: read_schedule(&mut reader)?,
            purposes: read_purposes(&mut reader)?,
        };
        reader.finish("rekey reply")?;
        Ok(answer)
    }
}

/// The set of purposes at the end of a body, if there is one.
fn read_purposes(reader: &mut Reader<'_>) -> Result<Option<u32>, DecodeError> {
    if reader.is_empty() {
        return Ok(None);
    }
    Purposes::read_named(reader).map(Some)
}

/// T′ of section 6.
pub(crate) fn rekey_transcript(proof: &Digest, ask: &RekeyAsk, answer: &RekeyAnswer) -> Digest {
    let transcript = Transcript::new("rekey")
        .field(proof)
        .integer(ask.share.suite().number())
        .field(&ask.share)
        .field(&answer.share)
        .integer(answer.generation)
        .integer(answer.schedule.period)
        .integer(answer.schedule.max_uses)
        .integer(answer.schedule.not_before);
    // What the device named is in T, by the digest of its body.
    answer.purposes.into_iter().fold(transcript, Transcript::integer).finish()
}
