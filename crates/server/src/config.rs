//! Where the server listens, and its limits.

use std::net::SocketAddr;
use std::time::Duration;
use wardein_pki::ServerName;

/// Where the server listens, and as whom.
#[derive(Debug, Clone)]
pub struct Config {
    /// gRPC over TLS.
    pub listen: SocketAddr,
    /// Metrics, health and the trust bundle over plain HTTP: nothing in them is secret, and nothing can be changed there.
    pub http: SocketAddr,
    /// The names by which clients reach the server; its certificate says them.
    pub names: Vec<ServerName>,
    /// Threads that serve, each with a runtime of its own; 0 for one per core.
    pub workers: usize,
    /// The kind of store, as `GetStatus` is to say it.
    pub store_name: &'static str,
    /// The limits.
    pub limits: Limits,
}

/// The limits on one peer, and on all together.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The most bytes of a message from outside. The largest of the protocol, an enrollment with 64 attributes of 4 KiB, is below
    /// it.
    pub message_bytes: usize,
    /// The most bytes of a request's headers.
    pub header_bytes: u32,
    /// The most calls that are served at one time.
    pub calls: usize,
    /// The most calls at one time on one connection.
    pub calls_per_connection: u32,
    /// The most messages of one enrollment stream that are worked on at one time.
    pub stream_in_flight: usize,
    /// The most connections.
    pub connections: usize,
    /// The most connections of one address.
    pub connections_per_address: usize,
    /// The most time for a TLS handshake.
    pub handshake_time: Duration,
    /// The most time for a call, from its headers to its answer.
    pub request_time: Duration,
    /// The most time in which nothing comes on a stream whose messages are all answered.
    pub stream_idle_time: Duration,
    /// The age at which a connection is asked to go, so that none holds its place for good. Its running calls are finished.
    pub connection_age: Duration,
    /// The time between two sweeps that the server does by itself.
    pub sweep_every: Duration,
    /// How many devices a second such a sweep looks at; at least 1.
    pub sweep_per_second: u32,
    /// Bytes that the store may have to keep for a backup in progress before it is aborted: they fill the disk.
    pub backup_held: u64,
    /// How often the server looks whether its certificate is to be renewed.
    pub renewal_check: Duration,
    /// The most time that a stop waits for running calls.
    pub shutdown_time: Duration,
    /// Calls of open methods, by the peer's address.
    pub open: Rate,
    /// Calls of an operator, by the serial of its certificate.
    pub operator: Rate,
}

impl Config {
    /// How many threads serve.
    pub(crate) fn threads(&self) -> usize {
        match self.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            count => count,
        }
    }
}

/// A rate: so many at once, and so many a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Calls a second in the long run; 0 for no bound.
    pub per_second: u32,
    /// Calls at once after a pause; at least 1.
    pub burst: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 512 * 1024,
            header_bytes: 16 * 1024,
            calls: 16_384,
            calls_per_connection: 256,
            stream_in_flight: 256,
            connections: 8_192,
            // A hospital's devices may all come through one address.
            connections_per_address: 4_096,
            handshake_time: Duration::from_secs(10),
            request_time: Duration::from_secs(20),
            stream_idle_time: Duration::from_secs(300),
            connection_age: Duration::from_secs(3_600),
            sweep_every: Duration::from_secs(86_400),
            // A million devices in less than three hours.
            sweep_per_second: 100,
            backup_held: 1 << 30,
            renewal_check: Duration::from_secs(600),
            shutdown_time: Duration::from_secs(20),
            // Behind one address may be a whole hospital that comes back from a power cut.
            open: Rate { per_second: 1_000, burst: 4_000 },
            // A platform asks for every login of every device.
            operator: Rate { per_second: 20_000, burst: 40_000 },
        }
    }
}
