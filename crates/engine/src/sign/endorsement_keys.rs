//! The endorsement keys that a tenant lists: those of the TPMs that its factory bought.

use crate::approve::Ask;
use crate::kernel::record::Recording;
use crate::kernel::{Caller, Decision, Engine, Error, Page, Paged, Stop, Tx};
use crate::rows::{self, EndorsementKeyRow};
use std::collections::BTreeSet;
use wardein_attest::EkDigest;
use wardein_crypto::Digest;
use wardein_domain::{Event, FieldName, Fields, GuardedDeed, Outcome, Target, TenantId};
use wardein_port::{Change, Table};

/// An endorsement key on a tenant's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndorsementKey {
    /// Its digest.
    pub digest: EkDigest,
    /// Unix seconds.
    pub added_at: u64,
}

impl EndorsementKey {
    /// The most keys that are added or removed at a time.
    pub const MAX_AT_ONCE: usize = 500;
}

impl Engine {
    /// Puts keys on the list of a tenant; how many were not there.
    pub async fn add_endorsement_keys(
        &self,
        caller: &Caller,
        tenant: &TenantId,
        digests: &BTreeSet<EkDigest>,
    ) -> Result<usize, Error> {
        self.require_tenant(caller, tenant)?;
        judge(digests)?;
        let value = rows::encode(&EndorsementKeyRow { added_at: self.time() })?;
        self.transact_by(caller, |tx| {
            let mut change = Change::default();
            let mut new = Vec::new();
            for digest in digests {
                if !self.is_listed(tx, tenant, digest)? {
                    change.insert(Table::EndorsementKey, row_key(tenant, digest), value.clone());
                    new.push(digest);
                }
            }
            self.record_list(&mut change, caller, tenant, Event::EndorsementKeysAdded, &new)?;
            let ask = ask_for("add", tenant, &new);
            self.approved(caller, tx, &ask, Decision::new(change, new.len()))
        })
        .await
    }

    /// Takes keys off the list of a tenant; how many were there. Keys that were enrolled stay enrolled.
    pub async fn remove_endorsement_keys(
        &self,
        caller: &Caller,
        tenant: &TenantId,
        digests: &BTreeSet<EkDigest>,
    ) -> Result<usize, Error> {
        self.require_tenant(caller, tenant)?;
        judge(digests)?;
        self.transact_by(caller, |tx| {
            let mut change = Change::default();
            let mut gone = Vec::new();
            for digest in digests {
                let key = row_key(tenant, digest);
                if let Some(row) = tx.get(Table::EndorsementKey, &key)? {
                    change.delete(Table::EndorsementKey, key, row.version);
                    gone.push(digest);
                }
            }
            self.record_list(&mut change, caller, tenant, Event::EndorsementKeysRemoved, &gone)?;
            let ask = ask_for("remove", tenant, &gone);
            self.approved(caller, tx, &ask, Decision::new(change, gone.len()))
        })
        .await
    }

    /// The list of a tenant, in order of the digests.
    pub async fn list_endorsement_keys(
        &self,
        caller: &Caller,
        tenant: &TenantId,
        page: &Page,
    ) -> Result<Paged<EndorsementKey>, Error> {
        self.require_tenant(caller, tenant)?;
        let prefix = rows::tenant_prefix(tenant);
        self.page(Table::EndorsementKey, &prefix, page, |key, value| {
            let digest = key.get(prefix.len()..).and_then(|digest| digest.try_into().ok());
            let digest = digest.ok_or_else(|| Error::internal("an endorsement key's row key is damaged"))?;
            let row: EndorsementKeyRow = rows::decode(Table::EndorsementKey, value)?;
            Ok(Some(EndorsementKey { digest: EkDigest(Digest(digest)), added_at: row.added_at.get() }))
        })
        .await
    }

    pub(super) fn is_listed(&self, tx: &Tx<'_>, tenant: &TenantId, digest: &EkDigest) -> Result<bool, Stop> {
        Ok(tx.get(Table::EndorsementKey, &row_key(tenant, digest))?.is_some())
    }

    fn record_list(
        &self,
        change: &mut Change,
        caller: &Caller,
        tenant: &TenantId,
        event: Event,
        digests: &[&EkDigest],
    ) -> Result<(), Error> {
        if digests.is_empty() {
            return Ok(());
        }
        let entry = self.entry(caller, event, Target::Tenant(tenant.clone()), Outcome::Done);
        let add =
            |fields: Fields, digest: &&EkDigest| fields.with(FieldName::EndorsementKey, digest.to_string());
        let fields = digests.iter().fold(Fields::default(), add);
        change.record(&entry.in_tenant(tenant).with_all(fields))
    }
}

/// What an approver is shown: each key that comes or goes.
fn ask_for(deed: &'static str, tenant: &TenantId, digests: &[&EkDigest]) -> Ask {
    Ask::new(GuardedDeed::PutEndorsementKeys, Some(tenant))
        .with("deed", deed)
        .with_each("digests", digests.iter().map(ToString::to_string))
}

fn judge(digests: &BTreeSet<EkDigest>) -> Result<(), Error> {
    let max = EndorsementKey::MAX_AT_ONCE;
    match digests.len() {
        0 => Err(Error::wrong("digests", "are missing")),
        length if length > max => {
            Err(Error::wrong("digests", format_args!("are {length}; it takes at most {max}")))
        }
        _ => Ok(()),
    }
}

fn row_key(tenant: &TenantId, digest: &EkDigest) -> Vec<u8> {
    let mut key = rows::tenant_prefix(tenant);
    key.extend_from_slice(&digest.0.0);
    key
}
