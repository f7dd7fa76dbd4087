//! Why the spool cannot be worked in.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why the spool cannot be worked in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpoolError {
    /// A file could not be read or written.
    #[error("cannot {doing} {}: {source}", .path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// A file is not one that the agent wrote.
    #[error(
        "{} is damaged: {why}; restore it, or remove it: the sources are then read from where a new agent begins, and lines may leave twice",
        .path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How it shows.
        why: String,
    },
    /// Another process works in it.
    #[error("another agent works in {}; end it first", .0.display())]
    Locked(PathBuf),
    /// It is too small for the batches that are sealed together.
    #[error("spool: max-bytes is {max}; with these audiences and batch-bytes it takes at least {least}")]
    TooSmall {
        /// What was configured.
        max: u64,
        /// The least that does.
        least: u64,
    },
}

impl SpoolError {
    pub(super) fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { doing, path, source }
    }

    pub(super) fn damaged(path: &Path, why: impl fmt::Display) -> Self {
        Self::Damaged { path: path.to_owned(), why: why.to_string() }
    }
}
