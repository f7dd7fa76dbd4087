//! The root key is changed while the authority serves: custody keeps the new version beside the old one, what is sealed under the
//! root key is sealed anew (the authority's own keys and those of tenants, and nothing below), and custody drops the old one.
//!
//! Until the last step both versions open, so that a crash at any point loses nothing: the next start finds two versions in custody,
//! and goes on from where it was. What was done is told by the version in front of each sealed value.

use crate::api::Caller;
use crate::audit::Recording;
use crate::authority::place;
use crate::kernel::{Decision, Draw, Engine, Error, Kind};
use crate::rows::{self, AUTHORITY, AuthorityRow, TenantRow};
use crate::tenant_keys;
use crate::upkeep::Busy;
use wardein_domain::{Actor, AuditEntry, Event, Outcome};
use wardein_port::{Change, CommitError, Custody, CustodyError, RootKey, Table};

/// How many rows are looked at at a time.
const PAGE: usize = 1_000;

impl Engine {
    /// Changes the root key, and tells the number of the new version. Calls go on meanwhile. One that was begun before, and not
    /// finished, is finished instead.
    pub async fn rotate_root_key(&self, caller: &Caller) -> Result<u32, Error> {
        let _busy = Busy::take(&self.upkeep.root, "a change of the root key")?;
        let custody = self.custody()?;
        let ring = self.root.ring();
        if ring.len() == 1 {
            let version = ring.newest().checked_add(1).ok_or_else(|| Error::internal("no more versions"))?;
            let entry = self.entry(caller, Event::StorageKeyRotated, "authority", Outcome::Done);
            let entry = entry.with(format_args!("root key, version {version}: begun"));
            self.record(entry).await?;
            let secret = Draw::new(&*self.entropy).hidden()?;
            custody.keep(RootKey { version, secret: secret.duplicate() }).await?;
            self.root.set(ring.with(version, secret));
        }
        let entry = self.entry(caller, Event::StorageKeyRotated, "authority", Outcome::Done);
        self.finish_root_key(custody, entry).await
    }

    /// Finishes a change of the root key that was cut short, if one was. To be called before anything is served.
    pub async fn resume(&self) -> Result<(), Error> {
        if self.root.ring().len() > 1 {
            let _busy = Busy::take(&self.upkeep.root, "a change of the root key")?;
            let (now, event) = (self.clock.now_ms(), Event::StorageKeyRotated);
            let entry = AuditEntry::new(now, &Actor::System, event, "authority", Outcome::Done, "");
            self.finish_root_key(self.custody()?, entry).await?;
        }
        Ok(())
    }

    pub(crate) fn custody(&self) -> Result<&dyn Custody, Error> {
        self.custody.as_deref().ok_or_else(|| {
            let message = "this authority keeps its root key where it cannot be changed";
            Error::new(Kind::Precondition, "custody-fixed", message)
        })
    }

    async fn finish_root_key(&self, custody: &dyn Custody, entry: AuditEntry) -> Result<u32, Error> {
        let version = self.root.ring().newest();
        while !self.renew_authority(&entry).await? {}
        custody.keep_only(version).await?;
        self.root.set(self.root.ring().since(version));
        Ok(version)
    }

    /// Seals tenants' keys anew, then the authority's. `false` when a tenant came meanwhile, which may be under the old version.
    async fn renew_authority(&self, entry: &AuditEntry) -> Result<bool, Error> {
        let root = self.root.ring();
        let (fence, mut row): (u64, AuthorityRow) =
            rows::load(&*self.store, Table::Authority, AUTHORITY).await?.ok_or_else(Error::not_founded)?;
        let mut after: Option<Vec<u8>> = None;
        let mut tenants = 0;
        loop {
            let page = self.store.scan(Table::Tenant, b"", after.as_deref(), PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            for (key, _) in &page {
                tenants += u64::from(self.renew_tenant(key).await?);
            }
        }
        let (mut renewed, draw) = (0, Draw::new(&*self.entropy));
        for (column, sealed) in row.sealed_columns() {
            if let Some(anew) = root.renew(draw.nonce()?, place(column), sealed)? {
                *sealed = anew;
                renewed += 1;
            }
        }
        if renewed == 0 && tenants == 0 {
            return Ok(true);
        }
        let mut change = Change::default();
        change.update(Table::Authority, AUTHORITY.to_vec(), fence, rows::encode(&row)?);
        change.record(
            &entry
                .clone()
                .with(format_args!("root key, version {}: {tenants} tenants sealed anew", root.newest())),
        )?;
        match self.commit_alone(change).await {
            Ok(_) => Ok(true),
            Err(CommitError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether it was under an older version.
    async fn renew_tenant(&self, key: &[u8]) -> Result<bool, Error> {
        self.transact(|tx| {
            let root = self.root.ring();
            let (version, mut row): (u64, TenantRow) =
                tx.row(Table::Tenant, key)?.ok_or_else(|| Error::internal("a tenant is gone"))?;
            let mut change = Change::default();
            let mut is_renewed = false;
            for sealed in &mut row.keys {
                if let Some(anew) = root.renew(tx.nonce()?, tenant_keys::place(key), sealed)? {
                    *sealed = anew;
                    is_renewed = true;
                }
            }
            if is_renewed {
                change.update(Table::Tenant, key.to_vec(), version, rows::encode(&row)?);
            }
            Ok(Decision::new(change, is_renewed))
        })
        .await
    }
}

impl From<CustodyError> for Error {
    fn from(error: CustodyError) -> Self {
        // Whoever may change the root key is told why it cannot be kept: a disk that is full, a file that was replaced.
        let message = format_args!("custody: {error}; mend that, and ask again");
        Self::new(Kind::Precondition, "custody-unavailable", message)
    }
}
