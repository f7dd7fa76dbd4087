//! HTTPS to the service system. A request is bounded in time and size, no redirection is followed, and each has a connection of its
//! own: there are a few in a minute.

use crate::error::Error;
use bytes::Bytes;
use http::header::{CONNECTION, HOST, HeaderValue};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::Builder;
use hyper_util::rt::TokioIo;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use wardein_domain::{WebhookUrl, with_causes};

/// A client that believes the CAs of one file.
pub(crate) struct Https(TlsConnector);

/// An answer, whole.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

impl Https {
    /// With the CAs in the file `roots`, PEM. Certificates there that are not of a CA, as a system's bundle may have, are left out.
    pub(crate) fn new(roots: &Path) -> Result<Self, Error> {
        let pem = std::fs::read(roots).map_err(Error::file("read", roots))?;
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok).collect();
        let mut store = RootCertStore::empty();
        let (believed, _) = store.add_parsable_certificates(certificates);
        if believed == 0 {
            return Err(Error::config(
                "roots",
                format_args!("{} has no certificate of a CA in PEM", roots.display()),
            ));
        }
        let kx_groups = vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1];
        let provider = CryptoProvider { kx_groups, ..default_provider() };
        let configuration = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::config("roots", error))?
            .with_root_certificates(store)
            .with_no_client_auth();
        Ok(Self(TlsConnector::from(Arc::new(configuration))))
    }

    /// Sends one request, whose path is within `at`'s server, and reads its answer.
    pub(crate) async fn send(&self, at: &WebhookUrl, request: Request<Full<Bytes>>) -> Result<Answer, Error> {
        let sent = timeout(TIME, self.go(at, request)).await;
        let sent = sent.unwrap_or_else(|_| Err(format!("did not answer within {} s", TIME.as_secs())));
        sent.map_err(|why| Error::Unreached { host: at.authority().to_owned(), why })
    }

    async fn go(&self, at: &WebhookUrl, mut request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let name = ServerName::try_from(at.host().to_owned())
            .map_err(|_| "is not the name of a server".to_owned())?;
        let host =
            HeaderValue::from_str(at.authority()).map_err(|_| "is not the name of a server".to_owned())?;
        request.headers_mut().insert(HOST, host);
        request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        let stream = TcpStream::connect((at.host(), at.port()))
            .await
            .map_err(|error| format!("cannot be reached: {error}"))?;
        let stream = self
            .0
            .connect(name, stream)
            .await
            .map_err(|error| format!("TLS failed: {}", with_causes(&error)))?;
        let mut http = Builder::new();
        http.max_buf_size(MOST_OF_HEAD);
        let broke = |error: hyper::Error| format!("the connection broke: {}", with_causes(&error));
        let (mut sender, connection) = http.handshake(TokioIo::new(stream)).await.map_err(broke)?;
        let driver = tokio::spawn(connection);
        let answer = sender.send_request(request).await.map_err(broke)?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MOST_OF_ANSWER).collect().await;
        driver.abort();
        match body {
            Ok(body) => Ok(Answer { status, body: body.to_bytes() }),
            Err(error) if error.is::<LengthLimitError>() => {
                Err(format!("answered with more than {MOST_OF_ANSWER} bytes"))
            }
            Err(error) => Err(format!("the connection broke: {error}")),
        }
    }
}

/// For a whole request.
const TIME: Duration = Duration::from_secs(30);

/// Bytes of an answer: a page of 2,000 orders with long fields.
const MOST_OF_ANSWER: usize = 8 * 1024 * 1024;

const MOST_OF_HEAD: usize = 64 * 1024;
