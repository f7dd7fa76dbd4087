//! Enrollment: a station vouches for a device, and the device confirms.

use crate::api::{Caller, EnrollOrder};
use crate::engine::{Decision, Engine};
use crate::error::{Error, Kind};
use crate::keys_row::{KeysRow, keys_place};
use crate::port::{Change, Clock, Expect, Row, Store, Table, Write};
use crate::rows::{self, DeviceRow, Written};
use wardein_crypto::{SystemEntropy, Tag};
use wardein_ddkg::authority::{EnrollTerms, Record, Standing};
use wardein_ddkg::message::{Confirmation, EnrollReply, EnrollRequest};
use wardein_ddkg::{DeviceName, DeviceShare, Purposes, Suite};
use wardein_domain::{Actor, AuditEntry, DeviceId, DeviceState, Event, Outcome, Profile, Role, TenantId};

impl<S: Store, C: Clock> Engine<S, C> {
    /// Answers a device's enrollment. The same request again, after a lost reply, is answered alike; another one replaces an
    /// enrollment that was not confirmed.
    pub async fn enroll(&self, caller: &Caller, order: EnrollOrder) -> Result<EnrollReply, Error> {
        let tenant = self.stations_tenant(caller)?;
        let profile = self.rules_of(tenant, &order.profile)?.profile;
        let request = enroll_request(tenant, &order, &profile)?;
        let enrollment = Enrollment { order: &order, request: &request, profile };
        let takes_quota = self.directory.device(&request.device).is_none();
        if takes_quota {
            self.directory.take_quota(&caller.principal.serial)?;
        }
        let outcome = self.transact(|| self.decide_enrollment(caller, &enrollment)).await;
        let written = match outcome {
            Ok((reply, written)) => {
                if let Some((version, row)) = &written {
                    self.directory.put_device(&request.device, *version, row)?;
                }
                Ok((reply, written.is_some_and(|(version, _)| version == 1)))
            }
            Err(error) => Err(error),
        };
        let is_new = written.as_ref().is_ok_and(|(_, is_new)| *is_new);
        if takes_quota && !is_new {
            self.directory.release_quota(&caller.principal.serial);
        }
        written.map(|(reply, _)| reply)
    }

    /// Takes in a device's confirmation through its station.
    pub async fn confirm(&self, caller: &Caller, device: DeviceId, tag: [u8; 32]) -> Result<(), Error> {
        let tenant = self.stations_tenant(caller)?.clone();
        let confirmation = Confirmation { device: DeviceName { tenant, device }, tag: Tag(tag) };
        self.take_confirmation(Actor::Operator(caller.principal.clone()), &caller.request_id, &confirmation)
            .await
    }

    /// Takes in a confirmation from the device itself, whose first one was lost.
    pub async fn confirm_by_device(&self, request_id: &str, confirmation: Confirmation) -> Result<(), Error> {
        let DeviceName { tenant, device } = confirmation.device.clone();
        self.take_confirmation(Actor::Device(tenant, device), request_id, &confirmation).await
    }

    pub(crate) fn stations_tenant<'a>(&self, caller: &'a Caller) -> Result<&'a TenantId, Error> {
        match &caller.principal.tenant {
            Some(tenant) if caller.principal.role == Role::Station => Ok(tenant),
            _ => Err(Error::new(Kind::Denied, "role-insufficient", "only a station enrolls devices")),
        }
    }

    fn decide_enrollment(
        &self,
        caller: &Caller,
        enrollment: &Enrollment<'_>,
    ) -> Result<Decision<(EnrollReply, Written)>, Error> {
        let Enrollment { order, request, profile } = enrollment;
        let key = rows::device_key(&request.device);
        let now = self.now();
        let row: Option<(u64, DeviceRow)> = rows::load(&self.store, Table::Device, &key)?;
        let keys = self.load_keys(&request.device)?;
        let state = row.as_ref().map(|(_, row)| rows::word("device state", &row.state)).transpose()?;
        if let Some((_, row)) = row.as_ref().filter(|_| state.is_some_and(DeviceState::is_final)) {
            let (state, reason) = (&row.state, row.state_reason.as_deref().unwrap_or("-"));
            let code =
                if state == DeviceState::Retired.as_str() { "device-retired" } else { "device-revoked" };
            return Err(Error::new(
                Kind::Precondition,
                code,
                format_args!("the device was {state}: {reason}"),
            ));
        }
        if self.signature_key(&request.device)?.is_some() {
            let message =
                "the device is enrolled already, by a key that it signs with; enroll another device";
            return Err(Error::new(Kind::Exists, "already-enrolled", message));
        }
        let known = keys.as_ref().map(|(_, keys)| &keys.record);
        // An administrator let it enroll anew: only then is a device pending whose enrollment was confirmed.
        let is_anew = state == Some(DeviceState::Pending)
            && known.is_some_and(|record| record.standing() == Standing::Enrolled);
        let terms = EnrollTerms {
            generation: known.map_or(1, Record::generation_for_enrollment).max(self.first_generation()),
            schedule: profile.schedule(now),
            purposes: Purposes::ALL,
        };
        let previous = known.filter(|_| !is_anew);
        let sign = |transcript: &wardein_crypto::Digest| self.authority.identity.sign(transcript.as_ref());
        let enrolled = Record::enroll(previous, request, &terms, sign, &mut SystemEntropy::default())?;
        let Some(record) = enrolled.record else {
            return Ok(Decision { change: Change::default(), answer: (enrolled.reply, None) });
        };
        let written = DeviceRow {
            state: DeviceState::Pending.to_string(),
            state_reason: None,
            profile: order.profile.to_string(),
            model: order.model.as_ref().map(ToString::to_string),
            udi: order.udi.as_ref().map(ToString::to_string),
            enrolled_at: now,
            enrolled_by: caller.principal.to_string(),
            // A device that is enrolled again counts for the station that enrolled it first.
            station: row.as_ref().map_or(*caller.principal.serial.as_bytes(), |(_, row)| row.station),
            attributes: rows::attribute_names(&record),
            // Keys agreed now are newer than any rotation there was.
            rotation: rows::RotationRow::default(),
            readmitted_at: row.as_ref().map_or(0, |(_, row)| row.readmitted_at),
            assurance: None,
        };
        let mut change = Change::default();
        let version = row.as_ref().map(|(version, _)| *version);
        change.writes.push(put(Table::Device, &key, version, rows::encode(&written)?));
        // What is new is seen by no sweep that has passed its place: it must be under the newest version of its tenant's key.
        let ring = self.newest_tenant_keys(&request.device.tenant, &mut change)?;
        let sealed = KeysRow::new(record, self.authority.restored_at).seal(&ring, &key)?;
        change.writes.push(put(Table::DeviceKeys, &key, keys.map(|(version, _)| version), sealed));
        let target = target(&request.device);
        let entry = self.entry(caller, Event::DeviceEnrolled, target, Outcome::Done);
        change.record_on(&request.device, &entry.with(format_args!("generation {}", terms.generation)))?;
        Ok(Decision { change, answer: (enrolled.reply, Some((version.unwrap_or(0) + 1, written))) })
    }

    async fn take_confirmation(
        &self,
        actor: Actor,
        request_id: &str,
        confirmation: &Confirmation,
    ) -> Result<(), Error> {
        let name = &confirmation.device;
        let key = rows::device_key(name);
        let written = self
            .transact(|| {
                let row: Option<(u64, DeviceRow)> = rows::load(&self.store, Table::Device, &key)?;
                let (Some((version, mut row)), Some((keys_version, mut keys))) = (row, self.load_keys(name)?)
                else {
                    return Err(Error::no_device(name));
                };
                let mut change = Change::default();
                if !keys.record.confirm(confirmation)? {
                    return Ok(Decision { change, answer: None });
                }
                // A device that was revoked while it was pending stays so.
                let is_pending = row.state == DeviceState::Pending.as_str();
                if is_pending {
                    row.state = DeviceState::Active.to_string();
                }
                change.update(Table::Device, key.clone(), version, rows::encode(&row)?);
                self.put_keys(&mut change, name, keys_version, &keys)?;
                let now = self.clock.now_ms();
                let event = Event::DeviceConfirmed;
                let entry = AuditEntry::new(now, &actor, event, target(name), Outcome::Done, request_id);
                change.record_on(name, &entry.in_tenant(&name.tenant))?;
                Ok(Decision { change, answer: Some((version + 1, row)) })
            })
            .await?;
        match written {
            Some((version, row)) => self.directory.put_device(name, version, &row),
            None => Ok(()),
        }
    }

    /// The sealed keys of a device, opened.
    pub(crate) fn load_keys(&self, name: &DeviceName) -> Result<Option<(u64, KeysRow)>, Error> {
        let key = rows::device_key(name);
        let Some(Row { version, value }) = self.store.get(Table::DeviceKeys, &key)? else { return Ok(None) };
        let opened = self.directory.tenant_key(&name.tenant)?.open(keys_place(&key), &value)?;
        Ok(Some((version, KeysRow::decode(opened.expose())?)))
    }

    /// Adds the next version of a device's keys to `change`.
    pub(crate) fn put_keys(
        &self,
        change: &mut Change,
        name: &DeviceName,
        version: u64,
        keys: &KeysRow,
    ) -> Result<(), Error> {
        let key = rows::device_key(name);
        let sealed = keys.seal(&*self.directory.tenant_key(&name.tenant)?, &key)?;
        change.update(Table::DeviceKeys, key, version, sealed);
        Ok(())
    }
}

struct Enrollment<'a> {
    order: &'a EnrollOrder,
    request: &'a EnrollRequest,
    profile: Profile,
}

fn enroll_request(tenant: &TenantId, order: &EnrollOrder, profile: &Profile) -> Result<EnrollRequest, Error> {
    check_device_id(&order.device)?;
    let number = u16::try_from(order.suite).unwrap_or(u16::MAX);
    let suite = Suite::from_number(number)?;
    if !profile.allows_suite(number) {
        let message = format_args!("suite: profile {} does not allow suite {number}", order.profile);
        return Err(Error::new(Kind::Precondition, "suite-not-allowed", message));
    }
    Ok(EnrollRequest {
        device: DeviceName { tenant: tenant.clone(), device: order.device.clone() },
        nonce: order.nonce,
        share: DeviceShare::new(suite, &order.share)?,
        attributes: order.attributes.clone(),
    })
}

/// Whether a device of this id can be certified.
pub(crate) fn check_device_id(device: &DeviceId) -> Result<(), Error> {
    if matches!(device.as_str(), "." | "..") {
        return Err(Error::invalid("device_id: is '.' or '..', which cannot be part of a SPIFFE id"));
    }
    Ok(())
}

pub(crate) fn put(table: Table, key: &[u8], version: Option<u64>, value: Vec<u8>) -> Write {
    let expect = version.map_or(Expect::Absent, Expect::Version);
    Write { table, key: key.to_vec(), expect, value: Some(value) }
}

/// The target of an entry about a device.
pub(crate) fn target(name: &DeviceName) -> String {
    format!("device/{}/{}", name.tenant, name.device)
}
