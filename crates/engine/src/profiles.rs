//! Profiles: what holds for groups of devices.

use crate::api::{Caller, ListedProfile, Page};
use crate::audit::Recording;
use crate::kernel::{Decision, Engine, Error, Kind};
use crate::project::Rules;
use crate::rows::{self, ProfileRow};
use wardein_domain::{Event, Outcome, Profile, ProfileFields, ProfileName, TenantId};
use wardein_port::{Change, Table};

impl Engine {
    /// Creates or replaces a profile; with `merge`, what is not set stays as it is. Devices follow at once, but for their
    /// schedules, which change with their next generation.
    pub async fn put_profile(
        &self,
        caller: &Caller,
        tenant: TenantId,
        name: ProfileName,
        fields: ProfileFields,
        merge: bool,
    ) -> Result<(), Error> {
        self.require_tenant(caller, &tenant)?;
        // The bounds do not depend on what is inherited.
        Profile::DEFAULT
            .with(&fields)
            .map_err(|error| Error::invalid(format_args!("profile.{}: {error}", error.field)))?;
        let key = rows::profile_key(&tenant, &name);
        self.transact_by(caller, |tx| {
            let present: Option<(u64, ProfileRow)> = tx.row(Table::Profile, &key)?;
            let (version, before) = present.unzip();
            let set = match &before {
                Some(before) if merge => fields.clone().or(before.fields()),
                _ => fields.clone(),
            };
            let rotation = before.map(|before| before.rotation).unwrap_or_default();
            let row = ProfileRow::new(&set, rotation);
            let mut change = Change::default();
            change.put(Table::Profile, key.clone(), version, rows::encode(&row)?);
            let target = format_args!("profile/{tenant}/{name}");
            let entry = self.entry(caller, Event::ProfilePut, target, Outcome::Done);
            change.record(&entry.in_tenant(&tenant).with(format_args!("{set:?}")))?;
            Ok(Decision::new(change, ()))
        })
        .await
    }

    /// The profiles of a tenant, in order of their names.
    pub async fn list_profiles(
        &self,
        caller: &Caller,
        tenant: TenantId,
    ) -> Result<Vec<ListedProfile>, Error> {
        self.require_tenant(caller, &tenant)?;
        let prefix = rows::tenant_prefix(&tenant);
        let rows = self.store.scan(Table::Profile, &prefix, None, Page::MAX).await?;
        rows.into_iter()
            .map(|(key, row)| {
                let name = std::str::from_utf8(key.get(prefix.len()..).unwrap_or_default());
                let name: ProfileName = rows::word("profile", name.unwrap_or_default())?;
                let set = rows::decode::<ProfileRow>(Table::Profile, &row.value)?.fields();
                let effective = self.rules_of(&tenant, &name)?.profile;
                Ok(ListedProfile { name, set, effective })
            })
            .collect()
    }

    /// What holds for the devices of a profile that is there.
    pub(crate) fn rules_of(&self, tenant: &TenantId, name: &ProfileName) -> Result<Rules, Error> {
        self.memory.rules(tenant, name).ok_or_else(|| Error::no_profile(tenant, name))
    }
}

/// The profile that every tenant has.
pub(crate) fn default_profile() -> ProfileName {
    ProfileName::DEFAULT.parse().expect("the constant is a profile's name")
}

impl Error {
    pub(crate) fn no_profile(tenant: &TenantId, name: &ProfileName) -> Self {
        let message = format_args!("profile: tenant {tenant} has no profile {name}");
        Self::new(Kind::NotFound, "profile-unknown", message)
    }
}
