//! A refusal as bytes (specification, sections 11.1 and 13).

use super::Kind;
use crate::wire::{DecodeError, Problem, Reader, Sink};
use alloc::string::String;
use alloc::vec::Vec;

/// A refusal. Nothing authenticates it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The stable code.
    pub code: String,
    /// What was wrong, and what to do next, in words for people.
    pub message: String,
    /// The id under which the authority logged the request.
    pub request_id: String,
    /// The epoch that the code speaks of.
    pub epoch: Option<NamedEpoch>,
    /// The milliseconds after which the same request may succeed; 0 where no pause helps.
    pub retry_after_ms: u32,
}

/// The epoch in a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedEpoch {
    /// With `epoch-spent`: one that would do.
    Next(u32),
    /// With `epoch-ahead`: the last that would do.
    Highest(u32),
}

impl Refused {
    /// The message as bytes. Words that are too long are cut off.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        Kind::Refused.put(&mut out);
        out.frame(self.code.as_bytes());
        out.frame(start(&self.message, MAX_WORDS).as_bytes());
        out.frame(self.request_id.as_bytes());
        match self.epoch {
            None => out.put(&[0]),
            Some(NamedEpoch::Next(epoch)) => {
                out.put(&[1]);
                out.u32(epoch);
            }
            Some(NamedEpoch::Highest(epoch)) => {
                out.put(&[2]);
                out.u32(epoch);
            }
        }
        out.u32(self.retry_after_ms);
        out
    }

    /// The inverse of [`Refused::encode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        Kind::Refused.read(&mut reader)?;
        let code = text(&mut reader, "code", 1, MAX_CODE)?;
        if !code.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
            return Err(Problem::NotCanonical("is not of a-z, 0-9 and -").of("code"));
        }
        let message = text(&mut reader, "message", 0, MAX_WORDS)?;
        let request_id = text(&mut reader, "request id", 0, MAX_ID)?;
        if !request_id.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Problem::NotCanonical("is not of graphic characters").of("request id"));
        }
        let epoch = match reader.small("epoch named", 2)? {
            0 => None,
            1 => Some(NamedEpoch::Next(reader.u32("epoch")?)),
            _ => Some(NamedEpoch::Highest(reader.u32("epoch")?)),
        };
        let retry_after_ms = reader.u32("retry after")?;
        reader.finish("refusal")?;
        Ok(Self { code, message, request_id, epoch, retry_after_ms })
    }
}

fn text(reader: &mut Reader<'_>, field: &'static str, min: usize, max: usize) -> Result<String, DecodeError> {
    let bytes = reader.frame(field, min, max)?;
    let text = core::str::from_utf8(bytes).map_err(|_| Problem::NotCanonical("is not UTF-8").of(field))?;
    Ok(text.into())
}

/// The first characters of `text` that are at most `max` bytes.
fn start(text: &str, max: usize) -> &str {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

const MAX_CODE: usize = 64;
const MAX_WORDS: usize = 1024;
const MAX_ID: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn words_that_are_too_long_are_cut_off_between_characters() {
        assert_eq!(start("aä", 2), "a");
        assert_eq!(start("aä", 3), "aä");
        let refused = Refused {
            code: "malformed".to_string(),
            message: "ä".repeat(MAX_WORDS),
            request_id: "0a-1".to_string(),
            epoch: None,
            retry_after_ms: 0,
        };
        let read = Refused::decode(&refused.encode()).unwrap();
        assert_eq!(read.message, "ä".repeat(MAX_WORDS / 2));
    }
}
