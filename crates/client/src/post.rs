//! The methods of devices as POSTs of bytes (DDKG-1 §11.1), over HTTP/1.1. What the bytes say is the caller's to know.

use crate::cause::unreached;
use crate::error::ConnectError;
use crate::way::{Settings, Way};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderValue};
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::time::Duration;
use tokio::time::timeout;
use wardein_domain::RenewalWindow;

/// The authority at an endpoint. It is reached when it is first needed, and again after it was lost.
pub struct Poster {
    way: Way,
    endpoint: String,
    time: Duration,
    connection: Option<SendRequest<Full<Bytes>>>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// Its HTTP status.
    pub status: u16,
    /// Whether its header says that the device is to carry out a transfer (DDKG-1 §6.2).
    pub transfer_due: bool,
    /// When the certificate in it is to be renewed, as its header says (DDKG-1 §11.3).
    pub renewal: Option<RenewalWindow>,
    /// Its body.
    pub body: Vec<u8>,
}

type Fault = Box<dyn Error + Send + Sync>;

impl Poster {
    /// One that posts as `settings` say.
    pub fn new(settings: &Settings) -> Result<Self, ConnectError> {
        let (way, _) = Way::new(settings, b"http/1.1")?;
        Ok(Self {
            way,
            endpoint: settings.endpoint.clone(),
            time: settings.request_timeout,
            connection: None,
        })
    }

    /// Posts `message` to `path`.
    pub async fn post(&mut self, path: &'static str, message: Vec<u8>) -> Result<Posted, ConnectError> {
        let message = Bytes::from(message);
        if let Some(kept) = self.connection.take().filter(|kept| !kept.is_closed()) {
            // A server may close a kept connection at any time (RFC 9112 §9.3.1), and every request is safe to send twice.
            if let Ok(posted) = self.send(kept, path, message.clone()).await {
                return Ok(posted);
            }
        }
        let stream = self.way.go().await.map_err(|error| unreached(&self.endpoint, error))?;
        let mut http = Builder::new();
        http.max_buf_size(MAX_HEAD);
        let fresh = http.handshake(TokioIo::new(stream)).await;
        let (fresh, connection) = fresh.map_err(|error| unreached(&self.endpoint, error))?;
        drop(tokio::spawn(connection));
        let posted = self.send(fresh, path, message).await;
        posted.map_err(|error| unreached(&self.endpoint, error))
    }

    async fn send(
        &mut self,
        mut connection: SendRequest<Full<Bytes>>,
        path: &'static str,
        message: Bytes,
    ) -> Result<Posted, Fault> {
        let request = Request::post(path)
            .header(HOST, self.way.authority.as_str())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))
            .body(Full::new(message))?;
        let answering = async {
            let answer: Response<Incoming> = connection.send_request(request).await?;
            let status = answer.status().as_u16();
            let transfer_due = answer.headers().get(TRANSFER_DUE).is_some_and(|value| value == "1");
            let renewal = answer.headers().get(RENEWAL).and_then(|value| value.to_str().ok()?.parse().ok());
            let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await?.to_bytes();
            Ok::<_, Fault>(Posted { status, transfer_due, renewal, body: body.into() })
        };
        let posted = timeout(self.time, answering).await.map_err(|_| "no answer in time")??;
        self.connection = Some(connection);
        Ok(posted)
    }
}

const TRANSFER_DUE: &str = "wardein-transfer-due";
const RENEWAL: &str = "wardein-renewal";

/// The head of an answer.
const MAX_HEAD: usize = 16 * 1024;

/// A reply of 1 MiB, and what is around it.
const MAX_ANSWER: usize = (1 << 20) + 1024;
