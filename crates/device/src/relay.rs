//! The station's end of a line: what a device says goes to the authority, what the authority answers goes to the device.
//!
//! A line may bring one device after the other, each as often as it likes: what the authority is asked is safe to repeat. What
//! cannot be understood is answered and told, and spoils nothing behind it.

use crate::authority::Station;
use crate::line::{self, DeviceLine, LineError, StationLine};
use crate::signing::TpmStation;
use std::io::{BufRead, Write};
use wardein_ddkg::DeviceName;
use wardein_domain::Assurance;

/// The station's end of a line to devices.
pub struct Relay<R, W> {
    input: R,
    output: W,
    /// Who spoke last, and what the station last told it where that was a refusal.
    device: Option<DeviceName>,
    refusal: Option<(String, String)>,
}

/// How it ended with one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relayed {
    /// Which; none where it could not be understood so far.
    pub device: Option<DeviceName>,
    /// How.
    pub end: End,
}

/// How an enrollment over a line ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The device has its keys.
    Done {
        /// The generation that was agreed on.
        generation: u64,
        /// Whether the authority has the confirmation; otherwise the device sends it again by itself.
        is_confirmed: bool,
    },
    /// The device signs with a key in its TPM.
    Signs {
        /// How surely the key is there.
        assurance: Assurance,
    },
    /// It has not.
    Failed {
        /// The stable code of a refusal, `malformed`, `device-gone` or `device-failed`.
        code: String,
        /// What was wrong.
        message: String,
    },
}

impl<R: BufRead, W: Write> Relay<R, W> {
    /// A relay that hears devices by `input` and answers them by `output`.
    pub fn new(input: R, output: W) -> Self {
        Self { input, output, device: None, refusal: None }
    }

    /// Relays until it has ended with a device, one way or the other; `None` once the line is closed.
    pub async fn next(
        &mut self,
        station: &mut (impl Station + TpmStation),
    ) -> Result<Option<Relayed>, std::io::Error> {
        loop {
            let line = match line::read(&mut self.input, MAX_LINE) {
                Ok(line) => line,
                Err(LineError::Io(error)) => return Err(error),
                Err(LineError::Closed) => {
                    return Ok(self.device.is_some().then(|| {
                        self.failed("device-gone", "the device left before the end; it can begin again")
                    }));
                }
                Err(LineError::Long) => {
                    return self.not_understood(format!("a line has more than {MAX_LINE} bytes")).map(Some);
                }
            };
            let answer = match serde_json::from_slice(&line) {
                Err(error) => return self.not_understood(error.to_string()).map(Some),
                Ok(DeviceLine::Done { generation, confirmed }) => {
                    return Ok(Some(self.ended(End::Done { generation, is_confirmed: confirmed })));
                }
                Ok(DeviceLine::Signs { assurance }) => match assurance.parse() {
                    Ok(assurance) => return Ok(Some(self.ended(End::Signs { assurance }))),
                    Err(_) => {
                        return self.not_understood(format!("assurance: {assurance:?} is none")).map(Some);
                    }
                },
                Ok(DeviceLine::Error { message }) => return Ok(Some(self.failed("device-failed", &message))),
                Ok(DeviceLine::Request(request)) => match request.judge() {
                    Err(why) => return self.not_understood(why).map(Some),
                    Ok(request) => {
                        self.device = Some(request.device.clone());
                        let reply = station.enroll(&request).await;
                        reply.map(|(tenant, reply)| StationLine::reply(&tenant, &reply))
                    }
                },
                Ok(DeviceLine::Confirmation { tenant, device_id, device_confirmation }) => {
                    match line::judge_confirmation(&tenant, &device_id, &device_confirmation) {
                        Err(why) => return self.not_understood(why).map(Some),
                        Ok(confirmation) => {
                            self.device = Some(confirmation.device.clone());
                            station.confirm(&confirmation).await.map(|()| StationLine::Confirmed {})
                        }
                    }
                }
                Ok(DeviceLine::TpmEvidence(evidence)) => match evidence.judge() {
                    Err(why) => return self.not_understood(why).map(Some),
                    Ok(evidence) => {
                        self.device = Some(evidence.device.clone());
                        let challenge = station.begin(&evidence).await;
                        challenge.map(|challenge| StationLine::TpmChallenge((&challenge).into()))
                    }
                },
                Ok(DeviceLine::TpmActivation(activation)) => match activation.judge() {
                    Err(why) => return self.not_understood(why).map(Some),
                    Ok(activation) => {
                        self.device = Some(activation.device.clone());
                        let enrolled = station.finish(&activation).await;
                        enrolled.map(|enrolled| StationLine::KeyEnrolled((&enrolled).into()))
                    }
                },
            };
            let answer = answer.unwrap_or_else(|error| StationLine::failed(&error));
            self.refusal = match &answer {
                StationLine::Refused { code, message } => Some((code.clone(), message.clone())),
                StationLine::Reply(_)
                | StationLine::Confirmed {}
                | StationLine::TpmChallenge(_)
                | StationLine::KeyEnrolled(_) => None,
            };
            line::write(&mut self.output, &answer)?;
        }
    }

    fn not_understood(&mut self, why: String) -> Result<Relayed, std::io::Error> {
        let (code, message) = ("malformed".to_owned(), why);
        line::write(&mut self.output, &StationLine::Refused { code, message: message.clone() })?;
        self.refusal = None;
        Ok(self.failed("malformed", &message))
    }

    /// A failure; the code of the authority's refusal says more than that the device failed upon it.
    fn failed(&mut self, code: &str, message: &str) -> Relayed {
        let (code, message) = self.refusal.take().unwrap_or_else(|| (code.to_owned(), message.to_owned()));
        self.ended(End::Failed { code, message })
    }

    fn ended(&mut self, end: End) -> Relayed {
        self.refusal = None;
        Relayed { device: self.device.take(), end }
    }
}

/// 64 attributes of 4 KiB each, in hex, and the rest of a request.
const MAX_LINE: u64 = 640 << 10;
