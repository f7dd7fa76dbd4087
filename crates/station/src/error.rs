//! Why a station cannot begin, or go on.

use std::path::{Path, PathBuf};
use wardein_client::Refusal;

/// Why nothing was enrolled. What concerns one device is its [`crate::Outcome`] instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file is of no use.
    #[error("cannot {doing} {}: {why}", .path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        why: String,
    },
    /// The authority refuses, or is not reached.
    #[error(transparent)]
    Call(#[from] Refusal),
    /// The authority's answer is not what was asked for.
    #[error("the answer is malformed: {0}")]
    Answer(&'static str),
    /// A line could not be attended to.
    #[error("no thread for line {line}: {source}")]
    Thread {
        /// Its name.
        line: String,
        /// Why.
        source: std::io::Error,
    },
}

impl Error {
    pub(crate) fn file(doing: &'static str, path: &Path, why: impl ToString) -> Self {
        Self::File { doing, path: path.to_owned(), why: why.to_string() }
    }
}
