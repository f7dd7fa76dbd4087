//! The queries of those who read. Each is one statement, and so of one moment.

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Row as Record};
use wardein_port::{Committed, Entries, Feed, FeedRow, Head, Row, RowKey, Scanned, StoreError, Table};

use super::words;
use crate::age::Age;
use crate::postings::Posting;
use crate::range::Range;

/// Why something was not read.
pub(super) enum Fault {
    Database(Error),
    Damaged(&'static str),
}

type Result<T> = std::result::Result<T, Fault>;

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        Self(match fault {
            Fault::Database(error) => words(&error),
            Fault::Damaged(what) => what.to_owned(),
        })
    }
}

/// The rows of `keys`, in their order.
pub(super) async fn load(client: &Client, keys: &[RowKey]) -> Result<Vec<Option<Row>>> {
    let tables: Vec<i16> = keys.iter().map(|name| name.table as i16).collect();
    let keys: Vec<&[u8]> = keys.iter().map(|name| &name.key[..]).collect();
    let sql =
        "SELECT r.version, r.value FROM unnest($1::int2[], $2::bytea[]) WITH ORDINALITY AS k (tbl, key, at)
               LEFT JOIN wardein.rows r ON r.tbl = k.tbl AND r.key = k.key ORDER BY k.at";
    let records = client.query_typed(sql, &[(&tables, Type::INT2_ARRAY), (&keys, Type::BYTEA_ARRAY)]).await?;
    records
        .iter()
        .map(|record| {
            let (version, value): (Option<i64>, Option<Vec<u8>>) = (record.try_get(0)?, record.try_get(1)?);
            Ok(version.zip(value).map(|(version, value)| Row { version: version.cast_unsigned(), value }))
        })
        .collect()
}

/// The rows of a range, at most `limit`.
pub(super) async fn scan(client: &Client, table: Table, range: &Range, limit: usize) -> Result<Scanned> {
    let sql = "SELECT key, version, value FROM wardein.rows
               WHERE tbl = $1 AND key >= $2 AND ($3::bytea IS NULL OR key < $3) ORDER BY key LIMIT $4";
    let (table, limit) = (table as i16, most(limit));
    let records = client
        .query_typed(
            sql,
            &[
                (&table, Type::INT2),
                (&range.low, Type::BYTEA),
                (&range.high, Type::BYTEA),
                (&limit, Type::INT8),
            ],
        )
        .await?;
    let keyed = |record: &Record| {
        Ok((record.try_get(0)?, Row { version: number(record, 1)?, value: record.try_get(2)? }))
    };
    records.iter().map(keyed).collect()
}

/// At most `limit` audit entries from number `from` on.
pub(super) async fn audit(client: &Client, from: u64, limit: usize) -> Result<Entries> {
    let Ok(from) = i64::try_from(from) else { return Ok(Vec::new()) };
    let sql = "SELECT seq, entry FROM wardein.audit WHERE seq >= $1 ORDER BY seq LIMIT $2";
    let records = client.query_typed(sql, &[(&from, Type::INT8), (&most(limit), Type::INT8)]).await?;
    records.iter().map(|record| Ok((number(record, 0)?, record.try_get(1)?))).collect()
}

/// At most `limit` of the entries of `key`, from the `from`th on.
pub(super) async fn audit_of(client: &Client, key: &[u8], from: u64, limit: usize) -> Result<Entries> {
    let from = from.max(1);
    let Ok(at) = i64::try_from(from) else { return Ok(Vec::new()) };
    // Each row has an entry at least, and the first perhaps none that is wanted.
    let rows = most(limit.saturating_add(1));
    let sql = "SELECT n, first, more FROM wardein.audit_index WHERE key = $1 AND n >= coalesce(
                   (SELECT max(n) FROM wardein.audit_index WHERE key = $1 AND n <= $2), 0) ORDER BY n LIMIT $3";
    let records =
        client.query_typed(sql, &[(&key, Type::BYTEA), (&at, Type::INT8), (&rows, Type::INT8)]).await?;
    let mut wanted = Vec::new();
    for record in &records {
        let posting = posting(record, 0)?;
        let numbers = posting.numbers().ok_or(Fault::Damaged(INDEX_DAMAGED))?;
        wanted.extend((posting.n..).zip(numbers).filter(|(n, _)| *n >= from));
    }
    wanted.truncate(limit);
    let numbers: Vec<i64> = wanted.iter().map(|(_, number)| number.cast_signed()).collect();
    let sql = "SELECT entry FROM wardein.audit WHERE seq = ANY ($1) ORDER BY seq";
    let entries = client.query_typed(sql, &[(&numbers, Type::INT8_ARRAY)]).await?;
    if entries.len() != wanted.len() {
        return Err(Fault::Damaged(crate::sqlite::INDEX_BEYOND));
    }
    wanted.iter().zip(&entries).map(|((n, _), record)| Ok((*n, record.try_get(0)?))).collect()
}

/// How far the store is.
pub(super) async fn head(client: &Client) -> Result<Head> {
    let record = client.query_typed_one("SELECT revision, last_audit FROM wardein.head", &[]).await?;
    Ok(Head { revision: number(&record, 0)?, last_audit: number(&record, 1)? })
}

/// What was committed after a revision.
pub(super) struct Followed {
    /// How far the store is.
    pub(super) head: Head,
    /// The revision up to which the feed is truncated.
    pub(super) truncated: u64,
    /// Commits to tables that authorize, with the values that their rows have now.
    pub(super) commits: Vec<Committed>,
    /// Whether that is all of them.
    pub(super) is_all: bool,
    /// The latest time of one.
    pub(super) newest: u64,
    /// How many nodes were seen in the last 10 seconds.
    pub(super) live: u64,
}

/// The commits after `after`, at most `limit`. It is one statement, and so of one moment.
pub(super) async fn follow(client: &Client, after: u64, limit: usize) -> Result<Followed> {
    // After all that will ever be there is nothing.
    let from = i64::try_from(after).unwrap_or(i64::MAX);
    followed(client.query_typed(FOLLOW, &[(&from, Type::INT8), (&most(limit), Type::INT8)]).await?, limit)
}

/// The answer to [`FOLLOW`].
pub(super) fn followed(records: Vec<Record>, limit: usize) -> Result<Followed> {
    let first = records.first().ok_or(Fault::Damaged(HEAD_GONE))?;
    let head = Head { revision: number(first, 1)?, last_audit: number(first, 2)? };
    let (truncated, live, mut newest, mut commits) =
        (number(first, 0)?, number(first, 8)?, 0, Vec::<Committed>::new());
    for record in &records {
        let Some(revision) = record.try_get::<_, Option<i64>>(3)? else { break };
        newest = newest.max(number(record, 4)?);
        let row =
            FeedRow { table: table(record.try_get(5)?)?, key: record.try_get(6)?, value: record.try_get(7)? };
        match commits.last_mut() {
            Some(last) if last.revision == revision.cast_unsigned() => last.rows.push(row),
            _ => commits.push(Committed { revision: revision.cast_unsigned(), rows: vec![row] }),
        }
    }
    Ok(Followed { head, truncated, is_all: commits.len() < limit, commits, newest, live })
}

/// The commits after `after`, at most `limit`, with the values that their rows have now.
pub(super) async fn feed(client: &Client, after: u64, limit: usize) -> Result<Feed> {
    let Followed { truncated, commits, .. } = follow(client, after, limit).await?;
    Ok(if after < truncated { Feed::Truncated { up_to: truncated } } else { Feed::Since(commits) })
}

/// The times of the feed.
pub(super) async fn age(client: &Client) -> Result<Age> {
    let sql =
        "SELECT coalesce((SELECT at_ms FROM wardein.feed WHERE at_ms > 0 ORDER BY revision, n LIMIT 1), 0),
               coalesce((SELECT at_ms FROM wardein.feed ORDER BY revision DESC, n DESC LIMIT 1), 0)";
    let record = client.query_typed_one(sql, &[]).await?;
    Ok(Age::new(number(&record, 0)?, number(&record, 1)?))
}

/// Reads everything, in one moment. The inner error names the damage.
pub(super) async fn verify(client: &Client) -> Result<std::result::Result<(), StoreError>> {
    let sql = "SELECT h.revision, h.last_audit, (SELECT count(*) FROM wardein.audit),
               (SELECT coalesce(max(seq), 0) FROM wardein.audit), (SELECT coalesce(max(first), 0) FROM wardein.audit_index),
               (SELECT coalesce(max(version), 0) FROM wardein.rows) FROM wardein.head h";
    let record = client.query_typed_one(sql, &[]).await?;
    let all: std::result::Result<Vec<u64>, Fault> = (0..6).map(|at| number(&record, at)).collect();
    let [revision, last, entries, highest, indexed, version] = all?[..] else {
        return Err(Fault::Damaged("its head has another form"));
    };
    Ok(match () {
        () if entries != last || highest != last => Err(StoreError(crate::sqlite::AUDIT_GAP.into())),
        () if indexed > last => Err(StoreError(crate::sqlite::INDEX_BEYOND.into())),
        () if version > revision => Err(StoreError(crate::sqlite::VERSION_BEYOND.into())),
        () => Ok(()),
    })
}

/// A row of the index, from that column on.
pub(super) fn posting(record: &Record, at: usize) -> Result<Posting> {
    Ok(Posting { n: number(record, at)?, first: number(record, at + 1)?, more: record.try_get(at + 2)? })
}

pub(super) fn number(record: &Record, at: usize) -> Result<u64> {
    Ok(record.try_get::<_, i64>(at)?.cast_unsigned())
}

pub(super) fn table(number: i16) -> Result<Table> {
    let found = Table::ALL.into_iter().find(|table| *table as i16 == number);
    found.ok_or(Fault::Damaged("a row is in a table that this release does not know"))
}

fn most(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Of the commits after the first parameter, at most as many as the second.
pub(super) const FOLLOW: &str = "SELECT h.truncated, h.revision, h.last_audit, f.revision, f.at_ms, f.tbl, f.key, r.value,
                   (SELECT count(*) FROM wardein.nodes WHERE seen > clock_timestamp() - interval '10 s')
               FROM wardein.head h
               LEFT JOIN wardein.feed f ON f.revision > $1 AND f.revision <= (SELECT max(revision) FROM
                   (SELECT DISTINCT revision FROM wardein.feed WHERE revision > $1 ORDER BY revision LIMIT $2) page)
               LEFT JOIN wardein.rows r ON r.tbl = f.tbl AND r.key = f.key ORDER BY f.revision, f.n";

pub(super) const HEAD_GONE: &str = "its head is gone";

pub(super) const INDEX_DAMAGED: &str = "the index of the audit log is damaged";
