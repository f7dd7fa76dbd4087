//! Tenants, and pages of any list.

use crate::api::{Caller, Page, Paged, Tenant};
use crate::engine::{Decision, Engine};
use crate::error::{Error, Kind};
use crate::port::{Change, Clock, Store, Table};
use crate::profiles::default_profile;
use crate::rows::{self, AUTHORITY, ProfileRow, TenantRow};
use crate::seal::Keyring;
use crate::tenant_keys::seal_tenant_key;
use wardein_crypto::{Entropy, SystemEntropy};
use wardein_domain::{Event, Outcome, ProfileFields, Rotation, TenantId};

/// How many rows are looked at for one page.
pub(crate) const SCANNED: usize = 20_000;

impl<S: Store, C: Clock> Engine<S, C> {
    /// Creates a tenant with a key of its own and the default profile.
    pub async fn create_tenant(&self, caller: &Caller, tenant: TenantId) -> Result<Tenant, Error> {
        let created_at = self.now();
        let secret =
            SystemEntropy::default().secret().map_err(|_| Error::internal("no entropy for a key"))?;
        let key = tenant.as_str().as_bytes();
        let profile = ProfileRow::from(&ProfileFields::default());
        self.transact(|| {
            if self.store.get(Table::Tenant, key)?.is_some() {
                let message = format_args!("tenant {tenant} is there already");
                return Err(Error::new(Kind::Exists, "tenant-exists", message));
            }
            let mut change = Change::default();
            // A root key that is being changed must not miss this tenant: what it is sealed under is judged with the authority's row.
            let authority = self.store.get(Table::Authority, AUTHORITY)?.ok_or_else(Error::not_founded)?;
            change.check(Table::Authority, AUTHORITY.to_vec(), authority.version);
            let keys = vec![seal_tenant_key(&self.root(), key, 1, &secret)?];
            let row = TenantRow { created_at, keys, rotation: rows::RotationRow::default() };
            change.insert(Table::Tenant, key.to_vec(), rows::encode(&row)?);
            let profile_key = rows::profile_key(&tenant, &default_profile());
            change.insert(Table::Profile, profile_key, rows::encode(&profile)?);
            let entry =
                self.entry(caller, Event::TenantCreated, format_args!("tenant/{tenant}"), Outcome::Done);
            change.record(&entry.in_tenant(&tenant))?;
            Ok(Decision { change, answer: () })
        })
        .await?;
        self.directory.rules.put_profile(tenant.clone(), default_profile(), 1, &profile)?;
        self.directory.rules.put_tenant(tenant.clone(), 1, Rotation::default());
        self.directory.put_tenant(tenant.clone(), Keyring::new(1, secret));
        Ok(Tenant { id: tenant, created_at })
    }

    /// All tenants, in order of their names.
    pub fn list_tenants(&self, _caller: &Caller, page: Page) -> Result<Paged<Tenant>, Error> {
        self.page(Table::Tenant, b"", &page, |key, value| {
            let row: TenantRow = rows::decode(Table::Tenant, value)?;
            let id = rows::word("tenant", std::str::from_utf8(key).unwrap_or_default())?;
            Ok(Some(Tenant { id, created_at: row.created_at }))
        })
    }

    /// A page of a table: what `parse` makes of each row, leaving out what it leaves out. A page may hold fewer items than were
    /// asked for, or none, and still name a next one: so a search for what is rare ends.
    pub(crate) fn page<T>(
        &self,
        table: Table,
        prefix: &[u8],
        page: &Page,
        parse: impl FnMut(&[u8], &[u8]) -> Result<Option<T>, Error>,
    ) -> Result<Paged<T>, Error> {
        self.page_within(SCANNED, table, prefix, page, parse)
    }

    /// The same, looking at no more than `most` rows.
    pub(crate) fn page_within<T>(
        &self,
        most: usize,
        table: Table,
        prefix: &[u8],
        page: &Page,
        mut parse: impl FnMut(&[u8], &[u8]) -> Result<Option<T>, Error>,
    ) -> Result<Paged<T>, Error> {
        let limit = page.limit()?;
        if page.after.as_ref().is_some_and(|after| !after.starts_with(prefix)) {
            return Err(Error::invalid("page_token: is not one of this list"));
        }
        let (mut after, mut items, mut scanned) = (page.after.clone(), Vec::new(), 0);
        loop {
            let rows = self.store.scan(table, prefix, after.as_deref(), Page::MAX)?;
            let is_last = rows.len() < Page::MAX;
            for (key, row) in rows {
                if items.len() == limit || scanned == most {
                    return Ok(Paged { items, next: after });
                }
                scanned += 1;
                if let Some(item) = parse(&key, &row.value)? {
                    items.push(item);
                }
                after = Some(key);
            }
            if is_last {
                return Ok(Paged { items, next: None });
            }
        }
    }
}
