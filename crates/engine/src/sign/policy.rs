//! Which keys the devices of a tenant may sign with.

use crate::kernel::record::{Recording, hex, listed};
use crate::kernel::{Caller, Decision, Engine, Error, Stop, Tx};
use crate::rows::{self, KeyPolicyRow};
use wardein_crypto::Digest;
use wardein_domain::{Event, FieldName, Fields, KeyKeeper, Outcome, Target, TenantId};
use wardein_pki::VendorRoots;
use wardein_port::{Change, Table};

/// The tenant's key storage policy, besides the TPMs on its list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyPolicy {
    /// The certificates of TPM vendors, DER.
    pub vendor_roots: Vec<Vec<u8>>,
    /// Whether a TPM that presents no certificate and is not listed is accepted.
    pub first_use: bool,
    /// The other keepers that may hold a key, by the station's word.
    pub keepers: Vec<KeyKeeper>,
}

/// A policy as it is on record: 0 is the version of one that was never set.
pub(super) struct StoredPolicy {
    pub(super) version: u64,
    pub(super) policy: KeyPolicy,
}

impl KeyPolicy {
    /// The most vendor roots.
    pub const MAX_ROOTS: usize = 16;

    /// The most bytes of all of them together.
    pub const MAX_ROOTS_LEN: usize = 48 * 1024;

    pub(super) fn roots(&self) -> Result<VendorRoots, Error> {
        let ders: Vec<&[u8]> = self.vendor_roots.iter().map(Vec::as_slice).collect();
        VendorRoots::new(&ders).map_err(|error| Error::invalid(format_args!("policy.vendor_roots: {error}")))
    }

    fn judge(&self) -> Result<(), Error> {
        let length: usize = self.vendor_roots.iter().map(Vec::len).sum();
        if self.vendor_roots.len() > Self::MAX_ROOTS || length > Self::MAX_ROOTS_LEN {
            return Err(Error::invalid(format_args!(
                "policy.vendor_roots: are {} certificates of {length} bytes; it takes at most {} of {} together",
                self.vendor_roots.len(),
                Self::MAX_ROOTS,
                Self::MAX_ROOTS_LEN
            )));
        }
        self.roots().map(|_| ())
    }
}

impl Engine {
    /// Sets the policy of a tenant, whole. Setting the same again is fine.
    pub async fn put_key_policy(
        &self,
        caller: &Caller,
        tenant: TenantId,
        mut policy: KeyPolicy,
    ) -> Result<(), Error> {
        self.require_tenant(caller, &tenant)?;
        policy.judge()?;
        policy.keepers.sort_by_key(|keeper| keeper.as_str());
        policy.keepers.dedup();
        self.transact_by(caller, |tx| {
            let StoredPolicy { version, policy: before } = self.key_policy(tx, &tenant)?;
            let mut change = Change::default();
            if version != 0 && before == policy {
                return Ok(Decision::new(change, ()));
            }
            let row = KeyPolicyRow {
                vendor_roots: policy.vendor_roots.clone(),
                first_use: policy.first_use,
                keepers: policy.keepers.clone(),
            };
            let (key, found) =
                (tenant.as_str().as_bytes().to_vec(), Some(version).filter(|version| *version != 0));
            change.put(Table::KeyPolicy, key, found, rows::encode(&row)?);
            let target = Target::Tenant(tenant.clone());
            let entry = self.entry(caller, Event::KeyPolicyPut, target, Outcome::Done).in_tenant(&tenant);
            change.record(&entry.with_all(changed(&before, &policy)))?;
            Ok(Decision::new(change, ()))
        })
        .await
    }

    /// The policy of a tenant; if none was set, one that trusts only its list.
    pub async fn get_key_policy(&self, caller: &Caller, tenant: &TenantId) -> Result<KeyPolicy, Error> {
        self.require_tenant(caller, tenant)?;
        Ok(self.look(|tx| self.key_policy(tx, tenant)).await?.policy)
    }

    pub(super) fn key_policy(&self, tx: &Tx<'_>, tenant: &TenantId) -> Result<StoredPolicy, Stop> {
        let row: Option<(u64, KeyPolicyRow)> = tx.row(Table::KeyPolicy, tenant.as_str().as_bytes())?;
        let Some((version, row)) = row else {
            return Ok(StoredPolicy { version: 0, policy: KeyPolicy::default() });
        };
        let KeyPolicyRow { vendor_roots, first_use, keepers } = row;
        let policy = KeyPolicy { vendor_roots, first_use, keepers };
        Ok(StoredPolicy { version, policy })
    }
}

/// For the audit entry: the changes.
fn changed(before: &KeyPolicy, policy: &KeyPolicy) -> Fields {
    let mut fields = Fields::default();
    if before.first_use != policy.first_use {
        fields = fields.changed(FieldName::FirstUse, before.first_use, policy.first_use);
    }
    let (was, now) = (listed(&before.keepers), listed(&policy.keepers));
    if was != now {
        fields = fields.changed(FieldName::Keepers, was, now);
    }
    for (name, these, others) in
        [(FieldName::VendorRootAdded, policy, before), (FieldName::VendorRootRemoved, before, policy)]
    {
        let differ = these.vendor_roots.iter().filter(|root| !others.vendor_roots.contains(root));
        fields = differ.fold(fields, |fields, root| fields.with(name, hex(&Digest::of(root).0)));
    }
    fields
}
