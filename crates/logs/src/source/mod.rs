//! The sources: files that rotate, directories, and sockets of syslog, for this device and, over TLS, for others.

mod collector;
mod directory;
mod encoding;
mod file;
mod frames;
mod join;
mod opened;
mod poll;
mod position;
mod queue;
mod siblings;
mod syslog;
mod tracked;

use crate::config::{Input, LogsConfig, Source};
use crate::filter::{Filter, How, KeyError, PseudonymKey};
use crate::name::SourceName;
use crate::polled::Polled;
pub use collector::CollectorError;
use collector::{Collector, Senders};
use directory::DirectorySource;
pub use encoding::Encoding;
use file::FileSource;
pub use frames::{Frame, FrameError, Frames};
pub(crate) use join::{Behind, Joiner, Step};
use poll::Poll;
pub use position::Positions;
use queue::Queue;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use syslog::SyslogSource;
use tracked::Reader;

/// Why sources cannot be opened. What is missing or unreadable later is a gap or a warning instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The key of pseudonyms is not there.
    #[error("the key of pseudonyms, {}, {why}", .path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        why: KeyError,
    },
    /// A rule makes pseudonyms, and the configuration names no key.
    #[error("source {0} makes pseudonyms, and there is no [pseudonym] with a key")]
    NoKey(SourceName),
    /// The socket cannot be made.
    #[error("source {source_name}: the socket {address} cannot be made: {why}")]
    Socket {
        /// The source.
        source_name: SourceName,
        /// Where it was to be.
        address: String,
        /// Why.
        why: io::Error,
    },
    /// Other devices cannot connect.
    #[error("the collector: {0}")]
    Collector(#[from] CollectorError),
}

/// All sources of a configuration, open.
pub struct Sources {
    sources: Vec<(Reader, Followed)>,
    /// The bytes that are looked at; each source has them in its turn.
    window: Vec<u8>,
    /// The source that is polled first, each time another, so that none has to wait for a busy one for ever.
    first: usize,
    /// Fills the queues of other devices' messages.
    _collector: Option<Collector>,
}

/// What is followed for a source.
enum Followed {
    File(FileSource),
    Directory(DirectorySource),
    Syslog(SyslogSource),
    /// Messages that the collector takes.
    Collected(Arc<Queue>),
}

impl Sources {
    /// Opens the sources, and goes on from `from`. A file that is not there yet is no error.
    pub fn open(config: &LogsConfig, mut from: Positions) -> Result<Self, SourceError> {
        let key = pseudonym_key(config)?;
        let senders = Senders::of_all(config);
        let mut sources = Vec::with_capacity(config.sources.len());
        for source in &config.sources {
            let filter =
                Filter::new(source.name.clone(), source.parse.clone(), source.rules.clone(), key.clone());
            let reader =
                Reader { source: source.name.clone(), joiner: source.joiner(), filter, window: Vec::new() };
            let mut position = |path: &PathBuf| {
                let found =
                    from.0.remove(&source.name).filter(|position| position.path == path.to_string_lossy());
                found.unwrap_or_default()
            };
            let failed = |address: String| {
                let source_name = source.name.clone();
                move |why| SourceError::Socket { source_name, address, why }
            };
            let followed = match &source.input {
                Input::File(path) => Followed::File(FileSource::new(path.clone(), position(path))),
                Input::Directory { path, matching } => {
                    Followed::Directory(DirectorySource::new(path.clone(), matching.clone(), position(path)))
                }
                Input::SyslogUnix(path) => {
                    Followed::Syslog(SyslogSource::unix(path).map_err(failed(path.display().to_string()))?)
                }
                Input::SyslogUdp(address) => {
                    Followed::Syslog(SyslogSource::udp(*address).map_err(failed(address.to_string()))?)
                }
                // The configuration has one source for each client.
                Input::SyslogTls(client) => match senders.queue(client) {
                    Some(queue) => Followed::Collected(queue),
                    None => continue,
                },
            };
            sources.push((reader, followed));
        }
        let collector = config.collector.as_ref().map(|collector| Collector::start(collector, senders));
        Ok(Self { sources, window: Vec::new(), first: 0, _collector: collector.transpose()? })
    }

    /// What has come since the last poll: until records, or what was read for them, have about `limit_bytes`. Records have no more
    /// than that, but for those of a single entry, which leave together. It never blocks and never fails: what cannot be read is a
    /// gap or a warning.
    pub fn poll(&mut self, limit_bytes: usize) -> Polled {
        self.poll_at(Instant::now(), limit_bytes)
    }

    /// The same at a given time, by which entries of several lines and last lines of files are waited for.
    pub fn poll_at(&mut self, now: Instant, limit_bytes: usize) -> Polled {
        let mut poll = Poll::new(now, limit_bytes);
        let count = self.sources.len();
        for turn in 0..count {
            let Some((reader, followed)) = self.sources.get_mut((self.first + turn) % count) else {
                continue;
            };
            reader.window = std::mem::take(&mut self.window);
            match followed {
                Followed::File(file) => file.poll(reader, &mut poll),
                Followed::Directory(directory) => directory.poll(reader, &mut poll),
                Followed::Syslog(syslog) => syslog.poll(reader, &mut poll),
                Followed::Collected(queue) => queue.poll(reader, &mut poll),
            }
            self.window = std::mem::take(&mut reader.window);
        }
        self.first = (self.first + 1) % count.max(1);
        poll.finish(self.positions())
    }

    /// Where all sources are.
    fn positions(&self) -> Positions {
        let position = |(reader, followed): &(Reader, Followed)| {
            let position = match followed {
                Followed::File(file) => file.position(),
                Followed::Directory(directory) => directory.position(),
                Followed::Syslog(_) | Followed::Collected(_) => return None,
            };
            Some((reader.source.clone(), position))
        };
        Positions(self.sources.iter().filter_map(position).collect())
    }
}

impl Source {
    /// How its bytes are taken apart.
    pub(crate) fn joiner(&self) -> Joiner {
        Joiner { encoding: self.encoding, start: self.start.clone(), max: self.max_entry }
    }
}

/// The key of pseudonyms, where a rule makes some.
pub(crate) fn pseudonym_key(config: &LogsConfig) -> Result<Option<Arc<PseudonymKey>>, SourceError> {
    let makes_some = |source: &&Source| {
        source.rules.iter().flat_map(|rule| &rule.keep).any(|keep| keep.how == How::Pseudonym)
    };
    let Some(source) = config.sources.iter().find(makes_some) else { return Ok(None) };
    let path = config.pseudonym_key.as_ref().ok_or_else(|| SourceError::NoKey(source.name.clone()))?;
    let key = PseudonymKey::read(path).map_err(|why| SourceError::Key { path: path.clone(), why })?;
    Ok(Some(Arc::new(key)))
}
