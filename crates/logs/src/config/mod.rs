//! logs.toml, judged: what a technician can read, and nothing else is done.

mod collector;
mod parse;
mod raw;
mod value;

use crate::filter::Rule;
use crate::name::{AudienceName, ObservedName, SourceName};
use crate::source::Encoding;
use regex::Regex;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use wardein_crypto::Digest;

pub use parse::ConfigError;

/// What logs.toml says.
#[derive(Debug, Clone)]
pub struct LogsConfig {
    /// Who gets records.
    pub audiences: BTreeMap<AudienceName, Audience>,
    /// Where batches wait.
    pub spool: Spool,
    /// The file with the key of pseudonyms, where a rule makes some.
    pub pseudonym_key: Option<PathBuf>,
    /// Where other devices send their messages, where a source takes some.
    pub collector: Option<Collector>,
    /// What is read.
    pub sources: Vec<Source>,
}

/// Who gets records, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audience {
    /// Who opens its batches.
    pub readers: Readers,
    /// Where its batches go.
    pub to: Destination,
    /// Whether a server that the platform's trust bundle does not pin may take them.
    pub unpinned: bool,
    /// Whether it is known to get patient data, so that nobody is warned of it.
    pub patient_data: bool,
}

/// Who opens the batches of an audience.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readers {
    /// Whom the tenant's list of readers says; without a list, the authority.
    OfTheTenant,
    /// The authority, which releases keys to platforms.
    Authority,
    /// Those with these keys (`age1…`), and not the authority.
    Keys(Vec<String>),
}

/// Where batches go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// HTTPS PUT below this URL: `https://host[:port][/path]`, without a slash at its end, a query or a login.
    Https(String),
    /// A store of objects that speaks S3.
    S3 {
        /// Below this URL, likewise: the bucket is in its host or the first of its path.
        url: String,
        /// The region that requests are signed for.
        region: String,
        /// The file with the credentials.
        credentials: PathBuf,
    },
    /// A directory.
    Directory(PathBuf),
}

/// Where batches wait, and how large and old they grow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spool {
    /// The directory.
    pub directory: PathBuf,
    /// The most bytes in it.
    pub max_bytes: u64,
    /// The uncompressed bytes at which a batch is closed: at most 4 MiB.
    pub batch_bytes: usize,
    /// The age at which a batch is closed.
    pub batch_age: Duration,
}

/// Where other devices send messages of syslog, over TLS (RFC 5425).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collector {
    /// The address and port.
    pub listen: SocketAddr,
    /// The file with the certificate that they are shown, and those between it and its root, PEM.
    pub certificate: PathBuf,
    /// The file with its key, PKCS#8 in PEM, which others than its owner can neither read nor write.
    pub key: PathBuf,
}

/// Who sends messages over TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Client {
    /// Who shows the certificate (DER) with this SHA-256, and has its key.
    Certificate(Digest),
    /// Who shows no certificate, and comes from this address.
    Address(IpAddr),
}

/// One source.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name.
    pub name: SourceName,
    /// Where it is read.
    pub input: Input,
    /// Whose log it is, where it is another device's.
    pub device: Option<ObservedName>,
    /// The encoding of its bytes.
    pub encoding: Encoding,
    /// The most bytes of an entry.
    pub max_entry: usize,
    /// What the first line of an entry looks like, where entries have several.
    pub start: Option<Regex>,
    /// How an entry becomes fields.
    pub parse: Parse,
    /// What leaves, and for whom. Nothing leaves without a rule.
    pub rules: Vec<Rule>,
}

/// Where a source is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A file, and what it is rotated to beside it.
    File(PathBuf),
    /// The files of a directory whose names match.
    Directory {
        /// The directory.
        path: PathBuf,
        /// The names, with `*` for any characters.
        matching: String,
    },
    /// A datagram socket that the agent makes.
    SyslogUnix(PathBuf),
    /// A UDP socket on the loopback interface.
    SyslogUdp(SocketAddr),
    /// Another device's messages, by way of [`LogsConfig::collector`].
    SyslogTls(Client),
}

/// How an entry becomes fields.
#[derive(Debug, Clone)]
pub enum Parse {
    /// It has one field, `line`.
    None,
    /// The named groups of a pattern that it matches.
    Regex(Regex),
    /// It is a JSON object; a field of a field is `outer.inner`.
    Json,
    /// `key=value key="other value"`.
    KeyValue,
}

impl Source {
    /// Who gets records of this source.
    pub fn audiences(&self) -> impl Iterator<Item = &AudienceName> {
        self.rules.iter().map(|rule| &rule.audience)
    }
}

#[cfg(test)]
mod tests;
