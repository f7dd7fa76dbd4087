//! What it costs to rotate the keys of a tenant of many devices: `cargo bench -p wardein-engine --bench rotate [-- DEVICES]`,
//! a million by default. It prints what was written; a write for a device fails it.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "it measures, states its expectations so, and prints"
)]

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;
use wardein_crypto::Secret;
use wardein_ddkg::device::Enrolling;
use wardein_ddkg::{Attributes, DeviceName, Suite};
use wardein_domain::{Call, Role};
use wardein_engine::{Caller, Engine, EnrollOrder, OperatorOrder, Ports, RotationScope, found};
use wardein_port::{Change, Row, Store, Table};
use wardein_testkit::{MemoryCustody, MemoryStore, TestClock, commit, get};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let devices: usize = std::env::args().skip(1).find_map(|text| text.parse().ok()).unwrap_or(1_000_000);
    let (store, clock) = (MemoryStore::new(), TestClock::at(1_790_000_000));
    let (ports, custody) = (Ports::new(Arc::new(store.clone()), clock), MemoryCustody::of([7; 32]));
    let key = Secret::copied_from(&[7; 32]);
    let founded = found(&ports, key, "wardein.example".parse().unwrap()).await.unwrap();
    let admin = Caller { principal: founded.admin.clone(), call: Call::new("bench") };
    let engine = Engine::open(ports.clone(), custody.root_keys()).await.unwrap();
    engine.create_tenant(&admin, "klinik".parse().unwrap()).await.unwrap();
    enroll_one(&engine, &admin).await;
    let one = get(&store, Table::Device, b"klinik\0d").await.unwrap().unwrap();
    multiply(&store, &one, devices).await;
    drop(engine);

    let begun = Instant::now();
    let engine = Engine::open(ports, custody.root_keys()).await.unwrap();
    println!("{devices} devices: opened in {:.1?}", begun.elapsed());
    let (before, commits) = (rows(&store).await, store.commits());
    let begun = Instant::now();
    let tenant = "klinik".parse().unwrap();
    engine.rotate_keys(&admin, tenant, RotationScope::Tenant, true, "drill".parse().unwrap()).await.unwrap();
    let took = begun.elapsed();
    let after = rows(&store).await;
    let written: Vec<_> = after.difference(&before).map(|(table, _, _)| *table).collect();
    println!("rotated in {took:.1?}: {} commit, rows written: {written:?}", store.commits() - commits);
    assert_eq!(written, [Table::Tenant], "a rotation writes the tenant's row and no other");
}

/// A device by the whole way, whose row the others get.
async fn enroll_one(engine: &Engine, admin: &Caller) {
    let pkcs8 = wardein_crypto::P256SigningKey::generate_pkcs8().unwrap();
    let csr = wardein_pki::Csr::create(&wardein_crypto::P256SigningKey::from_pkcs8(&pkcs8).unwrap()).unwrap();
    let order = OperatorOrder {
        role: Role::Station,
        tenant: Some("klinik".parse().unwrap()),
        name: "line-1".parse().unwrap(),
        csr,
        validity: 86_400,
        quota: 1,
    };
    let (_, operator) = engine.issue_operator(admin, order).await.unwrap();
    let station = Caller { principal: operator.principal, call: Call::new("bench") };
    let name = DeviceName { tenant: "klinik".parse().unwrap(), device: "d".parse().unwrap() };
    let pinned = wardein_crypto::P256VerifyingKey(engine.trust_bundle().identity_key);
    let entropy = &mut wardein_crypto::SystemEntropy::default();
    let enrolling = Enrolling::begin(pinned, Suite::P256, name, Attributes::new(), entropy).unwrap();
    let request = enrolling.request();
    let order = EnrollOrder {
        device: request.device.device.clone(),
        suite: 1,
        nonce: request.nonce,
        share: request.share.as_bytes().to_vec(),
        attributes: Attributes::new(),
        profile: "default".parse().unwrap(),
        model: None,
        udi: None,
    };
    engine.enroll(&station, order).await.unwrap();
}

async fn multiply(store: &MemoryStore, one: &Row, devices: usize) {
    for first in (1..devices).step_by(10_000) {
        let mut change = Change::default();
        for n in first..(first + 10_000).min(devices) {
            change.insert(Table::Device, format!("klinik\0device-{n:07}").into_bytes(), one.value.clone());
        }
        commit(store, change).await.unwrap();
    }
}

async fn rows(store: &MemoryStore) -> HashSet<(Table, Vec<u8>, u64)> {
    let mut rows = HashSet::new();
    for table in Table::ALL {
        let found = store.scan(table, b"", None, usize::MAX).await.unwrap();
        rows.extend(found.into_iter().map(|(key, row)| (table, key, row.version)));
    }
    rows
}
