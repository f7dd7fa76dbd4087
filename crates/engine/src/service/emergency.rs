//! Codes for emergencies (DDKG-1 §7.2): each device has one, which is good once. Showing it and using it are on record, and a use waits for its
//! review until somebody closes it.

use super::visits::who;
use crate::access::operators::Issuer;
use crate::approve::Ask;
use crate::derive::actions::{Done, Performing};
use crate::kernel::record::{self, Recording, target};
use crate::kernel::{Caller, Decision, Engine, Error, Held, Kept, Page, Paged, Stop, Tx};
use crate::rows::{self, Emergency, EmergencyUseRow, EmergencyUsesRow, EndedRow, PersonRow};
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
        self.note_emergency_uses(tx, name, &report.used, now_ms, call, change)?;
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

    /// Puts the uses on record that are on none yet.
    fn note_emergency_uses(
        &self,
        tx: &Tx<'_>,
        name: &DeviceName,
        used: &[ServiceKey],
        now_ms: u64,
        call: &Call,
        change: &mut Change,
    ) -> Result<(), Stop> {
        let key = rows::device_key(name);
        let found: Option<(u64, EmergencyUsesRow)> = tx.row(Table::EmergencyUses, &key)?;
        let (version, row) = found.unzip();
        let mut row = row.unwrap_or_default();
        let mut is_news = false;
        for used in used {
            if row.uses.iter().any(|known| known.key() == *used) {
                continue;
            }
            is_news = true;
            // Those that were looked into make room; beyond that the audit log alone has them all.
            while row.uses.len() >= MAX_USES {
                let closed = row.uses.iter().position(|known| known.closed.is_some()).unwrap_or_default();
                row.uses.remove(closed);
            }
            let ServiceKey { generation, epoch, number } = *used;
            let reported = UnixSeconds::new(now_ms / 1000);
            row.uses.push(EmergencyUseRow { generation, epoch, number, reported, closed: None });
            let actor = Actor::Device(name.tenant.clone(), name.device.clone());
            let entry =
                record::entry(now_ms, actor, Event::EmergencyCodeUsed, target(name), Outcome::Done, call);
            change.record(&entry.with(FieldName::Key, used.name(name.clone()).to_string()))?;
        }
        if is_news {
            change.put(Table::EmergencyUses, key, version, rows::encode(&row)?);
        }
        Ok(())
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
    };
    let uses = row.uses.iter().map(of).collect();
    EmergencyUses { device, uses }
}

/// The most uses of one device that are listed.
const MAX_USES: usize = 16;

/// Seconds for which a use is kept whose review is closed: 400 days.
const KEPT: u64 = 400 * 86_400;
