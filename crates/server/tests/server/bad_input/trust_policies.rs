//! Trust policies: rules that are none, contradict each other or are of somebody else's profile.

use super::world::{ETAG_MISMATCH, Expected, NO_TENANT, World, malformed};
use tonic::Code;
use wardein_client::{time, v1};
use wardein_domain::Method;

const LONG_TOKEN: usize = 600;

fn rule(reason: v1::Reason, verdict: v1::Verdict) -> v1::TrustRule {
    v1::TrustRule { reason: reason.into(), verdict: verdict.into(), ..Default::default() }
}

fn silent(seconds: u64, verdict: v1::Verdict) -> v1::TrustRule {
    v1::TrustRule { max_age: time::span(seconds), ..rule(v1::Reason::Silent, verdict) }
}

fn firmware() -> v1::TrustRule {
    let (attribute, least_version) = ("firmware".into(), "2.1".into());
    v1::TrustRule { attribute, least_version, ..rule(v1::Reason::FirmwareOld, v1::Verdict::Restricted) }
}

fn good() -> v1::TrustPolicy {
    let assurance = v1::TrustRule {
        least_assurance: v1::Assurance::TpmListed.into(),
        ..rule(v1::Reason::AssuranceLow, v1::Verdict::Restricted)
    };
    let rules = vec![
        silent(86_400, v1::Verdict::Restricted),
        silent(864_000, v1::Verdict::NotTrusted),
        firmware(),
        assurance,
        rule(v1::Reason::CertificateExpired, v1::Verdict::Restricted),
    ];
    v1::TrustPolicy { tenant: "t".into(), profile: "default".into(), rules, ..Default::default() }
}

fn limit(of: i32, seconds: u64) -> v1::OfflineLimit {
    v1::OfflineLimit { r#use: of, time: time::span(seconds) }
}

fn with_offline(offline: Vec<v1::OfflineLimit>) -> v1::TrustPolicy {
    v1::TrustPolicy { offline, ..good() }
}

/// What spoils a policy, and how it is refused.
type Spoiled = (&'static str, v1::TrustPolicy, Expected);

fn spoiled() -> Vec<Spoiled> {
    use v1::Verdict::{NotTrusted, Restricted, Trusted};
    let with = |rules: Vec<v1::TrustRule>| v1::TrustPolicy { rules, ..good() };
    let one = |rule: v1::TrustRule| with(vec![rule]);
    let invalid = |code, word| (Code::InvalidArgument, code, word);
    let fixed = invalid("trust-reason-fixed", "leads to the same verdict always");
    let mut all: Vec<Spoiled> = [
        v1::Reason::InGoodStanding,
        v1::Reason::NoSuchDevice,
        v1::Reason::Pending,
        v1::Reason::Suspended,
        v1::Reason::Quarantined,
        v1::Reason::Revoked,
        v1::Reason::Retired,
        v1::Reason::Transferred,
        v1::Reason::CertificateUnknown,
        v1::Reason::CertificateRevoked,
    ]
    .map(|reason| (reason.as_str_name(), one(rule(reason, Restricted)), fixed))
    .into();
    let ages = invalid("trust-age-bounds", "it takes 60 (a minute)");
    let contradict = invalid("trust-rules-contradict", "would never apply");
    let max_age = malformed("policy.rules[0].max_age");
    all.extend([
        ("no tenant", v1::TrustPolicy { tenant: String::new(), ..good() }, malformed("policy.tenant")),
        ("another tenant", v1::TrustPolicy { tenant: "other".into(), ..good() }, NO_TENANT),
        (
            "a long profile",
            v1::TrustPolicy { profile: "p".repeat(65), ..good() },
            malformed("policy.profile"),
        ),
        (
            "a profile of another tenant",
            v1::TrustPolicy { profile: "icu".into(), ..good() },
            (Code::NotFound, "profile-unknown", "has no profile icu"),
        ),
        ("no reason", one(v1::TrustRule { reason: 0, ..firmware() }), malformed("policy.rules[0].reason")),
        (
            "an unknown reason",
            one(v1::TrustRule { reason: 77, ..firmware() }),
            invalid("trust-reason-unknown", "policy.rules[0].reason: is 77"),
        ),
        ("no verdict", one(v1::TrustRule { verdict: 0, ..firmware() }), malformed("policy.rules[0].verdict")),
        ("what lets pass", one(rule(v1::Reason::KeyShared, Trusted)), malformed("policy.rules[0].verdict")),
        ("no age", one(rule(v1::Reason::Silent, Restricted)), max_age),
        ("59 seconds", one(silent(59, Restricted)), ages),
        ("eleven years", one(silent(11 * 365 * 86_400, Restricted)), ages),
        (
            "half a second",
            one(v1::TrustRule {
                max_age: Some(wardein_client::Duration { seconds: 100, nanos: 5 }),
                ..silent(100, Restricted)
            }),
            max_age,
        ),
        (
            "an age before there was time",
            one(v1::TrustRule {
                max_age: Some(wardein_client::Duration { seconds: -100, nanos: 0 }),
                ..silent(100, Restricted)
            }),
            max_age,
        ),
        ("an age of firmware", one(v1::TrustRule { max_age: time::span(600), ..firmware() }), max_age),
        (
            "no attribute",
            one(v1::TrustRule { attribute: String::new(), ..firmware() }),
            malformed("policy.rules[0].attribute"),
        ),
        (
            "no version",
            one(v1::TrustRule { least_version: "2".into(), ..firmware() }),
            malformed("policy.rules[0].least_version"),
        ),
        (
            "a version of silence",
            one(v1::TrustRule { least_version: "2.1".into(), ..silent(600, Restricted) }),
            malformed("policy.rules[0].least_version"),
        ),
        (
            "no level",
            one(rule(v1::Reason::AssuranceLow, Restricted)),
            malformed("policy.rules[0].least_assurance"),
        ),
        (
            "an unknown level",
            one(v1::TrustRule { least_assurance: 77, ..rule(v1::Reason::AssuranceLow, Restricted) }),
            malformed("policy.rules[0].least_assurance"),
        ),
        ("the same rule twice", with(vec![firmware(), firmware()]), contradict),
        (
            "a device that is not trusted before it is restricted",
            with(vec![silent(600, NotTrusted), silent(900, Restricted)]),
            contradict,
        ),
        ("33 rules", with(vec![firmware(); 33]), malformed("policy.rules")),
        (
            "two days",
            v1::TrustPolicy { lifetime: time::span(172_800), ..good() },
            malformed("policy.lifetime"),
        ),
        ("no use", with_offline(vec![limit(0, 60)]), malformed("policy.offline[0].use")),
        ("an unknown use", with_offline(vec![limit(4, 60)]), malformed("policy.offline[0].use")),
        ("31 days offline", with_offline(vec![limit(1, 31 * 86_400)]), malformed("policy.offline[0].time")),
        ("no time offline", with_offline(vec![limit(1, 0)]), malformed("policy.offline[0].time")),
        (
            "a use that has no time",
            with_offline(vec![v1::OfflineLimit { r#use: 1, time: None }]),
            malformed("policy.offline[0].time"),
        ),
        (
            "a use twice",
            with_offline(vec![limit(1, 60), limit(2, 60), limit(1, 70)]),
            malformed("policy.offline[2].use"),
        ),
        (
            "inherited uses",
            v1::TrustPolicy { inherited: true, rules: Vec::new(), ..with_offline(vec![limit(1, 60)]) },
            malformed("policy.inherited"),
        ),
        ("inherited rules", v1::TrustPolicy { inherited: true, ..good() }, malformed("policy.inherited")),
        ("no etag", v1::TrustPolicy { etag: "g".repeat(16), ..good() }, malformed("policy.etag")),
    ]);
    all
}

async fn world() -> World {
    let world = World::new().await;
    let profile = v1::Profile { tenant: "other".into(), name: "icu".into(), ..Default::default() };
    let put = v1::PutProfileRequest { profile: Some(profile), update_mask: None, ..Default::default() };
    world.admin.admin().put_profile(put).await.unwrap();
    world
}

#[tokio::test]
async fn put_trust_policy() {
    let world = world().await;
    let by = &world.tenant_admin;
    let put = |policy| v1::PutTrustPolicyRequest { policy: Some(policy) };
    let stale = v1::TrustPolicy { etag: "0".repeat(16), ..good() };
    let denied = (Code::PermissionDenied, "role-denied", "PutTrustPolicy");
    let others = [
        ("nothing", by, v1::PutTrustPolicyRequest::default(), malformed("policy")),
        ("an etag of nothing", by, put(stale), ETAG_MISMATCH),
        ("an auditor", &world.auditor, put(good()), denied),
        ("a platform", &world.platform, put(good()), denied),
    ];
    let rows = spoiled().into_iter().map(|(what, policy, expected)| (what, by, put(policy), expected));
    world.refuses(Method::PutTrustPolicy, rows.chain(others)).await;
    let set = by.trust_policies().put_trust_policy(put(good())).await.unwrap().into_inner().policy.unwrap();
    // A second one that read the version before is refused, and one that read this version is not.
    let mild = v1::TrustPolicy { rules: vec![firmware()], ..set.clone() };
    by.trust_policies().put_trust_policy(put(mild.clone())).await.unwrap();
    world.refuses(Method::PutTrustPolicy, [("a stale etag", by, put(set), ETAG_MISMATCH)]).await;
    let get = v1::GetTrustPolicyRequest { tenant: "t".into(), profile: "default".into() };
    let read = world.auditor.trust_policies().get_trust_policy(get).await.unwrap().into_inner();
    assert_eq!(read.policy.as_ref().unwrap().rules, [firmware()]);
    assert_eq!(read.policy, read.effective);
}

#[tokio::test]
async fn preview_trust_policy() {
    let world = world().await;
    let by = &world.tenant_admin;
    let preview = |policy| v1::PreviewTrustPolicyRequest { policy: Some(policy), ..Default::default() };
    let others = [
        ("nothing", by, v1::PreviewTrustPolicyRequest::default(), malformed("policy")),
        (
            "a long token",
            by,
            v1::PreviewTrustPolicyRequest { page_token: vec![1; LONG_TOKEN], ..preview(good()) },
            malformed("page_token"),
        ),
        (
            "a token of another list",
            by,
            v1::PreviewTrustPolicyRequest { page_token: vec![1; 20], ..preview(good()) },
            malformed("page_token"),
        ),
        (
            "an auditor",
            &world.auditor,
            preview(good()),
            (Code::PermissionDenied, "role-denied", "PreviewTrustPolicy"),
        ),
    ];
    let rows = spoiled().into_iter().map(|(what, policy, expected)| (what, by, preview(policy), expected));
    world.refuses(Method::PreviewTrustPolicy, rows.chain(others)).await;
    assert!(by.trust_policies().preview_trust_policy(preview(good())).await.is_ok());
}

#[tokio::test]
async fn get_trust_policy() {
    let world = world().await;
    let by = &world.auditor;
    let get = |tenant: &str, profile: &str| v1::GetTrustPolicyRequest {
        tenant: tenant.into(),
        profile: profile.into(),
    };
    let rows = [
        ("no tenant", by, get("", ""), malformed("tenant")),
        ("another tenant", by, get("other", "icu"), NO_TENANT),
        ("no profile's name", by, get("t", "a b"), malformed("profile")),
        (
            "another tenant's profile",
            by,
            get("t", "icu"),
            (Code::NotFound, "profile-unknown", "no profile icu"),
        ),
        (
            "a station",
            &world.station,
            get("t", ""),
            (Code::PermissionDenied, "role-denied", "GetTrustPolicy"),
        ),
    ];
    world.refuses(Method::GetTrustPolicy, rows).await;
    let unset = by.trust_policies().get_trust_policy(get("t", "")).await.unwrap().into_inner();
    assert!(unset.policy.unwrap().inherited && unset.effective.is_none());
}

#[tokio::test]
async fn get_device_trust() {
    let world = world().await;
    let by = &world.auditor;
    let get = |tenant: &str, device_id: &str| v1::GetDeviceTrustRequest {
        tenant: tenant.into(),
        device_id: device_id.into(),
    };
    let rows = [
        ("no tenant", by, get("", "pump-1"), malformed("tenant")),
        ("another tenant", by, get("other", "pump-1"), NO_TENANT),
        ("no id", by, get("t", ""), malformed("device_id")),
        ("a long id", by, get("t", &"d".repeat(129)), malformed("device_id")),
        (
            "a platform",
            &world.platform,
            get("t", "pump-1"),
            (Code::PermissionDenied, "role-denied", "GetDeviceTrust"),
        ),
    ];
    world.refuses(Method::GetDeviceTrust, rows).await;
    let unknown = by.trust_policies().get_device_trust(get("t", "pump-1")).await.unwrap().into_inner();
    assert_eq!(unknown.verdict(), v1::Verdict::Unknown);
}

#[tokio::test]
async fn replace_verdict_key() {
    let world = World::new().await;
    let because = |reason: &str| v1::ReplaceVerdictKeyRequest { reason: reason.into(), with_next: true };
    let denied = (Code::PermissionDenied, "role-denied", "ReplaceVerdictKey");
    let rows = [
        ("nothing", &world.admin, v1::ReplaceVerdictKeyRequest::default(), malformed("reason")),
        ("257 bytes", &world.admin, because(&"x".repeat(257)), malformed("reason")),
        ("a tenant's administrator", &world.tenant_admin, because("leaked"), denied),
        ("an auditor", &world.auditor, because("leaked"), denied),
        ("a platform", &world.platform, because("leaked"), denied),
    ];
    world.refuses(Method::ReplaceVerdictKey, rows).await;
}
