//! One who answers in the authority's place, such as a proxy that opens TLS: its certificate is kept, so that it can be named.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};
use std::fmt;
use std::sync::Arc;

/// Judges as another verifier does.
#[derive(Debug)]
pub(crate) struct Seen(pub(crate) Arc<dyn ServerCertVerifier>);

/// The certificate of the one who answered, DER.
pub(crate) struct Foreign(pub(crate) Vec<u8>);

impl ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let judged = self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        judged.map_err(|error| match error {
            // Of no root that is trusted, or of one of that name with another key.
            Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
                let foreign = Foreign(end_entity.to_vec());
                CertificateError::Other(OtherError(Arc::new(foreign))).into()
            }
            error => error,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the certificate is not of the infrastructure CA")
    }
}

impl fmt::Debug for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Foreign")
    }
}

impl std::error::Error for Foreign {}

#[cfg(test)]
mod tests {
    use crate::error::ConnectError;
    use crate::post::Poster;
    use crate::way::Settings;
    use rustls::pki_types::PrivateKeyDer;
    use std::sync::Arc;
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    #[tokio::test]
    async fn the_certificate_of_one_who_answers_in_the_authoritys_place_is_kept() {
        let made = |name: &str| rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let (trusted, foreign) = (made("localhost"), made("localhost"));
        let shown = foreign.cert.der().clone();
        let key = PrivateKeyDer::try_from(foreign.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(crate::tls::provider());
        let server = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![shown.clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                drop(TlsAcceptor::from(Arc::new(server.clone())).accept(stream).await);
            }
        });
        let endpoint = format!("https://localhost:{port}");
        let settings = Settings::new(&endpoint, trusted.cert.pem().into_bytes());
        let kept = |error: ConnectError| match error {
            ConnectError::Intercepted { endpoint, certificate } => (endpoint, certificate),
            other => panic!("{other:?}"),
        };
        let posted = Poster::new(&settings).unwrap().post("/v1/device/challenge", vec![9]).await;
        assert_eq!(kept(posted.unwrap_err()), (endpoint.clone(), shown.to_vec()));
        #[cfg(feature = "grpc")]
        assert_eq!(kept(crate::connect(&settings).await.unwrap_err()), (endpoint, shown.to_vec()));
    }
}
