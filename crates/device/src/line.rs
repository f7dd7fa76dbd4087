//! The lines of JSON in which a device and its station speak, with both ends' conversions. The README has the format.

use crate::authority::{CallError, Refused, Reply};
use crate::frames;
use crate::signing::line::{ActivationLine, ChallengeLine, EnrolledLine, EvidenceLine};
use serde::{Deserialize, Serialize};
use std::io::{BufRead, Read, Write};
use wardein_crypto::{Tag, hex};
use wardein_ddkg::message::{
    ChallengeAnswer, ChallengeOffer, Confirmation, EnrollReply, EnrollRequest, ProofAnswer, ProofAsk,
    ProofRequest,
};
use wardein_ddkg::{Attributes, AuthorityShare, DecodeError, DeviceName, DeviceShare, Suite};
use wardein_domain::{ErrorCode, Schedule, TenantId};

/// What the device says.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum DeviceLine {
    TrustBundle { version: u32, tenant: String, device_id: String },
    Request(RequestLine),
    Confirmation { tenant: String, device_id: String, device_confirmation: String },
    Challenge { version: u32, tenant: String, device_id: String },
    Proof { version: u32, ask: String },
    Done { generation: u64, confirmed: bool },
    TpmEvidence(EvidenceLine),
    TpmActivation(ActivationLine),
    Signs { assurance: String },
    Error { message: String },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestLine {
    version: u32,
    tenant: String,
    device_id: String,
    suite: u16,
    device_nonce: String,
    device_share: String,
    attributes: Vec<AttributeLine>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AttributeLine {
    name: String,
    value: String,
}

/// What the station says.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum StationLine {
    /// Empty where the tenant's platform has no pins.
    TrustBundle {
        bundle: String,
    },
    Reply(ReplyLine),
    Confirmed {},
    /// Message 10.
    Challenge {
        answer: String,
    },
    Proof(ProofLine),
    TpmChallenge(ChallengeLine),
    KeyEnrolled(EnrolledLine),
    Refused {
        code: String,
        message: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplyLine {
    tenant: String,
    authority_share: String,
    generation: u64,
    schedule: ScheduleLine,
    signature: String,
    authority_confirmation: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScheduleLine {
    period: u64,
    max_uses: u64,
    not_before: u64,
}

/// Message 12, and when the certificate in it is to be renewed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProofLine {
    answer: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    renewal: Option<String>,
}

/// Why there is no line.
pub(crate) enum LineError {
    /// Reading failed.
    Io(std::io::Error),
    /// It ended within a line, or before one.
    Closed,
    /// It is longer than the reader takes: how it begins. The rest of it was read over.
    Long(Vec<u8>),
}

impl DeviceLine {
    pub(crate) fn trust_bundle(device: &DeviceName) -> Self {
        let DeviceName { tenant, device } = device;
        Self::TrustBundle { version: VERSION, tenant: tenant.to_string(), device_id: device.to_string() }
    }

    pub(crate) fn request(request: &EnrollRequest) -> Self {
        let attribute = |(name, value): (String, Vec<u8>)| AttributeLine { name, value: hex::encode(&value) };
        Self::Request(RequestLine {
            version: VERSION,
            tenant: request.device.tenant.to_string(),
            device_id: request.device.device.to_string(),
            suite: request.share.suite().number(),
            device_nonce: hex::encode(&request.nonce),
            device_share: hex::encode(request.share.as_bytes()),
            attributes: frames::attributes(&request.attributes).into_iter().map(attribute).collect(),
        })
    }

    pub(crate) fn confirmation(confirmation: &Confirmation) -> Self {
        Self::Confirmation {
            tenant: confirmation.device.tenant.to_string(),
            device_id: confirmation.device.device.to_string(),
            device_confirmation: hex::encode(&confirmation.tag.0),
        }
    }

    pub(crate) fn challenge(device: &DeviceName) -> Self {
        let DeviceName { tenant, device } = device;
        Self::Challenge { version: VERSION, tenant: tenant.to_string(), device_id: device.to_string() }
    }

    /// Message 11.
    pub(crate) fn proof(request: &ProofRequest, body: &[u8]) -> Self {
        let ask = ProofAsk { request: request.clone(), body: body.to_vec() };
        Self::Proof { version: VERSION, ask: hex::encode(&ask.encode()) }
    }
}

impl RequestLine {
    /// The request; an error names the field.
    pub(crate) fn judge(&self) -> Result<EnrollRequest, String> {
        judge_version(self.version)?;
        let suite = Suite::from_number(self.suite).map_err(|error| error.to_string())?;
        let share = bytes("device_share", &self.device_share)?;
        let mut attributes = Attributes::new();
        for AttributeLine { name, value } in &self.attributes {
            let name = name.parse().map_err(|error| format!("attributes: {error}"))?;
            attributes.insert(name, &bytes("attributes", value)?).map_err(|error| error.to_string())?;
        }
        Ok(EnrollRequest {
            device: device(&self.tenant, &self.device_id)?,
            nonce: array("device_nonce", &self.device_nonce)?,
            share: DeviceShare::new(suite, &share).map_err(|error| error.to_string())?,
            attributes,
        })
    }
}

pub(crate) fn judge_version(version: u32) -> Result<(), String> {
    match version {
        VERSION => Ok(()),
        other => Err(format!("version: is {other}; this station speaks {VERSION}")),
    }
}

/// The confirmation; an error names the field.
pub(crate) fn judge_confirmation(
    tenant: &str,
    device_id: &str,
    device_confirmation: &str,
) -> Result<Confirmation, String> {
    let tag = Tag(array("device_confirmation", device_confirmation)?);
    Ok(Confirmation { device: device(tenant, device_id)?, tag })
}

/// The proved request; an error names the field.
pub(crate) fn judge_proof(version: u32, ask: &str) -> Result<ProofAsk, String> {
    judge_version(version)?;
    ProofAsk::decode(&bytes("ask", ask)?).map_err(|error| format!("ask: {error}"))
}

/// The challenge; an error names the field.
pub(crate) fn judge_challenge(answer: &str) -> Result<ChallengeOffer, CallError> {
    let answer = bytes("answer", answer).map_err(CallError::Malformed)?;
    let answer = ChallengeAnswer::decode(&answer);
    Ok(answer.map_err(|error| CallError::Malformed(format!("answer: {error}")))?.offer)
}

impl ProofLine {
    pub(crate) fn new(reply: &Reply) -> Self {
        let Reply { acked, rekey_due, renewal, .. } = reply;
        let answer = ProofAnswer { reply: acked.clone(), rekey_due: *rekey_due };
        Self { answer: hex::encode(&answer.encode()), renewal: renewal.map(|window| window.to_string()) }
    }

    /// The reply; an error names the field. That a transfer is due is not said over a line.
    pub(crate) fn judge(&self) -> Result<Reply, CallError> {
        let answer = bytes("answer", &self.answer).map_err(CallError::Malformed)?;
        let answer = ProofAnswer::decode(&answer);
        let ProofAnswer { reply: acked, rekey_due } =
            answer.map_err(|error| CallError::Malformed(format!("answer: {error}")))?;
        let renewal = self.renewal.as_deref().map(str::parse).transpose();
        let renewal = renewal.map_err(|error| CallError::Malformed(format!("renewal: {error}")))?;
        Ok(Reply { acked, rekey_due, transfer_due: false, renewal })
    }
}

impl StationLine {
    pub(crate) fn challenge(offer: &ChallengeOffer) -> Self {
        let answer = ChallengeAnswer { offer: offer.clone(), quote: None };
        Self::Challenge { answer: hex::encode(&answer.encode()) }
    }

    pub(crate) fn reply(tenant: &TenantId, reply: &EnrollReply) -> Self {
        let Schedule { period, max_uses, not_before } = reply.schedule;
        Self::Reply(ReplyLine {
            tenant: tenant.to_string(),
            authority_share: hex::encode(reply.share.as_bytes()),
            generation: reply.generation,
            schedule: ScheduleLine { period, max_uses, not_before },
            signature: hex::encode(&reply.signature),
            authority_confirmation: hex::encode(&reply.confirmation.0),
        })
    }

    pub(crate) fn unexpected(self, expected: &'static str) -> CallError {
        match self {
            Self::Refused { code, message } if code == ErrorCode::Unreachable.as_str() => {
                CallError::Unreachable(message)
            }
            Self::Refused { code, message } => {
                CallError::Refused(Refused { code, message, ..Refused::default() })
            }
            Self::TrustBundle { .. } => wrong_type("trust_bundle", expected),
            Self::Reply(_) => wrong_type("reply", expected),
            Self::Confirmed {} => wrong_type("confirmed", expected),
            Self::Challenge { .. } => wrong_type("challenge", expected),
            Self::Proof(_) => wrong_type("proof", expected),
            Self::TpmChallenge(_) => wrong_type("tpm_challenge", expected),
            Self::KeyEnrolled(_) => wrong_type("key_enrolled", expected),
        }
    }
}

fn wrong_type(found: &str, expected: &str) -> CallError {
    CallError::Malformed(format!("type: is {found}, expected {expected}"))
}

impl ReplyLine {
    pub(crate) fn judge(&self, suite: Suite) -> Result<(TenantId, EnrollReply), CallError> {
        let wrong = |error: DecodeError| CallError::Malformed(error.to_string());
        let share = bytes("authority_share", &self.authority_share).map_err(CallError::Malformed)?;
        let ScheduleLine { period, max_uses, not_before } = self.schedule;
        let reply = EnrollReply {
            share: AuthorityShare::new(suite, &share).map_err(wrong)?,
            generation: self.generation,
            schedule: Schedule { period, max_uses, not_before },
            signature: bytes("signature", &self.signature).map_err(CallError::Malformed)?,
            confirmation: Tag(array("authority_confirmation", &self.authority_confirmation)
                .map_err(CallError::Malformed)?),
        };
        let tenant = self.tenant.parse().map_err(|error| CallError::Malformed(format!("tenant: {error}")))?;
        // Through the message's own decoder, which knows every bound.
        Ok((tenant, EnrollReply::decode(&reply.encode()).map_err(wrong)?))
    }
}

/// The next line, of at most `max` bytes.
pub(crate) fn read(input: &mut impl BufRead, max: u64) -> Result<Vec<u8>, LineError> {
    let mut line = Vec::new();
    let count = input.take(max + 1).read_until(b'\n', &mut line).map_err(LineError::Io)?;
    if line.last() == Some(&b'\n') {
        return Ok(line);
    }
    if count as u64 <= max {
        return Err(LineError::Closed);
    }
    // What is behind it can be read again.
    input.skip_until(b'\n').map_err(LineError::Io)?;
    Err(LineError::Long(line))
}

/// One write, so that a line is never mixed with another writer's.
pub(crate) fn write(output: &mut impl Write, line: &impl Serialize) -> std::io::Result<()> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    output.write_all(&bytes)?;
    output.flush()
}

pub(crate) fn device(tenant: &str, device_id: &str) -> Result<DeviceName, String> {
    Ok(DeviceName {
        tenant: tenant.parse().map_err(|error| format!("tenant: {error}"))?,
        device: device_id.parse().map_err(|error| format!("device_id: {error}"))?,
    })
}

pub(crate) fn bytes(field: &str, text: &str) -> Result<Vec<u8>, String> {
    hex::decode(text).ok_or_else(|| format!("{field}: is not lower-case hex"))
}

pub(crate) fn array<const N: usize>(field: &str, text: &str) -> Result<[u8; N], String> {
    hex::decode_array(text).ok_or_else(|| format!("{field}: is not {N} bytes in lower-case hex"))
}

pub(crate) const VERSION: u32 = 1;
