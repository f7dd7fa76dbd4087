//! What must not be forgotten: each order with its visits in a file of its own, how far the service system was read, and the
//! webhooks that were taken. A file is replaced whole, and durable before what it says is done.
//!
//! This process does little at a time: files are written on the thread that serves.

mod job;

use crate::error::Error;
use crate::order::{Order, Status};
use job::Record;
pub(crate) use job::{Job, State, Wish};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use wardein_crypto::{Digest, hex};

/// The directory, which this process alone uses.
pub(crate) struct Journal {
    directory: PathBuf,
    known: Mutex<Known>,
    /// Let go when the process ends.
    _lock: File,
}

struct Known {
    orders: BTreeMap<String, Record>,
    cursor: Cursor,
    /// Ids of webhooks, and when they were signed.
    seen: BTreeMap<String, u64>,
}

/// How far the orders of Salesforce were read: the last one by time of change and id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cursor {
    /// Unix milliseconds (`SystemModstamp`).
    pub(crate) changed: u64,
    pub(crate) id: String,
}

/// One of an order's visits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JobName {
    pub(crate) order: String,
    pub(crate) turn: u32,
}

impl Journal {
    /// Opens the directory, which is made if it is not there, and reads what is in it. Orders that are done since before Unix
    /// millisecond `forget` are forgotten.
    pub(crate) fn open(directory: &Path, forget: u64) -> Result<Self, Error> {
        let orders = directory.join(ORDERS);
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&orders).map_err(Error::file("make", &orders))?;
        let lock = lock(directory)?;
        let mut known = Known {
            orders: BTreeMap::new(),
            cursor: read(&directory.join(CURSOR))?.unwrap_or_default(),
            seen: read(&directory.join(SEEN))?.unwrap_or_default(),
        };
        for entry in fs::read_dir(&orders).map_err(Error::file("read", &orders))? {
            let path = entry.map_err(Error::file("read", &orders))?.path();
            // What a crash left beside its place is written over.
            if path.extension().is_none_or(|ending| ending != "json") {
                continue;
            }
            let Some(record): Option<Record> = read(&path)? else { continue };
            match record.is_done() && record.changed < forget {
                true => fs::remove_file(&path).map_err(Error::file("remove", &path))?,
                false => drop(known.orders.insert(record.id.clone(), record)),
            }
        }
        Ok(Self { directory: directory.to_owned(), known: Mutex::new(known), _lock: lock })
    }

    /// Takes in what the service system says of an order. The same again, and what is older than what is known, changes nothing.
    pub(crate) fn take(&self, order: Order, fingerprint: String) -> Result<(), Error> {
        let mut known = self.lock();
        let record = match known.orders.get(&order.id) {
            Some(record) => record.clone(),
            // An order that was never dispatched while we looked is nobody's concern.
            None if order.status != Status::Dispatched => return Ok(()),
            None if known.orders.len() >= MAX_ORDERS => {
                let why = std::io::Error::other(format!("it has {MAX_ORDERS} orders; is that many right?"));
                return Err(Error::file("add an order to", &self.directory)(why));
            }
            None => Record::new(order.id.clone()),
        };
        let after = record.clone().take(order, fingerprint);
        if after != record {
            self.write(&after)?;
            known.orders.insert(after.id.clone(), after);
        }
        Ok(())
    }

    /// What is not done, by order; of one order in the order of its turns.
    pub(crate) fn open_jobs(&self) -> Vec<JobName> {
        let known = self.lock();
        let of = |record: &Record| {
            let order = record.id.clone();
            let open = record.jobs.iter().filter(|job| !job.is_done());
            open.map(|job| JobName { order: order.clone(), turn: job.turn }).collect::<Vec<_>>()
        };
        known.orders.values().flat_map(of).collect()
    }

    /// A job as it is now.
    pub(crate) fn job(&self, name: &JobName) -> Option<Job> {
        self.jobs(&name.order).into_iter().find(|job| job.turn == name.turn)
    }

    /// All jobs of an order.
    pub(crate) fn jobs(&self, order: &str) -> Vec<Job> {
        self.lock().orders.get(order).map(|record| record.jobs.clone()).unwrap_or_default()
    }

    /// Changes a job, durably.
    pub(crate) fn update(&self, name: &JobName, change: impl FnOnce(&mut Job)) -> Result<(), Error> {
        let mut known = self.lock();
        let Some(record) = known.orders.get(&name.order) else { return Ok(()) };
        let mut after = record.clone();
        if let Some(job) = after.jobs.iter_mut().find(|job| job.turn == name.turn) {
            change(job);
        }
        self.write(&after)?;
        known.orders.insert(name.order.clone(), after);
        Ok(())
    }

    pub(crate) fn cursor(&self) -> Cursor {
        self.lock().cursor.clone()
    }

    /// Notes how far the orders were taken in.
    pub(crate) fn move_to(&self, cursor: Cursor) -> Result<(), Error> {
        let mut known = self.lock();
        if known.cursor != cursor {
            replace(&self.directory.join(CURSOR), &cursor)?;
            known.cursor = cursor;
        }
        Ok(())
    }

    /// Whether a webhook of that id was taken.
    pub(crate) fn was_seen(&self, id: &str) -> bool {
        self.lock().seen.contains_key(id)
    }

    /// Notes a webhook that was signed at Unix second `at`, and forgets those that are too old to be believed anyway: before
    /// `forget`. `false` if there are too many to note another one.
    pub(crate) fn note_seen(&self, id: &str, at: u64, forget: u64) -> Result<bool, Error> {
        let mut known = self.lock();
        let mut seen = known.seen.clone();
        seen.retain(|_, at| *at >= forget);
        if seen.len() >= MAX_SEEN {
            return Ok(false);
        }
        seen.insert(id.to_owned(), at);
        replace(&self.directory.join(SEEN), &seen)?;
        known.seen = seen;
        Ok(true)
    }

    fn write(&self, record: &Record) -> Result<(), Error> {
        // Ids of other systems have characters that a file's name may not.
        let name = format!("{}.json", hex::encode(&Digest::of(record.id.as_bytes()).0[..16]));
        replace(&self.directory.join(ORDERS).join(name), record)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // Nothing in it is ever half done.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lock(directory: &Path) -> Result<File, Error> {
    let path = directory.join("lock");
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.map_err(Error::file("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Locked(directory.to_owned())),
        Err(TryLockError::Error(error)) => Err(Error::file("lock", &path)(error)),
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        read => read.map_err(Error::file("read", path))?,
    };
    let parsed = serde_json::from_slice(&bytes);
    parsed.map(Some).map_err(|error| Error::file("understand", path)(std::io::Error::other(error)))
}

fn replace(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    let bytes = serde_json::to_vec(value)
        .map_err(|error| Error::file("write", path)(std::io::Error::other(error)))?;
    wardein_durable::replace(path, &bytes, 0o600).map_err(Error::file("write", path))
}

const ORDERS: &str = "orders";
const CURSOR: &str = "cursor.json";
const SEEN: &str = "seen.json";

/// Far more than a hospital has in a year; each takes about a kilobyte of memory.
const MAX_ORDERS: usize = 100_000;

/// Webhooks within the minutes in which one is believed.
const MAX_SEEN: usize = 10_000;
