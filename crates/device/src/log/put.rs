//! PUTs to a server that the platform's trust bundle pins, or, where the configuration allows it, to one of the authority's roots.

use crate::directory::Files;
use crate::error::Error;
use crate::platform::connect_platform_as;
use crate::transport;
use std::path::PathBuf;
use std::time::Duration;
use wardein_client::{FileBody, FileRequest, Putter, Settings, connect_by_roots};
use wardein_domain::with_causes;
use wardein_logs::deliver::{Answer, Connection, Request, Transport};

/// A server that takes batches.
#[derive(Clone)]
pub(super) struct Server {
    /// The state directory: pins, roots, the certificate and its key are read again for each delivery.
    directory: PathBuf,
    /// `HOST:PORT`.
    address: String,
    /// As the URL has it.
    host: String,
    /// Below which batches go, with the device's id at its end.
    path: String,
    /// Whether a server without a pinned key is taken for its certificate.
    unpinned: bool,
}

impl Server {
    /// The server of `url`, which is `https://HOST[:PORT][/PATH]`, for the device of `files`.
    pub(super) fn of(files: &Files, url: &str, unpinned: bool) -> Result<Self, Error> {
        let config = files.config()?.ok_or_else(|| files.not_configured())?;
        let wrong =
            || Error::LogSetting { field: "to", why: format!("{url:?} is not https://HOST[:PORT][/PATH]") };
        let rest = url.strip_prefix("https://").ok_or_else(wrong)?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '@' | '?' | '#' | '\\' | '%');
        if host.is_empty() || !rest.chars().all(is_plain) {
            return Err(wrong());
        }
        let has_port =
            host.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
        let address = if has_port { host.to_owned() } else { format!("{host}:{HTTPS}") };
        let base = match path.trim_end_matches('/') {
            "" => String::new(),
            path => format!("/{path}"),
        };
        let path = format!("{base}/{}", config.device.device);
        Ok(Self { directory: files.path().to_owned(), address, host: host.to_owned(), path, unpinned })
    }

    /// `HOST[:PORT]`, as the URL has it.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Below which batches go, without a slash at its end.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    async fn reach(&self) -> Result<Putter, Error> {
        let files = Files::open(&self.directory)?;
        let config = files.config()?.ok_or_else(|| files.not_configured())?;
        let identity = files.identity(&config)?;
        let stream = if self.unpinned {
            let endpoint = format!("https://{}", self.address);
            let settings = Settings { endpoint, identity, ..transport::settings(&config) };
            connect_by_roots(&settings).await.map_err(|error| self.unreached(with_causes(&error)))?
        } else {
            connect_platform_as(&files, &self.address, &[b"http/1.1"], identity.as_ref()).await?
        };
        let over = Putter::over(stream, &self.host, PATIENCE).await;
        over.map_err(|error| self.unreached(error.to_string()))
    }

    fn unreached(&self, why: String) -> Error {
        Error::PlatformUnreachable { address: self.address.clone(), why }
    }
}

/// A connection to a server.
pub(super) struct Connected {
    server: Server,
    putter: Putter,
}

impl Transport for Server {
    type Connection = Connected;

    async fn connect(&mut self) -> Result<Connected, String> {
        let putter = self.reach().await.map_err(|error| error.to_string())?;
        Ok(Connected { server: self.clone(), putter })
    }
}

impl Connection for Connected {
    async fn send(&mut self, request: Request<'_>) -> Result<Answer, String> {
        // The answer before may have been the connection's last one.
        if !self.putter.is_ready().await {
            self.putter = self.server.reach().await.map_err(|error| error.to_string())?;
        }
        let Request { method, path, headers, content } = request;
        let body = match content {
            None => FileBody::empty(),
            Some(content) => FileBody::new(content.reader(), content.length()),
        };
        let answered = self.putter.send(FileRequest { method, path, headers, body }).await;
        let answer = answered.map_err(|error| self.server.unreached(with_causes(&error)).to_string())?;
        let headers = Answer::HEADERS.into_iter().filter_map(|name| {
            let value = answer.header(name)?;
            Some((name, value.to_owned()))
        });
        Ok(Answer { status: answer.status, headers: headers.collect(), body: answer.body })
    }
}

/// The port of URLs without one (RFC 9110 section 4.2.2).
const HTTPS: u16 = 443;

/// The most time that one PUT may take.
const PATIENCE: Duration = Duration::from_secs(60);
