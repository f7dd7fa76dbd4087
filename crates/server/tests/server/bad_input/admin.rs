//! `AdminService`.

use super::world::{ETAG_MISMATCH, NO_DEVICE, NO_SERIAL, NO_TENANT, VALIDITY, World, malformed, order};
use crate::common::device::TestDevice;
use tonic::Code;
use wardein_client::{Duration, FieldMask, Refusal, Timestamp, number, time, v1};
use wardein_crypto::P256SigningKey;
use wardein_domain::{Method, Role};
use wardein_pki::Csr;

const LONG_TOKEN: usize = 513;

#[tokio::test]
async fn create_tenant() {
    let world = World::new().await;
    let (by, named) = (&world.admin, |tenant: &str| v1::CreateTenantRequest { tenant: tenant.into() });
    let rows = [
        ("no name", by, named(""), malformed("tenant")),
        ("64 bytes", by, named(&"t".repeat(64)), malformed("tenant")),
        ("a capital", by, named("Klinik"), malformed("tenant")),
        ("a hyphen first", by, named("-t"), malformed("tenant")),
        ("a separator of keys", by, named("t\0x"), malformed("tenant")),
        ("a path", by, named("t/../other"), malformed("tenant")),
        ("it is there", by, named("t"), (Code::AlreadyExists, "tenant-exists", "tenant t")),
    ];
    world.refuses(Method::CreateTenant, rows).await;
}

#[tokio::test]
async fn list_tenants() {
    let world = World::new().await;
    let by = &world.auditor;
    let page = |page_size, length| v1::ListTenantsRequest { page_size, page_token: vec![b't'; length] };
    let rows = [("a long token", by, page(1, LONG_TOKEN), malformed("page_token"))];
    world.refuses(Method::ListTenants, rows).await;
}

#[tokio::test]
async fn issue_operator() {
    let world = World::new().await;
    let pkcs8 = P256SigningKey::generate_pkcs8().unwrap();
    let csr = Csr::create(&P256SigningKey::from_pkcs8(&pkcs8).unwrap()).unwrap();
    let good = |role, tenant| v1::IssueOperatorRequest { csr: csr.clone(), ..order(role, tenant, "two", 1) };
    let platform = || good(Role::Platform, "t");
    let mut forged = csr.clone();
    *forged.last_mut().unwrap() ^= 1;
    let trailing = [csr.as_slice(), b"x"].concat();
    let (admin, own, foreign) = (&world.admin, &world.tenant_admin, &world.foreign);
    let invalid = |code, word| (Code::InvalidArgument, code, word);
    let denied = (Code::PermissionDenied, "role-insufficient", "without a tenant");
    let rows = [
        ("nothing", admin, v1::IssueOperatorRequest::default(), malformed("validity")),
        ("no role", admin, v1::IssueOperatorRequest { role: 0, ..platform() }, malformed("role")),
        ("no such role", admin, v1::IssueOperatorRequest { role: 77, ..platform() }, malformed("role")),
        ("no name", admin, v1::IssueOperatorRequest { name: String::new(), ..platform() }, malformed("name")),
        (
            "a long name",
            admin,
            v1::IssueOperatorRequest { name: "n".repeat(65), ..platform() },
            malformed("name"),
        ),
        (
            "a path for a name",
            admin,
            v1::IssueOperatorRequest { name: "a/b".into(), ..platform() },
            malformed("name"),
        ),
        ("no tenant for a station", admin, good(Role::Station, ""), malformed("tenant")),
        ("a tenant for an admin", admin, good(Role::Admin, "t"), malformed("tenant")),
        ("no such tenant", admin, good(Role::Station, "nowhere"), NO_TENANT),
        ("another's tenant", foreign, platform(), NO_TENANT),
        ("an admin, by a tenant's", own, good(Role::Admin, ""), denied),
        ("an auditor of all, by a tenant's", own, good(Role::Auditor, ""), denied),
        (
            "no time",
            admin,
            v1::IssueOperatorRequest { validity: time::span(0), ..platform() },
            malformed("validity"),
        ),
        (
            "59 seconds",
            admin,
            v1::IssueOperatorRequest { validity: time::span(59), ..platform() },
            malformed("validity"),
        ),
        (
            "367 days",
            admin,
            v1::IssueOperatorRequest { validity: time::span(367 * 86_400), ..platform() },
            malformed("validity"),
        ),
        (
            "for good",
            admin,
            v1::IssueOperatorRequest { validity: time::span(u64::MAX), ..platform() },
            malformed("validity"),
        ),
        (
            "a quota for a platform",
            admin,
            v1::IssueOperatorRequest { quota: 1, ..platform() },
            malformed("quota"),
        ),
        (
            "no key",
            admin,
            v1::IssueOperatorRequest { csr: vec![], ..platform() },
            invalid("csr-malformed", "request"),
        ),
        (
            "4097 bytes",
            admin,
            v1::IssueOperatorRequest { csr: vec![0x30; 4097], ..platform() },
            malformed("csr"),
        ),
        (
            "no DER",
            admin,
            v1::IssueOperatorRequest { csr: vec![0x30, 0x80], ..platform() },
            invalid("csr-malformed", "DER"),
        ),
        (
            "bytes behind",
            admin,
            v1::IssueOperatorRequest { csr: trailing, ..platform() },
            invalid("csr-trailing-bytes", "follow"),
        ),
        (
            "a forged signature",
            admin,
            v1::IssueOperatorRequest { csr: forged, ..platform() },
            invalid("csr-signature", "not signed"),
        ),
        (
            "it is there",
            own,
            v1::IssueOperatorRequest { name: "one".into(), ..platform() },
            (Code::AlreadyExists, "operator-exists", "revoke it first"),
        ),
    ];
    world.refuses(Method::IssueOperator, rows).await;
}

#[tokio::test]
async fn list_operators() {
    let world = World::new().await;
    let ask = |tenant: &str, page_size, length| v1::ListOperatorsRequest {
        tenant: tenant.into(),
        page_size,
        page_token: vec![1; length],
    };
    let rows = [
        ("no tenant's name", &world.admin, ask("T", 1, 0), malformed("tenant")),
        ("no such tenant", &world.admin, ask("nowhere", 1, 0), NO_TENANT),
        ("another's tenant", &world.foreign, ask("t", 1, 0), NO_TENANT),
        ("another's tenant, by an auditor", &world.auditor, ask("other", 1, 0), NO_TENANT),
        ("a long token", &world.admin, ask("t", 1, LONG_TOKEN), malformed("page_token")),
    ];
    world.refuses(Method::ListOperators, rows).await;
}

#[tokio::test]
async fn revoke_operator() {
    let world = World::new().await;
    let ask = |serial: &str, reason: &str| v1::RevokeOperatorRequest {
        serial: serial.into(),
        reason: reason.into(),
        with_issued: false,
    };
    let station = world.serial(Role::Station, "t", "one").await;
    let root = world.served.founded.admin.serial.to_string();
    let (by, unknown) = (&world.admin, (Code::NotFound, "operator-unknown", "no operator"));
    let rows = [
        ("no serial", by, ask("", "x"), malformed("serial")),
        ("an odd digit", by, ask(&station[1..], "x"), malformed("serial")),
        ("capitals", by, ask(&"4A".repeat(16), "x"), malformed("serial")),
        ("a megabyte's beginning", by, ask(&"4".repeat(8192), "x"), malformed("serial")),
        ("a serial that none has", by, ask(&"f".repeat(32), "x"), malformed("serial")),
        ("no reason", by, ask(&station, ""), malformed("reason")),
        ("a long reason", by, ask(&station, &"x".repeat(257)), malformed("reason")),
        ("a reason of two lines", by, ask(&station, "a\nb"), malformed("reason")),
        ("no such operator", by, ask(NO_SERIAL, "x"), unknown),
        ("another's operator", &world.foreign, ask(&station, "x"), unknown),
        ("the founder, by a tenant's", &world.tenant_admin, ask(&root, "x"), unknown),
        (
            "the last administrator",
            by,
            ask(&root, "x"),
            (Code::FailedPrecondition, "last-administrator", "operator issue --role admin"),
        ),
    ];
    world.refuses(Method::RevokeOperator, rows).await;
}

#[tokio::test]
async fn put_profile() {
    let world = World::new().await;
    let good = || v1::Profile {
        tenant: "t".into(),
        name: "p".into(),
        certificate_validity: time::span(600),
        suites: vec![1],
        ..Default::default()
    };
    let put = |profile| v1::PutProfileRequest { profile: Some(profile), update_mask: None };
    let archive = |purposes: &[&str]| {
        let purposes = purposes.iter().map(|word| number::<v1::Purpose>(word)).collect();
        Some(v1::Archive { purposes })
    };
    let masked = |paths: &[&str]| {
        let paths = paths.iter().map(ToString::to_string).collect();
        v1::PutProfileRequest { profile: Some(good()), update_mask: Some(FieldMask { paths }) }
    };
    let half = Some(Duration { seconds: 60, nanos: 500_000_000 });
    let negative = Some(Duration { seconds: -60, nanos: 0 });
    let cn = |template: &str| v1::Profile { certificate_cn: Some(template.into()), ..good() };
    let dns = |template: &str| v1::Profile { certificate_dns: Some(template.into()), ..good() };
    let by = &world.admin;
    let rows = [
        ("nothing", by, v1::PutProfileRequest::default(), malformed("profile")),
        ("no tenant", by, put(v1::Profile { tenant: String::new(), ..good() }), malformed("profile.tenant")),
        ("no name", by, put(v1::Profile { name: String::new(), ..good() }), malformed("profile.name")),
        ("a long name", by, put(v1::Profile { name: "p".repeat(33), ..good() }), malformed("profile.name")),
        (
            "299 seconds",
            by,
            put(v1::Profile { certificate_validity: time::span(299), ..good() }),
            malformed("profile.certificate_validity"),
        ),
        (
            "for good",
            by,
            put(v1::Profile { certificate_validity: time::span(u64::MAX), ..good() }),
            malformed("profile.certificate_validity"),
        ),
        (
            "59 seconds",
            by,
            put(v1::Profile { period: time::span(59), ..good() }),
            malformed("profile.period"),
        ),
        (
            "an age",
            by,
            put(v1::Profile { period: time::span(u64::MAX), ..good() }),
            malformed("profile.period"),
        ),
        ("no such suite", by, put(v1::Profile { suites: vec![1, 3], ..good() }), malformed("profile.suites")),
        (
            "too many suites",
            by,
            put(v1::Profile { suites: vec![1; 3000], ..good() }),
            malformed("profile.suites"),
        ),
        (
            "a day and a second",
            by,
            put(v1::Profile { verdict_lifetime: time::span(86_401), ..good() }),
            malformed("profile.verdict_lifetime"),
        ),
        (
            "an hour but for a second",
            by,
            put(v1::Profile { rekey_after: time::span(3_599), ..good() }),
            malformed("profile.rekey_after"),
        ),
        (
            "an age of keys",
            by,
            put(v1::Profile { rekey_after: time::span(u64::MAX), ..good() }),
            malformed("profile.rekey_after"),
        ),
        (
            "tokens for ever",
            by,
            put(v1::Profile { token_retention_epochs: Some(1_001), ..good() }),
            malformed("profile.token_retention_epochs"),
        ),
        (
            "payloads for ever",
            by,
            put(v1::Profile { data_retention_epochs: Some(u32::MAX), ..good() }),
            malformed("profile.data_retention_epochs"),
        ),
        (
            "files for ever",
            by,
            put(v1::Profile { file_retention_epochs: Some(u32::MAX), ..good() }),
            malformed("profile.file_retention_epochs"),
        ),
        (
            "no such purpose",
            by,
            put(v1::Profile { archive: archive(&["everything"]), ..good() }),
            malformed("profile.archive"),
        ),
        (
            "tokens again",
            by,
            put(v1::Profile { archive: archive(&["token"]), ..good() }),
            malformed("profile.archive"),
        ),
        (
            "purposes without end",
            by,
            put(v1::Profile { archive: archive(&["data"; 1000]), ..good() }),
            malformed("profile.archive"),
        ),
        ("half a second", by, put(v1::Profile { period: half, ..good() }), malformed("profile.period")),
        ("a negative time", by, put(v1::Profile { period: negative, ..good() }), malformed("profile.period")),
        ("no etag", by, put(v1::Profile { etag: "1".into(), ..good() }), malformed("profile.etag")),
        ("an etag of nothing", by, put(v1::Profile { etag: "0".repeat(16), ..good() }), ETAG_MISMATCH),
        ("a path that is no field", by, masked(&["name"]), malformed("update_mask")),
        ("all and more", by, masked(&["*", "period"]), malformed("update_mask")),
        ("paths without end", by, masked(&["period"; 1000]), malformed("update_mask")),
        ("one name for all", by, put(cn("edge")), malformed("profile.certificate_cn")),
        ("a name of a subject", by, put(cn("CN={device}")), malformed("profile.certificate_cn")),
        ("a wildcard of MQTT", by, put(cn("{device}/#")), malformed("profile.certificate_cn")),
        ("no such place", by, put(cn("{device}{serial}")), malformed("profile.certificate_cn")),
        (
            "129 bytes",
            by,
            put(cn(&format!("{{device}}{}", "a".repeat(121)))),
            malformed("profile.certificate_cn"),
        ),
        (
            "65 of one letter",
            by,
            put(cn(&format!("{{device}}{}", "a".repeat(64)))),
            malformed("profile.certificate_cn"),
        ),
        ("a wildcard of DNS", by, put(dns("*.{device}")), malformed("profile.certificate_dns")),
        ("an address", by, put(dns("10.0.0.{device}.1")), malformed("profile.certificate_dns")),
        ("an underscore", by, put(dns("_mqtt.{device}")), malformed("profile.certificate_dns")),
        (
            "a label of 64",
            by,
            put(dns(&format!("{{device}}{}", "a".repeat(63)))),
            malformed("profile.certificate_dns"),
        ),
        (
            "a name of another tenant",
            &world.tenant_admin,
            put(cn("{device}")),
            (Code::PermissionDenied, "role-insufficient", "profile.certificate_cn"),
        ),
        (
            "another tenant's zone",
            &world.tenant_admin,
            put(dns("{device}.{tenant}.other")),
            (Code::PermissionDenied, "role-insufficient", "profile.certificate_dns"),
        ),
        ("no such tenant", by, put(v1::Profile { tenant: "nowhere".into(), ..good() }), NO_TENANT),
        ("another's tenant", &world.foreign, put(good()), NO_TENANT),
    ];
    world.refuses(Method::PutProfile, rows).await;
}

/// Two administrators read a profile; the second to write is not to undo what the first did.
#[tokio::test]
async fn nobody_overwrites_what_somebody_else_put() {
    let world = World::new().await;
    let admin = world.admin.admin();
    let put = async |profile, paths: &[&str]| {
        let paths = paths.iter().map(ToString::to_string).collect();
        let request =
            v1::PutProfileRequest { profile: Some(profile), update_mask: Some(FieldMask { paths }) };
        Ok(world.admin.admin().put_profile(request).await?.into_inner().profile.unwrap())
    };
    let list = v1::ListProfilesRequest { tenant: "t".into() };
    let read = admin.clone().list_profiles(list.clone()).await.unwrap().into_inner().profiles.remove(0);
    let first = v1::Profile { period: time::span(60), ..read.clone() };
    let now: v1::Profile = put(first, &["period"]).await.map_err(Refusal::from).unwrap();
    assert!(now.etag != read.etag && now.period == time::span(60));
    let second = v1::Profile { max_uses: Some(7), ..read };
    let refused: Result<v1::Profile, tonic::Status> = put(second.clone(), &["max_uses"]).await;
    assert_eq!(Refusal::from(refused.unwrap_err()).code, "etag-mismatch");
    // Without an etag the mask alone protects what is not named.
    let unversioned = v1::Profile { etag: String::new(), ..second };
    let both = put(unversioned, &["max_uses"]).await.map_err(Refusal::from).unwrap();
    assert_eq!((both.period, both.max_uses), (time::span(60), Some(7)));
    // A rotation of keys, which is in the same row, is nobody's change of the settings.
    let scope = Some(v1::rotate_keys_request::Scope::Profile("default".into()));
    let rotate = v1::RotateKeysRequest { tenant: "t".into(), scope, required: false, reason: "test".into() };
    world.admin.admin().rotate_keys(rotate).await.unwrap();
    let cleared = v1::Profile { max_uses: None, ..both };
    let inherited = put(cleared, &["max_uses"]).await.map_err(Refusal::from).unwrap();
    assert_eq!((inherited.period, inherited.max_uses), (time::span(60), None));
    let listed = admin.clone().list_profiles(list).await.unwrap().into_inner().profiles.remove(0);
    assert_eq!(listed, inherited);
}

#[tokio::test]
async fn list_profiles() {
    let world = World::new().await;
    let ask = |tenant: &str| v1::ListProfilesRequest { tenant: tenant.into() };
    let rows = [
        ("no tenant", &world.admin, ask(""), malformed("tenant")),
        ("64 bytes", &world.admin, ask(&"t".repeat(64)), malformed("tenant")),
        ("no such tenant", &world.admin, ask("nowhere"), NO_TENANT),
        ("another's tenant", &world.foreign, ask("t"), NO_TENANT),
        ("another's tenant, by an auditor", &world.auditor, ask("other"), NO_TENANT),
    ];
    world.refuses(Method::ListProfiles, rows).await;
}

#[tokio::test]
async fn get_device() {
    let world = World::new().await;
    TestDevice::enrolled(&world.station, "pump-1").await;
    let ask = |tenant: &str, id: &str| v1::GetDeviceRequest { tenant: tenant.into(), device_id: id.into() };
    let by = &world.admin;
    let rows = [
        ("no tenant", by, ask("", "pump-1"), malformed("tenant")),
        ("no device", by, ask("t", ""), malformed("device_id")),
        ("129 bytes", by, ask("t", &"d".repeat(129)), malformed("device_id")),
        ("a separator of keys", by, ask("t", "pump\0-1"), malformed("device_id")),
        ("a path", by, ask("t", "../other/pump-1"), malformed("device_id")),
        ("no such device", by, ask("t", "pump-2"), NO_DEVICE),
        ("no such tenant", by, ask("nowhere", "pump-1"), NO_TENANT),
        ("a device of another tenant under its own", &world.foreign, ask("other", "pump-1"), NO_DEVICE),
        ("another's tenant", &world.foreign, ask("t", "pump-1"), NO_TENANT),
    ];
    world.refuses(Method::GetDevice, rows).await;
}

#[tokio::test]
async fn list_devices() {
    let world = World::new().await;
    let good = || v1::ListDevicesRequest { tenant: "t".into(), page_size: 1, ..Default::default() };
    let by = &world.admin;
    for id in ["pump-1", "pump-2"] {
        TestDevice::enrolled(&world.station, id).await;
    }
    let token = by.admin().list_devices(good()).await.unwrap().into_inner().next_page_token;
    assert!(!token.is_empty());
    let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
    let foreign_token = b"other\0pump-1".to_vec();
    let rows = [
        ("no tenant", by, v1::ListDevicesRequest { tenant: String::new(), ..good() }, malformed("tenant")),
        ("no such state", by, v1::ListDevicesRequest { state: 77, ..good() }, malformed("state")),
        (
            "before 1970",
            by,
            v1::ListDevicesRequest { seen_before: at(-1), ..good() },
            malformed("seen_before"),
        ),
        (
            "after the year 9999",
            by,
            v1::ListDevicesRequest { seen_after: at(253_402_300_800), ..good() },
            malformed("seen_after"),
        ),
        (
            "the token of another filter",
            by,
            v1::ListDevicesRequest { rekey_due: true, page_token: token, ..good() },
            malformed("page_token"),
        ),
        (
            "no profile's name",
            by,
            v1::ListDevicesRequest { profile: "a b".into(), ..good() },
            malformed("profile"),
        ),
        ("a long model", by, v1::ListDevicesRequest { model: "m".repeat(65), ..good() }, malformed("model")),
        (
            "a long token",
            by,
            v1::ListDevicesRequest { page_token: vec![1; LONG_TOKEN], ..good() },
            malformed("page_token"),
        ),
        (
            "the token of another list",
            by,
            v1::ListDevicesRequest { page_token: foreign_token, ..good() },
            malformed("page_token"),
        ),
        ("no such tenant", by, v1::ListDevicesRequest { tenant: "nowhere".into(), ..good() }, NO_TENANT),
        ("another's tenant", &world.foreign, good(), NO_TENANT),
    ];
    world.refuses(Method::ListDevices, rows).await;
}

#[tokio::test]
async fn set_device_state() {
    let world = World::new().await;
    for id in ["pump-1", "pump-2"] {
        TestDevice::enrolled(&world.station, id).await;
    }
    TestDevice::pending(&world.station, "pump-3").await;
    world.set_state("pump-2", "revoked").await;
    let good = |device_id: &str, state: &str| v1::SetDeviceStateRequest {
        tenant: "t".into(),
        device_id: device_id.into(),
        state: number::<v1::DeviceState>(state),
        reason: "test".into(),
    };
    let revoke = || good("pump-1", "revoked");
    let by = &world.admin;
    let not_allowed = |word| (Code::FailedPrecondition, "transition-not-allowed", word);
    let rows = [
        (
            "no tenant",
            by,
            v1::SetDeviceStateRequest { tenant: String::new(), ..revoke() },
            malformed("tenant"),
        ),
        ("no device", by, good("", "revoked"), malformed("device_id")),
        ("no state", by, good("pump-1", ""), malformed("state")),
        ("a state of the past", by, good("pump-1", "pending"), malformed("state")),
        (
            "no reason",
            by,
            v1::SetDeviceStateRequest { reason: String::new(), ..revoke() },
            malformed("reason"),
        ),
        (
            "a long reason",
            by,
            v1::SetDeviceStateRequest { reason: "x".repeat(257), ..revoke() },
            malformed("reason"),
        ),
        ("no such device", by, good("pump-9", "revoked"), NO_DEVICE),
        ("revoked is for good", by, good("pump-2", "active"), not_allowed("revoked")),
        ("not confirmed", by, good("pump-3", "active"), not_allowed("pending")),
        ("no such tenant", by, v1::SetDeviceStateRequest { tenant: "nowhere".into(), ..revoke() }, NO_TENANT),
        ("another's tenant", &world.foreign, revoke(), NO_TENANT),
        (
            "a device of another tenant under its own",
            &world.foreign,
            v1::SetDeviceStateRequest { tenant: "other".into(), ..revoke() },
            NO_DEVICE,
        ),
    ];
    world.refuses(Method::SetDeviceState, rows).await;
}

/// It asks for nothing, so only its caller can be wrong; and time.
#[tokio::test]
async fn get_status() {
    let world = World::new().await;
    let empty = v1::GetStatusRequest {};
    let denied = (Code::PermissionDenied, "role-denied", "GetStatus");
    world.refuses(Method::GetStatus, [("a station", &world.station, empty, denied)]).await;
    world.served.clock.pass(VALIDITY + 1);
    let expired = (Code::Unauthenticated, "operator-expired", "expired");
    world.refuses(Method::GetStatus, [("its time is over", &world.auditor, empty, expired)]).await;
}
