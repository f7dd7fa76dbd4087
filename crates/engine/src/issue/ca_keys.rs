//! Where the CAs' keys are: sealed in the authority's row and in those of issuing CAs, or in another process.

use crate::kernel::Error;
use crate::rows::seal::{Keyring, Nonce};
use crate::rows::{CaKeyColumn, ca_place};
use std::sync::Arc;
use wardein_crypto::{KeyAlgorithm, SecretBytes, Signer, SigningKey, VerifyingKey};
use wardein_domain::CaId;
use wardein_pki::{CaCertificate, CaKey, CaRole};

/// The keys that an authority is founded with. By default all are made, on P-256.
#[derive(Default)]
pub struct CaKeys {
    /// The root's.
    pub root: CaKeySource,
    /// Of the CA that certifies devices.
    pub issuing: CaKeySource,
    /// Of the CA that certifies operators and servers.
    pub infrastructure: CaKeySource,
    /// Whether the issuing CA certifies devices as servers, too: [`wardein_pki::RootCa::issuing_order`].
    pub devices_serve: bool,
}

/// Where a CA's key comes from.
pub enum CaKeySource {
    /// It is made, and sealed under the root key.
    Made(KeyAlgorithm),
    /// It is in another process, and stays there. [`crate::Ports::signers`] must have it whenever the authority is opened.
    Elsewhere(Arc<dyn Signer>),
}

impl Default for CaKeySource {
    fn default() -> Self {
        Self::Made(KeyAlgorithm::default())
    }
}

/// The key of a CA that is being founded.
pub(crate) struct NewCaKey {
    pub(crate) signer: Arc<dyn Signer>,
    /// PKCS#8, to be sealed; none of a key elsewhere.
    pub(crate) document: Option<SecretBytes>,
}

impl NewCaKey {
    pub(crate) fn of(source: CaKeySource) -> Result<Self, Error> {
        match source {
            CaKeySource::Made(algorithm) => {
                let document = SigningKey::generate_pkcs8(algorithm)
                    .map_err(|_| Error::internal("no entropy for keys"))?;
                let signer = SigningKey::from_pkcs8(algorithm.signature(), &document)
                    .map_err(|_| Error::internal("a key that was just made is damaged"))?;
                Ok(Self { signer: Arc::new(signer), document: Some(document) })
            }
            CaKeySource::Elsewhere(signer) => Ok(Self { signer, document: None }),
        }
    }
}

impl NewCaKey {
    /// It as the row of an issuing CA has it.
    pub(crate) fn column(&self, sealing: &Keyring, nonce: Nonce, id: &CaId) -> Result<CaKeyColumn, Error> {
        match &self.document {
            Some(document) => sealing.seal(nonce, ca_place(id), document.expose()).map(CaKeyColumn::Sealed),
            None => Ok(CaKeyColumn::Elsewhere),
        }
    }
}

/// The signer, of those that are given, of a CA's key in another process.
pub(crate) fn signer_of(signers: &[Arc<dyn Signer>], key: &VerifyingKey) -> Result<Arc<dyn Signer>, Error> {
    let found = signers.iter().find(|signer| signer.verifying_key() == *key).cloned();
    found.ok_or_else(|| Error::internal("the key of a CA is in another process, and no signer has it"))
}

/// The CA of a certificate, which says by which algorithm it signs. Its key is a PKCS#8 document, or where there is none in another
/// process.
pub(crate) fn ca_of<R: CaRole>(
    document: Option<SecretBytes>,
    signers: &[Arc<dyn Signer>],
    der: &[u8],
) -> Result<CaKey<R>, Error> {
    let certificate = CaCertificate::<R>::parse(der).map_err(Error::internal)?;
    let key = certificate.verifying_key();
    let signer: Arc<dyn Signer> = match document {
        Some(document) => {
            let damaged = |_| Error::internal("the key of a CA is damaged");
            Arc::new(SigningKey::from_pkcs8(key.algorithm(), &document).map_err(damaged)?)
        }
        None => signer_of(signers, key)?,
    };
    CaKey::load(signer, der).map_err(Error::internal)
}
