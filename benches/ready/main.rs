//! How long a start takes, and how much memory, with a million devices on record: the store is opened and everything that authorizes is
//! loaded, as `wardein serve` does before it is ready.
//!
//! `cargo bench --bench ready`; `WARDEIN_READY_DEVICES=N` for another number of them. The devices are copies of one that was enrolled, under
//! other ids, with rows of keys of their true size.
//!
//! With `WARDEIN_READY_ENTRIES=10000000` so many entries are in the audit log, and it is measured how long a page of each list takes. The
//! devices on those pages are enrolled one by one: a list opens their keys, which are sealed for each of them alone.
#![allow(clippy::unwrap_used, reason = "a benchmark ends where something is not as it must be")]

mod lists;

use lists::id;
use std::sync::Arc;
use std::time::Instant;
use wardein_crypto::{P256SigningKey, P256VerifyingKey, Secret, SystemEntropy};
use wardein_ddkg::device::Enrolling;
use wardein_ddkg::{Attributes, DeviceName, Suite};
use wardein_domain::{Call, Role};
use wardein_engine::{Caller, Engine, EnrollOrder, OperatorOrder, Ports, found};
use wardein_pki::Csr;
use wardein_port::{Change, Clock, RootKey, Store, SystemClock, Table};
use wardein_store::{Kind, Options};
use wardein_testkit::{TestClock, block_on, commit, get};

/// As the binary has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let number = |name, or| std::env::var(name).map_or(or, |text| text.parse().unwrap());
    let devices = number("WARDEIN_READY_DEVICES", 1_000_000);
    let entries = number("WARDEIN_READY_ENTRIES", 0) as u64;
    // Beneath the build's directory, for the system's temporary one is memory on many machines.
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = directory.path().join(Kind::Sqlite.file_name());
    let open = || wardein_store::open(Kind::Sqlite, &path, &Options::default()).unwrap();
    let mut names = Vec::new();
    let admin;
    {
        let store = open();
        let rows;
        // Before the first of the entries.
        let began = (SystemClock.wall_ms() - entries * lists::APART_MS) / 1_000 - 60;
        let listed = if entries > 0 { lists::listed(devices) } else { Vec::new() };
        let is_listed = |number: &usize| listed.iter().any(|range| range.contains(number));
        let ids: Vec<_> =
            [ID.to_owned()].into_iter().chain(listed.iter().cloned().flatten().map(id)).collect();
        (admin, rows) = block_on(enroll(store.clone(), TestClock::at(began), &ids));
        for first in (0..devices).step_by(BATCH) {
            let mut change = Change::default();
            for number in (first..devices.min(first + BATCH)).filter(|number| !is_listed(number)) {
                let key = format!("{TENANT}\0{}", id(number)).into_bytes();
                for (table, value) in &rows {
                    change.insert(*table, key.clone(), value.clone());
                }
            }
            block_on(commit(&*store, change)).unwrap();
        }
        lists::fill(&*store, entries, devices);
        names.push(DeviceName { tenant: TENANT.parse().unwrap(), device: id(0).parse().unwrap() });
    }
    let before = resident();
    let began = Instant::now();
    let engine = block_on(Engine::open(Ports::new(open(), SystemClock), root_keys())).unwrap();
    let took = began.elapsed();
    let memory = resident() - before;
    assert!(engine.challenge(&names[0]).unwrap().recipe.names().len() == 1, "it answers from what it loaded");
    println!("{devices} devices: ready in {:.2} s, {memory} MiB more than before", took.as_secs_f64());
    assert!(took.as_secs() < 10 && memory < 1024, "the bar: 10 s, 1 GiB");
    if entries > 0 {
        println!("{entries} entries, a page of at most 1000 at a time:");
        lists::ask(&engine, &admin, devices, entries);
    }
}

/// An authority with devices of these ids; its administrator, and the rows of the first one.
async fn enroll(store: Arc<dyn Store>, clock: TestClock, ids: &[String]) -> (Caller, Vec<(Table, Vec<u8>)>) {
    let ports = Ports::new(store.clone(), clock);
    let founded = found(&ports, key(), "ready.test".parse().unwrap()).await.unwrap();
    let engine = Engine::open(ports, root_keys()).await.unwrap();
    let caller = |principal| Caller { principal, call: Call::new("bench") };
    let admin = caller(founded.admin);
    engine.create_tenant(&admin, TENANT.parse().unwrap()).await.unwrap();
    let csr = Csr::create(&P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap())
        .unwrap();
    let order = OperatorOrder {
        role: Role::Station,
        tenant: Some(TENANT.parse().unwrap()),
        name: "line-1".parse().unwrap(),
        csr,
        validity: 3_600,
        quota: u64::MAX,
    };
    let station = caller(engine.issue_operator(&admin, order).await.unwrap().1.principal);
    let mut attributes = Attributes::new();
    attributes.insert("firmware".parse().unwrap(), b"1.0").unwrap();
    let entropy = &mut SystemEntropy::default();
    for id in ids {
        let name = DeviceName { tenant: TENANT.parse().unwrap(), device: id.parse().unwrap() };
        let identity = P256VerifyingKey(engine.trust_bundle().identity_key);
        let enrolling = Enrolling::begin(identity, Suite::P256, name, attributes.clone(), entropy).unwrap();
        let request = enrolling.request();
        let order = EnrollOrder {
            device: request.device.device.clone(),
            suite: request.share.suite().number().into(),
            nonce: request.nonce,
            share: request.share.as_bytes().to_vec(),
            attributes: request.attributes.clone(),
            profile: "default".parse().unwrap(),
            model: Some("pump".parse().unwrap()),
            udi: None,
        };
        engine.enroll(&station, order).await.unwrap();
    }
    let (mut rows, key) = (Vec::new(), format!("{TENANT}\0{ID}"));
    for table in [Table::Device, Table::DeviceKeys, Table::DeviceHot] {
        rows.push((table, get(&*store, table, key.as_bytes()).await.unwrap().unwrap().value));
    }
    (admin, rows)
}

fn key() -> Secret<32> {
    Secret::copied_from(&[7; 32])
}

fn root_keys() -> Vec<RootKey> {
    vec![RootKey { version: 1, secret: key() }]
}

/// Resident memory of this process, in MiB (proc_pid_status(5), `VmRSS`).
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

const TENANT: &str = "klinik";

/// Of the device that is enrolled: as long as those of its copies.
const ID: &str = "pump-xxxxxxx";

/// Devices, or entries, written in one commit.
const BATCH: usize = 1_000;
