//! The identity that a caller presents and the roots that it trusts: TLS 1.3 and nothing older.

use crate::foreign::Seen;
use crate::timeless::{Timeless, Uptime};
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{WantsClientCert, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use std::sync::Arc;
use std::time::Instant;
use wardein_crypto::SecretBytes;

/// An operator's certificate and key, PEM.
pub struct Identity {
    /// The certificate, then those between it and the root.
    pub certificates: Vec<u8>,
    /// The key, PKCS#8: PEM or DER.
    pub key: SecretBytes,
}

/// The material for a connection is unusable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MaterialError {
    /// The trusted certificates contain no readable one.
    #[error("the trusted certificates are not PEM with at least one certificate")]
    Roots,
    /// The identity contains no readable certificate.
    #[error("the identity's certificates are not PEM with at least one certificate")]
    Certificates,
    /// The identity contains no readable key.
    #[error("the identity's key is not a PEM private key")]
    Key,
    /// The key is not the certificate's, or of a kind that TLS has no use for.
    #[error("the identity cannot be used")]
    Identity(#[source] rustls::Error),
    /// The crypto provider lacks TLS 1.3.
    #[error("TLS 1.3 is not available")]
    Provider(#[source] rustls::Error),
}

/// The configuration of a connection of the protocol `alpn` that believes `roots` only, and shows `identity` when it is asked. Without a clock, the
/// times in the authority's certificate are not judged.
pub(crate) fn configuration(
    roots: &[u8],
    identity: Option<&Identity>,
    has_clock: bool,
    alpn: &[u8],
) -> Result<ClientConfig, MaterialError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(roots).ok_or(MaterialError::Roots)? {
        store.add(certificate).map_err(|_| MaterialError::Roots)?;
    }
    let provider = Arc::new(provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider.clone())
        .build()
        .map_err(|_| MaterialError::Roots)?;
    let (time, verifier): (Arc<dyn TimeProvider>, Arc<dyn ServerCertVerifier>) = match has_clock {
        true => (Arc::new(DefaultTimeProvider), verifier),
        false => (Arc::new(Uptime(Instant::now())), Arc::new(Timeless(verifier))),
    };
    let builder = ClientConfig::builder_with_details(provider, time)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(MaterialError::Provider)?
        // rustls calls a custom verifier dangerous; ours asks rustls's for everything but the time.
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Seen(verifier)));
    let mut configuration = shown(builder, identity)?;
    configuration.alpn_protocols = vec![alpn.to_vec()];
    Ok(configuration)
}

/// The configuration with the identity that is shown when it is asked for, if any.
pub(crate) fn shown(
    builder: ConfigBuilder<ClientConfig, WantsClientCert>,
    identity: Option<&Identity>,
) -> Result<ClientConfig, MaterialError> {
    let Some(Identity { certificates: chain, key }) = identity else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates(chain).ok_or(MaterialError::Certificates)?;
    let key = match key.expose() {
        der @ [0x30, ..] => PrivateKeyDer::from(PrivatePkcs8KeyDer::from(der.to_vec())),
        pem => PrivateKeyDer::from_pem_slice(pem).map_err(|_| MaterialError::Key)?,
    };
    builder.with_client_auth_cert(chain, key).map_err(MaterialError::Identity)
}

fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().ok()?;
    (!certificates.is_empty()).then_some(certificates)
}

/// The groups in the order of preference; the hybrid one first, against those who record today to decrypt in years.
#[cfg(feature = "post-quantum")]
pub(crate) fn provider() -> CryptoProvider {
    use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
    let kx_groups = vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1];
    CryptoProvider { kx_groups, ..default_provider() }
}

#[cfg(not(feature = "post-quantum"))]
pub(crate) fn provider() -> CryptoProvider {
    use rustls::crypto::ring::{default_provider, kx_group};
    let kx_groups = vec![kx_group::X25519, kx_group::SECP256R1];
    CryptoProvider { kx_groups, ..default_provider() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn material() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn identity(certificates: &str, key: &str) -> Identity {
        Identity {
            certificates: certificates.as_bytes().to_vec(),
            key: SecretBytes::from_vec(key.as_bytes().to_vec()),
        }
    }

    #[test]
    fn material_that_is_of_no_use_is_named() {
        let (pem, key) = material();
        let (_, foreign) = material();
        let with = |certificates, key| {
            configuration(pem.as_bytes(), Some(&identity(certificates, key)), true, b"h2").map(|_| ())
        };
        assert!(matches!(configuration(b"", None, true, b"h2"), Err(MaterialError::Roots)));
        assert!(matches!(configuration(b"nonsense", None, false, b"h2"), Err(MaterialError::Roots)));
        assert!(matches!(with("", &key), Err(MaterialError::Certificates)));
        assert!(matches!(with(&pem, &pem), Err(MaterialError::Key)));
        assert!(matches!(with(&pem, &foreign), Err(MaterialError::Identity(_))));
        assert!(with(&pem, &key).is_ok());
    }

    #[test]
    fn an_error_never_prints_the_key() {
        let (pem, key) = material();
        let error =
            configuration(pem.as_bytes(), Some(&identity(&pem, &key.replace("PRIVATE", ""))), true, b"h2")
                .unwrap_err();
        let secret = key.lines().nth(1).unwrap();
        assert!(!format!("{error:?} {error}").contains(secret));
    }

    #[cfg(feature = "post-quantum")]
    #[test]
    fn the_hybrid_group_comes_first() {
        assert_eq!(provider().kx_groups[0].name(), rustls::NamedGroup::X25519MLKEM768);
    }
}
