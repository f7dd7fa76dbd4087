//! Which keys the devices of a tenant may sign with.

use crate::approve::Ask;
use crate::kernel::record::{Recording, hex, listed};
use crate::kernel::{Caller, Decision, Engine, Error, Etag, Stop, Tx};
use crate::rows::{self, KeyPolicyRow, RootRef, VendorRootRow};
use std::collections::HashSet;
use wardein_crypto::Digest;
use wardein_domain::{Event, FieldName, Fields, GuardedDeed, KeyKeeper, Outcome, Target, TenantId};
use wardein_pki::{EndorsementChain, VendorRoots};
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
    /// Whether several devices may be one TPM, or have one key.
    pub shared_tpms: bool,
}

/// A policy as it is on record: 0 is the version of one that was never set.
pub(super) struct StoredPolicy {
    pub(super) version: u64,
    pub(super) policy: KeyPolicyRow,
}

impl KeyPolicy {
    /// The most vendor roots.
    pub const MAX_ROOTS: usize = 512;

    /// The most bytes of all of them together.
    pub const MAX_ROOTS_LEN: usize = 1024 * 1024;

    /// The most bytes of one.
    const MAX_ROOT_LEN: usize = 16 * 1024;

    fn judge(&self) -> Result<(), Error> {
        let length: usize = self.vendor_roots.iter().map(Vec::len).sum();
        if self.vendor_roots.len() > Self::MAX_ROOTS || length > Self::MAX_ROOTS_LEN {
            return Err(Error::wrong(
                "policy.vendor_roots",
                format_args!(
                    "are {} certificates of {length} bytes; it takes at most {} of {} together",
                    self.vendor_roots.len(),
                    Self::MAX_ROOTS,
                    Self::MAX_ROOTS_LEN
                ),
            ));
        }
        match self.vendor_roots.iter().position(|root| root.len() > Self::MAX_ROOT_LEN) {
            Some(i) => Err(Error::wrong(
                "policy.vendor_roots",
                format_args!(
                    "certificate {} has {} bytes; it takes at most {}",
                    i + 1,
                    self.vendor_roots[i].len(),
                    Self::MAX_ROOT_LEN
                ),
            )),
            None => Ok(()),
        }
    }
}

/// What is kept of certificates in the policy's own row.
pub(crate) fn refs(ders: &[Vec<u8>]) -> Result<Vec<RootRef>, Error> {
    let one = |(i, der): (usize, &Vec<u8>)| {
        let subject = VendorRoots::subject_of(der).map_err(|error| {
            Error::wrong("policy.vendor_roots", format_args!("certificate {}: {error}", i + 1))
        })?;
        Ok(RootRef::new(&subject, der))
    };
    ders.iter().enumerate().map(one).collect()
}

impl Engine {
    /// Sets the policy of a tenant, whole, where it is of the version `etag`, if one is given. Setting the same again is fine. The answer
    /// is the policy that this call set, and its version, whatever has been set since.
    pub async fn put_key_policy(
        &self,
        caller: &Caller,
        tenant: TenantId,
        mut policy: KeyPolicy,
        etag: Option<Etag>,
    ) -> Result<(KeyPolicy, Etag), Error> {
        self.require_tenant(caller, &tenant)?;
        policy.judge()?;
        policy.keepers.sort_by_key(|keeper| keeper.as_str());
        policy.keepers.dedup();
        let KeyPolicy { vendor_roots: mut ders, first_use, keepers, shared_tpms } = policy;
        let mut seen = HashSet::new();
        ders.retain(|der| seen.insert(Digest::of(der).0));
        let row = KeyPolicyRow { vendor_roots: refs(&ders)?, first_use, keepers, shared_tpms };
        let roots: Vec<_> = row.vendor_roots.iter().zip(&ders).collect();
        let ask = Ask::new(GuardedDeed::PutKeyPolicy, Some(&tenant))
            .with("first_use", row.first_use)
            .with("shared_tpms", row.shared_tpms)
            .with_each("keeper", &row.keepers)
            .with_each("vendor_root_sha256", row.vendor_roots.iter().map(|root| hex(&root.digest)));
        self.transact_by(caller, |tx| {
            let StoredPolicy { version, policy: before } = self.key_policy(tx, &tenant)?;
            let mut change = Change::default();
            if version != 0 && before == row {
                return Ok(Decision::new(change, ()));
            }
            Etag::require(etag, Some(Etag::of(&rows::encode(&before)?)))?;
            for (root, der) in roots.iter().filter(|(root, _)| !before.vendor_roots.contains(root)) {
                let value = rows::encode(&VendorRootRow { der: der.to_vec() })?;
                change.insert(Table::VendorRoot, root.row_key(&tenant), value);
            }
            for root in before.vendor_roots.iter().filter(|root| !row.vendor_roots.contains(root)) {
                let key = root.row_key(&tenant);
                if let Some(found) = tx.get(Table::VendorRoot, &key)? {
                    change.delete(Table::VendorRoot, key, found.version);
                }
            }
            let (key, found) =
                (tenant.as_str().as_bytes().to_vec(), Some(version).filter(|version| *version != 0));
            change.put(Table::KeyPolicy, key, found, rows::encode(&row)?);
            let target = Target::Tenant(tenant.clone());
            let entry = self.entry(caller, Event::KeyPolicyPut, target, Outcome::Done).in_tenant(&tenant);
            change.record(&entry.with_all(changed(&before, &row)))?;
            self.approved(caller, tx, &ask, Decision::new(change, ()))
        })
        .await?;
        let etag = Etag::of(&rows::encode(&row)?);
        let KeyPolicyRow { first_use, keepers, shared_tpms, .. } = row;
        Ok((KeyPolicy { vendor_roots: ders, first_use, keepers, shared_tpms }, etag))
    }

    /// The policy of a tenant, and its version; if none was set, one that trusts only its list.
    pub async fn get_key_policy(
        &self,
        caller: &Caller,
        tenant: &TenantId,
    ) -> Result<(KeyPolicy, Etag), Error> {
        self.require_tenant(caller, tenant)?;
        self.look(|tx| {
            let row = self.key_policy(tx, tenant)?.policy;
            let etag = Etag::of(&rows::encode(&row)?);
            let KeyPolicyRow { vendor_roots, first_use, keepers, shared_tpms } = row;
            let vendor_roots =
                vendor_roots.iter().map(|root| vendor_root(tx, tenant, root)).collect::<Result<_, _>>()?;
            Ok((KeyPolicy { vendor_roots, first_use, keepers, shared_tpms }, etag))
        })
        .await
    }

    pub(super) fn key_policy(&self, tx: &Tx<'_>, tenant: &TenantId) -> Result<StoredPolicy, Stop> {
        let row: Option<(u64, KeyPolicyRow)> = tx.row(Table::KeyPolicy, tenant.as_str().as_bytes())?;
        let (version, policy) = row.unwrap_or_default();
        Ok(StoredPolicy { version, policy })
    }

    /// The trusted certificates that may have issued one of `chain`.
    pub(super) fn roots_for(
        &self,
        tx: &Tx<'_>,
        tenant: &TenantId,
        policy: &KeyPolicyRow,
        chain: &[&[u8]],
    ) -> Result<VendorRoots, Stop> {
        // What cannot be read has no issuer, and is refused where it is judged.
        let issuers = EndorsementChain::parse(chain).map(|chain| chain.issuers()).unwrap_or_default();
        let names: Vec<_> = issuers.iter().map(|issuer| RootRef::name_of(issuer)).collect();
        let asked = policy.vendor_roots.iter().filter(|root| names.contains(&root.name));
        let ders = asked.map(|root| vendor_root(tx, tenant, root)).collect::<Result<Vec<_>, _>>()?;
        let ders: Vec<&[u8]> = ders.iter().map(Vec::as_slice).collect();
        let roots = VendorRoots::new(&ders).map_err(|error| rows::damaged(Table::VendorRoot, error));
        Ok(roots?)
    }
}

fn vendor_root(tx: &Tx<'_>, tenant: &TenantId, root: &RootRef) -> Result<Vec<u8>, Stop> {
    let row: Option<(u64, VendorRootRow)> = tx.row(Table::VendorRoot, &root.row_key(tenant))?;
    let (_, row) = row.ok_or_else(|| rows::damaged(Table::VendorRoot, "is missing"))?;
    Ok(row.der)
}

/// For the audit entry: the changes.
fn changed(before: &KeyPolicyRow, policy: &KeyPolicyRow) -> Fields {
    let mut fields = Fields::default();
    if before.first_use != policy.first_use {
        fields = fields.changed(FieldName::FirstUse, before.first_use, policy.first_use);
    }
    if before.shared_tpms != policy.shared_tpms {
        fields = fields.changed(FieldName::SharedTpms, before.shared_tpms, policy.shared_tpms);
    }
    let (was, now) = (listed(&before.keepers), listed(&policy.keepers));
    if was != now {
        fields = fields.changed(FieldName::Keepers, was, now);
    }
    for (name, these, others) in
        [(FieldName::VendorRootAdded, policy, before), (FieldName::VendorRootRemoved, before, policy)]
    {
        let differ = these.vendor_roots.iter().filter(|root| !others.vendor_roots.contains(root));
        fields = differ.fold(fields, |fields, root| fields.with(name, hex(&root.digest)));
    }
    fields
}
