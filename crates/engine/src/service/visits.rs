//! Visits: looking at them, releasing and ending them.

use super::protocols::{self, SessionProtocol};
use crate::access::operators::Issuer;
use crate::kernel::record::{Recording, hex, target};
use crate::kernel::{Caller, Decision, Engine, Error, Page, Paged, Stop, Tx};
use crate::rows::{
    self, ClosedRow, DeviceVisitsRow, EndedRow, PersonRow, ReleasedAtDeviceRow, ReleasedRow,
    VisitReleaseColumn, VisitRow,
};
use std::fmt;
use wardein_crypto::P256SigningKey;
use wardein_ddkg::DeviceName;
use wardein_domain::{
    Actor, AuditEntry, DeviceId, ErrorCode, Event, FieldName, OperatorName, Outcome, Principal, Reason, Role,
    ServiceScope, SourceAddress, TenantId, VisitWindow, WorkOrder,
};
use wardein_pki::ssh::SshKey;
use wardein_port::{Change, Table};

/// The name of a visit within its tenant.
pub type VisitId = [u8; 8];

/// A visit on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// Its tenant.
    pub tenant: TenantId,
    /// Its name there.
    pub id: VisitId,
    /// The technician's name.
    pub technician: OperatorName,
    /// The key that the technician comes with.
    pub ssh_key: SshKey,
    /// The devices.
    pub devices: Vec<DeviceId>,
    /// What it is for.
    pub work_order: WorkOrder,
    /// What it may do.
    pub scope: ServiceScope,
    /// When it may be.
    pub window: VisitWindow,
    /// Where the technician may come from; none for everywhere.
    pub sources: Vec<SourceAddress>,
    /// Whether the technician's token must ask for its PIN.
    pub needs_verification: bool,
    /// Who asked for it.
    pub by: Issuer,
    /// Unix seconds at which that was.
    pub made_at: u64,
    /// Who released it, and the Unix second.
    pub released: Option<(Releaser, u64)>,
    /// Who ended it, the Unix second, and why.
    pub ended: Option<(Issuer, u64, Reason)>,
    /// Where it is now.
    pub state: VisitState,
    /// What its devices told of the technician's sessions.
    pub protocols: Vec<SessionProtocol>,
    /// Those of its devices that let the technician in, and of which no protocol has come once it is over; none once it is closed.
    pub awaited: Vec<DeviceId>,
    /// That it was closed without protocols.
    pub closed: Option<VisitClosing>,
}

/// Who released a visit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Releaser {
    /// An operator.
    Operator(Issuer),
    /// A person at this device, whom the authority does not know.
    AtDevice(DeviceName),
}

impl fmt::Display for Releaser {
    /// As an actor of the audit log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator(issuer) => f.write_str(&issuer.name),
            Self::AtDevice(DeviceName { tenant, device }) => {
                write!(f, "{}", Actor::Device(tenant.clone(), device.clone()))
            }
        }
    }
}

/// Who closed a visit of which protocols were awaited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisitClosing {
    /// Who did.
    pub by: Issuer,
    /// Unix seconds at which that was.
    pub at: u64,
    /// Why.
    pub reason: Reason,
    /// The devices of which no protocol had come.
    pub devices: Vec<DeviceId>,
}

/// Where a visit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VisitState {
    /// It waits for its release.
    Requested,
    /// It is released, and its window has not begun.
    Released,
    /// It is released, and its window is open.
    Current,
    /// It was ended.
    Ended,
    /// Its window is over, or it was made before the authority was restored from a backup.
    Over,
}

impl Engine {
    /// The visits of a tenant; without one, of all that the caller may see. A technician sees its own.
    pub async fn list_visits(
        &self,
        caller: &Caller,
        tenant: Option<TenantId>,
        page: Page,
    ) -> Result<Paged<Visit>, Error> {
        let tenant = self.visible_tenant(caller, tenant)?;
        let prefix = tenant.as_ref().map_or_else(Vec::new, rows::tenant_prefix);
        self.page(Table::Visit, &prefix, &page, |key, value| {
            let (tenant, id) = rows::parse_visit_key(key)?;
            let row: VisitRow = rows::decode(Table::Visit, value)?;
            is_seen(&caller.principal, &row).then(|| self.visit(tenant, id, &row)).transpose()
        })
        .await
    }

    /// One visit.
    pub async fn get_visit(&self, caller: &Caller, tenant: TenantId, id: VisitId) -> Result<Visit, Error> {
        self.require_tenant(caller, &tenant)?;
        self.look(|tx| {
            let (_, row) = visible(tx, caller, &tenant, &id)?;
            Ok(self.visit(tenant.clone(), id, &row)?)
        })
        .await
    }

    /// Releases a visit: from then on its technician is let in during its window. Releasing what is released changes nothing.
    pub async fn release_visit(
        &self,
        caller: &Caller,
        tenant: TenantId,
        id: VisitId,
    ) -> Result<Visit, Error> {
        self.require_tenant(caller, &tenant)?;
        // Of use where the tenant has no SSH CA yet.
        let document =
            P256SigningKey::generate_pkcs8().map_err(|_| Error::internal("no entropy for keys"))?;
        self.transact_by(caller, |tx| {
            let (version, mut row) = visible(tx, caller, &tenant, &id)?;
            let asked = row.by.principal();
            let is_technician = caller.principal.name.as_str().eq_ignore_ascii_case(row.technician.as_str());
            if is_technician || caller.principal.is_same_person(&asked) {
                let message = format_args!(
                    "{} asked for it, for {}; another person releases it",
                    asked.name, row.technician
                );
                return Err(Error::new(ErrorCode::ReleaserNotIndependent, message).into());
            }
            match self.state(&row) {
                VisitState::Requested => {}
                VisitState::Released | VisitState::Current => {
                    // There is no commit that would check the caller.
                    self.operator_version(tx, &caller.principal)?;
                    return Ok(Decision::unchanged(self.visit(tenant.clone(), id, &row)?));
                }
                VisitState::Ended | VisitState::Over => return Err(closed(&id, &row).into()),
            }
            let by = PersonRow::from(&caller.principal);
            row.released = VisitReleaseColumn::By(ReleasedRow { by, at: self.time() });
            let mut change = Change::default();
            self.ensure_service_ca(tx, &tenant, &document, &mut change)?;
            change.update(Table::Visit, rows::visit_key(&tenant, &id), version, rows::encode(&row)?);
            for device in &row.devices {
                let name = DeviceName { tenant: tenant.clone(), device: device.clone() };
                let entry = self.entry(caller, Event::VisitReleased, target(&name), Outcome::Done);
                change.record(&of(entry, &tenant, &id, &row))?;
            }
            Ok(Decision::new(change, self.visit(tenant.clone(), id, &row)?))
        })
        .await
    }

    /// Ends a visit, also one that was not released. Ending what is ended changes nothing.
    pub async fn end_visit(
        &self,
        caller: &Caller,
        tenant: TenantId,
        id: VisitId,
        reason: Reason,
    ) -> Result<Visit, Error> {
        self.require_tenant(caller, &tenant)?;
        self.transact_by(caller, |tx| {
            let (version, mut row) = visible(tx, caller, &tenant, &id)?;
            match self.state(&row) {
                VisitState::Requested | VisitState::Released | VisitState::Current => {}
                VisitState::Ended => {
                    self.operator_version(tx, &caller.principal)?;
                    return Ok(Decision::unchanged(self.visit(tenant.clone(), id, &row)?));
                }
                VisitState::Over => return Err(closed(&id, &row).into()),
            }
            let by = PersonRow::from(&caller.principal);
            row.ended = Some(EndedRow { by, at: self.time(), reason: reason.clone() });
            let mut change = Change::default();
            change.update(Table::Visit, rows::visit_key(&tenant, &id), version, rows::encode(&row)?);
            for device in &row.devices {
                let name = DeviceName { tenant: tenant.clone(), device: device.clone() };
                end_open(tx, &name, &id, &mut change)?;
                let entry = self.entry(caller, Event::VisitEnded, target(&name), Outcome::Done);
                change.record(&of(entry, &tenant, &id, &row).with(FieldName::Reason, &reason))?;
            }
            Ok(Decision::new(change, self.visit(tenant.clone(), id, &row)?))
        })
        .await
    }

    /// Forgets visits that were over a while ago. The audit log keeps its entries.
    pub(crate) async fn forget_visits(&self) -> Result<(), Error> {
        let before = self.now().saturating_sub(KEPT);
        self.forget_rows(Table::Visit, |value| {
            let row: VisitRow = rows::decode(Table::Visit, value)?;
            Ok(row.window().until().get() < before)
        })
        .await?;
        self.forget_rows(Table::DeviceVisits, |value| {
            let row: DeviceVisitsRow = rows::decode(Table::DeviceVisits, value)?;
            Ok(row.open.iter().all(|open| open.window().until().get() < before))
        })
        .await
    }

    pub(super) fn state(&self, row: &VisitRow) -> VisitState {
        let now = self.time();
        match &row.released {
            _ if row.ended.is_some() => VisitState::Ended,
            // One that was made before the authority was restored may have been ended since the backup.
            _ if row.window().until() <= now || row.restored_at != self.authority.restored_at => {
                VisitState::Over
            }
            VisitReleaseColumn::Waiting => VisitState::Requested,
            _ if row.window().contains(now) => VisitState::Current,
            VisitReleaseColumn::By(_) | VisitReleaseColumn::AtDevice(_) => VisitState::Released,
        }
    }

    pub(super) fn visit(&self, tenant: TenantId, id: VisitId, row: &VisitRow) -> Result<Visit, Error> {
        let ssh_key = SshKey::from_blob(&row.ssh_key).map_err(|error| rows::damaged(Table::Visit, error))?;
        let released = match &row.released {
            VisitReleaseColumn::Waiting => None,
            VisitReleaseColumn::By(ReleasedRow { by, at }) => Some((Releaser::Operator(who(by)), at.get())),
            VisitReleaseColumn::AtDevice(ReleasedAtDeviceRow { device, at }) => {
                let name = DeviceName { tenant: tenant.clone(), device: device.clone() };
                Some((Releaser::AtDevice(name), at.get()))
            }
        };
        Ok(Visit {
            tenant,
            id,
            technician: row.technician.clone(),
            ssh_key,
            devices: row.devices.clone(),
            work_order: row.work_order.clone(),
            scope: row.scope.clone(),
            window: row.window(),
            sources: row.sources.clone(),
            needs_verification: row.needs_verification,
            by: who(&row.by),
            made_at: row.made.get(),
            released,
            ended: row.ended.as_ref().map(|end| (who(&end.by), end.at.get(), end.reason.clone())),
            state: self.state(row),
            protocols: row.protocols.iter().map(protocols::protocol).collect(),
            awaited: protocols::awaited(row, self.state(row)),
            closed: row.closed.as_ref().map(closing),
        })
    }
}

/// Has a device hear that a visit of it was ended, until its window is over.
fn end_open(tx: &Tx<'_>, name: &DeviceName, id: &VisitId, change: &mut Change) -> Result<(), Stop> {
    let key = rows::device_key(name);
    let found: Option<(u64, DeviceVisitsRow)> = tx.row(Table::DeviceVisits, &key)?;
    let Some((version, mut row)) = found else { return Ok(()) };
    for open in row.open.iter_mut().filter(|open| open.id == *id) {
        open.is_ended = true;
    }
    change.update(Table::DeviceVisits, key, version, rows::encode(&row)?);
    Ok(())
}

/// The row of a visit that is the caller's to see, with its version.
pub(super) fn visible(
    tx: &Tx<'_>,
    caller: &Caller,
    tenant: &TenantId,
    id: &VisitId,
) -> Result<(u64, VisitRow), Stop> {
    let found: Option<(u64, VisitRow)> = tx.row(Table::Visit, &rows::visit_key(tenant, id))?;
    let seen = found.filter(|(_, row)| is_seen(&caller.principal, row));
    Ok(seen.ok_or_else(|| {
        let message = format_args!("there is no visit {} in tenant {tenant}", hex(id));
        Error::new(ErrorCode::VisitUnknown, message).about("wardein.v1.Visit", hex(id))
    })?)
}

/// A technician sees the visits of its own name.
fn is_seen(caller: &Principal, row: &VisitRow) -> bool {
    caller.role != Role::Technician || caller.name == row.technician
}

pub(super) fn closed(id: &VisitId, row: &VisitRow) -> Error {
    let how = if row.ended.is_some() { "was ended" } else { "is over" };
    Error::new(ErrorCode::VisitClosed, format_args!("visit {} {how}", hex(id)))
}

fn closing(row: &ClosedRow) -> VisitClosing {
    let ClosedRow { end: EndedRow { by, at, reason }, devices } = row;
    VisitClosing { by: who(by), at: at.get(), reason: reason.clone(), devices: devices.clone() }
}

pub(super) fn who(person: &PersonRow) -> Issuer {
    let principal = person.principal();
    Issuer { serial: principal.serial, name: principal.to_string() }
}

/// What every entry about a visit says.
pub(super) fn of(entry: AuditEntry, tenant: &TenantId, id: &VisitId, row: &VisitRow) -> AuditEntry {
    entry
        .in_tenant(tenant)
        .with(FieldName::Visit, hex(id))
        .with(FieldName::Technician, &row.technician)
        .with(FieldName::WorkOrder, &row.work_order)
}

/// Seconds for which a visit that is over is kept: 400 days.
const KEPT: u64 = 400 * 86_400;
