//! The disk of an authority is full: what only reads goes on, also after a restart, and probes hear why nothing is written.

use crate::common::{Mount, Served};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use wardein_client::{Identity, Settings, connect, v1};
use wardein_crypto::SecretBytes;

#[test]
fn with_a_full_disk_it_answers_what_it_knows_starts_again_and_is_not_ready() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut served = Served::found().await;
        served.kill();
        let disk = served.directory.path().join("disk");
        fs::create_dir(&disk).unwrap();
        let Some(_mount) = Mount::tmpfs(&disk, "90m") else { return };
        let moved = disk.join("authority");
        assert!(Command::new("cp").arg("-a").arg(&served.home).arg(&moved).status().unwrap().success());
        served.home = moved;
        served.start().await;
        let http = http_of(&served.home);
        let platform = served.issue("platform", 0).await;
        assert_eq!(get(&http, "/readyz").0, 200);
        let filler = disk.join("others");
        for is_orderly in [false, true] {
            fill(&filler);
            let (status, why) = get(&http, "/readyz");
            assert!(status == 503 && why.contains("KiB are free") && why.contains("65536 KiB"), "{why}");
            assert_eq!(get(&http, "/healthz").0, 200);
            only_reads(&served, &platform).await;
            if is_orderly {
                served.terminate()
            } else {
                served.kill()
            }
            // What an orderly end gives back, others take.
            fill(&filler);
            served.start().await;
            only_reads(&served, &platform).await;
            assert_eq!(get(&http, "/readyz").0, 503);
            fs::remove_file(&filler).unwrap();
            assert_eq!(get(&http, "/readyz"), (200, "ready\n".to_owned()));
            let tenant = v1::CreateTenantRequest { tenant: format!("t-{is_orderly}") };
            served.admin().await.admin().create_tenant(tenant).await.unwrap();
        }
    });
}

/// Trust queries and lists are answered, and changes refused.
async fn only_reads(served: &Served, platform: &Identity) {
    let key = SecretBytes::from_vec(platform.key.expose().to_vec());
    let identity = Some(Identity { certificates: platform.certificates.clone(), key });
    let platform = connect(&Settings { identity, ..served.settings() }).await.unwrap();
    let subject = Some(v1::check_request::Subject::DeviceId("pump-1".into()));
    platform.trust().check(v1::CheckRequest { subject, receipt: None }).await.unwrap();
    let admin = served.admin().await;
    let tenants = admin.admin().list_tenants(v1::ListTenantsRequest::default()).await.unwrap();
    assert!(tenants.into_inner().tenants.iter().any(|tenant| tenant.tenant == "klinik"));
    let refused = admin.admin().create_tenant(v1::CreateTenantRequest { tenant: "late".into() }).await;
    let status = refused.unwrap_err();
    assert_eq!(status.metadata().get("wardein-code").unwrap(), "store-unavailable");
}

/// The port of `wardein.toml` for probes.
fn http_of(home: &Path) -> String {
    let text = fs::read_to_string(home.join("wardein.toml")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("http = \"")).unwrap();
    line.trim_end_matches('"').to_owned()
}

/// Status and body.
fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: probe\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// Takes the last byte that is free.
fn fill(path: &Path) {
    let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    while file.write(&[7; 65_536]).is_ok() {}
    while file.write(&[7; 512]).is_ok() {}
}
