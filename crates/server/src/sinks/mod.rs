//! Audit sinks: the audit log delivered to a file, to syslog, or by POST, in order and at least once.
//!
//! Each sink has a thread of its own, which reads the log from the number up to which it was taken; the store has that number. So
//! nothing waits for a sink, nothing is kept in memory for it but a batch, and nothing is lost: one that is slow, dead or without
//! room takes later what was written meanwhile. Of several nodes, the one that does the upkeep delivers.

mod config;
mod delivery;
mod entry;
mod failure;
mod file;
mod post;
mod syslog;
mod tls;

pub use config::{SinkConfig, SinkError, SinkTexts, SinkTls, SinkTo};

use crate::edge::metrics::Metrics;
use delivery::Delivery;
use entry::Line;
use failure::Failure;
use file::FileSink;
use post::Post;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use syslog::{Datagrams, Stream};
use tls::Tls;
use tokio::runtime::Builder;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use wardein_domain::SinkName;
use wardein_engine::{Engine, Error};

/// The sinks at work.
pub(crate) struct Sinks {
    taken: Vec<(SinkName, Arc<Taken>)>,
    /// Closed once all threads have ended.
    ended: mpsc::Receiver<()>,
}

/// Up to which number a sink took the log, as its thread says.
#[derive(Debug)]
struct Taken(AtomicU64);

impl Taken {
    /// As long as nothing was read of the store, or another node delivers.
    const UNKNOWN: u64 = u64::MAX;

    fn set(&self, number: u64) {
        self.0.store(number, Ordering::Relaxed);
    }

    fn get(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|number| *number != Self::UNKNOWN)
    }
}

/// What a sink's thread delivers from, and hears.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) engine: Arc<Engine>,
    pub(crate) metrics: Arc<Metrics>,
    /// Changes when files are to be opened, and certificates to be read, again.
    pub(crate) reopen: watch::Receiver<u64>,
    /// Becomes true when the server stops.
    pub(crate) stop: watch::Receiver<bool>,
}

impl Sinks {
    /// Begins to deliver, a thread a sink.
    pub(crate) fn begin(sinks: Vec<SinkConfig>, surroundings: &Surroundings) -> io::Result<Self> {
        let (alive, ended) = mpsc::channel::<()>(1);
        let mut taken = Vec::new();
        for config in sinks {
            let name = config.name.clone();
            let known = Arc::new(Taken(AtomicU64::new(Taken::UNKNOWN)));
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let delivery = Delivery::new(config, surroundings.clone(), known.clone());
            let alive = alive.clone();
            let work = move || {
                // Dropped last: then nothing of the engine is held here any more.
                let _alive = alive;
                runtime.block_on(delivery.run());
            };
            drop(thread::Builder::new().name(format!("sink-{name}")).spawn(work)?);
            taken.push((name, known));
        }
        Ok(Self { taken, ended })
    }

    /// Tells the metrics how far each sink is behind, forever. It asks the log and not the threads: one that is stuck says nothing.
    pub(crate) async fn watch(&self, engine: &Engine, metrics: &Metrics) {
        if self.taken.is_empty() {
            return std::future::pending().await;
        }
        loop {
            for (name, taken) in &self.taken {
                match behind(engine, taken).await {
                    Ok(Some((entries, seconds))) => metrics.sink_behind(name.as_str(), entries, seconds),
                    Ok(None) => metrics.sink_elsewhere(name.as_str()),
                    // Where the log cannot be read, the sink's thread says so.
                    Err(_) => {}
                }
            }
            sleep(WATCHED).await;
        }
    }

    /// Waits for the threads to end, for a bounded time: a file system that hangs holds up no stop.
    pub(crate) async fn ended(mut self) {
        if timeout(PATIENCE, self.ended.recv()).await.is_err() {
            tracing::warn!(
                "an audit sink did not end in time; what it has not taken comes again after the next start"
            );
        }
    }
}

/// How many entries a sink has not taken, and for how many seconds the oldest of them has waited. None where another node delivers.
async fn behind(engine: &Engine, taken: &Taken) -> Result<Option<(u64, u64)>, Error> {
    let Some(taken) = taken.get() else { return Ok(None) };
    let waiting = engine.last_entry().await?.saturating_sub(taken);
    let oldest = engine.entries_for_sink(taken.saturating_add(1), 1).await?;
    let since = oldest.first().map(|(_, entry)| engine.now().saturating_sub(entry.time_ms / 1000));
    Ok(Some((waiting, since.unwrap_or_default())))
}

/// An open way to a sink.
enum Receiver {
    File(FileSink),
    Datagrams(Datagrams),
    Stream(Box<Stream>),
    Post(Box<Post>),
}

impl Receiver {
    async fn open(config: &SinkConfig, engine: &Arc<Engine>) -> Result<Self, Failure> {
        Ok(match &config.to {
            SinkTo::File(path) => Self::File(FileSink::open(path, &config.home)?),
            SinkTo::Unix(path) => Self::Datagrams(Datagrams::unix(path)?),
            SinkTo::Udp(to) => Self::Datagrams(Datagrams::udp(to).await?),
            SinkTo::Tls { host, port } => {
                let tls = Tls::read(&config.tls, engine)?;
                Self::Stream(Box::new(Stream::open(host, *port, &tls).await?))
            }
            SinkTo::Https(uri) => {
                let tls = Tls::read(&config.tls, engine)?;
                Self::Post(Box::new(Post::new(uri, tls, config.authorization.as_deref())?))
            }
        })
    }

    /// Delivers a batch, within a bounded time, but for a file: its disk alone says how long that takes.
    async fn send(&mut self, lines: &[Line], host: &str) -> Result<(), Failure> {
        let sent = async {
            match self {
                Self::File(file) => file.write(lines),
                Self::Datagrams(datagrams) => datagrams.send(lines, host).await,
                Self::Stream(stream) => stream.send(lines, host).await,
                Self::Post(post) => post.send(lines).await,
            }
        };
        timeout(TIME, sent).await.unwrap_or(Err(Failure::Late))
    }

    /// Whether the other end has gone while nothing was sent to it.
    async fn is_gone(&mut self) -> bool {
        match self {
            Self::Stream(stream) => stream.is_gone().await,
            _ => false,
        }
    }

    /// How long what was sent may still be lost.
    fn settles_after(&self) -> Duration {
        match self {
            Self::Stream(_) => syslog::SETTLED,
            _ => Duration::ZERO,
        }
    }
}

impl SinkTo {
    /// The most bytes of an entry's JSON.
    fn most(&self) -> usize {
        match self {
            Self::File(_) | Self::Https(_) => 256 * 1024,
            Self::Unix(_) | Self::Udp(_) | Self::Tls { .. } => syslog::MOST,
        }
    }
}

/// For a batch, with the connection that it may take.
const TIME: Duration = Duration::from_secs(10);

/// How often it is looked how far the sinks are behind.
const WATCHED: Duration = Duration::from_secs(2);

/// How long a stop waits for the threads.
const PATIENCE: Duration = Duration::from_secs(5);
