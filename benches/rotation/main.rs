//! Keys at every level are changed under a large fleet that keeps proving itself: no call may fail.
//!
//! `cargo bench --bench rotation`, with 100,000 devices, or as many as `WARDEIN_ROTATION_DEVICES` says.
//!
//! Server and clients are threads of one process, as in the load bench, whose parts these are.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a measurement that cannot be made ends there")]
#![allow(dead_code, reason = "the load bench uses the rest of the parts")]

#[path = "../load/authority.rs"]
mod authority;
#[path = "../load/clients.rs"]
mod clients;
#[path = "../load/fleet.rs"]
mod fleet;

use authority::{Authority, operators};
use clients::{CONNECTIONS, Clients, cores, runtime};
use fleet::{Asked, Fleet};
use std::time::{Duration, Instant};
use wardein_client::v1::rotate_storage_key_request::Scope as RotateScope;
use wardein_client::v1::sweep_request::Scope as SweepScope;
use wardein_client::{Settings, connect, v1};
use wardein_domain::TenantId;

/// As the binary has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const DEVICES: usize = 100_000;
const BATCH: usize = 10_000;
const PROOFS: usize = 10_000;
const ROOT_ROTATIONS: usize = 10;

fn main() {
    // `cargo test --all-targets` runs it too, and wants no measurement.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let devices = std::env::var("WARDEIN_ROTATION_DEVICES").map_or(DEVICES, |text| text.parse().unwrap());
    let started = Instant::now();
    let ours = runtime();
    let authority = ours.block_on(Authority::start());
    let tenant: TenantId = "load".parse().unwrap();
    let mut settings = Settings::new(format!("https://{}", authority.addresses[0]), authority.roots());
    settings.identity = Some(authority.admin().identity());
    let [platform, station] =
        ours.block_on(async { operators(&connect(&settings).await.unwrap(), &tenant).await });
    let stations = Clients::connect(&authority.addresses, &authority.roots(), &station);
    let mut fleet = Fleet::new(tenant.clone(), authority.identity_key());
    for _ in 0..devices.div_ceil(BATCH) {
        fleet.enroll(&stations, BATCH);
    }
    drop(stations);
    println!(
        "{devices} devices on {} cores, {CONNECTIONS} connections, enrolled after {:.0?}",
        cores(),
        started.elapsed()
    );

    let platforms = Clients::connect(&authority.addresses, &authority.roots(), &platform);
    let mut load = Load { fleet, platforms, next: 0, devices };
    let (_, quiet) = load.beside(|| std::thread::sleep(Duration::from_secs(3)));
    println!("{quiet:>8.0} proofs a second with nothing beside");

    let (took, rate) = load
        .beside(|| (0..ROOT_ROTATIONS).map(|_| ours.block_on(rotate_storage(&settings, ""))).max().unwrap());
    println!(
        "{rate:>8.0} a second while the root key was rotated {ROOT_ROTATIONS} times, the longest {took:.1?}; none failed"
    );

    let (took, rate) = load.beside(|| {
        (
            ours.block_on(ask_for_rekey(&settings, &tenant)),
            ours.block_on(rotate_storage(&settings, tenant.as_str())),
        )
    });
    println!(
        "{rate:>8.0} a second while the tenant was rotated: asked all devices to rekey in {:.1?}, changed the key of their records in {:.1?}; none failed",
        took.0, took.1
    );

    let ((last, took), rate) = load.beside(|| ours.block_on(sweep(&settings)));
    println!(
        "{rate:>8.0} a second while the sweep went over {} devices and resealed {} in {took:.1?}, dropping {} old keys; none failed",
        last.devices, last.renewed, last.dropped
    );
    assert_eq!((last.is_done, last.dropped), (true, 1));

    // Open connections would be waited for.
    drop(load);
    authority.stop();
    println!("took {:.0?}", started.elapsed());
}

/// Devices that prove themselves without end.
struct Load {
    fleet: Fleet,
    platforms: Clients,
    next: usize,
    devices: usize,
}

impl Load {
    /// Does `work` while the devices continue, and returns their proofs a second. A call that fails ends the measurement.
    fn beside<T: Send>(&mut self, work: impl FnOnce() -> T + Send) -> (T, f64) {
        let (mut proofs, mut spent) = (0, Duration::ZERO);
        let done = std::thread::scope(|scope| {
            let worker = scope.spawn(work);
            while !worker.is_finished() {
                let requests = self.fleet.prepare(&self.platforms, self.next, PROOFS, &Asked::authenticate());
                let began = Instant::now();
                let (replies, _) = self.platforms.prove(&requests.requests, 1);
                spent += began.elapsed();
                proofs += replies.len();
                self.fleet.acknowledge(requests, replies);
                self.next = (self.next + PROOFS) % self.devices;
            }
            worker.join().unwrap()
        });
        (done, proofs as f64 / spent.as_secs_f64())
    }
}

async fn rotate_storage(settings: &Settings, tenant: &str) -> Duration {
    let admin = connect(settings).await.unwrap();
    let began = Instant::now();
    let scope = match tenant {
        "" => RotateScope::RootKey(v1::RootKey {}),
        tenant => RotateScope::Tenant(tenant.to_owned()),
    };
    let request = v1::RotateStorageKeyRequest { scope: Some(scope) };
    admin.storage().rotate_storage_key(request).await.unwrap();
    began.elapsed()
}

async fn ask_for_rekey(settings: &Settings, tenant: &TenantId) -> Duration {
    let admin = connect(settings).await.unwrap();
    let began = Instant::now();
    let request = v1::RotateKeysRequest {
        tenant: tenant.to_string(),
        scope: Some(v1::rotate_keys_request::Scope::AllDevices(v1::AllDevices {})),
        required: false,
        reason: "measured".into(),
        ..Default::default()
    };
    admin.admin().rotate_keys(request).await.unwrap();
    began.elapsed()
}

async fn sweep(settings: &Settings) -> (v1::SweepResponse, Duration) {
    let admin = connect(settings).await.unwrap();
    let began = Instant::now();
    let scope = Some(SweepScope::AllTenants(v1::AllTenants {}));
    let request = v1::SweepRequest { scope, per_second: 100_000 };
    let mut progress = admin.storage().sweep(request).await.unwrap().into_inner();
    let mut last = v1::SweepResponse::default();
    while let Some(response) = progress.message().await.unwrap() {
        last = response;
    }
    (last, began.elapsed())
}
