//! Why the adapter stops, or a round of it failed.

use std::io;
use std::path::{Path, PathBuf};
use wardein_client::{ConnectError, Refusal};
use wardein_domain::with_causes;

/// Why the adapter does not start, or a round of it failed. A round is done again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration is wrong.
    #[error("{field}: {why}")]
    Config {
        /// The field, as the file has it.
        field: &'static str,
        /// What is wrong with it, and what it takes.
        why: String,
    },
    /// A file cannot be used.
    #[error("cannot {deed} {}: {}", path.display(), with_causes(fault))]
    File {
        /// What was to be done with it.
        deed: &'static str,
        /// Which.
        path: PathBuf,
        /// Why it cannot.
        fault: io::Error,
    },
    /// The authority was not reached.
    #[error("the authority: {}", with_causes(.0))]
    Connect(Box<ConnectError>),
    /// The authority refused the adapter itself, or could not answer.
    #[error("the authority: {0}")]
    Authority(Box<Refusal>),
    /// The service system was not reached.
    #[error("{host}: {why}")]
    Unreached {
        /// Where it was asked.
        host: String,
        /// What happened.
        why: String,
    },
    /// The service system answered otherwise than with what was asked for.
    #[error("{host} answered {status}: {why}")]
    Answered {
        /// Where it was asked.
        host: String,
        /// The status of HTTP.
        status: u16,
        /// What it said, cut short.
        why: String,
    },
    /// The service system does not let the adapter in.
    #[error("the login at {host} was refused with {status}: {why}")]
    Login {
        /// Where the login is.
        host: String,
        /// The status of HTTP.
        status: u16,
        /// What it said, cut short.
        why: String,
    },
    /// Another process uses the directory.
    #[error("another process has the directory {}; run one for each", .0.display())]
    Locked(PathBuf),
}

impl Error {
    pub(crate) fn config(field: &'static str, why: impl ToString) -> Self {
        Self::Config { field, why: why.to_string() }
    }

    pub(crate) fn file(deed: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |fault| Self::File { deed, path: path.to_owned(), fault }
    }

    /// Exit codes: 2 for what the caller can set right in the configuration, 1 for the rest.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config { .. } => 2,
            _ => 1,
        }
    }
}

impl From<ConnectError> for Error {
    fn from(error: ConnectError) -> Self {
        Self::Connect(Box::new(error))
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Authority(Box::new(refusal))
    }
}
