//! TLS: version 1.3 alone, hybrid key agreement first, operators' certificates by the infrastructure CA alone. For EST version 1.2
//! too, and any certificate.

use super::connection::{HTTP1, HTTP2};
use rustls::client::Resumption;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider, kx_group, sign};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::time_provider::TimeProvider;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    ServerConfig, SignatureScheme,
};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use wardein_engine::{Engine, ServerIdentity};

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum TlsError {
    /// rustls will not have the material.
    #[error("TLS cannot be set up")]
    Material(#[from] rustls::Error),
    /// The infrastructure CA's certificate is not a trust anchor.
    #[error("the infrastructure CA cannot be trusted")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// The certificate that the server shows; it is replaced while the server runs.
pub(crate) struct Shown(RwLock<Arc<CertifiedKey>>);

impl Shown {
    pub(crate) fn new(identity: &ServerIdentity) -> Result<Arc<Self>, TlsError> {
        Ok(Arc::new(Self(RwLock::new(certified(identity)?))))
    }

    pub(crate) fn replace(&self, identity: &ServerIdentity) -> Result<(), TlsError> {
        let certified = certified(identity)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = certified;
        Ok(())
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown")
    }
}

fn certified(identity: &ServerIdentity) -> Result<Arc<CertifiedKey>, TlsError> {
    let chain = identity.chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
    // Borrowed, so that no copy of the key stays behind unwiped.
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(identity.key.expose()));
    let certified = CertifiedKey::new(chain, sign::any_supported_type(&key)?);
    certified.keys_match()?;
    Ok(Arc::new(certified))
}

/// The server's half of a handshake, and who tells operators' certificates from others.
///
/// Client certificates are optional: without one only open methods answer. None fails the handshake, where TLS would only break
/// off: a device has one context for all its servers and offers its certificate to each; an operator whose certificate has expired
/// is answered with `operator-expired`. So a handshake says that its peer has the certificate's key, and nothing of who issued it.
pub(crate) fn configuration(
    shown: Arc<Shown>,
    engine: &Arc<Engine>,
    infrastructure: Vec<u8>,
) -> Result<(ServerConfig, Arc<OperatorsCa>), TlsError> {
    let provider = Arc::new(provider());
    let mut trusted = RootCertStore::empty();
    // Its key and its name, which stay when it is certified again.
    trusted.add(CertificateDer::from(infrastructure))?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(trusted), provider.clone())
        .allow_unauthenticated()
        .build()?;
    let algorithms = provider.signature_verification_algorithms;
    let holders = Holders { algorithms, hints: verifier.root_hint_subjects().to_vec() };
    let mut configuration =
        ServerConfig::builder_with_details(provider, Arc::new(EngineTime(engine.clone())))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(Arc::new(holders))
            .with_cert_resolver(shown);
    // HTTP/2 first, where both are offered.
    configuration.alpn_protocols = [HTTP2, HTTP1].map(<[u8]>::to_vec).to_vec();
    // Devices come back often; a ticket halves the cost (RFC 8446 §2.2), and its key is replaced every few hours. No early data:
    // it could be replayed. The engine detects a certificate that has since expired or been revoked, at each call.
    configuration.ticketer = Ticketer::new()?;
    configuration.send_tls13_tickets = 1;
    configuration.max_early_data_size = 0;
    Ok((configuration, Arc::new(OperatorsCa(verifier))))
}

/// The server's half of a handshake for EST, whose clients are older than TLS 1.3.
///
/// A client certificate is optional, and any will do: it shows that the peer has its key, and whose it is the engine says. No handshake
/// is resumed, so that each connection shows it.
pub(crate) fn est_configuration(shown: Arc<Shown>, engine: &Arc<Engine>) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(provider());
    // No hints: a client that goes by them would keep the certificate of a CA that was changed since.
    let holders = Holders { algorithms: provider.signature_verification_algorithms, hints: Vec::new() };
    let mut configuration =
        ServerConfig::builder_with_details(provider, Arc::new(EngineTime(engine.clone())))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_client_cert_verifier(Arc::new(holders))
            .with_cert_resolver(shown);
    configuration.alpn_protocols = vec![HTTP1.to_vec()];
    configuration.session_storage = Arc::new(NoServerSessionStorage {});
    configuration.send_tls13_tickets = 0;
    Ok(configuration)
}

/// The client's half of a handshake with the receiver of a webhook: one that leads to these CAs, DER, and none that is resumed.
pub(crate) fn receiver_configuration(
    cas: &[Vec<u8>],
    engine: &Arc<Engine>,
) -> Result<ClientConfig, TlsError> {
    let mut trusted = RootCertStore::empty();
    for ca in cas {
        trusted.add(CertificateDer::from(ca.clone()))?;
    }
    let mut configuration =
        ClientConfig::builder_with_details(Arc::new(provider()), Arc::new(EngineTime(engine.clone())))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(trusted)
            .with_no_client_auth();
    configuration.alpn_protocols = vec![HTTP1.to_vec()];
    configuration.resumption = Resumption::disabled();
    Ok(configuration)
}

/// The client's half of a handshake with an audit sink: one that leads to these CAs, DER, by TLS 1.3, or by 1.2, which RFC 5425 and
/// RFC 9662 demand of receivers of syslog. It shows the certificate of `client`, if there is one, to a receiver that asks for it.
pub(crate) fn sink_configuration(
    cas: &[Vec<u8>],
    client: Option<CertifiedKey>,
    protocols: &[&[u8]],
    engine: &Arc<Engine>,
) -> Result<ClientConfig, TlsError> {
    let mut trusted = RootCertStore::empty();
    for ca in cas {
        trusted.add(CertificateDer::from(ca.clone()))?;
    }
    let builder =
        ClientConfig::builder_with_details(Arc::new(provider()), Arc::new(EngineTime(engine.clone())))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_root_certificates(trusted);
    let mut configuration = match client {
        Some(client) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(client))),
        None => builder.with_no_client_auth(),
    };
    configuration.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    configuration.resumption = Resumption::disabled();
    Ok(configuration)
}

/// Who has the key of a certificate, whatever it is: who issued it is judged once the handshake is done.
#[derive(Debug)]
struct Holders {
    algorithms: WebPkiSupportedAlgorithms,
    /// The issuers whose certificates a client that has several should show.
    hints: Vec<DistinguishedName>,
}

impl ClientCertVerifier for Holders {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The CA that issues operators' certificates.
#[derive(Debug)]
pub(crate) struct OperatorsCa(Arc<dyn ClientCertVerifier>);

impl OperatorsCa {
    /// Whether it issued the certificate to a client. One that has expired counts: whether its operator may call is asked at
    /// each call ([`Engine::authenticate`]), as on connections that outlive their certificate.
    pub(crate) fn issued(&self, certificate: &CertificateDer<'_>, now: u64) -> bool {
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
        match self.0.verify_client_cert(certificate, &[], now) {
            // All else, as of its last second.
            Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
                self.0.verify_client_cert(certificate, &[], not_after).is_ok()
            }
            judged => judged.is_ok(),
        }
    }
}

/// The authority has one clock: the one that dates certificates also judges them here.
struct EngineTime(Arc<Engine>);

impl TimeProvider for EngineTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0.now())))
    }
}

impl fmt::Debug for EngineTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EngineTime")
    }
}

/// The hybrid group first, against those who record today to decrypt in years.
fn provider() -> CryptoProvider {
    let kx_groups = vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1];
    CryptoProvider { kx_groups, ..default_provider() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::NamedGroup::{X25519, X25519MLKEM768, secp256r1};
    use wardein_crypto::{P256SigningKey, Secret};
    use wardein_domain::{Call, Role};
    use wardein_engine::{Caller, OperatorOrder, Ports, found};
    use wardein_pki::{Csr, pem};
    use wardein_testkit::{MemoryCustody, MemoryStore, TestClock};

    const NOW: u64 = 1_790_000_000;
    const DAY: u64 = 86_400;

    /// The CA's certificate, an operator's for a day, and the server's.
    async fn certificates() -> [CertificateDer<'static>; 3] {
        let key = [7; 32];
        let ports = || Ports::new(Arc::new(MemoryStore::new()), TestClock::at(NOW));
        let ports = ports();
        let founded =
            found(&ports, Secret::copied_from(&key), "wardein.test".parse().unwrap()).await.unwrap();
        let engine = Engine::open(ports, MemoryCustody::of(key).root_keys()).await.unwrap();
        let admin = Caller { principal: founded.admin, call: Call::new("test") };
        let signs = P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap();
        let order = OperatorOrder {
            role: Role::Auditor,
            tenant: None,
            name: "one".parse().unwrap(),
            csr: Csr::create(&signs).unwrap(),
            validity: DAY,
            quota: 0,
        };
        let (chain, _) = engine.issue_operator(&admin, order).await.unwrap();
        let server = engine.issue_server_identity(&["localhost".parse().unwrap()]).await.unwrap();
        let operator = pem::decode_certificates(&chain).unwrap().remove(0);
        [engine.infrastructure_ca().unwrap(), operator, server.chain[0].clone()].map(CertificateDer::from)
    }

    #[tokio::test]
    async fn an_operators_certificate_is_one_that_expired_too_and_no_other() {
        let [ca, operator, server] = certificates().await;
        let [_, foreign, _] = certificates().await;
        let mut trusted = RootCertStore::empty();
        trusted.add(ca).unwrap();
        let strict = WebPkiClientVerifier::builder_with_provider(Arc::new(trusted), Arc::new(provider()));
        let operators = OperatorsCa(strict.build().unwrap());
        let passes = |certificate: &CertificateDer<'_>, at| operators.issued(certificate, at);
        assert!(passes(&operator, NOW));
        assert!(passes(&operator, NOW + DAY + 1) && passes(&operator, NOW + 900 * DAY));
        assert!(!passes(&operator, NOW - DAY), "it is not valid yet");
        let mut altered = operator.to_vec();
        *altered.last_mut().unwrap() ^= 1;
        for (what, other) in [
            ("another authority's", &foreign),
            ("the server's", &server),
            ("one that was altered", &CertificateDer::from(altered)),
        ] {
            for at in [NOW, NOW + DAY + 1, NOW + 900 * DAY] {
                assert!(!passes(other, at), "{what} at {at}");
            }
        }
    }

    #[test]
    fn the_hybrid_group_is_preferred() {
        let names: Vec<_> = provider().kx_groups.iter().map(|group| group.name()).collect();
        assert_eq!(names, [X25519MLKEM768, X25519, secp256r1]);
    }
}
