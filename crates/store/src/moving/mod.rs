//! All that a store holds, moved into another one while nobody serves it.
//!
//! What: rows with their versions, the audit log with its index, the feed, and how far they are, entry by entry and with nothing of them
//! understood. So what others keep of revisions and audit numbers goes on to hold. Why marks: at no moment, whatever dies, do two stores
//! open that are one authority. The new one opens only after the former one has been marked as moved, which never opens again.

mod mark;
mod part;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use wardein_crypto::{Digest, Sha256};
use wardein_port::{Store, StoreError, Table};

use crate::open::{Kind, OpenError, Options};
use crate::postgres::{Address, PostgresStore, PostgresTarget, Sharing};
use crate::sled::{SledStore, SledTarget};
use crate::sqlite::{SqliteStore, SqliteTarget};

pub(crate) use mark::{Filling, MARKED, Mark};
pub(crate) use part::{Extent, Item, PAGE, audit_number, feed_name, feed_place, index_place};
pub use part::{Part, Tally};

/// Where a store is.
#[derive(Debug, Clone)]
pub enum Place {
    /// An embedded one, at a path.
    Embedded(Kind, PathBuf),
    /// One in a database.
    Postgresql {
        /// The database.
        address: Box<Address>,
        /// How this process is shown to others.
        name: String,
    },
}

impl Place {
    /// For people.
    pub fn shown(&self) -> String {
        self.path().display().to_string()
    }

    fn path(&self) -> &std::path::Path {
        match self {
            Self::Embedded(_, path) => path,
            Self::Postgresql { address, .. } => address.shown(),
        }
    }
}

/// What is there.
pub(crate) enum State {
    Nothing,
    Store,
    Marked(Mark),
}

/// What is read of a store as a whole.
pub(crate) trait Whole {
    fn extent(&self) -> Result<Extent, StoreError>;

    /// At most [`PAGE`] entries of a part, behind the one with the key `after`, in an order that is the store's own.
    fn page(&self, part: Part, after: Option<&[u8]>) -> Result<Vec<Item>, StoreError>;

    /// How many rows there are, in whichever table.
    fn rows(&self) -> Result<u64, StoreError>;
}

/// A store that is open for nobody else, and is moved.
pub(crate) trait Origin: Store + Whole {
    /// Marks it as moved, durably, where it is still `extent` far. It does not open again.
    fn leave(&self, extent: Extent, mark: &Mark) -> Result<(), StoreError>;
}

/// A store that is being filled. Each call is one transaction, durable when it returns.
pub(crate) trait Target: Whole {
    fn put(&mut self, part: Part, items: &[Item], mark: &Mark) -> Result<(), StoreError>;

    /// Sets how far it is.
    fn fill(&mut self, extent: Extent, mark: &Mark) -> Result<(), StoreError>;

    /// It is a store like any other from now on.
    fn open(&mut self) -> Result<(), StoreError>;
}

/// The store that is to be moved, open for nobody else.
pub struct Source {
    store: Box<dyn Origin>,
    place: Place,
}

/// A move that has begun, or was begun before.
pub struct Move {
    from: Source,
    to: Box<dyn Target>,
    place: Place,
    filling: Filling,
}

impl Source {
    /// Opens it. While a service has it open, it is [`OpenError::Locked`]; one that was moved is [`OpenError::Moved`].
    pub fn open(place: Place) -> Result<Self, OpenError> {
        let store: Box<dyn Origin> = match &place {
            Place::Embedded(kind, path) => {
                // Opening makes one where there is none.
                if !path.exists() {
                    return Err(OpenError::failed(path, "there is no store"));
                }
                let options = Options::default();
                match kind {
                    Kind::Sqlite => Box::new(SqliteStore::open_with(path, &options)?),
                    Kind::Sled => Box::new(SledStore::open_with(path, &options)?),
                }
            }
            Place::Postgresql { address, name } => {
                Box::new(PostgresStore::open(address, name, Sharing::Alone)?)
            }
        };
        Ok(Self { store, place })
    }

    /// The store itself.
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Whether it could be moved to `to`, with nothing changed anywhere: that this was begun before, or not yet.
    pub fn may_go(&self, to: &Place) -> Result<bool, OpenError> {
        match look(to)? {
            State::Nothing => Ok(false),
            State::Marked(Mark::Filling(filling)) => self.require_same(&filling, to).map(|()| true),
            State::Marked(mark) => Err(mark.refusal(to.path())),
            State::Store => Err(OpenError::NotEmpty(to.path().to_owned())),
        }
    }

    /// Reads all of it; `progress` hears of entries so far.
    pub fn tally(&self, progress: impl FnMut(u64)) -> Result<Vec<Tally>, OpenError> {
        tally(&*self.store, progress).map_err(at(&self.place))
    }

    /// Begins to move it to `to`, or goes on where that was cut short. From then on `to` does not open until this is done.
    pub fn begin(self, to: Place) -> Result<Move, OpenError> {
        let extent = self.store.extent().map_err(at(&self.place))?;
        let id = self.id(extent).map_err(at(&self.place))?;
        let begun = Filling::begin(id, self.place.shown(), extent);
        match open_target(&to, Some(&begun))? {
            (target, Mark::Filling(filling)) => {
                self.require_same(&filling, &to)?;
                Ok(Move { from: self, to: target, place: to, filling })
            }
            (_, mark) => Err(mark.refusal(to.path())),
        }
    }

    fn require_same(&self, filling: &Filling, to: &Place) -> Result<(), OpenError> {
        let extent = self.store.extent().map_err(at(&self.place))?;
        if self.id(extent).map_err(at(&self.place))? == filling.id {
            return Ok(());
        }
        Err(OpenError::OtherMove { path: to.path().to_owned(), from: filling.from.clone() })
    }

    /// Of which contents: of this authority, and this far.
    fn id(&self, extent: Extent) -> Result<Digest, StoreError> {
        let mut own = Tally::of(Part::Rows(Table::Authority));
        each(&*self.store, own.part, |item| own.add(item))?;
        let mut hash = Sha256::new();
        hash.update(&own.digest.0);
        for number in [extent.head.revision, extent.head.last_audit, extent.truncated] {
            hash.update(&number.to_be_bytes());
        }
        Ok(hash.finish())
    }
}

impl Move {
    /// Moves some entries, and gives how many; none once all are there. After an error it can be begun again, and goes on.
    pub fn step(&mut self) -> Result<Option<u64>, OpenError> {
        loop {
            let Some(part) = Part::all().find(|part| part.number() >= self.filling.part) else {
                return Ok(None);
            };
            let page = self.from.store.page(part, self.filling.after.as_deref());
            let items = page.map_err(at(&self.from.place))?;
            let next = match items.last() {
                Some(last) => {
                    Filling { part: part.number(), after: Some(last.key.clone()), ..self.filling.clone() }
                }
                None => Filling { part: part.number() + 1, after: None, ..self.filling.clone() },
            };
            if !items.is_empty() {
                let put = self.to.put(part, &items, &Mark::Filling(next.clone()));
                put.map_err(at(&self.place))?;
            }
            self.filling = next;
            if !items.is_empty() {
                return Ok(Some(items.len() as u64));
            }
        }
    }

    /// Reads all on both sides and compares it, part by part; `progress` hears of entries so far.
    pub fn verify(&mut self, mut progress: impl FnMut(u64)) -> Result<Vec<Tally>, OpenError> {
        let mut before = 0;
        let there = self.from.tally(|so_far| {
            before = so_far;
            progress(so_far);
        })?;
        let here = tally(&*self.to, |so_far| progress(before + so_far));
        let here = here.map_err(at(&self.place))?;
        match there.iter().zip(&here).find(|(there, here)| there != here) {
            None => Ok(here),
            Some((there, here)) => Err(OpenError::Damaged {
                path: self.place.path().to_owned(),
                what: format!(
                    "{} has {} entries with digest {:?}, and {} with {:?} were to be there",
                    here.part.name(),
                    here.entries,
                    here.digest,
                    there.entries,
                    there.digest
                ),
            }),
        }
    }

    /// Closes the former store for good, and opens the new one. All must be there, and verified. What is cut short here is finished by
    /// [`complete`], or by beginning again.
    pub fn finish(mut self) -> Result<(), OpenError> {
        self.fill()?;
        self.leave()?;
        self.to.open().map_err(at(&self.place))
    }

    fn fill(&mut self) -> Result<(), OpenError> {
        self.filling.is_whole = true;
        let mark = Mark::Filling(self.filling.clone());
        self.to.fill(self.filling.extent, &mark).map_err(at(&self.place))
    }

    fn leave(&self) -> Result<(), OpenError> {
        let moved = Mark::Moved { id: self.filling.id, to: self.place.shown() };
        self.from.store.leave(self.filling.extent, &moved).map_err(at(&self.from.place))
    }
}

fn at(place: &Place) -> impl Fn(StoreError) -> OpenError + use<> {
    let path = place.path().to_owned();
    move |error| OpenError::failed(&path, error.0)
}

/// Opens the store at `to`, into which all of the one at `from` went, which has been marked as moved already. Where it went elsewhere, or is
/// open, it is [`OpenError::Moved`].
pub fn complete(from: &Place, to: &Place) -> Result<(), OpenError> {
    let State::Marked(mark) = look(from)? else {
        return Err(OpenError::failed(from.path(), "it has not been moved"));
    };
    let (Mark::Moved { id: moved, .. }, State::Marked(Mark::Filling(filling))) = (&mark, look(to)?) else {
        return Err(mark.refusal(from.path()));
    };
    if filling.id != *moved || !filling.is_whole {
        return Err(mark.refusal(from.path()));
    }
    let (mut target, _) = open_target(to, None)?;
    target.open().map_err(at(to))
}

fn look(place: &Place) -> Result<State, OpenError> {
    match place {
        Place::Embedded(Kind::Sqlite, path) => SqliteTarget::look(path),
        Place::Embedded(Kind::Sled, path) => SledTarget::look(path),
        Place::Postgresql { address, .. } => PostgresTarget::look(address),
    }
}

/// The store that is being filled at `place`; where nothing is, one that begins to be, if that is given.
fn open_target(place: &Place, begin: Option<&Filling>) -> Result<(Box<dyn Target>, Mark), OpenError> {
    Ok(match place {
        Place::Embedded(Kind::Sqlite, path) => {
            let (target, mark) = SqliteTarget::open(path, begin)?;
            (Box::new(target), mark)
        }
        Place::Embedded(Kind::Sled, path) => {
            let (target, mark) = SledTarget::open(path, begin)?;
            (Box::new(target), mark)
        }
        Place::Postgresql { address, .. } => {
            let (target, mark) = PostgresTarget::open(address, begin)?;
            (Box::new(target), mark)
        }
    })
}

fn each(whole: &dyn Whole, part: Part, mut act: impl FnMut(&Item)) -> Result<(), StoreError> {
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = whole.page(part, after.as_deref())?;
        page.iter().for_each(&mut act);
        match page.into_iter().next_back() {
            Some(last) => after = Some(last.key),
            None => return Ok(()),
        }
    }
}

fn tally(whole: &dyn Whole, mut progress: impl FnMut(u64)) -> Result<Vec<Tally>, StoreError> {
    let (mut all, mut so_far, mut rows) = (Vec::new(), 0, 0);
    for part in Part::all() {
        let mut tally = Tally::of(part);
        each(whole, part, |item| {
            tally.add(item);
            so_far += 1;
            if so_far % PAGE as u64 == 0 {
                progress(so_far);
            }
        })?;
        if let Part::Rows(_) = part {
            rows += tally.entries;
        }
        all.push(tally);
    }
    progress(so_far);
    // One that a later release left would stay behind.
    let found = whole.rows()?;
    if found != rows {
        let why = format!("{found} rows, of which {rows} are in tables that this release knows");
        return Err(StoreError(why));
    }
    Ok(all)
}
