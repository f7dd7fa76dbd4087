//! A sled store that is moved into another one, or that another one is moved into.

use std::fs::File;
use std::path::Path;

use ::sled::{Batch, Db, Tree};
use wardein_port::StoreError;

use super::flush::flush;
use super::layout::{self, Revisions, Space, told};
use super::{SledStore, create, open_database, remove_half_snapshots};
use crate::moving::{Extent, Filling, Item, Mark, Origin, PAGE, Part, State, Target, Whole};
use crate::open::{OpenError, Options};
use crate::place::{self, Lock};
use crate::range::Range;

impl Whole for SledStore {
    fn extent(&self) -> Result<Extent, StoreError> {
        self.shared.read(|_, state| Ok(Extent { head: state.head, truncated: state.truncated }))
    }

    fn page(&self, part: Part, after: Option<&[u8]>) -> Result<Vec<Item>, StoreError> {
        self.shared.read(|tree, _| page(tree, part, after))
    }

    fn rows(&self) -> Result<u64, StoreError> {
        self.shared.read(|tree, _| layout::count_rows(tree))
    }
}

impl Origin for SledStore {
    fn leave(&self, _: Extent, mark: &Mark) -> Result<(), StoreError> {
        let file = open_file(&self.path).map_err(|error| StoreError(error.to_string()))?;
        self.shared.read(|tree, _| {
            let mut batch = Batch::default();
            layout::put_mark(&mut batch, mark);
            apply(tree, &file, batch)
        })
    }
}

/// A store that is being filled.
pub(crate) struct SledTarget {
    tree: Tree,
    /// On our own handle, as in [`super::writer`].
    file: File,
    _db: Db,
    _lock: Lock,
}

impl SledTarget {
    /// What is there.
    pub(crate) fn look(path: &Path) -> Result<State, OpenError> {
        let _lock = Lock::acquire(path)?;
        Ok(match Self::opened(path)? {
            None => State::Nothing,
            Some((_, Some((_, mark)))) => State::Marked(mark),
            Some((_, None)) => State::Store,
        })
    }

    #[expect(clippy::type_complexity, reason = "a database, and its tree with its mark if it has one")]
    fn opened(path: &Path) -> Result<Option<(Db, Option<(Tree, Mark)>)>, OpenError> {
        if !create::is_there(path)? {
            return Ok(None);
        }
        remove_half_snapshots(path).map_err(|error| OpenError::failed(path, error))?;
        let db = open_database(path, &Options::default())?;
        let marked = layout::tree_with_mark(path, &db)?;
        Ok(Some((db, marked)))
    }

    /// Opens the one at `path`; where nothing is, makes it, if it is to begin.
    pub(crate) fn open(path: &Path, begin: Option<&Filling>) -> Result<(Self, Mark), OpenError> {
        let lock = Lock::acquire(path)?;
        if let Some(begin) = begin {
            create::at(path, &Options::default(), Some(&Mark::Filling(begin.clone())))?;
        }
        match Self::opened(path)? {
            Some((db, Some((tree, mark)))) => {
                let file = open_file(path).map_err(|error| OpenError::failed(path, error))?;
                place::sync_directory(path).map_err(|error| OpenError::failed(path, error))?;
                Ok((Self { tree, file, _db: db, _lock: lock }, mark))
            }
            Some((_, None)) => Err(OpenError::NotEmpty(path.to_owned())),
            None => Err(OpenError::failed(path, "there is no store")),
        }
    }
}

impl Whole for SledTarget {
    fn extent(&self) -> Result<Extent, StoreError> {
        let (head, Revisions { truncated, .. }) = layout::known(&self.tree)?;
        Ok(Extent { head, truncated })
    }

    fn page(&self, part: Part, after: Option<&[u8]>) -> Result<Vec<Item>, StoreError> {
        page(&self.tree, part, after)
    }

    fn rows(&self) -> Result<u64, StoreError> {
        layout::count_rows(&self.tree)
    }
}

impl Target for SledTarget {
    fn put(&mut self, part: Part, items: &[Item], mark: &Mark) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        for Item { key, number, value } in items {
            match part {
                Part::Rows(_) => layout::put(&mut batch, &space(part).key(key), *number, value, 0),
                // As the writer has them.
                Part::Audit => layout::put(&mut batch, &space(part).key(key), 1, value, 0),
                Part::Index | Part::Feed => {
                    batch.insert(space(part).key(key), [&number.to_be_bytes()[..], value].concat());
                }
            }
        }
        layout::put_mark(&mut batch, mark);
        apply(&self.tree, &self.file, batch)
    }

    fn fill(&mut self, extent: Extent, mark: &Mark) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        let revisions = Revisions { last: extent.head.revision, truncated: extent.truncated };
        layout::put_revisions(&mut batch, revisions);
        layout::put_mark(&mut batch, mark);
        apply(&self.tree, &self.file, batch)
    }

    fn open(&mut self) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        layout::unmark(&mut batch);
        apply(&self.tree, &self.file, batch)
    }
}

fn page(tree: &Tree, part: Part, after: Option<&[u8]>) -> Result<Vec<Item>, StoreError> {
    let (range, space) = (Range::new(b"", after), space(part));
    if let Part::Rows(_) | Part::Audit = part {
        let number = |version| if part == Part::Audit { 0 } else { version };
        let rows = layout::scan(tree, space, &range, PAGE);
        return rows
            .map(|found| found.map(|(key, row)| Item { key, number: number(row.version), value: row.value }))
            .collect();
    }
    let entries = tree.range(space.key(&range.low)..space.end()).take(PAGE);
    entries
        .map(|found| {
            let (key, value) = found.map_err(told)?;
            let damaged = || StoreError("an entry of the index or the feed is damaged".into());
            let (number, value) = value.split_first_chunk().ok_or_else(damaged)?;
            let key = key.get(1..).unwrap_or_default().to_vec();
            Ok(Item { key, number: u64::from_be_bytes(*number), value: value.to_vec() })
        })
        .collect()
}

const fn space(part: Part) -> Space {
    match part {
        Part::Rows(table) => Space::Rows(table),
        Part::Audit => Space::Audit,
        Part::Index => Space::Index,
        Part::Feed => Space::Feed,
    }
}

fn apply(tree: &Tree, file: &File, batch: Batch) -> Result<(), StoreError> {
    tree.apply_batch(batch).map_err(told)?;
    flush(tree).map_err(StoreError)?;
    file.sync_data().map_err(|error| StoreError(error.to_string()))
}

fn open_file(path: &Path) -> std::io::Result<File> {
    File::open(path.join("db"))
}
