//! Release at the device: a person there lets the technician in, by a proof of the device (DDKG-1 §8.9).
//!
//! The authority knows the device, and not who is at it. So a tenant switches this on, a visit of one device alone is released so,
//! and none while somebody may be in that device, who could release the next visit from inside.

use super::ca::service_ca;
use super::policy::service_policy;
use super::visits::{VisitId, VisitState, closed};
use crate::kernel::record::hex;
use crate::kernel::{Engine, Error, Stop, Tx};
use crate::rows::{self, DeviceVisitsRow, ReleasedAtDeviceRow, VisitReleaseColumn, VisitRow};
use wardein_ddkg::DeviceName;
use wardein_ddkg::message::PendingVisit;
use wardein_domain::{ErrorCode, Event, FieldName, Fields};
use wardein_port::{Change, Table};

impl Engine {
    /// What a device gets that asks which of its visits wait for their release: the reply body.
    pub(crate) fn pending_visits(&self, tx: &Tx<'_>, name: &DeviceName) -> Result<Vec<u8>, Stop> {
        require_allowed(tx, name)?;
        let visits = self.unended_visits(tx, name)?;
        let waits = |(_, row): &&(VisitId, VisitRow)| self.state(row) == VisitState::Requested;
        let pending: Vec<_> = visits.iter().filter(waits).map(|(id, row)| pending(id, row)).collect();
        Ok(PendingVisit::encode_all(&pending))
    }

    /// Releases a visit of a device that has proved who it is: event and fields of the entry. Releasing what is released changes
    /// nothing.
    pub(crate) fn release_at_device(
        &self,
        tx: &Tx<'_>,
        name: &DeviceName,
        id: VisitId,
        change: &mut Change,
    ) -> Result<(Event, Fields), Stop> {
        let policy = require_allowed(tx, name)?;
        let key = rows::visit_key(&name.tenant, &id);
        let found: Option<(u64, VisitRow)> = tx.row(Table::Visit, &key)?;
        // A visit of other devices looks as if it did not exist.
        let found = found.filter(|(_, row)| row.devices.contains(&name.device));
        let (version, mut row) = found.ok_or_else(|| {
            let message = format_args!("device {} has no visit {}", name.device, hex(&id));
            Error::new(ErrorCode::VisitUnknown, message)
        })?;
        let fields = Fields::default()
            .with(FieldName::Visit, hex(&id))
            .with(FieldName::Technician, &row.technician)
            .with(FieldName::WorkOrder, &row.work_order);
        if row.devices.len() != 1 {
            let message = format_args!(
                "visit {} is of {} devices: a person at one of them does not decide for the others",
                hex(&id),
                row.devices.len()
            );
            return Err(Error::new(ErrorCode::ReleaseNeedsSite, message).into());
        }
        match self.state(&row) {
            VisitState::Requested => {}
            VisitState::Released | VisitState::Current => return Ok((Event::VisitReleaseRepeated, fields)),
            VisitState::Ended | VisitState::Over => return Err(closed(&id, &row).into()),
        }
        self.require_nobody_in(tx, name)?;
        if service_ca(tx, &name.tenant)?.is_none() {
            return Err(
                rows::damaged(Table::ServiceCa, "is missing where visits are released at devices").into()
            );
        }
        let released = ReleasedAtDeviceRow { device: name.device.clone(), at: self.time() };
        row.released = VisitReleaseColumn::AtDevice(released);
        // It is not released by a policy that was set back at the same time.
        change.check(Table::ServicePolicy, rows::tenant_prefix(&name.tenant), policy);
        change.update(Table::Visit, key, version, rows::encode(&row)?);
        Ok((Event::VisitReleased, fields.with(FieldName::ReleasedBy, AT_DEVICE)))
    }

    /// Refuses while a visit of the device is current.
    fn require_nobody_in(&self, tx: &Tx<'_>, name: &DeviceName) -> Result<(), Stop> {
        let visits = self.unended_visits(tx, name)?;
        let Some((id, row)) = visits.iter().find(|(_, row)| self.state(row) == VisitState::Current) else {
            return Ok(());
        };
        let message = format_args!(
            "{} may be in device {} by visit {} until Unix second {}, and nobody who is in it releases a visit",
            row.technician,
            name.device,
            hex(id),
            row.window().until().get()
        );
        Err(Error::new(ErrorCode::ReleaseNeedsSite, message).into())
    }

    /// The visits of a device that are neither ended nor over, at most 16.
    fn unended_visits(&self, tx: &Tx<'_>, name: &DeviceName) -> Result<Vec<(VisitId, VisitRow)>, Stop> {
        let found: Option<(u64, DeviceVisitsRow)> = tx.row(Table::DeviceVisits, &rows::device_key(name))?;
        let (_, known) = found.unwrap_or_default();
        let now = self.time();
        let mut visits = Vec::new();
        for open in known.open.iter().filter(|open| !open.is_ended && open.window().until() > now) {
            let visit: Option<(u64, VisitRow)> =
                tx.row(Table::Visit, &rows::visit_key(&name.tenant, &open.id))?;
            visits.extend(visit.map(|(_, row)| (open.id, row)));
        }
        Ok(visits)
    }
}

/// Refuses where the tenant does not have visits released at devices. The version of the policy's row.
fn require_allowed(tx: &Tx<'_>, name: &DeviceName) -> Result<u64, Stop> {
    let (version, policy) = service_policy(tx, &name.tenant)?;
    // The default allows it to nobody, so there is a row.
    Ok(version.filter(|_| policy.is_released_at_device()).ok_or_else(|| {
        let message = format_args!("tenant {} does not have visits released at devices", name.tenant);
        Error::new(ErrorCode::ReleaseAtDeviceOff, message)
    })?)
}

fn pending(id: &VisitId, row: &VisitRow) -> PendingVisit {
    let asked = row.by.principal();
    PendingVisit {
        visit: *id,
        technician: row.technician.clone(),
        work_order: row.work_order.clone(),
        scope: row.scope.clone(),
        from: row.window().from().get(),
        until: row.window().until().get(),
        role: asked.role,
        by: asked.name,
        asked: row.made.get(),
        devices: u8::try_from(row.devices.len()).unwrap_or(u8::MAX),
    }
}

/// Who it was, for the audit log.
const AT_DEVICE: &str = "a person at the device";
