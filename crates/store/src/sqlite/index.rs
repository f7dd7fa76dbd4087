//! The index of the audit log in its table.

use rusqlite::{Connection, Error, OptionalExtension, Result, Row as Record, params};
use wardein_port::Entries;

use crate::postings::{Filing, Posting, Tails};

/// At most `limit` of the entries of `key`, from the `from`th on.
pub(super) fn read(connection: &Connection, key: &[u8], from: u64, limit: usize) -> Result<Entries> {
    let from = from.max(1);
    let Ok(at) = i64::try_from(from) else { return Ok(Vec::new()) };
    let mut postings = connection.prepare_cached(
        "SELECT n, first, more FROM audit_index
         WHERE key = ?1 AND n >= coalesce((SELECT max(n) FROM audit_index WHERE key = ?1 AND n <= ?2), 0) ORDER BY n",
    )?;
    let mut entry = connection.prepare_cached("SELECT entry FROM audit WHERE seq = ?1")?;
    let mut records = postings.query(params![key, at])?;
    let mut entries = Vec::new();
    while entries.len() < limit
        && let Some(record) = records.next()?
    {
        let posting = posting(record)?;
        let numbers = posting.numbers().ok_or_else(damaged)?;
        let wanted = (posting.n..).zip(numbers).filter(|(n, _)| *n >= from).take(limit - entries.len());
        for (n, number) in wanted {
            entries.push((n, entry.query_row([number.cast_signed()], |record| record.get(0))?));
        }
    }
    Ok(entries)
}

/// Adds the entries of a group. The caller has begun a transaction.
pub(super) fn add(connection: &Connection, filing: Filing<'_>, tails: &mut Tails) -> Result<()> {
    let mut last = connection
        .prepare_cached("SELECT n, first, more FROM audit_index WHERE key = ?1 ORDER BY n DESC LIMIT 1")?;
    let rows = filing.rows(tails, |key| last.query_row([key], posting).optional(), damaged)?;
    let mut insert =
        connection.prepare_cached("INSERT INTO audit_index (key, n, first, more) VALUES (?1, ?2, ?3, ?4)")?;
    for (key, Posting { n, first, more }) in rows {
        insert.execute(params![key, n.cast_signed(), first.cast_signed(), more])?;
    }
    Ok(())
}

fn posting(record: &Record<'_>) -> Result<Posting> {
    let number = |at| record.get(at).map(i64::cast_unsigned);
    Ok(Posting { n: number(0)?, first: number(1)?, more: record.get(2)? })
}

fn damaged() -> Error {
    Error::InvalidColumnName("audit_index.more is damaged".into())
}
