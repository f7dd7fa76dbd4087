//! Messages of syslog, from a socket on this device. A thread takes them as they come, so that a full spool or a slow poll costs
//! messages that are counted, and never holds up the programs that send them.

use super::poll::Poll;
use super::queue::Queue;
use super::tracked::Reader;
use crate::polled::GapReason;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind, Read};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A socket, and what came in by it.
pub(super) struct SyslogSource {
    queue: Arc<Queue>,
    is_over: Arc<AtomicBool>,
    taker: Option<JoinHandle<()>>,
    /// The name of a Unix socket, removed at the end.
    name: Option<PathBuf>,
    /// For UDP: where the kernel says how many it dropped, under which inode, and how many that were.
    dropped: Option<(&'static str, u64, u64)>,
}

impl SyslogSource {
    /// Makes a datagram socket that every program of the device may send to. Who may reach it, its directory says. A socket that is
    /// there already, left by a process that is no more, is replaced.
    pub(super) fn unix(path: &Path) -> io::Result<Self> {
        match path.symlink_metadata() {
            Ok(facts) if facts.file_type().is_socket() => fs::remove_file(path)?,
            Ok(_) => {
                return Err(io::Error::new(
                    ErrorKind::AlreadyExists,
                    "there is something else than a socket",
                ));
            }
            Err(_) => {}
        }
        let socket = UnixDatagram::bind(path)?;
        fs::set_permissions(path, Permissions::from_mode(0o666))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Self::start(move |buffer| socket.recv(buffer), Some(path.to_owned()), None)
    }

    /// Makes a UDP socket; the address is one of the loopback interface.
    pub(super) fn udp(address: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let table = if address.is_ipv4() { "/proc/net/udp" } else { "/proc/net/udp6" };
        let inode = rustix::fs::fstat(socket.as_fd())?.st_ino;
        Self::start(move |buffer| socket.recv(buffer), None, Some((table, inode, 0)))
    }

    fn start(
        receive: impl FnMut(&mut [u8]) -> io::Result<usize> + Send + 'static,
        name: Option<PathBuf>,
        dropped: Option<(&'static str, u64, u64)>,
    ) -> io::Result<Self> {
        let queue = Arc::new(Queue::new(MAX_BYTES));
        let is_over = Arc::new(AtomicBool::new(false));
        let (to, until) = (Arc::clone(&queue), Arc::clone(&is_over));
        let taker =
            thread::Builder::new().name("syslog".to_owned()).spawn(move || take_all(&to, &until, receive))?;
        Ok(Self { queue, is_over, taker: Some(taker), name, dropped })
    }

    pub(super) fn poll(&mut self, reader: &Reader, poll: &mut Poll) {
        self.queue.poll(reader, poll);
        if let Some((table, inode, so_far)) = &mut self.dropped {
            let now = kernel_dropped(table, *inode).unwrap_or(*so_far);
            if now > *so_far {
                poll.gap(&reader.source, GapReason::SocketOverrun, Some(now - *so_far), 0);
                *so_far = now;
            }
        }
    }
}

impl Drop for SyslogSource {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(taker) = self.taker.take() {
            // It looks up at the latest after PATIENCE. A panic in it has ended it already.
            drop(taker.join());
        }
        if let Some(name) = &self.name {
            drop(fs::remove_file(name));
        }
    }
}

/// Takes messages until the source is over or the socket fails.
fn take_all(queue: &Queue, is_over: &AtomicBool, mut receive: impl FnMut(&mut [u8]) -> io::Result<usize>) {
    let mut buffer = vec![0; LONGEST + 1];
    while !is_over.load(Ordering::Relaxed) {
        match receive(&mut buffer) {
            Ok(0) => {}
            Ok(length) => queue.keep(buffer.get(..length).unwrap_or_default()),
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) => {}
            Err(_) => {
                queue.miss(GapReason::Unreadable, None, 0);
                thread::sleep(PATIENCE);
            }
        }
    }
}

/// How many datagrams the kernel dropped because the buffer of a socket was full (the last column; proc(5)).
fn kernel_dropped(table: &str, inode: u64) -> Option<u64> {
    let mut text = String::new();
    fs::File::open(table).ok()?.take(MAX_TABLE).read_to_string(&mut text).ok()?;
    let inode = inode.to_string();
    let line = text.lines().find(|line| line.split_ascii_whitespace().nth(9) == Some(&inode))?;
    line.split_ascii_whitespace().last()?.parse().ok()
}

/// How long the thread waits for a message before it looks whether it is over.
const PATIENCE: Duration = Duration::from_millis(250);
/// The longest message that is told from longer ones.
const LONGEST: usize = 64 << 10;
/// What waits for a poll at most.
const MAX_BYTES: usize = 1 << 20;
const MAX_TABLE: u64 = 1 << 20;
