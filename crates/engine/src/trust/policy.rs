//! Trust policies as administrators see, try and set them.

use crate::approve::Ask;
use crate::kernel::record::{INHERITED, Recording};
use crate::kernel::{Caller, Decision, Engine, Error, Etag, Page, Paged, SCANNED, Tx};
use crate::project::TrustPolicies;
use crate::rows::{self, DeviceRow, KeysRow, TrustPolicyRow};
use std::collections::BTreeSet;
use std::sync::Arc;
use wardein_ddkg::DeviceName;
use wardein_domain::{
    DeviceFacts, DeviceId, DeviceState, Event, FieldName, Fields, GuardedDeed, Judgment, Offline, Outcome,
    Profile, ProfileName, Signs, Target, TenantId, TrustPolicy, TrustRule, UnixSeconds, Verdict,
    VerdictReason,
};
use wardein_port::{Change, Table};

/// A trust policy that is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetTrustPolicy {
    /// The profile for whose devices; none for those of all profiles of the tenant that have none of their own.
    pub profile: Option<ProfileName>,
    /// The rules.
    pub policy: TrustPolicy,
    /// The version of it.
    pub etag: Etag,
}

/// What is set at one place, and what holds there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustPolicyView {
    /// The policy that is set there; none where it inherits.
    pub own: Option<TrustPolicy>,
    /// The version of that, also where none is set.
    pub etag: Etag,
    /// What holds; none where nothing is set above it either.
    pub effective: Option<SetTrustPolicy>,
}

/// The verdict on a device, and what led to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceTrust {
    /// The verdict.
    pub judgment: Judgment,
    /// The policy that it was given by; none where nothing is set for the device.
    pub policy: Option<Arc<SetTrustPolicy>>,
}

/// A device on which another policy gives another verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerdictChange {
    /// The device.
    pub device: DeviceId,
    /// The present verdict.
    pub before: Verdict,
    /// The verdict by the other policy, and why.
    pub after: Verdict,
    /// Why that.
    pub reasons: Vec<VerdictReason>,
}

/// A page of what another policy would change.
#[derive(Debug, Clone)]
pub struct PolicyPreview {
    /// The devices with another verdict.
    pub changes: Paged<VerdictChange>,
    /// How many devices that the policy is for were looked at for this page.
    pub looked_at: u32,
}

impl Engine {
    /// Reads again when devices were last heard of, where a trust policy asks and other nodes hear of them too.
    pub async fn look_at_signs_again(&self) -> Result<(), Error> {
        match self.store.is_alone() {
            true => Ok(()),
            false => self.memory.look_at_signs_again(&*self.store).await,
        }
    }

    /// The trust policy at a profile, or that of the tenant itself.
    pub async fn get_trust_policy(
        &self,
        caller: &Caller,
        tenant: &TenantId,
        profile: Option<&ProfileName>,
    ) -> Result<TrustPolicyView, Error> {
        self.require_tenant(caller, tenant)?;
        self.require_profile(tenant, profile)?;
        self.policy_view(tenant, profile)
    }

    /// Sets the trust policy at a profile, or that of the tenant for the profiles that have none of their own; with no policy what is
    /// above holds. Verdicts follow at once. Setting the same again changes nothing.
    pub async fn put_trust_policy(
        &self,
        caller: &Caller,
        tenant: &TenantId,
        profile: Option<&ProfileName>,
        policy: Option<TrustPolicy>,
        etag: Option<Etag>,
    ) -> Result<TrustPolicyView, Error> {
        self.require_tenant(caller, tenant)?;
        self.require_profile(tenant, profile)?;
        if policy.as_ref().is_some_and(TrustPolicy::looks_at_signs) {
            // Before verdicts rest on it.
            self.memory.want_signs(&*self.store).await?;
        }
        let key = rows::trust_policy_key(tenant, profile);
        let ask = ask(tenant, profile, policy.as_ref());
        self.transact_by(caller, |tx| {
            let before: Option<(u64, TrustPolicyRow)> = tx.row(Table::TrustPolicy, &key)?;
            let (version, row) = before.unzip();
            let was = row.map(TrustPolicyRow::policy).transpose()?.flatten();
            let (present, next) = (etag_of(was.as_ref())?, etag_of(policy.as_ref())?);
            Etag::require(etag, Some(present))?;
            let mut change = Change::default();
            if was == policy {
                return Ok(Decision::new(change, ()));
            }
            change.put(
                Table::TrustPolicy,
                key.clone(),
                version,
                rows::encode(&TrustPolicyRow::from(policy.as_ref()))?,
            );
            let target = match profile {
                Some(profile) => Target::Profile(tenant.clone(), profile.clone()),
                None => Target::Tenant(tenant.clone()),
            };
            let entry = self.entry(caller, Event::TrustPolicyPut, target, Outcome::Done);
            let fields = changed((was.as_ref(), present), (policy.as_ref(), next));
            change.record(&entry.in_tenant(tenant).with_all(fields))?;
            self.approved(caller, tx, &ask, Decision::new(change, ()))
        })
        .await?;
        self.policy_view(tenant, profile)
    }

    /// The devices on which this policy, if it were set there, would give another verdict now, in order of their ids. It changes nothing. A
    /// page looks at a bounded number of devices: it may hold fewer than requested and still name a next one.
    pub async fn preview_trust_policy(
        &self,
        caller: &Caller,
        tenant: &TenantId,
        profile: Option<&ProfileName>,
        policy: Option<TrustPolicy>,
        page: Page,
    ) -> Result<PolicyPreview, Error> {
        self.require_tenant(caller, tenant)?;
        self.require_profile(tenant, profile)?;
        let present = self.memory.trust_policies(tenant);
        let next = match (policy, profile) {
            (Some(policy), _) => policy,
            (None, Some(_)) => rules(present.of_tenant.as_ref()).clone(),
            (None, None) => TrustPolicy::default(),
        };
        let looks_at_signs = next.looks_at_signs() || all(&present).any(|set| set.policy.looks_at_signs());
        let (now, most) = (self.now(), if looks_at_signs { READ } else { SCANNED });
        let prefix = rows::tenant_prefix(tenant);
        let mut pager = self.pager(Table::Device, &prefix, &page, most)?;
        let mut looked_at = 0;
        while let Some((key, row)) = pager.next().await? {
            let row: DeviceRow = rows::decode(Table::Device, &row.value)?;
            let is_for = match profile {
                Some(profile) => row.profile == *profile,
                None => !present.of_profiles.contains_key(&row.profile),
            };
            if !is_for {
                continue;
            }
            looked_at += 1;
            // Under any policy its state alone decides.
            if row.state != DeviceState::Active {
                continue;
            }
            let name = rows::parse_device_key(&key)?;
            let signs = match looks_at_signs {
                true => self.look(|tx| self.signs(tx, &name)).await?,
                false => Signs::default(),
            };
            let is_software_approved = self.memory.approves_row(&row);
            let versions: Vec<_> = row.versions.into_iter().map(|of| (of.attribute, of.version)).collect();
            let facts = DeviceFacts {
                state: row.state,
                verdict_lifetime: Profile::DEFAULT.verdict_lifetime(),
                policy: rules(present.of(&row.profile)),
                signs: Signs { since: row.state_since.get(), ..signs },
                assurance: row.assurance,
                is_shared: row.is_shared,
                versions: &versions,
                is_software_approved,
            };
            let before = Verdict::on_device(Some(&facts), now).verdict;
            let after = Verdict::on_device(Some(&DeviceFacts { policy: &next, ..facts }), now);
            let change =
                VerdictChange { device: name.device, before, after: after.verdict, reasons: after.reasons };
            pager.keep(Some(change).filter(|change| change.before != change.after));
        }
        Ok(PolicyPreview { changes: pager.done(), looked_at })
    }

    /// The verdict on a device, as a platform would be answered now, and the policy that it is given by.
    pub fn device_trust(&self, caller: &Caller, name: &DeviceName) -> Result<DeviceTrust, Error> {
        self.require_tenant(caller, &name.tenant)?;
        let known = self.memory.device(name);
        let judgment = self.judge_device(&name.tenant, known.as_deref(), self.now());
        let policy = known.and_then(|known| self.memory.trust(&name.tenant, &known.profile).1);
        Ok(DeviceTrust { judgment, policy })
    }

    fn policy_view(
        &self,
        tenant: &TenantId,
        profile: Option<&ProfileName>,
    ) -> Result<TrustPolicyView, Error> {
        let all = self.memory.trust_policies(tenant);
        let (own, effective) = match profile {
            Some(profile) => (all.of_profiles.get(profile), all.of(profile)),
            None => (all.of_tenant.as_ref(), all.of_tenant.as_ref()),
        };
        let own = own.map(|set| set.policy.clone());
        let effective = effective.map(|set| SetTrustPolicy::clone(set));
        Ok(TrustPolicyView { etag: etag_of(own.as_ref())?, own, effective })
    }

    fn require_profile(&self, tenant: &TenantId, profile: Option<&ProfileName>) -> Result<(), Error> {
        profile.map_or(Ok(()), |profile| self.rules_of(tenant, profile).map(|_| ()))
    }

    /// When a device was last heard of, by its rows.
    fn signs(&self, tx: &Tx<'_>, name: &DeviceName) -> Result<Signs, crate::kernel::Stop> {
        if let Some(hot) = tx.get(Table::DeviceHot, &rows::device_key(name))? {
            let (seen, agreed) = KeysRow::seen_and_agreed(&hot.value)?;
            return Ok(Signs { seen, agreed, ..Signs::default() });
        }
        let Some((_, row)) = self.signature_key(tx, name)? else { return Ok(Signs::default()) };
        let quoted = row.last_quote().map_or(0, |(_, at)| at);
        Ok(Signs { seen: row.last_seen.map_or(0, UnixSeconds::get), quoted, ..Signs::default() })
    }
}

/// What an approver is shown: the policy whole, whatever it was before.
fn ask(tenant: &TenantId, profile: Option<&ProfileName>, policy: Option<&TrustPolicy>) -> Ask {
    let ask = Ask::new(GuardedDeed::PutTrustPolicy, Some(tenant))
        .with("profile", profile.map_or(WHOLE_TENANT, ProfileName::as_str));
    let Some(policy) = policy else { return ask.with("policy", INHERITED) };
    let ask = ask.with_each("rule", policy.rules()).with("offline", policy.offline());
    match policy.lifetime() {
        Some(lifetime) => ask.with("lifetime", format_args!("{lifetime}s")),
        None => ask.with("lifetime", INHERITED),
    }
}

fn rules(set: Option<&Arc<SetTrustPolicy>>) -> &TrustPolicy {
    set.map_or(TrustPolicy::NONE, |set| &set.policy)
}

fn all(policies: &TrustPolicies) -> impl Iterator<Item = &Arc<SetTrustPolicy>> {
    policies.of_profiles.values().chain(&policies.of_tenant)
}

/// The version of what is set at a place, also where that is nothing.
fn etag_of(policy: Option<&TrustPolicy>) -> Result<Etag, Error> {
    Ok(Etag::of(&rows::encode(&TrustPolicyRow::from(policy))?))
}

/// For the audit entry: the versions, and each rule that came or went.
fn changed(
    (was, was_etag): (Option<&TrustPolicy>, Etag),
    (policy, etag): (Option<&TrustPolicy>, Etag),
) -> Fields {
    let words = |policy: Option<&TrustPolicy>, etag: Etag| match policy {
        Some(_) => etag.to_string(),
        None => INHERITED.to_owned(),
    };
    let lifetime = |policy: Option<&TrustPolicy>| {
        policy
            .and_then(TrustPolicy::lifetime)
            .map_or_else(|| INHERITED.to_owned(), |lifetime| lifetime.to_string())
    };
    let mut fields =
        Fields::default().changed(FieldName::TrustPolicy, words(was, was_etag), words(policy, etag));
    if lifetime(was) != lifetime(policy) {
        fields = fields.changed(FieldName::VerdictLifetime, lifetime(was), lifetime(policy));
    }
    let offline = |policy: Option<&TrustPolicy>| policy.map_or(Offline::NONE, TrustPolicy::offline);
    if offline(was) != offline(policy) {
        fields =
            fields.changed(FieldName::TrustOffline, offline(was).to_string(), offline(policy).to_string());
    }
    let texts = |policy: Option<&TrustPolicy>| {
        policy.map_or(&[][..], TrustPolicy::rules).iter().map(TrustRule::to_string).collect::<BTreeSet<_>>()
    };
    let (before, after) = (texts(was), texts(policy));
    let fields =
        after.difference(&before).fold(fields, |fields, rule| fields.with(FieldName::TrustRuleAdded, rule));
    before.difference(&after).fold(fields, |fields, rule| fields.with(FieldName::TrustRuleRemoved, rule))
}

/// In the place of a profile's name, which it could not be: the policy of the tenant itself.
const WHOLE_TENANT: &str = "(the tenant)";

/// How many devices are looked at for one page where a row more of each is read.
const READ: usize = 5_000;
