//! The file: its contents, its mark, and the setup of a connection.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use crate::moving::{MARKED, Mark};
use crate::open::OpenError;
use crate::place;

/// Makes sure that `path` is a Wardein store of a known format, and creates an empty one if there is nothing.
///
/// A crash at any point leaves either nothing or an empty file, both of which count as nothing, or the store.
pub(super) fn prepare(path: &Path) -> Result<(), OpenError> {
    let failed = |error: &dyn std::fmt::Display| OpenError::failed(path, error);
    touch(path)?;
    match inspect(path)? {
        Found::Nothing => create(path, None)?,
        Found::Former(format) => upgrade(path, format).map_err(|error| failed(&error))?,
        Found::Store => {}
        Found::Marked(mark) => return Err(mark.refusal(path)),
    }
    // Also where it was there before: the process that made it may have died before it came here.
    place::sync_parent(path)
}

/// Makes an empty file where there is none.
pub(super) fn touch(path: &Path) -> Result<(), OpenError> {
    if path.exists() {
        return Ok(());
    }
    // SQLite gives its other files the mode of this one.
    let made = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    made.map(drop).map_err(|error| OpenError::failed(path, error))
}

/// A connection that writes.
pub(super) fn writer(path: &Path, cache: u64) -> rusqlite::Result<Connection> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, cache)?;
    // The log is synced at each commit (sqlite.org/pragma.html#pragma_synchronous): acknowledged commits survive power loss.
    connection.pragma_update(None, "synchronous", "FULL")?;
    // The log's growth during a backup is given back when it restarts.
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
    Ok(connection)
}

/// A connection that reads.
pub(super) fn reader(path: &Path, cache: u64) -> rusqlite::Result<Connection> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY, cache)
}

pub(super) enum Found {
    Nothing,
    /// A store of an earlier format.
    Former(u32),
    Store,
    /// One that is not to be opened.
    Marked(Mark),
}

/// Looks, without altering anything, unless a crash left a journal that must be rolled back before anything can be read.
pub(super) fn inspect(path: &Path) -> Result<Found, OpenError> {
    let look = |mode| -> rusqlite::Result<(i32, u32, bool)> {
        let connection = connect(path, mode, 1 << 20)?;
        Ok((
            connection.pragma_query_value(None, "application_id", |record| record.get(0))?,
            connection.pragma_query_value(None, "user_version", |record| record.get(0))?,
            connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", (), |record| record.get(0))?,
        ))
    };
    let looked = match look(OpenFlags::SQLITE_OPEN_READ_ONLY) {
        // A kill while the file was set up leaves such a journal (sqlite.org/rescode.html#readonly_rollback).
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ReadOnly) => {
            look(OpenFlags::SQLITE_OPEN_READ_WRITE)
        }
        looked => looked,
    };
    let (application, format, empty) = looked.map_err(|error| match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => foreign(path, "not a SQLite file".into()),
        Some(ErrorCode::DatabaseCorrupt) => {
            OpenError::Damaged { path: path.to_owned(), what: error.to_string() }
        }
        _ => OpenError::failed(path, error),
    })?;
    match (application, format) {
        (0, 0) if empty => Ok(Found::Nothing),
        (APPLICATION, FORMAT) => Ok(Found::Store),
        (APPLICATION, former @ 1..FORMAT) => Ok(Found::Former(former)),
        (APPLICATION, MARKED_FORMAT) => {
            let mark = reader(path, 1 << 20).and_then(|connection| marked(&connection));
            let mark = mark.map_err(|error| OpenError::failed(path, error))?;
            let mark = Mark::decode(&mark);
            mark.map(Found::Marked)
                .map_err(|error| OpenError::Damaged { path: path.to_owned(), what: error.0 })
        }
        (APPLICATION, found) if found > FORMAT => {
            Err(OpenError::Newer { path: path.to_owned(), found, known: FORMAT })
        }
        (APPLICATION, found) => {
            Err(OpenError::Damaged { path: path.to_owned(), what: format!("there is no format {found}") })
        }
        (other, _) => Err(foreign(path, format!("a SQLite file with application id {other}"))),
    }
}

/// Makes the store in an empty file; one with a mark does not open.
pub(super) fn create(path: &Path, mark: Option<&Mark>) -> Result<(), OpenError> {
    let create = || -> rusqlite::Result<String> {
        let mut connection = writer(path, 1 << 20)?;
        connection.pragma_update(None, "page_size", PAGE)?;
        let mode: String =
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |record| record.get(0))?;
        if mode != "wal" {
            return Ok(mode);
        }
        // Marks and tables in one transaction: half of it is never seen.
        let all = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        all.execute_batch(TABLES)?;
        all.execute_batch(HEAD_AND_FEED)?;
        all.execute_batch(INDEX)?;
        all.execute("INSERT INTO head (revision, truncated) VALUES (0, 0)", ())?;
        all.pragma_update(None, "application_id", APPLICATION)?;
        all.pragma_update(None, "user_version", FORMAT)?;
        if let Some(mark) = mark {
            put_mark(&all, mark)?;
        }
        all.commit()?;
        Ok(mode)
    };
    match create() {
        Ok(mode) if mode == "wal" => Ok(()),
        Ok(mode) => {
            // Readers and the writer share memory through the log's index (sqlite.org/wal.html, "Disadvantages").
            Err(OpenError::failed(
                path,
                format_args!("its file system cannot hold a write-ahead log ({mode})"),
            ))
        }
        Err(error) => Err(OpenError::failed(path, error)),
    }
}

/// Makes a store of an earlier format one of ours.
///
/// The first counted each row's versions by itself and had no feed: revisions begin behind all versions that exist, and the feed
/// behind that. The second had no index of the audit log: the engine, which can read the entries, fills it.
fn upgrade(path: &Path, format: u32) -> rusqlite::Result<()> {
    let mut connection = writer(path, 1 << 20)?;
    // One transaction: a crash leaves the earlier format or ours.
    let all = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if format == 1 {
        all.execute_batch(HEAD_AND_FEED)?;
        all.execute(
            "INSERT INTO head (revision, truncated) SELECT last, last FROM (SELECT coalesce(max(version), 0) AS last FROM rows)",
            (),
        )?;
    }
    all.execute_batch(INDEX)?;
    all.pragma_update(None, "user_version", FORMAT)?;
    all.commit()
}

/// Marks a store, which does not open from then on. The caller has begun a transaction.
pub(super) fn put_mark(connection: &Connection, mark: &Mark) -> rusqlite::Result<()> {
    connection.execute_batch(MARKS)?;
    connection.execute("INSERT OR REPLACE INTO moving (id, mark) VALUES (1, ?1)", [mark.encode()])?;
    connection.pragma_update(None, "user_version", MARKED_FORMAT)
}

/// Takes the mark away. The caller has begun a transaction.
pub(super) fn unmark(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("DROP TABLE moving")?;
    connection.pragma_update(None, "user_version", FORMAT)
}

/// The mark as it is stored.
fn marked(connection: &Connection) -> rusqlite::Result<Vec<u8>> {
    connection.query_row("SELECT mark FROM moving", (), |record| record.get(0))
}

fn connect(path: &Path, mode: OpenFlags, cache: u64) -> rusqlite::Result<Connection> {
    // No mutex: a connection is never in two threads at once. No URI: a path is a path.
    let connection = Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    // Nobody else writes; only the recovery of the log, after a crash, makes readers wait.
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // Negative: in KiB (sqlite.org/pragma.html#pragma_cache_size).
    connection.pragma_update(None, "cache_size", -i64::try_from(cache / 1024).unwrap_or(i64::MAX))?;
    Ok(connection)
}

fn foreign(path: &Path, found: String) -> OpenError {
    OpenError::Foreign { path: path.to_owned(), found }
}

/// Rows lie in the order in which they came, beside an index of their keys. A table that is its own index (`WITHOUT ROWID`)
/// took 67 µs of processor a commit instead of 25 (`benches/commits.rs`, 256 at once), and 41 with pages of 16 KiB: a row of
/// 2.5 KB does not fit into an index's page and spills, and is deleted and inserted again instead of overwritten.
const TABLES: &str = "
    CREATE TABLE rows (
        id INTEGER PRIMARY KEY, version INTEGER NOT NULL, tbl INTEGER NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX rows_by_key ON rows (tbl, key);
    CREATE TABLE audit (seq INTEGER PRIMARY KEY, entry BLOB NOT NULL) STRICT;
";

/// `head` has one row: the last revision, and the one up to which the feed is truncated. `feed` has the names of rows that
/// commits wrote to tables that authorize, in their order, with the time by which it is truncated.
const HEAD_AND_FEED: &str = "
    CREATE TABLE head (
        id INTEGER PRIMARY KEY CHECK (id = 1), revision INTEGER NOT NULL, truncated INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE feed (
        revision INTEGER NOT NULL, n INTEGER NOT NULL, tbl INTEGER NOT NULL, key BLOB NOT NULL, at_ms INTEGER NOT NULL,
        PRIMARY KEY (revision, n)
    ) STRICT, WITHOUT ROWID;
";

/// The index of the audit log (`postings.rs`). Its rows are short, and are written once.
const INDEX: &str = "
    CREATE TABLE audit_index (
        key BLOB NOT NULL, n INTEGER NOT NULL, first INTEGER NOT NULL, more BLOB NOT NULL,
        PRIMARY KEY (key, n)
    ) STRICT, WITHOUT ROWID;
";

/// The mark of a store that is not to be opened.
const MARKS: &str = "
    CREATE TABLE IF NOT EXISTS moving (id INTEGER PRIMARY KEY CHECK (id = 1), mark BLOB NOT NULL) STRICT;
";

/// "WARD", in the file's header (sqlite.org/fileformat.html#application_id).
const APPLICATION: i32 = 0x5741_5244;

/// The format of the tables. A release reads all formats up to its own.
const FORMAT: u32 = 3;

/// The format of a store with a mark.
const MARKED_FORMAT: u32 = MARKED + FORMAT;

/// The kept size of the write-ahead log's file, however long it was: twice its default size before it is copied.
const LOG_BYTES: u32 = 512 << 20;

/// A row of 2.5 KB dirties one page, which is logged; pages of 8 KiB took 30 µs a commit instead of 25.
pub(super) const PAGE: u32 = 4096;
