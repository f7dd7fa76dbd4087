//! A client that does what ours never would: HTTP/2 frame by frame.

use super::Served;
use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wardein_client::Identity;

/// A TLS connection from `source`, without a byte of HTTP/2.
pub(crate) async fn tls(served: &Served, source: &str, identity: Option<&Identity>) -> TlsStream<TcpStream> {
    tls_for(served, source, identity, &["h2"]).await
}

/// The same for the protocols of `alpn`.
pub(crate) async fn tls_for(
    served: &Served,
    source: &str,
    identity: Option<&Identity>,
    alpn: &[&str],
) -> TlsStream<TcpStream> {
    let versions = rustls::DEFAULT_VERSIONS;
    tls_to(served, (served.grpc, versions), source, identity, alpn).await.unwrap()
}

/// The same to any port, by these versions of TLS.
pub(crate) async fn tls_to(
    served: &Served,
    (address, versions): (SocketAddr, &[&'static SupportedProtocolVersion]),
    source: &str,
    identity: Option<&Identity>,
    alpn: &[&str],
) -> io::Result<TlsStream<TcpStream>> {
    let client = client(served, versions, identity, alpn);
    connect_as(&Arc::new(client), address, source).await
}

/// A client that has sessions to resume where it was before.
pub(crate) async fn connect_as(
    client: &Arc<ClientConfig>,
    address: SocketAddr,
    source: &str,
) -> io::Result<TlsStream<TcpStream>> {
    let socket = TcpSocket::new_v4().unwrap();
    let source: IpAddr = source.parse().unwrap();
    socket.bind(SocketAddr::from((source, 0))).unwrap();
    let stream = socket.connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(client.clone()).connect(name, stream).await
}

/// A client's half of handshakes.
pub(crate) fn client(
    served: &Served,
    versions: &[&'static SupportedProtocolVersion],
    identity: Option<&Identity>,
    alpn: &[&str],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(served.founded.infrastructure_pem.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    let builder = builder.with_root_certificates(roots);
    let mut configuration = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let chain = CertificateDer::pem_slice_iter(&identity.certificates).map(Result::unwrap).collect();
            builder
                .with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(identity.key.expose()).unwrap())
                .unwrap()
        }
    };
    configuration.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    configuration
}

/// An HTTP/2 connection.
pub(crate) struct Raw {
    send: SendRequest<Bytes>,
    connection: JoinHandle<()>,
}

/// A call that was begun.
pub(crate) struct Begun {
    pub(crate) request: SendStream<Bytes>,
    pub(crate) response: ResponseFuture,
}

impl Raw {
    pub(crate) async fn connect(served: &Served, source: &str) -> Self {
        Self::with(served, source, None, &Builder::new()).await
    }

    pub(crate) async fn with(
        served: &Served,
        source: &str,
        identity: Option<&Identity>,
        builder: &Builder,
    ) -> Self {
        let (send, connection) = builder.handshake(tls(served, source, identity).await).await.unwrap();
        let connection = tokio::spawn(async move { drop(connection.await) });
        Self { send, connection }
    }

    /// Sends the headers of a call.
    pub(crate) async fn begin(&self, path: &str, headers: &[(&'static str, &str)]) -> Begun {
        let headers = [&[("content-type", "application/grpc"), ("te", "trailers")], headers].concat();
        self.post(path, &headers).await
    }

    /// Sends the headers of a POST of `kind`.
    pub(crate) async fn begin_as(&self, path: &str, kind: &str) -> Begun {
        self.post(path, &[("content-type", kind)]).await
    }

    async fn post(&self, path: &str, headers: &[(&'static str, &str)]) -> Begun {
        let mut request = Request::post(format!("https://localhost{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut send = self.send.clone().ready().await.unwrap();
        let (response, request) = send.send_request(request.body(()).unwrap(), false).unwrap();
        Begun { request, response }
    }

    /// The same with a message, or what there is of one, behind them.
    pub(crate) async fn send(&self, path: &str, bytes: &[u8], is_all: bool) -> Begun {
        let mut begun = self.begin(path, &[]).await;
        begun.request.send_data(Bytes::copy_from_slice(bytes), is_all).unwrap();
        begun
    }

    /// Waits until the server has closed the connection.
    pub(crate) async fn is_closed(&mut self) {
        timeout(PATIENCE, &mut self.connection).await.expect("the connection stays open").unwrap();
    }

    pub(crate) fn is_open(&self) -> bool {
        !self.connection.is_finished()
    }
}

impl Begun {
    /// The headers of the answer, and its body.
    pub(crate) async fn answer(self) -> Response<RecvStream> {
        timeout(PATIENCE, self.response).await.expect("there is no answer").unwrap()
    }

    /// The code and the gRPC status with which the call was refused.
    pub(crate) async fn refusal(self) -> (String, String) {
        let answer = self.answer().await;
        (text(answer.headers(), "wardein-code"), text(answer.headers(), "grpc-status"))
    }
}

pub(crate) fn text(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
}

/// Reads an answer to its end; the trailers.
pub(crate) async fn end(mut answer: Response<RecvStream>) -> HeaderMap {
    let body = answer.body_mut();
    let read = async {
        while let Some(data) = body.data().await {
            let length = data.unwrap().len();
            body.flow_control().release_capacity(length).unwrap();
        }
        body.trailers().await.unwrap().unwrap_or_default()
    };
    timeout(PATIENCE, read).await.expect("the answer does not end")
}

/// A message with its header.
pub(crate) fn message(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap();
    [&[0], length.to_be_bytes().as_slice(), bytes].concat()
}

/// The header of a message of `length` bytes.
pub(crate) fn announced(length: u32) -> Vec<u8> {
    [&[0], length.to_be_bytes().as_slice()].concat()
}

/// Long enough for a machine that does much else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
