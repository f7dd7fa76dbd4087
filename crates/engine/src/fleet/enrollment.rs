//! Enrollment: a station vouches for a device, and the device confirms.

use super::profiles::certificate_names;
use crate::kernel::record::{self, Recording, target};
use crate::kernel::{Caller, Decision, Engine, Error, Held, Kept, Stop, Tx};
use crate::rows::{self, DeviceRow, KeysRow};
use wardein_crypto::Tag;
use wardein_ddkg::authority::{EnrollTerms, Record, Standing};
use wardein_ddkg::message::{Confirmation, EnrollReply, EnrollRequest};
use wardein_ddkg::{Attributes, DeviceName, DeviceShare, Purposes, Suite};
use wardein_domain::{
    Actor, Call, DeviceId, DeviceState, ErrorCode, Event, FieldName, ModelName, Outcome, Profile,
    ProfileName, Reason, Role, TenantId, Udi, UnixSeconds, check_file_name,
};
use wardein_port::{Change, Table};

/// A device's enrollment request with the facts that the factory vouches for. The tenant is the station's.
#[derive(Debug, Clone)]
pub struct EnrollOrder {
    /// The device.
    pub device: DeviceId,
    /// The number of the suite.
    pub suite: u32,
    /// The device's 32 random bytes.
    pub nonce: [u8; 32],
    /// The device's share.
    pub share: Vec<u8>,
    /// The device's measurements of itself.
    pub attributes: Attributes,
    /// The profile that it is to follow.
    pub profile: ProfileName,
    /// Its model.
    pub model: Option<ModelName>,
    /// Its unique device identifier.
    pub udi: Option<Udi>,
}

impl Engine {
    /// Answers a device's enrollment. The same request again, after a lost reply, gets the same answer; another one replaces an
    /// enrollment that was not confirmed.
    pub async fn enroll(&self, caller: &Caller, order: EnrollOrder) -> Result<EnrollReply, Error> {
        let tenant = self.stations_tenant(caller)?;
        let profile = self.rules_of(tenant, &order.profile)?.profile;
        let request = enroll_request(tenant, &order, &profile)?;
        let enrollment = Enrollment { order: &order, request: &request, profile };
        let decide = |tx: &mut Tx<'_>| self.decide_enrollment(tx, caller, &enrollment);
        self.transact_on_by(caller, &request.device, |_| Ok(()), decide).await
    }

    /// Accepts a device's confirmation through its station.
    pub async fn confirm(&self, caller: &Caller, device: DeviceId, tag: [u8; 32]) -> Result<(), Error> {
        let tenant = self.stations_tenant(caller)?.clone();
        let confirmation = Confirmation { device: DeviceName { tenant, device }, tag: Tag(tag) };
        self.take_confirmation(Actor::from(&caller.principal), &caller.call, &confirmation).await
    }

    /// Accepts a confirmation from the device itself, whose first one was lost.
    pub async fn confirm_by_device(&self, call: &Call, confirmation: Confirmation) -> Result<(), Error> {
        let DeviceName { tenant, device } = confirmation.device.clone();
        self.take_confirmation(Actor::Device(tenant, device), call, &confirmation).await
    }

    pub(crate) fn stations_tenant<'a>(&self, caller: &'a Caller) -> Result<&'a TenantId, Error> {
        match &caller.principal.tenant {
            Some(tenant) if caller.principal.role == Role::Station => Ok(tenant),
            _ => Err(Error::new(ErrorCode::RoleInsufficient, "only a station enrolls devices")),
        }
    }

    fn decide_enrollment(
        &self,
        tx: &mut Tx<'_>,
        caller: &Caller,
        enrollment: &Enrollment<'_>,
    ) -> Result<Decision<EnrollReply>, Stop> {
        let Enrollment { order, request, profile } = enrollment;
        let key = rows::device_key(&request.device);
        let now = self.now();
        let row: Option<(u64, DeviceRow)> = tx.row(Table::Device, &key)?;
        let keys = self.load_keys(tx, &request.device)?;
        let state = row.as_ref().map(|(_, row)| row.state);
        if let Some((_, row)) = row.as_ref().filter(|_| state.is_some_and(DeviceState::is_final)) {
            let (state, reason) = (row.state, row.state_reason.as_ref().map_or("-", Reason::as_str));
            let message = format_args!("the device was {state}: {reason}");
            return Err(Error::new(enrollment_of(state), message).into());
        }
        self.require_unawaited(tx, &request.device)?;
        if self.signature_key(tx, &request.device)?.is_some() {
            let message = "the device is already enrolled with a signing key; enroll another device";
            let name = target(&request.device);
            return Err(Error::new(ErrorCode::AlreadyEnrolled, message)
                .about("wardein.v1.Device", name)
                .into());
        }
        // It came with a voucher, and has certificates.
        if state.is_some_and(|state| state != DeviceState::Pending) && keys.is_none() {
            let message =
                "the device is already enrolled, by a voucher; readmit it first, or enroll another device";
            let name = target(&request.device);
            return Err(Error::new(ErrorCode::AlreadyEnrolled, message)
                .about("wardein.v1.Device", name)
                .into());
        }
        let station = &caller.principal.serial;
        if row.is_none() {
            self.check_new(&request.device, &order.profile)?;
        }
        let known = keys.as_ref().map(|held| &held.keys.record);
        // An administrator let it enroll again: only then is a device pending whose enrollment was confirmed.
        let is_anew = state == Some(DeviceState::Pending)
            && known.is_some_and(|record| record.standing() == Standing::Enrolled);
        let terms = EnrollTerms {
            generation: known.map_or(1, Record::generation_for_enrollment).max(self.first_generation()),
            schedule: profile.schedule(now),
            purposes: Purposes::ENROLLED,
        };
        let previous = known.filter(|_| !is_anew);
        // One that it was let to make again costs as the first did; so does one in the place of another station's. A device that
        // begins from the start does not, a number of times. It is judged before the key agreement, which takes the most time.
        let costs = row.as_ref().is_none_or(|(_, row)| is_anew || row.costs(station));
        if costs && previous.is_none_or(|record| !record.has_answered(request)) {
            tx.reserve_quota(&self.memory, station, &request.device)?;
        }
        let sign = |transcript: &wardein_crypto::Digest| self.authority.identity.sign(transcript.as_ref());
        let enrolled = Record::enroll(previous, request, &terms, sign, tx.draw())?;
        let Some(record) = enrolled.record else {
            return Ok(Decision::unchanged(enrolled.reply));
        };
        let (places, replaced) = match &row {
            None => (Vec::new(), 0),
            Some((_, row)) => (row.places.clone(), row.replaced),
        };
        let (places, replaced) =
            if costs { (rows::with_place(places, station), 0) } else { (places, replaced + 1) };
        let written = DeviceRow {
            state: DeviceState::Pending,
            state_reason: None,
            state_since: UnixSeconds::new(now),
            profile: order.profile.clone(),
            model: order.model.clone(),
            udi: order.udi.clone(),
            enrolled_at: UnixSeconds::new(now),
            enrolled_by: caller.principal.to_string(),
            places,
            replaced,
            attributes: rows::attribute_names(&record),
            // Keys agreed now are newer than any rotation there was.
            rotation: rows::RotationRow::default(),
            assurance: None,
            is_shared: false,
            versions: rows::versions(&request.attributes),
            announced: Vec::new(),
            // The floor outlives an enrollment.
            software: row.as_ref().map(|(_, row)| row.software.clone()).unwrap_or_default(),
        };
        let mut change = Change::default();
        if row.is_none() {
            self.claim_id(tx, &mut change, &request.device)?;
        }
        self.claim_udi(tx, &mut change, &request.device, order.udi.as_ref())?;
        self.forget_voucher(tx, &mut change, &request.device)?;
        let version = row.as_ref().map(|(version, _)| *version);
        change.put(Table::Device, key.clone(), version, rows::encode(&written)?);
        // A sweep that has passed its place does not see a new row: it must be under the newest version of its tenant's key.
        let ring = self.newest_tenant_keys(tx, &request.device.tenant, &mut change)?;
        let mut fresh = KeysRow::new(record, self.authority.restored_at);
        let cold = fresh.seal_cold(tx.nonce()?, &ring, &key)?;
        let (cold_version, hot_version) = keys.map(|held| (held.cold, held.version)).unzip();
        change.put(Table::DeviceKeys, key.clone(), cold_version, cold);
        change.put(Table::DeviceHot, key, hot_version, fresh.encode_hot());
        fresh.mark_stored();
        let entry = self.entry(caller, Event::DeviceEnrolled, target(&request.device), Outcome::Done);
        let entry = entry
            .with(FieldName::Generation, terms.generation)
            .with(FieldName::Suite, request.share.suite().number())
            .with(FieldName::Profile, &order.profile);
        change.record(&entry)?;
        let kept = Kept { keys: Box::new(fresh), cold: None };
        Ok(Decision { keys: Some(kept), ..Decision::new(change, enrolled.reply) })
    }

    async fn take_confirmation(
        &self,
        actor: Actor,
        call: &Call,
        confirmation: &Confirmation,
    ) -> Result<(), Error> {
        let name = &confirmation.device;
        let judge = |tx: &mut Tx<'_>| {
            let mut held = self.load_keys(tx, name)?.ok_or_else(|| Error::no_device(name))?;
            held.keys.record.confirm(confirmation)?;
            Ok(())
        };
        self.transact_on(name, judge, |tx| self.decide_confirmation(tx, &actor, call, confirmation)).await
    }

    fn decide_confirmation(
        &self,
        tx: &mut Tx<'_>,
        actor: &Actor,
        call: &Call,
        confirmation: &Confirmation,
    ) -> Result<Decision<()>, Stop> {
        let name = &confirmation.device;
        let key = rows::device_key(name);
        let row: Option<(u64, DeviceRow)> = tx.row(Table::Device, &key)?;
        let (Some((version, mut row)), Some(held)) = (row, self.open_keys(tx, name)?) else {
            return Err(Error::no_device(name).into());
        };
        let Held { cold, version: keys_version, mut keys } = held;
        let mut change = Change::default();
        if !keys.record.confirm(confirmation)? {
            tx.put_back(Held { cold, version: keys_version, keys });
            return Ok(Decision::unchanged(()));
        }
        let mut entry = record::entry(
            self.clock.now_ms(),
            actor.clone(),
            Event::DeviceConfirmed,
            target(name),
            Outcome::Done,
            call,
        );
        // A device that was revoked while it was pending stays so.
        if row.state == DeviceState::Pending {
            row.state = DeviceState::Active;
            row.state_since = self.time();
            entry = entry.changed(FieldName::State, DeviceState::Pending, DeviceState::Active);
        }
        change.update(Table::Device, key, version, rows::encode(&row)?);
        let cold = self.put_keys(tx, &mut change, name, (cold, keys_version), &mut keys)?;
        change.record(&entry.in_tenant(&name.tenant))?;
        Ok(Decision { keys: Some(Kept { keys, cold }), ..Decision::new(change, ()) })
    }
}

/// The code of a refusal to enroll a device whose state is final.
pub(crate) fn enrollment_of(state: DeviceState) -> ErrorCode {
    match state {
        DeviceState::Retired => ErrorCode::EnrollmentOfRetired,
        DeviceState::Transferred => ErrorCode::EnrollmentOfTransferred,
        _ => ErrorCode::EnrollmentOfRevoked,
    }
}

struct Enrollment<'a> {
    order: &'a EnrollOrder,
    request: &'a EnrollRequest,
    profile: Profile,
}

fn enroll_request(tenant: &TenantId, order: &EnrollOrder, profile: &Profile) -> Result<EnrollRequest, Error> {
    let number = u16::try_from(order.suite).unwrap_or(u16::MAX);
    let suite = Suite::from_number(number)?;
    if !profile.allows_suite(number) {
        let message = format_args!("suite: profile {} does not allow suite {number}", order.profile);
        return Err(Error::new(ErrorCode::SuiteNotAllowed, message));
    }
    Ok(EnrollRequest {
        device: DeviceName { tenant: tenant.clone(), device: order.device.clone() },
        nonce: order.nonce,
        share: DeviceShare::new(suite, &order.share)?,
        attributes: order.attributes.clone(),
    })
}

impl Engine {
    /// Whether a device may be made under this id, with this profile: the certificates that it will ask for can have its names. One that
    /// is on record has its id, whatever is judged of new ones.
    pub(crate) fn check_new(&self, device: &DeviceName, profile: &ProfileName) -> Result<(), Error> {
        check_file_name(device.device.as_str()).map_err(|error| Error::wrong("device_id", error))?;
        let rules = self.memory.rules(&device.tenant, profile).unwrap_or_default();
        certificate_names(&rules, device, profile).map(|_| ())
    }
}
