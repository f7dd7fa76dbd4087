//! The keys of tenants: in versions, each sealed under the root key, the newest of which seals the tenant's rows.

use crate::api::Caller;
use crate::engine::{Decision, Engine};
use crate::error::{Error, Kind};
use crate::port::{Change, Clock, RootKey, Store, Table};
use crate::rows::{self, TenantRow};
use crate::seal::{Keyring, Place};
use std::sync::Arc;
use wardein_crypto::{Entropy, Secret, SecretBytes, SystemEntropy};
use wardein_domain::{Event, Outcome, TenantId};

/// How many versions a tenant may have at one time. A sweep drops all but the newest.
const MAX_VERSIONS: usize = 8;

impl<S: Store, C: Clock> Engine<S, C> {
    /// Gives a tenant a new version of its key, and tells its number. It writes one row: from then on rows are sealed under the
    /// new version when they are next written, or by the sweep, which drops the old one in the end.
    pub async fn rotate_tenant_key(&self, caller: &Caller, tenant: TenantId) -> Result<u32, Error> {
        self.require_tenant(caller, &tenant)?;
        let secret =
            SystemEntropy::default().secret().map_err(|_| Error::internal("no entropy for a key"))?;
        let key = tenant.as_str().as_bytes();
        let ring = self
            .transact(|| {
                let (version, mut row): (u64, TenantRow) =
                    rows::load(&self.store, Table::Tenant, key)?.ok_or_else(|| Error::no_tenant(&tenant))?;
                let root = self.root();
                let ring = open_tenant_keys(&root, key, &row)?;
                if ring.len() >= MAX_VERSIONS {
                    let message = format_args!(
                        "tenant {tenant} has {MAX_VERSIONS} versions of its key in use; run `wardein key sweep` first"
                    );
                    return Err(Error::new(Kind::Precondition, "sweep-first", message));
                }
                let next = ring.newest().saturating_add(1);
                row.keys.insert(0, seal_tenant_key(&root, key, next, &secret)?);
                let mut change = Change::default();
                change.update(Table::Tenant, key.to_vec(), version, rows::encode(&row)?);
                let target = format_args!("tenant/{tenant}");
                let entry = self.entry(caller, Event::StorageKeyRotated, target, Outcome::Done);
                change.record(&entry.in_tenant(&tenant).with(format_args!("version {next}")))?;
                Ok(Decision { change, answer: ring.with(next, secret.duplicate()) })
            })
            .await?;
        let version = ring.newest();
        self.directory.put_tenant(tenant, ring);
        Ok(version)
    }

    /// The tenant's key in the newest version that is stored; `change` is refused should another come before it is applied.
    pub(crate) fn newest_tenant_keys(
        &self,
        tenant: &TenantId,
        change: &mut Change,
    ) -> Result<Arc<Keyring>, Error> {
        let key = tenant.as_str().as_bytes();
        let (version, row): (u64, TenantRow) =
            rows::load(&self.store, Table::Tenant, key)?.ok_or_else(|| Error::no_tenant(tenant))?;
        change.check(Table::Tenant, key.to_vec(), version);
        let known = self.directory.tenant_key(tenant)?;
        if known.len() == row.keys.len() {
            return Ok(known);
        }
        open_tenant_keys(&self.root(), key, &row).map(Arc::new)
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
    root: &Keyring,
    key: &[u8],
    version: u32,
    secret: &Secret<32>,
) -> Result<Vec<u8>, Error> {
    let mut plain = SecretBytes::with_capacity(4 + 32);
    plain.extend(&version.to_be_bytes());
    plain.extend(secret.expose());
    root.seal(place(key), plain.expose())
}

/// Where the keys of the tenant in row `key` belong.
pub(crate) fn place(key: &[u8]) -> Place<'_> {
    Place { table: Table::Tenant, key, column: "key" }
}
