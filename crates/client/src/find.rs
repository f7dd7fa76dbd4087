//! The root of an authority, for who knows its SHA-256 and has no certificate yet.

use crate::connect::reach;
use crate::error::ConnectError;
use crate::v1;
use crate::way::{Settings, Way};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use wardein_crypto::Digest;

/// The root's certificate, DER, of the authority at `settings.endpoint`: the first of those that the server there says are to be
/// trusted, if it has that digest.
///
/// Nobody is verified on the way, so nothing is sent that is a secret, and nothing of the answer is believed but what the digest proves. What
/// else is to be asked is asked over another connection, which must lead to that root.
pub async fn find_root(settings: &Settings, root: &Digest) -> Result<Vec<u8>, ConnectError> {
    let endpoint = || settings.endpoint.clone();
    let (way, uri) = Way::unjudged(settings)?;
    let connection = reach(settings, way, uri).await?;
    let answer = connection.certificates().get_trust_bundle(v1::GetTrustBundleRequest::default()).await;
    let answer = answer.map_err(|status| ConnectError::Unasked {
        endpoint: endpoint(),
        reason: status.message().to_owned(),
    })?;
    let first = CertificateDer::pem_slice_iter(answer.get_ref().pem.as_bytes()).next();
    let found = first.and_then(Result::ok).map(|certificate| certificate.to_vec()).unwrap_or_default();
    if Digest::of(&found) != *root {
        return Err(ConnectError::OtherRoot { endpoint: endpoint() });
    }
    Ok(found)
}
