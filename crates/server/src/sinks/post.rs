//! POST of lines of JSON (NDJSON) to a receiver over HTTPS. A batch is taken if the answer is 2xx; no redirection is followed, and
//! no proxy is asked.

use super::{Failure, Line, Tls, config};
use crate::run::HTTP1;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderValue, Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;

/// The way to a receiver.
pub(super) struct Post {
    uri: Uri,
    tls: Tls,
    authorization: Option<HeaderValue>,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Post {
    /// The way to `uri`, with the value of `Authorization` that is in a file.
    pub(super) fn new(uri: &Uri, tls: Tls, authorization: Option<&Path>) -> Result<Self, Failure> {
        let header = |path: &Path| -> Result<HeaderValue, Failure> {
            let text = super::tls::private(path)?;
            let mut value = HeaderValue::from_bytes(text.expose().trim_ascii()).map_err(|_| {
                Failure::Material(format!("{}: it is not the value of a header", path.display()))
            })?;
            value.set_sensitive(true);
            Ok(value)
        };
        let authorization = authorization.map(header).transpose()?;
        Ok(Self { uri: uri.clone(), tls, authorization, connection: None })
    }

    pub(super) async fn send(&mut self, lines: &[Line]) -> Result<(), Failure> {
        let mut body = String::new();
        for line in lines {
            body.push_str(&line.json);
            body.push('\n');
        }
        let body = Bytes::from(body);
        if let Some(kept) = self.connection.take().filter(|kept| !kept.is_closed()) {
            // A server may close a kept connection at any time (RFC 9112 §9.3.1), and entries may come twice.
            match self.over(kept, body.clone()).await {
                Err(Failure::Http(_)) => {}
                answered => return answered,
            }
        }
        let fresh = self.connect().await?;
        self.over(fresh, body).await
    }

    async fn over(&mut self, mut connection: SendRequest<Full<Bytes>>, body: Bytes) -> Result<(), Failure> {
        let authority = self.uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request =
            Request::post(path).header(HOST, authority).header(CONTENT_TYPE, "application/x-ndjson");
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request
            .body(Full::new(body))
            .map_err(|_| Failure::Material(format!("{} cannot be posted to", self.uri)))?;
        let answer = connection.send_request(request).await.map_err(Failure::Http)?;
        let status = answer.status();
        // What it says is of no account; a connection with the rest of it is not used again.
        let rest = Limited::new(answer.into_body(), MOST_OF_ANSWER).collect();
        if let Ok(Ok(_)) = timeout(TIME_OF_REST, rest).await {
            self.connection = Some(connection);
        }
        if status.is_success() { Ok(()) } else { Err(Failure::Answered(status)) }
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Failure> {
        let host = config::bare(self.uri.host().unwrap_or_default());
        let port = self.uri.port_u16().unwrap_or(443);
        let stream = self.tls.connect(host, port, &[HTTP1]).await?;
        let mut http = Builder::new();
        http.max_buf_size(MOST_OF_HEAD);
        let (sender, connection) = http.handshake(TokioIo::new(stream)).await.map_err(Failure::Http)?;
        drop(tokio::spawn(connection));
        Ok(sender)
    }
}

/// For the rest of an answer behind its head.
const TIME_OF_REST: Duration = Duration::from_secs(1);

/// Bytes of an answer that are read.
const MOST_OF_ANSWER: usize = 64 * 1024;

const MOST_OF_HEAD: usize = 16 * 1024;
