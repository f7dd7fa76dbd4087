//! Trust policies: what they make of what is known of devices, who may set them, and what they would change.

use crate::world::{TestDevice, World, facts};
use wardein_ddkg::{Attributes, Suite};
use wardein_domain::{
    Event, Offline, OfflineUse, ProfileFields, ProfileName, Right, TrustCondition, TrustLimit, TrustPolicy,
    TrustRule, Verdict, VerdictReason,
};
use wardein_engine::{
    Error, ErrorCode, Etag, Page, Subject, TrustPolicyView, VerdictChange, WatchFrom, Watched,
};

const DAY: u64 = 86_400;

pub(crate) fn policy(rules: &[(TrustCondition, TrustLimit)]) -> TrustPolicy {
    let rules = rules.iter().cloned().map(|(when, limit)| TrustRule { when, limit });
    TrustPolicy::new(rules.collect(), None).unwrap()
}

fn below(floor: &str) -> TrustCondition {
    TrustCondition::FirmwareBelow("firmware".parse().unwrap(), floor.parse().unwrap())
}

impl World {
    pub(crate) async fn put_policy(
        &self,
        profile: Option<&str>,
        policy: Option<TrustPolicy>,
    ) -> Result<TrustPolicyView, Error> {
        self.put_policy_of(profile, policy, None).await
    }

    async fn put_policy_of(
        &self,
        profile: Option<&str>,
        policy: Option<TrustPolicy>,
        etag: Option<Etag>,
    ) -> Result<TrustPolicyView, Error> {
        let profile: Option<ProfileName> = profile.map(|profile| profile.parse().unwrap());
        self.engine.put_trust_policy(&self.admin, &self.tenant(), profile.as_ref(), policy, etag).await
    }

    /// The verdict on a device, why, and until when; the same by each way of asking.
    async fn judged(&self, id: &str) -> (Verdict, Vec<&'static str>, Option<u64>) {
        let subject = Subject::Device(id.parse().unwrap());
        let answer = self.engine.check(&self.platform, subject.clone()).await.unwrap();
        let codes =
            |reasons: Vec<VerdictReason>| reasons.into_iter().map(VerdictReason::code).collect::<Vec<_>>();
        let judged = (answer.verdict, codes(answer.reasons), answer.valid_until);
        let of_memory = self.engine.check_in_memory(&self.platform, &subject).unwrap().unwrap();
        assert_eq!((of_memory.verdict, codes(of_memory.reasons), of_memory.valid_until), judged);
        let one = self.engine.batch(&self.platform).await.unwrap().verdict(id.parse().unwrap());
        assert_eq!((one.verdict, codes(one.reasons), one.valid_until), judged);
        assert!(answer.keep_until <= judged.2.unwrap_or(u64::MAX), "kept no longer than it holds");
        judged
    }

    /// All that a policy would change.
    async fn preview(&self, profile: Option<&str>, policy: Option<TrustPolicy>) -> Vec<VerdictChange> {
        let profile: Option<ProfileName> = profile.map(|profile| profile.parse().unwrap());
        let (mut changes, mut after) = (Vec::new(), None);
        loop {
            let page = Page { size: 1, after };
            let (tenant, policy) = (self.tenant(), policy.clone());
            let preview =
                self.engine.preview_trust_policy(&self.admin, &tenant, profile.as_ref(), policy, page);
            let found = preview.await.unwrap().changes;
            changes.extend(found.items);
            after = found.next;
            if after.is_none() {
                return changes;
            }
        }
    }
}

async fn announce(world: &World, device: &mut TestDevice, version: &[u8]) {
    let mut attributes = Attributes::new();
    attributes.insert("firmware".parse().unwrap(), version).unwrap();
    device.prove(&world.engine, "attributes", &attributes.encode()).await.unwrap();
    device.measured = attributes.digests();
}

fn good() -> (Verdict, Vec<&'static str>, Option<u64>) {
    (Verdict::Trusted, vec!["in-good-standing"], None)
}

/// It is said with each verdict, changes alone too, and is on record; of what nobody may keep, nothing is said.
#[tokio::test]
async fn what_stale_trust_is_for_comes_with_each_verdict() {
    let mut world = World::new().await;
    world.device("pump-1").await;
    let subject = Subject::Device("pump-1".parse().unwrap());
    let offline = Offline::NONE.with(OfflineUse::Data, 3 * DAY).unwrap();
    let mut watch = world.engine.watch(&world.platform, WatchFrom::Snapshot).await.unwrap();
    while watch.next(&world.engine).await.unwrap() != Watched::Current {}
    for (lifetime, said) in [(None, offline), (Some(0), Offline::NONE)] {
        let rules = TrustPolicy::new(Vec::new(), lifetime).unwrap();
        world.put_policy(None, Some(rules.with_offline(offline))).await.unwrap();
        let answer = world.engine.check(&world.platform, subject.clone()).await.unwrap();
        assert_eq!((answer.verdict, answer.offline), (Verdict::Trusted, said));
        let told = loop {
            match watch.next(&world.engine).await.unwrap() {
                Watched::Change { devices, .. } if !devices.is_empty() => break devices,
                _ => {}
            }
        };
        assert_eq!(told[0].offline, said);
    }
    let entry = world.entries(Event::TrustPolicyPut).await.remove(0);
    assert!(facts(&entry).contains("trust-offline: none → data 259200 s"), "{}", facts(&entry));
    world.restart().await;
    let view = world.put_policy(None, None).await.unwrap();
    assert_eq!(view.own, None);
    assert_eq!(world.engine.check(&world.platform, subject).await.unwrap().offline, Offline::NONE);
}

#[tokio::test]
async fn a_floor_holds_until_a_proof_shows_the_update_and_over_a_restart() {
    let mut world = World::new().await;
    let mut device = world.device("pump-1").await;
    assert_eq!(world.judged("pump-1").await, good(), "without a policy all is as it was");
    let rules = [(below("1.1"), TrustLimit::Restricted), (below("0.9"), TrustLimit::NotTrusted)];
    world.put_policy(None, Some(policy(&rules))).await.unwrap();
    let old = (Verdict::Restricted, vec!["firmware-old"], None);
    assert_eq!(world.judged("pump-1").await, old);
    announce(&world, &mut device, b"1.10").await;
    assert_eq!(world.judged("pump-1").await, old, "it was announced, and nothing shows it");
    world.restart().await;
    device.prove(&world.engine, "authenticate", b"").await.unwrap();
    assert_eq!(world.judged("pump-1").await, good());
    world.restart().await;
    assert_eq!(world.judged("pump-1").await, good());
    // What is not a version is unknown, and a floor counts it below.
    announce(&world, &mut device, b"nightly").await;
    device.prove(&world.engine, "authenticate", b"").await.unwrap();
    assert_eq!(world.judged("pump-1").await, (Verdict::NotTrusted, vec!["firmware-unknown"], None));
    // What is on record is shown already: announced again, it counts at once.
    announce(&world, &mut device, b"0.9").await;
    device.prove(&world.engine, "authenticate", b"").await.unwrap();
    announce(&world, &mut device, b"0.9").await;
    assert_eq!(world.judged("pump-1").await, old);
}

#[tokio::test]
async fn ages_count_from_what_a_device_did_last_also_over_a_restart() {
    let mut world = World::new().await;
    let mut device = world.proven("pump-1").await;
    let rules = [
        (TrustCondition::SilentFor(DAY), TrustLimit::Restricted),
        (TrustCondition::SilentFor(3 * DAY), TrustLimit::NotTrusted),
        (TrustCondition::KeysOlder(2 * DAY), TrustLimit::Restricted),
    ];
    let start = world.engine.now();
    world.clock.pass(100);
    device.prove(&world.engine, "authenticate", b"").await.unwrap();
    // What was there before the policy counts, and is read for it.
    world.put_policy(None, Some(policy(&rules))).await.unwrap();
    for _ in 0..2 {
        let until = Some(start + 100 + DAY);
        assert_eq!(world.judged("pump-1").await, (Verdict::Trusted, vec!["in-good-standing"], until));
        world.restart().await;
    }
    world.clock.pass(DAY - 1);
    assert_eq!(world.judged("pump-1").await.0, Verdict::Trusted);
    world.clock.pass(1);
    let until = Some(start + 2 * DAY);
    assert_eq!(world.judged("pump-1").await, (Verdict::Restricted, vec!["silent"], until));
    device.prove(&world.engine, "authenticate", b"").await.unwrap();
    assert_eq!(world.judged("pump-1").await, (Verdict::Trusted, vec!["in-good-standing"], until));
    world.clock.pass(DAY);
    let both = vec!["keys-old", "silent"];
    assert_eq!(world.judged("pump-1").await.1, both);
    device.rekey(&world.engine, Suite::P256).await.unwrap();
    assert_eq!(world.judged("pump-1").await.1, ["keys-old"], "the new keys are not in use");
    device.prove(&world.engine, "authenticate", b"").await.unwrap();
    for _ in 0..2 {
        assert_eq!(world.judged("pump-1").await.0, Verdict::Trusted);
        world.restart().await;
    }
    world.clock.pass(3 * DAY);
    assert_eq!(world.judged("pump-1").await, (Verdict::NotTrusted, both, None));
}

#[tokio::test]
async fn a_profiles_policy_takes_the_place_of_the_tenants_and_only_its_version_is_changed() {
    let mut world = World::new().await;
    world.put_profile("icu", ProfileFields::default()).await;
    world.device("pump-1").await;
    let (mild, strict) = (
        policy(&[(below("2.0"), TrustLimit::Restricted)]),
        policy(&[(below("2.0"), TrustLimit::NotTrusted)]),
    );
    let first = world.put_policy(None, Some(mild.clone())).await.unwrap();
    assert_eq!(first.own, Some(mild.clone()));
    let (klinik, default) = (world.tenant(), "default".parse().unwrap());
    let unset = world.engine.get_trust_policy(&world.admin, &klinik, Some(&default)).await.unwrap();
    assert_eq!((unset.own.as_ref(), unset.effective.as_ref().unwrap().etag), (None, first.etag));
    // Two who read the same version: one of them changes it.
    world.put_policy_of(Some("default"), Some(strict.clone()), Some(unset.etag)).await.unwrap();
    let late = world.put_policy_of(Some("default"), Some(mild.clone()), Some(unset.etag)).await.unwrap_err();
    assert_eq!(late.code, ErrorCode::EtagMismatch);
    for _ in 0..2 {
        assert_eq!(world.judged("pump-1").await.0, Verdict::NotTrusted);
        world.restart().await;
    }
    world.put_policy(Some("icu"), Some(TrustPolicy::default())).await.unwrap();
    assert_eq!(world.judged("pump-1").await.0, Verdict::NotTrusted, "of another profile");
    world.put_policy(Some("default"), None).await.unwrap();
    assert_eq!(world.judged("pump-1").await.0, Verdict::Restricted, "the tenant's holds again");
    world.put_policy(Some("default"), Some(TrustPolicy::default())).await.unwrap();
    assert_eq!(world.judged("pump-1").await, good(), "a policy without rules is one of its own");
    let before = world.entries(Event::TrustPolicyPut).await.len();
    world.put_policy(Some("default"), Some(TrustPolicy::default())).await.unwrap();
    let entries = world.entries(Event::TrustPolicyPut).await;
    assert_eq!(entries.len(), before, "the same again is no change");
    assert_eq!(entries[0].target.to_string(), "tenant/klinik");
    assert_eq!(
        facts(&entries[0]),
        format!(
            "trust-policy: inherited → {}, trust-rule-added=firmware-old firmware below 2.0: restricted",
            first.etag
        )
    );
    assert!(facts(&entries[3]).ends_with("trust-rule-removed=firmware-old firmware below 2.0: not-trusted"));
    // A profile of another tenant is none of this one.
    world.engine.create_tenant(&world.admin, "lab".parse().unwrap()).await.unwrap();
    let (lab, icu) = ("lab".parse().unwrap(), "icu".parse().unwrap());
    let foreign = world.engine.put_trust_policy(&world.admin, &lab, Some(&icu), Some(mild), None).await;
    assert_eq!(foreign.unwrap_err().code, ErrorCode::ProfileUnknown);
    let seen = world.engine.get_trust_policy(&world.station, &lab, None).await.unwrap_err();
    assert_eq!(seen.code, ErrorCode::TenantUnknown);
}

#[tokio::test]
async fn a_preview_names_exactly_the_devices_that_the_policy_then_changes() {
    let world = World::new().await;
    world.put_profile("icu", ProfileFields::default()).await;
    for number in 0..4 {
        world.device(&format!("pump-{number}")).await;
    }
    let mut spoken = world.device("spoken").await;
    world.clock.pass(2 * DAY);
    spoken.prove(&world.engine, "authenticate", b"").await.unwrap();
    let suspended = crate::world::name("klinik", "pump-3");
    let state = wardein_domain::DeviceState::Suspended;
    world.engine.set_device_state(&world.admin, suspended, state, "x".parse().unwrap()).await.unwrap();
    let rules = policy(&[(TrustCondition::SilentFor(DAY), TrustLimit::NotTrusted)]);
    let ids = ["pump-0", "pump-1", "pump-2"];
    let changes = world.preview(None, Some(rules.clone())).await;
    let named: Vec<_> = changes.iter().map(|change| change.device.as_str()).collect();
    assert_eq!(named, ids);
    for change in &changes {
        assert_eq!((change.before, change.after), (Verdict::Trusted, Verdict::NotTrusted));
        assert_eq!(change.reasons, [VerdictReason::Silent]);
    }
    assert_eq!(world.judged("pump-0").await, good(), "nothing was changed");
    assert!(world.preview(Some("icu"), Some(rules.clone())).await.is_empty(), "no device is of that profile");
    world.put_policy(None, Some(rules.clone())).await.unwrap();
    for id in ids {
        assert_eq!(world.judged(id).await.0, Verdict::NotTrusted);
    }
    assert_eq!(world.judged("spoken").await.0, Verdict::Trusted);
    assert!(world.preview(None, Some(rules)).await.is_empty());
    let back = world.preview(None, None).await;
    assert_eq!(back.len(), 3);
    assert!(back.iter().all(|change| change.after == Verdict::Trusted));
}

#[tokio::test]
async fn a_token_of_a_device_that_its_policy_does_not_trust_is_refused_and_not_spent() {
    let world = World::new().await;
    world.grant(Right::Token).await;
    let mut device = world.proven("pump-1").await;
    let token = device.token(b"", 0);
    world.put_policy(None, Some(policy(&[(below("2.0"), TrustLimit::NotTrusted)]))).await.unwrap();
    let refused = world.login(&token, b"", b"one").await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::TrustPolicyRefuses);
    assert!(refused.message.ends_with(": firmware-old"), "{refused}");
    world.put_policy(None, Some(policy(&[(below("2.0"), TrustLimit::Restricted)]))).await.unwrap();
    let logged_in = world.login(&token, b"", b"one").await.unwrap();
    assert_eq!(logged_in.answer.verdict, Verdict::Restricted, "the platform decides what for");
}
