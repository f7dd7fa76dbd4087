//! The transfer of a device to another tenant, as the people of both decide it: one offers, the other accepts. The device carries
//! it out (`derive/actions/transfer.rs`), and is the other's with its first proof there (`fleet/arrival.rs`).
//!
//! Until then its record in the giving tenant goes on answering it, so that a device whose software knows of no transfer stays in
//! service.

use crate::kernel::record::{Recording, device_text, target};
use crate::kernel::{Caller, Decision, Engine, Error, Page, Paged, SCANNED, Tx};
use crate::rows::{
    self, AcceptedRow, Link, TransferKey, TransferRow, awaited_key, incoming_key, transfer_key,
};
use wardein_ddkg::DeviceName;
use wardein_domain::{
    AuditEntry, DeviceId, DeviceState, ErrorCode, Event, FieldName, Outcome, ProfileName, Reason, Seconds,
    Target, TenantId, TransferState,
};
use wardein_port::{Change, Table};

/// A transfer of a device to another tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// The device, as the giving tenant has it.
    pub from: DeviceName,
    /// The receiving tenant.
    pub to: TenantId,
    /// How far it is.
    pub state: TransferState,
    /// Why it is offered.
    pub reason: Reason,
    /// Unix seconds.
    pub offered_at: u64,
    /// Unix seconds until which it may be accepted.
    pub expires_at: u64,
    /// What the receiving tenant chose, once it has accepted.
    pub accepted: Option<Accepted>,
}

/// What the receiving tenant chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The device's id there.
    pub device: DeviceId,
    /// The profile that it is to follow there.
    pub profile: ProfileName,
    /// Unix seconds.
    pub at: u64,
}

/// An offer to be made.
#[derive(Debug, Clone)]
pub struct TransferOrder {
    /// The device.
    pub device: DeviceName,
    /// The receiving tenant.
    pub to: TenantId,
    /// Seconds for which the offer may be accepted.
    pub lifetime: u64,
    /// Why.
    pub reason: Reason,
}

/// An offer to be accepted.
#[derive(Debug, Clone)]
pub struct AcceptOrder {
    /// The receiving tenant.
    pub tenant: TenantId,
    /// The device, as the giving tenant has it.
    pub from: DeviceName,
    /// The device's id in the receiving tenant; none for the one that it has.
    pub device: Option<DeviceId>,
    /// The profile that it is to follow.
    pub profile: ProfileName,
}

impl Engine {
    /// Offers a device to another tenant. The same offer again, while it is open, changes nothing. The tenant's own administrator
    /// does not learn by it which other tenants there are: an offer to one that there is not yet waits for it.
    pub async fn offer_transfer(&self, caller: &Caller, order: TransferOrder) -> Result<Transfer, Error> {
        let TransferOrder { device: from, to, lifetime, reason } = &order;
        self.require_tenant(caller, &from.tenant)?;
        if *to == from.tenant {
            return Err(Error::wrong("to_tenant", "is the tenant that the device is in"));
        }
        if caller.principal.tenant.is_none() && !self.memory.has_tenant(to) {
            return Err(Error::no_tenant(to));
        }
        if !(MIN_LIFETIME..=MAX_LIFETIME).contains(lifetime) {
            let message = format_args!("is {lifetime}; it takes {MIN_LIFETIME} to {MAX_LIFETIME} seconds");
            return Err(Error::wrong("lifetime", message));
        }
        let decide = |tx: &mut Tx<'_>| {
            let (version, row) = self.device_row(tx, from)?;
            if row.state != DeviceState::Active {
                let message = format_args!("a device that is {} cannot be transferred", row.state);
                return Err(Error::new(ErrorCode::TransitionNotAllowed, message).into());
            }
            if tx.get(Table::DeviceHot, &rows::device_key(from))?.is_none() {
                let message = "the device derives no keys that could change; retire it, and enroll it in the other tenant";
                return Err(Error::new(ErrorCode::TransferNeedsDerivedKeys, message).into());
            }
            let key = transfer_key(from);
            let present: Option<(u64, TransferRow)> = tx.row(Table::Transfer, &key)?;
            let mut change = Change::default();
            if let Some((_, present)) = &present {
                if present.is_open(self.time()) {
                    if present.to == *to {
                        return Ok(Decision::unchanged(transfer(from.clone(), present.clone())));
                    }
                    let message =
                        format_args!("a transfer of device {} to another tenant is open", from.device);
                    return Err(Error::new(ErrorCode::TransferOpen, message).into());
                }
                self.forget_incoming(tx, &mut change, from, present)?;
            }
            let row = TransferRow {
                state: TransferState::Offered,
                to: to.clone(),
                reason: reason.clone(),
                offered_at: self.time(),
                expires: self.time().plus(Seconds::new(*lifetime)),
                accepted: None,
                last_generation: 0,
            };
            change.check(Table::Device, rows::device_key(from), version);
            change.put(
                Table::Transfer,
                key.clone(),
                present.map(|(version, _)| version),
                rows::encode(&row)?,
            );
            self.lead(tx, &mut change, incoming_key(to, from), &key)?;
            let entry = |of: Target, tenant| {
                let entry = self.entry(caller, Event::TransferOffered, of, Outcome::Done).in_tenant(tenant);
                entry
                    .with(FieldName::From, device_text(&from.tenant, &from.device))
                    .with(FieldName::To, to.as_str())
                    .with(FieldName::Expires, row.expires.get())
                    .with(FieldName::Reason, reason)
            };
            change.record(&entry(target(from), &from.tenant))?;
            if self.memory.has_tenant(to) {
                change.record(&entry(Target::Tenant(to.clone()), to))?;
            }
            Ok(Decision::new(change, transfer(from.clone(), row)))
        };
        self.transact_on_by(caller, from, |_| Ok(()), decide).await
    }

    /// Accepts a device that another tenant offers, and chooses what it is to be here. It takes no place of a station's quota: a
    /// station's quota bounds what that station brings in, and this is an administrator's own word. The same again changes nothing.
    pub async fn accept_transfer(&self, caller: &Caller, order: AcceptOrder) -> Result<Transfer, Error> {
        let AcceptOrder { tenant, from, device, profile } = &order;
        self.require_tenant(caller, tenant)?;
        self.rules_of(tenant, profile)?;
        let device = device.clone().unwrap_or_else(|| from.device.clone());
        let name = DeviceName { tenant: tenant.clone(), device };
        self.transact_by(caller, |tx| {
            let key = transfer_key(from);
            let found: Option<(u64, TransferRow)> = tx.row(Table::Transfer, &key)?;
            let (version, mut row) =
                found.filter(|(_, row)| row.to == *tenant).ok_or_else(|| unknown(from))?;
            match row.state {
                TransferState::Offered if row.has_expired(self.time()) => {
                    let message = "the time in which the offer could be accepted is over; have it made again";
                    return Err(Error::new(ErrorCode::TransferExpired, message).into());
                }
                TransferState::Offered => {}
                TransferState::Accepted | TransferState::Agreed => {
                    let chosen = row.accepted.as_ref().map(|row| (&row.device, &row.profile));
                    if chosen == Some((&name.device, profile)) {
                        return Ok(Decision::unchanged(transfer(from.clone(), row)));
                    }
                    let message =
                        "it was accepted with another id or profile; withdraw it, and have it offered again";
                    return Err(Error::new(ErrorCode::TransferOpen, message).into());
                }
                TransferState::Complete | TransferState::Withdrawn => return Err(unknown(from).into()),
            }
            let mut change = Change::default();
            self.keep_id(tx, &mut change, from, &name, profile)?;
            row.state = TransferState::Accepted;
            row.accepted = Some(AcceptedRow {
                device: name.device.clone(),
                profile: profile.clone(),
                at: self.time(),
                by: caller.principal.to_string(),
            });
            change.update(Table::Transfer, key.clone(), version, rows::encode(&row)?);
            self.lead(tx, &mut change, awaited_key(&name), &key)?;
            let entry = |of: &DeviceName| {
                let entry = self.entry(caller, Event::TransferAccepted, target(of), Outcome::Done);
                both(entry.in_tenant(&of.tenant), from, &name)
            };
            change.record(&entry(from))?;
            change.record(&entry(&name).with(FieldName::Profile, profile))?;
            Ok(Decision::new(change, transfer(from.clone(), row)))
        })
        .await
    }

    /// Calls a transfer off: the giving tenant withdraws it, or the receiving one declines. Not once the device has agreed on keys
    /// there: it may be using them by now. Then it ends with the device's next contact, or, where either tenant has revoked or
    /// retired the device, can be called off again.
    pub async fn withdraw_transfer(
        &self,
        caller: &Caller,
        from: DeviceName,
        reason: Reason,
    ) -> Result<Transfer, Error> {
        let decide = |tx: &mut Tx<'_>| {
            let found: Option<(u64, TransferRow)> = tx.row(Table::Transfer, &transfer_key(&from))?;
            let sees = |tenant: &TenantId| caller.principal.may_see(tenant);
            let found = found.filter(|(_, row)| sees(&from.tenant) || sees(&row.to));
            let (version, row) = found.ok_or_else(|| unknown(&from))?;
            match row.state {
                TransferState::Offered | TransferState::Accepted => {}
                TransferState::Agreed => {
                    let mut has_ended = self.device_row(tx, &from)?.1.state.is_final();
                    if let Some(to) = row.arriving() {
                        has_ended |= self.device_row(tx, &to)?.1.state.is_final();
                    }
                    if !has_ended {
                        let message =
                            "the device has agreed on keys with the receiving tenant, and may be using them";
                        return Err(Error::new(ErrorCode::TransferAgreed, message).into());
                    }
                }
                TransferState::Withdrawn => return Ok(Decision::unchanged(transfer(from.clone(), row))),
                TransferState::Complete => return Err(unknown(&from).into()),
            }
            let mut change = Change::default();
            let row = self.end_transfer(tx, &mut change, &from, (version, row))?;
            let to = row.arriving();
            let entry = |of: Target, tenant| {
                let entry = self.entry(caller, Event::TransferWithdrawn, of, Outcome::Done).in_tenant(tenant);
                entry
                    .with(FieldName::From, device_text(&from.tenant, &from.device))
                    .with(FieldName::To, row.to.as_str())
                    .with(FieldName::Reason, &reason)
            };
            change.record(&entry(target(&from), &from.tenant))?;
            // One that has not accepted reads of the offer and its end in its log already: nobody fills the log of another.
            let concerns = row.accepted.is_some() || caller.principal.tenant.as_ref() == Some(&row.to);
            if concerns && self.memory.has_tenant(&row.to) {
                let of = to.as_ref().map_or_else(|| Target::Tenant(row.to.clone()), target);
                change.record(&entry(of, &row.to))?;
            }
            Ok(Decision::new(change, transfer(from.clone(), row)))
        };
        self.transact_on_by(caller, &from, |_| Ok(()), decide).await
    }

    /// The open transfers from and to a tenant. A page looks at a bounded number of them: it may hold fewer than requested and
    /// still name a next one.
    pub async fn list_transfers(
        &self,
        caller: &Caller,
        tenant: TenantId,
        page: Page,
    ) -> Result<Paged<Transfer>, Error> {
        self.require_tenant(caller, &tenant)?;
        let prefix = rows::tenant_prefix(&tenant);
        let mut pager = self.pager(Table::Transfer, &prefix, &page, SCANNED)?;
        while let Some((key, row)) = pager.next().await? {
            let of = match rows::parse_transfer_key(&key)? {
                TransferKey::Of(_) => key.clone(),
                TransferKey::To(_) => Link::decode(Table::Transfer, &row.value)?.to_vec(),
                TransferKey::Awaited(_) => continue,
            };
            let TransferKey::Of(from) = rows::parse_transfer_key(&of)? else {
                return Err(rows::damaged(Table::Transfer, "leads to no transfer"));
            };
            let row: Option<(u64, TransferRow)> = self.look(|tx| tx.row(Table::Transfer, &of)).await?;
            // It may have been offered to another tenant since what leads to it was read.
            let is_of = |row: &TransferRow| from.tenant == tenant || row.to == tenant;
            let open = row.map(|(_, row)| row).filter(|row| row.is_open(self.time()) && is_of(row));
            pager.keep(open.map(|row| transfer(from, row)));
        }
        Ok(pager.done())
    }
}

/// An entry with both names of the device.
pub(crate) fn both(entry: AuditEntry, from: &DeviceName, to: &DeviceName) -> AuditEntry {
    entry
        .with(FieldName::From, device_text(&from.tenant, &from.device))
        .with(FieldName::To, device_text(&to.tenant, &to.device))
}

pub(crate) fn unknown(from: &DeviceName) -> Error {
    let message = format_args!("no transfer of device {} of tenant {} is open", from.device, from.tenant);
    Error::new(ErrorCode::TransferUnknown, message)
}

fn transfer(from: DeviceName, row: TransferRow) -> Transfer {
    let TransferRow { state, to, reason, offered_at, expires, accepted, last_generation: _ } = row;
    let accepted =
        accepted.map(|AcceptedRow { device, profile, at, by: _ }| Accepted { device, profile, at: at.get() });
    Transfer { from, to, state, reason, offered_at: offered_at.get(), expires_at: expires.get(), accepted }
}

/// Seconds for which an offer may be accepted: a minute, and a year.
const MIN_LIFETIME: u64 = 60;
const MAX_LIFETIME: u64 = 366 * 24 * 60 * 60;
