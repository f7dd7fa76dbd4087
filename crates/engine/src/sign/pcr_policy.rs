//! The PCR values that the TPMs of a profile's devices may have.

use crate::approve::Ask;
use crate::fleet::profiles::default_profile;
use crate::kernel::record::{INHERITED, Recording, hex};
use crate::kernel::{Caller, Decision, Engine, Error, Etag, Page, Stop, Tx};
use crate::rows::{self, PcrPolicyRow};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use wardein_attest::{GoldenPcrs, InvalidGolden, pcr_value};
use wardein_crypto::tpm::HashValue;
use wardein_domain::{
    Event, FieldName, Fields, GuardedDeed, Outcome, PcrSelection, ProfileName, Target, TenantId,
};
use wardein_port::{Change, Expect, Table, Write};

/// The PCR requirements on a device whose key is in a TPM. They apply at enrollment and with each certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PcrPolicy {
    /// Nothing: no quote is required.
    Any,
    /// Each has a value that is listed.
    Golden(GoldenPcrs),
    /// They are as they were at the device's enrollment, or as an administrator approved since.
    AsEnrolled(PcrSelection),
}

/// The policy that is set for a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetPcrPolicy {
    /// The profile.
    pub profile: ProfileName,
    /// Its setting.
    pub policy: PcrPolicy,
    /// The version of it.
    pub etag: Etag,
}

impl PcrPolicy {
    /// The PCRs to quote; none if nothing is required of them.
    pub fn selection(&self) -> Option<PcrSelection> {
        match self {
            Self::Any => None,
            Self::Golden(golden) => Some(golden.selection()),
            Self::AsEnrolled(selection) => Some(*selection),
        }
    }
}

impl fmt::Display for PcrPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Golden(golden) => write!(f, "golden values of {}", golden.selection()),
            Self::AsEnrolled(selection) => write!(f, "{selection} as enrolled"),
        }
    }
}

impl Engine {
    /// Sets the requirements on the devices of a profile; with `None`, those of the tenant's profile `default` apply to it. It
    /// applies from their next certificate on. Setting the same again is fine; otherwise it is to be of the version `etag`, if one is given.
    pub async fn put_pcr_policy(
        &self,
        caller: &Caller,
        tenant: &TenantId,
        profile: &ProfileName,
        policy: Option<PcrPolicy>,
        etag: Option<Etag>,
    ) -> Result<Option<SetPcrPolicy>, Error> {
        self.require_tenant(caller, tenant)?;
        self.rules_of(tenant, profile)?;
        let key = rows::profile_key(tenant, profile);
        let value = policy.as_ref().map(|policy| rows::encode(&PcrPolicyRow::from(policy))).transpose()?;
        let ask = Ask::new(GuardedDeed::PutPcrPolicy, Some(tenant))
            .with("profile", profile)
            .with("policy", policy.as_ref().map_or_else(|| INHERITED.to_owned(), ToString::to_string))
            .with_each("golden_value", golden(policy.as_ref()));
        self.transact_by(caller, |tx| {
            let before = tx.get(Table::PcrPolicy, &key)?;
            let mut change = Change::default();
            if before.as_ref().map(|row| &row.value) == value.as_ref() {
                return Ok(Decision::new(change, ()));
            }
            Etag::require(etag, before.as_ref().map(|row| Etag::of(&row.value)))?;
            let decoded =
                before.as_ref().map(|row| rows::decode::<PcrPolicyRow>(Table::PcrPolicy, &row.value));
            // One that only an earlier release took is replaced like any other.
            let was = decoded.transpose()?.and_then(|row| row.parse().ok());
            let expect = Expect::found(before.map(|row| row.version));
            let (key, value) = (key.clone(), value.clone());
            change.writes.push(Write { table: Table::PcrPolicy, key, expect, value });
            let target = Target::Profile(tenant.clone(), profile.clone());
            let entry = self.entry(caller, Event::PcrPolicyPut, target, Outcome::Done);
            change.record(&entry.in_tenant(tenant).with_all(changed(was.as_ref(), policy.as_ref())))?;
            self.approved(caller, tx, &ask, Decision::new(change, ()))
        })
        .await?;
        let set = policy.zip(value).map(|(policy, value)| (policy, Etag::of(&value)));
        Ok(set.map(|(policy, etag)| SetPcrPolicy { profile: profile.clone(), policy, etag }))
    }

    /// The policies of the profiles of a tenant, in order of their names.
    pub async fn list_pcr_policies(
        &self,
        caller: &Caller,
        tenant: &TenantId,
    ) -> Result<Vec<SetPcrPolicy>, Error> {
        self.require_tenant(caller, tenant)?;
        let prefix = rows::tenant_prefix(tenant);
        let rows = self.store.scan(Table::PcrPolicy, &prefix, None, Page::MAX).await?;
        rows.into_iter()
            .map(|(key, row)| {
                let name = std::str::from_utf8(key.get(prefix.len()..).unwrap_or_default());
                let profile = rows::word("profile", name.unwrap_or_default())?;
                let policy = rows::decode::<PcrPolicyRow>(Table::PcrPolicy, &row.value)?.parse()?;
                Ok(SetPcrPolicy { profile, policy, etag: Etag::of(&row.value) })
            })
            .collect()
    }

    /// The policy for the devices of a profile: its own, or that of the tenant's profile `default`.
    pub(super) fn pcr_policy(
        &self,
        tx: &Tx<'_>,
        tenant: &TenantId,
        profile: &ProfileName,
    ) -> Result<PcrPolicy, Stop> {
        for profile in [profile, &default_profile()] {
            let key = rows::profile_key(tenant, profile);
            let row: Option<(u64, PcrPolicyRow)> = tx.row(Table::PcrPolicy, &key)?;
            if let Some((_, row)) = row {
                return Ok(row.parse()?);
            }
        }
        Ok(PcrPolicy::Any)
    }
}

impl From<&PcrPolicy> for PcrPolicyRow {
    fn from(policy: &PcrPolicy) -> Self {
        match policy {
            PcrPolicy::Any => Self::Any,
            PcrPolicy::Golden(golden) => {
                let bytes =
                    |values: &Vec<HashValue>| values.iter().map(|value| value.as_ref().to_vec()).collect();
                let allowed = golden.allowed().iter().map(|(register, values)| (*register, bytes(values)));
                Self::Golden { bank: golden.selection().bank(), allowed: allowed.collect() }
            }
            PcrPolicy::AsEnrolled(selection) => Self::AsEnrolled((*selection).into()),
        }
    }
}

impl PcrPolicyRow {
    fn parse(self) -> Result<PcrPolicy, Error> {
        match self {
            Self::Any => Ok(PcrPolicy::Any),
            Self::Golden { bank, allowed } => {
                let value = |bytes: Vec<u8>| pcr_value(bank, &bytes);
                let values = |values: Vec<Vec<u8>>| values.into_iter().map(value).collect::<Option<_>>();
                let allowed = allowed.into_iter().map(|(register, given)| Some((register, values(given)?)));
                let allowed: Option<BTreeMap<u8, Vec<HashValue>>> = allowed.collect();
                let allowed = allowed.ok_or_else(|| Error::internal("a golden value is damaged"))?;
                let stale = |error: InvalidGolden| {
                    Error::internal(format_args!("{error}; set the policy again with those"))
                };
                Ok(PcrPolicy::Golden(GoldenPcrs::new(bank, allowed).map_err(stale)?))
            }
            Self::AsEnrolled(selection) => Ok(PcrPolicy::AsEnrolled(selection.parse()?)),
        }
    }
}

/// For the audit entry: the policy by its words, and each golden value that came or went.
fn changed(before: Option<&PcrPolicy>, policy: Option<&PcrPolicy>) -> Fields {
    let words = |policy: Option<&PcrPolicy>| policy.map_or_else(|| INHERITED.to_owned(), ToString::to_string);
    let fields = Fields::default().changed(FieldName::PcrPolicy, words(before), words(policy));
    let (was, now) = (golden(before), golden(policy));
    let fields =
        now.difference(&was).fold(fields, |fields, value| fields.with(FieldName::GoldenAdded, value));
    was.difference(&now).fold(fields, |fields, value| fields.with(FieldName::GoldenRemoved, value))
}

fn golden(policy: Option<&PcrPolicy>) -> BTreeSet<String> {
    let Some(PcrPolicy::Golden(golden)) = policy else { return BTreeSet::new() };
    let text = |register: &u8, value: &HashValue| format!("{register} {}", hex(value.as_ref()));
    let all = golden.allowed().iter();
    all.flat_map(|(register, values)| values.iter().map(move |value| text(register, value))).collect()
}
