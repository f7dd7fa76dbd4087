//! What is asked of a connection that reads.

use rusqlite::{Connection, OptionalExtension, Result, Row as Record, params};
use wardein_engine::port::{Row, Table};

use crate::range::Range;

/// The row at `key`.
pub(super) fn get(connection: &Connection, table: Table, key: &[u8]) -> Result<Option<Row>> {
    let mut get = connection.prepare_cached("SELECT version, value FROM rows WHERE tbl = ?1 AND key = ?2")?;
    get.query_row(params![table as u8, key], |record| row(record, 0)).optional()
}

/// The rows of a range, at most `limit`.
pub(super) fn scan(
    connection: &Connection,
    table: Table,
    range: &Range,
    limit: usize,
) -> Result<Vec<(Vec<u8>, Row)>> {
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
pub(super) fn audit(connection: &Connection, from: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>> {
    let Ok(from) = i64::try_from(from) else { return Ok(Vec::new()) };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    connection
        .prepare_cached("SELECT seq, entry FROM audit WHERE seq >= ?1 ORDER BY seq LIMIT ?2")?
        .query_map([from, limit], |record| Ok((record.get::<_, i64>(0)?.cast_unsigned(), record.get(1)?)))?
        .collect()
}

/// The number of the last audit entry, 0 where there is none.
pub(super) fn last_audit(connection: &Connection) -> Result<u64> {
    let mut last = connection.prepare_cached("SELECT max(seq) FROM audit")?;
    Ok(last.query_row((), |record| record.get::<_, Option<i64>>(0))?.unwrap_or(0).cast_unsigned())
}

fn row(record: &Record<'_>, at: usize) -> Result<Row> {
    Ok(Row { version: record.get::<_, i64>(at)?.cast_unsigned(), value: record.get(at + 1)? })
}
