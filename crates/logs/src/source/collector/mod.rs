//! The collector: messages of syslog over TLS (RFC 5425) from other devices, of which each is known by a pinned certificate or its
//! address.
//!
//! What: one thread has the listener and all connections. Messages go to the queue of the source that names their sender; where it is
//! full, the connection is not read, and they wait at the sender. Why a thread without a runtime: the agent's polls never wait, and
//! its memory stays within bounds that are constants here. What it does not do: it believes nothing that a message says of its origin.

mod connection;
mod tls;

use crate::config;
use crate::config::{Client, Input, LogsConfig};
use crate::source::queue::Queue;
use connection::{Connection, Went};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustls::ServerConfig;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use wardein_crypto::Digest;

/// Why no device can connect.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectorError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file holds no certificate or key.
    #[error("{} holds no {what} in PEM", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
    /// The key is not the certificate's, or of a kind that TLS has no use for.
    #[error("its certificate and key cannot be used together: {0}")]
    Pair(rustls::Error),
    /// The address cannot be listened at.
    #[error("it cannot listen at {address}: {source}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// Who sends, and where their messages go.
#[derive(Default)]
pub(super) struct Senders {
    all: Vec<Sender>,
    /// Each has an index of `all`.
    by_certificate: BTreeMap<Digest, usize>,
    by_address: BTreeMap<IpAddr, usize>,
}

/// One who sends.
struct Sender {
    queue: Arc<Queue>,
    /// The longest message that is kept.
    max_message: usize,
}

impl Senders {
    /// All that the configuration names.
    pub(super) fn of_all(config: &LogsConfig) -> Self {
        let clients: Vec<_> = config
            .sources
            .iter()
            .filter_map(|source| match &source.input {
                Input::SyslogTls(client) => Some((client, source.max_entry)),
                _ => None,
            })
            .collect();
        let each = (WAITING / clients.len().max(1)).clamp(WAITING_MIN, WAITING_MAX);
        let mut senders = Self::default();
        for (index, (client, max_message)) in clients.into_iter().enumerate() {
            senders.all.push(Sender { queue: Arc::new(Queue::new(each)), max_message });
            match client {
                Client::Certificate(digest) => senders.by_certificate.insert(*digest, index),
                Client::Address(address) => senders.by_address.insert(*address, index),
            };
        }
        senders
    }

    /// The queue in which the messages of a client wait.
    pub(super) fn queue(&self, client: &Client) -> Option<Arc<Queue>> {
        let index = match client {
            Client::Certificate(digest) => self.by_certificate.get(digest)?,
            Client::Address(address) => self.by_address.get(address)?,
        };
        self.all.get(*index).map(|sender| Arc::clone(&sender.queue))
    }

    /// Who a client is that has shown this certificate, or none. An address counts only where none was shown.
    fn of(&self, certificate: Option<Digest>, address: IpAddr) -> Option<(usize, &Sender)> {
        let index = match certificate {
            Some(digest) => self.by_certificate.get(&digest),
            None => self.by_address.get(&address),
        };
        index.and_then(|index| Some((*index, self.all.get(*index)?)))
    }
}

/// The thread, which ends with this.
pub(super) struct Collector {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Collector {
    pub(super) fn start(config: &config::Collector, senders: Senders) -> Result<Self, CollectorError> {
        let tls = tls::configuration(&config.certificate, &config.key, &senders)?;
        let failed = |source| CollectorError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let is_over = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&is_over);
        let work = Work { listener, tls, senders, connections: Vec::new(), refusals: Refusals::default() };
        let thread = thread::Builder::new().name("collector".to_owned());
        let thread = thread.spawn(move || work.run(&until)).map_err(failed)?;
        Ok(Self { is_over, thread: Some(thread) })
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It looks up at the latest after PATIENCE. A panic in it has ended it already.
            drop(thread.join());
        }
    }
}

/// What the thread has.
struct Work {
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    senders: Senders,
    connections: Vec<Connection>,
    refusals: Refusals,
}

impl Work {
    fn run(mut self, is_over: &AtomicBool) {
        while !is_over.load(Ordering::Relaxed) {
            let ready = match self.wait() {
                Ok(ready) => ready,
                Err(error) => {
                    tracing::error!(%error, "the collector cannot wait for messages, and tries again");
                    thread::sleep(PATIENCE);
                    continue;
                }
            };
            let now = Instant::now();
            self.step(&ready, now);
            self.accept(now);
            self.refusals.tell(now);
        }
        self.connections.into_iter().for_each(Connection::end);
    }

    /// Waits until something can be done; whether each connection can be read or written.
    fn wait(&self) -> io::Result<Vec<bool>> {
        let mut waiting = vec![PollFd::new(&self.listener, PollFlags::IN)];
        let mut places = Vec::with_capacity(self.connections.len());
        for connection in &self.connections {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, connection.is_to_be_read());
            flags.set(PollFlags::OUT, connection.is_to_be_written());
            // One that is held is left out: that its peer has gone would be told without end (poll(2), POLLHUP).
            places.push((!flags.is_empty()).then(|| {
                waiting.push(PollFd::new(&connection.socket, flags));
                waiting.len() - 1
            }));
        }
        let is_any_held = places.iter().any(Option::is_none);
        let patience = if is_any_held { HELD } else { PATIENCE };
        let timeout = Timespec::try_from(patience).ok();
        match poll(&mut waiting, timeout.as_ref()) {
            Ok(_) => {}
            Err(error) if error == rustix::io::Errno::INTR => {}
            Err(error) => return Err(error.into()),
        }
        let is_ready = |place: &Option<usize>| {
            place.and_then(|place| waiting.get(place)).is_some_and(|waited| !waited.revents().is_empty())
        };
        Ok(places.iter().map(is_ready).collect())
    }

    /// Serves the connections that are ready, and ends those that are over.
    fn step(&mut self, ready: &[bool], now: Instant) {
        let (mut goes_on, mut opened) = (Vec::with_capacity(self.connections.len()), Vec::new());
        for (index, mut connection) in std::mem::take(&mut self.connections).into_iter().enumerate() {
            let went = match ready.get(index) {
                Some(true) => connection.step(now, &self.senders),
                _ if connection.is_overdue(now) => Went::Refused("its handshake takes too long".to_owned()),
                _ => Went::On,
            };
            match went {
                Went::On => goes_on.push(connection),
                Went::Opened(source) => {
                    goes_on.push(connection);
                    opened.push(source);
                }
                Went::Over => {}
                Went::Refused(why) => self.refusals.note(Some(connection.peer), why),
            }
        }
        self.connections = goes_on;
        for source in opened {
            self.make_room(source);
        }
    }

    /// A source has so many connections; the one that has been silent for longest makes room for another. A device that lost its power
    /// leaves connections behind that nobody ends.
    fn make_room(&mut self, source: usize) {
        let of_it = |connection: &Connection| connection.source() == Some(source);
        while self.connections.iter().filter(|connection| of_it(connection)).count() > PER_SOURCE {
            let all = self.connections.iter().enumerate();
            let silent = all.filter(|(_, connection)| of_it(connection)).min_by_key(|(_, one)| one.heard);
            let Some((index, _)) = silent else { return };
            self.connections.swap_remove(index).give_way();
        }
    }

    /// Takes who connects. There is room for so many handshakes, and for so many from one address, apart from the places of those who
    /// are known: a stranger takes nothing from a device that sends.
    fn accept(&mut self, now: Instant) {
        for _ in 0..HANDSHAKES {
            let (socket, peer) = match self.listener.accept() {
                Ok((socket, address)) => (socket, address.ip().to_canonical()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => {
                    // It may have gone already; or there is no room for another open file, which passes.
                    self.refusals.note(None, format!("it cannot be accepted: {error}"));
                    thread::sleep(HELD);
                    return;
                }
            };
            let under_way = self.connections.iter().filter(|connection| connection.source().is_none());
            let (all, same) = under_way.fold((0, 0), |(all, same), connection| {
                (all + 1, same + usize::from(connection.peer == peer))
            });
            if all >= HANDSHAKES || same >= PER_ADDRESS {
                self.refusals.note(Some(peer), "there are too many handshakes at one time".to_owned());
                continue;
            }
            match Connection::new(socket, peer, Arc::clone(&self.tls), now) {
                Ok(connection) => self.connections.push(connection),
                Err(error) => self.refusals.note(Some(peer), error.to_string()),
            }
        }
    }
}

/// Who was refused: the log has the last one of a while, and how many there were, so that nobody fills it.
#[derive(Default)]
struct Refusals {
    last: Option<(Option<IpAddr>, String)>,
    count: u64,
    told: Option<Instant>,
}

impl Refusals {
    fn note(&mut self, peer: Option<IpAddr>, why: String) {
        self.last = Some((peer, why));
        self.count += 1;
    }

    fn tell(&mut self, now: Instant) {
        if self.told.is_some_and(|told| now.saturating_duration_since(told) < QUIET) {
            return;
        }
        if let Some((peer, why)) = self.last.take() {
            tracing::warn!(
                peer = peer.map(|peer| peer.to_string()),
                why,
                refused = self.count,
                "the collector refused a client"
            );
            (self.count, self.told) = (0, Some(now));
        }
    }
}

/// The bytes of all messages that wait for a poll, and what those of one source have of them: a source always has room for two.
const WAITING: usize = 4 << 20;
const WAITING_MIN: usize = 128 << 10;
const WAITING_MAX: usize = 1 << 20;
/// Handshakes at one time, and those from one address.
const HANDSHAKES: usize = 16;
const PER_ADDRESS: usize = 4;
/// Connections of one source.
const PER_SOURCE: usize = 4;
/// How long the thread waits before it looks whether it is over.
const PATIENCE: Duration = Duration::from_millis(250);
/// How long where a connection is held, because a queue is full.
const HELD: Duration = Duration::from_millis(20);
/// The time between two lines of the log on who was refused.
const QUIET: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
