//! One tenant's auditor reads as fast as it can; another tenant's platform asks. `WARDEIN_FAIRNESS_SECONDS` says for how long each
//! is measured; without it nothing is, as times say little on a machine that does other work.

use crate::common::Served;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use wardein_client::v1::check_request::Subject;
use wardein_client::{Connection, Identity, Settings, connect, time, v1};

/// Entries of the tenant that is read.
const ENTRIES: u64 = 3_000;

/// The most by which the other tenant's calls may become slower.
const MOST: f64 = 1.5;

#[tokio::test]
async fn an_auditor_at_full_speed_moves_another_tenants_calls_little() {
    let Ok(seconds) = std::env::var("WARDEIN_FAIRNESS_SECONDS") else { return };
    let time = Duration::from_secs(seconds.parse().unwrap());
    let served = Served::found().await;
    let admin = served.admin().await;
    admin.admin().create_tenant(v1::CreateTenantRequest { tenant: "lab".into() }).await.unwrap();
    for n in 0..ENTRIES {
        let (tenant, name) = ("klinik".to_owned(), "busy".to_owned());
        let certificate_validity = time::span(300 + n);
        let profile = v1::Profile { tenant, name, certificate_validity, ..Default::default() };
        let put = v1::PutProfileRequest { profile: Some(profile), ..Default::default() };
        admin.admin().put_profile(put).await.unwrap();
    }
    let auditor = as_operator(&served, served.issue_in("klinik", "auditor").await).await;
    let platform = as_operator(&served, served.issue_in("lab", "platform").await).await;

    let quiet = p99(&platform, time).await;
    let (ends, read) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let readers: Vec<_> = (0..32)
        .map(|_| {
            let (auditor, ends, read) = (auditor.clone(), ends.clone(), read.clone());
            tokio::spawn(async move {
                while !ends.load(Ordering::Relaxed) {
                    let page = v1::ListEntriesRequest { page_size: 1_000, ..Default::default() };
                    if auditor.audit().list_entries(page).await.is_ok() {
                        read.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();
    let beside = p99(&platform, time).await;
    ends.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
    let (pages, ratio) = (read.load(Ordering::Relaxed), beside.as_secs_f64() / quiet.as_secs_f64());
    println!(
        "p99 of Check: {quiet:?}; beside an auditor that read {pages} pages of 1000: {beside:?}; {ratio:.2}"
    );
    assert!(pages > 10 && ratio <= MOST, "{ratio:.2}");
}

async fn as_operator(served: &Served, identity: Identity) -> Connection {
    connect(&Settings { identity: Some(identity), ..served.settings() }).await.unwrap()
}

async fn p99(platform: &Connection, time: Duration) -> Duration {
    let (begun, mut took) = (Instant::now(), Vec::new());
    while begun.elapsed() < time {
        let asked = Instant::now();
        let subject = Some(Subject::DeviceId("pump-1".into()));
        platform.trust().check(v1::CheckRequest { subject, receipt: None }).await.unwrap();
        took.push(asked.elapsed());
        // Some load, and not all that there can be.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    took.sort_unstable();
    took[took.len() * 99 / 100]
}
