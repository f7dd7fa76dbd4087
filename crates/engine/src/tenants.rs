//! Tenants and their profiles.

use crate::api::{Caller, Page, Paged, Tenant};
use crate::directory::tenant_key_place;
use crate::engine::{Decision, Engine};
use crate::error::{Error, Kind};
use crate::port::{Change, Clock, Expect, Store, Table, Write};
use crate::rows::{self, ProfileRow, TenantRow};
use crate::seal::SealingKey;
use wardein_crypto::{Entropy, SystemEntropy};
use wardein_domain::{Event, Outcome, Profile, ProfileName, TenantId};

/// How many rows are looked at for one page.
const SCANNED: usize = 20_000;

impl<S: Store, C: Clock> Engine<S, C> {
    /// Creates a tenant with a key of its own and the default profile.
    pub async fn create_tenant(&self, caller: &Caller, tenant: TenantId) -> Result<Tenant, Error> {
        let created_at = self.now();
        let secret =
            SystemEntropy::default().secret().map_err(|_| Error::internal("no entropy for a key"))?;
        let key = tenant.as_str().as_bytes();
        self.transact(|| {
            if self.store.get(Table::Tenant, key)?.is_some() {
                let message = format_args!("tenant {tenant} is there already");
                return Err(Error::new(Kind::Exists, "tenant-exists", message));
            }
            let sealed = self.root.seal(tenant_key_place(key), secret.expose())?;
            let mut change = Change::default();
            change.insert(Table::Tenant, key.to_vec(), rows::encode(&TenantRow { created_at, key: sealed })?);
            let profile = default_profile();
            let profile_key = rows::profile_key(&tenant, &profile);
            change.insert(Table::Profile, profile_key, rows::encode(&ProfileRow::from(&Profile::DEFAULT))?);
            let entry =
                self.entry(caller, Event::TenantCreated, format_args!("tenant/{tenant}"), Outcome::Done);
            change.record(&entry.in_tenant(&tenant))?;
            Ok(Decision { change, answer: () })
        })
        .await?;
        self.directory.put_profile(tenant.clone(), default_profile(), Profile::DEFAULT);
        self.directory.put_tenant(tenant.clone(), SealingKey::new(secret));
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

    /// Creates or replaces a profile. Schedules of devices that are enrolled change with their next generation.
    pub async fn put_profile(
        &self,
        caller: &Caller,
        tenant: TenantId,
        name: ProfileName,
        profile: Profile,
    ) -> Result<(), Error> {
        self.require_tenant(caller, &tenant)?;
        let key = rows::profile_key(&tenant, &name);
        self.transact(|| {
            let present = self.store.get(Table::Profile, &key)?;
            let expect = present.map_or(Expect::Absent, |row| Expect::Version(row.version));
            let value = Some(rows::encode(&ProfileRow::from(&profile))?);
            let mut change = Change::default();
            change.writes.push(Write { table: Table::Profile, key: key.clone(), expect, value });
            let target = format_args!("profile/{tenant}/{name}");
            let entry = self.entry(caller, Event::ProfilePut, target, Outcome::Done);
            change.record(&entry.in_tenant(&tenant).with(format_args!("{profile:?}")))?;
            Ok(Decision { change, answer: () })
        })
        .await?;
        self.directory.put_profile(tenant, name, profile);
        Ok(())
    }

    /// The profiles of a tenant, in order of their names.
    pub fn list_profiles(
        &self,
        caller: &Caller,
        tenant: TenantId,
    ) -> Result<Vec<(ProfileName, Profile)>, Error> {
        self.require_tenant(caller, &tenant)?;
        let prefix = rows::tenant_prefix(&tenant);
        let rows = self.store.scan(Table::Profile, &prefix, None, Page::MAX)?;
        rows.into_iter()
            .map(|(key, row)| {
                let name =
                    std::str::from_utf8(key.get(prefix.len()..).unwrap_or_default()).unwrap_or_default();
                Ok((
                    rows::word("profile", name)?,
                    rows::decode::<ProfileRow>(Table::Profile, &row.value)?.parse()?,
                ))
            })
            .collect()
    }

    /// A page of a table: what `parse` makes of each row, leaving out what it leaves out. A page may hold fewer items than were
    /// asked for, or none, and still name a next one: so a search for what is rare ends.
    pub(crate) fn page<T>(
        &self,
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
                if items.len() == limit || scanned == SCANNED {
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

fn default_profile() -> ProfileName {
    ProfileName::DEFAULT.parse().expect("the constant is a profile's name")
}

impl From<&Profile> for ProfileRow {
    fn from(profile: &Profile) -> Self {
        let schedule = profile.schedule(0);
        Self {
            certificate_validity: profile.certificate_validity(),
            period: schedule.period,
            max_uses: schedule.max_uses,
            suites: profile.suites().collect(),
            verdict_lifetime: profile.verdict_lifetime(),
        }
    }
}

impl ProfileRow {
    pub(crate) fn parse(&self) -> Result<Profile, Error> {
        Profile::new(
            self.certificate_validity,
            self.period,
            self.max_uses,
            &self.suites,
            self.verdict_lifetime,
        )
        .map_err(Error::internal)
    }
}
