//! An enrollment as lines of JSON, for a station at the other end of a pipe or a serial line. The README has the format.

use crate::authority::{CallError, Refused, Station};
use crate::enroll::Enrolled;
use crate::error::Error;
use crate::frames;
use crate::hex;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, Read, Write};
use wardein_crypto::Tag;
use wardein_ddkg::message::{Confirmation, EnrollReply, EnrollRequest};
use wardein_ddkg::{AuthorityShare, DecodeError, Suite};
use wardein_domain::{Schedule, TenantId};

/// A station that reads lines from the device and writes lines to it.
pub struct LineStation<R, W> {
    input: R,
    output: W,
}

impl<R: BufRead, W: Write> LineStation<R, W> {
    /// A station that writes `input` and reads `output`.
    pub fn new(input: R, output: W) -> Self {
        Self { input, output }
    }

    /// The last line of an enrollment, good or bad.
    pub fn end(&mut self, result: &Result<Enrolled, Error>) -> Result<(), CallError> {
        self.write(&match result {
            Ok(enrolled) => {
                ToStation::Done { generation: enrolled.generation, confirmed: enrolled.is_confirmed }
            }
            Err(error) => ToStation::Error { message: error.to_string() },
        })
    }

    fn write(&mut self, line: &ToStation<'_>) -> Result<(), CallError> {
        let gone = |error: std::io::Error| CallError::Unreachable(format!("station: {error}"));
        let mut bytes = serde_json::to_vec(line).map_err(|error| gone(error.into()))?;
        bytes.push(b'\n');
        // One write, so that a line is never mixed with another writer's.
        self.output.write_all(&bytes).and_then(|()| self.output.flush()).map_err(gone)
    }

    fn read(&mut self) -> Result<FromStation, CallError> {
        let mut line = Vec::new();
        let mut bounded = (&mut self.input).take(MAX_LINE + 1);
        let count = bounded
            .read_until(b'\n', &mut line)
            .map_err(|error| CallError::Unreachable(format!("station: {error}")))?;
        if count as u64 > MAX_LINE {
            return Err(CallError::Malformed(format!("a line has more than {MAX_LINE} bytes")));
        }
        if line.last() != Some(&b'\n') {
            return Err(CallError::Unreachable("the station closed the line".into()));
        }
        serde_json::from_slice(&line).map_err(|error| CallError::Malformed(error.to_string()))
    }
}

impl<R: BufRead, W: Write> Station for LineStation<R, W> {
    async fn enroll(&mut self, request: &EnrollRequest) -> Result<(TenantId, EnrollReply), CallError> {
        let attributes = frames::attributes(&request.attributes).into_iter();
        self.write(&ToStation::Request {
            version: VERSION,
            tenant: request.device.tenant.as_str(),
            device_id: request.device.device.as_str(),
            suite: request.share.suite().number(),
            device_nonce: hex::encode(&request.nonce),
            device_share: hex::encode(request.share.as_bytes()),
            attributes: attributes
                .map(|(name, value)| AttributeLine { name, value: hex::encode(&value) })
                .collect(),
        })?;
        match self.read()? {
            FromStation::Reply(reply) => reply.judge(request.share.suite()),
            other => Err(other.unexpected("reply")),
        }
    }

    async fn confirm(&mut self, confirmation: &Confirmation) -> Result<(), CallError> {
        self.write(&ToStation::Confirmation {
            tenant: confirmation.device.tenant.as_str(),
            device_id: confirmation.device.device.as_str(),
            device_confirmation: hex::encode(&confirmation.tag.0),
        })?;
        match self.read()? {
            FromStation::Confirmed {} => Ok(()),
            other => Err(other.unexpected("confirmed")),
        }
    }
}

/// What the device says.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ToStation<'a> {
    Request {
        version: u32,
        tenant: &'a str,
        device_id: &'a str,
        suite: u16,
        device_nonce: String,
        device_share: String,
        attributes: Vec<AttributeLine>,
    },
    Confirmation {
        tenant: &'a str,
        device_id: &'a str,
        device_confirmation: String,
    },
    Done {
        generation: u64,
        confirmed: bool,
    },
    Error {
        message: String,
    },
}

#[derive(Serialize)]
struct AttributeLine {
    name: String,
    value: String,
}

/// What the station says.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum FromStation {
    Reply(ReplyLine),
    Confirmed {},
    Refused { code: String, message: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplyLine {
    tenant: String,
    authority_share: String,
    generation: u64,
    schedule: ScheduleLine,
    signature: String,
    authority_confirmation: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScheduleLine {
    period: u64,
    max_uses: u64,
    not_before: u64,
}

impl FromStation {
    fn unexpected(self, expected: &'static str) -> CallError {
        match self {
            Self::Refused { code, message } => {
                CallError::Refused(Refused { code, message, ..Refused::default() })
            }
            Self::Reply(_) => CallError::Malformed(format!("type: is reply, expected {expected}")),
            Self::Confirmed {} => CallError::Malformed(format!("type: is confirmed, expected {expected}")),
        }
    }
}

impl ReplyLine {
    fn judge(self, suite: Suite) -> Result<(TenantId, EnrollReply), CallError> {
        let wrong = |error: DecodeError| CallError::Malformed(error.to_string());
        let bytes = |field: &str, text: &str| {
            hex::decode(text).ok_or_else(|| CallError::Malformed(format!("{field}: is not lower-case hex")))
        };
        let share = bytes("authority_share", &self.authority_share)?;
        let confirmation = hex::decode_array(&self.authority_confirmation).ok_or_else(|| {
            CallError::Malformed("authority_confirmation: is not 32 bytes in lower-case hex".into())
        })?;
        let ScheduleLine { period, max_uses, not_before } = self.schedule;
        let reply = EnrollReply {
            share: AuthorityShare::new(suite, &share).map_err(wrong)?,
            generation: self.generation,
            schedule: Schedule { period, max_uses, not_before },
            signature: bytes("signature", &self.signature)?,
            confirmation: Tag(confirmation),
        };
        let tenant = self.tenant.parse().map_err(|error| CallError::Malformed(format!("tenant: {error}")))?;
        // Through the message's own decoder, which knows every bound.
        Ok((tenant, EnrollReply::decode(&reply.encode()).map_err(wrong)?))
    }
}

const VERSION: u32 = 1;
/// A reply of suite 2 has some 3,000 characters.
const MAX_LINE: u64 = 16 << 10;
