//! The station's end of a line: what a device says goes to the authority, what the authority answers goes to the device.
//!
//! A line may bring one device after the other, each as often as it likes: what the authority is asked is safe to repeat. What
//! cannot be understood is answered and told, and spoils nothing behind it.

use std::io::{BufRead, Write};
use wardein_ddkg::DeviceName;
use wardein_device::{Answer, LineDevice, PinStation, Said, Station, TpmStation, Unheard};
use wardein_domain::{Assurance, ErrorCode};

/// The station's end of a line to devices.
pub(crate) struct Relay<R, W> {
    line: LineDevice<R, W>,
    /// Who spoke last, and what the station last told it where that was a refusal.
    device: Option<DeviceName>,
    refusal: Option<(String, String)>,
}

/// How it ended with one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Relayed {
    /// Which; none where it could not be understood so far.
    pub(crate) device: Option<DeviceName>,
    /// How.
    pub(crate) end: End,
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
    /// A relay that hears devices by `input` and answers them by `output`.
    pub(crate) fn new(input: R, output: W) -> Self {
        Self { line: LineDevice::new(input, output), device: None, refusal: None }
    }

    /// Relays until it has ended with a device, one way or the other; `None` once the line is closed.
    pub(crate) async fn next(
        &mut self,
        station: &mut (impl Station + TpmStation + PinStation),
    ) -> Result<Option<Relayed>, std::io::Error> {
        loop {
            let answer = match self.line.hear() {
                Err(Unheard::Io(error)) => return Err(error),
                Err(Unheard::Malformed(why)) => return self.not_understood(why).map(Some),
                Err(Unheard::Closed) => {
                    return Ok(self.device.is_some().then(|| {
                        self.failed(
                            ErrorCode::DeviceGone,
                            "the device left before the end; it can begin again",
                        )
                    }));
                }
                Ok(Said::Done { generation, is_confirmed }) => {
                    return Ok(Some(self.ended(End::Done { generation, is_confirmed })));
                }
                Ok(Said::Signs { assurance }) => return Ok(Some(self.ended(End::Signs { assurance }))),
                Ok(Said::Failed(message)) => return Ok(Some(self.failed(ErrorCode::DeviceFailed, &message))),
                Ok(Said::TrustBundle(device)) => {
                    self.device = Some(device.clone());
                    station.signed_bundle(&device).await.map(Answer::TrustBundle)
                }
                Ok(Said::Request(request)) => {
                    self.device = Some(request.device.clone());
                    station.enroll(&request).await.map(|(tenant, reply)| Answer::Reply(tenant, reply))
                }
                Ok(Said::Confirmation(confirmation)) => {
                    self.device = Some(confirmation.device.clone());
                    station.confirm(&confirmation).await.map(|()| Answer::Confirmed)
                }
                Ok(Said::Evidence(device, evidence)) => {
                    self.device = Some(device.clone());
                    station.begin(&device, &evidence).await.map(Answer::Challenge)
                }
                Ok(Said::Activation(activation)) => {
                    self.device = Some(activation.device.clone());
                    station.finish(&activation).await.map(Answer::Enrolled)
                }
            };
            let answer = answer.unwrap_or_else(|error| Answer::from(&error));
            self.refusal = match &answer {
                Answer::Refused { code, message } => Some((code.clone(), message.clone())),
                Answer::TrustBundle(_)
                | Answer::Reply(..)
                | Answer::Confirmed
                | Answer::Challenge(_)
                | Answer::Enrolled(_) => None,
            };
            self.line.answer(&answer)?;
        }
    }

    fn not_understood(&mut self, why: String) -> Result<Relayed, std::io::Error> {
        self.line
            .answer(&Answer::Refused { code: ErrorCode::Malformed.to_string(), message: why.clone() })?;
        self.refusal = None;
        Ok(self.failed(ErrorCode::Malformed, &why))
    }

    /// A failure; the code of the authority's refusal says more than that the device failed upon it.
    fn failed(&mut self, code: ErrorCode, message: &str) -> Relayed {
        let (code, message) = self.refusal.take().unwrap_or_else(|| (code.to_string(), message.to_owned()));
        self.ended(End::Failed { code, message })
    }

    fn ended(&mut self, end: End) -> Relayed {
        self.refusal = None;
        Relayed { device: self.device.take(), end }
    }
}
