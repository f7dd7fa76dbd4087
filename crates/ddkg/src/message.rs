//! The messages, as bytes where the transport has no form of its own (specification, section 11).

mod carried;
mod emergency;
mod enroll;
mod made_key;
mod pending;
mod post;
mod post_signed;
mod proof;
mod refused;
mod sealed;
mod text;
mod token;
mod transfer;
mod visit;

pub use carried::CarriedProtocol;
pub use emergency::{EmergencyReport, ServiceKey};
pub use enroll::{Confirmation, EnrollReply, EnrollRequest};
pub use made_key::{MAX_MADE_KEY, MadeKeyAnswer};
pub use pending::{PendingVisit, VisitRelease};
pub use post::{ChallengeAnswer, ChallengeAsk, Confirmed, ProofAnswer, ProofAsk};
pub use post_signed::{SignedAnswer, SignedAsk};
pub(crate) use proof::rekey_transcript;
pub use proof::{
    AckedReply, ChallengeOffer, MAX_BODY, ProofRequest, RekeyAnswer, RekeyAsk, SignatureClaim, ack_transcript,
};
pub use refused::{NamedEpoch, Refused};
pub use sealed::{FileStanza, MAX_PLAINTEXT, SealedPayload};
pub use text::{from_text, to_text};
pub use token::{MAX_PLATFORM_NONCE, Token};
pub use transfer::TransferAnswer;
pub(crate) use transfer::transfer_transcript;
pub use visit::{Admitted, VisitEnd, VisitProtocol};

use crate::key::{DeviceName, MAX_NUMBER};
use crate::wire::{DecodeError, Problem, Reader, Sink};
use wardein_domain::Schedule;

/// The first byte of a message: which one it is. Numbers are never used again.
#[derive(Clone, Copy)]
enum Kind {
    EnrollRequest = 1,
    EnrollReply = 2,
    Confirmation = 3,
    ChallengeOffer = 4,
    ProofRequest = 5,
    AckedReply = 6,
    Token = 7,
    SealedPayload = 8,
    ChallengeAsk = 9,
    ChallengeAnswer = 10,
    ProofAsk = 11,
    ProofAnswer = 12,
    SignedAsk = 13,
    SignedAnswer = 14,
    Confirmed = 15,
    Refused = 16,
    CarriedProtocol = 17,
    SignedProtocol = 18,
}

impl Kind {
    fn put(self, out: &mut impl Sink) {
        out.put(&[self as u8]);
    }

    fn read(self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        let (value, kind) = (u64::from(reader.u8("message kind")?), self as u64);
        (value == kind)
            .then_some(())
            .ok_or_else(|| Problem::Range { value, min: kind, max: kind }.of("message kind"))
    }
}

pub(crate) fn put_device(out: &mut impl Sink, device: &DeviceName) {
    out.frame(device.tenant.as_str().as_bytes());
    out.frame(device.device.as_str().as_bytes());
}

pub(crate) fn read_device(reader: &mut Reader<'_>) -> Result<DeviceName, DecodeError> {
    Ok(DeviceName { tenant: reader.name("tenant")?, device: reader.name("device id")? })
}

pub(crate) fn put_schedule(out: &mut impl Sink, schedule: &Schedule) {
    out.u64(schedule.period);
    out.u64(schedule.max_uses);
    out.u64(schedule.not_before);
}

pub(crate) fn read_schedule(reader: &mut Reader<'_>) -> Result<Schedule, DecodeError> {
    Ok(Schedule {
        period: reader.u64("period")?,
        max_uses: reader.u64("max_uses")?,
        not_before: reader.u64("not_before")?,
    })
}

/// A generation number, which counts from 1.
pub(crate) fn read_generation(reader: &mut Reader<'_>) -> Result<u64, DecodeError> {
    match reader.u64("generation")? {
        0 => Err(Problem::Range { value: 0, min: 1, max: u64::MAX }.of("generation")),
        generation => Ok(generation),
    }
}

/// A key's number, which counts from 0.
pub(crate) fn read_number(reader: &mut Reader<'_>) -> Result<u64, DecodeError> {
    match reader.u64("number")? {
        value if value > MAX_NUMBER => Err(Problem::Range { value, min: 0, max: MAX_NUMBER }.of("number")),
        number => Ok(number),
    }
}
