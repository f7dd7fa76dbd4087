//! The spool: sealed batches that wait for their delivery, and how far the agent has come.
//!
//! What: a directory of bounded size with the sealed files under their names, `quarantine` for those that a receiver refused for good, and
//! `state.json`. How a record gets in exactly once: before batches are sealed, the state says that they will be, and where the sources
//! are behind them (the *intent*). They are sealed together, all or none, and then the intent is what holds. After a crash between the two,
//! the sealed files tell: where they are there, the intent holds; otherwise the sources are read again from before. What it does not do: it
//! neither seals nor delivers, and has nothing in the clear but names, numbers and positions.

mod ballast;
mod error;
mod name;
mod quarantine;
mod state;

pub use error::SpoolError;
pub use name::{BatchName, BatchNameError};
pub use state::{GapCount, MAX_TOGETHER, Progress};

use crate::deliver::{Content, Parcel};
use crate::name::AudienceName;
use state::State;
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A spool that this process alone works in.
pub struct Spool {
    directory: PathBuf,
    _lock: File,
    max_bytes: u64,
    state: State,
    /// The batches that wait, by audience and number, with the bytes of their files.
    waiting: BTreeMap<AudienceName, BTreeMap<u64, u64>>,
    quarantined_bytes: u64,
}

/// What the spool holds, for people to see.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// How far the agent has come.
    pub done: Progress,
    /// The batches that wait, by audience and number, with the bytes of their files.
    pub waiting: BTreeMap<AudienceName, BTreeMap<u64, u64>>,
    /// How many batches a receiver refused for good.
    pub quarantined: BTreeMap<AudienceName, u64>,
    /// The bytes of those that are still there.
    pub quarantined_bytes: u64,
    /// When the oldest batch that waits was sealed, by the file's time, in Unix seconds.
    pub oldest: Option<u64>,
}

impl Spool {
    /// Opens the spool in `directory`, made where it is missing, for at most `max_bytes`. Nothing waits in it until [`Spool::settle`].
    pub fn open(directory: &Path, max_bytes: u64) -> Result<Self, SpoolError> {
        for made in [directory, &directory.join(QUARANTINE)] {
            match DirBuilder::new().mode(0o700).create(made) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    return Err(SpoolError::file("make", made)(error));
                }
                _ => {}
            }
        }
        let lock = lock(directory)?;
        let state = read_state(directory)?;
        Ok(Self {
            directory: directory.to_owned(),
            _lock: lock,
            max_bytes,
            state,
            waiting: BTreeMap::new(),
            quarantined_bytes: 0,
        })
    }

    /// What the spool in `directory` holds; for reading no lock is needed, for every file is replaced whole.
    pub fn look(directory: &Path) -> Result<Held, SpoolError> {
        let State { done, quarantined, .. } = read_state(directory)?;
        let mut waiting = list(directory)?;
        forget_unfinished(&mut waiting, &done);
        let times = waiting.iter().flat_map(|(audience, numbers)| {
            numbers.keys().map(|number| BatchName { audience: audience.clone(), number: *number })
        });
        let sealed_at = |name: BatchName| {
            let sealed = fs::metadata(directory.join(name.sealed())).ok()?.modified().ok()?;
            Some(sealed.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs())
        };
        let oldest = times.filter_map(sealed_at).min();
        Ok(Held { done, waiting, quarantined, quarantined_bytes: quarantine::bytes(directory)?, oldest })
    }

    /// How far the agent has come.
    pub fn done(&self) -> &Progress {
        &self.state.done
    }

    /// Decides what became of an intent, once what a power cut left of the sealing was finished. Whether batches were sealed by it.
    pub fn settle(&mut self) -> Result<bool, SpoolError> {
        let listed = list(&self.directory)?;
        let is_there = |name: &BatchName| {
            listed.get(&name.audience).is_some_and(|numbers| numbers.contains_key(&name.number))
        };
        let mut state = self.state.clone();
        let mut is_sealed = false;
        if let Some(intent) = state.intent.take() {
            let batches = self.intended(&intent)?;
            is_sealed = batches.iter().any(is_there);
            if is_sealed {
                state.done = intent;
            }
        }
        // Their numbers are taken, though the state does not know: it is an older one, or was removed.
        for (audience, numbers) in &listed {
            let last = numbers.keys().next_back().copied().unwrap_or_default();
            if last > state.done.last(audience) {
                tracing::warn!(%audience, batch = last, "the spool's state is older than its batches: lines may leave twice");
                state.done.sealed.insert(audience.clone(), last);
            }
        }
        self.save_with_ballast(state)?;
        self.waiting = listed;
        quarantine::tidy(&self.directory)?;
        self.quarantined_bytes = quarantine::bytes(&self.directory)?;
        Ok(is_sealed)
    }

    /// That batches are about to be sealed, after which `progress` will hold. Returns which, with the paths of their sealed files.
    pub fn intend(&mut self, progress: Progress) -> Result<Vec<(BatchName, PathBuf)>, SpoolError> {
        let batches = self.intended(&progress)?;
        self.save(State { intent: Some(progress), ..self.state.clone() })?;
        let with_path = |name: BatchName| {
            let path = self.directory.join(name.sealed());
            (name, path)
        };
        Ok(batches.into_iter().map(with_path).collect())
    }

    /// That `progress` holds, for which no batch had to be sealed.
    pub fn advance(&mut self, progress: Progress) -> Result<(), SpoolError> {
        self.save(State { done: progress, intent: None, ..self.state.clone() })
    }

    /// The bytes of all batches, those in quarantine included.
    pub fn used(&self) -> u64 {
        let waiting: u64 = self.waiting.values().flat_map(BTreeMap::values).sum();
        waiting.saturating_add(self.quarantined_bytes)
    }

    /// Whether there is room for `bytes` more, and for the state behind them.
    pub fn has_room(&self, bytes: u64) -> bool {
        self.used().saturating_add(bytes) <= self.max_bytes && ballast::keep(&self.directory)
    }

    /// The batch of `audience` that is to be delivered next.
    pub fn next(&self, audience: &AudienceName) -> Option<BatchName> {
        let (number, _) = self.waiting.get(audience)?.first_key_value()?;
        Some(BatchName { audience: audience.clone(), number: *number })
    }

    /// Both files of a batch; `None` where one of them is missing.
    pub fn read(&self, name: &BatchName) -> Result<Option<Parcel>, SpoolError> {
        let sealed = content(&self.directory.join(name.sealed()), MAX_SEALED)?;
        let statement = content(&self.directory.join(name.statement()), MAX_STATEMENT)?;
        Ok(sealed.zip(statement).map(|(sealed, statement)| Parcel { name: name.clone(), sealed, statement }))
    }

    /// Removes a batch that was delivered. After a crash it may be there again, and is delivered again.
    pub fn delivered(&mut self, name: &BatchName) -> Result<(), SpoolError> {
        for file in [name.sealed(), name.statement()] {
            remove(&self.directory.join(file))?;
        }
        self.forget(name);
        Ok(())
    }

    /// Sets a batch aside that its receiver refused for good, with the reason beside it.
    pub fn quarantine(&mut self, name: &BatchName, why: &str) -> Result<(), SpoolError> {
        quarantine::set_aside(&self.directory, name, why)?;
        self.quarantined_bytes = quarantine::bytes(&self.directory)?;
        self.forget(name);
        let mut state = self.state.clone();
        *state.quarantined.entry(name.audience.clone()).or_default() += 1;
        self.save_with_ballast(state)
    }

    fn forget(&mut self, name: &BatchName) {
        if let Some(numbers) = self.waiting.get_mut(&name.audience) {
            numbers.remove(&name.number);
        }
    }

    fn intended(&self, intent: &Progress) -> Result<Vec<BatchName>, SpoolError> {
        let wrong =
            || SpoolError::damaged(&self.directory.join(STATE), "its intent does not follow what is done");
        intent.batches_since(&self.state.done).ok_or_else(wrong)
    }

    /// Saves what must be known before batches can be delivered: also on a full disk.
    fn save_with_ballast(&mut self, state: State) -> Result<(), SpoolError> {
        match self.save(state.clone()) {
            Err(SpoolError::File { source, .. })
                if source.kind() == ErrorKind::StorageFull && ballast::release(&self.directory) =>
            {
                self.save(state)
            }
            saved => saved,
        }
    }

    fn save(&mut self, state: State) -> Result<(), SpoolError> {
        if state == self.state {
            return Ok(());
        }
        let path = self.directory.join(STATE);
        let text = serde_json::to_vec(&state).map_err(|error| SpoolError::damaged(&path, error))?;
        wardein_durable::replace(&path, &text, 0o600).map_err(SpoolError::file("write", &path))?;
        self.state = state;
        Ok(())
    }
}

/// Batches that a sealing under way has made are none yet.
fn forget_unfinished(waiting: &mut BTreeMap<AudienceName, BTreeMap<u64, u64>>, done: &Progress) {
    for (audience, numbers) in waiting {
        let last = done.last(audience);
        numbers.retain(|number, _| *number <= last);
    }
}

fn lock(directory: &Path) -> Result<File, SpoolError> {
    let path = directory.join(LOCK);
    let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let lock = lock.map_err(SpoolError::file("open", &path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(SpoolError::Locked(directory.to_owned())),
        Err(TryLockError::Error(error)) => Err(SpoolError::file("lock", &path)(error)),
    }
}

fn read_state(directory: &Path) -> Result<State, SpoolError> {
    let path = directory.join(STATE);
    match read(&path, MAX_STATE)? {
        None => Ok(State::default()),
        Some(bytes) => serde_json::from_slice(&bytes).map_err(|error| SpoolError::damaged(&path, error)),
    }
}

/// The sealed batches in `directory`, with the bytes of both their files. Others are nobody's.
fn list(directory: &Path) -> Result<BTreeMap<AudienceName, BTreeMap<u64, u64>>, SpoolError> {
    let failed = || SpoolError::file("read", directory);
    let mut listed = BTreeMap::<_, BTreeMap<_, _>>::new();
    for entry in fs::read_dir(directory).map_err(failed())? {
        let entry = entry.map_err(failed())?;
        let Some(name) = entry.file_name().to_str().and_then(|name| name.parse::<BatchName>().ok()) else {
            continue;
        };
        let statement = fs::symlink_metadata(directory.join(name.statement()));
        let facts = match entry.metadata() {
            // It was delivered meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            facts => facts.map_err(SpoolError::file("look at", &entry.path()))?,
        };
        if facts.is_file() {
            let bytes = facts.len() + statement.map_or(0, |facts| facts.len());
            listed.entry(name.audience).or_default().insert(name.number, bytes);
        }
    }
    Ok(listed)
}

/// A file that is there.
fn open(path: &Path) -> Result<Option<File>, SpoolError> {
    match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        file => file.map(Some).map_err(SpoolError::file("open", path)),
    }
}

/// A file of at most `max` bytes, to be delivered; `None` where there is none.
fn content(path: &Path, max: u64) -> Result<Option<Content>, SpoolError> {
    let Some(file) = open(path)? else { return Ok(None) };
    let content = Content::of(file, max).map_err(SpoolError::file("read", path))?;
    content.map(Some).ok_or_else(|| too_long(path, max))
}

/// A file of at most `max` bytes; `None` where there is none.
fn read(path: &Path, max: u64) -> Result<Option<Vec<u8>>, SpoolError> {
    let Some(file) = open(path)? else { return Ok(None) };
    let mut bytes = Vec::new();
    file.take(max + 1).read_to_end(&mut bytes).map_err(SpoolError::file("read", path))?;
    if bytes.len() as u64 > max {
        return Err(too_long(path, max));
    }
    Ok(Some(bytes))
}

fn too_long(path: &Path, max: u64) -> SpoolError {
    SpoolError::damaged(path, format_args!("it has more than {max} bytes"))
}

fn remove(path: &Path) -> Result<(), SpoolError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(SpoolError::file("remove", path)(error)),
        _ => Ok(()),
    }
}

const STATE: &str = "state.json";
const LOCK: &str = "lock";
const QUARANTINE: &str = "quarantine";
const MAX_STATE: u64 = 4 << 20;

/// A batch that does not compress, and what sealing adds.
const MAX_SEALED: u64 = 5 << 20;

/// More than a device's statement has with all its certificates.
const MAX_STATEMENT: u64 = 128 << 10;
