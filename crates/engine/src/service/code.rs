//! The code that lets a technician in at a device without network (DDKG-1 §7.1): in answer to the challenge that the device shows.

use super::visits::{VisitId, VisitState, of, visible};
use crate::derive::spent;
use crate::kernel::record::{Recording, hex, target};
use crate::kernel::{Caller, Decision, Engine, Error, Stop, Tx};
use crate::rows::{self, SpentRow, VisitRow};
use wardein_crypto::SecretBytes;
use wardein_ddkg::authority::Refusal;
use wardein_ddkg::{DeviceName, ServiceChallenge, ServiceCode};
use wardein_domain::{DeviceId, ErrorCode, Event, FieldName, Outcome, TenantId, UnixSeconds};
use wardein_port::{Change, Table};

/// A code for one visit of one device.
pub struct VisitCode {
    /// Its text: ten characters in two groups.
    pub code: SecretBytes,
    /// Seconds for which the technician is let in, counted from when the device showed the challenge.
    pub length: u64,
}

impl Engine {
    /// The code that answers the challenge of a device: only during the window of a released visit, and for what is left of it, at most 12
    /// hours. A challenge is answered for one visit; the same ask again gets the same answer.
    pub async fn answer_challenge(
        &self,
        caller: &Caller,
        tenant: TenantId,
        id: VisitId,
        device: DeviceId,
        challenge: ServiceChallenge,
    ) -> Result<VisitCode, Error> {
        self.require_tenant(caller, &tenant)?;
        let name = DeviceName { tenant, device };
        let judge = |tx: &mut Tx<'_>| self.decide_code(tx, caller, &name, &id, &challenge).map(|_| ());
        self.transact_on_by(caller, &name, judge, |tx| self.decide_code(tx, caller, &name, &id, &challenge))
            .await
    }

    fn decide_code(
        &self,
        tx: &mut Tx<'_>,
        caller: &Caller,
        name: &DeviceName,
        id: &VisitId,
        challenge: &ServiceChallenge,
    ) -> Result<Decision<VisitCode>, Stop> {
        let (version, mut row) = visible(tx, caller, &name.tenant, id)?;
        let device_version = self.require_visited(tx, name, id, &row)?;
        let Some(held) = self.open_keys(tx, name)? else { return Err(not_agreed(name).into()) };
        // Whoever asks for a key that is used up shows a challenge that the device made, or is told that it did not.
        let present = self.spent(tx, &challenge.key_name(name.clone()))?.map(|(_, row)| row);
        let asked = SpentRow {
            at: present.as_ref().map_or(self.time(), |present| present.at),
            by: caller.principal.serial,
            idempotency: spent_for(id),
            message: None,
        };
        let units = units(&row, asked.at);
        let answered = held.keys.record.answer_service_challenge(challenge, &row.scope, units);
        let (code, spend) = answered.map_err(|refusal| refused(&refusal, name, &row))?;
        if present.as_ref().is_some_and(|present| present.idempotency != asked.idempotency) {
            let message = "the challenge was answered for another visit";
            return Err(Error::new(ErrorCode::ServiceChallengeUsed, message).into());
        }
        if units == 0 {
            let message = format_args!("visit {} is over within {} seconds", hex(id), ServiceCode::UNIT);
            return Err(Error::new(ErrorCode::VisitClosed, message).into());
        }
        let answer = VisitCode { code: SecretBytes::from_vec(code.to_text().into()), length: code.length() };
        let mut change = Change::default();
        // One that is ended at the same time lets nobody in. From now on a protocol of the device is awaited.
        let key = rows::visit_key(&name.tenant, id);
        if row.certified.contains(&name.device) {
            change.check(Table::Visit, key, version);
        } else {
            row.certified.push(name.device.clone());
            change.update(Table::Visit, key, version, rows::encode(&row)?);
        }
        change.check(Table::Device, rows::device_key(name), device_version);
        if present.is_none() {
            spent::spend(&mut change, &spend.0, &asked)?;
        }
        let entry = self.entry(caller, Event::VisitCodeGiven, target(name), Outcome::Done);
        let entry = of(entry, &name.tenant, id, &row)
            .with(FieldName::ServiceScope, &row.scope)
            .with(FieldName::Key, spend.0.to_string())
            .with(FieldName::Delivery, if present.is_none() { "first" } else { "again" })
            .with(FieldName::Ends, asked.at.get().saturating_add(answer.length));
        change.record(&entry)?;
        Ok(Decision::new(change, answer))
    }

    /// Refuses a visit that is not current, and a device that is not one of it or that nobody visits. The version of the device's row.
    pub(super) fn require_visited(
        &self,
        tx: &Tx<'_>,
        name: &DeviceName,
        id: &VisitId,
        row: &VisitRow,
    ) -> Result<u64, Stop> {
        self.require_current(id, row)?;
        if !row.devices.contains(&name.device) {
            let message = format_args!("{} is not a device of visit {}", name.device, hex(id));
            return Err(Error::wrong("device_id", message).into());
        }
        let (version, record) = self.device_row(tx, name)?;
        if record.state.is_final() {
            let message = format_args!("device {} is {}: nobody visits it", name.device, record.state);
            return Err(Error::wrong("device_id", message).into());
        }
        Ok(version)
    }

    fn require_current(&self, id: &VisitId, row: &VisitRow) -> Result<(), Error> {
        let (code, how) = match self.state(row) {
            VisitState::Current => return Ok(()),
            VisitState::Requested => (ErrorCode::VisitNotReleased, "waits for its release"),
            VisitState::Released => (ErrorCode::VisitNotBegun, "has not begun"),
            VisitState::Ended => (ErrorCode::VisitClosed, "was ended"),
            VisitState::Over => (ErrorCode::VisitClosed, "is over"),
        };
        Err(Error::new(code, format_args!("visit {} {how}", hex(id))))
    }
}

/// What the row of a spent key says of the visit that it was spent for.
fn spent_for(id: &VisitId) -> [u8; 32] {
    std::array::from_fn(|at| id.get(at).copied().unwrap_or_default())
}

/// The inverse.
pub(super) fn visit_of(spent: &SpentRow) -> Option<VisitId> {
    spent.idempotency.first_chunk().copied()
}

/// How long the window is open from then on, in whole units.
fn units(row: &VisitRow, at: UnixSeconds) -> u8 {
    let left = row.window().until().get().saturating_sub(at.get()) / ServiceCode::UNIT;
    u8::try_from(left).unwrap_or(u8::MAX).min(ServiceCode::MAX_UNITS)
}

fn refused(refusal: &Refusal, name: &DeviceName, row: &VisitRow) -> Error {
    match refusal {
        Refusal::PurposeNotKept(_) | Refusal::EnrollmentPending => not_agreed(name),
        _ => {
            let message = format_args!(
                "device {} did not show this challenge for scope {}, or has agreed on other keys since",
                name.device, row.scope
            );
            Error::new(ErrorCode::ServiceChallengeWrong, message)
        }
    }
}

fn not_agreed(name: &DeviceName) -> Error {
    let message = format_args!("device {} has agreed on no keys for codes", name.device);
    Error::new(ErrorCode::ServiceCodesNotAgreed, message)
}
