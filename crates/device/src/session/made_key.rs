//! A certificate with a key that the authority makes, for a device that cannot make one of that kind (DDKG-1 §8.2).

use super::{Asking, Session};
use crate::authority::Authority;
use crate::certificate::{self, Certificate, CertificateError};
use crate::error::Error;
use wardein_crypto::{Entropy, public_half};
use wardein_domain::KeyKind;
use wardein_pki::SubjectKey;

impl<A: Authority, E: Entropy> Session<A, E> {
    /// A new certificate with a key of that kind that the authority makes, both checked and stored in the place of what there was. It comes
    /// sealed for this device and this request alone, and the authority keeps no copy. Where the reply is lost, asking again brings another
    /// key with another certificate; nobody has the key of the first.
    pub async fn made_certificate(&mut self, kind: KeyKind) -> Result<Certificate, Error> {
        let (acknowledged, opener) = self.request_opening(&Asking::MadeKey(kind)).await?;
        let opener = opener.ok_or(Error::Fault("opening a key that was made"))?;
        let (pkcs8, chain) = opener.open(&acknowledged.body)?;
        let key = public_half(&pkcs8).ok_or(CertificateError::MadeKey)?;
        if SubjectKey::from(key.clone()).kind() != kind {
            return Err(CertificateError::MadeKey.into());
        }
        let chain = certificate::split(&chain)?;
        let told = (acknowledged.server_time, self.renewal_told);
        let certificate = certificate::check(&chain, &key, &self.config, told)?;
        // A power cut between the two leaves a certificate of another key, which is found damaged, and another is asked for.
        self.directory.save_key(&self.config, &pkcs8)?;
        self.directory.save_certificate(&certificate, &certificate::to_pem(&chain)?)?;
        Ok(certificate)
    }
}
