//! `ProvisioningService`.

use super::world::{Expected, NO_DEVICE, World, malformed};
use crate::common::device::TestDevice;
use tonic::Code;
use v1::enroll_stream_request::Step;
use v1::enroll_stream_response::Result as Outcome;
use wardein_client::{time, v1};
use wardein_domain::{Method, Role};
use wardein_port::Store;

/// What is wrong, the request, and the refusal: for a call and for a message of a stream alike.
type Bad<Q> = (&'static str, Q, Expected);

/// Devices of `t`: `pump-1` is confirmed, `pump-2` pending, `pump-3` revoked. A profile `hybrid` takes suite 2 alone;
/// one `broker` names devices in their certificates.
async fn stocked() -> (World, Vec<u8>) {
    let world = World::new().await;
    TestDevice::enrolled(&world.station, "pump-1").await;
    let (_, tag) = TestDevice::pending(&world.station, "pump-2").await;
    TestDevice::enrolled(&world.station, "pump-3").await;
    world.set_state("pump-3", "revoked").await;
    for (tenant, name, suite, cn) in [
        ("t", "hybrid", 2, None),
        ("other", "theirs", 1, None),
        ("t", "broker", 1, Some("{device}.{tenant}")),
    ] {
        let profile = v1::Profile {
            tenant: tenant.into(),
            name: name.into(),
            certificate_validity: time::span(600),
            suites: vec![suite],
            certificate_cn: cn.map(ToOwned::to_owned),
            ..Default::default()
        };
        world
            .admin
            .admin()
            .put_profile(v1::PutProfileRequest {
                profile: Some(profile),
                update_mask: None,
                ..Default::default()
            })
            .await
            .unwrap();
    }
    (world, tag)
}

fn attribute(name: &str, length: usize) -> v1::Attribute {
    v1::Attribute { name: name.into(), value: vec![0; length] }
}

async fn bad_enrollments(world: &World) -> Vec<Bad<v1::EnrollRequest>> {
    let device = TestDevice::begin(&world.station, "pump-4").await;
    let good = || device.request();
    let named = |id: &str| v1::EnrollRequest { device_id: id.into(), ..good() };
    let with = |attributes| v1::EnrollRequest { attributes, ..good() };
    let many = (0..65).map(|i| attribute(&format!("a{i}"), 1)).collect();
    let profile = |name: &str| v1::EnrollRequest { profile: name.into(), ..good() };
    let no_profile = (Code::NotFound, "profile-unknown", "profile");
    let not_allowed = (Code::FailedPrecondition, "suite-not-allowed", "suite");
    let no_share = (Code::InvalidArgument, "share-invalid", "device share");
    vec![
        ("nothing", v1::EnrollRequest::default(), malformed("device_id")),
        ("129 bytes", named(&"d".repeat(129)), malformed("device_id")),
        ("a path", named("../other/pump"), malformed("device_id")),
        ("what is no part of a path", named(".."), malformed("device_id")),
        ("a separator of keys", named("pump\0-4"), malformed("device_id")),
        ("no nonce", v1::EnrollRequest { device_nonce: vec![], ..good() }, malformed("device_nonce")),
        ("33 bytes", v1::EnrollRequest { device_nonce: vec![1; 33], ..good() }, malformed("device_nonce")),
        ("no suite", v1::EnrollRequest { suite: 0, ..good() }, malformed("suite")),
        ("suite 3", v1::EnrollRequest { suite: 3, ..good() }, malformed("suite")),
        ("suite 1, after 16 bits", v1::EnrollRequest { suite: 65_537, ..good() }, malformed("suite")),
        ("no share", v1::EnrollRequest { device_share: vec![], ..good() }, malformed("share")),
        ("64 bytes", v1::EnrollRequest { device_share: vec![4; 64], ..good() }, malformed("share")),
        (
            "1250 bytes",
            v1::EnrollRequest { device_share: vec![4; 1250], ..good() },
            malformed("device_share"),
        ),
        ("the share of another suite", v1::EnrollRequest { suite: 2, ..good() }, malformed("share")),
        ("no point", v1::EnrollRequest { device_share: vec![4; 65], ..good() }, no_share),
        ("an attribute without a name", with(vec![attribute("", 1)]), malformed("attributes[0].name")),
        ("a long name", with(vec![attribute(&"a".repeat(65), 1)]), malformed("attributes[0].name")),
        ("4097 bytes of a value", with(vec![attribute("a", 4097)]), malformed("attributes[0]")),
        ("a name twice", with(vec![attribute("a", 1), attribute("a", 1)]), malformed("attributes[1]")),
        ("65 attributes", with(many), malformed("attributes[64]")),
        ("no profile's name", profile("P"), malformed("profile")),
        ("no such profile", profile("none"), no_profile),
        ("another tenant's profile", profile("theirs"), no_profile),
        ("a suite that the profile does not take", profile("hybrid"), not_allowed),
        (
            "an id that is too long for its name",
            v1::EnrollRequest { device_id: "d".repeat(63), ..profile("broker") },
            (Code::FailedPrecondition, "certificate-name-unfit", "65 bytes"),
        ),
        ("a long model", v1::EnrollRequest { model: "m".repeat(65), ..good() }, malformed("model")),
        ("a model of two lines", v1::EnrollRequest { model: "a\nb".into(), ..good() }, malformed("model")),
        (
            "a wrong check digit",
            v1::EnrollRequest { udi: "(01)09506000134353(21)4711".into(), ..good() },
            malformed("udi"),
        ),
        ("a long UDI", v1::EnrollRequest { udi: "(01)".repeat(100), ..good() }, malformed("udi")),
        ("it is there", named("pump-1"), (Code::AlreadyExists, "already-enrolled", "already")),
        ("it was revoked", named("pump-3"), (Code::FailedPrecondition, "device-revoked", "revoked")),
    ]
}

fn bad_confirmations(tag: &[u8]) -> Vec<Bad<v1::ConfirmRequest>> {
    let ask =
        |id: &str, tag: &[u8]| v1::ConfirmRequest { device_id: id.into(), device_confirmation: tag.to_vec() };
    let mut changed = tag.to_vec();
    changed[31] ^= 1;
    let wrong = (Code::Unauthenticated, "confirmation-wrong", "confirmation");
    vec![
        ("nothing", v1::ConfirmRequest::default(), malformed("device_confirmation")),
        ("no device", ask("", tag), malformed("device_id")),
        ("129 bytes", ask(&"d".repeat(129), tag), malformed("device_id")),
        ("no tag", ask("pump-2", b""), malformed("device_confirmation")),
        ("31 bytes", ask("pump-2", &tag[1..]), malformed("device_confirmation")),
        ("33 bytes", ask("pump-2", &[tag, &[0]].concat()), malformed("device_confirmation")),
        ("changed", ask("pump-2", &changed), wrong),
        ("that of another device", ask("pump-1", tag), wrong),
        ("no such device", ask("pump-9", tag), NO_DEVICE),
    ]
}

#[tokio::test]
async fn enroll() {
    let (world, _) = stocked().await;
    let rows = bad_enrollments(&world).await;
    let rows = rows.into_iter().map(|(what, request, expected)| (what, &world.station, request, expected));
    world.refuses(Method::Enroll, rows).await;
    let used = |name: &'static str, quota| world.operator(Role::Station, name, quota);
    let device = TestDevice::begin(&world.station, "pump-5").await;
    let full = used("full", 1).await;
    TestDevice::pending(&full, "pump-6").await;
    let exhausted = |word| (Code::FailedPrecondition, "quota-exhausted", word);
    let rows = [
        ("no quota", &used("none", 0).await, device.request(), exhausted("quota of 0")),
        ("the quota is used up", &full, device.request(), exhausted("quota of 1")),
    ];
    world.refuses(Method::Enroll, rows).await;
}

#[tokio::test]
async fn confirm() {
    let (world, tag) = stocked().await;
    let rows = bad_confirmations(&tag).into_iter();
    let rows = rows.map(|(what, request, expected)| (what, &world.station, request, expected));
    world.refuses(Method::Confirm, rows).await;
    let there = {
        let order = super::world::order(Role::Station, "other", "one", 1);
        world.served.connect(Some(crate::common::issue_as(&world.admin, order).await)).await.unwrap()
    };
    let request = v1::ConfirmRequest { device_id: "pump-2".into(), device_confirmation: tag.clone() };
    world.refuses(Method::Confirm, [("another tenant's device", &there, request.clone(), NO_DEVICE)]).await;
    world.station.provisioning().confirm(request.clone()).await.expect("after all that it is as it was");
    world.station.provisioning().confirm(request).await.expect("the same again is fine");
}

#[tokio::test]
async fn enroll_stream() {
    let (world, tag) = stocked().await;
    let enrollments = bad_enrollments(&world).await.into_iter();
    let enrollments =
        enrollments.map(|(what, request, expected)| (what, Some(Step::Enroll(request)), expected));
    let confirmations = bad_confirmations(&tag).into_iter();
    let confirmations =
        confirmations.map(|(what, request, expected)| (what, Some(Step::Confirm(request)), expected));
    let nothing = [("no step", None, malformed("step"))];
    let rows: Vec<_> = enrollments.chain(confirmations).chain(nothing).collect();
    let messages: Vec<_> = (0..)
        .zip(&rows)
        .map(|(correlation, (_, step, _))| v1::EnrollStreamRequest { correlation, step: step.clone() })
        .collect();
    let (before, last) = (world.rows().await, world.served.store.head().await.unwrap().last_audit);
    let answer = world.station.provisioning().enroll_stream(tokio_stream::iter(messages)).await.unwrap();
    let (request_id, mut answers) = {
        let id = answer.metadata().get("wardein-request-id").unwrap().to_str().unwrap().to_owned();
        (id, answer.into_inner())
    };
    let mut seen = 0;
    while let Some(v1::EnrollStreamResponse { correlation, result }) = answers.message().await.unwrap() {
        let (what, _, (status, code, word)) = &rows[usize::try_from(correlation).unwrap()];
        let Some(Outcome::Failure(failure)) = result else { panic!("{what}: {result:?}") };
        assert_eq!((failure.status, failure.code.as_str()), (*status as u32, *code), "{what}: {failure:?}");
        assert!(failure.message.contains(word), "{what}: {failure:?}");
        seen += 1;
    }
    assert_eq!(seen, rows.len());
    assert!(world.rows().await == before);
    let entries = world.entries(last + 1).await;
    assert_eq!(entries.len(), rows.len());
    for entry in entries {
        assert_eq!(
            (entry.event.as_str(), entry.target.as_str()),
            ("call.refuse", Method::EnrollStream.path())
        );
        assert_eq!(entry.request_id, request_id);
    }
}

#[tokio::test]
async fn get_station_and_get_enrollment() {
    let world = World::new().await;
    let denied = |method| (Code::PermissionDenied, "role-denied", method);
    let station = v1::GetStationRequest {};
    world.refuses(Method::GetStation, [("a platform", &world.platform, station, denied("GetStation"))]).await;
    TestDevice::enrolled(&world.station, "pump-1").await;
    TestDevice::pending(&world.station, "pump-2").await;
    let order = super::world::order(Role::Station, "t", "other-line", 5);
    let other = world.served.connect(Some(crate::common::issue_as(&world.admin, order).await)).await.unwrap();
    let ask = |id: &str| v1::GetEnrollmentRequest { device_id: id.into() };
    let rows = [
        ("no device", &world.station, ask(""), malformed("device_id")),
        ("129 bytes", &world.station, ask(&"d".repeat(129)), malformed("device_id")),
        ("no such device", &world.station, ask("pump-9"), NO_DEVICE),
        ("another station's", &other, ask("pump-1"), NO_DEVICE),
        ("a platform", &world.platform, ask("pump-1"), denied("GetEnrollment")),
    ];
    world.refuses(Method::GetEnrollment, rows).await;
    for (id, state) in [("pump-1", v1::DeviceState::Active), ("pump-2", v1::DeviceState::Pending)] {
        let found = world.station.provisioning().get_enrollment(ask(id)).await.unwrap().into_inner();
        assert_eq!((found.state(), found.generation), (state, 1), "{id}");
    }
    let own = world.station.provisioning().get_station(v1::GetStationRequest {}).await.unwrap().into_inner();
    assert!(own.used == 2 && own.quota > 2 && own.not_after.is_some(), "{own:?}");
    let none = other.provisioning().get_station(v1::GetStationRequest {}).await.unwrap().into_inner();
    assert_eq!((none.quota, none.used), (5, 0));
}
