//! The station's end of a line: what a device says goes to the authority, what the authority answers goes to the device.
//!
//! A line may bring one device after the other, each as often as it likes: what the authority is asked is safe to repeat. A
//! message that cannot be understood is answered and told, and spoils nothing behind it. That a device is enrolled is what the
//! authority said, and not what the device says.

use crate::port::Deadline;
use std::io::{BufRead, ErrorKind, Write};
use std::time::Duration;
use wardein_ddkg::DeviceName;
use wardein_device::{
    Answer, CallError, LineDevice, PinStation, ProofStation, Said, Station, TpmStation, Unheard,
};
use wardein_domain::{Assurance, ErrorCode};

/// The station's end of a line to devices.
pub(crate) struct Relay<R, W> {
    line: LineDevice<R, W>,
    deadline: Deadline,
    patience: Duration,
    /// Who spoke last, and what the station last told it where that was a refusal.
    device: Option<DeviceName>,
    refusal: Option<(String, String)>,
    /// How far the authority came with this device, and the generation that it agreed on.
    stage: Stage,
    generation: u64,
    /// What comes once the end of the device before is told: what another device said, or why the line is no more.
    heard: Option<Said>,
    lost: Option<std::io::Error>,
}

/// How far the authority came with a device, in this enrollment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It has given it nothing.
    Begun,
    /// The device has what its keys are made of, or says so by a confirmation.
    Answered,
    /// It has the device's confirmation.
    Confirmed,
    /// It has the device's key on record.
    Signs(Assurance),
}

/// How it ended with one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Relayed {
    /// Which; none where it could not be understood so far.
    pub(crate) device: Option<DeviceName>,
    /// How.
    pub(crate) end: End,
    /// What the device said after the authority had it, where that was not well; otherwise empty.
    pub(crate) note: String,
}

/// How an enrollment over a line ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
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
    /// A relay that hears devices by `input` and answers them by `output`, and gives one up that has begun and is silent for
    /// `patience`. Both directions keep to `deadline`.
    pub(crate) fn new(input: R, output: W, deadline: Deadline, patience: Duration) -> Self {
        let line = LineDevice::new(input, output);
        let (stage, generation) = (Stage::Begun, 0);
        Self {
            line,
            deadline,
            patience,
            device: None,
            refusal: None,
            stage,
            generation,
            heard: None,
            lost: None,
        }
    }

    /// How many bytes of noise there were.
    pub(crate) fn noise(&self) -> u64 {
        self.line.noise()
    }

    /// Relays until it has ended with a device, one way or the other; `None` once the line is closed.
    pub(crate) async fn next(
        &mut self,
        station: &mut (impl Station + TpmStation + PinStation + ProofStation),
    ) -> Result<Option<Relayed>, std::io::Error> {
        if let Some(error) = self.lost.take() {
            return Err(error);
        }
        loop {
            // Between two devices there is no hurry.
            self.deadline.set(self.device.as_ref().map(|_| self.patience));
            let said = self.heard.take().map_or_else(|| self.line.hear(), Ok);
            let heard = match said {
                Ok(said) if self.is_of_another(&said) => {
                    self.heard = Some(said);
                    return Ok(Some(self.broken_off(ErrorCode::DeviceGone, LEFT)));
                }
                Ok(said) => self.ask(said, station).await,
                Err(Unheard::Malformed(why)) => Heard::NotUnderstood(why),
                Err(Unheard::Closed) if self.device.is_none() => return Ok(None),
                Err(Unheard::Closed) => return Ok(Some(self.broken_off(ErrorCode::DeviceGone, LEFT))),
                Err(Unheard::Io(error)) => return self.cut_off(error),
            };
            let (answer, ended) = match heard {
                Heard::Question(answer) => (answer, None),
                Heard::NotUnderstood(why) => {
                    let answer =
                        Answer::Refused { code: ErrorCode::Malformed.to_string(), message: why.clone() };
                    (answer, Some(why))
                }
                Heard::End(relayed) => return Ok(Some(relayed)),
            };
            self.deadline.set(Some(self.patience));
            if let Err(error) = self.line.answer(&answer) {
                return self.cut_off(error);
            }
            if let Some(why) = ended {
                self.refusal = None;
                return Ok(Some(self.broken_off(ErrorCode::Malformed, &why)));
            }
        }
    }

    /// Carries what was said to the authority.
    async fn ask(
        &mut self,
        said: Said,
        station: &mut (impl Station + TpmStation + PinStation + ProofStation),
    ) -> Heard {
        let answer = match said {
            Said::Done { generation, is_confirmed } => {
                return Heard::End(self.done(generation, is_confirmed));
            }
            Said::Signs { .. } => return Heard::End(self.signs()),
            Said::Failed(message) => return Heard::End(self.broken_off(ErrorCode::DeviceFailed, &message)),
            Said::TrustBundle(device) => {
                self.speaks(&device);
                station.signed_bundle(&device).await.map(Answer::TrustBundle)
            }
            Said::Request(request) => {
                self.speaks(&request.device);
                station.enroll(&request).await.map(|(tenant, reply)| {
                    (self.stage, self.generation) = (Stage::Answered, reply.generation);
                    Answer::Reply(tenant, reply)
                })
            }
            Said::Confirmation(confirmation) => {
                self.speaks(&confirmation.device);
                let confirmed = station.confirm(&confirmation).await;
                self.stage = match &confirmed {
                    Ok(()) => Stage::Confirmed,
                    // Its keys are saved, and it confirms them again.
                    Err(CallError::Unreachable(_) | CallError::Intercepted { .. }) => Stage::Answered,
                    Err(CallError::Refused(_) | CallError::Malformed(_) | CallError::Setting(..)) => {
                        Stage::Begun
                    }
                };
                confirmed.map(|()| Answer::Confirmed)
            }
            Said::Challenge(device) => {
                self.speaks(&device);
                station.challenge(&device).await.map(Answer::Offer)
            }
            Said::Proof(ask) => {
                self.speaks(&ask.request.device);
                station.prove(&ask.request, &ask.body).await.map(|reply| {
                    // It takes a proof only of a device that it has confirmed.
                    (self.stage, self.generation) = (Stage::Confirmed, ask.request.generation);
                    Answer::Proved(reply)
                })
            }
            Said::Evidence(device, evidence) => {
                self.speaks(&device);
                station.begin(&device, &evidence).await.map(Answer::Challenge)
            }
            Said::Activation(activation) => {
                self.speaks(&activation.device);
                station.finish(&activation).await.map(|enrolled| {
                    self.stage = Stage::Signs(enrolled.assurance);
                    Answer::Enrolled(enrolled)
                })
            }
        };
        let answer = answer.unwrap_or_else(|error| Answer::from(&error));
        self.refusal = match &answer {
            Answer::Refused { code, message } => Some((code.clone(), message.clone())),
            Answer::TrustBundle(_)
            | Answer::Reply(..)
            | Answer::Confirmed
            | Answer::Offer(_)
            | Answer::Proved(_)
            | Answer::Challenge(_)
            | Answer::Enrolled(_) => None,
        };
        Heard::Question(answer)
    }

    /// Whether another device speaks than the one whose end is not told yet.
    fn is_of_another(&self, said: &Said) -> bool {
        let speaker = match said {
            Said::TrustBundle(device) | Said::Challenge(device) | Said::Evidence(device, _) => Some(device),
            Said::Request(request) => Some(&request.device),
            Said::Confirmation(confirmation) => Some(&confirmation.device),
            Said::Proof(ask) => Some(&ask.request.device),
            Said::Activation(activation) => Some(&activation.device),
            Said::Done { .. } | Said::Signs { .. } | Said::Failed(_) => None,
        };
        self.device.is_some() && speaker.is_some() && speaker != self.device.as_ref()
    }

    fn speaks(&mut self, device: &DeviceName) {
        self.device = Some(device.clone());
    }

    fn done(&mut self, generation: u64, is_confirmed: bool) -> Relayed {
        match (self.stage, is_confirmed) {
            (Stage::Confirmed, _) => self.ended(End::Done { generation, is_confirmed: true }, ""),
            (Stage::Answered, false) => self.ended(End::Done { generation, is_confirmed: false }, ""),
            (Stage::Begun | Stage::Answered | Stage::Signs(_), _) => {
                self.broken_off(ErrorCode::Malformed, NOT_SO)
            }
        }
    }

    fn signs(&mut self) -> Relayed {
        match self.stage {
            Stage::Signs(assurance) => self.ended(End::Signs { assurance }, ""),
            Stage::Begun | Stage::Answered | Stage::Confirmed => {
                self.broken_off(ErrorCode::Malformed, NOT_SO)
            }
        }
    }

    /// A device that does not speak or hear any more. Where the line is the cause, the next call tells that.
    fn cut_off(&mut self, error: std::io::Error) -> Result<Option<Relayed>, std::io::Error> {
        let is_slow = error.kind() == ErrorKind::TimedOut;
        if self.device.is_none() && !is_slow {
            return Err(error);
        }
        let message = match is_slow {
            true => format!("the device is silent for {} s; it can begin again", self.patience.as_secs()),
            false => format!("{LEFT} ({error})"),
        };
        self.lost = (!is_slow).then_some(error);
        Ok(Some(self.broken_off(ErrorCode::DeviceGone, &message)))
    }

    /// The end of a device that did not come to its last message. One that the authority has is enrolled all the same;
    /// otherwise the code of the authority's refusal says more than that the device failed upon it.
    fn broken_off(&mut self, code: ErrorCode, message: &str) -> Relayed {
        let (end, note) = match self.stage {
            Stage::Confirmed => (End::Done { generation: self.generation, is_confirmed: true }, message),
            Stage::Signs(assurance) => (End::Signs { assurance }, message),
            Stage::Begun | Stage::Answered => {
                let reason = self.refusal.take();
                let (code, message) = reason.unwrap_or_else(|| (code.to_string(), message.to_owned()));
                (End::Failed { code, message }, "")
            }
        };
        self.ended(end, note)
    }

    fn ended(&mut self, end: End, note: &str) -> Relayed {
        (self.refusal, self.stage, self.generation) = (None, Stage::Begun, 0);
        Relayed { device: self.device.take(), end, note: note.to_owned() }
    }
}

/// What a message comes to.
enum Heard {
    Question(Answer),
    NotUnderstood(String),
    End(Relayed),
}

const LEFT: &str = "the device left before the end; it can begin again";
const NOT_SO: &str =
    "the device says that it is enrolled, and the authority has not said so; it can begin again";

#[cfg(test)]
mod tests;
