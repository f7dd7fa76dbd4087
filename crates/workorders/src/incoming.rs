//! The listener for another system than Salesforce: `POST /v1/work-orders`, signed as Standard Webhooks has it.
//!
//! Without TLS, and on loopback unless it is configured otherwise: a proxy in front has the certificate. Nothing is believed by
//! where it came from.

mod message;

use crate::config::Source;
use crate::desk::Desk;
use crate::error::Error;
use crate::signature::{SignatureError, WebhookKey};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use message::order;
use serde_json::json;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio::time::{sleep, timeout};
use wardein_client::unix_now;

/// The listener.
pub struct Listener {
    listener: TcpListener,
    inlet: Arc<Inlet>,
}

struct Inlet {
    desk: Arc<Desk>,
    key: WebhookKey,
    /// Notified of each order that was taken.
    taken: Arc<Notify>,
}

/// Why a message is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refused {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Listener {
    /// Binds the address of the configuration; none where orders come from Salesforce. `taken` is notified of each order that came.
    pub async fn bind(desk: &Arc<Desk>, taken: &Arc<Notify>) -> Result<Option<Self>, Error> {
        let Source::Webhook(config) = &desk.config.source else { return Ok(None) };
        let key = WebhookKey::read("secret_file", &config.secret_file)?;
        let listener = TcpListener::bind(config.listen).await;
        let listener =
            listener.map_err(|error| Error::config("listen", format_args!("{}: {error}", config.listen)))?;
        if !config.listen.ip().is_loopback() {
            tracing::warn!(listen = %config.listen, "orders come over HTTP without TLS from other machines; put a proxy with TLS before it");
        }
        let inlet = Inlet { desk: desk.clone(), key, taken: taken.clone() };
        Ok(Some(Self { listener, inlet: Arc::new(inlet) }))
    }

    /// Where it listens.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Takes messages, for good.
    pub async fn serve(self) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            // Who is not served yet waits in the system's queue.
            let Ok(place) = places.clone().acquire_owned().await else { return };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let inlet = self.inlet.clone();
                    tokio::spawn(async move {
                        serve(stream, inlet).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection was not taken");
                    sleep(PAUSE).await;
                }
            }
        }
    }
}

async fn serve(stream: TcpStream, inlet: Arc<Inlet>) {
    let service = service_fn(move |request| {
        let inlet = inlet.clone();
        async move { Ok::<_, Infallible>(inlet.answer(request).await) }
    });
    let mut http = http1::Builder::new();
    http.keep_alive(false).max_buf_size(MOST_OF_HEAD).timer(TokioTimer::new()).header_read_timeout(TIME);
    // What breaks off is sent again by who sent it.
    drop(timeout(TIME, http.serve_connection(TokioIo::new(stream), service)).await);
}

impl Inlet {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (status, body) = match self.take(request).await {
            Ok(()) => (StatusCode::ACCEPTED, json!({})),
            Err(Refused { status, code, message }) => {
                tracing::warn!(code, message, "a message was not taken");
                (status, json!({ "error": { "code": code, "message": message } }))
            }
        };
        let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }

    async fn take(&self, request: Request<Incoming>) -> Result<(), Refused> {
        let refused = |status, code, message: String| Refused { status, code, message };
        let is_path = request.uri().path() == PATH;
        match (is_path, request.method() == Method::POST) {
            (true, true) => {}
            (true, false) => {
                return Err(refused(StatusCode::METHOD_NOT_ALLOWED, "method", "POST alone is taken".into()));
            }
            (false, _) => {
                return Err(refused(StatusCode::NOT_FOUND, "path", format!("there is {PATH} alone")));
            }
        }
        let header = |name: &str| {
            let mut values = request.headers().get_all(name).iter();
            // Two of them could be read in two ways.
            let value = values.next().filter(|_| values.next().is_none());
            value.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        let (id, timestamp, signature) =
            (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
        let body = match Limited::new(request.into_body(), MOST_OF_BODY).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                let why = format!("the body has more than {MOST_OF_BODY} bytes");
                return Err(refused(StatusCode::PAYLOAD_TOO_LARGE, "too-large", why));
            }
            Err(error) => return Err(refused(StatusCode::BAD_REQUEST, "malformed", error.to_string())),
        };
        let now = unix_now();
        self.key.verify((&id, &timestamp, &signature), &body, now).map_err(|error| {
            let code = match error {
                SignatureError::Headers => "signature-headers",
                SignatureError::Stale => "stale",
                SignatureError::Wrong => "signature-wrong",
            };
            refused(StatusCode::UNAUTHORIZED, code, error.to_string())
        })?;
        if self.desk.journal.was_seen(&id) {
            let why = format!("the message {id} was taken before");
            return Err(refused(StatusCode::CONFLICT, "replayed", why));
        }
        let order = order(&body).map_err(|why| refused(StatusCode::BAD_REQUEST, "malformed", why))?;
        let fault = |error: Error| refused(StatusCode::SERVICE_UNAVAILABLE, "unavailable", error.to_string());
        // The order first: what a crash separates is sent again, and changes nothing the second time.
        self.desk.take(order).map_err(fault)?;
        let at = timestamp.parse().unwrap_or(now);
        let is_noted =
            self.desk.journal.note_seen(&id, at, now.saturating_sub(WebhookKey::TOLERANCE)).map_err(fault)?;
        if !is_noted {
            let why = "there were too many messages in the last minutes; send it again later".to_owned();
            return Err(refused(StatusCode::TOO_MANY_REQUESTS, "too-many", why));
        }
        self.taken.notify_one();
        Ok(())
    }
}

const PATH: &str = "/v1/work-orders";

/// Connections that are served at one time.
const CONNECTIONS: usize = 32;

/// For a whole request.
const TIME: Duration = Duration::from_secs(10);

const PAUSE: Duration = Duration::from_millis(200);

/// Bytes of a message: an order has less than two thousand.
const MOST_OF_BODY: usize = 64 * 1024;

const MOST_OF_HEAD: usize = 16 * 1024;
