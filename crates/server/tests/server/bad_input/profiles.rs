//! Profiles.

use super::world::{ETAG_MISMATCH, NO_TENANT, World, malformed};
use tonic::Code;
use wardein_client::{Duration, FieldMask, Refusal, number, time, v1};
use wardein_domain::Method;

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
    let put =
        |profile| v1::PutProfileRequest { profile: Some(profile), update_mask: None, ..Default::default() };
    let archive = |purposes: &[&str]| {
        let purposes = purposes.iter().map(|word| number::<v1::Purpose>(word)).collect();
        Some(v1::Archive { purposes })
    };
    let masked = |paths: &[&str]| {
        let paths = paths.iter().map(ToString::to_string).collect();
        v1::PutProfileRequest {
            profile: Some(good()),
            update_mask: Some(FieldMask { paths }),
            ..Default::default()
        }
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
            "renewals all the time",
            by,
            put(v1::Profile { certificate_renewal_percent: Some(19), ..good() }),
            malformed("profile.certificate_renewal_percent"),
        ),
        (
            "renewals at the last moment",
            by,
            put(v1::Profile { certificate_renewal_percent: Some(91), ..good() }),
            malformed("profile.certificate_renewal_percent"),
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
        (
            "a URN that is none",
            by,
            put(v1::Profile { certificate_uri: Some("spiffe://{device}".into()), ..good() }),
            malformed("profile.certificate_uri"),
        ),
        (
            "a serial number that is not printable",
            by,
            put(v1::Profile { certificate_serial_number: Some("{device}_x".into()), ..good() }),
            malformed("profile.certificate_serial_number"),
        ),
        (
            "a serial number of another tenant",
            &world.tenant_admin,
            put(v1::Profile { certificate_serial_number: Some("{device}".into()), ..good() }),
            (Code::PermissionDenied, "role-insufficient", "profile.certificate_serial_number"),
        ),
        (
            "no such certificate profile",
            by,
            put(v1::Profile { certificate_profile: 77, ..good() }),
            malformed("profile.certificate_profile"),
        ),
        (
            "servers of a CA of clients",
            by,
            put(v1::Profile { certificate_profile: v1::CertificateProfile::DicomTls.into(), ..good() }),
            (Code::FailedPrecondition, "certificate-profile-beyond-ca", "dicom-tls"),
        ),
        (
            "no such kind of key",
            by,
            put(v1::Profile { certificate_keys: vec![1, 77], ..good() }),
            malformed("profile.certificate_keys"),
        ),
        (
            "kinds without end",
            by,
            put(v1::Profile { certificate_keys: vec![1; 1000], ..good() }),
            malformed("profile.certificate_keys"),
        ),
        (
            "more than a week",
            by,
            put(v1::Profile { certificate_validity: time::span(604_801), ..good() }),
            (Code::FailedPrecondition, "certificate-validity-unconfirmed", "604800"),
        ),
        (
            "more than a year, confirmed",
            by,
            v1::PutProfileRequest {
                confirm_long_validity: true,
                ..put(v1::Profile { certificate_validity: time::span(31_622_401), ..good() })
            },
            malformed("profile.certificate_validity"),
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
        let request = v1::PutProfileRequest {
            profile: Some(profile),
            update_mask: Some(FieldMask { paths }),
            ..Default::default()
        };
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
    let rotate = v1::RotateKeysRequest {
        tenant: "t".into(),
        scope,
        required: false,
        reason: "test".into(),
        ..Default::default()
    };
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
