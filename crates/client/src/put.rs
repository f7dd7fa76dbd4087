//! Files by PUT over HTTP/1.1 (RFC 9110 section 9.3.4), over a connection whose server has been judged.

use crate::cause::unreached;
use crate::error::ConnectError;
use crate::pinned::PinnedStream;
use crate::way::{Settings, Way};
use bytes::Bytes;
use http::Request;
use http::header::{HOST, HeaderMap};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Frame, SizeHint};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::timeout;

/// A connection that takes files.
pub struct Putter {
    connection: SendRequest<FileBody>,
    host: String,
    time: Duration,
}

/// A request that puts a file, or asks after one.
pub struct FileRequest<'a> {
    /// PUT or HEAD.
    pub method: &'static str,
    /// The path, which begins with a slash.
    pub path: &'a str,
    /// Headers beside `Host` and what frames the body.
    pub headers: &'a [(&'static str, String)],
    /// What is put.
    pub body: FileBody,
}

/// The bytes of a file, which are read while they are sent. Reading is not waited for: it is for files of this machine.
pub struct FileBody {
    reader: Box<dyn Read + Send>,
    left: u64,
}

/// The answer to a PUT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutAnswer {
    /// Its HTTP status.
    pub status: u16,
    headers: HeaderMap,
    /// Its body, at most 64 KiB.
    pub body: Vec<u8>,
}

type Fault = Box<dyn Error + Send + Sync>;

impl PutAnswer {
    /// One of its headers, where it is text and there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl FileBody {
    /// The first `length` bytes of `reader`. Where it has fewer, the request fails.
    pub fn new(reader: impl Read + Send + 'static, length: u64) -> Self {
        Self { reader: Box::new(reader), left: length }
    }

    /// Nothing.
    pub fn empty() -> Self {
        Self::new(io::empty(), 0)
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let mut chunk = vec![0; usize::try_from(self.left).map_or(CHUNK, |left| left.min(CHUNK))];
        let read = loop {
            match self.reader.read(&mut chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) => break Err(io::ErrorKind::UnexpectedEof.into()),
                read => break read,
            }
        };
        Poll::Ready(Some(read.map(|read| {
            chunk.truncate(read);
            self.left -= read as u64;
            Frame::data(Bytes::from(chunk))
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

impl Putter {
    /// Requests over `stream`, to the server that they call `host`. Each takes at most `time`.
    pub async fn over(stream: PinnedStream, host: &str, time: Duration) -> io::Result<Self> {
        let mut http = Builder::new();
        http.max_buf_size(MAX_HEAD);
        let (connection, driver) = http.handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        drop(tokio::spawn(driver));
        Ok(Self { connection, host: host.to_owned(), time })
    }

    /// Whether it takes a request. Servers may end a connection with any answer (RFC 9112 section 9.3); it is waited for what the
    /// last one said.
    pub async fn is_ready(&mut self) -> bool {
        matches!(timeout(self.time, self.connection.ready()).await, Ok(Ok(())))
    }

    /// Sends `request`, whose answer is what comes back.
    pub async fn send(&mut self, request: FileRequest<'_>) -> io::Result<PutAnswer> {
        let answered = timeout(self.time, self.sent(request)).await;
        let in_time = answered.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no answer in time"))?;
        in_time.map_err(io::Error::other)
    }

    async fn sent(&mut self, request: FileRequest<'_>) -> Result<PutAnswer, Fault> {
        let FileRequest { method, path, headers, body } = request;
        let mut request = Request::builder().method(method).uri(path).header(HOST, self.host.as_str());
        for (name, value) in headers {
            request = request.header(*name, value.as_str());
        }
        let request = request.body(body)?;
        self.connection.ready().await?;
        let answer = self.connection.send_request(request).await?;
        let (parts, body) = answer.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await?.to_bytes();
        Ok(PutAnswer { status: parts.status.as_u16(), headers: parts.headers, body: body.into() })
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
/// What is read of a file at a time.
const CHUNK: usize = 64 * 1024;

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
        let headers = [("content-type", "text/plain".to_owned())];
        let request = |body| FileRequest {
            method: "PUT",
            path: "/v1/pump-1/maker-000000000001.age",
            headers: &headers,
            body,
        };
        let answer = putter.send(request(FileBody::new(BATCH, BATCH.len() as u64))).await.unwrap();
        assert_eq!((answer.status, &answer.body[..]), (422, &b"words"[..]));
        assert_eq!((answer.header("content-length"), answer.header("date")), (Some("5"), None));
        let (peer, came) = told.recv().await.unwrap();
        assert_eq!(peer, device.leaf.to_vec());
        assert!(came.starts_with("PUT /v1/pump-1/maker-000000000001.age HTTP/1.1\r\n"), "{came}");
        assert!(
            came.contains("host: platform.example\r\n") && came.contains("content-length: 12\r\n"),
            "{came}"
        );

        // A file that has become shorter is not delivered as if it were whole.
        let (address, mut told) = server(&platform, &device).await;
        let stream = connect(&address, Some(identity())).await.unwrap();
        let mut putter = Putter::over(stream, "platform.example", PATIENCE).await.unwrap();
        assert!(putter.send(request(FileBody::new(&BATCH[1..], BATCH.len() as u64))).await.is_err());
        drop(putter);
        assert!(!told.recv().await.unwrap().1.ends_with("sealed batch"));

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
