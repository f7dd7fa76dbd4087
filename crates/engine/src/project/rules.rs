//! The rules for devices by their tenant and profile, in memory: inherited settings, and the requested rotations.

use crate::kernel::Error;
use crate::rows::ProfileRow;
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use wardein_domain::{Profile, ProfileFields, ProfileName, Rotation, TenantId};

/// The rules of all tenants.
#[derive(Default)]
pub(super) struct TenantRules(RwLock<HashMap<TenantId, OfTenant>>);

/// The rules for the devices of a profile.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// The profile including inherited settings.
    pub(crate) profile: Profile,
    /// The rotations of the tenant and of the profile, together.
    pub(crate) rotation: Rotation,
}

impl Default for Rules {
    /// The rules without a profile.
    fn default() -> Self {
        Self { profile: Profile::DEFAULT, rotation: Rotation::default() }
    }
}

#[derive(Default)]
struct OfTenant {
    /// The version of the tenant's row that this was read from, and its rotation.
    version: u64,
    rotation: Rotation,
    profiles: HashMap<ProfileName, OfProfile>,
}

struct OfProfile {
    version: u64,
    fields: ProfileFields,
    rotation: Rotation,
    effective: Profile,
}

impl TenantRules {
    pub(super) fn rules(&self, tenant: &TenantId, name: &ProfileName) -> Option<Rules> {
        let tenants = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let of_tenant = tenants.get(tenant)?;
        let of_profile = of_tenant.profiles.get(name)?;
        Some(Rules {
            profile: of_profile.effective.clone(),
            rotation: of_tenant.rotation.and(of_profile.rotation),
        })
    }

    /// For how long a verdict on a device of that profile may be kept, in seconds.
    pub(super) fn verdict_lifetime(&self, tenant: &TenantId, name: &ProfileName) -> u64 {
        let tenants = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let of_profile = tenants.get(tenant).and_then(|of_tenant| of_tenant.profiles.get(name));
        of_profile.map_or(Profile::DEFAULT.verdict_lifetime(), |known| known.effective.verdict_lifetime())
    }

    #[cfg(test)]
    pub(super) fn dump(&self) -> Vec<String> {
        let all = self.0.read().unwrap();
        let mut lines = Vec::new();
        for (tenant, of) in all.iter() {
            let tenant = tenant.as_str();
            lines.push(format!("rules {tenant} at {}: {:?}", of.version, of.rotation));
            for (name, profile) in &of.profiles {
                let OfProfile { version, rotation, effective, .. } = profile;
                lines.push(format!(
                    "profile {tenant}/{} at {version}: {rotation:?} {effective:?}",
                    name.as_str()
                ));
            }
        }
        lines
    }

    /// Applies the rotation of a tenant's row, unless a later version is known.
    pub(super) fn put_tenant(&self, tenant: TenantId, version: u64, rotation: Rotation) {
        let mut tenants = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let of_tenant = tenants.entry(tenant).or_default();
        if of_tenant.version < version {
            (of_tenant.version, of_tenant.rotation) = (version, rotation);
        }
    }

    /// Applies a profile's row, unless a later version is known. The profiles under which verdicts are now kept for another time.
    pub(super) fn put_profile(
        &self,
        tenant: TenantId,
        name: ProfileName,
        version: u64,
        row: &ProfileRow,
    ) -> Result<Vec<ProfileName>, Error> {
        let fields = row.fields();
        let effective = Profile::DEFAULT.with(&fields).map_err(Error::internal)?;
        let of_profile = OfProfile { version, fields, rotation: row.rotation.into(), effective };
        let mut tenants = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let profiles = &mut tenants.entry(tenant).or_default().profiles;
        if profiles.get(&name).is_none_or(|present| present.version < version) {
            let lifetimes = |profiles: &HashMap<ProfileName, OfProfile>| {
                let of = profiles.iter().map(|(name, of)| (name.clone(), of.effective.verdict_lifetime()));
                of.collect::<HashMap<_, _>>()
            };
            let mut before = lifetimes(profiles);
            // Until there is such a profile, its devices follow the built-in rules.
            before.entry(name.clone()).or_insert(Profile::DEFAULT.verdict_lifetime());
            profiles.insert(name, of_profile);
            inherit(profiles)?;
            let after = lifetimes(profiles).into_iter();
            return Ok(after
                .filter(|(name, lifetime)| before.get(name) != Some(lifetime))
                .map(|(name, _)| name)
                .collect());
        }
        Ok(Vec::new())
    }
}

/// Recomputes the effective rules of each profile of a tenant.
fn inherit(profiles: &mut HashMap<ProfileName, OfProfile>) -> Result<(), Error> {
    let default = profiles.iter().find(|(name, _)| name.as_str() == ProfileName::DEFAULT);
    let base = default.map_or(Ok(Profile::DEFAULT), |(_, default)| Profile::DEFAULT.with(&default.fields));
    let base = base.map_err(Error::internal)?;
    for profile in profiles.values_mut() {
        profile.effective = base.with(&profile.fields).map_err(Error::internal)?;
    }
    Ok(())
}
