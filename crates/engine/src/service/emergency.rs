//! Codes for emergencies (DDKG-1 §7.2): each device has one, which is good once. Showing it and using it are on record, and a use waits for its
//! review until somebody closes it.

use super::protocols::{self, SessionProtocol};
use super::visits::who;
use crate::access::operators::Issuer;
use crate::approve::Ask;
use crate::derive::actions::{Done, Performing};
use crate::kernel::record::{self, Recording, target};
use crate::kernel::{Caller, Decision, Engine, Error, Held, Kept, Page, Paged, Stop, Tx};
use crate::rows::{self, Emergency, EmergencyUseRow, EmergencyUsesRow, EndedRow, PersonRow, ProtocolColumn};
use wardein_crypto::SecretBytes;
use wardein_ddkg::DeviceName;
use wardein_ddkg::message::{EmergencyReport, ServiceKey};
use wardein_domain::{
    Actor, Call, ErrorCode, Event, FieldName, Fields, GuardedDeed, Outcome, Reason, TenantId, UnixSeconds,
};
use wardein_port::{Change, Table};

/// The code of a device for emergencies.
pub struct EmergencyCode {
    /// Its text: sixteen characters in four groups.
    pub code: SecretBytes,
    /// The name of the key that it comes from.
    pub key: String,
    /// Unix seconds at which the device said that it has it.
    pub stored_at: u64,
}

/// The uses of a device's codes for emergencies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmergencyUses {
    /// The device.
    pub device: DeviceName,
    /// The latest last, at most 16.
    pub uses: Vec<EmergencyUse>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmergencyUse {
    /// The name of the key that the code comes from.
    pub key: String,
    /// Unix seconds at which the device said so: at its first contact afterward.
    pub reported_at: u64,
    /// Who closed its review, the Unix second, and why.
    pub closed: Option<(Issuer, u64, Reason)>,
    /// What the device told of the session.
    pub protocol: Option<SessionProtocol>,
}

impl Engine {
    /// Takes in what a device says of its codes, and tells it whether it is to make another: once somebody was shown the one it has.
    pub(crate) fn take_emergency_report(
        &self,
        tx: &Tx<'_>,
        report: &EmergencyReport,
        performing: Performing<'_>,
    ) -> Result<Done, Stop> {
        let Performing { name, now, now_ms, call, record, mut emergency, change, .. } = performing;
        let mut uses = self.emergency_uses(tx, name)?;
        for used in &report.used {
            uses.note(name, *used, now_ms, call, change)?;
        }
        uses.put(change)?;
        let key = report.current.name(name.clone()).to_string();
        let held = emergency.get().filter(|held| held.key == report.current);
        let (event, is_shown) = match held {
            Some(held) => (Event::EmergencyCodeKept, held.is_shown),
            None => {
                let code = record.emergency_code(report.current).map_err(|refusal| {
                    Error::wrong("body", format_args!("names no key of the device: {refusal}"))
                })?;
                let stored = UnixSeconds::new(now);
                emergency.set(Emergency { key: report.current, code, stored, is_shown: false });
                (Event::EmergencyCodeStored, false)
            }
        };
        let fields = Fields::default().with(FieldName::Key, key);
        Ok(Done::new(event, fields, vec![1, is_shown.into()]))
    }

    /// The uses of a device's codes that are listed, to be added to.
    pub(super) fn emergency_uses(&self, tx: &Tx<'_>, name: &DeviceName) -> Result<Uses, Stop> {
        let key = rows::device_key(name);
        let found: Option<(u64, EmergencyUsesRow)> = tx.row(Table::EmergencyUses, &key)?;
        let (version, row) = found.unzip();
        Ok(Uses { key, version, row: row.unwrap_or_default(), is_changed: false })
    }

    /// The code of a device for emergencies. The device replaces it at its next contact.
    pub async fn show_emergency_code(
        &self,
        caller: &Caller,
        name: &DeviceName,
        reason: Reason,
    ) -> Result<EmergencyCode, Error> {
        self.require_tenant(caller, &name.tenant)?;
        let ask = Ask::new(GuardedDeed::ShowEmergencyCode, Some(&name.tenant))
            .with("device_id", &name.device)
            .with("reason", &reason);
        let judge = |tx: &mut Tx<'_>| self.decide_show(tx, caller, name, &reason).map(|_| ());
        let decide = |tx: &mut Tx<'_>| {
            let decision = self.decide_show(tx, caller, name, &reason)?;
            self.approved(caller, tx, &ask, decision)
        };
        self.transact_on_by(caller, name, judge, decide).await
    }

    fn decide_show(
        &self,
        tx: &mut Tx<'_>,
        caller: &Caller,
        name: &DeviceName,
        reason: &Reason,
    ) -> Result<Decision<EmergencyCode>, Stop> {
        let (device_version, _) = self.device_row(tx, name)?;
        let missing = || {
            let message = format_args!("device {} has said no code for emergencies", name.device);
            Error::new(ErrorCode::EmergencyCodeMissing, message)
        };
        let Held { cold, version, mut keys } = self.open_keys(tx, name)?.ok_or_else(missing)?;
        keys.show_emergency();
        let held = keys.emergency().ok_or_else(missing)?;
        let key = held.key.name(name.clone()).to_string();
        let shown =
            EmergencyCode { code: held.code.to_text(), key: key.clone(), stored_at: held.stored.get() };
        let mut change = Change::default();
        change.check(Table::Device, rows::device_key(name), device_version);
        let cold = self.put_keys(tx, &mut change, name, (cold, version), &mut keys)?;
        let entry = self.entry(caller, Event::EmergencyCodeShown, target(name), Outcome::Done);
        let entry = entry.in_tenant(&name.tenant).with(FieldName::Key, key).with(FieldName::Reason, reason);
        change.record(&entry)?;
        Ok(Decision { keys: Some(Kept { keys, cold }), ..Decision::new(change, shown) })
    }

    /// The devices of a tenant whose codes for emergencies were used; without one, of all that the caller may see.
    pub async fn list_emergency_uses(
        &self,
        caller: &Caller,
        tenant: Option<TenantId>,
        page: Page,
    ) -> Result<Paged<EmergencyUses>, Error> {
        let tenant = self.visible_tenant(caller, tenant)?;
        let prefix = tenant.as_ref().map_or_else(Vec::new, rows::tenant_prefix);
        self.page(Table::EmergencyUses, &prefix, &page, |key, value| {
            let device = rows::parse_device_key(key)?;
            let row: EmergencyUsesRow = rows::decode(Table::EmergencyUses, value)?;
            Ok(Some(uses(device, &row)))
        })
        .await
    }

    /// Closes the review of all uses of a device's codes that are open.
    pub async fn close_emergency_review(
        &self,
        caller: &Caller,
        name: &DeviceName,
        reason: Reason,
    ) -> Result<EmergencyUses, Error> {
        self.require_tenant(caller, &name.tenant)?;
        self.transact_by(caller, |tx| {
            let key = rows::device_key(name);
            let found: Option<(u64, EmergencyUsesRow)> = tx.row(Table::EmergencyUses, &key)?;
            let is_open = |(_, row): &(u64, EmergencyUsesRow)| row.uses.iter().any(|of| of.closed.is_none());
            let (version, mut row) = found.filter(is_open).ok_or_else(|| {
                let message = format_args!("no use of a code of device {} waits for its review", name.device);
                Error::new(ErrorCode::EmergencyReviewMissing, message)
            })?;
            let mut change = Change::default();
            for open in row.uses.iter_mut().filter(|of| of.closed.is_none()) {
                let by = PersonRow::from(&caller.principal);
                open.closed = Some(EndedRow { by, at: self.time(), reason: reason.clone() });
                let entry = self.entry(caller, Event::EmergencyReviewClosed, target(name), Outcome::Done);
                let entry = entry
                    .in_tenant(&name.tenant)
                    .with(FieldName::Key, open.key().name(name.clone()).to_string())
                    .with(FieldName::Reason, &reason);
                change.record(&entry)?;
            }
            change.update(Table::EmergencyUses, key, version, rows::encode(&row)?);
            Ok(Decision::new(change, uses(name.clone(), &row)))
        })
        .await
    }

    /// Forgets uses whose reviews were all closed a while ago. The audit log keeps its entries.
    pub(crate) async fn forget_emergency_uses(&self) -> Result<(), Error> {
        let before = self.now().saturating_sub(KEPT);
        self.forget_rows(Table::EmergencyUses, |value| {
            let row: EmergencyUsesRow = rows::decode(Table::EmergencyUses, value)?;
            Ok(row.uses.iter().all(|of| of.closed.as_ref().is_some_and(|closed| closed.at.get() < before)))
        })
        .await
    }
}

/// The uses of one device's codes in a decision.
pub(super) struct Uses {
    key: Vec<u8>,
    version: Option<u64>,
    row: EmergencyUsesRow,
    is_changed: bool,
}

impl Uses {
    /// Puts a use on record, unless it is.
    pub(super) fn note(
        &mut self,
        name: &DeviceName,
        used: ServiceKey,
        now_ms: u64,
        call: &Call,
        change: &mut Change,
    ) -> Result<(), Error> {
        let uses = &mut self.row.uses;
        if uses.iter().any(|known| known.key() == used) {
            return Ok(());
        }
        self.is_changed = true;
        // Those that were looked into make room; beyond that the audit log alone has them all.
        while uses.len() >= MAX_USES {
            let closed = uses.iter().position(|known| known.closed.is_some()).unwrap_or_default();
            uses.remove(closed);
        }
        let ServiceKey { generation, epoch, number } = used;
        let reported = UnixSeconds::new(now_ms / 1000);
        uses.push(EmergencyUseRow { generation, epoch, number, reported, closed: None, protocol: None });
        let actor = Actor::Device(name.tenant.clone(), name.device.clone());
        let entry = record::entry(now_ms, actor, Event::EmergencyCodeUsed, target(name), Outcome::Done, call);
        change.record(&entry.with(FieldName::Key, used.name(name.clone()).to_string()))
    }

    /// Takes what the device told of the session of a use that is on record; whether that is news.
    pub(super) fn tell(&mut self, used: ServiceKey, told: ProtocolColumn) -> Result<bool, Error> {
        let found = self.row.uses.iter_mut().find(|known| known.key() == used);
        let row = found.ok_or_else(|| {
            let message = "the device has not said that this code for emergencies was used";
            Error::new(ErrorCode::EmergencyUseUnknown, message)
        })?;
        let is_news = protocols::is_news(row.protocol.as_slice(), &told)?;
        if is_news {
            if row.protocol.is_some() {
                let message = "the protocol of another session that this code opened is on record";
                return Err(Error::new(ErrorCode::ProtocolContradicts, message));
            }
            (row.protocol, self.is_changed) = (Some(told), true);
        }
        Ok(is_news)
    }

    pub(super) fn put(self, change: &mut Change) -> Result<(), Error> {
        if self.is_changed {
            change.put(Table::EmergencyUses, self.key, self.version, rows::encode(&self.row)?);
        }
        Ok(())
    }
}

impl EmergencyUseRow {
    fn key(&self) -> ServiceKey {
        let &Self { generation, epoch, number, .. } = self;
        ServiceKey { generation, epoch, number }
    }
}

fn uses(device: DeviceName, row: &EmergencyUsesRow) -> EmergencyUses {
    let of = |of: &EmergencyUseRow| EmergencyUse {
        key: of.key().name(device.clone()).to_string(),
        reported_at: of.reported.get(),
        closed: of.closed.as_ref().map(|end| (who(&end.by), end.at.get(), end.reason.clone())),
        protocol: of.protocol.as_ref().map(protocols::protocol),
    };
    let uses = row.uses.iter().map(of).collect();
    EmergencyUses { device, uses }
}

/// The most uses of one device that are listed.
const MAX_USES: usize = 16;

/// Seconds for which a use is kept whose review is closed: 400 days.
const KEPT: u64 = 400 * 86_400;
