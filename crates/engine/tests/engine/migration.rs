//! A store of format 2 becomes one of the present format: devices' entries are found by the index, and were not lost; certificates by their
//! fingerprints.

use crate::world::{TestDevice, World, csr, open, order, ports};
use wardein_domain::{DeviceState, Role};
use wardein_engine::{AuditFilter, DeviceFilter, Engine, EnrollOrder, ErrorCode, Page, migrate};
use wardein_port::{Change, Store, Table};
use wardein_testkit::{CrashPoint, MemoryCustody, MemoryStore, commit};

const FORMAT: &[u8] = b"format";

/// The same store as format 2 had it: no index, nothing by fingerprint, the history of devices a second time.
async fn second(store: &MemoryStore) -> MemoryStore {
    let old = MemoryStore::new();
    let mut change = Change::default();
    let is_there = |table: &Table| !matches!(table, Table::TenantOperator | Table::CertificateFingerprint);
    for table in Table::ALL.into_iter().filter(is_there) {
        for (key, row) in store.scan(table, b"", None, usize::MAX).await.unwrap() {
            if table == Table::DeviceClaim && is_of_udi(&key) {
                continue;
            }
            let is_format = (table, key.as_slice()) == (Table::Authority, FORMAT);
            change.insert(table, key, if is_format { vec![2, 2] } else { row.value });
        }
    }
    for (number, entry) in store.audit(1, usize::MAX).await.unwrap() {
        if number > 3 {
            change.insert(
                Table::History,
                [b"klinik\0pump-1\0", &number.to_be_bytes()[..]].concat(),
                entry.clone(),
            );
        }
        change.audit.push(entry);
    }
    commit(&old, change).await.unwrap();
    old
}

/// Whether a claim is of a UDI or of a serial number.
fn is_of_udi(key: &[u8]) -> bool {
    matches!(key.strip_prefix(b"klinik\0"), Some([b'u' | b's', ..]))
}

/// What leads to devices from their UDIs and serial numbers.
async fn labels(store: &MemoryStore) -> Vec<(Vec<u8>, Vec<u8>)> {
    let rows = store.scan(Table::DeviceClaim, b"", None, usize::MAX).await.unwrap();
    let labels = rows.into_iter().filter(|(key, _)| is_of_udi(key));
    labels.map(|(key, row)| (key, row.value)).collect()
}

/// Its lists, page for page.
async fn lists(world: &World, engine: &Engine) -> Vec<String> {
    let page = || Page { size: 1000, after: None };
    let (admin, klinik) = (&world.admin, world.tenant());
    let devices = engine.list_devices(admin, klinik.clone(), &DeviceFilter::default(), page()).await.unwrap();
    let mut said = Vec::new();
    for device in devices.items {
        let history = engine.device_history(admin, &device.name, page()).await.unwrap();
        assert!(!history.items.is_empty());
        said.extend(history.items.iter().map(|entry| format!("{} {}", device.name.device, entry.event)));
    }
    let operators = engine.list_operators(admin, Some(klinik.clone()), page()).await.unwrap();
    said.extend(operators.items.iter().map(|operator| operator.principal.to_string()));
    let (entries, _) = engine
        .list_audit(admin, AuditFilter { tenant: Some(klinik), ..AuditFilter::default() }, 1, 25)
        .await
        .unwrap();
    said.extend(entries.iter().map(|(number, entry)| format!("{number} {} {}", entry.event, entry.target)));
    said
}

/// What leads to certificates from their fingerprints.
async fn filed(store: &MemoryStore) -> Vec<(Vec<u8>, Vec<u8>)> {
    let rows = store.scan(Table::CertificateFingerprint, b"", None, 9).await.unwrap();
    rows.into_iter().map(|(key, row)| (key, row.value)).collect()
}

async fn world() -> World {
    let world = World::new().await;
    world.engine.create_tenant(&world.admin, "lab".parse().unwrap()).await.unwrap();
    world.engine.issue_operator(&world.admin, order(Role::Auditor, Some("lab"), "reader")).await.unwrap();
    for id in ["pump-1", "pump-10", "pump-2"] {
        let mut device = world.proven(id).await;
        device.prove(&world.engine, "certificate", &csr()).await.unwrap();
        let reason = "maintenance".parse().unwrap();
        let set = world.engine.set_device_state(&world.admin, device.name, DeviceState::Suspended, reason);
        set.await.unwrap();
    }
    for (id, serial) in [("labeled-1", "4711"), ("labeled-2", "4712")] {
        let device = TestDevice::begin(&world.engine, id);
        let udi = format!("(01)09506000134352(21){serial}").parse().unwrap();
        let order = EnrollOrder { udi: Some(udi), ..device.order() };
        world.engine.enroll(&world.station, order).await.unwrap();
    }
    world
}

fn root_keys() -> Vec<wardein_port::RootKey> {
    MemoryCustody::of(crate::world::ROOT_KEY).root_keys().into_iter().collect()
}

#[tokio::test]
async fn a_store_of_the_second_format_is_migrated_whatever_dies_in_between() {
    let world = world().await;
    let store = second(&world.store).await;
    let expected = lists(&world, &world.engine).await;
    let (by_fingerprint, by_label) = (filed(&world.store).await, labels(&world.store).await);
    assert_eq!(by_label.len(), 4, "the UDI and the serial number of two devices");
    assert_eq!(by_fingerprint.len(), 3, "each certificate of a device");
    let early = Engine::open(ports(&store, &world.clock), root_keys()).await.err().unwrap();
    assert_eq!(early.code, ErrorCode::StoreFormatOlder);
    store.has_nodes(true);
    let beside = migrate(&ports(&store, &world.clock), root_keys(), |_| {}).await.unwrap_err();
    assert_eq!(beside.code, ErrorCode::NodesRunning);
    store.has_nodes(false);
    let mut crashes = 0;
    loop {
        let point = [CrashPoint::BeforeApply, CrashPoint::AfterApply][crashes as usize % 2];
        store.crash_at(crashes / 2, point);
        let migrated = migrate(&ports(&store, &world.clock), root_keys(), |_| {}).await;
        let has_crashed = store.crashed();
        let _ = store.restart();
        if !has_crashed {
            migrated.unwrap();
            break;
        }
        crashes += 1;
    }
    assert!(crashes > 3, "{crashes} crashes");
    assert!(!migrate(&ports(&store, &world.clock), root_keys(), |_| {}).await.unwrap(), "once");
    let engine = open(&store, &world.clock).await;
    assert_eq!(lists(&world, &engine).await, expected);
    assert!(store.scan(Table::History, b"", None, 9).await.unwrap().is_empty());
    assert_eq!(filed(&store).await, by_fingerprint);
    assert_eq!(labels(&store).await, by_label);
    let format = store.scan(Table::Authority, FORMAT, None, 1).await.unwrap();
    assert_eq!(format[0].1.value, [2, 6]);
}

#[tokio::test]
async fn a_store_of_a_later_format_is_refused() {
    let world = world().await;
    let store = second(&world.store).await;
    let row = store.scan(Table::Authority, FORMAT, None, 1).await.unwrap().remove(0).1;
    let mut change = Change::default();
    change.update(Table::Authority, FORMAT.to_vec(), row.version, vec![2, 7]);
    commit(&store, change).await.unwrap();
    let refused = migrate(&ports(&store, &world.clock), root_keys(), |_| {}).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::StoreFormatNewer);
    let refused = Engine::open(ports(&store, &world.clock), root_keys()).await.err().unwrap();
    assert_eq!(refused.code, ErrorCode::StoreFormatNewer);
}
