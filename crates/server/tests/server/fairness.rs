//! One tenant's scans, and everybody else's calls.

use crate::common::full::{FullStore, Gate};
use crate::common::{Served, issue, issue_as, now};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};
use wardein_client::{Connection, Refusal, time, v1};
use wardein_domain::Role;
use wardein_engine::Ports;
use wardein_port::Clock;
use wardein_server::{Limits, Rate};

fn entries(connection: &Connection) -> tokio::task::JoinHandle<Result<(), tonic::Status>> {
    let connection = connection.clone();
    tokio::spawn(
        async move { connection.audit().list_entries(v1::ListEntriesRequest::default()).await.map(drop) },
    )
}

#[tokio::test]
async fn scans_hold_up_neither_the_threads_that_serve_nor_another_tenants_scans() {
    let gate = Arc::new(Gate::default());
    let behind = gate.clone();
    let served = Served::serve(Limits::default(), now(), 0, |ports| Ports {
        store: Arc::new(FullStore::behind(ports.store.clone(), behind)),
        ..ports
    })
    .await;
    let admin = served.connect(Some(served.admin())).await.unwrap();
    for tenant in ["t", "u"] {
        admin.admin().create_tenant(v1::CreateTenantRequest { tenant: tenant.into() }).await.unwrap();
    }
    let auditor = served.connect(Some(issue(&admin, Role::Auditor).await)).await.unwrap();
    let order = v1::IssueOperatorRequest {
        role: v1::Role::Auditor.into(),
        tenant: "u".into(),
        name: "other".into(),
        validity: time::span(3600),
        ..Default::default()
    };
    let other = served.connect(Some(issue_as(&admin, order).await)).await.unwrap();

    let closed = gate.close();
    let waiting: Vec<_> = (0..20).map(|_| entries(&auditor)).collect();
    while gate.inside() < 2 {
        sleep(Duration::from_millis(5)).await;
    }
    // Both serving threads answer.
    for _ in 0..20 {
        let fresh = served.connect(Some(served.admin())).await.unwrap();
        let call = async { fresh.admin().get_status(v1::GetStatusRequest {}).await };
        timeout(Duration::from_secs(5), call).await.expect("nobody waits for a scan").unwrap();
    }
    assert_eq!(gate.inside(), 2, "two of one tenant at a time");
    // One that hangs up makes no room: its read goes on.
    waiting.iter().take(2).for_each(tokio::task::JoinHandle::abort);
    sleep(Duration::from_millis(200)).await;
    assert_eq!(gate.inside(), 2);
    drop(closed);
    for call in waiting.into_iter().skip(2) {
        call.await.unwrap().unwrap();
    }
    entries(&other).await.unwrap().unwrap();
}

/// A clock that calls by those without a certificate wait for while it is held.
struct HeldClock(Arc<Hold>, Arc<dyn Clock>);

#[derive(Default)]
struct Hold {
    is_held: AtomicBool,
    waiting: AtomicUsize,
}

impl Clock for HeldClock {
    fn wall_ms(&self) -> u64 {
        self.1.wall_ms()
    }

    fn boot_ms(&self) -> u64 {
        let is_open = std::thread::current().name().is_some_and(|name| name.starts_with("open-"));
        if is_open && self.0.is_held.load(Ordering::SeqCst) {
            self.0.waiting.fetch_add(1, Ordering::SeqCst);
            while self.0.is_held.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        self.1.boot_ms()
    }
}

#[tokio::test]
async fn no_thread_of_those_without_a_certificate_holds_up_an_operator() {
    let hold = Arc::new(Hold::default());
    let held = hold.clone();
    let served = Served::serve(Limits::default(), now(), 0, |ports| Ports {
        clock: Arc::new(HeldClock(held, ports.clock.clone())),
        ..ports
    })
    .await;
    let mut admins = Vec::new();
    for _ in 0..4 {
        admins.push(served.connect(Some(served.admin())).await.unwrap());
    }
    // One after the other: they are dealt to threads in turn.
    let open = [served.connect(None).await.unwrap(), served.connect(None).await.unwrap()];
    hold.is_held.store(true, Ordering::SeqCst);
    let calls = open.map(|open| {
        let asked = v1::GetChallengeRequest { tenant: "t".into(), device_id: "d".into() };
        tokio::spawn(async move { open.device().get_challenge(asked).await.map(drop) })
    });
    while hold.waiting.load(Ordering::SeqCst) < 2 {
        sleep(Duration::from_millis(5)).await;
    }
    for admin in &admins {
        let call = async { admin.admin().get_status(v1::GetStatusRequest {}).await };
        timeout(Duration::from_secs(5), call).await.expect("operators have threads of their own").unwrap();
    }
    hold.is_held.store(false, Ordering::SeqCst);
    for call in calls {
        drop(call.await.unwrap());
    }
}

#[tokio::test]
async fn an_operator_of_a_tenant_sees_no_number_and_no_name_of_others() {
    let served = Served::start().await;
    let admin = served.connect(Some(served.admin())).await.unwrap();
    for tenant in ["t", "u"] {
        admin.admin().create_tenant(v1::CreateTenantRequest { tenant: tenant.into() }).await.unwrap();
    }
    let auditor = served.connect(Some(issue(&admin, Role::Auditor).await)).await.unwrap();
    let status =
        async |by: &Connection| by.admin().get_status(v1::GetStatusRequest {}).await.unwrap().into_inner();
    let (seen, all) = (status(&auditor).await, status(&admin).await);
    assert_eq!((seen.audit_entries, seen.root_key), (None, None));
    assert!(all.audit_entries.is_some_and(|number| number > 3) && all.root_key.is_some());
    let tenants = auditor.admin().list_tenants(v1::ListTenantsRequest::default()).await.unwrap().into_inner();
    assert_eq!(tenants.tenants.into_iter().map(|one| one.tenant).collect::<Vec<_>>(), ["t"]);
}

#[tokio::test]
async fn an_operator_that_calls_too_often_waits_and_is_refused_a_second_later_where_it_goes_on() {
    let operator = Rate { per_second: 10, burst: 2 };
    let served = Served::with(Limits { operator, ..Limits::default() }, 0).await;
    let admin = served.connect(Some(served.admin())).await.unwrap();
    let begun = Instant::now();
    let calls: Vec<_> = (0..40)
        .map(|_| {
            let admin = admin.clone();
            tokio::spawn(async move {
                let answer = admin.admin().get_status(v1::GetStatusRequest {}).await;
                (answer.map(drop).map_err(Refusal::from), begun.elapsed())
            })
        })
        .collect();
    let (mut granted, mut refused) = (Vec::new(), Vec::new());
    for call in calls {
        match call.await.unwrap() {
            (Ok(()), after) => granted.push(after),
            (Err(refusal), after) => refused.push((refusal.code.to_string(), after)),
        }
    }
    assert!(granted.len() >= 3, "two at once, and one that waits for its turn");
    assert!(granted.iter().max() >= Some(&Duration::from_millis(100)), "its turn is in 0.1 s");
    assert!(!refused.is_empty());
    for (code, after) in refused {
        assert_eq!(code, "rate-limited");
        assert!(
            after >= Duration::from_secs(1),
            "a client that tries again at once gains nothing: {after:?}"
        );
    }
}

#[tokio::test]
async fn a_station_that_sends_too_much_in_a_stream_is_refused_a_second_later_too() {
    let operator = Rate { per_second: 1, burst: 3 };
    let served = Served::with(Limits { operator, ..Limits::default() }, 0).await;
    let admin = served.connect(Some(served.admin())).await.unwrap();
    admin.admin().create_tenant(v1::CreateTenantRequest { tenant: "t".into() }).await.unwrap();
    let station = served.connect(Some(issue(&admin, Role::Station).await)).await.unwrap();
    let messages = (0..8).map(|correlation| v1::EnrollStreamRequest { correlation, step: None });
    let begun = Instant::now();
    let answer = station.provisioning().enroll_stream(tokio_stream::iter(messages.collect::<Vec<_>>())).await;
    let (mut answers, mut refused) = (answer.unwrap().into_inner(), 0);
    while let Some(answer) = answers.message().await.unwrap() {
        let Some(v1::enroll_stream_response::Result::Failure(failure)) = answer.result else { panic!() };
        if failure.code == "rate-limited" {
            refused += 1;
            assert!(begun.elapsed() >= Duration::from_secs(1));
        }
    }
    assert!(refused > 0);
}
