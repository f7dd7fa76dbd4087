//! What a million certificates on record cost the embedded store, and a hundred thousand of them revoked: the start, memory, revoking one more,
//! the list, and answers by OCSP.
//!
//! `cargo bench --bench certificates`; `WARDEIN_CERTIFICATES=N` and `WARDEIN_REVOKED=N` for other numbers of them. The certificates are copies of
//! one that was issued, with other serials, so that signatures fit none but the first: nothing that is measured verifies them. They are of a
//! thousand devices.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a measurement that cannot be made ends there")]

mod asked;

use asked::Asking;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use wardein_crypto::{Digest, P256SigningKey, Secret};
use wardein_ddkg::DeviceName;
use wardein_domain::{Call, EstOperation, RevocationReason, Role, Serial, TenantId};
use wardein_engine::{Caller, Engine, EstCall, OperatorOrder, Page, Ports, VoucherOrder, Wanted, found};
use wardein_pki::Csr;
use wardein_port::{Change, RootKey, Store, SystemClock, Table};
use wardein_store::{Kind, Options};
use wardein_testkit::{block_on, commit, get};

/// As the binary has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    // `cargo test --all-targets` runs it too, and wants no measurement.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let number = |name, or| std::env::var(name).map_or(or, |text| text.parse().unwrap());
    let issued: usize = number("WARDEIN_CERTIFICATES", 1_000_000);
    let revoked: usize = number("WARDEIN_REVOKED", 100_000).min(issued);
    // Beneath the build's directory, for the system's temporary one is memory on many machines.
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = directory.path().join(Kind::Sqlite.file_name());
    println!("{issued} certificates issued, {revoked} of them revoked, on SQLite");

    let (first, admin) = block_on(issue_one(open(&path)));
    let store = open(&path);
    timed("put on record", || first.copy(&*store, &[Table::Certificate, Table::Serial], 0..issued));
    let engine = start(store.clone());
    let none = revoke_some(&engine, &admin, issued);
    drop(engine);
    // Those that were just revoked are a handful more.
    timed("revoked", || first.copy(&*store, &[Table::Revocation], 0..revoked));
    drop(store);
    let bytes = |file: std::io::Result<std::fs::DirEntry>| file.unwrap().metadata().unwrap().len();
    let stored: u64 = std::fs::read_dir(directory.path()).unwrap().map(bytes).sum();
    println!("store: {} MiB", stored >> 20);

    let before = resident();
    let began = Instant::now();
    let engine = start(open(&path));
    println!("ready in {:.2} s, {} MiB more than before", began.elapsed().as_secs_f64(), resident() - before);
    let many = revoke_some(&engine, &admin, issued - TRIED);
    println!(
        "revoking one, durable: {none:.2?} with none revoked, {many:.2?} with {revoked} (medians of {TRIED})"
    );

    timed("the list, first", || block_on(engine.publish_crls()).map(drop).unwrap());
    let ca = engine.issuing_cas().remove(0);
    let list = || engine.crl(ca.id.as_bytes()).unwrap();
    println!(
        "the list: {} KiB, {:.1} bytes a certificate",
        list().bytes.len() >> 10,
        list().bytes.len() as f64 / revoked.max(1) as f64
    );
    revoke_some(&engine, &admin, issued - 2 * TRIED);
    timed("the list, when more is revoked", || block_on(engine.publish_crls()).map(drop).unwrap());
    println!("memory with the list: {} MiB", resident());

    block_on(engine.keep_cas()).unwrap();
    let asking = Asking::of(&first.der, &ca.der);
    for (what, nonce) in [("each signed", true), ("the same few again", false)] {
        let rate = answers(&engine, &asking, issued, nonce);
        println!("OCSP answers a second, {what}: {rate:.0}");
    }
}

fn open(path: &Path) -> Arc<dyn Store> {
    wardein_store::open(Kind::Sqlite, path, &Options::default()).unwrap()
}

fn start(store: Arc<dyn Store>) -> Arc<Engine> {
    Arc::new(block_on(Engine::open(Ports::new(store, SystemClock), root_keys())).unwrap())
}

fn timed(what: &str, work: impl FnOnce()) {
    let began = Instant::now();
    work();
    println!("{what}: {:.2} s", began.elapsed().as_secs_f64());
}

/// A certificate that was issued, and revoked, and its rows.
struct First {
    serial: Serial,
    der: Vec<u8>,
    rows: Vec<(Table, Vec<u8>, Vec<u8>)>,
}

impl First {
    /// Puts copies of its rows on record, for those of these numbers.
    fn copy(&self, store: &dyn Store, tables: &[Table], numbers: std::ops::Range<usize>) {
        let rows: Vec<_> = self.rows.iter().filter(|(table, ..)| tables.contains(table)).collect();
        for begun in numbers.clone().step_by(BATCH) {
            let mut change = Change::default();
            for number in begun..numbers.end.min(begun + BATCH) {
                for (table, key, value) in &rows {
                    change.insert(*table, self.other(key, number), self.other(value, number));
                }
            }
            block_on(commit(store, change)).unwrap();
        }
    }

    /// The same bytes with another serial, of another device.
    fn other(&self, bytes: &[u8], number: usize) -> Vec<u8> {
        let device = format!("pump-{:04}", number % DEVICES);
        let bytes = replaced(bytes, self.serial.as_bytes(), serial(number).as_bytes());
        replaced(&bytes, DEVICE.as_bytes(), device.as_bytes())
    }
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(from.len()).position(|part| part == from) {
        bytes[at + found..at + found + from.len()].copy_from_slice(to);
        at += found + from.len();
    }
    bytes
}

fn serial(number: usize) -> Serial {
    Serial::from_random(*Digest::of(&number.to_be_bytes()).0.first_chunk().unwrap())
}

/// The median time to revoke one of the certificates before number `end`.
fn revoke_some(engine: &Engine, admin: &Caller, end: usize) -> Duration {
    let mut times: Vec<Duration> = (end - TRIED..end)
        .map(|number| {
            let (code, reason) = (RevocationReason::KeyCompromise, "measured".parse().unwrap());
            let began = Instant::now();
            block_on(engine.revoke_certificate(admin, tenant(), serial(number), code, reason)).unwrap();
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

/// OCSP answers a second by all cores: of certificates in no order and with a nonce, or of a few without one.
fn answers(engine: &Engine, asking: &Asking, issued: usize, has_nonce: bool) -> f64 {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let (began, end) = (Instant::now(), Instant::now() + SPAN);
    let ask = |lane: usize| {
        let mut count = 0;
        while Instant::now() < end {
            let number = (count * cores + lane) * FAR % if has_nonce { issued } else { FEW };
            let request = asking.request(&serial(number), has_nonce);
            let reply = block_on(engine.answer_ocsp(&request, || true)).unwrap();
            assert!(reply.der.len() > 100, "an answer that is signed");
            count += 1;
        }
        count
    };
    let count: usize = thread::scope(|scope| {
        let ask = &ask;
        let lanes: Vec<_> = (0..cores).map(|lane| scope.spawn(move || ask(lane))).collect();
        lanes.into_iter().map(|lane| lane.join().unwrap()).sum()
    });
    count as f64 / began.elapsed().as_secs_f64()
}

/// An authority with one device that has one certificate, which is revoked; the administrator.
async fn issue_one(store: Arc<dyn Store>) -> (First, Caller) {
    let ports = Ports::new(store.clone(), SystemClock);
    let founded = found(&ports, key(), "certificates.test".parse().unwrap()).await.unwrap();
    let engine = Engine::open(ports, root_keys()).await.unwrap();
    let caller = |principal| Caller { principal, call: Call::new("bench") };
    let admin = caller(founded.admin);
    engine.create_tenant(&admin, tenant()).await.unwrap();
    let order = OperatorOrder {
        role: Role::Station,
        tenant: Some(tenant()),
        name: "line-1".parse().unwrap(),
        csr: csr(),
        validity: 3_600,
        quota: 1,
    };
    let station = caller(engine.issue_operator(&admin, order).await.unwrap().1.principal);
    let order = VoucherOrder {
        tenant: None,
        device: DEVICE.parse().unwrap(),
        profile: "default".parse().unwrap(),
        model: None,
        udi: None,
        lifetime: 600,
    };
    let voucher = engine.make_voucher(&station, order).await.unwrap();
    let call = Call::new("bench");
    let asked = EstCall { call: &call, operation: EstOperation::SimpleEnroll };
    let device = DeviceName { tenant: tenant(), device: DEVICE.parse().unwrap() };
    let wanted = csr();
    engine.redeem_voucher(asked, &device, voucher.secret, &Wanted::Csr(&wanted)).await.unwrap();
    let page = Page { size: 10, after: None };
    let one = engine.list_certificates(&admin, tenant(), None, page).await.unwrap().items.remove(0);
    let (code, reason) = (RevocationReason::KeyCompromise, "measured".parse().unwrap());
    engine.revoke_certificate(&admin, tenant(), one.serial, code, reason).await.unwrap();
    let key = [b"klinik\0", DEVICE.as_bytes(), b"\0", one.serial.as_bytes()].concat();
    let revoked = [b"c", &one.serial.as_bytes()[..]].concat();
    let mut rows = Vec::new();
    for (table, key) in [
        (Table::Certificate, key),
        (Table::Serial, one.serial.as_bytes().to_vec()),
        (Table::Revocation, revoked),
    ] {
        let value = get(&*store, table, &key).await.unwrap().unwrap().value;
        rows.push((table, key, value));
    }
    (First { serial: one.serial, der: one.der, rows }, admin)
}

fn csr() -> Vec<u8> {
    Csr::create(&P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap()).unwrap()
}

fn tenant() -> TenantId {
    "klinik".parse().unwrap()
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

/// The device of the first certificate; those of the copies have numbers from 0 on.
const DEVICE: &str = "pump-9999";
const DEVICES: usize = 1_000;

/// Certificates written in one commit.
const BATCH: usize = 1_000;

/// Revocations that are timed, one after the other.
const TRIED: usize = 200;

const SPAN: Duration = Duration::from_secs(5);

/// A prime, so that every certificate's turn comes, in no order of memory.
const FAR: usize = 7_919;

/// So many that their answers are kept.
const FEW: usize = 5_000;
