//! The way to the authority: where it is, by which proxy it is reached, and how its certificate is judged.

use crate::clock;
use crate::error::ConnectError;
use crate::proxy::Proxy;
use crate::tls::{Identity, configuration};
#[cfg(feature = "grpc")]
use crate::unjudged::unjudged;
use http::Uri;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How to reach the authority.
pub struct Settings {
    /// `https://HOST` or `https://HOST:PORT`; without a port, [`Settings::DEFAULT_PORT`]. The authority's certificate must name
    /// the host.
    pub endpoint: String,
    /// The certificates that the authority's must lead to, PEM.
    pub roots: Vec<u8>,
    /// The identity to present; none for a device.
    pub identity: Option<Identity>,
    /// Whether to check the authority's certificate's validity period against the system clock. A device says no: its clock may
    /// be wrong by years, no error of it may lock the device out (DDKG-1 §3.1), and nothing rests on that question, since the
    /// pinned identity key and the device's own keys authenticate every answer. Chain, name and usage are judged all the same.
    pub has_clock: bool,
    /// The proxy to go through, if there is one.
    pub proxy: Option<Proxy>,
    /// The most time that reaching the authority may take, proxy and handshake included.
    pub connect_timeout: Duration,
    /// The most time that a call may take until its answer begins.
    pub request_timeout: Duration,
}

impl Settings {
    /// The authority's port where the endpoint names none.
    pub const DEFAULT_PORT: u16 = 7443;

    /// Settings with 10 seconds to connect and 30 for a call, with a clock and without an identity or a proxy.
    pub fn new(endpoint: impl Into<String>, roots: Vec<u8>) -> Self {
        Self {
            endpoint: endpoint.into(),
            roots,
            identity: None,
            has_clock: true,
            proxy: None,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
        }
    }
}

/// The way, once the settings are judged.
#[derive(Clone)]
pub(crate) struct Way {
    tls: TlsConnector,
    server: ServerName<'static>,
    /// Without the brackets of an IPv6 address.
    host: String,
    port: u16,
    /// As a URI has both.
    pub(crate) authority: String,
    proxy: Option<Proxy>,
    timeout: Duration,
}

impl Way {
    /// The way that `settings` describe, for the protocol `alpn`; and the endpoint.
    pub(crate) fn new(settings: &Settings, alpn: &[u8]) -> Result<(Self, Uri), ConnectError> {
        Self::with(settings, || {
            let identity = settings.identity.as_ref();
            let tls = configuration(&settings.roots, identity, settings.has_clock, alpn)?;
            if let Some(identity) = identity.filter(|_| settings.has_clock) {
                clock::judge_identity(&settings.roots, identity, clock::now())?;
            }
            Ok(tls)
        })
    }

    /// The way for gRPC to whatever server is there: nothing is believed by it, and nothing secret is sent over it.
    #[cfg(feature = "grpc")]
    pub(crate) fn unjudged(settings: &Settings) -> Result<(Self, Uri), ConnectError> {
        Self::with(settings, || Ok(unjudged()?))
    }

    fn with(
        settings: &Settings,
        tls: impl FnOnce() -> Result<ClientConfig, ConnectError>,
    ) -> Result<(Self, Uri), ConnectError> {
        let wrong = || ConnectError::Endpoint(settings.endpoint.clone());
        let uri: Uri = settings.endpoint.parse().map_err(|_| wrong())?;
        let host = uri.host().filter(|_| is_plain_https(&uri)).ok_or_else(wrong)?;
        let port = uri.port_u16().unwrap_or(Settings::DEFAULT_PORT);
        let authority = format!("{host}:{port}");
        // An IPv6 address is in brackets in a URI, and without them everywhere else.
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).to_owned();
        let server = ServerName::try_from(host.clone()).map_err(|_| wrong())?;
        let (tls, proxy) = (TlsConnector::from(Arc::new(tls()?)), settings.proxy.clone());
        Ok((Self { tls, server, host, port, authority, proxy, timeout: settings.connect_timeout }, uri))
    }

    /// Goes it, to the end of the handshake.
    pub(crate) async fn go(&self) -> io::Result<TlsStream<TcpStream>> {
        let going = async {
            let socket = match &self.proxy {
                None => TcpStream::connect((self.host.as_str(), self.port)).await?,
                Some(proxy) => proxy.tunnel(&self.authority).await.map_err(io::Error::other)?,
            };
            socket.set_nodelay(true)?;
            self.tls.connect(self.server.clone(), socket).await
        };
        let elapsed = |_| io::Error::new(io::ErrorKind::TimedOut, "no handshake in time");
        tokio::time::timeout(self.timeout, going).await.map_err(elapsed)?
    }
}

fn is_plain_https(uri: &Uri) -> bool {
    let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    uri.scheme_str() == Some("https")
        && !has_user
        && uri.path_and_query().is_none_or(|path| path.as_str() == "/")
}
