//! A SQLite file that is moved into another store, or that another one is moved into.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior, params};
use wardein_port::StoreError;

use super::schema::{self, Found};
use super::{SqliteStore, read};
use crate::moving::{
    Extent, Filling, Item, Mark, Origin, PAGE, Part, State, Target, Whole, audit_number, feed_name,
    feed_place, index_place,
};
use crate::open::OpenError;
use crate::place::{self, Lock};
use crate::range::Range;

impl Whole for SqliteStore {
    fn extent(&self) -> Result<Extent, StoreError> {
        self.readers.read(extent)
    }

    fn page(&self, part: Part, after: Option<&[u8]>) -> Result<Vec<Item>, StoreError> {
        let place = Place::of(part, after)?;
        self.readers.read(|connection| page(connection, &place))
    }

    fn rows(&self) -> Result<u64, StoreError> {
        self.readers.read(rows)
    }
}

impl Origin for SqliteStore {
    fn leave(&self, _: Extent, mark: &Mark) -> Result<(), StoreError> {
        // The lock on the file is this store's, whose own writer has nothing to do.
        let marked = schema::writer(&self.path, 1 << 20).and_then(|mut connection| {
            let all = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            schema::put_mark(&all, mark)?;
            all.commit()
        });
        marked.map_err(told)
    }
}

/// A file that is being filled.
pub(crate) struct SqliteTarget {
    connection: Connection,
    _lock: Lock,
}

impl SqliteTarget {
    /// What is there, with nothing altered.
    pub(crate) fn look(path: &Path) -> Result<State, OpenError> {
        if !path.exists() {
            return Ok(State::Nothing);
        }
        Ok(match schema::inspect(path)? {
            Found::Nothing => State::Nothing,
            Found::Store | Found::Former(_) => State::Store,
            Found::Marked(mark) => State::Marked(mark),
        })
    }

    /// Opens the one at `path`; where nothing is, makes it, if it is to begin.
    pub(crate) fn open(path: &Path, begin: Option<&Filling>) -> Result<(Self, Mark), OpenError> {
        let lock = Lock::acquire(path)?;
        let mark = match (Self::look(path)?, begin) {
            (State::Marked(mark), _) => mark,
            (State::Nothing, Some(begin)) => {
                let mark = Mark::Filling(begin.clone());
                schema::touch(path)?;
                schema::create(path, Some(&mark))?;
                mark
            }
            (State::Nothing, None) => return Err(OpenError::failed(path, "there is no store")),
            (State::Store, _) => return Err(OpenError::NotEmpty(path.to_owned())),
        };
        place::sync_parent(path)?;
        let connection = schema::writer(path, CACHE).map_err(|error| OpenError::failed(path, error))?;
        Ok((Self { connection, _lock: lock }, mark))
    }

    fn transact(&mut self, act: impl FnOnce(&Connection) -> rusqlite::Result<()>) -> Result<(), StoreError> {
        let transact = || {
            let all = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            act(&all)?;
            all.commit()
        };
        transact().map_err(told)
    }
}

impl Whole for SqliteTarget {
    fn extent(&self) -> Result<Extent, StoreError> {
        extent(&self.connection).map_err(told)
    }

    fn page(&self, part: Part, after: Option<&[u8]>) -> Result<Vec<Item>, StoreError> {
        page(&self.connection, &Place::of(part, after)?).map_err(told)
    }

    fn rows(&self) -> Result<u64, StoreError> {
        rows(&self.connection).map_err(told)
    }
}

impl Target for SqliteTarget {
    fn put(&mut self, part: Part, items: &[Item], mark: &Mark) -> Result<(), StoreError> {
        // Read before anything is written: a damaged one leaves nothing.
        let places = items
            .iter()
            .map(|item| {
                let place = Place::of(part, Some(&item.key))?;
                let name = if part == Part::Feed { feed_name(&item.value)? } else { (0, &[][..]) };
                Ok((item, place, name))
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
        self.transact(|all| {
            let mut insert = all.prepare_cached(insert_into(part))?;
            for (Item { key, number, value }, place, (table, name)) in &places {
                let number = number.cast_signed();
                match place {
                    Place::Rows(of, _) => insert.execute(params![*of as u8, key, number, value])?,
                    Place::Audit(seq) => insert.execute(params![seq.cast_signed(), value])?,
                    Place::Index(key, n) => insert.execute(params![key, n.cast_signed(), number, value])?,
                    Place::Feed(revision, n) => {
                        insert.execute(params![revision.cast_signed(), n, table, name, number])?
                    }
                };
            }
            schema::put_mark(all, mark)
        })
    }

    fn fill(&mut self, extent: Extent, mark: &Mark) -> Result<(), StoreError> {
        self.transact(|all| {
            let (revision, truncated) = (extent.head.revision.cast_signed(), extent.truncated.cast_signed());
            all.execute("UPDATE head SET revision = ?1, truncated = ?2", [revision, truncated])?;
            schema::put_mark(all, mark)
        })
    }

    fn open(&mut self) -> Result<(), StoreError> {
        self.transact(schema::unmark)
    }
}

/// A place in a part: before its first entry, or that of an entry.
enum Place<'k> {
    Rows(wardein_port::Table, Option<&'k [u8]>),
    Audit(u64),
    Index(&'k [u8], u64),
    Feed(u64, u32),
}

impl<'k> Place<'k> {
    fn of(part: Part, key: Option<&'k [u8]>) -> Result<Self, StoreError> {
        Ok(match part {
            Part::Rows(table) => Self::Rows(table, key),
            Part::Audit => Self::Audit(audit_number(key)?),
            Part::Index => index_place(key).map(|(key, n)| Self::Index(key, n))?,
            Part::Feed => feed_place(key).map(|(revision, n)| Self::Feed(revision, n))?,
        })
    }
}

/// The entries behind a place. Numbers of audit entries, revisions and places in the index start at 1.
fn page(connection: &Connection, after: &Place<'_>) -> rusqlite::Result<Vec<Item>> {
    let number = |record: &rusqlite::Row<'_>, at| record.get(at).map(i64::cast_unsigned);
    match after {
        Place::Rows(table, key) => {
            let rows = read::scan(connection, *table, &Range::new(b"", *key), PAGE)?.into_iter();
            Ok(rows.map(|(key, row)| Item { key, number: row.version, value: row.value }).collect())
        }
        Place::Audit(seq) => {
            let entries = read::audit(connection, seq.saturating_add(1), PAGE)?;
            Ok(entries.into_iter().map(Item::of_audit).collect())
        }
        Place::Index(key, n) => connection
            .prepare_cached(
                "SELECT key, n, first, more FROM audit_index WHERE (key, n) > (?1, ?2) ORDER BY key, n LIMIT ?3",
            )?
            .query_map(params![key, n.cast_signed(), PAGE as i64], |record| {
                let key: Vec<u8> = record.get(0)?;
                Ok(Item::of_index(&key, number(record, 1)?, number(record, 2)?, record.get(3)?))
            })?
            .collect(),
        Place::Feed(revision, n) => connection
            .prepare_cached(
                "SELECT revision, n, tbl, key, at_ms FROM feed WHERE (revision, n) > (?1, ?2) ORDER BY revision, n LIMIT ?3",
            )?
            .query_map(params![revision.cast_signed(), n, PAGE as i64], |record| {
                let key: Vec<u8> = record.get(3)?;
                let name = (record.get(2)?, &key[..]);
                Ok(Item::of_feed(number(record, 0)?, record.get(1)?, name, number(record, 4)?))
            })?
            .collect(),
    }
}

const fn insert_into(part: Part) -> &'static str {
    match part {
        Part::Rows(_) => "INSERT INTO rows (tbl, key, version, value) VALUES (?1, ?2, ?3, ?4)",
        Part::Audit => "INSERT INTO audit (seq, entry) VALUES (?1, ?2)",
        Part::Index => "INSERT INTO audit_index (key, n, first, more) VALUES (?1, ?2, ?3, ?4)",
        Part::Feed => "INSERT INTO feed (revision, n, tbl, key, at_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
    }
}

fn extent(connection: &Connection) -> rusqlite::Result<Extent> {
    let truncated = connection.query_row("SELECT truncated FROM head", (), |record| record.get(0));
    Ok(Extent { head: read::head(connection)?, truncated: truncated.map(i64::cast_unsigned)? })
}

fn rows(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT count(*) FROM rows", (), |record| record.get(0)).map(i64::cast_unsigned)
}

fn told(error: rusqlite::Error) -> StoreError {
    StoreError(error.to_string())
}

/// Bytes of cached pages: keys come in order, and the index of them is what is read.
const CACHE: u64 = 64 << 20;
