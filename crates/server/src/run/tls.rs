//! TLS: version 1.3 alone, hybrid key agreement first, operators' certificates by the infrastructure CA alone.

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider, kx_group, sign};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::{RootCertStore, ServerConfig};
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

/// The server's half of a handshake. Client certificates are optional: without one only open methods answer; one that the
/// infrastructure CA did not issue, or that has expired, fails the handshake.
pub(crate) fn configuration(shown: Arc<Shown>, engine: &Arc<Engine>) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(provider());
    let mut trusted = RootCertStore::empty();
    trusted.add(CertificateDer::from(engine.infrastructure_ca().to_vec()))?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(trusted), provider.clone())
        .allow_unauthenticated()
        .build()?;
    let mut configuration =
        ServerConfig::builder_with_details(provider, Arc::new(EngineTime(engine.clone())))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(shown);
    configuration.alpn_protocols = vec![b"h2".to_vec()];
    // Devices come back often; a ticket halves the cost (RFC 8446 §2.2), and its key is replaced every few hours. No early data:
    // it could be replayed. The engine detects a certificate that has since expired or been revoked, at each call.
    configuration.ticketer = Ticketer::new()?;
    configuration.send_tls13_tickets = 1;
    configuration.max_early_data_size = 0;
    Ok(configuration)
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

    #[test]
    fn the_hybrid_group_is_preferred() {
        let names: Vec<_> = provider().kx_groups.iter().map(|group| group.name()).collect();
        assert_eq!(names, [X25519MLKEM768, X25519, secp256r1]);
    }
}
