//! Files by GET over HTTP/1.1 (RFC 9110), whole or from a place on. What they hold is the caller's to judge: nothing is believed because
//! of where it came from.

use crate::error::ConnectError;
use crate::way::{Settings, Way};
use bytes::Bytes;
use http::header::{CONTENT_RANGE, HOST, RANGE};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::Builder;
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A place with files, `https://HOST[:PORT]/PATH` or `http://` the same.
pub struct Fetcher {
    base: String,
    path: String,
    host: String,
    way: Road,
    time: Duration,
}

enum Road {
    Tls(Way),
    /// By the address that is dialed, without TLS and without a proxy.
    Plain(String),
}

/// A file that comes in pieces.
pub struct Fetched {
    /// From which byte on: 0 where the server has no part of a file.
    pub from: u64,
    base: String,
    body: Incoming,
    time: Duration,
}

type Fault = Box<dyn Error + Send + Sync>;

impl Fetcher {
    /// The files below `base`. Of `settings` the roots, the proxy and the times are used, and not the endpoint.
    pub fn new(base: &str, settings: &Settings) -> Result<Self, ConnectError> {
        let wrong = || ConnectError::Base(base.to_owned());
        let uri: Uri = base.parse().map_err(|_| wrong())?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
        let (host, is_tls) = match (uri.scheme_str(), authority) {
            (Some("https"), Some(authority)) => (authority.host(), true),
            (Some("http"), Some(authority)) => (authority.host(), false),
            _ => return Err(wrong()),
        };
        if uri.query().is_some() {
            return Err(wrong());
        }
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let address = format!("{host}:{port}");
        let way = match is_tls {
            true => {
                let endpoint = format!("https://{address}");
                let (identity, roots, proxy) = (None, settings.roots.clone(), settings.proxy.clone());
                let Settings { has_clock, connect_timeout, request_timeout, .. } = *settings;
                let own = Settings {
                    endpoint,
                    roots,
                    identity,
                    has_clock,
                    proxy,
                    connect_timeout,
                    request_timeout,
                };
                Road::Tls(Way::new(&own, b"http/1.1")?.0)
            }
            false => Road::Plain(address.clone()),
        };
        let path = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { base: base.to_owned(), path, host: address, way, time: settings.request_timeout })
    }

    /// The file `name` from byte `from` on; `None` where there is none. A name has no byte that a path may not have as it is.
    pub async fn fetch(&self, name: &str, from: u64) -> Result<Option<Fetched>, ConnectError> {
        let fetched = timeout(self.time, self.go(name, from)).await.unwrap_or_else(|_| Err(IN_TIME.into()));
        fetched.map_err(|source| ConnectError::NotFetched { base: self.base.clone(), source })
    }

    /// The whole of a file of at most `limit` bytes, and one byte more of a longer one; `None` where there is none.
    pub async fn whole(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, ConnectError> {
        let Some(mut fetched) = self.fetch(name, 0).await? else { return Ok(None) };
        let mut bytes = Vec::new();
        while let Some(piece) = fetched.next().await? {
            let room = usize::try_from(limit + 1).unwrap_or(usize::MAX) - bytes.len();
            bytes.extend(piece.iter().take(room));
            if bytes.len() as u64 > limit {
                break;
            }
        }
        Ok(Some(bytes))
    }

    async fn go(&self, name: &str, from: u64) -> Result<Option<Fetched>, Fault> {
        match &self.way {
            Road::Tls(way) => self.get(way.go().await?, name, from).await,
            Road::Plain(address) => self.get(TcpStream::connect(address).await?, name, from).await,
        }
    }

    async fn get<S>(&self, stream: S, name: &str, from: u64) -> Result<Option<Fetched>, Fault>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut http = Builder::new();
        http.max_buf_size(MAX_BUFFER);
        let (mut connection, driver) = http.handshake(TokioIo::new(stream)).await?;
        drop(tokio::spawn(driver));
        let mut request = Request::get(format!("{}/{name}", self.path)).header(HOST, &self.host);
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        let answer = connection.send_request(request.body(Empty::<Bytes>::new())?).await?;
        let starts = match answer.status() {
            StatusCode::OK => 0,
            StatusCode::PARTIAL_CONTENT => {
                let range = answer.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
                let first =
                    range.and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.parse().ok());
                first
                    .filter(|first: &u64| *first == from)
                    .ok_or("it sent another part of the file than was asked for")?
            }
            // An object store says the one of what is not there to those who may not list it.
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN | StatusCode::GONE => return Ok(None),
            status => return Err(format!("it answered with status {}", status.as_u16()).into()),
        };
        let (base, body) = (self.base.clone(), answer.into_body());
        Ok(Some(Fetched { from: starts, base, body, time: self.time }))
    }
}

impl Fetched {
    /// The next piece; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ConnectError> {
        let coming = async {
            loop {
                match self.body.frame().await {
                    None => return Ok(None),
                    Some(frame) => {
                        if let Ok(piece) = frame.map_err(Fault::from)?.into_data() {
                            return Ok(Some(piece));
                        }
                    }
                }
            }
        };
        let piece = timeout(self.time, coming).await.unwrap_or_else(|_| Err(IN_TIME.into()));
        piece.map_err(|source: Fault| ConnectError::NotFetched { base: self.base.clone(), source })
    }
}

/// The head of an answer, and how much of its body is read ahead.
const MAX_BUFFER: usize = 64 * 1024;
const IN_TIME: &str = "nothing came in time";
