//! Where the server listens, and its limits.

use std::net::SocketAddr;
use std::time::Duration;
use wardein_pki::ServerName;
use wardein_pki::est::Lines;

/// Where the server listens, and as whom.
#[derive(Debug, Clone)]
pub struct Config {
    /// gRPC over TLS.
    pub listen: SocketAddr,
    /// Metrics, health and the trust bundle over plain HTTP: nothing in them is secret, and nothing can be changed there.
    pub http: SocketAddr,
    /// The names by which clients reach the server; its certificate says them.
    pub names: Vec<ServerName>,
    /// Where clients reach it, `https://HOST:PORT`: what is said to those who ask.
    pub endpoint: String,
    /// EST, which is not served where there is none.
    pub est: Option<EstConfig>,
    /// How many keys of RSA of each size are made ahead for devices that cannot make one; 0 where no keys are made for devices.
    pub made_keys: usize,
    /// Threads that serve devices, and as many that serve operators; 0 for one of each per core.
    pub workers: usize,
    /// The kind of store, as `GetStatus` is to say it.
    pub store_name: &'static str,
    /// The limits.
    pub limits: Limits,
}

/// How EST is served (RFC 7030).
#[derive(Debug, Clone, Copy)]
pub struct EstConfig {
    /// Where, over TLS 1.2 and 1.3.
    pub listen: SocketAddr,
    /// How the base64 of answers is broken into lines.
    pub lines: Lines,
}

/// The limits on one peer, and on all together.
///
/// *Open* is what comes over a connection without the certificate of an operator who may call. A quarter of the calls, and of the
/// connections, is for operators alone.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The most bytes of a request's headers.
    pub header_bytes: u32,
    /// The most bytes of messages that are in hand at one time. The first 2 KiB of each are not counted: the bound on calls is
    /// their bound.
    pub body_bytes: usize,
    /// Those of open calls.
    pub open_body_bytes: usize,
    /// Those of open calls from one address.
    pub open_body_bytes_per_address: usize,
    /// The most time for the message of an open call to come.
    pub open_body_time: Duration,
    /// The most calls at one time, streams included, each until its answer was taken.
    pub calls: usize,
    /// The most open ones from one address.
    pub open_calls_per_address: usize,
    /// The most calls at one time on one connection of an operator.
    pub calls_per_connection: u32,
    /// Those on an open one.
    pub open_calls_per_connection: u32,
    /// The most streams that need no certificate, such as those that watch health.
    pub public_streams: usize,
    /// Those from one address.
    pub public_streams_per_address: usize,
    /// Those on one connection.
    pub public_streams_per_connection: usize,
    /// How long such a stream goes on.
    pub public_stream_time: Duration,
    /// The most messages of one enrollment stream that are worked on at one time.
    pub stream_in_flight: usize,
    /// The most streams of one operator that watch or ask in batches, whichever of its certificates they are under.
    pub streams_per_operator: usize,
    /// Those of one tenant's operators.
    pub streams_per_tenant: usize,
    /// The most connections.
    pub connections: usize,
    /// The most connections of one address.
    pub connections_per_address: usize,
    /// The most time for a TLS handshake.
    pub handshake_time: Duration,
    /// The most time from the handshake to the first call.
    pub first_call_time: Duration,
    /// How long a connection may be without a call after that.
    pub idle_time: Duration,
    /// The most time in which an open connection takes nothing of an answer.
    pub open_answer_time: Duration,
    /// The most time in which a peer's network takes nothing of what is sent to it.
    pub write_time: Duration,
    /// The most time for a call, from its headers to its answer.
    pub request_time: Duration,
    /// The most time in which nothing comes on a stream whose messages are all answered, and in which an operator takes nothing
    /// of an answer.
    pub stream_idle_time: Duration,
    /// The age at which a connection is asked to go, so that none holds its place for good. Its running calls are finished.
    pub connection_age: Duration,
    /// The time between two sweeps that the server does by itself.
    pub sweep_every: Duration,
    /// How many devices a second such a sweep looks at; at least 1.
    pub sweep_per_second: u32,
    /// Bytes that the store may have to keep for a backup in progress before it is aborted: they fill the disk.
    pub backup_held: u64,
    /// How soon the server tries again to renew its certificate where that failed.
    pub renewal_check: Duration,
    /// The most time that a stop waits for running calls.
    pub shutdown_time: Duration,
    /// Calls of open methods, by the peer's address.
    pub open: Rate,
    /// Calls of an operator, by the serial of its certificate; more wait a moment, and are refused only where many wait.
    pub operator: Rate,
}

impl Config {
    /// How many threads serve devices, and how many operators.
    pub(crate) fn threads(&self) -> usize {
        match self.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            count => count,
        }
    }
}

impl Limits {
    /// The open files that the limits can come to: a file for each connection, those that are being shed or wait for a thread, the
    /// HTTP port's, and what the store, the log and the runtimes have open.
    pub fn open_files(&self) -> u64 {
        (self.connections + LEAVING + crate::http::CONNECTIONS + OWN_FILES) as u64
    }

    /// What is left to open calls and connections, of so many in all.
    pub(crate) fn open_share(all: usize) -> usize {
        (all - all / 4).max(1)
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
            header_bytes: 16 * 1024,
            body_bytes: 128 << 20,
            open_body_bytes: 32 << 20,
            open_body_bytes_per_address: 8 << 20,
            open_body_time: Duration::from_secs(5),
            calls: 16_384,
            // Behind one address may be a whole hospital, but its calls take milliseconds.
            open_calls_per_address: 1_024,
            calls_per_connection: 256,
            // A device makes one call after the other.
            open_calls_per_connection: 32,
            public_streams: 256,
            public_streams_per_address: 16,
            public_streams_per_connection: 4,
            public_stream_time: Duration::from_secs(300),
            stream_in_flight: 256,
            streams_per_operator: 1_024,
            streams_per_tenant: 2_048,
            connections: 8_192,
            // A hospital's devices may all come through one address; they need their connections for seconds.
            connections_per_address: 1_024,
            handshake_time: Duration::from_secs(10),
            first_call_time: Duration::from_secs(15),
            // Below the 350 s after which balancers forget a connection, and not what somebody would call at intervals of.
            idle_time: Duration::from_secs(200),
            open_answer_time: Duration::from_secs(10),
            write_time: Duration::from_secs(20),
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
            operator: Rate { per_second: 20_000, burst: 500 },
        }
    }
}

/// Connections over the bound that are being shed, or wait for the thread that is to serve them.
pub(crate) const LEAVING: usize = 1_024;

/// What the store, the log, the signals and the runtimes (two a core, some three files each) have open, with room to spare.
const OWN_FILES: usize = 512;
