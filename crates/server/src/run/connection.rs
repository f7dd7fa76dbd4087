//! A connection from its handshake to its end.
//!
//! Not by tonic's own server: it gives every connection the same windows, ends none that is idle, and forces one out at its age
//! without asking it to go first.

use super::accept::{Taken, Turns};
use super::patient::Patient;
use super::places::Place;
use super::tls::OperatorsCa;
use crate::config::Limits;
use crate::edge::flood::Kind;
use crate::edge::line::{Asked, Line};
use crate::edge::peer::{Claim, Peer, PeerParts};
use crate::edge::{Behind, Edge, EdgeParts, Shared};
use crate::grpc::panic::Caught;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::CertificateDer;
use std::io;
use std::net::{SocketAddr, TcpStream as StdStream};
use std::os::fd::AsFd;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::service::Routes;
use wardein_crypto::Digest;
use wardein_domain::TrustDomain;

/// What a thread serves its connections with.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) shared: Arc<Shared>,
    pub(crate) routes: Caught<Routes>,
}

/// What a thread takes connections in with that may be anybody's.
#[derive(Clone)]
pub(crate) struct OuterDoor {
    pub(crate) door: Door,
    pub(crate) tls: TlsAcceptor,
    pub(crate) domain: Arc<TrustDomain>,
    /// Whose certificates are operators'.
    pub(crate) issued: Arc<OperatorsCa>,
    /// The threads that serve operators.
    pub(crate) operators: Turns<Known>,
}

/// An operator's connection, on its way to a thread that serves no others.
pub(crate) struct Known {
    stream: Tls,
    peer: Peer,
    place: Place,
}

pub(super) type Tls = TlsStream<TcpStream>;

impl OuterDoor {
    /// Serves a connection until it ends, or hands it on.
    pub(crate) async fn serve(self, Taken { stream, address, place }: Taken) {
        let Self { door, tls, domain, issued, operators } = self;
        let shared = &door.shared;
        let Some(stream) = shake(shared, &tls, (stream, address), &place.line).await else { return };
        let peer = peer(&stream, address, &domain, |der| issued.issued(der, shared.engine.now()));
        let is_operators = match &peer.0.claim {
            Claim::Operator(principal) => shared.engine.authenticate(principal).await.is_ok(),
            Claim::Nobody | Claim::Other => false,
        };
        let known = Known { stream, peer, place };
        if !is_operators {
            return door.serve(known, false).await;
        }
        known.place.is_operators();
        if operators.deal(known).is_err() {
            shared.metrics.rejected("backlog");
        }
    }
}

/// The server's half of a handshake, within its time.
pub(super) async fn shake(
    shared: &Shared,
    tls: &TlsAcceptor,
    (stream, address): (StdStream, SocketAddr),
    line: &Line,
) -> Option<Tls> {
    let (limits, metrics) = (&shared.limits, &shared.metrics);
    let handshake = async {
        let stream = TcpStream::from_std(stream)?;
        stream.set_nodelay(true)?;
        tls.accept(stream).await
    };
    let shaken = tokio::select! {
        shaken = timeout(limits.handshake_time, handshake) => shaken,
        _ = line.asked() => return None,
    };
    match shaken {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            metrics.rejected("handshake");
            if shared.floods.is_first(Kind::Handshake, || format!("{address}: {error}")) {
                tracing::info!(peer = %address, %error, "handshake refused");
            } else {
                tracing::debug!(peer = %address, %error, "handshake refused");
            }
            None
        }
        Err(_) => {
            metrics.rejected("handshake-timeout");
            None
        }
    }
}

impl Door {
    /// Serves an operator's connection until it ends.
    pub(crate) async fn serve_operator(self, mut known: Known) {
        match moved_here(known.stream.get_ref().0) {
            Ok(stream) => *known.stream.get_mut().0 = stream,
            Err(error) => return tracing::warn!(%error, "a connection was lost"),
        }
        self.serve(known, true).await;
    }

    async fn serve(self, Known { stream, peer, place }: Known, is_operators: bool) {
        let Self { shared, routes } = self;
        let line = &place.line;
        let behind = Behind::Services(routes);
        let parts = EdgeParts { shared: shared.clone(), behind, peer, line: line.clone(), is_operators };
        let reason = serve(stream, Edge::new(parts), &shared.limits, line, is_operators).await;
        if let Some(reason) = reason {
            shared.metrics.rejected(reason);
        }
    }
}

/// The stream, woken by this thread's runtime from now on; the one given is to be dropped.
fn moved_here(stream: &TcpStream) -> io::Result<TcpStream> {
    TcpStream::from_std(StdStream::from(stream.as_fd().try_clone_to_owned()?))
}

/// The peer, as its certificate identifies it.
fn peer(
    stream: &Tls,
    address: SocketAddr,
    domain: &TrustDomain,
    is_issued: impl FnOnce(&CertificateDer<'_>) -> bool,
) -> Peer {
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let claim = match certificate {
        None => Claim::Nobody,
        Some(certificate) => match wardein_pki::parse_operator(domain, certificate) {
            Ok(operator) if is_issued(certificate) => Claim::Operator(operator.principal),
            Ok(_) | Err(_) => Claim::Other,
        },
    };
    let certificate = certificate.map(|certificate| Digest::of(certificate).0);
    Peer(Arc::new(PeerParts { address, certificate, claim }))
}

/// Serves the calls of a connection. Why it was cut, if it was for something that its peer did or left undone.
///
/// HTTP/2 is spoken where it was agreed on (RFC 9113 §3.2), and HTTP/1.1 elsewhere, for what is posted: gRPC has no form there.
pub(super) async fn serve(
    stream: Tls,
    edge: Edge,
    limits: &Limits,
    line: &Line,
    is_operators: bool,
) -> Option<&'static str> {
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
    let stream = TokioIo::new(Patient::new(stream, limits.write_time));
    if !is_http2 {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            // That of a connection without a call, as it is for HTTP/2: `Life` ends one before it.
            .header_read_timeout(limits.idle_time)
            .max_header_size(limits.header_bytes as usize)
            .max_buf_size(HTTP1_BUFFER);
        return live(http.serve_connection(stream, edge), limits, line, is_operators).await;
    }
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .max_header_list_size(limits.header_bytes)
        .max_concurrent_streams(limits.calls_per_connection);
    if !is_operators {
        http.max_concurrent_streams(limits.open_calls_per_connection)
            .initial_connection_window_size(OPEN_WINDOW)
            .initial_stream_window_size(OPEN_WINDOW)
            .max_send_buf_size(OPEN_WINDOW as usize);
    }
    live(http.serve_connection(stream, edge), limits, line, is_operators).await
}

/// A connection of either version of HTTP.
trait Serving: Future {
    /// Has it take no more calls, and end once those in hand are finished.
    fn go(self: Pin<&mut Self>);
}

type Io = TokioIo<Patient<Tls>>;

impl Serving for http1::Connection<Io, Edge> {
    fn go(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl Serving for http2::Connection<Io, Edge, TokioExecutor> {
    fn go(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

async fn live(
    connection: impl Serving,
    limits: &Limits,
    line: &Line,
    is_operators: bool,
) -> Option<&'static str> {
    let mut connection = pin!(connection);
    let mut life = Life::new(limits, line, is_operators);
    let mut look = pin!(sleep(life.first()));
    loop {
        let next = tokio::select! {
            biased;
            // An error concerns its peer alone, and each call that it cut off has its own line.
            _ = connection.as_mut() => return None,
            asked = line.asked() => match asked {
                Asked::Cut => return None,
                Asked::Go => life.go(),
            },
            () = look.as_mut() => life.look(),
        };
        match next {
            Next::Look(after) => look.as_mut().reset(Instant::now() + after),
            Next::Go(after) => {
                connection.as_mut().go();
                look.as_mut().reset(Instant::now() + after);
            }
            Next::Cut(reason) => return reason,
        }
    }
}

/// What becomes of a connection, looked at from time to time.
struct Life<'a> {
    limits: &'a Limits,
    line: &'a Line,
    is_operators: bool,
    began: Instant,
    /// Set once it was asked to go.
    going: Option<Instant>,
    /// How many calls had begun at the last look, and for how long there was none since.
    begun: usize,
    quiet: Duration,
}

enum Next {
    /// Look again.
    Look(Duration),
    /// Ask it to go, and look again.
    Go(Duration),
    Cut(Option<&'static str>),
}

impl<'a> Life<'a> {
    fn new(limits: &'a Limits, line: &'a Line, is_operators: bool) -> Self {
        let (quiet, going) = (Duration::ZERO, None);
        Self { limits, line, is_operators, began: Instant::now(), going, begun: 0, quiet }
    }

    /// When to look for the first time.
    fn first(&self) -> Duration {
        self.limits.first_call_time
    }

    /// A peer has this much time to take some of each answer.
    fn turn(&self) -> Duration {
        if self.is_operators { self.limits.stream_idle_time } else { self.limits.open_answer_time }
    }

    fn go(&mut self) -> Next {
        if self.line.begun() == 0 {
            return Next::Cut(None);
        }
        self.going.get_or_insert_with(Instant::now);
        Next::Go(LEAVE_TIME)
    }

    fn look(&mut self) -> Next {
        let (is_quiet, begun, turn) = (self.line.is_quiet(), self.line.begun(), self.turn());
        if begun == 0 {
            return Next::Cut(Some("no-call"));
        }
        if let Some(since) = self.going {
            // An operator's stream may go on for hours, and ends by itself if its peer takes nothing of it.
            let is_over = !self.is_operators && since.elapsed() >= self.limits.request_time;
            if is_quiet || is_over {
                return Next::Cut(None);
            }
            if !self.is_operators {
                return Next::Look(LEAVE_TIME);
            }
        }
        if self.line.next_turn() {
            return Next::Cut(Some("answer-not-taken"));
        }
        if self.going.is_some() {
            return Next::Look(turn);
        }
        self.quiet = if is_quiet && begun == self.begun { self.quiet + turn } else { Duration::ZERO };
        self.begun = begun;
        if self.quiet >= self.limits.idle_time || self.began.elapsed() >= self.limits.connection_age {
            return self.go();
        }
        Next::Look(turn)
    }
}

const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// What an open connection may send ahead of us, and we ahead of it: the least that there is (RFC 9113 §6.9.2).
const OPEN_WINDOW: u32 = 65_535;

/// HTTP/2 in ALPN (RFC 7301).
pub(super) const HTTP2: &[u8] = b"h2";

/// HTTP/1.1 there.
pub(crate) const HTTP1: &[u8] = b"http/1.1";

/// What an HTTP/1.1 connection reads ahead: as much as a whole request to any method.
const HTTP1_BUFFER: usize = 32 * 1024;

/// The time that a connection without a call has to go by itself once it was asked to.
const LEAVE_TIME: Duration = Duration::from_secs(5);
