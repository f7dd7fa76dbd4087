//! Platform tokens (specification, section 7).

use super::{Kind, put_device, read_device, read_generation, read_number};
use crate::derive::Transcript;
use crate::key::{DeviceName, KeyName};
use crate::wire::{DecodeError, Problem, Reader, Sink};
use alloc::vec::Vec;
use wardein_crypto::{Digest, Tag};
use wardein_domain::{Audience, Purpose};

/// The most bytes of a platform's nonce.
pub const MAX_PLATFORM_NONCE: usize = 64;

/// A device's login to a platform; only the authority can verify it, and only once.
#[derive(Debug, Clone)]
pub struct Token {
    /// Whose token it is.
    pub device: DeviceName,
    /// The generation of the key, from 1.
    pub generation: u64,
    /// The epoch of the key.
    pub epoch: u32,
    /// The number of the key.
    pub number: u64,
    /// The platform that it is for.
    pub audience: Audience,
    /// The nonce that the platform asked for: at most [`MAX_PLATFORM_NONCE`] bytes, maybe none.
    pub platform_nonce: Vec<u8>,
    /// When the device made it, by its known time, in Unix seconds.
    pub issued_at: u64,
    /// The proof.
    pub mac: Tag,
}

impl Token {
    /// The name of the key that the token uses up.
    pub fn key_name(&self) -> KeyName {
        KeyName {
            owner: self.device.clone(),
            generation: self.generation,
            purpose: Purpose::Token,
            epoch: self.epoch,
            number: self.number,
        }
    }

    /// The message as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        Kind::Token.put(&mut out);
        put_device(&mut out, &self.device);
        out.u64(self.generation);
        out.u32(self.epoch);
        out.u64(self.number);
        out.frame(self.audience.as_str().as_bytes());
        out.frame(&self.platform_nonce);
        out.u64(self.issued_at);
        out.put(&self.mac.0);
        out
    }

    /// The inverse of [`Token::encode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        Kind::Token.read(&mut reader)?;
        let token = Self {
            device: read_device(&mut reader)?,
            generation: read_generation(&mut reader)?,
            epoch: reader.u32("epoch")?,
            number: read_number(&mut reader)?,
            audience: reader.name("audience")?,
            platform_nonce: reader.frame("platform nonce", 0, MAX_PLATFORM_NONCE)?.to_vec(),
            issued_at: reader.u64("issued_at")?,
            mac: Tag(reader.array("mac")?),
        };
        reader.finish("token")?;
        Ok(token)
    }

    pub(crate) fn check_nonce(nonce: &[u8]) -> Result<(), DecodeError> {
        let (length, min, max) = (nonce.len(), 0, MAX_PLATFORM_NONCE);
        (length <= max).then_some(()).ok_or_else(|| Problem::Length { length, min, max }.of("platform nonce"))
    }

    pub(crate) fn transcript(&self) -> Digest {
        Transcript::new("token")
            .field(self.device.tenant.as_str())
            .field(self.device.device.as_str())
            .integer(self.generation)
            .integer(self.epoch)
            .integer(self.number)
            .field(self.audience.as_str())
            .field(&self.platform_nonce)
            .integer(self.issued_at)
            .finish()
    }
}
