//! Tenants, and pages of any list.

use crate::fleet::profiles::default_profile;
use crate::keep::tenant_keys::seal_tenant_key;
use crate::kernel::record::Recording;
use crate::kernel::{Caller, Decision, Engine, Error, Page, Paged};
use crate::rows::{self, AUTHORITY, ProfileRow, TenantRow};
use wardein_domain::{ErrorCode, Event, Outcome, ProfileFields, Target, TenantId, check_file_name};
use wardein_port::{Change, Table};

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Its name.
    pub id: TenantId,
    /// Unix seconds.
    pub created_at: u64,
}

impl Engine {
    /// Creates a tenant with a key of its own and the default profile.
    pub async fn create_tenant(&self, caller: &Caller, tenant: TenantId) -> Result<Tenant, Error> {
        check_file_name(tenant.as_str()).map_err(|error| Error::wrong("tenant", error))?;
        let created_at = self.time();
        let key = tenant.as_str().as_bytes();
        let profile = ProfileRow::new(&ProfileFields::default(), rows::RotationRow::default());
        self.transact_by(caller, |tx| {
            if tx.get(Table::Tenant, key)?.is_some() {
                let message = format_args!("tenant {tenant} already exists");
                return Err(Error::new(ErrorCode::TenantExists, message)
                    .about("wardein.v1.Tenant", &tenant)
                    .into());
            }
            let mut change = Change::default();
            // A change of the root key must not miss this tenant: the version that seals it is judged with the authority's row.
            let authority = tx.get(Table::Authority, AUTHORITY)?.ok_or_else(Error::not_founded)?;
            change.check(Table::Authority, AUTHORITY.to_vec(), authority.version);
            let secret = tx.draw().hidden()?;
            let keys = vec![seal_tenant_key(tx.nonce()?, &self.root.ring(), key, 1, &secret)?];
            let row = TenantRow { created_at, keys, rotation: rows::RotationRow::default() };
            change.insert(Table::Tenant, key.to_vec(), rows::encode(&row)?);
            let profile_key = rows::profile_key(&tenant, &default_profile());
            change.insert(Table::Profile, profile_key, rows::encode(&profile)?);
            let target = Target::Tenant(tenant.clone());
            let entry = self.entry(caller, Event::TenantCreated, target, Outcome::Done);
            change.record(&entry.in_tenant(&tenant))?;
            Ok(Decision::new(change, ()))
        })
        .await?;
        Ok(Tenant { id: tenant, created_at: created_at.get() })
    }

    /// All tenants, in order of their names; of an operator of a tenant that one.
    pub async fn list_tenants(&self, caller: &Caller, page: Page) -> Result<Paged<Tenant>, Error> {
        if let Some(own) = &caller.principal.tenant {
            page.limit()?;
            let key = own.as_str().as_bytes();
            let row = rows::load::<TenantRow>(&*self.store, Table::Tenant, key).await?;
            // There is one page.
            let row = row.filter(|_| page.after.is_none());
            let own = row.map(|(_, row)| Tenant { id: own.clone(), created_at: row.created_at.get() });
            return Ok(Paged { items: own.into_iter().collect(), next: None });
        }
        self.page(Table::Tenant, b"", &page, |key, value| {
            let row: TenantRow = rows::decode(Table::Tenant, value)?;
            let id = rows::word("tenant", std::str::from_utf8(key).unwrap_or_default())?;
            Ok(Some(Tenant { id, created_at: row.created_at.get() }))
        })
        .await
    }
}
