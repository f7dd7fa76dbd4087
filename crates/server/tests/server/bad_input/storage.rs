//! `StorageService`.

use super::world::{NO_DEVICE, NO_TENANT, World, malformed};
use crate::common::Served;
use crate::common::device::TestDevice;
use tonic::Code;
use wardein_client::v1;
use wardein_client::v1::rotate_storage_key_request::Scope as RotateScope;
use wardein_client::v1::sweep_request::Scope as SweepScope;
use wardein_domain::Method;
use wardein_server::Limits;

#[tokio::test]
async fn rotate_storage_key() {
    let world = World::new().await;
    let of = |tenant: &str| v1::RotateStorageKeyRequest { scope: Some(RotateScope::Tenant(tenant.into())) };
    let root = v1::RotateStorageKeyRequest { scope: Some(RotateScope::RootKey(v1::RootKey {})) };
    let by = &world.admin;
    let fixed = (Code::FailedPrecondition, "custody-fixed", "cannot be changed");
    let denied = (Code::PermissionDenied, "role-denied", "may not call");
    let rows = [
        ("a malformed tenant", by, of("T"), malformed("tenant")),
        ("a long tenant", by, of(&"t".repeat(64)), malformed("tenant")),
        ("a tenant that is not there", by, of("nowhere"), (Code::NotFound, "tenant-unknown", "nowhere")),
        ("no tenant", by, of(""), malformed("tenant")),
        ("no scope", by, v1::RotateStorageKeyRequest { scope: None }, malformed("scope")),
        ("a root key that is kept elsewhere", by, root, fixed),
        ("a tenant's administrator", &world.tenant_admin, of("t"), denied),
        ("a station", &world.station, of("t"), denied),
        ("an auditor", &world.auditor, of("t"), denied),
    ];
    world.refuses(Method::RotateStorageKey, rows).await;
}

#[tokio::test]
async fn sweep() {
    let world = World::new().await;
    let by = &world.admin;
    let asked = |scope, per_second| v1::SweepRequest { scope, per_second };
    let of = |tenant: &str, per_second| asked(Some(SweepScope::Tenant(tenant.into())), per_second);
    let all = |per_second| asked(Some(SweepScope::AllTenants(v1::AllTenants {})), per_second);
    let denied = (Code::PermissionDenied, "role-denied", "may not call");
    let rows = [
        ("a malformed tenant", by, of("t/..", 0), malformed("tenant")),
        ("a tenant that is not there", by, of("nowhere", 0), (Code::NotFound, "tenant-unknown", "nowhere")),
        ("a rate beyond the bound", by, of("t", 100_001), malformed("per_second")),
        ("as fast as there are numbers", by, all(u32::MAX), malformed("per_second")),
        ("no tenant", by, of("", 0), malformed("tenant")),
        ("no scope", by, asked(None, 0), malformed("scope")),
        ("a platform", &world.platform, of("t", 0), denied),
        ("a tenant's administrator", &world.tenant_admin, of("t", 0), denied),
    ];
    world.refuses(Method::Sweep, rows).await;
    // A second one beside the first is refused, and the first has left no mark.
    let mut first = by.storage().sweep(all(1)).await.unwrap().into_inner();
    let busy = (Code::Unavailable, "under-way", "a sweep");
    let second = by.storage().sweep(all(1)).await.unwrap_err();
    let refusal = wardein_client::Refusal::from(second);
    assert_eq!((refusal.status, refusal.code.as_str()), (busy.0, busy.1));
    while first.message().await.unwrap().is_some_and(|step| !step.is_done) {}
    drop(first);
    let mut again = by.storage().sweep(of("t", 0)).await.unwrap().into_inner();
    assert!(again.message().await.unwrap().is_some());
}

#[tokio::test]
async fn shred_device() {
    let world = World::new().await;
    TestDevice::enrolled(&world.station, "pump-1").await;
    let of = |tenant: &str, device_id: &str, reason: &str| v1::ShredDeviceRequest {
        tenant: tenant.into(),
        device_id: device_id.into(),
        reason: reason.into(),
        per_second: 0,
    };
    let fast = v1::ShredDeviceRequest { per_second: 100_001, ..of("t", "pump-1", "test") };
    let fixed = (Code::FailedPrecondition, "custody-fixed", "cannot be changed");
    let (by, good) = (&world.admin, || of("t", "pump-1", "test"));
    let denied = (Code::PermissionDenied, "role-denied", "may not call");
    let rows = [
        ("no tenant", by, of("", "pump-1", "test"), malformed("tenant")),
        ("no device", by, of("t", "", "test"), malformed("device_id")),
        ("a malformed device", by, of("t", "pump 1", "test"), malformed("device_id")),
        ("a long device", by, of("t", &"p".repeat(129), "test"), malformed("device_id")),
        ("no reason", by, of("t", "pump-1", ""), malformed("reason")),
        ("a long reason", by, of("t", "pump-1", &"x".repeat(257)), malformed("reason")),
        ("a rate beyond the bound", by, fast, malformed("per_second")),
        ("a root key that is kept elsewhere", by, good(), fixed),
        ("no such device", by, of("t", "pump-9", "test"), NO_DEVICE),
        ("no such tenant", by, of("nowhere", "pump-1", "test"), NO_TENANT),
        ("another tenant's device", by, of("other", "pump-1", "test"), NO_DEVICE),
        ("a tenant's administrator", &world.tenant_admin, good(), denied),
        ("a station", &world.station, good(), denied),
        ("a platform", &world.platform, good(), denied),
        ("an auditor", &world.auditor, good(), denied),
    ];
    world.refuses(Method::ShredDevice, rows).await;
}

#[tokio::test]
async fn list_deeds() {
    let world = World::new().await;
    let of = |page_size, page_token| v1::ListDeedsRequest { page_size, page_token };
    let denied = (Code::PermissionDenied, "role-denied", "may not call");
    let rows = [
        ("a long token", &world.admin, of(1, vec![0; 1_025]), malformed("page_token")),
        ("a tenant's administrator", &world.tenant_admin, of(0, Vec::new()), denied),
        ("a station", &world.station, of(0, Vec::new()), denied),
        ("a platform", &world.platform, of(0, Vec::new()), denied),
    ];
    world.refuses(Method::ListDeeds, rows).await;
}

#[tokio::test]
async fn backup() {
    let world = World::new().await;
    let ask = v1::BackupRequest::default;
    let fixed = (Code::FailedPrecondition, "custody-fixed", "cannot be changed");
    let denied = (Code::PermissionDenied, "role-denied", "may not call");
    let rows = [
        ("a root key that is kept elsewhere", &world.admin, ask(), fixed),
        ("a tenant's administrator", &world.tenant_admin, ask(), denied),
        ("a station", &world.station, ask(), denied),
        ("a platform", &world.platform, ask(), denied),
        ("an auditor", &world.auditor, ask(), denied),
    ];
    world.refuses(Method::Backup, rows).await;
    // What was refused keeps the next from nothing.
    world.refuses(Method::Backup, [("again", &world.admin, ask(), fixed)]).await;
}

/// The server sweeps by itself, whether or not anybody asks for it.
#[tokio::test]
async fn by_itself() {
    let sweep_every = std::time::Duration::from_millis(50);
    let served = Served::with(Limits { sweep_every, ..Limits::default() }, 0).await;
    let admin = served.connect(Some(served.admin())).await.unwrap();
    admin.admin().create_tenant(v1::CreateTenantRequest { tenant: "t".into() }).await.unwrap();
    let scope = Some(RotateScope::Tenant("t".into()));
    admin.storage().rotate_storage_key(v1::RotateStorageKeyRequest { scope }).await.unwrap();
    let begun = std::time::Instant::now();
    loop {
        let asked = v1::ListEntriesRequest { page_size: 1000, ..Default::default() };
        let entries = admin.audit().list_entries(asked).await.unwrap().into_inner().entries;
        if let Some(dropped) = entries.iter().find(|entry| entry.event == "key.drop-storage") {
            assert_eq!((dropped.actor.as_str(), dropped.target.as_str()), ("system", "tenant/t"));
            return;
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "it does not sweep by itself");
        tokio::time::sleep(sweep_every).await;
    }
}
