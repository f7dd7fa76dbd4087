//! The way to a receiver over TLS: whom to believe, and what to show, as files have it.

use super::{Failure, SinkTls};
use crate::run::sink_configuration;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::sign::CertifiedKey;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wardein_crypto::SecretBytes;
use wardein_engine::Engine;
use wardein_pki::pem;

/// What was read of the files.
pub(super) struct Tls {
    engine: Arc<Engine>,
    cas: Vec<Vec<u8>>,
    client: Option<CertifiedKey>,
}

impl Tls {
    pub(super) fn read(files: &SinkTls, engine: &Arc<Engine>) -> Result<Self, Failure> {
        let Some(ca) = &files.ca else {
            return Err(Failure::Material("it has no CAs to believe".to_owned()));
        };
        let cas = certificates(ca)?;
        let client = match &files.client {
            Some((certificate, key)) => Some(certified(certificate, key)?),
            None => None,
        };
        Ok(Self { engine: engine.clone(), cas, client })
    }

    /// Connects to a receiver whose certificate leads to the CAs and is for `host`.
    pub(super) async fn connect(
        &self,
        host: &str,
        port: u16,
        protocols: &[&[u8]],
    ) -> Result<TlsStream<TcpStream>, Failure> {
        let configuration = sink_configuration(&self.cas, self.client.clone(), protocols, &self.engine)
            .map_err(|error| Failure::Material(error.to_string()))?;
        let connector = TlsConnector::from(Arc::new(configuration));
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| Failure::Material(format!("{host} is not a name of a receiver")))?;
        let found: Vec<_> = lookup_host((host, port)).await.map_err(Failure::Name)?.take(ADDRESSES).collect();
        let mut failure = Failure::Name(std::io::ErrorKind::NotFound.into());
        for address in found {
            let reached = async {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                connector.connect(name.clone(), stream).await
            };
            match reached.await {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = Failure::Reach(error),
            }
        }
        Err(failure)
    }
}

fn certificates(path: &Path) -> Result<Vec<Vec<u8>>, Failure> {
    let bytes = bounded(path, |_| Ok(()))?;
    pem::read_certificates(bytes.expose()).map_err(|error| wrong(path, &error))
}

fn certified(certificate: &Path, key: &Path) -> Result<CertifiedKey, Failure> {
    let chain = certificates(certificate)?.into_iter().map(CertificateDer::from).collect();
    let pkcs8 = pem::decode_private_key(private(key)?.expose()).map_err(|error| wrong(key, &error))?;
    // Borrowed, so that no copy of the key stays behind unwiped.
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8.expose()));
    let signer =
        rustls::crypto::aws_lc_rs::sign::any_supported_type(&der).map_err(|error| wrong(key, &error))?;
    let certified = CertifiedKey::new(chain, signer);
    certified.keys_match().map_err(|error| wrong(certificate, &error))?;
    Ok(certified)
}

/// A file that its owner alone may read; one that is open to others is refused.
pub(super) fn private(path: &Path) -> Result<SecretBytes, Failure> {
    bounded(path, |facts| match wardein_durable::is_private(facts) {
        true => Ok(()),
        false => Err(wrong(path, &"it is open to others; run chmod 600")),
    })
}

/// A file of at most [`MAX_FILE`] bytes, judged and read as one and the same.
fn bounded(
    path: &Path,
    judge: impl FnOnce(&fs::Metadata) -> Result<(), Failure>,
) -> Result<SecretBytes, Failure> {
    let file = File::open(path).map_err(|error| wrong(path, &error))?;
    let facts = file.metadata().map_err(|error| wrong(path, &error))?;
    judge(&facts)?;
    // It does not grow while it is read: no piece of a secret stays behind unwiped.
    let mut bytes = Vec::with_capacity(facts.len().min(MAX_FILE) as usize + 2);
    let read = file.take(MAX_FILE + 1).read_to_end(&mut bytes);
    let bytes = SecretBytes::from_vec(bytes);
    read.map_err(|error| wrong(path, &error))?;
    match bytes.expose().len() as u64 > MAX_FILE {
        true => Err(wrong(path, &format_args!("it has more than {MAX_FILE} bytes"))),
        false => Ok(bytes),
    }
}

fn wrong(path: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::Material(format!("{}: {why}", path.display()))
}

/// Addresses of a name that are tried.
const ADDRESSES: usize = 4;

const MAX_FILE: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_that_is_open_to_others_or_endless_is_not_taken() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("token");
        fs::write(&path, "Bearer s3cret").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let said = private(&path).err().unwrap().to_string();
        assert!(said.contains("chmod 600") && !said.contains("s3cret"), "{said}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(private(&path).unwrap().expose(), b"Bearer s3cret");
        File::options().write(true).open(&path).unwrap().set_len(MAX_FILE + 1).unwrap();
        assert!(private(&path).is_err());
        assert!(private(&place.path().join("nowhere")).is_err());
    }
}
