//! The pins of the keys of a tenant's platform, and the bundle in which devices get them: signed by the identity key, of an epoch that
//! only rises.
//!
//! Two epochs overlap: a key becomes the platform's current one when bundles have had its pin for [`OVERLAP`], so that a device that was
//! off for so long knows it. The recovery key, kept offline, is in every bundle, for the day on which the others are lost.

use crate::kernel::record::Recording;
use crate::kernel::{Caller, Decision, Engine, Error, Etag, Stop, Tx};
use crate::rows::{self, PinColumn, PinsRow};
use wardein_domain::{ErrorCode, Event, FieldName, Fields, Outcome, Target, TenantId, UnixSeconds};
use wardein_pki::{Pin, PinBundle, Pins, Validity};
use wardein_port::{Change, Table};

/// The pins of a platform, on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlatformPins {
    /// The pins.
    pub pins: Pins,
    /// Their epoch.
    pub epoch: u64,
    /// Unix seconds at which they were put.
    pub changed_at: u64,
    /// Unix seconds from which the next one may become the current one.
    pub next_from: Option<u64>,
    /// Their version.
    pub etag: Etag,
}

/// How they are to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PinsPut {
    /// The new ones.
    pub pins: Pins,
    /// The version that is changed; whatever there is where it is left out.
    pub etag: Option<Etag>,
    /// Whether somebody confirmed that devices which were off do not know the new current key.
    pub confirms_stranding: bool,
}

impl Engine {
    /// Puts the pins of a tenant's platform. The same again changes nothing.
    pub async fn put_platform_pins(
        &self,
        caller: &Caller,
        tenant: TenantId,
        put: PinsPut,
    ) -> Result<PlatformPins, Error> {
        self.require_tenant(caller, &tenant)?;
        let PinsPut { pins, etag: seen, confirms_stranding } = put;
        let all: Vec<_> = pins.iter().collect();
        if all.iter().enumerate().any(|(at, pin)| all[..at].contains(pin)) {
            return Err(Error::wrong("pins", "are not of different keys"));
        }
        let key = tenant.as_str().as_bytes();
        self.transact_by(caller, |tx| {
            let (version, present) = tx.row::<PinsRow>(Table::PlatformPins, key)?.unzip();
            Etag::require(seen, present.as_ref().map(etag).transpose()?)?;
            if let Some(present) = present.as_ref().filter(|present| present.pins() == pins) {
                return Ok(Decision::unchanged(shown(present)?));
            }
            let now = self.time();
            let is_early = present.as_ref().is_some_and(|present| !is_known(present, pins.current, now));
            if is_early && !confirms_stranding {
                return Err(too_new(present.as_ref(), pins, now).into());
            }
            let column = |pin| {
                let since = present.as_ref().and_then(|present| present.since(pin));
                PinColumn::new(pin, since.unwrap_or(now))
            };
            // By the time, so that it rises also where a backup was restored that knew nothing of the last ones.
            let epoch = present.as_ref().map_or(0, |present| present.epoch + 1).max(now.get());
            let row = PinsRow {
                epoch,
                current: column(pins.current),
                next: pins.next.map(column),
                recovery: column(pins.recovery),
                changed_at: now,
            };
            let mut change = Change::default();
            change.put(Table::PlatformPins, key.to_vec(), version, rows::encode(&row)?);
            let target = Target::Tenant(tenant.clone());
            let entry = self.entry(caller, Event::PlatformPinsPut, target, Outcome::Done);
            let entry = entry.in_tenant(&tenant).with(FieldName::BundleEpoch, epoch);
            let entry = entry.with_all(changed(present.as_ref().map(PinsRow::pins), pins));
            let entry = if is_early { entry.with(FieldName::WithoutOverlap, true) } else { entry };
            change.record(&entry)?;
            Ok(Decision::new(change, shown(&row)?))
        })
        .await
    }

    /// The pins of a tenant's platform.
    pub async fn platform_pins(&self, caller: &Caller, tenant: &TenantId) -> Result<PlatformPins, Error> {
        self.require_tenant(caller, tenant)?;
        let row: Option<(u64, PinsRow)> =
            rows::load(&*self.store, Table::PlatformPins, tenant.as_str().as_bytes()).await?;
        let (_, row) = row.ok_or_else(|| {
            let message = format_args!("the platform of tenant {tenant} has no pins");
            Error::new(ErrorCode::PlatformPinsUnset, message)
        })?;
        shown(&row)
    }

    /// The bundle of a tenant's platform, signed; none where it has no pins, or there is no such tenant.
    pub async fn signed_bundle(&self, tenant: &TenantId) -> Result<Option<Vec<u8>>, Error> {
        self.look(|tx| self.bundle_in(tx, tenant)).await
    }

    /// The same within a decision.
    pub(crate) fn bundle_in(&self, tx: &Tx<'_>, tenant: &TenantId) -> Result<Option<Vec<u8>>, Stop> {
        let row = tx.row::<PinsRow>(Table::PlatformPins, tenant.as_str().as_bytes())?;
        let Some((_, row)) = row else { return Ok(None) };
        let validity = Validity::starting(self.now(), LIFETIME).map_err(Error::internal)?;
        let former = self.authority.former.as_ref().map(|former| &former.certificate);
        let roots = [&self.authority.root].into_iter().chain(former);
        let bundle = PinBundle {
            tenant: tenant.clone(),
            epoch: row.epoch,
            validity,
            pins: row.pins(),
            roots: roots.map(|root| root.der().to_vec()).collect(),
        };
        let signed = bundle.sign(&self.authority.identity);
        Ok(Some(signed.map_err(|_| Error::internal("the identity key does not sign"))?))
    }
}

/// Whether a device that has any bundle of the last [`OVERLAP`] knows that key.
fn is_known(present: &PinsRow, current: Pin, now: UnixSeconds) -> bool {
    present.current.pin() == current
        || present.since(current).is_some_and(|since| since.get().saturating_add(OVERLAP) <= now.get())
}

fn too_new(present: Option<&PinsRow>, pins: Pins, now: UnixSeconds) -> Error {
    let since = present.and_then(|present| present.since(pins.current));
    let message = match since {
        Some(since) => format!(
            "pins.current: bundles have it since Unix second {since}, and it may become the current one {OVERLAP} seconds after that: a \
             device that was off meanwhile would not know it",
            since = since.get()
        ),
        None => format!(
            "pins.current: no bundle until Unix second {} has it; put it as the next one first, so that devices that are off come to \
             know it",
            now.get()
        ),
    };
    Error::new(ErrorCode::PlatformPinTooNew, message)
}

fn shown(row: &PinsRow) -> Result<PlatformPins, Error> {
    Ok(PlatformPins {
        pins: row.pins(),
        epoch: row.epoch,
        changed_at: row.changed_at.get(),
        next_from: row.next.map(|next| next.since.get().saturating_add(OVERLAP)),
        etag: etag(row)?,
    })
}

fn etag(row: &PinsRow) -> Result<Etag, Error> {
    Ok(Etag::of(&rows::encode(row)?))
}

/// For the audit entry: each pin that is other than it was.
fn changed(before: Option<Pins>, pins: Pins) -> Fields {
    let words = |pins: Pins| {
        let next = pins.next.map_or_else(|| "none".to_owned(), |next| next.to_string());
        [
            (FieldName::CurrentPin, pins.current.to_string()),
            (FieldName::NextPin, next),
            (FieldName::RecoveryPin, pins.recovery.to_string()),
        ]
    };
    let Some(before) = before else {
        return words(pins)
            .into_iter()
            .fold(Fields::default(), |fields, (name, word)| fields.with(name, word));
    };
    let differ = words(before).into_iter().zip(words(pins)).filter(|((_, was), (_, word))| was != word);
    differ.fold(Fields::default(), |fields, ((name, was), (_, word))| fields.changed(name, was, word))
}

/// Seconds for which bundles have the pin of a key before the platform goes over to it: 183 days.
const OVERLAP: u64 = 183 * 86_400;

/// Seconds for which a bundle is valid: 366 days, twice as long.
const LIFETIME: u64 = 366 * 86_400;
