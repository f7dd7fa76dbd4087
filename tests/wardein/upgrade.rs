//! What the release before left is opened here: its stores are migrated, whatever dies in between, and its backup restores.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use wardein_crypto::{Digest, hex};
use wardein_custody::{PassphraseSource, Protection};
use wardein_ddkg::message::{SealedPayload, from_text};
use wardein_domain::{Call, DeviceState, OperatorName, Principal, Role, Serial, TenantId};
use wardein_engine::{
    AuditFilter, Caller, DeviceFilter, Engine, Error, OpenAsk, Page, Ports, Restoring, migrate,
};
use wardein_port::{Change, RootKey, Store, Table};
use wardein_store::{Kind, Options};
use wardein_testkit::{CrashPoint, MemoryStore, TestClock, block_on, commit};

fn fixture(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/0.1.0").join(below)
}

/// A copy of an authority's directory, with its root key.
struct Old {
    directory: TempDir,
    kind: Kind,
}

impl Old {
    fn copy(kind: Kind) -> Self {
        let directory = tempfile::tempdir().unwrap();
        copy(&fixture(kind.name()), directory.path());
        Self { directory, kind }
    }

    fn store(&self) -> Arc<dyn Store> {
        let path = self.directory.path().join(self.kind.file_name());
        wardein_store::open(self.kind, &path, &Options { reserve: 0, ..Options::default() }).unwrap()
    }

    fn root_keys(&self) -> Vec<RootKey> {
        root_keys(&self.directory.path().join("custody.json"), self.kind)
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => drop(fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}

fn root_keys(custody: &Path, kind: Kind) -> Vec<RootKey> {
    // git keeps no modes, and custody refuses what others may read.
    let private = |path: &Path, name: &str| {
        let copied = custody.with_file_name(name);
        fs::copy(path, &copied).unwrap();
        fs::set_permissions(&copied, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        copied
    };
    fs::set_permissions(custody, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let protection = match kind {
        Kind::Sqlite => {
            let passphrase = private(&fixture("passphrase"), "passphrase");
            Protection::Passphrase(PassphraseSource::File(passphrase).read().unwrap())
        }
        Kind::Sled => Protection::KeyFile(private(&fixture("root.key"), "root.key")),
    };
    let opened = wardein_custody::open(custody, &protection).unwrap();
    let copied = |(version, secret): (u32, &wardein_crypto::Secret<32>)| RootKey {
        version,
        secret: secret.duplicate(),
    };
    opened.keys().map(copied).collect()
}

fn clock() -> TestClock {
    TestClock::at(fs::read_to_string(fixture("now")).unwrap().trim().parse::<u64>().unwrap() + 60)
}

fn caller(role: Role, tenant: Option<&str>, name: &str) -> Caller {
    let tenant: Option<TenantId> = tenant.map(|tenant| tenant.parse().unwrap());
    let name: OperatorName = name.parse().unwrap();
    let principal = Principal { role, tenant, name, serial: Serial::from_random([1; 16]) };
    Caller { principal, call: Call::new("upgrade") }
}

fn page() -> Page {
    Page { size: 1000, after: None }
}

/// The devices of `klinik-nord` by their ids.
async fn devices(engine: &Engine) -> BTreeMap<String, wardein_engine::Device> {
    let admin = caller(Role::Admin, None, "admin");
    let tenant = "klinik-nord".parse().unwrap();
    let found = engine.list_devices(&admin, tenant, &DeviceFilter::default(), page()).await.unwrap();
    found.items.into_iter().map(|device| (device.name.device.to_string(), device)).collect()
}

/// All that the fixture's README says of it.
async fn is_as_it_was(engine: &Engine, sealed: &str) {
    let devices = devices(engine).await;
    assert_eq!(devices.len(), 20);
    let count = |state| devices.values().filter(|device| device.state == state).count();
    assert_eq!(
        [
            count(DeviceState::Active),
            count(DeviceState::Pending),
            count(DeviceState::Retired),
            count(DeviceState::Suspended),
            count(DeviceState::Quarantined),
            count(DeviceState::Revoked),
        ],
        [13, 2, 2, 1, 1, 1]
    );
    assert_eq!(devices["pump-03"].generation, 3);
    assert_eq!(
        (devices["pump-13"].generation, devices["pump-13"].state),
        (0, DeviceState::Retired),
        "shredded"
    );
    assert!(devices["pump-02"].last_seen.is_some() && devices["pump-14"].last_seen.is_none());
    assert!(devices["pump-tpm-booted"].signing.is_some_and(|key| key.last_quote.is_some()));

    let admin = caller(Role::Admin, None, "admin");
    let nord: TenantId = "klinik-nord".parse().unwrap();
    let device = Some("pump-01".parse().unwrap());
    let mut found = engine.list_certificates(&admin, nord.clone(), device, page()).await.unwrap().items;
    found.sort_by_key(|certificate| certificate.revoked.is_none());
    assert_eq!(found.iter().map(|found| found.revoked.is_some()).collect::<Vec<_>>(), [true, false]);
    let operators = engine.list_operators(&admin, None, page()).await.unwrap().items;
    let revoked: Vec<_> = operators.iter().filter(|operator| operator.revoked_at.is_some()).collect();
    assert_eq!(
        revoked.iter().map(|operator| operator.principal.name.as_str()).collect::<Vec<_>>(),
        ["old-iot"]
    );
    let refused = engine.authenticate(&revoked[0].principal).await.unwrap_err();
    assert_eq!(refused.code.as_str(), "operator-revoked");

    // What was sealed before opens.
    let is_iot = |operator: &&wardein_engine::Operator| operator.principal.name.as_str() == "iot";
    let principal = operators.iter().find(is_iot).unwrap().principal.clone();
    let iot = Caller { principal, call: Call::new("upgrade") };
    for name in ["unopened", "generation-1", "generation-2", "generation-3"] {
        let path = fixture(sealed).join(name);
        if !path.with_extension("sealed").exists() {
            continue;
        }
        let opened = engine.open_payload(&iot, ask(&path, name)).await.unwrap();
        assert_eq!(opened.secret.expose(), fs::read(path.with_extension("plain")).unwrap(), "{name}");
    }
    // Entries of the old form are read.
    let (entries, _) = engine.list_audit(&admin, AuditFilter::default(), 1, 1000).await.unwrap();
    assert!(entries.len() > 150, "{}", entries.len());
}

fn ask(path: &Path, name: &str) -> OpenAsk {
    let text = fs::read_to_string(path.with_extension("sealed")).unwrap();
    OpenAsk {
        sealed: SealedPayload::decode(&from_text(text.trim(), 16 * 1024).unwrap()).unwrap(),
        additional: name.as_bytes().to_vec(),
        reason: "an upgrade is tested".parse().unwrap(),
        idempotency: Digest::of(name.as_bytes()),
    }
}

#[test]
fn a_store_of_the_release_before_is_migrated_and_serves() {
    for (kind, sealed) in [(Kind::Sqlite, "sealed"), (Kind::Sled, "sled-sealed")] {
        let old = Old::copy(kind);
        let ports = Ports::new(old.store(), clock());
        block_on(async {
            let early = Engine::open(ports.clone(), old.root_keys()).await.err().unwrap();
            assert_eq!(early.code.as_str(), "store-format-older");
            let mut told = 0;
            assert!(migrate(&ports, old.root_keys(), |so_far| told = so_far.rows).await.unwrap());
            assert!(told > 80, "{told} rows");
            assert!(!migrate(&ports, old.root_keys(), |_| {}).await.unwrap(), "once");
            let engine = Engine::open(ports.clone(), old.root_keys()).await.unwrap();
            is_as_it_was(&engine, sealed).await;
        });
        drop(ports);
        // And once more, as the next start finds it.
        block_on(async {
            let engine = Engine::open(Ports::new(old.store(), clock()), old.root_keys()).await.unwrap();
            assert_eq!(devices(&engine).await.len(), 20);
        });
    }
}

#[test]
fn a_migration_that_dies_anywhere_is_finished_by_the_next() {
    let old = Old::copy(Kind::Sqlite);
    let root_keys = || old.root_keys();
    let keys = root_keys();
    let again = || keys.iter().map(|key| RootKey { version: key.version, secret: key.secret.duplicate() });
    let store = in_memory();
    let before = store.commits();
    let ports = Ports::new(Arc::new(store.clone()), clock());
    assert!(block_on(migrate(&ports, again(), |_| {})).unwrap());
    let commits = store.commits() - before;
    assert!(commits >= 14, "{commits}");
    for nth in 0..commits {
        for point in [CrashPoint::BeforeApply, CrashPoint::AfterApply, CrashPoint::DurableNotProjected] {
            let store = in_memory();
            let ports = |store: &MemoryStore| Ports::new(Arc::new(store.clone()), clock());
            store.crash_at(nth, point);
            let died: Result<bool, Error> = block_on(migrate(&ports(&store), again(), |_| {}));
            assert!(died.is_err() && store.crashed(), "{nth} {point:?}");
            let store = store.restart();
            block_on(async {
                migrate(&ports(&store), again(), |_| {}).await.unwrap();
                let engine = Engine::open(ports(&store), again()).await.unwrap();
                is_as_it_was(&engine, "sealed").await;
            });
        }
    }
}

/// The rows of the fixture's SQLite store, in memory.
fn in_memory() -> MemoryStore {
    let store = MemoryStore::new();
    let bytes = |text: &str| hex::decode(text).unwrap();
    for entry in fs::read_dir(fixture("rows")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let mut change = Change::default();
        match name.split_once('-') {
            Some((number, _)) => {
                let number: u8 = number.parse().unwrap();
                let table = Table::ALL.into_iter().find(|table| *table as u8 == number).unwrap();
                for line in text.lines() {
                    let (key, value) = line.split_once(' ').unwrap();
                    change.insert(table, bytes(key), bytes(value));
                }
            }
            // Enough entries for what is asked of the log.
            None => change.audit = text.lines().cycle().take(160).map(bytes).collect(),
        }
        block_on(commit(&store, change)).unwrap();
    }
    store
}

#[test]
fn a_backup_of_the_release_before_restores() {
    let directory = tempfile::tempdir().unwrap();
    let custody = directory.path().join("custody.json");
    let backup = fs::read(fixture("backup/wardein.backup")).unwrap();
    let restoring = Restoring::begin(&backup[..]).unwrap();
    wardein_custody::put(&custody, restoring.custody()).unwrap();
    let root_keys = || root_keys(&custody, Kind::Sqlite);
    let options = Options { reserve: 0, ..Options::default() };
    for kind in [Kind::Sqlite, Kind::Sled] {
        let path = directory.path().join(kind.file_name());
        let ports = Ports::new(wardein_store::open(kind, &path, &options).unwrap(), clock());
        block_on(async {
            let restoring = Restoring::begin(&backup[..]).unwrap();
            let restored = restoring.apply(&ports, root_keys(), |_, _| {}).await.unwrap();
            assert_eq!((restored.rows, restored.audit_entries), (180, 151));
            let engine = Engine::open(ports, root_keys()).await.unwrap();
            assert_eq!(devices(&engine).await.len(), 20);
            engine.authenticate(&restored.founded.admin).await.unwrap();
        });
    }
}

#[test]
fn what_is_damaged_or_newer_is_refused_and_left_alone() {
    let old = Old::copy(Kind::Sqlite);
    let newer = in_memory();
    let mut change = Change::default();
    change.insert(Table::Authority, b"format".to_vec(), vec![9, 9]);
    block_on(commit(&newer, change)).unwrap();
    let ports = Ports::new(Arc::new(newer.clone()), clock());
    let before = newer.commits();
    let refused = block_on(migrate(&ports, old.root_keys(), |_| {})).unwrap_err();
    assert_eq!(refused.code.as_str(), "store-format-newer");
    let refused = block_on(Engine::open(ports, old.root_keys())).err().unwrap();
    assert_eq!((refused.code.as_str(), newer.commits()), ("store-format-newer", before));

    let damaged = in_memory();
    let mut change = Change::default();
    change.insert(Table::Grant, b"klinik-nord\0iot\0token\0damaged".to_vec(), vec![1, 0xff, 0xff]);
    block_on(commit(&damaged, change)).unwrap();
    let ports = Ports::new(Arc::new(damaged), clock());
    let refused = block_on(migrate(&ports, old.root_keys(), |_| {})).unwrap_err();
    assert!(refused.message.contains("Grant") && refused.message.contains("backup"), "{refused}");
}
