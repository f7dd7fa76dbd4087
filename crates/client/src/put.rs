//! Files by PUT over HTTP/1.1 (RFC 9110 section 9.3.4), over a connection whose server has been judged.

use crate::cause::unreached;
use crate::error::ConnectError;
use crate::pinned::PinnedStream;
use crate::way::{Settings, Way};
use bytes::Bytes;
use http::Request;
use http::header::{CONTENT_TYPE, HOST, HeaderValue};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::io;
use std::time::Duration;
use tokio::time::timeout;

/// A connection that takes files.
pub struct Putter {
    connection: SendRequest<Full<Bytes>>,
    host: String,
    time: Duration,
}

/// The answer to a PUT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutAnswer {
    /// Its HTTP status.
    pub status: u16,
    /// Its body, at most 64 KiB.
    pub body: Vec<u8>,
}

type Fault = Box<dyn Error + Send + Sync>;

impl Putter {
    /// PUTs over `stream`, to the server that the request calls `host`. Each takes at most `time`.
    pub async fn over(stream: PinnedStream, host: &str, time: Duration) -> io::Result<Self> {
        let mut http = Builder::new();
        http.max_buf_size(MAX_HEAD);
        let (connection, driver) = http.handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        drop(tokio::spawn(driver));
        Ok(Self { connection, host: host.to_owned(), time })
    }

    /// Whether the server has closed it.
    pub fn is_closed(&self) -> bool {
        self.connection.is_closed()
    }

    /// Puts `body` at `path`, which begins with a slash.
    pub async fn put(&mut self, path: &str, body: Vec<u8>) -> io::Result<PutAnswer> {
        let answered = timeout(self.time, self.send(path, body)).await;
        let in_time = answered.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no answer in time"))?;
        in_time.map_err(io::Error::other)
    }

    async fn send(&mut self, path: &str, body: Vec<u8>) -> Result<PutAnswer, Fault> {
        let request = Request::put(path)
            .header(HOST, self.host.as_str())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))
            .body(Full::new(Bytes::from(body)))?;
        self.connection.ready().await?;
        let answer = self.connection.send_request(request).await?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await?.to_bytes();
        Ok(PutAnswer { status, body: body.into() })
    }
}

/// Connects to the server of `settings`, which is judged by its certificate: it leads to one of the roots, and names the server.
pub async fn connect_by_roots(settings: &Settings) -> Result<PinnedStream, ConnectError> {
    let (way, _) = Way::new(settings, b"http/1.1")?;
    way.go().await.map_err(|error| unreached(&settings.endpoint, error))
}

/// The head of an answer.
const MAX_HEAD: usize = 16 * 1024;
const MAX_ANSWER: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pinned::{PinnedError, connect_pinned_as};
    use crate::tls::{Identity, provider};
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    use rustls::RootCertStore;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use rustls::server::WebPkiClientVerifier;
    use std::sync::Arc;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::sync::mpsc::{Receiver, channel};
    use tokio_rustls::TlsAcceptor;
    use wardein_crypto::SecretBytes;

    const BATCH: &[u8] = b"sealed batch";
    const PATIENCE: Duration = Duration::from_secs(10);

    /// A CA, and what it certified.
    struct Certified {
        ca: CertificateDer<'static>,
        leaf: CertificateDer<'static>,
        pem: String,
        key: KeyPair,
    }

    fn certified(name: &str) -> Certified {
        let (ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let leaf = CertificateParams::new([name.to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &Issuer::from_params(&params, &ca_key)).unwrap();
        let ca = params.self_signed(&ca_key).unwrap().der().clone();
        Certified { ca, leaf: leaf.der().clone(), pem: leaf.pem(), key }
    }

    /// A server that asks for a certificate of `clients`, and tells whom each connection showed and what it sent.
    async fn server(shown: &Certified, clients: &Certified) -> (String, Receiver<(Vec<u8>, String)>) {
        let mut roots = RootCertStore::empty();
        roots.add(clients.ca.clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(provider()))
            .build()
            .unwrap();
        let key = PrivateKeyDer::try_from(shown.key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![shown.leaf.clone()], key)
            .unwrap();
        let (listener, acceptor) =
            (TcpListener::bind("127.0.0.1:0").await.unwrap(), TlsAcceptor::from(Arc::new(config)));
        let (address, (tell, told)) = (listener.local_addr().unwrap().to_string(), channel(8));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (mut peer, mut came) = (Vec::new(), Vec::new());
                if let Ok(mut stream) = acceptor.accept(socket).await {
                    peer = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
                    while !came.ends_with(BATCH) {
                        match stream.read_u8().await {
                            Ok(byte) => came.push(byte),
                            Err(_) => break,
                        }
                    }
                    let answer = b"HTTP/1.1 422 No\r\nContent-Length: 5\r\n\r\nwords";
                    let _ = stream.write_all(answer).await;
                }
                tell.send((peer, String::from_utf8(came).unwrap())).await.unwrap();
            }
        });
        (address, told)
    }

    #[tokio::test]
    async fn a_file_goes_to_the_pinned_server_with_the_identity_and_not_a_byte_to_another() {
        let (platform, stranger, device) =
            (certified("127.0.0.1"), certified("127.0.0.1"), certified("pump-1"));
        let key = || SecretBytes::from_vec(device.key.serialize_pem().into_bytes());
        let identity = || Identity { certificates: device.pem.clone().into_bytes(), key: key() };
        let connect = async |address: &str, identity: Option<Identity>| {
            let pinned = platform.leaf.clone();
            let judge = move |shown: &[u8]| shown == &*pinned;
            connect_pinned_as(address, &[b"http/1.1"], identity.as_ref(), None, PATIENCE, judge).await
        };

        let (address, mut told) = server(&platform, &device).await;
        let stream = connect(&address, Some(identity())).await.unwrap();
        let mut putter = Putter::over(stream, "platform.example", PATIENCE).await.unwrap();
        let answer = putter.put("/v1/pump-1/maker-000000000001.age", BATCH.to_vec()).await.unwrap();
        assert_eq!(answer, PutAnswer { status: 422, body: b"words".to_vec() });
        let (peer, came) = told.recv().await.unwrap();
        assert_eq!(peer, device.leaf.to_vec());
        assert!(came.starts_with("PUT /v1/pump-1/maker-000000000001.age HTTP/1.1\r\n"), "{came}");
        assert!(
            came.contains("host: platform.example\r\n") && came.contains("content-length: 12\r\n"),
            "{came}"
        );

        // Another server neither hears who calls, nor what it would send.
        let (address, mut told) = server(&stranger, &device).await;
        let refused = connect(&address, Some(identity())).await;
        assert!(matches!(refused, Err(PinnedError::NotPinned { .. })));
        assert_eq!(told.recv().await.unwrap(), (Vec::new(), String::new()));
        // A key that is not the certificate's is found before anybody is called.
        let other = SecretBytes::from_vec(stranger.key.serialize_pem().into_bytes());
        let wrong = Identity { certificates: device.pem.clone().into_bytes(), key: other };
        assert!(matches!(connect(&address, Some(wrong)).await, Err(PinnedError::Material(_))));
    }
}
