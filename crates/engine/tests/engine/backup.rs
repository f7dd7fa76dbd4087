//! Backups: of one moment, complete or refused, and opened only by the root key in force at backup time.

use crate::storage_keys::restart;
use crate::world::{ROOT_KEY, World, caller, facts, open_under, ports};
use std::sync::Arc;
use wardein_crypto::Secret;
use wardein_domain::{ErrorCode, Event, FieldName};
use wardein_engine::{Backup, BackupPart, Error, ErrorKind, Restored, Restoring, Verified};
use wardein_port::{Change, Clock, RootKey, Store, Table};
use wardein_testkit::{CrashPoint, MemoryCustody, MemoryStore, commit};

impl World {
    /// An authority whose root key custody keeps, as that of [`World::new`] is not.
    pub(crate) async fn with_custody() -> (Self, MemoryCustody) {
        let (mut world, custody) = (Self::new().await, MemoryCustody::of(ROOT_KEY));
        restart(&mut world, &custody).await;
        (world, custody)
    }

    pub(crate) async fn begin_backup(&self) -> Backup {
        self.engine.begin_backup(&self.admin, u64::MAX).await.unwrap()
    }

    pub(crate) async fn backup(&self) -> Vec<u8> {
        let parts = rest(self.begin_backup().await);
        self.engine.end_backup(&self.admin, parts.last().unwrap()).await.unwrap();
        parts.into_iter().flat_map(|part| part.bytes).collect()
    }

    /// Another authority, of that backup, with the clock of this one.
    pub(crate) async fn restored(&self, backup: &[u8], custody: &MemoryCustody) -> Self {
        let store = MemoryStore::new();
        let restored = restore(backup, &store, &self.clock, custody.root_keys()).await.unwrap();
        let engine = open_under(&store, &self.clock, custody).await.unwrap();
        Self {
            store,
            clock: self.clock.clone(),
            signers: Arc::new(Vec::new()),
            engine,
            admin: caller(restored.founded.admin),
            station: self.station.clone(),
            platform: self.platform.clone(),
        }
    }

    /// Rows that make a backup of several parts; nobody reads them.
    async fn fill(&self) {
        for number in 0..20_u8 {
            let mut change = Change::default();
            for row in 0..8_u8 {
                change.insert(Table::History, vec![b'z', number, row], vec![number; 8_000]);
            }
            commit(&self.store, change).await.unwrap();
        }
    }
}

pub(crate) fn rest(mut backup: Backup) -> Vec<BackupPart> {
    let mut parts = vec![backup.next_part().unwrap()];
    while !parts.last().unwrap().is_last {
        parts.push(backup.next_part().unwrap());
    }
    parts
}

pub(crate) async fn restore(
    backup: &[u8],
    store: &MemoryStore,
    clock: &wardein_testkit::TestClock,
    root_keys: Vec<RootKey>,
) -> Result<Restored, Error> {
    Restoring::begin(backup)?.apply(&ports(store, clock), root_keys, |_, _| {}).await
}

fn verify(backup: &[u8], key: u8) -> Result<Verified, Error> {
    Restoring::begin(backup)?.verify(root_key(key), |_, _| {})
}

fn root_key(byte: u8) -> Vec<RootKey> {
    vec![RootKey { version: 1, secret: Secret::copied_from(&[byte; 32]) }]
}

#[tokio::test]
async fn all_that_was_there_is_there_again_and_an_administrator_beside() {
    let (world, custody) = World::with_custody().await;
    world.device("pump-1").await;
    world.fill().await;
    let (rows, entries) = (world.rows().await, world.store.audit(1, 1_000).await.unwrap());
    let backup = world.backup().await;
    let restored = world.restored(&backup, &custody).await;

    let is_kept = |table| {
        use Table::{Authority, Operator, OperatorName, Serial, TenantOperator};
        !matches!(table, Authority | Operator | OperatorName | Serial | TenantOperator)
    };
    for table in Table::ALL {
        let of = async |store: &MemoryStore| {
            let rows = store.scan(table, b"", None, usize::MAX).await.unwrap();
            rows.into_iter().map(|(key, row)| (key, row.value)).collect::<Vec<_>>()
        };
        let (before, after) = (of(&world.store).await, of(&restored.store).await);
        if is_kept(table) {
            assert_eq!(before, after, "{table:?}");
        } else {
            let is_new = |row| !before.contains(row);
            assert_eq!(after.iter().filter(|row| is_new(row)).count(), 1, "{table:?}");
        }
    }
    assert_eq!(restored.rows().await.len(), rows.len() + 4);
    let kept = restored.store.audit(1, 1_000).await.unwrap();
    assert_eq!(kept[..entries.len()], entries[..]);
    assert_eq!(kept.len(), entries.len() + 1);
    let entry = &restored.entries(Event::Restored).await[0];
    assert_eq!(entry.field(FieldName::Rows), Some(rows.len().to_string().as_str()));

    for admin in [&world.admin, &restored.admin, &world.station] {
        restored.engine.authenticate(&admin.principal).await.unwrap();
    }
    assert!(world.engine.authenticate(&restored.admin.principal).await.is_err());
    let (now, status) =
        (world.clock.wall_ms() / 1000, async |world: &World| world.engine.status().await.unwrap());
    assert_eq!(status(&world).await.last_backup, Some(now));
    assert_eq!(status(&restored).await.last_backup, None, "what is restored tells of the backup before it");
    let said: Vec<_> = world.entries(Event::BackedUp).await.iter().map(facts).collect();
    let complete = format!("step=complete, rows={}, audit-entries={}", rows.len(), entries.len());
    assert_eq!(said, ["step=begun".to_owned(), complete]);
}

#[tokio::test]
async fn it_is_of_one_moment_whatever_is_committed_meanwhile() {
    let (world, custody) = World::with_custody().await;
    let mut device = world.proven("pump-1").await;
    world.fill().await;
    let mut backup = world.begin_backup().await;
    let mut file = backup.next_part().unwrap().bytes;
    device.prove(&world.engine, "authenticate", b"").await.unwrap();
    world.device("pump-2").await;
    let parts = rest(backup);
    assert!(parts.len() > 1, "several parts");
    file.extend(parts.into_iter().flat_map(|part| part.bytes));
    let restored = world.restored(&file, &custody).await;
    assert!(restored.engine.get_device(&restored.admin, device.name.clone()).await.is_ok());
    let later = crate::world::name("klinik", "pump-2");
    assert_eq!(
        restored.engine.get_device(&restored.admin, later).await.unwrap_err().code.as_str(),
        "device-unknown"
    );
}

#[tokio::test]
async fn one_at_a_time_and_not_at_any_price() {
    let (world, custody) = World::with_custody().await;
    let backup = world.begin_backup().await;
    let second = world.engine.begin_backup(&world.admin, 0).await.err().unwrap();
    assert_eq!((second.kind(), second.code.as_str()), (ErrorKind::Unavailable, "under-way"));
    drop(backup);
    let mut backup = world.engine.begin_backup(&world.admin, 100_000).await.unwrap();
    backup.may_go_on().unwrap();
    world.fill().await;
    for refused in [backup.may_go_on(), backup.next_part().map(|_| ())] {
        let refused = refused.unwrap_err();
        assert_eq!((refused.kind(), refused.code.as_str()), (ErrorKind::Precondition, "backup-too-slow"));
    }
    drop(backup);
    // The root key is not changed while custody and store are looked at, and what was begun before opens with both versions.
    world.engine.rotate_root_key(&world.admin).await.unwrap();
    let backup = world.backup().await;
    assert_eq!(custody.root_keys()[0].version, 2);
    world.restored(&backup, &custody).await;
    let old = restore(&backup, &MemoryStore::new(), &world.clock, root_key(7)).await.err().unwrap();
    assert_eq!((old.kind(), old.code.as_str()), (ErrorKind::Invalid, "backup-damaged"));
    let fixed = World::new().await;
    assert_eq!(
        fixed.engine.begin_backup(&fixed.admin, 0).await.err().unwrap().code.as_str(),
        "custody-fixed"
    );
}

/// What a backup is made of: what stands in front, and each part with its length.
fn pieces(backup: &[u8]) -> Vec<Vec<u8>> {
    let custody = u16::from_be_bytes([backup[45], backup[46]]) as usize;
    let (front, mut rest) = backup.split_at(47 + custody);
    let mut pieces = vec![front.to_vec()];
    while !rest.is_empty() {
        let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        let (piece, behind) = rest.split_at(5 + length);
        pieces.push(piece.to_vec());
        rest = behind;
    }
    pieces
}

#[tokio::test]
async fn one_that_is_not_whole_is_refused_and_makes_no_authority() {
    let (world, _) = World::with_custody().await;
    let refused = async |what: &str, backup: &[u8], key: u8, code: &str| {
        let store = MemoryStore::new();
        let error = restore(backup, &store, &world.clock, root_key(key)).await.err().expect(what);
        assert_eq!(error.code.as_str(), code, "{what}: {error}");
        assert_eq!(verify(backup, key).unwrap_err().code.as_str(), code, "{what}");
        let opened = open_under(&store, &world.clock, &MemoryCustody::of(ROOT_KEY)).await;
        assert_eq!(opened.err().unwrap().code.as_str(), "not-founded", "{what}");
    };
    let small = world.backup().await;
    for at in 0..small.len() {
        let mut flipped = small.clone();
        flipped[at] ^= 0x10;
        let error = restore(&flipped, &MemoryStore::new(), &world.clock, root_key(7)).await.err();
        let code = error.unwrap_or_else(|| panic!("byte {at}")).code.as_str();
        let expected = match at {
            0..15 => "backup-unknown",
            15..17 => "backup-version",
            // Its length may reach beyond the end.
            _ if code == "backup-cut-off" && at > 44 => code,
            _ => "backup-damaged",
        };
        assert_eq!(code, expected, "byte {at}");
        assert_eq!(verify(&flipped, 7).unwrap_err().code.as_str(), code, "byte {at}");
    }
    for length in (0..small.len()).step_by(7).chain([small.len() - 1]) {
        let code = if length < 15 { "backup-unknown" } else { "backup-cut-off" };
        refused(&format!("cut off at {length}"), &small[..length], 7, code).await;
    }
    refused("another root key", &small, 8, "backup-damaged").await;
    refused("more behind", &[&small[..], &[0]].concat(), 7, "backup-damaged").await;
    let mut later = small.clone();
    later[16] = 2;
    refused("a later format", &later, 7, "backup-version").await;

    world.fill().await;
    let (one, other) = (pieces(&world.backup().await), pieces(&world.backup().await));
    assert!(one.len() > 3, "{} pieces", one.len());
    let last = one.len() - 1;
    let of = |order: &[usize]| order.iter().flat_map(|at| one[*at].clone()).collect::<Vec<_>>();
    let all: Vec<_> = (0..=last).collect();
    let restored = restore(&of(&all), &MemoryStore::new(), &world.clock, root_key(7)).await.unwrap();
    let verified = verify(&of(&all), 7).unwrap();
    assert_eq!((verified.rows, verified.audit_entries), (restored.rows, restored.audit_entries));
    let without = |left_out| all.iter().copied().filter(|at| *at != left_out).collect::<Vec<_>>();
    for left_out in 1..last {
        refused("a part is left out", &of(&without(left_out)), 7, "backup-damaged").await;
    }
    refused("the last part is left out", &of(&without(last)), 7, "backup-cut-off").await;
    let mut swapped = all.clone();
    swapped.swap(1, 2);
    refused("two parts are swapped", &of(&swapped), 7, "backup-damaged").await;
    refused("a part comes twice", &of(&[&all[..=1], &all[1..]].concat()), 7, "backup-damaged").await;
    for at in 0..=last {
        let mut spliced = one.clone();
        spliced[at] = other[at].clone();
        refused(&format!("piece {at} is another backup's"), &spliced.concat(), 7, "backup-damaged").await;
    }
    // A part says that it is the last one.
    let mut early = one[..=1].to_vec();
    early[1][4] = 1;
    refused("an early end", &early.concat(), 7, "backup-damaged").await;
    let mut late = one.clone();
    late[last][4] = 0;
    refused("no end", &late.concat(), 7, "backup-damaged").await;
}

#[tokio::test]
async fn verifying_reads_what_restoring_would_and_knows_a_later_store() {
    let (world, _) = World::with_custody().await;
    world.device("pump-1").await;
    let (rows, entries) = (world.rows().await.len(), world.store.audit(1, 1_000).await.unwrap().len());
    let verified = verify(&world.backup().await, 7).unwrap();
    assert_eq!(verified.trust_domain, world.engine.status().await.unwrap().trust_domain);
    let now = world.clock.wall_ms() / 1000;
    assert_eq!((verified.taken_ms / 1000, verified.latest), (now, now));
    assert_eq!((verified.rows, verified.audit_entries), (rows as u64, entries as u64));

    // A row that no authority has been without since format 2.
    let format = b"format";
    let row = world.store.scan(Table::Authority, format, None, 1).await.unwrap().remove(0).1;
    let mut change = Change::default();
    change.update(Table::Authority, format.to_vec(), row.version, vec![2, 200]);
    commit(&world.store, change).await.unwrap();
    let later = world.backup().await;
    assert_eq!(verify(&later, 7).unwrap_err().code, ErrorCode::StoreFormatNewer);
    let store = MemoryStore::new();
    let refused = restore(&later, &store, &world.clock, root_key(7)).await.err().unwrap();
    assert_eq!(refused.code, ErrorCode::StoreFormatNewer);

    // Without the authority's own row there is nothing to restore.
    let row = world.store.scan(Table::Authority, b"authority", None, 1).await.unwrap().remove(0).1;
    let mut change = Change::default();
    change.delete(Table::Authority, b"authority".to_vec(), row.version);
    let row = world.store.scan(Table::Authority, format, None, 1).await.unwrap().remove(0).1;
    change.update(Table::Authority, format.to_vec(), row.version, vec![2, 4]);
    commit(&world.store, change).await.unwrap();
    assert_eq!(verify(&world.backup().await, 7).unwrap_err().code, ErrorCode::BackupDamaged);
}

#[tokio::test]
async fn restoring_that_is_cut_short_leaves_no_authority_and_none_is_written_over() {
    let (world, custody) = World::with_custody().await;
    world.fill().await;
    let backup = world.backup().await;
    let whole = MemoryStore::new();
    restore(&backup, &whole, &world.clock, root_key(7)).await.unwrap();
    let taken = restore(&backup, &whole, &world.clock, root_key(7)).await.err().unwrap();
    assert_eq!((taken.kind(), taken.code.as_str()), (ErrorKind::Exists, "founded-already"));
    let commits = whole.commits();
    assert!(commits > 1);
    for nth in 0..commits {
        let store = MemoryStore::new();
        store.crash_at(nth, CrashPoint::BeforeApply);
        let cut = restore(&backup, &store, &world.clock, root_key(7)).await.err().unwrap();
        assert_eq!(cut.code.as_str(), "store-unavailable");
        let opened = open_under(&store.restart(), &world.clock, &custody).await;
        assert_eq!(opened.err().unwrap().code.as_str(), "not-founded", "commit {nth}");
    }
}

#[tokio::test]
async fn a_clock_outside_of_the_authoritys_time_is_told() {
    let (world, _) = World::with_custody().await;
    let backup = world.backup().await;
    let clock = wardein_testkit::TestClock::at(1_000);
    let refused = restore(&backup, &MemoryStore::new(), &clock, root_key(7)).await.err().unwrap();
    assert_eq!((refused.kind(), refused.code.as_str()), (ErrorKind::Precondition, "clock-wrong"));
}
