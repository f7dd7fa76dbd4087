//! Inviting a technician.

use super::policy::{scopes, service_policy};
use super::visits::{Visit, VisitId, of};
use crate::approve::Ask;
use crate::kernel::record::{Recording, hex, listed, target};
use crate::kernel::{Caller, Decision, Engine, Error, Stop, Tx};
use crate::rows::{self, DeviceVisitsRow, Link, OpenVisitRow, OperatorRow, PersonRow, VisitRow, VisitTerms};
use wardein_ddkg::DeviceName;
use wardein_ddkg::message::PendingVisit;
use wardein_domain::{
    DeviceId, ErrorCode, Event, FieldName, GuardedDeed, OperatorName, Outcome, Role, Serial, ServiceScope,
    SourceAddress, TenantId, UnixSeconds, VisitWindow, VisitWindowError, WorkOrder,
};
use wardein_pki::ssh::SshKey;
use wardein_port::{Change, Table};

/// A visit to be made.
#[derive(Debug, Clone)]
pub struct VisitOrder {
    /// The tenant of technician and devices.
    pub tenant: TenantId,
    /// The operator's name, in role `technician`.
    pub technician: OperatorName,
    /// The key that the technician comes with, which stays on the technician's machine or token.
    pub ssh_key: SshKey,
    /// The devices, 1 to [`VisitOrder::MAX_DEVICES`], each once.
    pub devices: Vec<DeviceId>,
    /// What it is for.
    pub work_order: WorkOrder,
    /// What it may do, of the tenant's list.
    pub scope: ServiceScope,
    /// Unix second from which it may be; none for now.
    pub from: Option<u64>,
    /// Unix second at which it is over.
    pub until: u64,
    /// Where the technician may come from, at most [`VisitOrder::MAX_SOURCES`]; none for everywhere.
    pub sources: Vec<SourceAddress>,
    /// Whether the technician's token must ask for its PIN.
    pub needs_verification: bool,
}

impl VisitOrder {
    /// The most devices of one visit.
    pub const MAX_DEVICES: usize = PendingVisit::MAX_DEVICES as usize;

    /// The most networks that a technician may come from.
    pub const MAX_SOURCES: usize = 8;

    /// What is wrong with it by itself.
    fn check(&self) -> Result<(), Error> {
        let count = self.devices.len();
        if !(1..=Self::MAX_DEVICES).contains(&count) {
            let message = format_args!("are {count}; a visit names 1 to {} devices", Self::MAX_DEVICES);
            return Err(Error::wrong("device_ids", message));
        }
        let twice = |(at, device): (usize, &DeviceId)| self.devices[..at].contains(device);
        if self.devices.iter().enumerate().any(twice) {
            return Err(Error::wrong("device_ids", "has a device twice"));
        }
        if self.sources.len() > Self::MAX_SOURCES {
            let message = format_args!("are {}; it takes at most {}", self.sources.len(), Self::MAX_SOURCES);
            return Err(Error::wrong("source_addresses", message));
        }
        if self.needs_verification && !self.ssh_key.algorithm().is_in_token() {
            let message = "takes a key in a token (`ssh-keygen -t ed25519-sk`): no other asks for a PIN";
            return Err(Error::wrong("verification_required", message));
        }
        Ok(())
    }

    /// As another person is shown it.
    fn ask(&self) -> Ask {
        Ask::new(GuardedDeed::InviteTechnician, Some(&self.tenant))
            .with("technician", &self.technician)
            .with("ssh_key", self.ssh_key.fingerprint())
            .with_each("device_id", &self.devices)
            .with("work_order", &self.work_order)
            .with("scope", &self.scope)
            .with("starts_at", self.from.map_or_else(|| "now".to_owned(), |from| from.to_string()))
            .with("ends_at", self.until)
            .with_each("source_address", &self.sources)
            .with("verification_required", self.needs_verification)
    }
}

impl Engine {
    /// Invites a technician. Nobody is let in before another person has released the visit.
    pub async fn invite_technician(&self, caller: &Caller, order: VisitOrder) -> Result<Visit, Error> {
        self.require_tenant(caller, &order.tenant)?;
        order.check()?;
        let ask = order.ask();
        self.transact_by(caller, |tx| {
            let decision = self.decide_visit(tx, caller, &order)?;
            self.approved(caller, tx, &ask, decision)
        })
        .await
    }

    fn decide_visit(
        &self,
        tx: &mut Tx<'_>,
        caller: &Caller,
        order: &VisitOrder,
    ) -> Result<Decision<Visit>, Stop> {
        let (tenant, now, mut change) = (&order.tenant, self.time(), Change::default());
        let (version, policy) = service_policy(tx, tenant)?;
        if let Some(version) = version {
            change.check(Table::ServicePolicy, rows::tenant_prefix(tenant), version);
        }
        if !policy.has(&order.scope) {
            let message = format_args!("there is no scope {}; there are {}", order.scope, scopes(&policy));
            return Err(Error::new(ErrorCode::ServiceScopeUnknown, message).into());
        }
        let from = order.from.map_or(now, UnixSeconds::new);
        let window = VisitWindow::new(from, UnixSeconds::new(order.until), now, &policy)
            .map_err(|error| Error::new(code(&error), format_args!("the window {error}")))?;
        self.require_technician(tx, order, &mut change)?;
        let id: VisitId = tx.draw().public()?;
        let terms = VisitTerms {
            technician: order.technician.clone(),
            ssh_key: order.ssh_key.blob().to_vec(),
            devices: order.devices.clone(),
            work_order: order.work_order.clone(),
            scope: order.scope.clone(),
            window,
            sources: order.sources.clone(),
            needs_verification: order.needs_verification,
        };
        let by = PersonRow::from(&caller.principal);
        let row = VisitRow::new(terms, by, now, self.authority.restored_at);
        for device in &order.devices {
            let name = DeviceName { tenant: tenant.clone(), device: device.clone() };
            self.add_open(tx, &name, OpenVisitRow::of(id, &row), &mut change)?;
            let entry = self.entry(caller, Event::TechnicianInvited, target(&name), Outcome::Done);
            let entry = of(entry, tenant, &id, &row)
                .with(FieldName::SshKey, order.ssh_key.fingerprint())
                .with(FieldName::ServiceScope, &order.scope)
                .with(FieldName::Starts, window.from().get())
                .with(FieldName::Ends, window.until().get());
            change.record(&entry)?;
        }
        change.insert(Table::Visit, rows::visit_key(tenant, &id), rows::encode(&row)?);
        let visit = self.visit(tenant.clone(), id, &row)?;
        Ok(Decision::new(change, visit))
    }

    /// Refuses a name that no operator of role `technician` has now.
    fn require_technician(&self, tx: &Tx<'_>, order: &VisitOrder, change: &mut Change) -> Result<(), Stop> {
        let key = rows::operator_name_key(Role::Technician, Some(&order.tenant), &order.technician);
        let unknown = || {
            let message = format_args!(
                "there is no technician {} in tenant {}; issue the identity first (role technician)",
                order.technician, order.tenant
            );
            Error::new(ErrorCode::OperatorUnknown, message).about("wardein.v1.Operator", &order.technician)
        };
        let link = tx.get(Table::OperatorName, &key)?.ok_or_else(unknown)?;
        let serial = Serial::from_bytes(Link::decode(Table::OperatorName, &link.value)?)
            .map_err(|_| rows::damaged(Table::OperatorName, "leads to no serial"))?;
        let row: Option<(u64, OperatorRow)> = tx.row(Table::Operator, serial.as_bytes())?;
        let (version, _) = row.filter(|(_, row)| row.is_valid(self.time())).ok_or_else(unknown)?;
        change.check(Table::Operator, serial.as_bytes().to_vec(), version);
        Ok(())
    }

    /// Puts a visit among those of its device, and forgets there what is over.
    fn add_open(
        &self,
        tx: &Tx<'_>,
        name: &DeviceName,
        visit: OpenVisitRow,
        change: &mut Change,
    ) -> Result<(), Stop> {
        let (_, device) = self.device_row(tx, name)?;
        if device.state.is_final() {
            let message = format_args!("device {} is {}: nobody visits it", name.device, device.state);
            return Err(Error::wrong("device_ids", message).into());
        }
        let key = rows::device_key(name);
        let found: Option<(u64, DeviceVisitsRow)> = tx.row(Table::DeviceVisits, &key)?;
        let (version, row) = found.unzip();
        let mut row = row.unwrap_or_default();
        row.open.retain(|open| open.window().until() > self.time());
        let overlaps = |open: &&OpenVisitRow| {
            !open.is_ended && open.technician == visit.technician && open.window().overlaps(visit.window())
        };
        if let Some(other) = row.open.iter().find(overlaps) {
            let message = format_args!(
                "{} is invited to {} already, by visit {} until Unix second {}",
                visit.technician,
                name.device,
                hex(&other.id),
                other.window().until().get()
            );
            return Err(Error::new(ErrorCode::VisitOverlaps, message).into());
        }
        let waiting = row.open.iter().filter(|open| !open.is_ended).count();
        if waiting >= MAX_OPEN || row.open.len() >= MAX_KEPT {
            let ids: Vec<_> = row.open.iter().map(|open| hex(&open.id)).collect();
            let message = format_args!(
                "device {} has {waiting} visits that are not over, and {} that were ended in their window; at most {MAX_OPEN} may be, and \
                 {MAX_KEPT} with those: {}",
                name.device,
                row.open.len().saturating_sub(waiting),
                listed(&ids)
            );
            return Err(Error::new(ErrorCode::VisitQuota, message).into());
        }
        row.open.push(visit);
        change.put(Table::DeviceVisits, key, version, rows::encode(&row)?);
        Ok(())
    }
}

fn code(error: &VisitWindowError) -> ErrorCode {
    match error {
        VisitWindowError::Past => ErrorCode::VisitWindowPast,
        VisitWindowError::Short | VisitWindowError::Long(..) | VisitWindowError::Far => {
            ErrorCode::VisitWindowBounds
        }
    }
}

/// The most visits of a device that are not over.
const MAX_OPEN: usize = 16;

/// The most with those that were ended, which a device must hear of until their window is over.
const MAX_KEPT: usize = 128;
