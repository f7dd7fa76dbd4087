//! One request and its answer. Each is bounded in time and size, no redirection is followed, and each has a connection of its own:
//! there is one at a start.

use crate::{Environment, KeyArn, KmsError};
use bytes::Bytes;
use http::header::{CONNECTION, HOST, HeaderValue};
use http::uri::Scheme;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::Builder;
use hyper_util::rt::TokioIo;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use wardein_crypto::SecretBytes;

/// Where requests go: a server, and whether it is reached by TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    host: String,
    port: u16,
    is_tls: bool,
    path: String,
}

/// An answer, whole. Its body may hold a key.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: SecretBytes,
}

impl Address {
    /// The address in a variable. In the clear only what does not leave this machine: its own addresses, and those at which AWS
    /// serves metadata and credentials to a machine or a container.
    pub(crate) fn parse(variable: &'static str, value: &str) -> Result<Self, KmsError> {
        let wrong = || KmsError::Address { variable, value: value.chars().take(200).collect() };
        let uri: Uri = value.parse().map_err(|_| wrong())?;
        let (scheme, host) = uri.scheme().zip(uri.host()).ok_or_else(wrong)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let is_tls = *scheme == Scheme::HTTPS;
        let is_plain = *scheme == Scheme::HTTP && is_of_this_machine(&host);
        let has_login = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
        if !(is_tls || is_plain) || has_login {
            return Err(wrong());
        }
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { host, port, is_tls, path })
    }

    /// A service of AWS in the region of a key.
    pub(crate) fn of_service(service: &str, key: &KeyArn) -> Self {
        let domain = match key.partition() {
            "aws-cn" => "amazonaws.com.cn",
            "aws-eusc" => "amazonaws.eu",
            _ => "amazonaws.com",
        };
        let host = format!("{service}.{}.{domain}", key.region());
        Self { host, port: 443, is_tls: true, path: "/".to_owned() }
    }

    /// As a request names it, in the header `host`.
    pub(crate) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match (self.port, self.is_tls) {
            (443, true) | (80, false) => host,
            (port, _) => format!("{host}:{port}"),
        }
    }

    /// The path that it has.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Sends one request, and reads its answer.
    pub(crate) async fn send(
        &self,
        environment: &Environment,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, KmsError> {
        let sent = timeout(TIME, self.go(environment, request)).await;
        sent.unwrap_or_else(|_| Err(self.failed(format!("did not answer within {} s", TIME.as_secs()))))
    }

    async fn go(
        &self,
        environment: &Environment,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Answer, KmsError> {
        let host = HeaderValue::from_str(&self.authority())
            .map_err(|_| self.failed("is not the name of a server".to_owned()))?;
        request.headers_mut().insert(HOST, host);
        request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        let connected = timeout(TIME_TO_CONNECT, TcpStream::connect((self.host.as_str(), self.port))).await;
        let stream = connected
            .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
            .map_err(|error| self.failed(format!("cannot be reached: {error}")))?;
        if !self.is_tls {
            return self.exchange(stream, request).await;
        }
        let name = ServerName::try_from(self.host.clone())
            .map_err(|_| self.failed("is not the name of a server".to_owned()))?;
        let stream = tls(environment)?
            .connect(name, stream)
            .await
            .map_err(|error| self.failed(format!("cannot be reached by TLS: {error}")))?;
        self.exchange(stream, request).await
    }

    async fn exchange(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, KmsError> {
        let broke = |error: hyper::Error| self.failed(format!("broke the connection: {error}"));
        let mut http = Builder::new();
        http.max_buf_size(MOST_OF_HEAD);
        let (mut sender, connection) = http.handshake(TokioIo::new(stream)).await.map_err(broke)?;
        let driver = tokio::spawn(connection);
        let answer = sender.send_request(request).await.map_err(broke)?;
        let status = answer.status();
        let mut frames = Limited::new(answer.into_body(), MOST_OF_ANSWER);
        let mut body = SecretBytes::with_capacity(4096);
        while let Some(frame) = frames.frame().await {
            let frame = frame.map_err(|error| self.failed(format!("sent an answer that ended: {error}")))?;
            if let Some(data) = frame.data_ref() {
                body.extend(data);
            }
        }
        driver.abort();
        Ok(Answer { status, body })
    }

    pub(crate) fn failed(&self, reason: String) -> KmsError {
        KmsError::Unavailable { host: self.authority(), reason }
    }
}

/// TLS 1.3, by the CAs that this machine believes.
fn tls(environment: &Environment) -> Result<TlsConnector, KmsError> {
    let path = environment.roots();
    let failed = |reason: String| KmsError::File { path: path.clone(), reason };
    let pem = std::fs::read(&path).map_err(|error| failed(error.to_string()))?;
    // Certificates there that are not of a CA, as a system's bundle may have, are left out.
    let certificates = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok);
    let mut roots = RootCertStore::empty();
    let (believed, _) = roots.add_parsable_certificates(certificates);
    if believed == 0 {
        return Err(failed("it has no certificate of a CA in PEM".to_owned()));
    }
    let kx_groups = vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1];
    let provider = CryptoProvider { kx_groups, ..default_provider() };
    let configuration = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| failed(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(configuration)))
}

/// Loopback, and where AWS serves credentials on the link: to instances, to containers of ECS, and to pods of EKS.
fn is_of_this_machine(host: &str) -> bool {
    let on_link = [
        IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
        IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
        IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
        IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
        IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
    ];
    let address: Option<IpAddr> = host.parse().ok();
    host == "localhost" || address.is_some_and(|address| address.is_loopback() || on_link.contains(&address))
}

/// For a whole request.
pub(crate) const TIME: Duration = Duration::from_secs(10);

const TIME_TO_CONNECT: Duration = Duration::from_secs(3);

/// Bytes of an answer; one of KMS has some hundreds, and a session token of STS a few thousand.
const MOST_OF_ANSWER: usize = 64 * 1024;

const MOST_OF_HEAD: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_goes_in_the_clear_but_to_this_machine() {
        let address = |text: &str| Address::parse("AWS_ENDPOINT_URL_KMS", text);
        assert_eq!(address("https://kms.example").unwrap().authority(), "kms.example");
        assert_eq!(address("http://127.0.0.1:5000").unwrap().authority(), "127.0.0.1:5000");
        assert_eq!(address("http://[::1]:80/a?b").unwrap().authority(), "[::1]");
        assert_eq!(address("http://169.254.170.2/v2/credentials").unwrap().path(), "/v2/credentials");
        for wrong in [
            "http://kms.eu-central-1.amazonaws.com",
            "http://127.0.0.1.evil.example",
            "http://10.0.0.1",
            "http://localhost@evil.example/",
            "https://user@kms.example",
            "ftp://127.0.0.1",
            "127.0.0.1:5000",
            "",
        ] {
            assert!(matches!(address(wrong), Err(KmsError::Address { .. })), "{wrong}");
        }
    }
}
