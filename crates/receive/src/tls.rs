//! TLS: version 1.3 alone, the hybrid group first, and a certificate of a device of the authority's from each peer.

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{default_provider, kx_group, sign};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use wardein_crypto::{Digest, SecretBytes};

/// The files of the receiver's own certificate and key, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, then those between it and its root.
    pub certificate: PathBuf,
    /// Its key, PKCS#8, which others than its owner can neither read nor write.
    pub key: PathBuf,
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file holds no certificate or key.
    #[error("{} holds no {what} in PEM", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
    /// The key is not the certificate's, or of a kind that TLS has no use for.
    #[error("the certificate and the key cannot be used together: {0}")]
    Pair(rustls::Error),
    /// The roots of devices cannot be used.
    #[error("the roots of devices cannot be used: {0}")]
    Roots(String),
}

/// The certificate that the receiver shows; it is read again while it runs.
pub(crate) struct Shown {
    identity: Identity,
    key: RwLock<(Digest, Arc<CertifiedKey>)>,
}

impl Shown {
    pub(crate) fn read(identity: Identity) -> Result<Arc<Self>, TlsError> {
        let key = RwLock::new(certified(&identity)?);
        Ok(Arc::new(Self { identity, key }))
    }

    /// Goes over to what is in the files by now; whether it is another. If that fails, as it does while they are being replaced,
    /// all goes on with the former.
    pub(crate) fn reload(&self) -> Result<bool, TlsError> {
        let read = certified(&self.identity)?;
        let mut key = self.key.write().unwrap_or_else(PoisonError::into_inner);
        let is_other = key.0 != read.0;
        *key = read;
        Ok(is_other)
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.key.read().unwrap_or_else(PoisonError::into_inner).1.clone())
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown")
    }
}

/// The receiver's half of a handshake: its peer has a certificate that leads to one of `roots` (DER), is valid now and for clients.
pub(crate) fn configuration(shown: Arc<Shown>, roots: &[Vec<u8>]) -> Result<ServerConfig, TlsError> {
    let wrong = |error: &dyn fmt::Display| TlsError::Roots(error.to_string());
    let provider = Arc::new(provider());
    let mut trusted = RootCertStore::empty();
    for root in roots {
        trusted.add(CertificateDer::from(root.clone())).map_err(|error| wrong(&error))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(trusted), provider.clone());
    let verifier = verifier.build().map_err(|error| wrong(&error))?;
    let mut configuration = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::Pair)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(shown);
    configuration.alpn_protocols = vec![b"http/1.1".to_vec()];
    // No handshake is resumed, so that each connection shows its certificate, and no early data, which could be replayed.
    configuration.session_storage = Arc::new(NoServerSessionStorage {});
    configuration.send_tls13_tickets = 0;
    configuration.max_early_data_size = 0;
    Ok(configuration)
}

fn certified(identity: &Identity) -> Result<(Digest, Arc<CertifiedKey>), TlsError> {
    let Identity { certificate: path, key: key_path } = identity;
    let pem = |path: &PathBuf, what| TlsError::Pem { path: path.clone(), what };
    let file = |path: &PathBuf| {
        let path = path.clone();
        move |source| TlsError::File { path, source }
    };
    let certificate = std::fs::read(path).map_err(file(path))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&certificate).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or_else(|| pem(path, "certificate"))?;
    let key = read_private(key_path).map_err(file(key_path))?;
    let parsed = PrivateKeyDer::from_pem_slice(key.expose()).map_err(|_| pem(key_path, "private key"))?;
    let certified = CertifiedKey::new(chain, sign::any_supported_type(&parsed).map_err(TlsError::Pair)?);
    certified.keys_match().map_err(TlsError::Pair)?;
    Ok((Digest::of(&certificate), Arc::new(certified)))
}

/// A secret in a file that others can neither read nor write. Mode and contents are those of one file, whatever has its name in the
/// meantime.
pub(crate) fn read_private(path: &std::path::Path) -> io::Result<SecretBytes> {
    let file = File::open(path)?;
    if !wardein_durable::is_private(&file.metadata()?) {
        return Err(io::Error::other(format!("it is open to others; run: chmod 600 {}", path.display())));
    }
    // Of its whole size at once: a buffer that grows leaves copies behind.
    let mut content = Vec::with_capacity(MAX_SECRET + 1);
    let read = file.take(MAX_SECRET as u64 + 1).read_to_end(&mut content);
    let content = SecretBytes::from_vec(content);
    match read? {
        length if length > MAX_SECRET => {
            Err(io::Error::other(format!("it has more than {MAX_SECRET} bytes")))
        }
        _ => Ok(content),
    }
}

/// The hybrid group first, against those who record today to decrypt in years.
fn provider() -> CryptoProvider {
    let kx_groups = vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1];
    CryptoProvider { kx_groups, ..default_provider() }
}

/// Many times that of a key in PEM.
const MAX_SECRET: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::NamedGroup::{X25519, X25519MLKEM768, secp256r1};
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_hybrid_group_is_preferred() {
        let names: Vec<_> = provider().kx_groups.iter().map(|group| group.name()).collect();
        assert_eq!(names, [X25519MLKEM768, X25519, secp256r1]);
    }

    #[test]
    fn a_key_is_the_certificates_and_its_owners_alone_and_another_is_taken_while_it_runs() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let make = |suffix: &str| {
            let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            fs::write(path(&format!("pem{suffix}")), made.cert.pem()).unwrap();
            fs::write(path(&format!("key{suffix}")), made.signing_key.serialize_pem()).unwrap();
            fs::set_permissions(path(&format!("key{suffix}")), Permissions::from_mode(0o600)).unwrap();
        };
        make("");
        make(".other");
        let identity = Identity { certificate: path("pem"), key: path("key") };
        let shown = Shown::read(identity.clone()).unwrap();
        assert!(!shown.reload().unwrap());
        fs::rename(path("pem.other"), path("pem")).unwrap();
        assert!(matches!(shown.reload(), Err(TlsError::Pair(_))), "half of it is replaced");
        fs::rename(path("key.other"), path("key")).unwrap();
        assert!(shown.reload().unwrap());
        fs::set_permissions(path("key"), Permissions::from_mode(0o640)).unwrap();
        let open = Shown::read(identity).err().unwrap().to_string();
        assert!(open.contains("chmod 600"), "{open}");
        fs::write(path("key"), "").unwrap();
        fs::set_permissions(path("key"), Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(shown.reload(), Err(TlsError::Pem { .. })));
    }
}
