//! The station's end of a line: what a device says, judged, and what it is answered. What to make of it is the station's.

use crate::authority::CallError;
use crate::line::{self, DeviceLine, LineError, StationLine};
use crate::signing::TpmActivation;
use std::io::{BufRead, Write};
use wardein_crypto::hex;
use wardein_ddkg::DeviceName;
use wardein_ddkg::message::{Confirmation, EnrollReply, EnrollRequest};
use wardein_domain::{Assurance, EnrolledKey, ErrorCode, TenantId, TpmChallenge, TpmEvidence};

/// A device at the other end of a line.
pub struct LineDevice<R, W> {
    input: R,
    output: W,
}

/// What a device says.
pub enum Said {
    /// It asks for the pins of the platform.
    TrustBundle(DeviceName),
    /// It asks for keys.
    Request(EnrollRequest),
    /// It has saved them.
    Confirmation(Confirmation),
    /// It asks for its TPM's key to be taken.
    Evidence(DeviceName, TpmEvidence),
    /// Its TPM answers what it was asked.
    Activation(TpmActivation),
    /// The end: it has its keys.
    Done {
        /// The generation that was agreed on.
        generation: u64,
        /// Whether the authority has the confirmation; otherwise the device sends it again by itself.
        is_confirmed: bool,
    },
    /// The end: it signs with a key in its TPM.
    Signs {
        /// How surely the key is there.
        assurance: Assurance,
    },
    /// The end: it failed, for this reason.
    Failed(String),
}

/// What a device is answered.
pub enum Answer {
    /// The trust bundle of the platform, signed by the authority; `None` where it has no pins.
    TrustBundle(Option<Vec<u8>>),
    /// To its request, with the tenant that the station works for.
    Reply(TenantId, EnrollReply),
    /// To its confirmation.
    Confirmed,
    /// To its evidence.
    Challenge(TpmChallenge),
    /// To its activation.
    Enrolled(EnrolledKey),
    /// No.
    Refused {
        /// The stable code of the authority, `malformed` or `unreachable`.
        code: String,
        /// What was wrong.
        message: String,
    },
}

/// Why nothing was heard.
#[derive(Debug)]
pub enum Unheard {
    /// Reading failed.
    Io(std::io::Error),
    /// The device closed the line.
    Closed,
    /// What was said cannot be understood, for this reason. It spoils nothing behind it.
    Malformed(String),
}

impl<R: BufRead, W: Write> LineDevice<R, W> {
    /// A device that is heard by `input` and answered by `output`.
    pub fn new(input: R, output: W) -> Self {
        Self { input, output }
    }

    /// What it says next.
    pub fn hear(&mut self) -> Result<Said, Unheard> {
        let line = line::read(&mut self.input, MAX_LINE).map_err(|error| match error {
            LineError::Io(error) => Unheard::Io(error),
            LineError::Closed => Unheard::Closed,
            LineError::Long => Unheard::Malformed(format!("a line has more than {MAX_LINE} bytes")),
        })?;
        let line = serde_json::from_slice(&line).map_err(|error| Unheard::Malformed(error.to_string()))?;
        judge(line).map_err(Unheard::Malformed)
    }

    /// Answers it.
    pub fn answer(&mut self, answer: &Answer) -> std::io::Result<()> {
        line::write(&mut self.output, &StationLine::from(answer))
    }
}

fn judge(line: DeviceLine) -> Result<Said, String> {
    Ok(match line {
        DeviceLine::TrustBundle { version, tenant, device_id } => {
            line::judge_version(version)?;
            Said::TrustBundle(line::device(&tenant, &device_id)?)
        }
        DeviceLine::Request(request) => Said::Request(request.judge()?),
        DeviceLine::Confirmation { tenant, device_id, device_confirmation } => {
            Said::Confirmation(line::judge_confirmation(&tenant, &device_id, &device_confirmation)?)
        }
        DeviceLine::TpmEvidence(evidence) => {
            let (device, evidence) = evidence.judge()?;
            Said::Evidence(device, evidence)
        }
        DeviceLine::TpmActivation(activation) => Said::Activation(activation.judge()?),
        DeviceLine::Done { generation, confirmed } => Said::Done { generation, is_confirmed: confirmed },
        DeviceLine::Signs { assurance } => match assurance.parse() {
            Ok(assurance) => Said::Signs { assurance },
            Err(_) => return Err(format!("assurance: {assurance:?} is none")),
        },
        DeviceLine::Error { message } => Said::Failed(message),
    })
}

impl From<&Answer> for StationLine {
    fn from(answer: &Answer) -> Self {
        match answer {
            Answer::TrustBundle(bundle) => {
                Self::TrustBundle { bundle: hex::encode(bundle.as_deref().unwrap_or_default()) }
            }
            Answer::Reply(tenant, reply) => Self::reply(tenant, reply),
            Answer::Confirmed => Self::Confirmed {},
            Answer::Challenge(challenge) => Self::TpmChallenge(challenge.into()),
            Answer::Enrolled(enrolled) => Self::KeyEnrolled(enrolled.into()),
            Answer::Refused { code, message } => {
                Self::Refused { code: code.clone(), message: message.clone() }
            }
        }
    }
}

impl From<&CallError> for Answer {
    fn from(error: &CallError) -> Self {
        let (code, message) = match error {
            CallError::Refused(refused) => (refused.code.clone(), refused.message.clone()),
            CallError::Unreachable(why) => (ErrorCode::Unreachable.to_string(), why.clone()),
            CallError::Intercepted { endpoint, issuer } => {
                let why = format!("the station: TLS to {endpoint} is opened by \"{issuer}\"");
                (ErrorCode::TlsIntercepted.to_string(), why)
            }
            CallError::Malformed(why) => (ErrorCode::Malformed.to_string(), why.clone()),
            CallError::Setting(field, why) => {
                (ErrorCode::Unreachable.to_string(), format!("the station: {field}: {why}"))
            }
        };
        Self::Refused { code, message }
    }
}

/// 64 attributes of 4 KiB each, in hex, and the rest of a request.
const MAX_LINE: u64 = 640 << 10;
