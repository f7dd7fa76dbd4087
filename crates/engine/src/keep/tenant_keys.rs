//! The keys of tenants: in versions, each sealed under the root key, the newest of which seals the tenant's rows.

use crate::kernel::record::Recording;
use crate::kernel::{Caller, Decision, Engine, Error, Stop, Tx};
use crate::rows::seal::{Keyring, Nonce, Place};
use crate::rows::{self, TenantRow};
use std::sync::Arc;
use wardein_crypto::{Secret, SecretBytes};
use wardein_domain::{AuditEntry, ErrorCode, Event, FieldName, Outcome, Target, TenantId};
use wardein_port::{Change, RootKey, Table};

/// How many versions a tenant may have at one time. A sweep drops all but the newest.
const MAX_VERSIONS: usize = 8;

impl Engine {
    /// Gives a tenant a new version of its key, and returns its number. It writes one row: from then on rows are sealed under the
    /// new version when they are next written, or by the sweep, which drops the old one in the end.
    pub async fn rotate_tenant_key(&self, caller: &Caller, tenant: TenantId) -> Result<u32, Error> {
        self.require_tenant(caller, &tenant)?;
        self.transact_by(caller, |tx| {
            let mut change = Change::default();
            let target = Target::Tenant(tenant.clone());
            let entry = self.entry(caller, Event::StorageKeyRotated, target, Outcome::Done);
            let next = self.add_tenant_key(tx, &tenant, &mut change, entry, MAX_VERSIONS)?;
            Ok(Decision::new(change, next))
        })
        .await
    }

    /// Adds a version of the tenant's key to `change`, with an audit entry that is completed here; its number. Where the tenant
    /// has `most` versions already it is refused.
    pub(crate) fn add_tenant_key(
        &self,
        tx: &mut Tx<'_>,
        tenant: &TenantId,
        change: &mut Change,
        entry: AuditEntry,
        most: usize,
    ) -> Result<u32, Stop> {
        let key = tenant.as_str().as_bytes();
        let (version, mut row): (u64, TenantRow) =
            tx.row(Table::Tenant, key)?.ok_or_else(|| Error::no_tenant(tenant))?;
        let root = self.root.ring();
        let ring = open_tenant_keys(&root, key, &row)?;
        if ring.len() >= most {
            let message = format_args!(
                "tenant {tenant} has {most} versions of its key in use; run `wardein key sweep` first"
            );
            return Err(Error::new(ErrorCode::SweepFirst, message).into());
        }
        let before = ring.newest();
        let next = before.saturating_add(1);
        let secret = tx.draw().hidden()?;
        row.keys.insert(0, seal_tenant_key(tx.nonce()?, &root, key, next, &secret)?);
        change.update(Table::Tenant, key.to_vec(), version, rows::encode(&row)?);
        change.record(&entry.in_tenant(tenant).changed(FieldName::KeyVersion, before, next))?;
        Ok(next)
    }

    /// The tenant's key in the newest version that is stored; `change` is refused should another come before it is applied.
    pub(crate) fn newest_tenant_keys(
        &self,
        tx: &Tx<'_>,
        tenant: &TenantId,
        change: &mut Change,
    ) -> Result<Arc<Keyring>, Stop> {
        let key = tenant.as_str().as_bytes();
        let (version, row): (u64, TenantRow) =
            tx.row(Table::Tenant, key)?.ok_or_else(|| Error::no_tenant(tenant))?;
        change.check(Table::Tenant, key.to_vec(), version);
        let known = self.memory.tenant_key(tenant)?;
        if known.len() == row.keys.len() {
            return Ok(known);
        }
        Ok(Arc::new(open_tenant_keys(&self.root.ring(), key, &row)?))
    }
}

/// The keys of a tenant, out of its row.
pub(crate) fn open_tenant_keys(root: &Keyring, key: &[u8], row: &TenantRow) -> Result<Keyring, Error> {
    let damaged = || Error::internal("a tenant's keys are damaged");
    let open = |sealed: &Vec<u8>| {
        let opened = root.open(place(key), sealed)?;
        let (version, secret) = opened.expose().split_first_chunk().ok_or_else(damaged)?;
        let secret: &[u8; 32] = secret.try_into().map_err(|_| damaged())?;
        Ok(RootKey { version: u32::from_be_bytes(*version), secret: Secret::copied_from(secret) })
    };
    let keys = row.keys.iter().map(open).collect::<Result<Vec<_>, Error>>()?;
    Keyring::of(keys).ok_or_else(damaged)
}

/// A version of a tenant's key as its row holds it.
pub(crate) fn seal_tenant_key(
    nonce: Nonce,
    root: &Keyring,
    key: &[u8],
    version: u32,
    secret: &Secret<32>,
) -> Result<Vec<u8>, Error> {
    let mut plain = SecretBytes::with_capacity(4 + 32);
    plain.extend(&version.to_be_bytes());
    plain.extend(secret.expose());
    root.seal(nonce, place(key), plain.expose())
}

/// Where the keys of the tenant in row `key` belong.
pub(crate) fn place(key: &[u8]) -> Place<'_> {
    Place { table: Table::Tenant, key, column: "key" }
}
