//! The station's end of a line: what a device says, judged, and what it is answered. What to make of it is the station's.

use crate::authority::{CallError, Reply};
use crate::line::{self, DeviceLine, LineError, ProofLine, StationLine};
use crate::signing::TpmActivation;
use serde::Deserialize;
use std::io::{BufRead, Write};
use wardein_crypto::hex;
use wardein_ddkg::DeviceName;
use wardein_ddkg::message::{ChallengeOffer, Confirmation, EnrollReply, EnrollRequest, ProofAsk};
use wardein_domain::{Assurance, EnrolledKey, ErrorCode, TenantId, TpmChallenge, TpmEvidence};

/// A device at the other end of a line.
pub struct LineDevice<R, W> {
    input: R,
    output: W,
    noise: u64,
}

/// What a device says.
pub enum Said {
    /// It asks for the pins of the platform.
    TrustBundle(DeviceName),
    /// It asks for keys.
    Request(EnrollRequest),
    /// It has saved them.
    Confirmation(Confirmation),
    /// It asks for a challenge, to prove itself.
    Challenge(DeviceName),
    /// It proves itself.
    Proof(ProofAsk),
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
    /// To its question for a challenge.
    Offer(ChallengeOffer),
    /// To its proof. What is secret in it is sealed for the device.
    Proved(Reply),
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
        Self { input, output, noise: 0 }
    }

    /// What it says next. A line without a message is noise, such as a boot loader's: it is counted and skipped, and nobody
    /// answers it. A boot loader may take any answer for a key that was pressed.
    pub fn hear(&mut self) -> Result<Said, Unheard> {
        loop {
            let (line, is_long) = match line::read(&mut self.input, MAX_LINE) {
                Ok(line) => (line, false),
                Err(LineError::Long(begin)) => (begin, true),
                Err(LineError::Io(error)) => return Err(Unheard::Io(error)),
                Err(LineError::Closed) => return Err(Unheard::Closed),
            };
            if is_long && marked(&line).is_some() {
                return Err(Unheard::Malformed(format!("a line has more than {MAX_LINE} bytes")));
            }
            match message(&line).filter(|_| !is_long) {
                Some(message) => {
                    self.noise += (line.len() - message.len()) as u64;
                    let said = serde_json::from_slice(message);
                    let said = said.map_err(|error| Unheard::Malformed(error.to_string()))?;
                    return judge(said).map_err(Unheard::Malformed);
                }
                None => self.noise += line.len() as u64,
            }
        }
    }

    /// How many bytes of noise there were. Of a line that is too long, its begin counts.
    pub fn noise(&self) -> u64 {
        self.noise
    }

    /// Answers it.
    pub fn answer(&mut self, answer: &Answer) -> std::io::Result<()> {
        line::write(&mut self.output, &StationLine::from(answer))
    }
}

/// The message on a line: all of it, or what is behind noise that had no line of its own, such as a prompt.
///
/// JSON that is cut off, or that has no `type`, is none: a device that is switched off in mid-message boots on the same line,
/// and boot loaders log in JSON too.
fn message(line: &[u8]) -> Option<&[u8]> {
    #[derive(Deserialize)]
    struct Message {
        #[serde(rename = "type")]
        _type: String,
    }
    let is_message = |text: &&[u8]| serde_json::from_slice::<Message>(text).is_ok();
    // Two attempts, however many braces there are in the noise.
    [Some(line), marked(line)].into_iter().flatten().find(is_message)
}

/// From the last begin of a message on. Within a message it cannot be: quotes in its values are escaped.
fn marked(line: &[u8]) -> Option<&[u8]> {
    let at = line.windows(MARK.len()).rposition(|window| window == MARK)?;
    line.get(at..)
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
        DeviceLine::Challenge { version, tenant, device_id } => {
            line::judge_version(version)?;
            Said::Challenge(line::device(&tenant, &device_id)?)
        }
        DeviceLine::Proof { version, ask } => Said::Proof(line::judge_proof(version, &ask)?),
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
            Answer::Offer(offer) => Self::challenge(offer),
            Answer::Proved(reply) => Self::Proof(ProofLine::new(reply)),
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

/// How a message begins where noise is before it on its line.
const MARK: &[u8] = b"{\"type\"";
/// 64 attributes of 4 KiB each, in hex, and the rest of a request.
const MAX_LINE: u64 = 640 << 10;
