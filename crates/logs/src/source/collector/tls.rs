//! TLS of the collector: its certificate from a file, and of its clients those that are pinned.
//!
//! RFC 9662 has TLS 1.2 beside 1.3, for devices that are old and may not be touched; rustls has of it AEAD with ephemeral keys alone.
//! No session is resumed and no early data taken (RFC 9662), so that each connection shows its certificate.

use super::{CollectorError, Senders};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::ring::{default_provider, sign};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, ServerConfig,
    SignatureScheme,
};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use wardein_crypto::{Digest, SecretBytes, hex};

/// The collector's half of a handshake.
pub(super) fn configuration(
    certificate: &Path,
    key: &Path,
    senders: &Senders,
) -> Result<Arc<ServerConfig>, CollectorError> {
    let provider = Arc::new(default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(CollectorError::Pair)?;
    let pins: BTreeSet<Digest> = senders.by_certificate.keys().copied().collect();
    let builder = match pins.is_empty() {
        true => builder.with_no_client_auth(),
        false => {
            let is_optional = !senders.by_address.is_empty();
            builder.with_client_cert_verifier(Arc::new(Pinned { pins, is_optional, algorithms }))
        }
    };
    let certified = SingleCertAndKey::from(certified(certificate, key)?);
    let mut configuration = builder.with_cert_resolver(Arc::new(certified));
    configuration.session_storage = Arc::new(NoServerSessionStorage {});
    configuration.send_tls13_tickets = 0;
    configuration.max_early_data_size = 0;
    Ok(Arc::new(configuration))
}

/// Takes clients by the SHA-256 of their certificates, and judges neither names, times nor chains (RFC 5425 section 4.2.2): devices whose
/// software may not be touched keep the certificates that they have.
#[derive(Debug)]
struct Pinned {
    pins: BTreeSet<Digest>,
    /// Whether clients without a certificate may be known by their address.
    is_optional: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

/// Who showed a certificate that is not pinned. A technician who is to pin it finds it in the log.
#[derive(Debug, thiserror::Error)]
#[error("its certificate is sha256:{}, and no source names it", hex::encode(&.0.0))]
struct Stranger(Digest);

impl ClientCertVerifier for Pinned {
    fn client_auth_mandatory(&self) -> bool {
        !self.is_optional
    }

    /// None, so that a client shows the certificate that it has.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let digest = Digest::of(end_entity);
        if self.pins.contains(&digest) {
            return Ok(ClientCertVerified::assertion());
        }
        let stranger = OtherError(Arc::new(Stranger(digest)));
        Err(Error::InvalidCertificate(CertificateError::Other(stranger)))
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

fn certified(path: &Path, key_path: &Path) -> Result<CertifiedKey, CollectorError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| CollectorError::File { path, source }
    };
    let pem = |path: &Path, what| CollectorError::Pem { path: path.to_owned(), what };
    let mut certificate = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE).read_to_end(&mut certificate));
    read.map_err(failed(path))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&certificate).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or_else(|| pem(path, "certificate"))?;
    let key = read_private(key_path).map_err(failed(key_path))?;
    let parsed = PrivateKeyDer::from_pem_slice(key.expose()).map_err(|_| pem(key_path, "private key"))?;
    let key = sign::any_supported_type(&parsed).map_err(CollectorError::Pair)?;
    let certified = CertifiedKey::new(chain, key);
    certified.keys_match().map_err(CollectorError::Pair)?;
    Ok(certified)
}

/// A secret in a file that others can neither read nor write. Mode and contents are those of one file, whatever has its name in the
/// meantime.
fn read_private(path: &Path) -> io::Result<SecretBytes> {
    let file = File::open(path)?;
    if !wardein_durable::is_private(&file.metadata()?) {
        return Err(io::Error::other(format!("it is open to others; run: chmod 600 {}", path.display())));
    }
    // Of its whole size at once: a buffer that grows leaves copies behind.
    let mut content = Vec::with_capacity(MAX_FILE as usize);
    let read = file.take(MAX_FILE).read_to_end(&mut content);
    let content = SecretBytes::from_vec(content);
    read.map(|_| content)
}

/// Many times a key, and several certificates. What is longer is cut, and then is not PEM.
const MAX_FILE: u64 = 64 << 10;
