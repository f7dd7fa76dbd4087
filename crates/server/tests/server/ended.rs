//! Operators that have ended: what they are told, and that nothing of theirs goes on.

use crate::common::device::TestDevice;
use crate::common::{ROOT_KEY, Served, copied, issue, issue_as, now, revoke};
use std::sync::Arc;
use std::time::Duration;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use wardein_client::{ConnectError, Connection, Identity, Refusal, time, v1};
use wardein_domain::Role;
use wardein_engine::Ports;
use wardein_port::{Change, Table};
use wardein_server::Limits;
use wardein_testkit::{MemoryCustody, commit};

async fn status(by: &Connection) -> Result<(), Refusal> {
    by.admin().get_status(v1::GetStatusRequest {}).await.map(|_| ()).map_err(Refusal::from)
}

/// An authority, its administrator, and another one that a test spoils.
async fn served() -> (Served, Connection, Identity) {
    let with = |ports| Ports { custody: Some(Arc::new(MemoryCustody::of(ROOT_KEY))), ..ports };
    let served = Served::serve(Limits::default(), now(), 0, with).await;
    let admin = served.connect(Some(served.admin())).await.unwrap();
    admin.admin().create_tenant(v1::CreateTenantRequest { tenant: "t".into() }).await.unwrap();
    let other = issue(&admin, Role::Admin).await;
    (served, admin, other)
}

/// A new connection is made with the certificate all the same, which is how the operator hears why.
#[tokio::test]
async fn who_has_ended_is_told_on_a_new_connection_and_that_is_closed() {
    let (served, admin, revoked) = served().await;
    let expired = issue(&admin, Role::Auditor).await;
    revoke(&admin, &revoked).await;
    served.clock.pass(3_601);
    for (identity, code) in [(&revoked, "operator-revoked"), (&expired, "operator-expired")] {
        let by = served.connect(Some(copied(identity))).await.unwrap();
        // Open to all, and as long as its connection.
        let watch = HealthCheckRequest { service: String::new() };
        let mut watch = HealthClient::new(by.channel()).watch(watch).await.unwrap().into_inner();
        watch.message().await.unwrap().unwrap();
        let asked = v1::ListEntriesRequest { page_size: 1000, ..Default::default() };
        let refusal = status(&by).await.unwrap_err();
        assert_eq!((refusal.status, refusal.code.as_str()), (tonic::Code::Unauthenticated, code));
        let entries = admin.audit().list_entries(asked).await.unwrap().into_inner().entries;
        let id = refusal.request_id.unwrap();
        let entry = entries.into_iter().find(|entry| entry.request_id == id).unwrap();
        assert_eq!((entry.event.as_str(), entry.outcome.as_str()), ("call.refuse", code));
        let closed = tokio::time::timeout(Duration::from_secs(30), watch.message()).await;
        assert!(closed.expect("the connection is closed").is_err());
    }
    // Others keep theirs.
    status(&admin).await.unwrap();
}

/// Fills the store, so that a backup has several parts.
async fn fill(served: &Served) {
    for number in 0..40_u8 {
        let mut change = Change::default();
        for row in 0..10_u8 {
            change.insert(Table::History, vec![number, row], vec![number; 100_000]);
        }
        commit(&served.store, change).await.unwrap();
    }
}

#[tokio::test]
async fn a_backup_ends_with_its_caller() {
    let (served, admin, other) = served().await;
    fill(&served).await;
    let by = served.connect(Some(copied(&other))).await.unwrap();
    let mut parts = by.storage().backup(v1::BackupRequest {}).await.unwrap().into_inner();
    assert!(!parts.message().await.unwrap().unwrap().is_last);
    revoke(&admin, &other).await;
    let refusal = loop {
        match parts.message().await {
            // One may be on its way, and one is ready.
            Ok(part) => assert!(!part.expect("it is not complete").is_last),
            Err(status) => break Refusal::from(status),
        }
    };
    assert_eq!(refusal.code, "operator-revoked");
    assert_eq!(refused(&admin, &refusal).await, "/wardein.v1.StorageService/Backup");
}

async fn enroll(served: &Served, admin: &Connection, devices: u32) {
    let station = v1::IssueOperatorRequest {
        role: v1::Role::Station.into(),
        tenant: "t".into(),
        name: "line-1".into(),
        validity: time::span(3_600),
        quota: 100,
        ..Default::default()
    };
    let station = served.connect(Some(issue_as(admin, station).await)).await.unwrap();
    for number in 0..devices {
        TestDevice::enrolled(&station, &format!("pump-{number}")).await;
    }
}

#[tokio::test]
async fn a_sweep_ends_with_its_caller() {
    let (served, admin, other) = served().await;
    enroll(&served, &admin, 20).await;
    let by = served.connect(Some(copied(&other))).await.unwrap();
    let scope = Some(v1::sweep_request::Scope::AllTenants(v1::AllTenants {}));
    let sweep = v1::SweepRequest { scope, per_second: 2 };
    let mut steps = by.storage().sweep(sweep).await.unwrap().into_inner();
    assert!(!steps.message().await.unwrap().unwrap().is_done);
    revoke(&admin, &other).await;
    let refusal = loop {
        match steps.message().await {
            Ok(step) => assert!(!step.expect("it is not done").is_done),
            Err(status) => break Refusal::from(status),
        }
    };
    assert_eq!(refusal.code, "operator-revoked");
    assert_eq!(refused(&admin, &refusal).await, "/wardein.v1.StorageService/Sweep");
}

#[tokio::test]
async fn who_watches_a_shredding_may_no_more_and_it_goes_on() {
    let (served, admin, other) = served().await;
    enroll(&served, &admin, 5).await;
    let by = served.connect(Some(copied(&other))).await.unwrap();
    let (tenant, device_id, reason) = ("t".into(), "pump-0".into(), "sold".into());
    let shred = v1::ShredDeviceRequest { tenant, device_id, reason, per_second: 1 };
    let mut steps = by.storage().shred_device(shred).await.unwrap().into_inner();
    assert!(!steps.message().await.unwrap().unwrap().is_done);
    revoke(&admin, &other).await;
    let refusal = loop {
        match steps.message().await {
            Ok(step) => assert!(!step.expect("it is not done").is_done),
            Err(status) => break Refusal::from(status),
        }
    };
    assert_eq!(refusal.code, "operator-revoked");
    assert_eq!(refused(&admin, &refusal).await, "/wardein.v1.StorageService/ShredDevice");
    for _ in 0..600 {
        let deeds = admin.storage().list_deeds(v1::ListDeedsRequest::default()).await.unwrap();
        if deeds.into_inner().deeds.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    unreachable!("the shredding does not go on");
}

/// The method that the entry about a refusal names.
async fn refused(admin: &Connection, refusal: &Refusal) -> String {
    let asked = v1::ListEntriesRequest { page_size: 1000, ..Default::default() };
    let entries = admin.audit().list_entries(asked).await.unwrap().into_inner().entries;
    let id = refusal.request_id.as_ref().unwrap();
    let is_it = |entry: &v1::AuditEntry| entry.event == "call.refuse" && entry.request_id == *id;
    entries.into_iter().find(is_it).unwrap().target
}

/// The client looks at its own certificate first, and names its own clock where that is at fault.
#[tokio::test]
async fn a_client_tells_its_own_faults_from_the_authoritys() {
    let old = Served::with(Limits::default(), 400 * 86_400).await;
    let ended = old.connect(Some(old.admin())).await.err().unwrap();
    let at = old.founded.admin_not_after;
    assert!(matches!(ended, ConnectError::IdentityEnded { at: ended } if ended == at), "{ended:?}");
    assert!(ended.to_string().contains("have an administrator issue another"), "{ended}");
    old.connect(None).await.unwrap();

    let ahead = Served::founded(Limits::default(), now() + 3 * 3_600, 0).await;
    for identity in [None, Some(ahead.admin())] {
        let behind = ahead.connect(identity).await.err().unwrap();
        assert!(matches!(behind, ConnectError::ClockBehind { .. }), "{behind:?}");
        let words = behind.to_string();
        assert_eq!(words, "this machine's clock is 2 h behind the authority's certificate; set it");
    }
    let stopped = Served::founded(Limits::default(), now() - 40 * 86_400, 0).await;
    let ended = stopped.connect(None).await.err().unwrap();
    assert!(matches!(ended, ConnectError::AuthorityEnded { .. }), "{ended:?}");
    assert!(ended.to_string().contains("ended 10 days ago by this machine's clock"), "{ended}");
}
