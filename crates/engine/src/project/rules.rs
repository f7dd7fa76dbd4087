//! The rules for devices by their tenant and profile, in memory: inherited settings, the requested rotations, and trust policies.

use crate::kernel::{Error, Etag};
use crate::rows::{self, ProfileRow, TrustPolicyRow};
use crate::trust::policy::SetTrustPolicy;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use wardein_domain::{Profile, ProfileFields, ProfileName, Rotation, TenantId};
use wardein_port::Table;

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
    /// For the devices of all profiles that have none of their own.
    policy: KnownPolicy,
    policies: HashMap<ProfileName, KnownPolicy>,
}

/// A trust policy with the version of its row; none where what is set for all holds.
#[derive(Default)]
struct KnownPolicy {
    version: u64,
    set: Option<Arc<SetTrustPolicy>>,
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

    /// For how long a verdict on a device of that profile may be kept, in seconds, and the trust policy that holds for it, if any.
    pub(super) fn trust(&self, tenant: &TenantId, name: &ProfileName) -> (u64, Option<Arc<SetTrustPolicy>>) {
        let tenants = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let Some(of_tenant) = tenants.get(tenant) else {
            return (Profile::DEFAULT.verdict_lifetime(), None);
        };
        let of_profile = of_tenant.profiles.get(name);
        let lifetime = of_profile
            .map_or(Profile::DEFAULT.verdict_lifetime(), |known| known.effective.verdict_lifetime());
        (lifetime, of_tenant.policy_of(name).cloned())
    }

    /// The trust policies of a tenant: its own, and those of profiles.
    pub(super) fn policies(&self, tenant: &TenantId) -> TrustPolicies {
        let tenants = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let Some(of_tenant) = tenants.get(tenant) else { return TrustPolicies::default() };
        let own = of_tenant.policies.iter();
        TrustPolicies {
            of_tenant: of_tenant.policy.set.clone(),
            of_profiles: own.filter_map(|(name, known)| Some((name.clone(), known.set.clone()?))).collect(),
        }
    }

    /// Whether a policy of that tenant, or of any, looks at when devices were last heard of.
    pub(super) fn looks_at_signs(&self, tenant: Option<&TenantId>) -> bool {
        let tenants = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let asked = tenants.iter().filter(|(name, _)| tenant.is_none_or(|tenant| tenant == *name));
        let known = asked.flat_map(|(_, of)| of.policies.values().chain([&of.policy]));
        known.filter_map(|known| known.set.as_ref()).any(|set| set.policy.looks_at_signs())
    }

    /// The tenants of which a policy looks at what devices run.
    pub(super) fn tenants_with_software(&self) -> Vec<TenantId> {
        let tenants = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let looks = |of: &OfTenant| {
            let known = of.policies.values().chain([&of.policy]);
            known.filter_map(|known| known.set.as_ref()).any(|set| set.policy.looks_at_software())
        };
        tenants.iter().filter(|(_, of)| looks(of)).map(|(tenant, _)| tenant.clone()).collect()
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
            for (name, known) in
                of.policies.iter().map(|(name, known)| (name.as_str(), known)).chain([("", &of.policy)])
            {
                lines.push(format!("policy {tenant}/{name} at {}: {:?}", known.version, known.set));
            }
        }
        lines
    }

    /// Applies the row of a trust policy, unless a later version is known; whether it was applied.
    pub(super) fn put_policy(&self, key: &[u8], version: u64, value: &[u8]) -> Result<bool, Error> {
        let (tenant, profile) = rows::parse_trust_policy_key(key)?;
        let row: TrustPolicyRow = rows::decode(Table::TrustPolicy, value)?;
        let set = row.policy()?.map(|policy| {
            Arc::new(SetTrustPolicy { profile: profile.clone(), policy, etag: Etag::of(value) })
        });
        let mut tenants = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let of_tenant = tenants.entry(tenant).or_default();
        let known = match profile {
            Some(profile) => of_tenant.policies.entry(profile).or_default(),
            None => &mut of_tenant.policy,
        };
        let is_newer = known.version < version;
        if is_newer {
            *known = KnownPolicy { version, set };
        }
        Ok(is_newer)
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

impl OfTenant {
    fn policy_of(&self, profile: &ProfileName) -> Option<&Arc<SetTrustPolicy>> {
        // Nearly always there is none.
        let own = if self.policies.is_empty() { None } else { self.policies.get(profile) };
        own.and_then(|known| known.set.as_ref()).or(self.policy.set.as_ref())
    }
}

/// The trust policies of a tenant.
#[derive(Debug, Clone, Default)]
pub(crate) struct TrustPolicies {
    pub(crate) of_tenant: Option<Arc<SetTrustPolicy>>,
    pub(crate) of_profiles: HashMap<ProfileName, Arc<SetTrustPolicy>>,
}

impl TrustPolicies {
    /// The one for the devices of a profile.
    pub(crate) fn of(&self, profile: &ProfileName) -> Option<&Arc<SetTrustPolicy>> {
        self.of_profiles.get(profile).or(self.of_tenant.as_ref())
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
