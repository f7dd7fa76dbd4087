//! A connection to any server: nothing is believed by it, and nothing secret is sent over it.

use crate::tls::{MaterialError, provider};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::DefaultTimeProvider;
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use std::sync::Arc;

/// Its configuration, for gRPC.
pub(crate) fn unjudged() -> Result<ClientConfig, MaterialError> {
    let provider = Arc::new(provider());
    let verifier = Arc::new(Unjudged(provider.signature_verification_algorithms));
    let builder = ClientConfig::builder_with_details(provider, Arc::new(DefaultTimeProvider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(MaterialError::Provider)?;
    let mut configuration =
        builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    configuration.alpn_protocols = vec![b"h2".to_vec()];
    Ok(configuration)
}

/// Takes every certificate whose key signed the handshake.
#[derive(Debug)]
struct Unjudged(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Unjudged {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.3 alone".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
