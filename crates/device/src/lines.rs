//! An enrollment as lines of JSON: the device's end of a pipe or a serial line.

use crate::authority::{Authority, CallError, PinStation, Reply, Station};
use crate::enroll::Enrolled;
use crate::error::Error;
use crate::line::{self, DeviceLine, LineError, StationLine};
use crate::signing::line::EvidenceLine;
use crate::signing::{TpmActivation, TpmStation};
use std::io::{BufRead, Write};
use wardein_ddkg::DeviceName;
use wardein_ddkg::message::{ChallengeOffer, Confirmation, EnrollReply, EnrollRequest, ProofRequest};
use wardein_domain::{EnrolledKey, TenantId, TpmChallenge, TpmEvidence};
use wardein_pki::PinBundle;

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
                DeviceLine::Done { generation: enrolled.generation, confirmed: enrolled.is_confirmed }
            }
            Err(error) => DeviceLine::Error { message: error.to_string() },
        })
    }

    /// The last line of an enrollment of a device that signs.
    pub fn end_signing(&mut self, result: &Result<EnrolledKey, Error>) -> Result<(), CallError> {
        self.write(&match result {
            Ok(enrolled) => DeviceLine::Signs { assurance: enrolled.assurance.to_string() },
            Err(error) => DeviceLine::Error { message: error.to_string() },
        })
    }

    fn write(&mut self, line: &DeviceLine) -> Result<(), CallError> {
        line::write(&mut self.output, line).map_err(gone)
    }

    fn read(&mut self) -> Result<StationLine, CallError> {
        self.read_up_to(MAX_LINE)
    }

    fn read_up_to(&mut self, max: u64) -> Result<StationLine, CallError> {
        let line = line::read(&mut self.input, max).map_err(|error| match error {
            LineError::Io(error) => gone(error),
            LineError::Closed => CallError::Unreachable("the station closed the line".into()),
            LineError::Long(_) => CallError::Malformed(format!("a line has more than {max} bytes")),
        })?;
        serde_json::from_slice(&line).map_err(|error| CallError::Malformed(error.to_string()))
    }
}

impl<R: BufRead, W: Write> PinStation for LineStation<R, W> {
    async fn signed_bundle(&mut self, device: &DeviceName) -> Result<Option<Vec<u8>>, CallError> {
        self.write(&DeviceLine::trust_bundle(device))?;
        match self.read_up_to(MAX_BUNDLE_LINE)? {
            StationLine::TrustBundle { bundle } => {
                let bundle = line::bytes("bundle", &bundle).map_err(CallError::Malformed)?;
                Ok(Some(bundle).filter(|bundle| !bundle.is_empty()))
            }
            other => Err(other.unexpected("trust_bundle")),
        }
    }
}

impl<R: BufRead, W: Write> Station for LineStation<R, W> {
    async fn enroll(&mut self, request: &EnrollRequest) -> Result<(TenantId, EnrollReply), CallError> {
        self.write(&DeviceLine::request(request))?;
        match self.read()? {
            StationLine::Reply(reply) => reply.judge(request.share.suite()),
            other => Err(other.unexpected("reply")),
        }
    }

    async fn confirm(&mut self, confirmation: &Confirmation) -> Result<(), CallError> {
        self.write(&DeviceLine::confirmation(confirmation))?;
        match self.read()? {
            StationLine::Confirmed {} => Ok(()),
            other => Err(other.unexpected("confirmed")),
        }
    }
}

/// The authority behind the station, which relays what it is asked.
impl<R: BufRead, W: Write> Authority for LineStation<R, W> {
    async fn challenge(&mut self, device: &DeviceName) -> Result<ChallengeOffer, CallError> {
        self.write(&DeviceLine::challenge(device))?;
        match self.read()? {
            StationLine::Challenge { answer } => line::judge_challenge(&answer),
            other => Err(other.unexpected("challenge")),
        }
    }

    async fn prove(&mut self, request: &ProofRequest, body: &[u8]) -> Result<Reply, CallError> {
        self.write(&DeviceLine::proof(request, body))?;
        match self.read_up_to(MAX_PROOF_LINE)? {
            StationLine::Proof(proof) => proof.judge(),
            other => Err(other.unexpected("proof")),
        }
    }

    async fn confirm(&mut self, confirmation: &Confirmation) -> Result<(), CallError> {
        Station::confirm(self, confirmation).await
    }
}

impl<R: BufRead, W: Write> TpmStation for LineStation<R, W> {
    async fn begin(
        &mut self,
        device: &DeviceName,
        evidence: &TpmEvidence,
    ) -> Result<TpmChallenge, CallError> {
        self.write(&DeviceLine::TpmEvidence(EvidenceLine::new(device, evidence)))?;
        match self.read()? {
            StationLine::TpmChallenge(challenge) => challenge.judge().map_err(CallError::Malformed),
            other => Err(other.unexpected("tpm_challenge")),
        }
    }

    async fn finish(&mut self, activation: &TpmActivation) -> Result<EnrolledKey, CallError> {
        self.write(&DeviceLine::TpmActivation(activation.into()))?;
        match self.read()? {
            StationLine::KeyEnrolled(enrolled) => enrolled.judge().map_err(CallError::Malformed),
            other => Err(other.unexpected("key_enrolled")),
        }
    }
}

fn gone(error: std::io::Error) -> CallError {
    CallError::Unreachable(format!("station: {error}"))
}

/// A reply of suite 2 has some 3,000 characters.
const MAX_LINE: u64 = 16 << 10;
/// A key of at most 4 KiB and its certificates, in hex; those of RSA of 4096 bits have some 2 KiB each.
const MAX_PROOF_LINE: u64 = 64 << 10;
/// A trust bundle in hex, and the rest of its line.
const MAX_BUNDLE_LINE: u64 = 2 * PinBundle::MAX_LEN as u64 + (1 << 10);
