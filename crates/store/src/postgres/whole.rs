//! A database that is moved into another store, or that another one is moved into.

use std::path::{Path, PathBuf};

use tokio::runtime::{Builder, Runtime};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error};
use wardein_port::StoreError;

use super::address::Address;
use super::read::{self, Fault, number};
use super::statements::{LOCK, Param};
use super::{PostgresStore, connect, on_thread, schema, words};
use crate::moving::{
    Extent, Filling, Item, Mark, Origin, PAGE, Part, State, Target, Whole, audit_number, feed_name,
    feed_place, index_place,
};
use crate::open::OpenError;
use crate::range::Range;

impl PostgresStore {
    /// Reads, on a thread that is in no runtime.
    fn read_now<T: Send + 'static, F>(
        &self,
        read: impl FnOnce(deadpool_postgres::Object) -> F + Send + 'static,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, Fault>> + Send,
    {
        let closed = || StoreError("the store has been closed".into());
        self.runtime.as_ref().ok_or_else(closed)?.block_on(self.read(read))
    }
}

impl Whole for PostgresStore {
    fn extent(&self) -> Result<Extent, StoreError> {
        self.read_now(|client| async move { extent(&client).await })
    }

    fn page(&self, part: Part, after: Option<&[u8]>) -> Result<Vec<Item>, StoreError> {
        let after = after.map(<[u8]>::to_vec);
        self.read_now(move |client| async move { page(&client, part, after.as_deref()).await })?
    }

    fn rows(&self) -> Result<u64, StoreError> {
        self.read_now(|client| async move { rows(&client).await })
    }
}

impl Origin for PostgresStore {
    fn leave(&self, extent: Extent, mark: &Mark) -> Result<(), StoreError> {
        let closed = || StoreError("the store has been closed".into());
        let runtime = self.runtime.as_ref().ok_or_else(closed)?;
        let (address, node) = (self.address.clone(), self.node.id.clone());
        let (revision, mark) = (extent.head.revision.cast_signed(), mark.encode());
        let left = async move {
            let mut client = address.connect().await?;
            let all = client.transaction().await?;
            all.query_typed(LOCK, &[]).await?;
            let own: [Param<'_>; 3] = [(&node, Type::TEXT), (&revision, Type::INT8), (&mark, Type::BYTEA)];
            let marked = all.execute_typed(LEAVE, &own).await?;
            all.commit().await?;
            Ok::<_, Error>(marked > 0)
        };
        match runtime.block_on(async { tokio::spawn(left).await }) {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(StoreError("another process used it in the meantime; begin again".into())),
            Ok(Err(error)) => Err(StoreError(words(&error))),
            Err(error) => Err(StoreError(error.to_string())),
        }
    }
}

/// A database that is being filled.
pub(crate) struct PostgresTarget {
    runtime: Runtime,
    client: Client,
    at: PathBuf,
}

impl PostgresTarget {
    /// What is there, with nothing altered.
    pub(crate) fn look(address: &Address) -> Result<State, OpenError> {
        let at = address.shown();
        on_thread(at, async {
            let client = connect(address).await?;
            match schema::find(&client, at).await? {
                Some(mark) => Ok(State::Marked(mark)),
                None => state(&client, at).await,
            }
        })
    }

    /// Opens the one at `address`; where the tables are empty, and used by nobody, begins to fill them, if that is to begin.
    pub(crate) fn open(address: &Address, begin: Option<&Filling>) -> Result<(Self, Mark), OpenError> {
        let at = address.shown().to_owned();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|error| OpenError::failed(&at, error))?;
        let (client, mark) = runtime.block_on(async {
            let mut client = connect(address).await?;
            let mark = match (schema::find(&client, &at).await?, begin) {
                (Some(mark), _) => mark,
                (None, None) => return Err(OpenError::failed(&at, "nothing is being moved there")),
                (None, Some(begin)) => claim(&mut client, &at, begin).await?,
            };
            Ok((client, mark))
        })?;
        Ok((Self { runtime, client, at }, mark))
    }

    fn failed(&self, error: &Error) -> StoreError {
        StoreError(format!("{}: {}", self.at.display(), words(error)))
    }

    /// A statement that writes, and the mark, as one transaction.
    fn transact(&mut self, sql: &str, params: &[Param<'_>], mark: &Mark) -> Result<(), StoreError> {
        let mark = mark.encode();
        let written = self.runtime.block_on(async {
            let all = self.client.transaction().await?;
            all.execute_typed(sql, params).await?;
            all.execute_typed("UPDATE wardein.head SET moving = $1", &[(&mark, Type::BYTEA)]).await?;
            all.commit().await
        });
        written.map_err(|error| self.failed(&error))
    }
}

impl Whole for PostgresTarget {
    fn extent(&self) -> Result<Extent, StoreError> {
        self.runtime.block_on(extent(&self.client)).map_err(StoreError::from)
    }

    fn page(&self, part: Part, after: Option<&[u8]>) -> Result<Vec<Item>, StoreError> {
        self.runtime.block_on(page(&self.client, part, after)).map_err(StoreError::from)?
    }

    fn rows(&self) -> Result<u64, StoreError> {
        self.runtime.block_on(rows(&self.client)).map_err(StoreError::from)
    }
}

impl Target for PostgresTarget {
    fn put(&mut self, part: Part, items: &[Item], mark: &Mark) -> Result<(), StoreError> {
        let numbers: Vec<i64> = items.iter().map(|item| item.number.cast_signed()).collect();
        let values: Vec<&[u8]> = items.iter().map(|item| &item.value[..]).collect();
        let (numbers, values) = ((&numbers as _, Type::INT8_ARRAY), (&values as _, Type::BYTEA_ARRAY));
        match part {
            Part::Rows(table) => {
                let keys: Vec<&[u8]> = items.iter().map(|item| &item.key[..]).collect();
                let own: [Param<'_>; 4] =
                    [(&(table as i16), Type::INT2), (&keys, Type::BYTEA_ARRAY), numbers, values];
                self.transact(ROWS, &own, mark)
            }
            Part::Audit => {
                let seqs = items.iter().map(|item| audit_number(Some(&item.key)).map(u64::cast_signed));
                let seqs = seqs.collect::<Result<Vec<i64>, _>>()?;
                self.transact(AUDIT, &[(&seqs, Type::INT8_ARRAY), values], mark)
            }
            Part::Index => {
                let places = items.iter().map(|item| index_place(Some(&item.key)));
                let places = places.collect::<Result<Vec<_>, _>>()?;
                let (keys, ns): (Vec<&[u8]>, Vec<i64>) =
                    places.into_iter().map(|(key, n)| (key, n.cast_signed())).unzip();
                let own: [Param<'_>; 4] =
                    [(&keys, Type::BYTEA_ARRAY), (&ns, Type::INT8_ARRAY), numbers, values];
                self.transact(INDEX, &own, mark)
            }
            Part::Feed => {
                let places = items.iter().map(|item| feed_place(Some(&item.key)));
                let (revisions, ns): (Vec<i64>, Vec<i32>) = places
                    .map(|place| place.map(|(revision, n)| (revision.cast_signed(), n.cast_signed())))
                    .collect::<Result<Vec<_>, _>>()?
                    .into_iter()
                    .unzip();
                let names = items.iter().map(|item| feed_name(&item.value)).collect::<Result<Vec<_>, _>>()?;
                let (tables, keys): (Vec<i16>, Vec<&[u8]>) =
                    names.into_iter().map(|(table, key)| (i16::from(table), key)).unzip();
                let own: [Param<'_>; 5] = [
                    (&revisions, Type::INT8_ARRAY),
                    (&ns, Type::INT4_ARRAY),
                    (&tables, Type::INT2_ARRAY),
                    (&keys, Type::BYTEA_ARRAY),
                    numbers,
                ];
                self.transact(FEED, &own, mark)
            }
        }
    }

    fn fill(&mut self, extent: Extent, mark: &Mark) -> Result<(), StoreError> {
        let own = [extent.head.revision, extent.head.last_audit, extent.truncated].map(u64::cast_signed);
        let own: Vec<Param<'_>> = own.iter().map(|number| (number as _, Type::INT8)).collect();
        self.transact(FILL, &own, mark)
    }

    fn open(&mut self) -> Result<(), StoreError> {
        let opened = self.runtime.block_on(self.client.execute_typed(schema::UNMARK, &[]));
        opened.map(|_| ()).map_err(|error| self.failed(&error))
    }
}

/// Marks empty tables that nobody uses, so that from then on nobody does.
async fn claim(client: &mut Client, at: &Path, begin: &Filling) -> Result<Mark, OpenError> {
    let failed = |error: Error| OpenError::failed(at, words(&error));
    let all = client.transaction().await.map_err(failed)?;
    all.query_typed(LOCK, &[]).await.map_err(failed)?;
    if let State::Store = state(all.client(), at).await? {
        return Err(OpenError::NotEmpty(at.to_owned()));
    }
    let used = all.query_typed_one(USED, &[]).await.and_then(|record| record.try_get(0)).map_err(failed)?;
    if used {
        return Err(OpenError::Locked(at.to_owned()));
    }
    let mark = Mark::Filling(begin.clone());
    all.execute_typed(schema::PUT_MARK, &[(&mark.encode(), Type::BYTEA)]).await.map_err(failed)?;
    all.commit().await.map_err(failed)?;
    Ok(mark)
}

/// Of tables without a mark.
async fn state(client: &Client, at: &Path) -> Result<State, OpenError> {
    let record = client.query_typed_one(EMPTY, &[]).await;
    let is_empty = record.and_then(|record| record.try_get(0));
    let is_empty = is_empty.map_err(|error| OpenError::failed(at, words(&error)))?;
    Ok(if is_empty { State::Nothing } else { State::Store })
}

async fn extent(client: &Client) -> Result<Extent, Fault> {
    let record = client.query_typed_one("SELECT truncated FROM wardein.head", &[]).await?;
    Ok(Extent { head: read::head(client).await?, truncated: number(&record, 0)? })
}

async fn rows(client: &Client) -> Result<u64, Fault> {
    number(&client.query_typed_one("SELECT count(*) FROM wardein.rows", &[]).await?, 0)
}

/// The entries behind a place. Numbers of audit entries, revisions and places in the index start at 1.
async fn page(
    client: &Client,
    part: Part,
    after: Option<&[u8]>,
) -> Result<Result<Vec<Item>, StoreError>, Fault> {
    let limit = PAGE as i64;
    Ok(match part {
        Part::Rows(table) => {
            let rows = read::scan(client, table, &Range::new(b"", after), PAGE).await?.into_iter();
            Ok(rows.map(|(key, row)| Item { key, number: row.version, value: row.value }).collect())
        }
        Part::Audit => match audit_number(after) {
            Ok(seq) => {
                let entries = read::audit(client, seq.saturating_add(1), PAGE).await?;
                Ok(entries.into_iter().map(Item::of_audit).collect())
            }
            Err(error) => Err(error),
        },
        Part::Index => match index_place(after) {
            Ok((key, n)) => {
                let n = n.cast_signed();
                let own: [Param<'_>; 3] = [(&key, Type::BYTEA), (&n, Type::INT8), (&limit, Type::INT8)];
                let mut items = Vec::new();
                for record in client.query_typed(INDEX_PAGE, &own).await? {
                    let (key, posting): (Vec<u8>, _) = (record.try_get(0)?, read::posting(&record, 1)?);
                    items.push(Item::of_index(&key, posting.n, posting.first, posting.more));
                }
                Ok(items)
            }
            Err(error) => Err(error),
        },
        Part::Feed => match feed_place(after) {
            Ok((revision, n)) => {
                let (revision, n) = (revision.cast_signed(), n.cast_signed());
                let own: [Param<'_>; 3] = [(&revision, Type::INT8), (&n, Type::INT4), (&limit, Type::INT8)];
                let mut items = Vec::new();
                for record in client.query_typed(FEED_PAGE, &own).await? {
                    let (n, key): (i32, Vec<u8>) = (record.try_get(1)?, record.try_get(3)?);
                    let table = read::table(record.try_get(2)?)? as u8;
                    let name = (table, &key[..]);
                    items.push(Item::of_feed(
                        number(&record, 0)?,
                        n.cast_unsigned(),
                        name,
                        number(&record, 4)?,
                    ));
                }
                Ok(items)
            }
            Err(error) => Err(error),
        },
    })
}

const EMPTY: &str = "SELECT revision = 0 AND NOT EXISTS (SELECT FROM wardein.rows)
                     AND NOT EXISTS (SELECT FROM wardein.audit) FROM wardein.head";

/// Whether a process was seen lately, which could still write.
const USED: &str =
    "SELECT EXISTS (SELECT FROM wardein.nodes WHERE seen > clock_timestamp() - interval '10 s')";

/// Where the node that had it for itself still has it.
const LEAVE: &str = "UPDATE wardein.head SET moving = $3, format = format + 1000000
                     WHERE revision = $2 AND (SELECT count(*) FROM wardein.nodes) = 1
                         AND EXISTS (SELECT FROM wardein.nodes WHERE id = $1::text::uuid)";

const FILL: &str = "UPDATE wardein.head SET revision = $1, last_audit = $2, truncated = $3";

const ROWS: &str = "INSERT INTO wardein.rows (tbl, key, version, value)
                    SELECT $1, * FROM unnest($2::bytea[], $3::int8[], $4::bytea[])";

const AUDIT: &str = "INSERT INTO wardein.audit (seq, entry) SELECT * FROM unnest($1::int8[], $2::bytea[])";

const INDEX: &str = "INSERT INTO wardein.audit_index (key, n, first, more)
                     SELECT * FROM unnest($1::bytea[], $2::int8[], $3::int8[], $4::bytea[])";

const FEED: &str = "INSERT INTO wardein.feed (revision, n, tbl, key, at_ms)
                    SELECT * FROM unnest($1::int8[], $2::int4[], $3::int2[], $4::bytea[], $5::int8[])";

const INDEX_PAGE: &str = "SELECT key, n, first, more FROM wardein.audit_index WHERE (key, n) > ($1, $2)
                          ORDER BY key, n LIMIT $3";

const FEED_PAGE: &str = "SELECT revision, n, tbl, key, at_ms FROM wardein.feed WHERE (revision, n) > ($1, $2)
                         ORDER BY revision, n LIMIT $3";
