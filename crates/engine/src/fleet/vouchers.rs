//! Vouchers: a secret, good once and for a time, by which a device that speaks EST and no protocol of ours gets its first certificate
//! (RFC 7030 §3.2.3).
//!
//! A station makes one for a device that is not on record, which then waits for it without any key of ours, and is active with its first
//! certificate; or an administrator makes one for a device that has lost what it had. A device has one voucher: another takes its
//! place. What verifies the secret is stored, and not the secret. A voucher that is not good has one answer, whatever the reason; who
//! comes again with the right one and the key that was certified, because the answer was lost, gets the same certificate.

use super::enrollment::enrollment_of;
use crate::derive::actions::{Body, Certifying, refused_csr};
use crate::issue::made_key::MadeKey;
use crate::issue::renewal::{Enrolled, EstCall, Wanted, leaf_of, with_made};
use crate::kernel::record::{self, Recording, hex, target};
use crate::kernel::{Caller, Decision, Engine, Error, Stop, Tx};
use crate::rows::{self, DeviceRow, IssuerRow, OperatorRow, RotationRow, UsedVoucherRow, VoucherRow};
use wardein_crypto::{Digest, MacKey, Secret, Tag};
use wardein_ddkg::DeviceName;
use wardein_domain::{
    Actor, DeviceId, DeviceState, ErrorCode, ErrorKind, Event, FieldName, ModelName, Outcome, ProfileName,
    Role, Seconds, Serial, TenantId, Udi,
};
use wardein_pki::DeviceCsr;
use wardein_port::{Change, Table};

/// A voucher to be made.
#[derive(Debug, Clone)]
pub struct VoucherOrder {
    /// The tenant of the device; none for the caller's own.
    pub tenant: Option<TenantId>,
    /// The device.
    pub device: DeviceId,
    /// The profile that a device that is not on record is to follow.
    pub profile: ProfileName,
    /// Its model.
    pub model: Option<ModelName>,
    /// Its unique device identifier.
    pub udi: Option<Udi>,
    /// Seconds for which the voucher is good.
    pub lifetime: u64,
}

/// A voucher that was made.
pub struct Voucher {
    /// Whose it is.
    pub device: DeviceName,
    /// What it is redeemed with. It is given out this once.
    pub secret: Secret<32>,
    /// Unix seconds until which it may be redeemed.
    pub expires_at: u64,
}

impl Engine {
    /// Makes a voucher for a device, in the place of the one that it has. A station makes it for a device that is not on record, or that
    /// waits for its first certificate; an administrator for one that is on record and active, too.
    pub async fn make_voucher(&self, caller: &Caller, order: VoucherOrder) -> Result<Voucher, Error> {
        let tenant = order.tenant.as_ref().or(caller.principal.tenant.as_ref());
        let tenant = tenant.ok_or_else(|| Error::wrong("tenant", "is missing"))?.clone();
        self.require_tenant(caller, &tenant)?;
        if !(MIN_LIFETIME..=MAX_LIFETIME).contains(&order.lifetime) {
            let message =
                format_args!("is {}; it takes {MIN_LIFETIME} to {MAX_LIFETIME} seconds", order.lifetime);
            return Err(Error::wrong("lifetime", message));
        }
        let name = DeviceName { tenant, device: order.device.clone() };
        let decide = |tx: &mut Tx<'_>| self.decide_voucher(tx, caller, &name, &order);
        self.transact_on_by(caller, &name, |_| Ok(()), decide).await
    }

    fn decide_voucher(
        &self,
        tx: &mut Tx<'_>,
        caller: &Caller,
        name: &DeviceName,
        order: &VoucherOrder,
    ) -> Result<Decision<Voucher>, Stop> {
        let mut change = Change::default();
        let profile = match caller.principal.role {
            Role::Station => self.put_awaited(tx, caller, name, order, &mut change)?,
            _ => {
                let (version, row) = self.device_row(tx, name)?;
                self.may_have_voucher(tx, name, &row)?;
                change.check(Table::Device, rows::device_key(name), version);
                row.profile
            }
        };
        let key = rows::device_key(name);
        let (id, secret): ([u8; 8], Secret<32>) = (tx.draw().public()?, tx.draw().hidden()?);
        let expires = self.time().plus(Seconds::new(order.lifetime));
        let row = VoucherRow {
            id,
            tag: MacKey::new(secret.duplicate()).tag(&key).0,
            made: self.time(),
            expires,
            restored_at: self.authority.restored_at,
            by: IssuerRow { serial: caller.principal.serial, name: caller.principal.to_string() },
            redeemed: None,
        };
        let former = tx.get(Table::Voucher, &key)?.map(|row| row.version);
        change.put(Table::Voucher, key, former, rows::encode(&row)?);
        let entry = self.entry(caller, Event::VoucherMade, target(name), Outcome::Done);
        let entry = entry
            .in_tenant(&name.tenant)
            .with(FieldName::Voucher, hex(&id))
            .with(FieldName::Profile, &profile)
            .with(FieldName::Expires, expires.get());
        change.record(&entry)?;
        let voucher = Voucher { device: name.clone(), secret, expires_at: expires.get() };
        Ok(Decision::new(change, voucher))
    }

    /// Puts a device on record that is to come with a voucher: it has no keys, and waits. It costs a station what an enrollment does.
    fn put_awaited(
        &self,
        tx: &mut Tx<'_>,
        caller: &Caller,
        name: &DeviceName,
        order: &VoucherOrder,
        change: &mut Change,
    ) -> Result<ProfileName, Stop> {
        self.rules_of(&name.tenant, &order.profile)?;
        let key = rows::device_key(name);
        let row: Option<(u64, DeviceRow)> = tx.row(Table::Device, &key)?;
        let state = row.as_ref().map(|(_, row)| row.state);
        if let Some(state) = state.filter(|state| state.is_final()) {
            return Err(Error::new(enrollment_of(state), format_args!("the device was {state}")).into());
        }
        self.require_unawaited(tx, name)?;
        let is_awaited = state == Some(DeviceState::Pending) && !self.has_keys(tx, name)?;
        if state.is_some() && !is_awaited {
            let message = "the device is already enrolled; an administrator may make a voucher for it";
            let error = Error::new(ErrorCode::AlreadyEnrolled, message);
            return Err(error.about("wardein.v1.Device", target(name)).into());
        }
        if row.is_none() {
            self.check_new(name, &order.profile)?;
            self.claim_id(tx, change, name)?;
        }
        self.claim_udi(tx, change, name, order.udi.as_ref())?;
        let station = &caller.principal.serial;
        let costs = row.as_ref().is_none_or(|(_, row)| row.costs(station));
        if costs {
            tx.reserve_quota(&self.memory, station, name)?;
        }
        let (version, row) = row.unzip();
        let software = row.as_ref().map(|row| row.software.clone()).unwrap_or_default();
        let (places, replaced) = row.map_or((Vec::new(), 0), |row| (row.places, row.replaced));
        let (places, replaced) =
            if costs { (rows::with_place(places, station), 0) } else { (places, replaced + 1) };
        let now = self.time();
        let written = DeviceRow {
            state: DeviceState::Pending,
            state_reason: None,
            state_since: now,
            profile: order.profile.clone(),
            model: order.model.clone(),
            udi: order.udi.clone(),
            enrolled_at: now,
            enrolled_by: caller.principal.to_string(),
            places,
            replaced,
            attributes: Vec::new(),
            rotation: RotationRow::default(),
            assurance: None,
            is_shared: false,
            versions: Vec::new(),
            announced: Vec::new(),
            software,
        };
        change.put(Table::Device, key, version, rows::encode(&written)?);
        Ok(order.profile.clone())
    }

    /// Refuses a voucher for a device that is not trusted, or whose enrollment is not confirmed.
    fn may_have_voucher(&self, tx: &Tx<'_>, name: &DeviceName, row: &DeviceRow) -> Result<(), Stop> {
        match row.state {
            DeviceState::Active => Ok(()),
            DeviceState::Pending if !self.has_keys(tx, name)? => Ok(()),
            state => {
                let code = state.refusal().unwrap_or(ErrorCode::DevicePending);
                let message = format_args!("a device that is {state} gets no certificate by a voucher");
                Err(Error::new(code, message).into())
            }
        }
    }

    /// Whether a device derives keys, or signs with one that was enrolled. One that has neither came with a voucher, or its keys were
    /// erased.
    pub(crate) fn has_keys(&self, tx: &Tx<'_>, name: &DeviceName) -> Result<bool, Stop> {
        let derives = tx.get(Table::DeviceHot, &rows::device_key(name))?.is_some();
        Ok(derives || self.signature_key(tx, name)?.is_some())
    }

    /// A certificate for who has the secret of a device's voucher, once.
    pub async fn redeem_voucher(
        &self,
        asked: EstCall<'_>,
        device: &DeviceName,
        secret: Secret<32>,
        wanted: &Wanted<'_>,
    ) -> Result<Enrolled, Error> {
        let key = MacKey::new(secret);
        // Before anything else is read: who has no voucher gets no request parsed and no signature verified.
        let judge = |tx: &mut Tx<'_>| voucher(tx, device, &key).map(|_| ());
        self.look(judge).await?;
        let mut made = None;
        if let Wanted::Made(kind) = wanted {
            // What would be refused uses no key up; it is refused, and recorded, below.
            let may = self.look(|tx| {
                let (_, row) = voucher(tx, device, &key)?;
                if let Some(used) = &row.redeemed
                    && !self.is_given_up(tx, &used.serial)?
                {
                    return Err(invalid().into());
                }
                let (_, device_row) = self.device_row(tx, device)?;
                self.may_have_voucher(tx, device, &device_row)?;
                self.is_good(tx, &row)?;
                let rules = self.memory.rules(&device.tenant, &device_row.profile).unwrap_or_default();
                wanted.judge(rules.profile.certificate_keys())?;
                self.require_free_key(tx, device)
            });
            if may.await.is_ok() {
                made = Some(self.make_key(*kind, device)?);
            }
        }
        let decide =
            |tx: &mut Tx<'_>| self.decide_redeeming(tx, asked, (device, &key), (wanted, made.as_ref()));
        let leaf = match self.transact_on(device, judge, decide).await? {
            Redeemed::Again(leaf) => leaf,
            Redeemed::Now(body) => leaf_of(&self.body(asked.call, body).await?)?,
        };
        Ok(Enrolled { leaf, key: made.map(|made| made.pkcs8) })
    }

    /// Whether a voucher that is not used may be; the version of the row of who made it.
    fn is_good(&self, tx: &Tx<'_>, row: &VoucherRow) -> Result<u64, Stop> {
        let by: Option<(u64, OperatorRow)> = tx.row(Table::Operator, row.by.serial.as_bytes())?;
        // Who made it answers for it. One that was made before the authority was restored may have been redeemed after its backup.
        let is_good =
            (row.made..=row.expires).contains(&self.time()) && row.restored_at == self.authority.restored_at;
        let by = by.filter(|(_, by)| is_good && by.revoked.is_none());
        Ok(by.ok_or_else(invalid)?.0)
    }

    fn decide_redeeming(
        &self,
        tx: &mut Tx<'_>,
        asked: EstCall<'_>,
        (name, key): (&DeviceName, &MacKey),
        wanted: (&Wanted<'_>, Option<&MadeKey>),
    ) -> Result<Decision<Redeemed>, Stop> {
        let found = voucher(tx, name, key)?;
        match self.redeem(tx, asked, name, found, wanted) {
            // It has the secret, and may not.
            Err(Stop::Refuse(error)) if error.kind() != ErrorKind::Internal => {
                self.refused_by_est(tx, asked, name, error).map_err(Stop::from)
            }
            decided => decided,
        }
    }

    fn redeem(
        &self,
        tx: &mut Tx<'_>,
        asked: EstCall<'_>,
        name: &DeviceName,
        (version, mut row): (u64, VoucherRow),
        (wanted, made): (&Wanted<'_>, Option<&MadeKey>),
    ) -> Result<Decision<Redeemed>, Stop> {
        let (device_version, mut device) = self.device_row(tx, name)?;
        self.may_have_voucher(tx, name, &device)?;
        let rules = self.memory.rules(&name.tenant, &device.profile).unwrap_or_default();
        let accepted = rules.profile.certificate_keys();
        wanted.judge(accepted)?;
        let csr = match (wanted, made) {
            (Wanted::Csr(der), _) => {
                DeviceCsr::parse(der, accepted).map_err(|error| refused_csr(error, accepted))?
            }
            (Wanted::Made(_), Some(made)) => DeviceCsr::of_made(&made.key),
            // There is one where it may have one: it is used, or over.
            (Wanted::Made(_), None) => return Err(invalid().into()),
        };
        let digest = Digest::of(&csr.key().spki()).0;
        if let Some(used) = &row.redeemed
            && let Some(leaf) = self.redeemed_before(tx, used, &digest)?
        {
            return Ok(Decision::unchanged(Redeemed::Again(leaf)));
        }
        let by_version = self.is_good(tx, &row)?;

        let now_ms = self.clock.now_ms();
        let mut change = Change::default();
        change.check(Table::Operator, row.by.serial.as_bytes().to_vec(), by_version);
        let assurance = self.assurance_of(tx, name, csr.key())?;
        let (profile, now) = (&device.profile.clone(), now_ms / 1000);
        let certifying = Certifying { name, profile, rules: &rules, now, assurance, change: &mut change };
        let done = self.issue_certificate(tx, &csr, certifying)?;
        let actor = Actor::Device(name.tenant.clone(), name.device.clone());
        let entry = record::entry(now_ms, actor, done.event, target(name), Outcome::Done, asked.call);
        let entry = entry.with_all(done.fields.clone()).with(FieldName::Voucher, hex(&row.id));
        let mut entry = with_made(entry, made);
        // It is trusted from its first certificate on.
        if device.state == DeviceState::Pending {
            device.state = DeviceState::Active;
            device.state_since = self.time();
            entry = entry.changed(FieldName::State, DeviceState::Pending, DeviceState::Active);
            change.update(Table::Device, rows::device_key(name), device_version, rows::encode(&device)?);
        } else {
            change.check(Table::Device, rows::device_key(name), device_version);
        }
        let serial: Option<Serial> =
            done.fields.get(FieldName::Serial).and_then(|field| field.value.parse().ok());
        let serial = serial.ok_or_else(|| Error::internal("a certificate was issued without a serial"))?;
        row.redeemed = Some(UsedVoucherRow { serial, key: digest });
        change.update(Table::Voucher, rows::device_key(name), version, rows::encode(&row)?);
        change.record(&entry)?;
        Ok(Decision::new(change, Redeemed::Now(done.body)))
    }

    /// Whether what a voucher was redeemed for is neither on record nor being signed elsewhere: it was given up, and certified for nobody.
    fn is_given_up(&self, tx: &Tx<'_>, serial: &Serial) -> Result<bool, Stop> {
        let is_there = self.find_certificate(tx, serial)?.is_some();
        Ok(!is_there && tx.get(Table::Prepared, serial.as_bytes())?.is_none())
    }

    /// The certificate of a voucher that was redeemed for this key: its device did not hear the answer. None where it was given up: this
    /// key may come again, or another, as where keys are made.
    fn redeemed_before(
        &self,
        tx: &Tx<'_>,
        used: &UsedVoucherRow,
        key: &[u8; 32],
    ) -> Result<Option<Vec<u8>>, Stop> {
        let Some(found) = self.find_certificate(tx, &used.serial)? else {
            return if self.is_given_up(tx, &used.serial)? { Ok(None) } else { Err(invalid().into()) };
        };
        // With another key, two have it.
        if used.key != *key {
            return Err(invalid().into());
        }
        let is_over = found.row.not_after < self.time();
        if is_over || self.revocation(tx, &found.holder, &used.serial, &found.row)?.is_some() {
            return Err(invalid().into());
        }
        Ok(Some(found.row.der))
    }

    /// Takes the voucher of a device away, whose enrollment begins again.
    pub(crate) fn forget_voucher(
        &self,
        tx: &Tx<'_>,
        change: &mut Change,
        name: &DeviceName,
    ) -> Result<(), Stop> {
        let key = rows::device_key(name);
        if let Some(row) = tx.get(Table::Voucher, &key)? {
            change.delete(Table::Voucher, key, row.version);
        }
        Ok(())
    }
}

enum Redeemed {
    Again(Vec<u8>),
    Now(Body),
}

/// The voucher of a device, for who has its secret. One that is not there takes as long.
fn voucher(tx: &Tx<'_>, name: &DeviceName, secret: &MacKey) -> Result<(u64, VoucherRow), Stop> {
    let key = rows::device_key(name);
    let found: Option<(u64, VoucherRow)> = tx.row(Table::Voucher, &key)?;
    let tag = Tag(found.as_ref().map_or([0; 32], |(_, row)| row.tag));
    let verified = secret.verify(&key, &tag);
    Ok(found.filter(|_| verified.is_ok()).ok_or_else(invalid)?)
}

/// One answer for every voucher that is not good.
fn invalid() -> Error {
    let message = "the voucher is not good: it is unknown, used, replaced or over; have another one made";
    Error::new(ErrorCode::VoucherInvalid, message)
}

/// The shortest that a voucher is good: a minute.
const MIN_LIFETIME: u64 = 60;

/// The longest: a year, from the factory to the hospital.
const MAX_LIFETIME: u64 = 366 * 86_400;
