//! Where the CAs' keys are: sealed in the authority's row and in those of issuing CAs, or in another process.

use crate::issue::apart::apart;
use crate::kernel::{Engine, Error};
use crate::rows::seal::{Keyring, Nonce};
use crate::rows::{CaKeyColumn, ca_place};
use std::sync::Arc;
use wardein_crypto::{KeyAlgorithm, SecretBytes, Signer, SigningError, SigningKey, VerifyingKey};
use wardein_domain::{CaId, ErrorCode};
use wardein_pki::{CaCertificate, CaKey, CaRole, SubjectKey};
use wardein_port::Signers;

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
    /// It is in another process, and stays there: [`crate::Ports::signers`] has it.
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

    /// A fresh one where keys of new CAs are made. It takes its time.
    pub(crate) fn make(signers: &dyn Signers, algorithm: KeyAlgorithm) -> Result<Self, Error> {
        if !signers.makes_keys() {
            return Self::of(CaKeySource::Made(algorithm));
        }
        let made = signers.make(algorithm).map_err(|error| {
            let message = format_args!("no key was made in the store of the CAs' keys: {error}");
            Error::new(ErrorCode::SignerUnavailable, message)
        })?;
        Self::of(CaKeySource::Elsewhere(made))
    }

    /// Removes one in another process that no CA came of, for which `error` is the reason.
    pub(crate) fn discard(&self, signers: &dyn Signers, error: &Error) {
        // Where it is unknown whether there is a CA, its key stays: one too many does no harm.
        if self.document.is_none() && error.code != ErrorCode::StoreUnavailable {
            signers.discard(&self.signer.verifying_key());
        }
    }
}

impl Engine {
    /// A key for a new CA, made on a thread of its own: one of RSA takes a second or more, and so may a token.
    pub(crate) async fn new_ca_key(&self, algorithm: KeyAlgorithm) -> Result<NewCaKey, Error> {
        let signers = self.signers.clone();
        apart("wardein-key", move || NewCaKey::make(&*signers, algorithm)).await?
    }

    /// The CAs of devices whose keys are in another process.
    pub fn cas_elsewhere(&self) -> Vec<CaId> {
        let cas = self.memory.cas();
        cas.iter().filter(|ca| ca.is_elsewhere()).map(|ca| ca.id).collect()
    }

    /// Those of them where nothing is found of the key. They sign nothing; all else goes on.
    pub fn cas_without_key(&self) -> Vec<CaId> {
        let is_absent = |key: &VerifyingKey| self.signers.find(key).is_none();
        let cas = self.memory.cas();
        let absent = cas.iter().filter(|ca| ca.is_elsewhere() && is_absent(ca.certificate.verifying_key()));
        absent.map(|ca| ca.id).collect()
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

/// The signer of a CA's key in another process.
pub(crate) fn signer_of(signers: &dyn Signers, key: &VerifyingKey) -> Result<Arc<dyn Signer>, Error> {
    signers.find(key).ok_or_else(|| {
        let id = CaId::new(SubjectKey::from(key.clone()).common_id());
        let message = format_args!("the key of CA {id} is in another process, and no signer has it");
        Error::new(ErrorCode::SignerUnavailable, message)
    })
}

/// The same; where it is not known, one that is looked for when it is to sign: another node made it, or it is gone. What the CA certified is
/// judged as before, and it can be distrusted.
pub(crate) fn signer_or_absent(signers: &Arc<dyn Signers>, key: &VerifyingKey) -> Arc<dyn Signer> {
    signers.find(key).unwrap_or_else(|| Arc::new(Absent { key: key.clone(), signers: signers.clone() }))
}

struct Absent {
    key: VerifyingKey,
    signers: Arc<dyn Signers>,
}

impl Signer for Absent {
    fn verifying_key(&self) -> VerifyingKey {
        self.key.clone()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        self.signers.look(&self.key).ok_or(SigningError)?.sign(message)
    }

    fn is_external(&self) -> bool {
        true
    }
}

/// The CA of a certificate, which says by which algorithm it signs. Its key is a PKCS#8 document, or where there is none in another
/// process.
pub(crate) fn ca_of<R: CaRole>(
    document: Option<SecretBytes>,
    signers: &dyn Signers,
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
