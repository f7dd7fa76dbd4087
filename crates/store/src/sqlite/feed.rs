//! The feed in its table: the names of the rows that each commit wrote to tables that authorize.

use rusqlite::{Connection, Result, params};
use wardein_port::{Committed, Feed, FeedRow, Table, Write};

use crate::age::{self, Age};

/// The commits after `after`, at most `limit`, with the values that their rows have now.
pub(super) fn read(connection: &Connection, after: u64, limit: usize) -> Result<Feed> {
    // The values are those of the moment at which the feed is read.
    let moment = connection.unchecked_transaction()?;
    let up_to = moment
        .prepare_cached("SELECT truncated FROM head")?
        .query_row((), |record| record.get(0).map(i64::cast_unsigned))?;
    if after < up_to {
        return Ok(Feed::Truncated { up_to });
    }
    let Ok(after) = i64::try_from(after) else { return Ok(Feed::Since(Vec::new())) };
    let mut select = moment.prepare_cached(
        "SELECT feed.revision, feed.tbl, feed.key, rows.value
         FROM feed LEFT JOIN rows ON rows.tbl = feed.tbl AND rows.key = feed.key
         WHERE feed.revision > ?1 ORDER BY feed.revision, feed.n",
    )?;
    let mut records = select.query([after])?;
    let mut commits: Vec<Committed> = Vec::new();
    while let Some(record) = records.next()? {
        let revision = record.get::<_, i64>(0)?.cast_unsigned();
        let row = FeedRow { table: table(record.get(1)?)?, key: record.get(2)?, value: record.get(3)? };
        let is_full = commits.len() == limit;
        match commits.last_mut() {
            Some(last) if last.revision == revision => last.rows.push(row),
            _ if is_full => break,
            _ => commits.push(Committed { revision, rows: vec![row] }),
        }
    }
    Ok(Feed::Since(commits))
}

/// Adds the writes of a change to tables that authorize, at the time to note. A change that writes nothing there costs nothing.
pub(super) fn add(connection: &Connection, revision: u64, writes: &[Write], age: &mut Age) -> Result<()> {
    for (n, write) in (0_i64..).zip(writes.iter().filter(|write| write.table.authorizes())) {
        connection
            .prepare_cached("INSERT INTO feed (revision, n, tbl, key, at_ms) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![
                revision.cast_signed(),
                n,
                write.table as u8,
                write.key,
                age.note().cast_signed()
            ])?;
    }
    Ok(())
}

/// The times of the feed.
pub(super) fn age(connection: &Connection) -> Result<Age> {
    let newest = "SELECT coalesce((SELECT at_ms FROM feed ORDER BY revision DESC, n DESC LIMIT 1), 0)";
    let newest: i64 = connection.query_row(newest, (), |record| record.get(0))?;
    Ok(Age::new(oldest(connection)?, newest.cast_unsigned()))
}

/// Deletes some of the entries from before `before`, or without a time; the oldest time that is left. The caller has begun a
/// transaction.
pub(super) fn truncate(connection: &Connection, before: u64) -> Result<u64> {
    // Times rise with revisions: the result is a prefix of the feed.
    let up_to: Option<i64> = connection
        .prepare_cached(
            "SELECT max(revision) FROM
             (SELECT revision, at_ms FROM feed ORDER BY revision, n LIMIT ?1) WHERE at_ms < ?2",
        )?
        .query_row([age::AT_A_TIME as i64, before.cast_signed()], |record| record.get(0))?;
    if let Some(up_to) = up_to {
        connection.prepare_cached("DELETE FROM feed WHERE revision <= ?1")?.execute([up_to])?;
        connection.prepare_cached("UPDATE head SET truncated = ?1")?.execute([up_to])?;
    }
    oldest(connection)
}

/// The time of the oldest entry that has one; 0 if there is none.
fn oldest(connection: &Connection) -> Result<u64> {
    let mut oldest = connection.prepare_cached(
        "SELECT coalesce((SELECT at_ms FROM feed WHERE at_ms > 0 ORDER BY revision, n LIMIT 1), 0)",
    )?;
    oldest.query_row((), |record| record.get(0).map(i64::cast_unsigned))
}

fn table(number: u8) -> Result<Table> {
    let found = Table::ALL.into_iter().find(|table| *table as u8 == number);
    found.ok_or(rusqlite::Error::IntegralValueOutOfRange(1, number.into()))
}
