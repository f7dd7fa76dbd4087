//! The mark `sealed-by-collector`: which sources are logs of other devices, and how the collector knows whose.

use crate::config::{Client, Input, Source};
use crate::name::{ObservedName, SourceName};
use serde::{Deserialize, Serialize};

/// A source that is the log of another device than the one that sealed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Observed {
    /// The source.
    pub source: SourceName,
    /// Whose log it is, as the collector's configuration says. That device has signed nothing, and need not have an id of the
    /// authority's.
    pub observed: ObservedName,
    /// By what the collector takes it for that device's.
    pub known_by: KnownBy,
}

/// By what a collector knows whose log it reads, the surest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KnownBy {
    /// By the pinned certificate that its sender showed.
    Certificate,
    /// By its sender's address, which anyone in its network may take.
    Address,
    /// By the file or directory, which anyone may have written who can write there.
    Path,
}

impl Source {
    /// What marks its records, where it is the log of another device.
    pub(crate) fn observed(&self) -> Option<Observed> {
        let known_by = match &self.input {
            Input::SyslogTls(Client::Certificate(_)) => KnownBy::Certificate,
            Input::SyslogTls(Client::Address(_)) => KnownBy::Address,
            // `device` does not go with sockets that this device's own programs send to.
            Input::File(_) | Input::Directory { .. } | Input::SyslogUnix(_) | Input::SyslogUdp(_) => {
                KnownBy::Path
            }
        };
        let observed = self.device.clone()?;
        Some(Observed { source: self.name.clone(), observed, known_by })
    }
}
