//! What the writer says to the database. Nothing is prepared: each statement is sent whole, with the types of its parameters.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error};

use super::group::Judged;
use crate::postings::Posting;

/// A parameter of a statement, with its type: nothing is asked about types.
pub(super) type Param<'a> = (&'a (dyn ToSql + Sync), Type);

/// Sends all that a group writes and its commit, without waiting in between, and hears of each. Where one failed, the commit has rolled
/// everything back.
pub(super) async fn write(
    client: &Client,
    judged: &Judged<'_>,
    last_audit: u64,
    (node, group): (&str, i64),
    index: &[(&[u8], Posting)],
) -> Result<(), Error> {
    let Judged { head, inserted, updated, deleted, entries, feed, .. } = judged;
    let numbers: Vec<i64> = (1..=entries.len() as u64).map(|n| (last_audit + n).cast_signed()).collect();
    let keys: Vec<&[u8]> = index.iter().map(|(key, _)| *key).collect();
    let places: Vec<i64> = index.iter().map(|(_, posting)| posting.n.cast_signed()).collect();
    let firsts: Vec<i64> = index.iter().map(|(_, posting)| posting.first.cast_signed()).collect();
    let more: Vec<&[u8]> = index.iter().map(|(_, posting)| &posting.more[..]).collect();
    let (revision, last_audit) = (head.revision.cast_signed(), head.last_audit.cast_signed());
    let statements: [(&str, bool, Vec<Param<'_>>); 8] = [
        (DELETE, deleted.0.is_empty(), vec![small(&deleted.0), bytes(&deleted.1)]),
        (UPDATE, updated.keys.is_empty(), {
            let rows = updated;
            vec![small(&rows.tables), bytes(&rows.keys), big(&rows.versions), bytes(&rows.values)]
        }),
        (INSERT, inserted.keys.is_empty(), {
            let rows = inserted;
            vec![small(&rows.tables), bytes(&rows.keys), big(&rows.versions), bytes(&rows.values)]
        }),
        (AUDIT, entries.is_empty(), vec![big(&numbers), bytes(entries)]),
        (FEED, feed.keys.is_empty(), {
            let places: Param<'_> = (&feed.places, Type::INT4_ARRAY);
            vec![big(&feed.revisions), places, small(&feed.tables), bytes(&feed.keys), big(&feed.times)]
        }),
        (INDEX, index.is_empty(), vec![bytes(&keys), big(&places), big(&firsts), bytes(&more)]),
        (HEAD, false, vec![(&revision, Type::INT8), (&last_audit, Type::INT8)]),
        (NODE, false, vec![(&node, Type::TEXT), (&revision, Type::INT8), (&group, Type::INT8)]),
    ];
    let sent = statements.iter().filter(|(_, is_empty, _)| !is_empty);
    let mut sent: Vec<Sent<'_>> = sent
        .map(|(sql, _, columns)| sent_of(async { client.execute_typed(sql, columns).await.map(|_| ()) }))
        .collect();
    sent.push(sent_of(client.batch_execute("COMMIT")));
    in_order(sent).await
}

fn small(column: &(impl ToSql + Sync)) -> Param<'_> {
    (column, Type::INT2_ARRAY)
}

fn big(column: &(impl ToSql + Sync)) -> Param<'_> {
    (column, Type::INT8_ARRAY)
}

fn bytes(column: &(impl ToSql + Sync)) -> Param<'_> {
    (column, Type::BYTEA_ARRAY)
}

/// What was sent, until it is answered.
type Sent<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;

fn sent_of<'a>(sent: impl Future<Output = Result<(), Error>> + Send + 'a) -> Sent<'a> {
    Box::pin(sent)
}

/// Polls all in their order, so that they are sent in it, and gives the first error once all have ended.
async fn in_order(sent: Vec<Sent<'_>>) -> Result<(), Error> {
    let mut all: Vec<_> = sent.into_iter().map(|one| (one, None)).collect();
    poll_fn(|context| {
        let mut is_done = true;
        for (one, outcome) in all.iter_mut().filter(|(_, outcome)| outcome.is_none()) {
            match one.as_mut().poll(context) {
                Poll::Ready(ended) => *outcome = Some(ended),
                Poll::Pending => is_done = false,
            }
        }
        if is_done { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    all.into_iter().filter_map(|(_, outcome)| outcome).collect()
}

/// A transaction whose process is gone gives its lock back, whatever the network does.
pub(super) const BEGIN: &str =
    "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL idle_in_transaction_session_timeout = '5s'";

/// One group at a time, of whichever node. What the statements after it read stays so.
pub(super) const LOCK: &str = "SELECT FROM wardein.head FOR UPDATE";

/// The last group of a node that came to be, and how many nodes there are.
pub(super) const OWN: &str = "SELECT last_group, (SELECT count(*) FROM wardein.nodes) FROM wardein.nodes
                              WHERE id = $1::text::uuid FOR UPDATE";

pub(super) const VERSIONS: &str =
    "SELECT k.at, r.version FROM unnest($1::int2[], $2::bytea[]) WITH ORDINALITY AS k (tbl, key, at)
                        JOIN wardein.rows r ON r.tbl = k.tbl AND r.key = k.key";

/// The last row of each key of the index.
pub(super) const ENDS: &str = "SELECT k.key, p.n, p.first, p.more FROM unnest($1::bytea[]) AS k (key) CROSS JOIN LATERAL (
                        SELECT n, first, more FROM wardein.audit_index i WHERE i.key = k.key ORDER BY n DESC LIMIT 1) p";

const DELETE: &str = "DELETE FROM wardein.rows r USING unnest($1::int2[], $2::bytea[]) AS k (tbl, key)
                      WHERE r.tbl = k.tbl AND r.key = k.key";

const UPDATE: &str = "UPDATE wardein.rows r SET version = k.version, value = k.value
                      FROM unnest($1::int2[], $2::bytea[], $3::int8[], $4::bytea[]) AS k (tbl, key, version, value)
                      WHERE r.tbl = k.tbl AND r.key = k.key";

const INSERT: &str = "INSERT INTO wardein.rows (tbl, key, version, value)
                      SELECT * FROM unnest($1::int2[], $2::bytea[], $3::int8[], $4::bytea[])";

const AUDIT: &str = "INSERT INTO wardein.audit (seq, entry) SELECT * FROM unnest($1::int8[], $2::bytea[])";

const FEED: &str = "INSERT INTO wardein.feed (revision, n, tbl, key, at_ms)
                    SELECT * FROM unnest($1::int8[], $2::int4[], $3::int2[], $4::bytea[], $5::int8[])";

const INDEX: &str = "INSERT INTO wardein.audit_index (key, n, first, more)
                     SELECT * FROM unnest($1::bytea[], $2::int8[], $3::int8[], $4::bytea[])";

const HEAD: &str = "UPDATE wardein.head SET revision = $1, last_audit = $2";

const NODE: &str = "UPDATE wardein.nodes SET seen = clock_timestamp(), revision = $2, last_group = $3
                    WHERE id = $1::text::uuid";

/// Some of the entries from before that time, or without one. Times rise with revisions: what goes is a prefix of the feed.
pub(super) const TRUNCATE: &str = "WITH old AS (SELECT max(revision) AS up_to FROM
                            (SELECT revision, at_ms FROM wardein.feed ORDER BY revision, n LIMIT $1) first
                            WHERE at_ms < $2 AND EXISTS (SELECT FROM wardein.nodes WHERE id = $3::text::uuid)),
                        gone AS (DELETE FROM wardein.feed USING old WHERE revision <= up_to)
                        UPDATE wardein.head SET truncated = up_to FROM old WHERE up_to > truncated";

pub(super) const OLDEST: &str =
    "SELECT coalesce((SELECT at_ms FROM wardein.feed WHERE at_ms > 0 ORDER BY revision, n LIMIT 1), 0)";
