//! Why a sink took nothing.

use http::StatusCode;
use std::fmt;
use std::io;
use wardein_engine::Error;

/// Why a sink took nothing.
#[derive(Debug)]
pub(super) enum Failure {
    /// Its file system has no room.
    DiskFull(String),
    /// Its file cannot be opened or written.
    File(io::Error),
    /// What it takes of files for TLS and HTTP is not there, or wrong.
    Material(String),
    /// Its name has no address.
    Name(io::Error),
    /// It cannot be reached, or showed no certificate that is believed.
    Reach(io::Error),
    /// The connection broke.
    Broken(io::Error),
    /// It ended the connection.
    Closed,
    /// The connection of HTTP broke.
    Http(hyper::Error),
    /// It answered otherwise than with 2xx.
    Answered(StatusCode),
    /// It did not take a batch in time.
    Late,
    /// The log or its place in it cannot be read.
    Store(Error),
    /// A fault of ours.
    Panicked,
}

impl Failure {
    /// The label of the metric.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::DiskFull(_) => "disk-full",
            Self::File(_) => "file",
            Self::Material(_) => "material",
            Self::Name(_) | Self::Reach(_) | Self::Broken(_) | Self::Closed | Self::Http(_) => "unreachable",
            Self::Answered(_) => "answered",
            Self::Late => "late",
            Self::Store(_) => "store",
            Self::Panicked => "fault",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DiskFull(why) => write!(f, "its disk is full: {why}; free space, and it goes on by itself"),
            Self::File(error) => write!(f, "its file cannot be written: {error}"),
            Self::Material(why) => write!(f, "{why}; correct the file, and send SIGHUP"),
            Self::Name(error) => write!(f, "its name has no address: {error}"),
            Self::Reach(error) => write!(f, "not reached: {error}"),
            Self::Broken(error) => write!(f, "the connection broke: {error}"),
            Self::Closed => f.write_str("it ended the connection"),
            Self::Http(error) => write!(f, "the connection broke: {error}"),
            Self::Answered(status) => write!(f, "it answered {}", status.as_u16()),
            Self::Late => write!(f, "it took nothing within {} s", super::TIME.as_secs()),
            Self::Store(error) => write!(f, "the log cannot be read: {error}"),
            Self::Panicked => f.write_str("its delivery panicked"),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}
