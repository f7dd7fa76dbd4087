//! Vouchers of devices for EST.

use super::world::{NO_DEVICE, NO_TENANT, World, malformed};
use crate::common::device::TestDevice;
use tonic::Code;
use wardein_client::{time, v1};
use wardein_domain::{Method, Role};

fn voucher(tenant: &str, device: &str) -> v1::MakeVoucherRequest {
    v1::MakeVoucherRequest {
        tenant: tenant.into(),
        device_id: device.into(),
        lifetime: time::span(3_600),
        ..Default::default()
    }
}

#[tokio::test]
async fn make_voucher() {
    let world = World::new().await;
    for id in ["pump-1", "pump-2"] {
        TestDevice::enrolled(&world.station, id).await;
    }
    world.set_state("pump-2", "revoked").await;
    TestDevice::pending(&world.station, "pump-3").await;
    let (station, admin, tenant_admin) = (&world.station, &world.admin, &world.tenant_admin);
    let small = world.operator(Role::Station, "line-0", 1).await;
    small.provisioning().make_voucher(voucher("", "pump-4")).await.unwrap();
    let denied = (Code::PermissionDenied, "role-denied", "MakeVoucher");
    let lasting = |seconds| v1::MakeVoucherRequest { lifetime: time::span(seconds), ..voucher("", "pump-9") };
    let profile = |name: &str| v1::MakeVoucherRequest { profile: name.into(), ..voucher("", "pump-9") };
    let enrolled = (Code::AlreadyExists, "already-enrolled", "enrolled");
    let rows = [
        ("nothing", station, v1::MakeVoucherRequest::default(), malformed("device_id")),
        ("a path", station, voucher("", "../pump"), malformed("device_id")),
        ("a colon", station, voucher("", "pump:9"), malformed("device_id")),
        (
            "no time",
            station,
            v1::MakeVoucherRequest { lifetime: None, ..voucher("", "pump-9") },
            malformed("lifetime"),
        ),
        ("for too short", station, lasting(59), malformed("lifetime")),
        ("for too long", station, lasting(366 * 86_400 + 1), malformed("lifetime")),
        ("no profile", station, profile("Lab 1"), malformed("profile")),
        ("no such profile", station, profile("lab"), (Code::NotFound, "profile-unknown", "profile")),
        (
            "a model",
            station,
            v1::MakeVoucherRequest { model: "m".repeat(65), ..voucher("", "pump-9") },
            malformed("model"),
        ),
        (
            "a udi",
            station,
            v1::MakeVoucherRequest { udi: "x".into(), ..voucher("", "pump-9") },
            malformed("udi"),
        ),
        ("no tenant", admin, voucher("", "pump-1"), malformed("tenant")),
        ("no such tenant", admin, voucher("nowhere", "pump-1"), NO_TENANT),
        ("another tenant", station, voucher("other", "pump-1"), NO_TENANT),
        ("another tenant", tenant_admin, voucher("other", "pump-1"), NO_TENANT),
        ("a foreign device", &world.foreign, voucher("other", "pump-1"), NO_DEVICE),
        ("no device", tenant_admin, voucher("t", "pump-9"), NO_DEVICE),
        ("a device in service", station, voucher("", "pump-1"), enrolled),
        ("one that is to confirm", station, voucher("", "pump-3"), enrolled),
        (
            "one that is to confirm",
            tenant_admin,
            voucher("t", "pump-3"),
            (Code::PermissionDenied, "pending", "pending"),
        ),
        (
            "a revoked device",
            station,
            voucher("", "pump-2"),
            (Code::FailedPrecondition, "device-revoked", "revoked"),
        ),
        ("a revoked device", admin, voucher("t", "pump-2"), (Code::PermissionDenied, "revoked", "revoked")),
        ("a similar id", station, voucher("", "Pump-1"), (Code::AlreadyExists, "id-similar", "pump-1")),
        ("no place", &small, voucher("", "pump-9"), (Code::FailedPrecondition, "quota-exhausted", "quota")),
        ("a platform", &world.platform, voucher("", "pump-9"), denied),
        ("an auditor", &world.auditor, voucher("", "pump-1"), denied),
    ];
    world.refuses(Method::MakeVoucher, rows).await;
}
