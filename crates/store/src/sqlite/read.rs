//! The queries of a reading connection.

use rusqlite::{Connection, OptionalExtension, Result, Row as Record, params};
use wardein_port::{Entries, Head, Row, Scanned, StoreError, Table};

use super::{AUDIT_GAP, INDEX_BEYOND, VERSION_BEYOND};
use crate::range::Range;

/// The row at `key`.
pub(super) fn get(connection: &Connection, table: Table, key: &[u8]) -> Result<Option<Row>> {
    let mut get = connection.prepare_cached("SELECT version, value FROM rows WHERE tbl = ?1 AND key = ?2")?;
    get.query_row(params![table as u8, key], |record| row(record, 0)).optional()
}

/// The rows of a range, at most `limit`.
pub(super) fn scan(connection: &Connection, table: Table, range: &Range, limit: usize) -> Result<Scanned> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let keyed = |record: &Record<'_>| Ok((record.get(0)?, row(record, 1)?));
    match &range.high {
        Some(high) => connection
            .prepare_cached(
                "SELECT key, version, value FROM rows WHERE tbl = ?1 AND key >= ?2 AND key < ?3 ORDER BY key LIMIT ?4",
            )?
            .query_map(params![table as u8, range.low, high, limit], keyed)?
            .collect(),
        None => connection
            .prepare_cached(
                "SELECT key, version, value FROM rows WHERE tbl = ?1 AND key >= ?2 ORDER BY key LIMIT ?3",
            )?
            .query_map(params![table as u8, range.low, limit], keyed)?
            .collect(),
    }
}

/// At most `limit` audit entries from number `from` on.
pub(super) fn audit(connection: &Connection, from: u64, limit: usize) -> Result<Entries> {
    let Ok(from) = i64::try_from(from) else { return Ok(Vec::new()) };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    connection
        .prepare_cached("SELECT seq, entry FROM audit WHERE seq >= ?1 ORDER BY seq LIMIT ?2")?
        .query_map([from, limit], |record| Ok((record.get::<_, i64>(0)?.cast_unsigned(), record.get(1)?)))?
        .collect()
}

/// How far the store is.
pub(super) fn head(connection: &Connection) -> Result<Head> {
    let mut head =
        connection.prepare_cached("SELECT revision, (SELECT coalesce(max(seq), 0) FROM audit) FROM head")?;
    head.query_row((), |record| {
        let number = |at| record.get(at).map(i64::cast_unsigned);
        Ok(Head { revision: number(0)?, last_audit: number(1)? })
    })
}

/// Reads everything, in one moment. The inner error names the damage.
pub(super) fn verify(connection: &Connection) -> Result<std::result::Result<(), StoreError>> {
    let moment = connection.unchecked_transaction()?;
    let told: String = moment.query_row("PRAGMA integrity_check(1)", (), |record| record.get(0))?;
    let entries: i64 = moment.query_row("SELECT count(*) FROM audit", (), |record| record.get(0))?;
    let version: i64 =
        moment.query_row("SELECT coalesce(max(version), 0) FROM rows", (), |record| record.get(0))?;
    let indexed: i64 =
        moment.query_row("SELECT coalesce(max(first), 0) FROM audit_index", (), |record| record.get(0))?;
    let head = head(&moment)?;
    Ok(match () {
        () if told != "ok" => Err(StoreError(told)),
        () if entries.cast_unsigned() != head.last_audit => Err(StoreError(AUDIT_GAP.into())),
        () if indexed.cast_unsigned() > head.last_audit => Err(StoreError(INDEX_BEYOND.into())),
        () if version.cast_unsigned() > head.revision => Err(StoreError(VERSION_BEYOND.into())),
        () => Ok(()),
    })
}

fn row(record: &Record<'_>, at: usize) -> Result<Row> {
    Ok(Row { version: record.get::<_, i64>(at)?.cast_unsigned(), value: record.get(at + 1)? })
}
