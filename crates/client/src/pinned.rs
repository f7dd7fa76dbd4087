//! TLS to a server that is known by its key alone: no other is spoken to, by whatever CA it is certified.
//!
//! A certificate's names, times and issuer are not judged: the key is pinned, and the handshake shows that the server has it (RFC 8446
//! §4.4.3). So neither a clock that is wrong nor a renewed certificate locks a device out, and no CA lets anybody in. Nothing is sent
//! before that is judged: there is no early data, and no session is resumed, since a pin may have ended meanwhile.

use crate::proxy::Proxy;
use crate::tls::{Identity, MaterialError, provider, shown};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A connection to a server whose key is pinned.
pub type PinnedStream = tokio_rustls::client::TlsStream<TcpStream>;

/// Why there is no such connection. Nothing but the handshake's own messages was sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PinnedError {
    /// The address is not `HOST:PORT`.
    #[error("{0:?} is not HOST:PORT")]
    Address(String),
    /// The server has another key.
    #[error("the server's key is not a pinned one")]
    NotPinned {
        /// The certificate that it showed, DER.
        certificate: Vec<u8>,
    },
    /// The identity to show is of no use.
    #[error(transparent)]
    Material(#[from] MaterialError),
    /// There was no handshake.
    #[error(transparent)]
    Unreached(io::Error),
}

/// Connects to `address`, which is `HOST:PORT`, for the first of the protocols `alpn` that the server takes, if any is named. `is_pinned`
/// judges the server by its certificate, DER.
pub async fn connect_pinned(
    address: &str,
    alpn: &[&[u8]],
    proxy: Option<&Proxy>,
    timeout: Duration,
    is_pinned: impl Fn(&[u8]) -> bool + Send + Sync + 'static,
) -> Result<PinnedStream, PinnedError> {
    connect_pinned_as(address, alpn, None, proxy, timeout, is_pinned).await
}

/// The same, showing `identity` to a server that asks for one: it sees the certificate once it was judged itself (RFC 8446 section 4.4.2).
pub async fn connect_pinned_as(
    address: &str,
    alpn: &[&[u8]],
    identity: Option<&Identity>,
    proxy: Option<&Proxy>,
    timeout: Duration,
    is_pinned: impl Fn(&[u8]) -> bool + Send + Sync + 'static,
) -> Result<PinnedStream, PinnedError> {
    let wrong = || PinnedError::Address(address.to_owned());
    let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
    let port: u16 = port.parse().map_err(|_| wrong())?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let server = ServerName::try_from(host.to_owned()).map_err(|_| wrong())?;
    let seen = Arc::new(OnceLock::new());
    let tls = TlsConnector::from(Arc::new(configuration(is_pinned, seen.clone(), alpn, identity)?));
    let going = async {
        let socket = match proxy {
            None => TcpStream::connect((host, port)).await?,
            Some(proxy) => proxy.tunnel(address).await.map_err(io::Error::other)?,
        };
        socket.set_nodelay(true)?;
        tls.connect(server, socket).await
    };
    let elapsed = |_| io::Error::new(io::ErrorKind::TimedOut, "no handshake in time");
    let gone = tokio::time::timeout(timeout, going).await.map_err(elapsed).and_then(|gone| gone);
    gone.map_err(|error| match seen.get() {
        Some(certificate) => PinnedError::NotPinned { certificate: certificate.clone() },
        None => PinnedError::Unreached(error),
    })
}

fn configuration(
    is_pinned: impl Fn(&[u8]) -> bool + Send + Sync + 'static,
    seen: Arc<OnceLock<Vec<u8>>>,
    alpn: &[&[u8]],
    identity: Option<&Identity>,
) -> Result<ClientConfig, PinnedError> {
    let provider = Arc::new(provider());
    let algorithms = provider.signature_verification_algorithms;
    let verifier = Arc::new(Pinned { is_pinned: Box::new(is_pinned), seen, algorithms });
    let builder = ClientConfig::builder_with_details(provider, Arc::new(NoClock(Instant::now())))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| PinnedError::Unreached(io::Error::other(error)))?;
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let mut configuration = shown(builder, identity)?;
    configuration.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    configuration.resumption = Resumption::disabled();
    Ok(configuration)
}

/// Whether the key of a certificate (DER) is pinned.
type IsPinned = Box<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// Takes a server for its key.
struct Pinned {
    is_pinned: IsPinned,
    /// The certificate that was refused.
    seen: Arc<OnceLock<Vec<u8>>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl fmt::Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pinned")
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if (self.is_pinned)(end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        // The first is the only one: a connection has one handshake.
        let _ = self.seen.set(end_entity.to_vec());
        Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.3 alone".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Counts from when it was made: the system's clock is not read.
#[derive(Debug)]
struct NoClock(Instant);

impl TimeProvider for NoClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(self.0.elapsed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    use rustls::pki_types::PrivateKeyDer;
    use rustls::server::{ClientHello, ResolvesServerCert};
    use rustls::sign::CertifiedKey;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::sync::mpsc::{Receiver, channel};
    use tokio_rustls::TlsAcceptor;

    const PAYLOAD: &[u8] = b"heart rate 61";
    const PATIENCE: Duration = Duration::from_secs(10);

    /// What a server shows, and what it signs with.
    #[derive(Debug)]
    struct Shown(Arc<CertifiedKey>);

    impl ResolvesServerCert for Shown {
        fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
            Some(self.0.clone())
        }
    }

    /// A server that tells of each connection what it read: nothing where there was no handshake.
    async fn server(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> (String, Receiver<Vec<u8>>) {
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Shown(Arc::new(CertifiedKey::new(chain, key)))));
        let (listener, acceptor) =
            (TcpListener::bind("127.0.0.1:0").await.unwrap(), TlsAcceptor::from(Arc::new(config)));
        let (address, (tell, told)) = (listener.local_addr().unwrap().to_string(), channel(8));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let mut read = Vec::new();
                if let Ok(mut stream) = acceptor.accept(socket).await {
                    let _ = stream.read_to_end(&mut read).await;
                }
                tell.send(read).await.unwrap();
            }
        });
        (address, told)
    }

    /// Delivers to a server that has to show `pinned`.
    async fn deliver(address: &str, pinned: CertificateDer<'static>) -> Result<(), PinnedError> {
        let judge = move |shown: &[u8]| shown == &*pinned;
        let mut stream = connect_pinned(address, &[], None, PATIENCE, judge).await?;
        stream.write_all(PAYLOAD).await.unwrap();
        stream.shutdown().await.unwrap();
        Ok(())
    }

    #[tokio::test]
    async fn payload_goes_to_the_pinned_server_and_not_a_byte_to_any_other() {
        let made = || rcgen::generate_simple_self_signed(["platform.example".to_owned()]).unwrap();
        let (platform, stranger) = (made(), made());
        let pinned = platform.cert.der().clone();

        // Neither its name nor its issuer is anybody's to judge.
        let (address, mut told) = server(vec![pinned.clone()], &platform.signing_key).await;
        deliver(&address, pinned.clone()).await.unwrap();
        assert_eq!(told.recv().await.unwrap(), PAYLOAD);

        // One that a CA certified, for that very name, as those that everybody trusts do.
        let (ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let leaf = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        let certified = leaf.signed_by(&key, &Issuer::from_params(&ca, &ca_key)).unwrap();
        let chain = vec![certified.der().clone(), ca.self_signed(&ca_key).unwrap().der().clone()];
        for (chain, key) in [(chain, &key), (vec![stranger.cert.der().clone()], &stranger.signing_key)] {
            let shown = chain[0].to_vec();
            let (address, mut told) = server(chain, key).await;
            match deliver(&address, pinned.clone()).await {
                Err(PinnedError::NotPinned { certificate }) => assert_eq!(certificate, shown),
                other => panic!("{other:?}"),
            }
            assert_eq!(told.recv().await.unwrap(), b"");
        }

        // One that shows the pinned certificate, and has not its key.
        let (address, mut told) = server(vec![pinned.clone()], &stranger.signing_key).await;
        assert!(matches!(deliver(&address, pinned).await, Err(PinnedError::Unreached(_))));
        assert_eq!(told.recv().await.unwrap(), b"");
    }

    #[tokio::test]
    async fn an_address_has_a_host_and_a_port() {
        for address in ["", "localhost", "localhost:", "localhost:70000", ":443", "a b:443", "[::1:443"] {
            let refused = connect_pinned(address, &[], None, PATIENCE, |_| true).await;
            assert!(matches!(refused, Err(PinnedError::Address(_))), "{address}");
        }
    }
}
