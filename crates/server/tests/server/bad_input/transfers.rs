//! Transfers of devices between tenants.

use super::world::{NO_DEVICE, NO_TENANT, World, malformed};
use crate::common::device::TestDevice;
use tonic::Code;
use wardein_client::{time, v1};
use wardein_domain::Method;

fn offer(device: &str) -> v1::TransferDeviceRequest {
    v1::TransferDeviceRequest {
        tenant: "t".into(),
        device_id: device.into(),
        to_tenant: "other".into(),
        lifetime: time::span(3_600),
        reason: "sold".into(),
    }
}

fn accept(device: &str) -> v1::AcceptTransferRequest {
    v1::AcceptTransferRequest {
        tenant: "other".into(),
        from_tenant: "t".into(),
        device_id: device.into(),
        ..Default::default()
    }
}

fn withdraw(device: &str) -> v1::WithdrawTransferRequest {
    v1::WithdrawTransferRequest {
        from_tenant: "t".into(),
        device_id: device.into(),
        reason: "mistake".into(),
    }
}

const NO_TRANSFER: (Code, &str, &str) = (Code::NotFound, "transfer-unknown", "no transfer");

#[tokio::test]
async fn transfer_device() {
    let world = World::new().await;
    for id in ["pump-1", "pump-2", "pump-3"] {
        TestDevice::enrolled(&world.station, id).await;
    }
    world.set_state("pump-2", "suspended").await;
    world.admin.admin().transfer_device(offer("pump-3")).await.unwrap();
    let by = &world.tenant_admin;
    let denied = (Code::PermissionDenied, "role-denied", "TransferDevice");
    let lasting = |seconds| v1::TransferDeviceRequest { lifetime: time::span(seconds), ..offer("pump-1") };
    let to = |tenant: &str| v1::TransferDeviceRequest { to_tenant: tenant.into(), ..offer("pump-1") };
    let open = (Code::AlreadyExists, "transfer-open", "open");
    let elsewhere = v1::TransferDeviceRequest { to_tenant: "third".into(), ..offer("pump-3") };
    let rows = [
        ("nothing", by, v1::TransferDeviceRequest::default(), malformed("tenant")),
        ("a path", by, offer("../pump-1"), malformed("device_id")),
        ("no receiver", by, to(""), malformed("to_tenant")),
        ("itself", by, to("t"), malformed("to_tenant")),
        ("no such receiver", &world.admin, to("nowhere"), NO_TENANT),
        ("for too short", by, lasting(59), malformed("lifetime")),
        ("for too long", by, lasting(366 * 86_400 + 1), malformed("lifetime")),
        (
            "no reason",
            by,
            v1::TransferDeviceRequest { reason: String::new(), ..offer("pump-1") },
            malformed("reason"),
        ),
        ("no such device", by, offer("pump-9"), NO_DEVICE),
        (
            "a suspended one",
            by,
            offer("pump-2"),
            (Code::FailedPrecondition, "transition-not-allowed", "suspended"),
        ),
        ("one on offer to another", by, elsewhere, open),
        ("another's", &world.foreign, offer("pump-1"), NO_TENANT),
        ("an auditor", &world.auditor, offer("pump-1"), denied),
        ("a station", &world.station, offer("pump-1"), denied),
    ];
    world.refuses(Method::TransferDevice, rows).await;
}

#[tokio::test]
async fn accept_transfer() {
    let world = World::new().await;
    for id in ["pump-1", "pump-2", "pump-3"] {
        TestDevice::enrolled(&world.station, id).await;
    }
    for id in ["pump-1", "pump-2"] {
        world.admin.admin().transfer_device(offer(id)).await.unwrap();
    }
    world.admin.admin().accept_transfer(accept("pump-2")).await.unwrap();
    let by = &world.foreign;
    let denied = (Code::PermissionDenied, "role-denied", "AcceptTransfer");
    let under = |id: &str| v1::AcceptTransferRequest { new_device_id: id.into(), ..accept("pump-1") };
    let profile = |name: &str| v1::AcceptTransferRequest { profile: name.into(), ..accept("pump-1") };
    let no_profile = (Code::NotFound, "profile-unknown", "profile");
    let rows = [
        ("nothing", by, v1::AcceptTransferRequest::default(), malformed("tenant")),
        (
            "no giver",
            by,
            v1::AcceptTransferRequest { from_tenant: String::new(), ..accept("pump-1") },
            malformed("from_tenant"),
        ),
        ("a path", by, accept("../pump-1"), malformed("device_id")),
        ("as a path", by, under("../pump-1"), malformed("new_device_id")),
        ("as no file's name", by, under("con"), malformed("device_id")),
        ("no profile's name", by, profile("a b"), malformed("profile")),
        ("no such profile", by, profile("absent"), no_profile),
        ("none on offer", by, accept("pump-3"), NO_TRANSFER),
        ("under an id that is kept", by, under("pump-2"), (Code::AlreadyExists, "already-enrolled", "kept")),
        ("the giver", &world.tenant_admin, accept("pump-1"), NO_TENANT),
        ("an auditor", &world.auditor, accept("pump-1"), denied),
        ("a station", &world.station, accept("pump-1"), denied),
    ];
    world.refuses(Method::AcceptTransfer, rows).await;
    world.served.clock.pass(3_600);
    let over = (Code::FailedPrecondition, "transfer-expired", "over");
    let rows = [("too late", &world.admin, accept("pump-1"), over)];
    world.refuses(Method::AcceptTransfer, rows).await;
}

#[tokio::test]
async fn withdraw_transfer() {
    let world = World::new().await;
    for id in ["pump-1", "pump-2"] {
        TestDevice::enrolled(&world.station, id).await;
    }
    world.admin.admin().create_tenant(v1::CreateTenantRequest { tenant: "third".into() }).await.unwrap();
    let to_third = v1::TransferDeviceRequest { to_tenant: "third".into(), ..offer("pump-1") };
    world.admin.admin().transfer_device(to_third).await.unwrap();
    let by = &world.tenant_admin;
    let denied = (Code::PermissionDenied, "role-denied", "WithdrawTransfer");
    let rows = [
        ("nothing", by, v1::WithdrawTransferRequest::default(), malformed("from_tenant")),
        ("a path", by, withdraw("../pump-1"), malformed("device_id")),
        (
            "no reason",
            by,
            v1::WithdrawTransferRequest { reason: String::new(), ..withdraw("pump-1") },
            malformed("reason"),
        ),
        ("none on offer", by, withdraw("pump-2"), NO_TRANSFER),
        ("one between others", &world.foreign, withdraw("pump-1"), NO_TRANSFER),
        ("an auditor", &world.auditor, withdraw("pump-1"), denied),
        ("a station", &world.station, withdraw("pump-1"), denied),
    ];
    world.refuses(Method::WithdrawTransfer, rows).await;
}

#[tokio::test]
async fn list_transfers() {
    let world = World::new().await;
    let ask = |tenant: &str| v1::ListTransfersRequest { tenant: tenant.into(), ..Default::default() };
    let denied = (Code::PermissionDenied, "role-denied", "ListTransfers");
    let token = v1::ListTransfersRequest { page_token: vec![7; 9], ..ask("t") };
    let rows = [
        ("nothing", &world.auditor, ask(""), malformed("tenant")),
        ("a token of nothing", &world.auditor, token, malformed("page_token")),
        ("no such tenant", &world.admin, ask("nowhere"), NO_TENANT),
        ("another's", &world.foreign, ask("t"), NO_TENANT),
        ("a station", &world.station, ask("t"), denied),
    ];
    world.refuses(Method::ListTransfers, rows).await;
}
