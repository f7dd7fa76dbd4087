//! The writing connection: a group is one transaction.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use rusqlite::{CachedStatement, Connection, ErrorCode, OptionalExtension, params};
use wardein_engine::port::{Change, Check, CommitError, Expect, Table, Write};

use super::copier::{self, Bulk, Copier};
use super::{Down, read, schema};
use crate::open::{OpenError, Options};
use crate::place::Reserve;
use crate::queue::{Fault, Writer};

/// The writing connection, in its thread.
pub(super) struct SqliteWriter {
    path: PathBuf,
    cache: u64,
    reserve: Reserve,
    /// None from a failure until it was opened again and found whole.
    connection: Option<Connection>,
    down: Arc<Down>,
    tried: Instant,
    /// The last audit entry that is durable.
    last: u64,
    /// How many pages the write-ahead log has.
    log: Arc<AtomicI32>,
    /// At how many it is copied into the file.
    limit: i32,
    /// The same, as far as a snapshot that is held allows.
    full: i32,
    copier: Copier,
}

impl SqliteWriter {
    pub(super) fn open(
        path: &Path,
        options: &Options,
        reserve: Reserve,
        down: Arc<Down>,
        log: Arc<AtomicI32>,
    ) -> Result<Self, OpenError> {
        let limit = i32::try_from(options.log / u64::from(schema::PAGE)).unwrap_or(i32::MAX);
        let mut writer = Self {
            path: path.to_owned(),
            cache: options.cache,
            reserve,
            connection: None,
            down,
            tried: Instant::now(),
            last: 0,
            log,
            limit,
            full: limit,
            copier: Copier::new(path),
        };
        writer.connect().map_err(|error| OpenError::failed(path, error))?;
        Ok(writer)
    }

    fn connect(&mut self) -> rusqlite::Result<()> {
        let mut connection = schema::writer(&self.path, self.cache)?;
        // In place of SQLite's own checkpoint inside of the commit, while callers wait.
        let log = Arc::clone(&self.log);
        connection.wal_hook(Some(move |_: &mut _, pages| {
            log.store(pages, Ordering::Relaxed);
            Ok(())
        }))?;
        self.last = read::last_audit(&connection)?;
        self.connection = Some(connection);
        Ok(())
    }

    /// Opens the file again after a failure, and goes on only if everything acknowledged is there and a write comes
    /// through to the disk.
    fn recover(&mut self) -> Result<(), String> {
        if self.tried.elapsed() < PAUSE {
            return Err(self.down.why().unwrap_or_default());
        }
        self.tried = Instant::now();
        let acknowledged = self.last;
        let told = |error: rusqlite::Error| error.to_string();
        self.connect().map_err(told)?;
        let found = self.last;
        self.last = acknowledged.max(found);
        if found < acknowledged {
            return Err(format!(
                "audit entry {acknowledged} was acknowledged, and the last one found is {found}"
            ));
        }
        let connection = self.connection.as_ref().ok_or("not open")?;
        // Writing the header over what a failed commit may have left of itself in the log also decides that it never
        // happened: the log's checksums are chained, and do not continue behind a frame that was replaced.
        let format: u32 =
            connection.pragma_query_value(None, "user_version", |record| record.get(0)).map_err(told)?;
        connection.pragma_update(None, "user_version", format).map_err(told)
    }

    fn fail(&mut self, error: &rusqlite::Error, committing: bool) -> Fault {
        self.connection = None;
        self.tried = Instant::now();
        let why = format!("{}: {error}; it is being opened again", self.path.display());
        self.down.set(Some(why.clone()));
        // A full disk is noticed before the frame that would commit is written. Any other failure of a commit may have
        // left that frame.
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Fault::Unavailable(why),
            _ if committing => Fault::Unknown(why),
            _ => Fault::Unavailable(why),
        }
    }
}

impl Writer for SqliteWriter {
    fn write(&mut self, group: &[Change]) -> Result<Vec<Result<(), CommitError>>, Fault> {
        if self.connection.is_none() || self.down.why().is_some() {
            if let Err(why) = self.recover() {
                self.connection = None;
                self.down.set(Some(why.clone()));
                return Err(Fault::Unavailable(why));
            }
            self.down.set(None);
        }
        self.reserve.check().map_err(Fault::Unavailable)?;
        let Some(connection) = &self.connection else {
            return Err(Fault::Unavailable("not open".into()));
        };
        let mut last = self.last;
        match apply_group(connection, group, &mut last) {
            Ok(outcomes) => match run(connection, "COMMIT") {
                Ok(()) => {
                    self.last = last;
                    Ok(outcomes)
                }
                Err(error) => Err(self.fail(&error, true)),
            },
            // Closing the connection rolls the group back.
            Err(error) => Err(self.fail(&error, false)),
        }
    }

    fn rest(&mut self) {
        if self.log.load(Ordering::Relaxed) < self.full || self.copier.poll() == Bulk::UnderWay {
            return;
        }
        let Some(connection) = &self.connection else { return };
        self.full = self.limit;
        match copier::checkpoint(connection) {
            // A snapshot is held: the log goes on from here.
            Ok((pages, copied)) if copied < pages => {
                self.log.store(pages, Ordering::Relaxed);
                self.full = pages.saturating_add(self.limit);
            }
            Ok(_) => self.log.store(0, Ordering::Relaxed),
            Err(error) => {
                self.log.store(0, Ordering::Relaxed);
                // Nothing is lost, the log has it all; but what else would fail is better found out before the next group.
                self.fail(&error, false);
            }
        }
    }
}

fn apply_group(
    connection: &Connection,
    group: &[Change],
    last: &mut u64,
) -> rusqlite::Result<Vec<Result<(), CommitError>>> {
    run(connection, "BEGIN IMMEDIATE")?;
    let mut statements = Statements::prepared(connection)?;
    group.iter().map(|change| statements.apply(change, last)).collect()
}

/// What a group is written with; looked up once for all of its changes.
struct Statements<'c> {
    version: CachedStatement<'c>,
    insert: CachedStatement<'c>,
    update: CachedStatement<'c>,
    delete: CachedStatement<'c>,
    audit: CachedStatement<'c>,
}

impl<'c> Statements<'c> {
    fn prepared(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            version: connection.prepare_cached("SELECT version FROM rows WHERE tbl = ?1 AND key = ?2")?,
            insert: connection.prepare_cached(
                "INSERT INTO rows (version, tbl, key, value) VALUES (1, ?1, ?2, ?3) ON CONFLICT (tbl, key) DO NOTHING",
            )?,
            update: connection.prepare_cached(
                "UPDATE rows SET version = version + 1, value = ?4 WHERE tbl = ?1 AND key = ?2 AND version = ?3",
            )?,
            delete: connection.prepare_cached("DELETE FROM rows WHERE tbl = ?1 AND key = ?2 AND version = ?3")?,
            audit: connection.prepare_cached("INSERT INTO audit (seq, entry) VALUES (?1, ?2)")?,
        })
    }

    /// Applies one change, or nothing of it where a row is not as expected. What was applied before it in the group counts.
    fn apply(&mut self, change: &Change, last: &mut u64) -> rusqlite::Result<Result<(), CommitError>> {
        let conflict =
            |write: &Write| Ok(Err(CommitError::Conflict { table: write.table, key: write.key.clone() }));
        for Check { table, key, version } in &change.checks {
            if !self.holds(*table, key, Expect::Version(*version))? {
                return Ok(Err(CommitError::Conflict { table: *table, key: key.clone() }));
            }
        }
        // Look before writing, so that nothing has to be taken back: a savepoint would copy every page. A row that stands
        // alone is looked at by its own statement.
        if change.writes.len() > 1 {
            for write in &change.writes {
                if !self.holds(write.table, &write.key, write.expect)? {
                    return conflict(write);
                }
            }
        }
        for write in &change.writes {
            if !self.put(write)? {
                if change.writes.len() == 1 {
                    return conflict(write);
                }
                return Err(rusqlite::Error::StatementChangedRows(0));
            }
        }
        for entry in &change.audit {
            self.audit.execute(params![(*last + 1).cast_signed(), entry])?;
            *last += 1;
        }
        Ok(Ok(()))
    }

    /// Whether the row is as it is expected to be.
    fn holds(&mut self, table: Table, key: &[u8], expect: Expect) -> rusqlite::Result<bool> {
        let found: Option<i64> =
            self.version.query_row(params![table as u8, key], |record| record.get(0)).optional()?;
        Ok(match expect {
            Expect::Absent => found.is_none(),
            Expect::Version(version) => found.map(i64::cast_unsigned) == Some(version),
        })
    }

    /// Writes the row if it is as the write expects; tells whether it was.
    fn put(&mut self, write: &Write) -> rusqlite::Result<bool> {
        let Write { table, key, expect, value } = write;
        let (of, table) = (*table, *table as u8);
        let changed = match (expect, value) {
            (Expect::Absent, None) => return self.holds(of, key, *expect),
            (Expect::Absent, Some(value)) => self.insert.execute(params![table, key, value])?,
            (Expect::Version(version), Some(value)) => {
                self.update.execute(params![table, key, version.cast_signed(), value])?
            }
            (Expect::Version(version), None) => {
                self.delete.execute(params![table, key, version.cast_signed()])?
            }
        };
        Ok(changed == 1)
    }
}

fn run(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute(()).map(|_| ())
}

/// Between two attempts at recovery.
const PAUSE: Duration = Duration::from_millis(200);
