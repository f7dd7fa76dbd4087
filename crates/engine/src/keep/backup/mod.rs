//! A backup: a point-in-time copy of the store, sealed, taken while the authority serves.
//!
//! It reads one snapshot of the store, so that no commit waits for it. Its output is sealed under a key that is derived from the
//! root key for this backup alone; the custody file is in front, so that the passphrase or key file opens it.

pub(crate) mod form;

use crate::keep::upkeep::Busy;
use crate::kernel::record::{BEGUN, COMPLETE, Recording};
use crate::kernel::{Caller, Decision, Draw, Engine, Error};
use crate::rows::{self, LAST_BACKUP_KEY, LastBackupRow};
use form::{Head, Item, Sealer};
use wardein_domain::{ErrorCode, Event, FieldName, Outcome, Target, UnixMillis};
use wardein_port::{Change, MAX_KEY, MAX_VALUE, Snapshot, Table};

/// A backup in progress. Dropping it aborts it.
pub struct Backup {
    snapshot: Box<dyn Snapshot>,
    sealer: Sealer,
    taken_ms: u64,
    /// The head in front of the first part.
    head: Option<Vec<u8>>,
    at: At,
    rows: u64,
    audit_entries: u64,
    most_held: u64,
    _busy: Busy,
}

/// Where it is.
enum At {
    /// Behind that key of that table of [`Table::ALL`].
    Rows(usize, Option<Vec<u8>>),
    /// At that audit entry.
    Audit(u64),
    Over,
}

/// A part of a backup; all of them, one behind the other, are the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupPart {
    /// Its bytes: at most 5 MiB.
    pub bytes: Vec<u8>,
    /// When the backup was taken, in Unix milliseconds.
    pub taken_ms: u64,
    /// Rows so far.
    pub rows: u64,
    /// Audit entries so far.
    pub audit_entries: u64,
    /// Whether it is the last.
    pub is_last: bool,
}

impl Engine {
    /// Begins a backup, which is on record before anything of it leaves. It is aborted with `backup-too-slow` when the store had
    /// to keep more than `most_held` bytes for its sake.
    pub async fn begin_backup(&self, caller: &Caller, most_held: u64) -> Result<Backup, Error> {
        let busy = Busy::take(&self.upkeep.backup, "a backup")?;
        let taken_ms = self.clock.now_ms();
        let (snapshot, sealer, head) = {
            // Between the two reads no version of the root key may go that stored data needs.
            let _root = self.upkeep.root.lock().await;
            let snapshot = self.store.snapshot()?.ok_or_else(|| {
                let message =
                    "this store has no point-in-time snapshots; stop the service and copy its directory whole";
                Error::new(ErrorCode::StoreWithoutSnapshots, message)
            })?;
            let custody = self.custody()?.wrapped().await?;
            let ring = self.root.ring();
            let id = Draw::new(&*self.entropy).public()?;
            let head = Head { root_version: ring.newest(), taken_ms, id, custody }.encode()?;
            let sealer = Sealer::new(&ring, ring.newest(), &head)?;
            (snapshot, sealer, head)
        };
        let entry = self.entry(caller, Event::BackedUp, Target::Authority, Outcome::Done);
        self.record(entry.with(FieldName::Step, BEGUN)).await?;
        let (head, at) = (Some(head), At::Rows(0, None));
        Ok(Backup { snapshot, sealer, taken_ms, head, at, rows: 0, audit_entries: 0, most_held, _busy: busy })
    }

    /// Takes on record that a backup is complete: before its last part leaves.
    pub async fn end_backup(&self, caller: &Caller, last: &BackupPart) -> Result<(), Error> {
        let BackupPart { taken_ms, rows, audit_entries, .. } = last;
        let row = LastBackupRow { taken: UnixMillis::new(*taken_ms) };
        let entry = self.entry(caller, Event::BackedUp, Target::Authority, Outcome::Done);
        let entry = entry
            .with(FieldName::Step, COMPLETE)
            .with(FieldName::Rows, rows)
            .with(FieldName::AuditEntries, audit_entries);
        self.transact_by(caller, |tx| {
            let before = tx.get(Table::Authority, LAST_BACKUP_KEY)?.map(|row| row.version);
            let mut change = Change::default();
            change.put(Table::Authority, LAST_BACKUP_KEY.to_vec(), before, rows::encode(&row)?);
            change.record(&entry)?;
            Ok(Decision::new(change, ()))
        })
        .await
    }
}

impl Backup {
    /// The next part. It reads from the disk: call it where that may take a while.
    pub fn next_part(&mut self) -> Result<BackupPart, Error> {
        let mut plain = Vec::with_capacity(FULL + PAGE * 1024);
        while plain.len() < FULL && !matches!(self.at, At::Over) {
            self.may_go_on()?;
            self.read(&mut plain)?;
        }
        let is_last = matches!(self.at, At::Over);
        let mut bytes = self.head.take().unwrap_or_default();
        bytes.append(&mut self.sealer.seal(plain, is_last)?);
        Ok(BackupPart {
            bytes,
            taken_ms: self.taken_ms,
            rows: self.rows,
            audit_entries: self.audit_entries,
            is_last,
        })
    }

    /// Refuses to continue if it would fill the disk that the authority writes to.
    pub fn may_go_on(&self) -> Result<(), Error> {
        let held = self.snapshot.held();
        if held <= self.most_held {
            return Ok(());
        }
        let message = format_args!(
            "{} MiB were written in the meantime, which the store keeps until the backup has ended; take it over a faster connection, \
             or under less load",
            held >> 20
        );
        Err(Error::new(ErrorCode::BackupTooSlow, message))
    }

    fn read(&mut self, plain: &mut Vec<u8>) -> Result<(), Error> {
        match &mut self.at {
            At::Rows(number, after) => {
                let Some(table) = Table::ALL.get(*number).copied() else {
                    self.at = At::Audit(1);
                    return Ok(());
                };
                let page = self.snapshot.scan(table, after.as_deref(), PAGE)?;
                for (key, row) in &page {
                    Item::Row { table: table as u8, key, value: &row.value }.put(plain)?;
                }
                self.rows += page.len() as u64;
                self.at = match page.into_iter().last() {
                    Some((last, _)) => At::Rows(*number, Some(last)),
                    None => At::Rows(*number + 1, None),
                };
            }
            At::Audit(from) => {
                let page = self.snapshot.audit(*from, PAGE)?;
                let expected = *from..;
                for ((number, entry), expected) in page.iter().zip(expected) {
                    if *number != expected {
                        return Err(Error::internal("the audit log has gaps"));
                    }
                    Item::Entry(entry).put(plain)?;
                }
                self.audit_entries += page.len() as u64;
                self.at = match page.last() {
                    Some((last, _)) => At::Audit(last + 1),
                    None => At::Over,
                };
            }
            At::Over => {}
        }
        Ok(())
    }
}

/// Rows read at a time.
const PAGE: usize = 32;

/// Bytes of plaintext at which a part is full.
const FULL: usize = 256 * 1024;

// A part is full before the last page of it is added.
const _: () = assert!(FULL + PAGE * (MAX_KEY + MAX_VALUE + 16) <= form::MAX_PLAIN);
