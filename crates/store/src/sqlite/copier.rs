//! The bulk of the write-ahead log, copied into the file beside the commits.
//!
//! Copying a whole log takes the writer tens of milliseconds, in which nobody is answered. So another connection copies the pages
//! logged so far (sqlite.org/c3ref/wal_checkpoint_v2.html, "PASSIVE": nobody waits for it), and leaves to the writer those logged
//! in the meantime: the log is restarted only if a commit finds all of it copied.

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::schema;

/// At most one copying at a time. Dropping it waits for the end, so that nobody has the file open any more.
pub(super) struct Copier {
    path: PathBuf,
    copying: Option<JoinHandle<()>>,
}

/// How far the copying is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Bulk {
    /// It is running.
    UnderWay,
    /// It is over, or could not begin; the rest is the writer's.
    Over,
}

impl Copier {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), copying: None }
    }

    /// Begins, or says whether a running copy is over.
    pub(super) fn poll(&mut self) -> Bulk {
        match self.copying.take() {
            Some(copying) if copying.is_finished() => Bulk::Over,
            Some(copying) => {
                self.copying = Some(copying);
                Bulk::UnderWay
            }
            None => {
                let path = self.path.clone();
                let copying = std::thread::Builder::new().name("store-copier".into()).spawn(move || {
                    // A failure here fails for the writer too, who copies the rest and says so.
                    let _ = schema::writer(&path, CACHE).and_then(|connection| copy(&connection));
                });
                self.copying = copying.ok();
                if self.copying.is_some() { Bulk::UnderWay } else { Bulk::Over }
            }
        }
    }
}

impl Drop for Copier {
    fn drop(&mut self) {
        if let Some(copying) = self.copying.take() {
            // It has nothing to say.
            let _ = copying.join();
        }
    }
}

/// Copies until little is left, for the writer does the last part while its callers wait.
fn copy(connection: &Connection) -> rusqlite::Result<()> {
    let mut copied = 0;
    for _ in 0..PASSES {
        let (_, now) = checkpoint(connection)?;
        if now - copied < LITTLE {
            break;
        }
        copied = now;
    }
    Ok(())
}

/// Copies the pages that nobody reads from the log any more; how many pages the log has, and how many of them are copied.
pub(super) fn checkpoint(connection: &Connection) -> rusqlite::Result<(i32, i32)> {
    connection
        .prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?
        .query_row((), |record| Ok((record.get(1)?, record.get(2)?)))
}

/// How often the log is checked for pages that came in while it was copied: each time they are a small part of the previous ones.
const PASSES: u32 = 4;

/// Pages that a pass copies in the time of some commits.
const LITTLE: i32 = 256;

/// A checkpoint reads the log, and keeps no page.
const CACHE: u64 = 1 << 20;
