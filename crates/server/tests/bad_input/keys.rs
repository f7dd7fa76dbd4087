//! `AdminService`, where it is about keys.

use crate::common::device::TestDevice;
use crate::world::{Expected, NO_DEVICE, NO_TENANT, World, malformed};
use tonic::Code;
use wardein_client::v1;
use wardein_domain::Method;

const NO_PROFILE: Expected = (Code::NotFound, "profile-unknown", "no profile");

#[tokio::test]
async fn rotate_keys() {
    let world = World::new().await;
    TestDevice::enrolled(&world.station, "pump-1").await;
    let good = || v1::RotateKeysRequest { tenant: "t".into(), reason: "drill".into(), ..Default::default() };
    let of_profile = |profile: &str| v1::RotateKeysRequest { profile: profile.into(), ..good() };
    let of_device = |device: &str| v1::RotateKeysRequest { device_id: device.into(), ..good() };
    let by = &world.admin;
    let denied = (Code::PermissionDenied, "role-denied", "RotateKeys");
    let rows = [
        ("nothing", by, v1::RotateKeysRequest::default(), malformed("tenant")),
        ("no tenant's name", by, v1::RotateKeysRequest { tenant: "T".into(), ..good() }, malformed("tenant")),
        ("no profile's name", by, of_profile("P"), malformed("profile")),
        ("no device's id", by, of_device("a/b"), malformed("device_id")),
        ("129 bytes", by, of_device(&"d".repeat(129)), malformed("device_id")),
        (
            "a profile and a device",
            by,
            v1::RotateKeysRequest { profile: "default".into(), ..of_device("pump-1") },
            malformed("device_id"),
        ),
        ("no reason", by, v1::RotateKeysRequest { reason: String::new(), ..good() }, malformed("reason")),
        (
            "a long reason",
            by,
            v1::RotateKeysRequest { reason: "x".repeat(257), ..good() },
            malformed("reason"),
        ),
        ("no such tenant", by, v1::RotateKeysRequest { tenant: "nowhere".into(), ..good() }, NO_TENANT),
        ("no such profile", by, of_profile("absent"), NO_PROFILE),
        ("no such device", by, of_device("pump-9"), NO_DEVICE),
        ("another's tenant", &world.foreign, good(), NO_TENANT),
        ("another's device", &world.foreign, of_device("pump-1"), NO_TENANT),
        ("an auditor", &world.auditor, good(), denied),
        ("a platform", &world.platform, good(), denied),
    ];
    world.refuses(Method::RotateKeys, rows).await;
    world.served.clock.pass(crate::world::VALIDITY + 1);
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
