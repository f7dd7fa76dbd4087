//! The writing connection: a group is one transaction.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use rusqlite::{CachedStatement, Connection, ErrorCode, OptionalExtension, params};
use wardein_port::{Change, Check, CommitError, Expect, Feed, Head, Outcome, Projections, Table, Write};

use super::copier::{self, Bulk, Copier};
use super::{Down, feed, index, read, relog, schema};
use crate::age::Age;
use crate::open::{OpenError, Options};
use crate::place::Lock;
use crate::postings::{Filing, Tails};
use crate::queue::{self, Fault, Writer};

/// The writing connection, in its thread.
pub(super) struct SqliteWriter {
    path: PathBuf,
    cache: u64,
    /// None from a failure until it was opened again and found whole.
    connection: Option<Connection>,
    shared: Shared,
    tried: Instant,
    /// How far the store is durable, and projected.
    head: Head,
    age: Age,
    tails: Tails,
    /// At how many pages the write-ahead log is copied into the file.
    limit: i32,
    /// The same, as far as a snapshot that is held allows.
    full: i32,
    copier: Copier,
    /// Also here, as the thread may outlive the store.
    _lock: Arc<Lock>,
}

/// Shared by the writer and the store.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) down: Arc<Down>,
    /// How many pages the write-ahead log has.
    pub(super) log: Arc<AtomicI32>,
    pub(super) projections: Arc<Projections>,
}

impl SqliteWriter {
    pub(super) fn open(
        path: &Path,
        options: &Options,
        shared: Shared,
        lock: Arc<Lock>,
    ) -> Result<Self, OpenError> {
        let limit = i32::try_from(options.log / u64::from(schema::PAGE)).unwrap_or(i32::MAX);
        let mut writer = Self {
            path: path.to_owned(),
            cache: options.cache,
            connection: None,
            shared,
            tried: Instant::now(),
            head: Head::default(),
            age: Age::default(),
            tails: Tails::default(),
            limit,
            full: limit,
            copier: Copier::new(path),
            _lock: lock,
        };
        let connection = writer.connect().map_err(|error| OpenError::failed(path, error))?;
        let known = read::head(&connection).and_then(|head| Ok((head, feed::age(&connection)?)));
        (writer.head, writer.age) = known.map_err(|error| OpenError::failed(path, error))?;
        writer.connection = Some(connection);
        Ok(writer)
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        relog::write_again(&self.path).map_err(unreadable)?;
        let mut connection = schema::writer(&self.path, self.cache)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        // In place of SQLite's own checkpoint inside of the commit, while callers wait.
        let log = Arc::clone(&self.shared.log);
        #[cfg(test)]
        let down = Arc::clone(&self.shared.down);
        connection.wal_hook(Some(move |_: &mut _, pages| {
            log.store(pages, Ordering::Relaxed);
            #[cfg(test)]
            down.fail_if_asked()?;
            Ok(())
        }))?;
        Ok(connection)
    }

    /// Opens the file again after a failure, and continues only if everything acknowledged is there and a write comes
    /// through to the disk.
    fn recover(&mut self) -> Result<(), String> {
        if self.tried.elapsed() < PAUSE {
            return Err(self.shared.down.why().unwrap_or_default());
        }
        self.tried = Instant::now();
        let told = |error: rusqlite::Error| error.to_string();
        let connection = self.connect().map_err(told)?;
        let (found, acknowledged) = (read::head(&connection).map_err(told)?, self.head);
        if found.revision < acknowledged.revision || found.last_audit < acknowledged.last_audit {
            return Err(format!("{acknowledged:?} was acknowledged, and {found:?} was found"));
        }
        // Writing the header over what a failed commit may have left of itself in the log also decides that it never
        // happened: the log's checksums are chained, and do not continue behind a frame that was replaced.
        let format: u32 =
            connection.pragma_query_value(None, "user_version", |record| record.get(0)).map_err(told)?;
        connection.pragma_update(None, "user_version", format).map_err(told)?;
        // From here on it is known, and durable, which of the commits that were answered as unknown were applied.
        self.shared.projections.recovered();
        let mut projected = acknowledged.revision;
        loop {
            let commits = match feed::read(&connection, projected, FEED_PAGE).map_err(told)? {
                Feed::Since(commits) => commits,
                // Only this writer truncates it, and only projected entries.
                Feed::Truncated { up_to } => return Err(format!("the feed is truncated up to {up_to}")),
            };
            let Some(last) = commits.last() else { break };
            projected = last.revision;
            queue::project(commits.iter(), &self.shared.projections);
        }
        self.age = feed::age(&connection).map_err(told)?;
        self.head = found;
        self.connection = Some(connection);
        Ok(())
    }

    fn fail(&mut self, error: &rusqlite::Error, committing: bool) -> Fault {
        self.connection = None;
        self.tails.clear();
        self.tried = Instant::now();
        let why = format!("{}: {error}; it is being opened again", self.path.display());
        self.shared.down.set(Some(why.clone()));
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
    fn write(&mut self, group: &[Change]) -> Result<Vec<Outcome>, Fault> {
        if self.connection.is_none() || self.shared.down.why().is_some() {
            if let Err(why) = self.recover() {
                self.connection = None;
                self.shared.down.set(Some(why.clone()));
                return Err(Fault::Unavailable(why));
            }
            self.shared.down.set(None);
        }
        let Some(connection) = &self.connection else {
            return Err(Fault::Unavailable("not open".into()));
        };
        let (mut head, mut age) = (self.head, self.age);
        match apply_group(connection, group, &mut head, &mut age, &mut self.tails) {
            Ok(outcomes) => match run(connection, "COMMIT") {
                Ok(()) => {
                    (self.head, self.age) = (head, age);
                    Ok(outcomes)
                }
                Err(error) => Err(self.fail(&error, true)),
            },
            // Closing the connection rolls the group back.
            Err(error) => Err(self.fail(&error, false)),
        }
    }

    fn rest(&mut self) {
        if let Err(error) = self.copy_log().and_then(|()| self.truncate_feed()) {
            // Nothing is lost; but other failures are better detected before the next group.
            self.fail(&error, false);
        }
    }
}

impl SqliteWriter {
    fn copy_log(&mut self) -> rusqlite::Result<()> {
        let log = &self.shared.log;
        if log.load(Ordering::Relaxed) < self.full || self.copier.poll() == Bulk::UnderWay {
            return Ok(());
        }
        let Some(connection) = &self.connection else { return Ok(()) };
        self.full = self.limit;
        let copied = copier::checkpoint(connection);
        match copied {
            // A snapshot is held: the log continues from here.
            Ok((pages, copied)) if copied < pages => {
                log.store(pages, Ordering::Relaxed);
                self.full = pages.saturating_add(self.limit);
            }
            _ => log.store(0, Ordering::Relaxed),
        }
        copied.map(|_| ())
    }

    fn truncate_feed(&mut self) -> rusqlite::Result<()> {
        let (Some(before), Some(connection)) = (self.age.due(), &self.connection) else { return Ok(()) };
        run(connection, "BEGIN IMMEDIATE")?;
        let oldest = feed::truncate(connection, before)?;
        run(connection, "COMMIT")?;
        self.age.truncated(oldest);
        Ok(())
    }
}

/// SQLite has no error of ours; its own text would say less.
fn unreadable(error: std::io::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(
        format!("the write-ahead log cannot be written again: {error}").into(),
    )
}

/// Applies a group inside of a transaction that the caller commits. Conflicts are rare, as a device's record is held by one
/// caller at a time: so rows are not looked at before they are written. Where that leaves a change half applied, the group is
/// taken back and applied again, looking first. (A savepoint around each change would copy every page.)
fn apply_group(
    connection: &Connection,
    group: &[Change],
    head: &mut Head,
    age: &mut Age,
    tails: &mut Tails,
) -> rusqlite::Result<Vec<Outcome>> {
    let before = (*head, *age);
    run(connection, "BEGIN IMMEDIATE")?;
    let mut outcomes = apply_all(connection, group, (head, age), tails, Look::WhenWriting)?;
    if outcomes.is_none() {
        (*head, *age) = before;
        run(connection, "ROLLBACK")?;
        run(connection, "BEGIN IMMEDIATE")?;
        outcomes = apply_all(connection, group, (head, age), tails, Look::First)?;
    }
    // A row looked up first is unchanged when it is written.
    let outcomes = outcomes.ok_or(rusqlite::Error::StatementChangedRows(0))?;
    if head.revision > before.0.revision {
        connection.prepare_cached("UPDATE head SET revision = ?1")?.execute([head.revision.cast_signed()])?;
    }
    Ok(outcomes)
}

/// When a row is compared with a change's expectation of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    WhenWriting,
    First,
}

/// One outcome for each change; `None` where one was left half applied.
fn apply_all(
    connection: &Connection,
    group: &[Change],
    (head, age): (&mut Head, &mut Age),
    tails: &mut Tails,
    look: Look,
) -> rusqlite::Result<Option<Vec<Outcome>>> {
    let mut statements = Statements::prepared(connection)?;
    let mut filing = Filing::default();
    let mut outcomes = Vec::with_capacity(group.len());
    for change in group {
        let before = head.last_audit;
        let Some(outcome) = statements.apply(change, head, age, look)? else { return Ok(None) };
        if outcome.is_ok() {
            filing.add(change, before);
        }
        outcomes.push(outcome);
    }
    index::add(connection, filing, tails)?;
    Ok(Some(outcomes))
}

/// The statements of a group; prepared once for all of its changes.
struct Statements<'c> {
    connection: &'c Connection,
    version: CachedStatement<'c>,
    insert: CachedStatement<'c>,
    update: CachedStatement<'c>,
    delete: CachedStatement<'c>,
    audit: CachedStatement<'c>,
    /// Rows that changes of this group rest on, and none of them has written since.
    checked: HashMap<Vec<u8>, (Table, u64)>,
}

impl<'c> Statements<'c> {
    fn prepared(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            connection,
            version: connection.prepare_cached("SELECT version FROM rows WHERE tbl = ?1 AND key = ?2")?,
            insert: connection.prepare_cached(
                "INSERT INTO rows (version, tbl, key, value) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (tbl, key) DO NOTHING",
            )?,
            update: connection.prepare_cached(
                "UPDATE rows SET version = ?1, value = ?4 WHERE tbl = ?2 AND key = ?3 AND version = ?5",
            )?,
            delete: connection.prepare_cached("DELETE FROM rows WHERE tbl = ?1 AND key = ?2 AND version = ?3")?,
            audit: connection.prepare_cached("INSERT INTO audit (seq, entry) VALUES (?1, ?2)")?,
            checked: HashMap::new(),
        })
    }

    /// Applies one change, or nothing of it if a row is not as expected; `None` if a part of it was applied. What was
    /// applied before it in the group counts.
    fn apply(
        &mut self,
        change: &Change,
        head: &mut Head,
        age: &mut Age,
        look: Look,
    ) -> rusqlite::Result<Option<Outcome>> {
        let conflict =
            |table: Table, key: &[u8]| Ok(Some(Err(CommitError::Conflict { table, key: key.to_vec() })));
        if change.is_empty() {
            return Ok(Some(Ok(head.revision)));
        }
        for check in &change.checks {
            if !self.is_unchanged(check)? {
                return conflict(check.table, &check.key);
            }
        }
        if look == Look::First {
            for write in &change.writes {
                if !self.holds(write.table, &write.key, write.expect)? {
                    return conflict(write.table, &write.key);
                }
            }
        }
        let revision = head.revision + 1;
        for (applied, write) in change.writes.iter().enumerate() {
            if !self.put(write, revision)? {
                return if applied == 0 { conflict(write.table, &write.key) } else { Ok(None) };
            }
        }
        for entry in &change.audit {
            head.last_audit += 1;
            self.audit.execute(params![head.last_audit.cast_signed(), entry])?;
        }
        head.revision = revision;
        age.pass(change.at_ms);
        feed::add(self.connection, revision, &change.writes, age)?;
        Ok(Some(Ok(revision)))
    }

    /// Whether a row has the version that a change rests on. Many changes of a group rest on the same few rows: each is looked up
    /// once.
    fn is_unchanged(&mut self, check: &Check) -> rusqlite::Result<bool> {
        let Check { table, key, version } = check;
        if let Some(found) = self.checked.get(key).filter(|(of, _)| of == table) {
            return Ok(found.1 == *version);
        }
        let is_unchanged = self.holds(*table, key, Expect::Version(*version))?;
        if is_unchanged {
            self.checked.insert(key.clone(), (*table, *version));
        }
        Ok(is_unchanged)
    }

    /// Whether the row is as expected.
    fn holds(&mut self, table: Table, key: &[u8], expect: Expect) -> rusqlite::Result<bool> {
        let found: Option<i64> =
            self.version.query_row(params![table as u8, key], |record| record.get(0)).optional()?;
        Ok(match expect {
            Expect::Absent => found.is_none(),
            Expect::Version(version) => found.map(i64::cast_unsigned) == Some(version),
        })
    }

    /// Writes the row if it is as the write expects; returns whether it was.
    fn put(&mut self, write: &Write, revision: u64) -> rusqlite::Result<bool> {
        let Write { table, key, expect, value } = write;
        let (of, table, revision) = (*table, *table as u8, revision.cast_signed());
        if !self.checked.is_empty() {
            self.checked.remove(key);
        }
        let changed = match (expect, value) {
            (Expect::Absent, None) => return self.holds(of, key, *expect),
            (Expect::Absent, Some(value)) => self.insert.execute(params![revision, table, key, value])?,
            (Expect::Version(version), Some(value)) => {
                self.update.execute(params![revision, table, key, value, version.cast_signed()])?
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

/// Room for all that the writer prepares.
const STATEMENTS: usize = 32;

/// Commits of the feed that are read at once after a failure.
const FEED_PAGE: usize = 256;
