//! Enrollment: request, reply, confirmation (specification, section 4).

use super::{Kind, put_device, put_schedule, read_device, read_generation, read_schedule};
use crate::attribute::Attributes;
use crate::derive::Transcript;
use crate::key::DeviceName;
use crate::suite::{AuthorityShare, DeviceShare, MAX_SHARE, Suite};
use crate::wire::{DecodeError, Reader, Sink};
use alloc::vec::Vec;
use wardein_crypto::{Digest, P256_SIGNATURE_MAX, Tag};
use wardein_domain::Schedule;

/// A device's request at the factory; the station relays it and learns no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrollRequest {
    /// The device.
    pub device: DeviceName,
    /// 32 random bytes of the device.
    pub nonce: [u8; 32],
    /// The device's share; its suite is that of the request.
    pub share: DeviceShare,
    /// The device's measurements of itself.
    pub attributes: Attributes,
}

impl EnrollRequest {
    /// The message as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        Kind::EnrollRequest.put(&mut out);
        out.u16(self.share.suite().number());
        put_device(&mut out, &self.device);
        out.put(&self.nonce);
        out.frame(self.share.as_bytes());
        out.put(&self.attributes.encode());
        out
    }

    /// The inverse of [`EnrollRequest::encode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        Kind::EnrollRequest.read(&mut reader)?;
        let suite = Suite::from_number(reader.u16("suite")?)?;
        let device = read_device(&mut reader)?;
        let nonce = reader.array("device nonce")?;
        let share = DeviceShare::new(suite, reader.frame("device share", 1, MAX_SHARE)?)?;
        Ok(Self { device, nonce, share, attributes: Attributes::decode(reader.rest())? })
    }

    /// Distinguishes this request from every other: the digest of all of it.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.encode())
    }

    /// T of section 4.
    pub(crate) fn transcript(&self, share: &AuthorityShare, generation: u64, schedule: &Schedule) -> Digest {
        Transcript::new("enroll")
            .integer(self.share.suite().number())
            .field(self.device.tenant.as_str())
            .field(self.device.device.as_str())
            .field(self.nonce)
            .field(&self.share)
            .field(self.attributes.digests().digest())
            .field(share)
            .integer(generation)
            .integer(schedule.period)
            .integer(schedule.max_uses)
            .integer(schedule.not_before)
            .finish()
    }
}

/// The authority's answer.
#[derive(Debug, Clone)]
pub struct EnrollReply {
    /// The authority's share, of the requested suite.
    pub share: AuthorityShare,
    /// The generation: 1.
    pub generation: u64,
    /// When keys change.
    pub schedule: Schedule,
    /// The identity key's ECDSA signature of T, DER, at most 72 bytes.
    pub signature: Vec<u8>,
    /// The authority's confirmation.
    pub confirmation: Tag,
}

impl EnrollReply {
    /// The message as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        Kind::EnrollReply.put(&mut out);
        out.u16(self.share.suite().number());
        out.frame(self.share.as_bytes());
        out.u64(self.generation);
        put_schedule(&mut out, &self.schedule);
        out.frame(&self.signature);
        out.put(&self.confirmation.0);
        out
    }

    /// The inverse of [`EnrollReply::encode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        Kind::EnrollReply.read(&mut reader)?;
        let suite = Suite::from_number(reader.u16("suite")?)?;
        let reply = Self {
            share: AuthorityShare::new(suite, reader.frame("authority share", 1, MAX_SHARE)?)?,
            generation: read_generation(&mut reader)?,
            schedule: read_schedule(&mut reader)?,
            signature: reader.frame("signature", 8, P256_SIGNATURE_MAX)?.to_vec(),
            confirmation: Tag(reader.array("authority confirmation")?),
        };
        reader.finish("enrollment reply")?;
        Ok(reply)
    }
}

/// The device's last word of an enrollment. It may be sent again until a proof was acknowledged.
#[derive(Debug, Clone)]
pub struct Confirmation {
    /// The device.
    pub device: DeviceName,
    /// The device's confirmation.
    pub tag: Tag,
}

impl Confirmation {
    /// The message as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        Kind::Confirmation.put(&mut out);
        put_device(&mut out, &self.device);
        out.put(&self.tag.0);
        out
    }

    /// The inverse of [`Confirmation::encode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        Kind::Confirmation.read(&mut reader)?;
        let confirmation =
            Self { device: read_device(&mut reader)?, tag: Tag(reader.array("device confirmation")?) };
        reader.finish("confirmation")?;
        Ok(confirmation)
    }
}
