//! HTTPS: connections within their places and times, and the stop in order.

use crate::answer::answer;
use crate::authority::Authority;
use crate::places::{Devices, Handshakes, Place};
use crate::receiver::{Receiver, Sender};
use crate::tls::{Identity, Shown, TlsError, configuration};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// A receiver that is served over HTTPS.
pub struct Server<A> {
    listener: TcpListener,
    door: Door<A>,
    shown: Arc<Shown>,
}

/// Why a receiver cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The port cannot be had.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// What connections are taken in with.
struct Door<A> {
    receiver: Receiver<A>,
    tls: TlsAcceptor,
    handshakes: Arc<Handshakes>,
    devices: Arc<Devices>,
}

impl<A> Clone for Door<A> {
    fn clone(&self) -> Self {
        Self {
            receiver: self.receiver.clone(),
            tls: self.tls.clone(),
            handshakes: self.handshakes.clone(),
            devices: self.devices.clone(),
        }
    }
}

impl<A: Authority> Server<A> {
    /// Takes the port, for at most so many connections of devices at one time.
    pub async fn bind(
        address: SocketAddr,
        identity: Identity,
        connections: usize,
        receiver: Receiver<A>,
    ) -> Result<Self, ServeError> {
        let shown = Shown::read(identity)?;
        let tls = TlsAcceptor::from(Arc::new(configuration(shown.clone(), &receiver.0.roots)?));
        let listener =
            TcpListener::bind(address).await.map_err(|source| ServeError::Bind { address, source })?;
        let handshakes = Handshakes::new(HANDSHAKES, HANDSHAKES_PER_ADDRESS);
        let devices = Devices::new(connections, CONNECTIONS_PER_DEVICE);
        Ok(Self { listener, door: Door { receiver, tls, handshakes, devices }, shown })
    }

    /// Where it listens; the port is the one that the system chose where 0 was asked for.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown` is done, then takes no more connections, finishes requests within 20 seconds, and returns.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let Self { listener, door, shown } = self;
        let (stop, stopping) = watch::channel(false);
        let mut connections = JoinSet::new();
        let (mut shutdown, mut reloading) = (pin!(shutdown), pin!(reload(shown)));
        loop {
            let accepted = tokio::select! {
                () = shutdown.as_mut() => break,
                () = reloading.as_mut() => break,
                Some(_) = connections.join_next() => continue,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => match door.handshakes.enter(key_of(address.ip())) {
                    Some(place) => {
                        let serving = door.clone().serve(stream, address, place, stopping.clone());
                        drop(connections.spawn(serving));
                    }
                    None => tracing::debug!(%address, "connection refused: too many handshakes"),
                },
                Err(error) => {
                    // Out of file descriptors, mostly. Others may be closed in a moment; spinning would not help them.
                    tracing::warn!(%error, "no connection could be accepted");
                    sleep(Duration::from_millis(50)).await;
                }
            }
        }
        drop(listener);
        stop.send_replace(true);
        let finished = async { while connections.join_next().await.is_some() {} };
        if timeout(SHUTDOWN_TIME, finished).await.is_err() {
            tracing::warn!("stopped with unfinished deliveries: devices deliver them again");
        }
    }
}

impl<A: Authority> Door<A> {
    /// Serves a connection until it ends.
    async fn serve(
        self,
        stream: TcpStream,
        address: SocketAddr,
        handshake: Place<IpAddr>,
        mut stopping: watch::Receiver<bool>,
    ) {
        let accepting = async {
            stream.set_nodelay(true)?;
            self.tls.accept(stream).await
        };
        let stream = match timeout(HANDSHAKE_TIME, accepting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return tracing::debug!(%address, %error, "handshake refused"),
            Err(_) => return tracing::debug!(%address, "no handshake in time"),
        };
        let sender = {
            let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
            let chain: Vec<&[u8]> = shown.iter().map(AsRef::as_ref).collect();
            let roots: Vec<&[u8]> = self.receiver.0.roots.iter().map(Vec::as_slice).collect();
            match Sender::of(&chain, &roots) {
                Ok(sender) => sender,
                Err(error) => return tracing::debug!(%address, %error, "the certificate is not a device's"),
            }
        };
        let Some(_place) = self.devices.enter(sender.device().clone()) else {
            return tracing::warn!(%address, device = %sender.device().device, "connection refused: too many");
        };
        drop(handshake);
        let (receiver, sender) = (&self.receiver, &sender);
        let service = service_fn(move |request: Request<Incoming>| async move {
            Ok::<_, Infallible>(answer(receiver, sender, request).await)
        });
        let mut http = http1::Builder::new();
        // The time for a head is that of an idle connection, too.
        http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_buf_size(MAX_HEAD).max_headers(32);
        let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
        // An error concerns its peer alone.
        tokio::select! {
            _ = connection.as_mut() => return,
            // An error means that the sender has gone, which is the same.
            _ = stopping.wait_for(|is_stopping| *is_stopping) => {}
            () = sleep(CONNECTION_AGE) => {}
        }
        connection.as_mut().graceful_shutdown();
        drop(timeout(LEAVE_TIME, connection).await);
    }
}

/// Reads the certificate again from time to time.
async fn reload(shown: Arc<Shown>) {
    loop {
        sleep(LOOK).await;
        match shown.reload() {
            Ok(false) => {}
            Ok(true) => tracing::info!("the certificate was renewed"),
            Err(error) => tracing::warn!(%error, "the certificate cannot be read again; the former is shown"),
        }
    }
}

/// An IPv6 host has its whole /64 network.
fn key_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        address => address,
    }
}

const HANDSHAKES: usize = 128;
/// A hospital's devices come from one address.
const HANDSHAKES_PER_ADDRESS: usize = 32;
const CONNECTIONS_PER_DEVICE: usize = 4;
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
const HEAD_TIME: Duration = Duration::from_secs(30);
const MAX_HEAD: usize = 16 * 1024;
/// After that its device shows its certificate again.
const CONNECTION_AGE: Duration = Duration::from_secs(1_800);
/// For the request in hand; the longest takes [`crate::Limits::body_time`].
const LEAVE_TIME: Duration = Duration::from_secs(960);
const SHUTDOWN_TIME: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_secs(60);
