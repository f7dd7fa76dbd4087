//! Enrolling a device by the key that it signs with.

use super::policy::StoredPolicy;
use super::quote::{EnrolledState, no_tpm};
use crate::fleet::enrollment::enrollment_of;
use crate::kernel::record::{Recording, hex, target};
use crate::kernel::{Caller, Decision, Engine, Error, Stop, Tx};
use crate::rows::{self, BaselineRow, Claim, DeviceRow, SeenChallenges, SignatureKeyRow, key_id};
use wardein_attest::EkDigest;
use wardein_ddkg::DeviceName;
use wardein_domain::{
    Assurance, DeviceId, DeviceState, EnrolledKey, ErrorCode, Event, FieldName, KeyKeeper, ModelName,
    Outcome, ProfileName, Udi,
};
use wardein_pki::{Csr, PublicKey};
use wardein_port::{Change, Table};

/// A device that is to be enrolled by a key, with the facts that the factory vouches for. The tenant is the station's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyOrder {
    /// The device.
    pub device: DeviceId,
    /// The profile that it is to follow.
    pub profile: ProfileName,
    /// Its model.
    pub model: Option<ModelName>,
    /// Its unique device identifier.
    pub udi: Option<Udi>,
}

/// A key that was judged.
pub(super) struct NewKey {
    pub(super) key: PublicKey,
    pub(super) assurance: Assurance,
    pub(super) ek: Option<EkDigest>,
    pub(super) ak: Option<Vec<u8>>,
    pub(super) quoted: Option<EnrolledState>,
}

impl Engine {
    /// Enrolls a device by the key of a PKCS#10 request. Where the key is, only the station says.
    pub async fn enroll_key(
        &self,
        caller: &Caller,
        order: &KeyOrder,
        keeper: KeyKeeper,
        csr: &[u8],
    ) -> Result<EnrolledKey, Error> {
        let tenant = self.stations_tenant(caller)?;
        let (policy, pcrs) = self
            .look(|tx| {
                Ok((self.key_policy(tx, tenant)?.policy, self.pcr_policy(tx, tenant, &order.profile)?))
            })
            .await?;
        if !policy.keepers.contains(&keeper) {
            let message =
                format_args!("keeper: the tenant's key storage policy does not accept keys in {keeper}");
            return Err(Error::new(ErrorCode::KeeperNotAllowed, message));
        }
        if pcrs.selection().is_some() {
            return Err(no_tpm());
        }
        let csr = Csr::parse(csr).map_err(|error| Error::new(error.code(), error))?;
        let new = NewKey {
            key: *csr.public_key(),
            assurance: keeper.assurance(),
            ek: None,
            ak: None,
            quoted: None,
        };
        self.put_key(caller, order, &new).await
    }

    /// Puts a device on record with its key, active at once. The same key again is answered from the record.
    pub(super) async fn put_key(
        &self,
        caller: &Caller,
        order: &KeyOrder,
        new: &NewKey,
    ) -> Result<EnrolledKey, Error> {
        let tenant = self.stations_tenant(caller)?;
        self.rules_of(tenant, &order.profile)?;
        let name = DeviceName { tenant: tenant.clone(), device: order.device.clone() };
        let decide = |tx: &mut Tx<'_>| self.decide_key(tx, caller, &name, order, new);
        self.transact_on_by(caller, &name, |_| Ok(()), decide).await
    }

    fn decide_key(
        &self,
        tx: &mut Tx<'_>,
        caller: &Caller,
        name: &DeviceName,
        order: &KeyOrder,
        new: &NewKey,
    ) -> Result<Decision<EnrolledKey>, Stop> {
        let key = rows::device_key(name);
        let row: Option<(u64, DeviceRow)> = tx.row(Table::Device, &key)?;
        let present = self.signature_key(tx, name)?;
        let state = row.as_ref().map(|(_, row)| row.state);
        if let Some(state) = state.filter(|state| state.is_final()) {
            return Err(Error::new(enrollment_of(state), format_args!("the device was {state}")).into());
        }
        self.require_unawaited(tx, name)?;
        let key_id = key_id(&new.key).0;
        let answer = |assurance| EnrolledKey { tenant: name.tenant.clone(), key_id, assurance };
        let is_anew = state == Some(DeviceState::Pending);
        if let Some((_, present)) = &present
            && !is_anew
            && present.key() == new.key
        {
            return Ok(Decision::unchanged(answer(present.assurance)));
        }
        // An administrator let it enroll again: only then is a device pending that signs.
        if row.is_some() && !(is_anew && present.is_some()) {
            let message =
                "the device is already enrolled with another key; revoke it, or enroll another device";
            let name = target(name);
            return Err(Error::new(ErrorCode::AlreadyEnrolled, message)
                .about("wardein.v1.Device", name)
                .into());
        }
        if row.is_none() {
            self.check_new(name, &order.profile)?;
        }
        // Each of these costs a place: a repeated request was answered above.
        let station = &caller.principal.serial;
        tx.reserve_quota(&self.memory, station, name)?;
        let places = row.as_ref().map_or_else(Vec::new, |(_, row)| row.places.clone());
        let mut change = Change::default();
        if row.is_none() {
            self.claim_id(tx, &mut change, name)?;
        }
        self.claim_udi(tx, &mut change, name, order.udi.as_ref())?;
        let StoredPolicy { version: policy_version, policy } = self.key_policy(tx, &name.tenant)?;
        let claims = [Some(Claim::Key(&key_id)), new.ek.as_ref().map(|ek| Claim::Tpm(&ek.0.0))];
        let claims: Vec<_> = claims.into_iter().flatten().collect();
        let others = self.claim_hardware(tx, &mut change, name, &claims, policy.shared_tpms)?;
        if !others.is_empty() {
            change.check(Table::KeyPolicy, name.tenant.as_str().as_bytes().to_vec(), policy_version);
            self.mark_shared(tx, &mut change, name, &others)?;
        }
        let written = DeviceRow {
            state: DeviceState::Active,
            state_reason: None,
            state_since: self.time(),
            profile: order.profile.clone(),
            model: order.model.clone(),
            udi: order.udi.clone(),
            enrolled_at: self.time(),
            enrolled_by: caller.principal.to_string(),
            places: rows::with_place(places, station),
            replaced: 0,
            attributes: Vec::new(),
            rotation: rows::RotationRow::default(),
            assurance: Some(new.assurance),
            is_shared: !others.is_empty(),
            versions: Vec::new(),
            announced: Vec::new(),
            // The floor outlives an enrollment.
            software: row.as_ref().map(|(_, row)| row.software.clone()).unwrap_or_default(),
        };
        // Another key has seen nothing: what was signed by the one before names that one (DDKG-1 §5.1, `key id`), and is no request
        // of this one.
        let same_key = present.as_ref().filter(|(_, row)| row.key() == new.key);
        let seen = same_key.map_or_else(SeenChallenges::default, |(_, row)| row.seen.clone());
        let signing = SignatureKeyRow {
            point: *new.key.verifying_key(),
            assurance: new.assurance,
            ek: new.ek.map(|ek| ek.0.0),
            ak: new.ak.clone(),
            baseline: new.quoted.as_ref().map(|quoted| BaselineRow::new(&quoted.state, false)),
            quoted: new.quoted.as_ref().map(|quoted| (self.time(), quoted.standing)),
            last_seen: None,
            seen,
        };
        let version = row.map(|(version, _)| version);
        change.put(Table::Device, key.clone(), version, rows::encode(&written)?);
        let signing_version = present.map(|(version, _)| version);
        change.put(Table::SignatureKey, key, signing_version, rows::encode(&signing)?);
        let entry = self.entry(caller, Event::KeyEnrolled, target(name), Outcome::Done);
        let mut entry = entry
            .with(FieldName::Assurance, new.assurance)
            .with(FieldName::KeyId, hex(&key_id))
            .with(FieldName::Profile, &order.profile);
        if let Some(ek) = new.ek {
            entry = entry.with(FieldName::EndorsementKey, ek.to_string());
        }
        for other in &others {
            entry = entry.with(FieldName::SharedWith, format!("{}/{other}", name.tenant));
        }
        if let Some(EnrolledState { state, standing }) = &new.quoted {
            entry = entry
                .with(FieldName::Pcrs, state.selection().to_string())
                .with(FieldName::PcrDigest, hex(state.digest().as_ref()))
                .with(FieldName::PcrStanding, standing);
        }
        change.record(&entry)?;
        Ok(Decision::new(change, answer(new.assurance)))
    }
}
