//! Signed requests as bytes (specification, sections 5.1 and 11.1).

use super::{Kind, MAX_BODY, put_device, read_device};
use crate::challenge::Challenge;
use crate::key::DeviceName;
use crate::wire::{DecodeError, Reader, Sink};
use alloc::vec::Vec;
use wardein_crypto::P256_SIGNATURE_MAX;
use wardein_domain::{Action, PCRS, Quote};

/// A signed request with its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedAsk {
    /// The device.
    pub device: DeviceName,
    /// The challenge that it answers.
    pub challenge: Challenge,
    /// 32 random bytes of the device.
    pub nonce: [u8; 32],
    /// The requested action.
    pub action: Action,
    /// The action's body.
    pub body: Vec<u8>,
    /// Of the transcript of section 5.1.
    pub signature: Vec<u8>,
    /// What was to be quoted.
    pub quote: Option<Quote>,
}

impl SignedAsk {
    /// The message as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        Kind::SignedAsk.put(&mut out);
        put_device(&mut out, &self.device);
        out.frame(self.challenge.as_bytes());
        out.put(&self.nonce);
        out.frame(self.action.as_str().as_bytes());
        out.frame(&self.body);
        out.frame(&self.signature);
        out.put(&[self.quote.is_some().into()]);
        if let Some(Quote { attested, signature, values }) = &self.quote {
            out.frame(attested);
            out.frame(signature);
            out.put(&[values.len() as u8]);
            values.iter().for_each(|value| out.frame(value));
        }
        out
    }

    /// The inverse of [`SignedAsk::encode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        Kind::SignedAsk.read(&mut reader)?;
        let mut ask = Self {
            device: read_device(&mut reader)?,
            challenge: Challenge::new(reader.frame("challenge", 1, Challenge::MAX_LEN)?)?,
            nonce: reader.array("device nonce")?,
            action: reader.name("action")?,
            body: reader.frame("body", 0, MAX_BODY)?.to_vec(),
            signature: reader.frame("signature", 0, MAX_SIGNATURE)?.to_vec(),
            quote: None,
        };
        if reader.small("quote", 1)? == 1 {
            ask.quote = Some(read_quote(&mut reader)?);
        }
        reader.finish("signed request")?;
        Ok(ask)
    }
}

fn read_quote(reader: &mut Reader<'_>) -> Result<Quote, DecodeError> {
    let attested = reader.frame("quote.attested", 1, MAX_STATEMENT)?.to_vec();
    let signature = reader.frame("quote.signature", 1, MAX_STATEMENT)?.to_vec();
    let count = reader.small("quote.values", PCRS)?;
    let value = |_| reader.frame("quote.values", 1, MAX_VALUE).map(<[u8]>::to_vec);
    Ok(Quote { attested, signature, values: (0..count).map(value).collect::<Result<_, _>>()? })
}

/// The reply to a signed request, which the authority signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedAnswer {
    /// The authority's time in Unix seconds.
    pub server_time: u64,
    /// The action's reply body.
    pub body: Vec<u8>,
    /// By the identity key, DER. The device believes nothing without it.
    pub signature: Vec<u8>,
}

impl SignedAnswer {
    /// The message as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        Kind::SignedAnswer.put(&mut out);
        out.u64(self.server_time);
        out.frame(&self.body);
        out.frame(&self.signature);
        out
    }

    /// The inverse of [`SignedAnswer::encode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        Kind::SignedAnswer.read(&mut reader)?;
        let answer = Self {
            server_time: reader.u64("server_time")?,
            body: reader.frame("body", 0, MAX_BODY)?.to_vec(),
            signature: reader.frame("signature", 1, P256_SIGNATURE_MAX)?.to_vec(),
        };
        reader.finish("signed reply")?;
        Ok(answer)
    }
}

/// RSA with 4096 bits, the longest of section 5.1.
const MAX_SIGNATURE: usize = 512;
/// More than any TPMS_ATTEST and TPMT_SIGNATURE that a quote has; their readers know the exact bounds.
const MAX_STATEMENT: usize = 1024;
/// SHA-512's digest.
const MAX_VALUE: usize = 64;
