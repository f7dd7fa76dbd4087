//! Deeds of several steps through the edge: who asked is told how far they are, and they go on without.

use crate::common::device::TestDevice;
use crate::common::{ROOT_KEY, Served, issue, now};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wardein_client::v1::rotate_storage_key_request::Scope;
use wardein_client::{Connection, Refusal, v1};
use wardein_domain::Role;
use wardein_engine::Ports;
use wardein_server::Limits;
use wardein_testkit::{CrashPoint, MemoryCustody};

/// An authority with custody, and a tenant of three devices.
async fn served() -> (Served, Connection, MemoryCustody) {
    let custody = MemoryCustody::of(ROOT_KEY);
    let kept = custody.clone();
    let with = move |ports| Ports { custody: Some(Arc::new(kept)), ..ports };
    let served = Served::serve(Limits::default(), now(), 0, with).await;
    let admin = served.connect(Some(served.admin())).await.unwrap();
    admin.admin().create_tenant(v1::CreateTenantRequest { tenant: "t".into() }).await.unwrap();
    let station = served.connect(Some(issue(&admin, Role::Station).await)).await.unwrap();
    for number in 1..=3 {
        TestDevice::enrolled(&station, &format!("pump-{number}")).await;
    }
    (served, admin, custody)
}

fn shred(per_second: u32) -> v1::ShredDeviceRequest {
    let (tenant, device_id, reason) = ("t".into(), "pump-1".into(), "sold".into());
    v1::ShredDeviceRequest { tenant, device_id, reason, per_second }
}

async fn deeds(admin: &Connection) -> Vec<v1::Deed> {
    let listed = admin.storage().list_deeds(v1::ListDeedsRequest::default()).await;
    listed.unwrap().into_inner().deeds
}

/// Waits for the end of all deeds.
async fn ended(admin: &Connection) {
    let begun = Instant::now();
    while !deeds(admin).await.is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it does not go on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn who_asks_for_a_shredding_is_told_how_far_it_is() {
    let (_served, admin, custody) = served().await;
    for (had_keys, version) in [(true, 2), (false, 3)] {
        let mut steps = admin.storage().shred_device(shred(0)).await.unwrap().into_inner();
        let mut told = Vec::new();
        while let Some(step) = steps.message().await.unwrap() {
            assert_eq!((step.state(), step.had_keys), (v1::DeviceState::Retired, had_keys));
            told.push(step);
        }
        let (last, before) = told.split_last().unwrap();
        let progress = last.progress.unwrap();
        assert!(last.is_done && before.iter().all(|step| !step.is_done));
        assert_eq!((progress.step(), progress.devices), (v1::DeedStep::Done, 2));
        assert_eq!((progress.tenant_key, progress.root_key), (version, version));
        assert_eq!(custody.versions(), [version], "before it says that it is done");
    }
}

#[tokio::test]
async fn a_shredding_goes_on_when_its_caller_has_gone() {
    let (_served, admin, custody) = served().await;
    // A device a second.
    let mut steps = admin.storage().shred_device(shred(1)).await.unwrap().into_inner();
    assert!(!steps.message().await.unwrap().unwrap().is_done);
    drop(steps);
    let under_way = deeds(&admin).await;
    let [deed] = under_way.as_slice() else { panic!("{under_way:?}") };
    assert_eq!((deed.kind(), &*deed.tenant, &*deed.device_id), (v1::DeedKind::Shred, "t", "pump-1"));
    assert!(deed.begun_at.is_some() && !deed.request_id.is_empty() && deed.actor.contains("admin"));
    // A caller who asks again watches the same.
    let mut again = admin.storage().shred_device(shred(1)).await.unwrap().into_inner();
    let mut last = None;
    while let Some(step) = again.message().await.unwrap() {
        last = Some(step);
    }
    assert!(last.unwrap().is_done);
    ended(&admin).await;
    assert_eq!(custody.versions(), [2], "it was done once");
}

#[tokio::test]
async fn what_custody_refuses_is_told_and_tried_again() {
    let (_served, admin, custody) = served().await;
    custody.crash_at(0, CrashPoint::BeforeApply);
    let request = v1::RotateStorageKeyRequest { scope: Some(Scope::RootKey(v1::RootKey {})) };
    let refused = Refusal::from(admin.storage().rotate_storage_key(request).await.unwrap_err());
    assert_eq!(refused.code, "custody-unavailable");
    let under_way = deeds(&admin).await;
    assert_eq!(under_way.first().map(|deed| deed.kind()), Some(v1::DeedKind::RootKey));
    custody.restart();
    ended(&admin).await;
    assert_eq!(custody.versions(), [2]);
}

#[tokio::test]
async fn a_server_that_stops_tells_those_who_wait() {
    let (mut served, admin, _custody) = served().await;
    let mut steps = admin.storage().shred_device(shred(1)).await.unwrap().into_inner();
    assert!(!steps.message().await.unwrap().unwrap().is_done);
    let stopped = tokio::task::spawn_blocking(move || served.stop());
    let refused = loop {
        match steps.message().await {
            Ok(Some(step)) => assert!(!step.is_done),
            Ok(None) => panic!("it ended without a word"),
            Err(status) => break Refusal::from(status),
        }
    };
    assert_eq!(refused.code, "stopping");
    drop(steps);
    stopped.await.unwrap().unwrap();
}
