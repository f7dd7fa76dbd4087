//! `AdminService`, where it is about keys, and about devices that come back.

use super::world::{Expected, NO_DEVICE, NO_TENANT, World, malformed};
use crate::common::device::TestDevice;
use tonic::Code;
use wardein_client::v1;
use wardein_client::v1::rotate_keys_request::Scope;
use wardein_domain::Method;

const NO_PROFILE: Expected = (Code::NotFound, "profile-unknown", "no profile");

#[tokio::test]
async fn rotate_keys() {
    let world = World::new().await;
    TestDevice::enrolled(&world.station, "pump-1").await;
    let of = |scope| v1::RotateKeysRequest {
        tenant: "t".into(),
        scope: Some(scope),
        required: false,
        reason: "drill".into(),
        ..Default::default()
    };
    let good = || of(Scope::AllDevices(v1::AllDevices {}));
    let of_profile = |profile: &str| of(Scope::Profile(profile.into()));
    let of_device = |device: &str| of(Scope::DeviceId(device.into()));
    let by = &world.admin;
    let denied = (Code::PermissionDenied, "role-denied", "RotateKeys");
    let rows = [
        ("nothing", by, v1::RotateKeysRequest::default(), malformed("tenant")),
        ("no tenant's name", by, v1::RotateKeysRequest { tenant: "T".into(), ..good() }, malformed("tenant")),
        ("no profile's name", by, of_profile("P"), malformed("profile")),
        ("no device's id", by, of_device("a/b"), malformed("device_id")),
        ("129 bytes", by, of_device(&"d".repeat(129)), malformed("device_id")),
        ("no scope", by, v1::RotateKeysRequest { scope: None, ..good() }, malformed("scope")),
        ("an empty id", by, of_device(""), malformed("device_id")),
        ("no reason", by, v1::RotateKeysRequest { reason: String::new(), ..good() }, malformed("reason")),
        (
            "a long reason",
            by,
            v1::RotateKeysRequest { reason: "x".repeat(257), ..good() },
            malformed("reason"),
        ),
        (
            "31 bytes",
            by,
            v1::RotateKeysRequest { batch: vec![1; 31], ..of_device("pump-1") },
            malformed("batch"),
        ),
        ("a batch of all", by, v1::RotateKeysRequest { batch: vec![1; 32], ..good() }, malformed("batch")),
        ("no such tenant", by, v1::RotateKeysRequest { tenant: "nowhere".into(), ..good() }, NO_TENANT),
        ("no such profile", by, of_profile("absent"), NO_PROFILE),
        ("no such device", by, of_device("pump-9"), NO_DEVICE),
        ("another's tenant", &world.foreign, good(), NO_TENANT),
        ("another's device", &world.foreign, of_device("pump-1"), NO_TENANT),
        ("an auditor", &world.auditor, good(), denied),
        ("a platform", &world.platform, good(), denied),
        ("a helpdesk", &world.helpdesk, of_device("pump-1"), denied),
    ];
    world.refuses(Method::RotateKeys, rows).await;
    world.served.clock.pass(super::world::VALIDITY + 1);
    let expired = (Code::Unauthenticated, "operator-expired", "expired");
    world.refuses(Method::RotateKeys, [("its time is over", &world.tenant_admin, good(), expired)]).await;
}

#[tokio::test]
async fn get_key_status() {
    let world = World::new().await;
    TestDevice::enrolled(&world.station, "pump-1").await;
    let ask = |tenant: &str, profile: &str, device: &str| v1::GetKeyStatusRequest {
        tenant: tenant.into(),
        profile: profile.into(),
        device_id: device.into(),
    };
    let by = &world.auditor;
    let rows = [
        ("nothing", by, ask("", "", ""), malformed("tenant")),
        ("no profile's name", by, ask("t", "a b", ""), malformed("profile")),
        ("no device's id", by, ask("t", "", "a\0b"), malformed("device_id")),
        ("a profile and a device", by, ask("t", "default", "pump-1"), malformed("device_id")),
        ("no such profile", by, ask("t", "absent", ""), NO_PROFILE),
        ("no such device", by, ask("t", "", "pump-9"), NO_DEVICE),
        ("no such tenant", &world.admin, ask("nowhere", "", ""), NO_TENANT),
        ("another's tenant", &world.foreign, ask("t", "", "pump-1"), NO_TENANT),
        (
            "a station",
            &world.station,
            ask("t", "", ""),
            (Code::PermissionDenied, "role-denied", "GetKeyStatus"),
        ),
    ];
    world.refuses(Method::GetKeyStatus, rows).await;
}

#[tokio::test]
async fn readmit_device() {
    let world = World::new().await;
    for id in ["pump-1", "pump-2", "pump-3"] {
        TestDevice::enrolled(&world.station, id).await;
    }
    world.set_state("pump-1", "quarantined").await;
    world.set_state("pump-3", "retired").await;
    let good = |device: &str| v1::ReadmitDeviceRequest {
        tenant: "t".into(),
        device_id: device.into(),
        enroll_anew: false,
        reason: "looked at".into(),
    };
    let by = &world.admin;
    let not_allowed = (Code::FailedPrecondition, "transition-not-allowed", "retired");
    let denied = (Code::PermissionDenied, "role-denied", "ReadmitDevice");
    let rows = [
        ("nothing", by, v1::ReadmitDeviceRequest::default(), malformed("tenant")),
        ("no device", by, good(""), malformed("device_id")),
        ("a path", by, good("../pump-1"), malformed("device_id")),
        (
            "no reason",
            by,
            v1::ReadmitDeviceRequest { reason: String::new(), ..good("pump-1") },
            malformed("reason"),
        ),
        (
            "a reason of two lines",
            by,
            v1::ReadmitDeviceRequest { reason: "a\nb".into(), ..good("pump-1") },
            malformed("reason"),
        ),
        ("no such device", by, good("pump-9"), NO_DEVICE),
        ("retired is for good", by, good("pump-3"), not_allowed),
        (
            "retired is for good, also with a new enrollment",
            by,
            v1::ReadmitDeviceRequest { enroll_anew: true, ..good("pump-3") },
            not_allowed,
        ),
        ("another's tenant", &world.foreign, good("pump-1"), NO_TENANT),
        ("an auditor", &world.auditor, good("pump-1"), denied),
        ("a station", &world.station, good("pump-1"), denied),
    ];
    world.refuses(Method::ReadmitDevice, rows).await;
}

#[tokio::test]
async fn list_device_history() {
    let world = World::new().await;
    for id in ["pump-1", "pump-2"] {
        TestDevice::enrolled(&world.station, id).await;
    }
    let good = |device: &str| v1::ListDeviceHistoryRequest {
        tenant: "t".into(),
        device_id: device.into(),
        ..Default::default()
    };
    let by = &world.auditor;
    let foreign_token = b"t\0pump-2\0".to_vec();
    let rows = [
        ("nothing", by, v1::ListDeviceHistoryRequest::default(), malformed("tenant")),
        ("no device", by, good(""), malformed("device_id")),
        (
            "a long token",
            by,
            v1::ListDeviceHistoryRequest { page_token: vec![1; 513], ..good("pump-1") },
            malformed("page_token"),
        ),
        ("no such device", by, good("pump-9"), NO_DEVICE),
        ("another's tenant", &world.foreign, good("pump-1"), NO_TENANT),
        (
            "a platform",
            &world.platform,
            good("pump-1"),
            (Code::PermissionDenied, "role-denied", "ListDeviceHistory"),
        ),
    ];
    world.refuses(Method::ListDeviceHistory, rows).await;
    // It is read before it is refused: the reading is on record, and the rows are as they were.
    let before = world.rows().await;
    let stray = v1::ListDeviceHistoryRequest { page_token: foreign_token, ..good("pump-1") };
    let refused = by.admin().list_device_history(stray).await.unwrap_err();
    assert!(refused.message().starts_with("page_token"), "{refused}");
    assert!(world.rows().await == before);
}
