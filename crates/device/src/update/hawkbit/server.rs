//! The server: few connections on the loopback interface, each request bounded in size and time.

use super::action::{Action, Place};
use super::content::{Content, HandedOut};
use super::feedback::Feedback;
use super::token::Judge;
use crate::error::Error;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

/// An address with a port that only programs of this device reach, such as `127.0.0.1:8090`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoopbackAddress(SocketAddr);

/// The address is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a port of the loopback interface, such as 127.0.0.1:8090: other machines must not reach it")]
pub struct NotLoopback;

/// A place to listen at.
pub struct Loopback {
    listener: TcpListener,
    address: SocketAddr,
}

/// What all connections share.
pub(super) struct Desk {
    action: Action,
    base: String,
    token: Judge,
    /// Whether the artifact was handed out to its end.
    handed_out: AtomicBool,
    /// When a client with the token last asked for something, or got a piece of the artifact.
    asked: Mutex<Instant>,
}

/// A message, and where its answer goes.
type Said = (Feedback, oneshot::Sender<StatusCode>);

impl FromStr for LoopbackAddress {
    type Err = NotLoopback;

    fn from_str(text: &str) -> Result<Self, NotLoopback> {
        let address: SocketAddr = text.parse().map_err(|_| NotLoopback)?;
        address.ip().is_loopback().then_some(Self(address)).ok_or(NotLoopback)
    }
}

impl Loopback {
    /// How long nobody may ask before it is given up: a client polls every few seconds, and reads the artifact while it writes.
    pub const PATIENCE: Duration = Duration::from_secs(15 * 60);

    /// Listens at `address`.
    pub async fn bind(LoopbackAddress(address): LoopbackAddress) -> Result<Self, Error> {
        let failed = |source| Error::File { doing: "listen at", path: address.to_string().into(), source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Desk {
    pub(super) fn new(action: Action, address: SocketAddr, token: Judge) -> Arc<Self> {
        Arc::new(Self {
            action,
            base: format!("http://{address}"),
            token,
            handed_out: AtomicBool::new(false),
            asked: Mutex::new(Instant::now()),
        })
    }

    pub(super) fn was_handed_out(&self) {
        self.handed_out.store(true, Ordering::Release);
    }

    pub(super) fn is_asked(&self) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn last_asked(&self) -> Instant {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves until `judge`, which has each message and whether the artifact was handed out before it, says that it was the last one,
/// and the client has been quiet for a moment; or until nobody has asked for [`Loopback::PATIENCE`].
pub(super) async fn serve(
    listener: Loopback,
    desk: Arc<Desk>,
    judge: &mut dyn FnMut(Feedback, bool) -> Result<(StatusCode, bool), Error>,
) -> Result<(), Error> {
    let (say, mut said) = mpsc::channel::<Said>(CONNECTIONS);
    let seats = Arc::new(Semaphore::new(CONNECTIONS));
    let mut is_over = false;
    loop {
        let until = desk.last_asked() + if is_over { QUIET } else { Loopback::PATIENCE };
        tokio::select! {
            accepted = listener.listener.accept() => {
                // Who finds no seat is hung up on, and comes again with the next poll.
                if let (Ok((stream, _)), Ok(seat)) = (accepted, seats.clone().try_acquire_owned()) {
                    let (desk, say) = (desk.clone(), say.clone());
                    drop(tokio::spawn(async move {
                        converse(stream, desk, say).await;
                        drop(seat);
                    }));
                }
            }
            Some((feedback, answer)) = said.recv() => {
                let judged = judge(feedback, desk.handed_out.load(Ordering::Acquire));
                let status = judged.as_ref().map_or(StatusCode::INTERNAL_SERVER_ERROR, |(status, _)| *status);
                // A client that has gone meanwhile hears nothing; what it said counts.
                answer.send(status).ok();
                is_over |= judged?.1;
            }
            () = sleep_until(until) => {
                if desk.last_asked() + if is_over { QUIET } else { Loopback::PATIENCE } <= Instant::now() {
                    return Ok(());
                }
            }
        }
    }
}

async fn converse(stream: TcpStream, desk: Arc<Desk>, say: mpsc::Sender<Said>) {
    let service = service_fn(move |request| {
        let (desk, say) = (desk.clone(), say.clone());
        async move { Ok::<_, Infallible>(answer(&desk, &say, request).await) }
    });
    let mut http = Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(READING).max_buf_size(MAX_HEAD);
    if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection of an updater ended");
    }
}

async fn answer(desk: &Arc<Desk>, say: &mpsc::Sender<Said>, request: Request<Incoming>) -> Response<Content> {
    let authorization = request.headers().get(AUTHORIZATION).map_or(b"".as_slice(), |value| value.as_bytes());
    if !desk.token.is_right(authorization) {
        return plain(StatusCode::UNAUTHORIZED);
    }
    desk.is_asked();
    let place = desk.action.place(request.uri().path());
    match (place, request.method()) {
        (None, _) => plain(StatusCode::NOT_FOUND),
        (Some(Place::Poll), &Method::GET) => json(&desk.action.poll(&desk.base)),
        (Some(Place::Deployment), &Method::GET) => json(&desk.action.deployment(&desk.base)),
        (Some(Place::Artifact), &Method::GET) => {
            let Some(artifact) = desk.action.artifact() else { return plain(StatusCode::NOT_FOUND) };
            match HandedOut::open(desk, artifact) {
                Ok(file) => Response::new(Content::Artifact(Box::new(file))),
                Err(error) => {
                    tracing::warn!(%error, "the artifact cannot be opened");
                    plain(StatusCode::INTERNAL_SERVER_ERROR)
                }
            }
        }
        (Some(Place::Feedback), &Method::POST) => {
            let body = Limited::new(request.into_body(), Feedback::MAX_LEN).collect();
            let Ok(Ok(body)) = timeout(READING, body).await else { return plain(StatusCode::BAD_REQUEST) };
            let Some(feedback) = Feedback::read(&body.to_bytes()) else {
                return plain(StatusCode::BAD_REQUEST);
            };
            let (answer, answered) = oneshot::channel();
            match say.send((feedback, answer)).await {
                Ok(()) => plain(answered.await.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)),
                Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR),
            }
        }
        (Some(_), _) => plain(StatusCode::METHOD_NOT_ALLOWED),
    }
}

fn plain(status: StatusCode) -> Response<Content> {
    let mut response = Response::new(Content::Text(Bytes::new()));
    *response.status_mut() = status;
    response
}

fn json(value: &serde_json::Value) -> Response<Content> {
    let mut response = Response::new(Content::Text(value.to_string().into()));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/hal+json"));
    response
}

/// SWUpdate has two at a time.
const CONNECTIONS: usize = 8;
/// For the head of a request, and for its body.
const READING: Duration = Duration::from_secs(10);
const MAX_HEAD: usize = 16 << 10;
/// How long a client is quiet before its last message is taken for its last.
const QUIET: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_other_machine_reaches_it() {
        for good in ["127.0.0.1:8090", "127.1.2.3:1", "[::1]:8090"] {
            assert!(good.parse::<LoopbackAddress>().is_ok(), "{good}");
        }
        for bad in [
            "0.0.0.0:8090",
            "192.0.2.1:8090",
            "[::]:8090",
            "[::ffff:127.0.0.1]:8090",
            "localhost:8090",
            "127.0.0.1",
            "8090",
            "",
        ] {
            assert_eq!(bad.parse::<LoopbackAddress>(), Err(NotLoopback), "{bad}");
        }
    }
}
