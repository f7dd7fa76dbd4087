//! Founding: the root and the two CAs under it, each with a key of its own algorithm.

use crate::build::{AltName, Issuer, Kind, Order};
use crate::ca::{CaKey, CaRole, common_name, common_name_of};
use crate::key::KeyId;
use crate::prepare::{By, CertificateOrder, Recorded, ToBeSigned};
use crate::subject_key::SubjectKey;
use crate::{
    CaCertificate, Infrastructure, InfrastructureCa, Issued, Issuing, IssuingCa, PkiError, Root, RootCa,
    Validity, spiffe,
};
use wardein_crypto::{Digest, Signer, VerifyingKey};
use wardein_domain::{KeyPurposes, Serial, TrustDomain};

impl RootCa {
    /// A root for `domain`, signed by itself. See [`crate::ROOT_LIFETIME`].
    pub fn found(
        domain: &TrustDomain,
        signer: impl Signer + 'static,
        serial: Serial,
        validity: Validity,
    ) -> Result<Self, PkiError> {
        let certificate = Self::prepare_itself(domain, &signer, serial, validity)?.sign_itself(&signer)?;
        Self::load(signer, certificate.der())
    }

    /// A root's own certificate, for a signer that signs only recorded bytes: [`Recorded::sign_itself`] completes it, and
    /// [`CaKey::load`] makes a root of it.
    pub fn prepare_itself(
        domain: &TrustDomain,
        signer: &dyn Signer,
        serial: Serial,
        validity: Validity,
    ) -> Result<ToBeSigned<Root>, PkiError> {
        let (key, algorithm) = (signer.verifying_key(), signer.algorithm());
        if !key.takes(algorithm) {
            return Err(PkiError::CaAlgorithm);
        }
        let common_name = &common_name::<Root>(domain);
        let subject = SubjectKey::of_ca(key)?;
        let order = order::<Root>(
            domain,
            common_name.clone(),
            (subject.id(), subject),
            KeyPurposes::NONE,
            serial,
            validity,
        )?;
        let (key_id, revocation_url) = (order.key_id, None);
        let issuer = Issuer { common_name, name: None, key_id, validity: None, algorithm, revocation_url };
        ToBeSigned::new(&order, &issuer, Digest::of(&order.key.spki()))
    }

    /// An issuing CA under this root. See [`crate::INTERMEDIATE_LIFETIME`].
    pub fn found_issuing(
        &self,
        signer: impl Signer + 'static,
        serial: Serial,
        validity: Validity,
    ) -> Result<IssuingCa, PkiError> {
        let order = self.issuing_order(&signer.verifying_key(), KeyPurposes::CLIENT, serial, validity)?;
        CaKey::load(signer, self.issue(&order)?.der())
    }

    /// The certificate of an issuing CA, as an order: the root's key signs, that of the CA is only certified. Its devices' certificates
    /// are for the client end of TLS alone ([`KeyPurposes::CLIENT`], as of [`RootCa::found_issuing`]), or for whatever a ready-made profile
    /// has ([`KeyPurposes::EVERY`]).
    pub fn issuing_order(
        &self,
        key: &VerifyingKey,
        purposes: KeyPurposes,
        serial: Serial,
        validity: Validity,
    ) -> Result<CertificateOrder<Root>, PkiError> {
        self.order::<Issuing>(key, purposes, serial, validity)
    }

    /// A further issuing CA under this root, of another name than all others, as an order; for `purposes` see
    /// [`RootCa::issuing_order`]. Its key has the identifier that another PKI would give it: [`SubjectKey::common_id`].
    pub fn further_issuing_order(
        &self,
        key: &VerifyingKey,
        purposes: KeyPurposes,
        serial: Serial,
        validity: Validity,
    ) -> Result<CertificateOrder<Root>, PkiError> {
        let (domain, key) = (self.certificate().trust_domain(), SubjectKey::of_ca(key.clone())?);
        let key_id = key.common_id();
        let common_name = common_name_of::<Issuing>(domain, &key_id);
        order::<Issuing>(domain, common_name, (key_id, key), purposes, serial, validity)
            .map(CertificateOrder::new)
    }

    /// Another root of the same authority, certified by this one, as an order: who trusts this one alone follows it to the other (RFC 4210
    /// §4.4, NewWithOld and OldWithNew). Both have one name, so that by path lengths it does not count (RFC 5280 §4.2.1.9).
    pub fn link_order(
        &self,
        other: &CaCertificate<Root>,
        serial: Serial,
        validity: Validity,
    ) -> Result<CertificateOrder<Root>, PkiError> {
        let domain = self.certificate().trust_domain();
        let key = (*other.key_id(), other.key.clone());
        order::<Root>(domain, common_name::<Root>(domain), key, KeyPurposes::NONE, serial, validity)
            .map(CertificateOrder::new)
    }

    /// An infrastructure CA under this root. See [`crate::INTERMEDIATE_LIFETIME`].
    pub fn found_infrastructure(
        &self,
        signer: impl Signer + 'static,
        serial: Serial,
        validity: Validity,
    ) -> Result<InfrastructureCa, PkiError> {
        let order = self.infrastructure_order(&signer.verifying_key(), serial, validity)?;
        CaKey::load(signer, self.issue(&order)?.der())
    }

    /// The certificate that [`RootCa::found_infrastructure`] has signed, as an order.
    pub fn infrastructure_order(
        &self,
        key: &VerifyingKey,
        serial: Serial,
        validity: Validity,
    ) -> Result<CertificateOrder<Root>, PkiError> {
        self.order::<Infrastructure>(key, KeyPurposes::BOTH_ENDS, serial, validity)
    }

    fn order<R: CaRole>(
        &self,
        key: &VerifyingKey,
        purposes: KeyPurposes,
        serial: Serial,
        validity: Validity,
    ) -> Result<CertificateOrder<Root>, PkiError> {
        let (domain, key) = (self.certificate().trust_domain(), SubjectKey::of_ca(key.clone())?);
        order::<R>(domain, common_name::<R>(domain), (key.id(), key), purposes, serial, validity)
            .map(CertificateOrder::new)
    }
}

impl ToBeSigned<Root> {
    /// Signs a root's own certificate with its key, which is in this process.
    pub fn sign_itself(self, signer: &dyn Signer) -> Result<Issued, PkiError> {
        by_itself(signer, |by| self.sign_by(by))
    }
}

impl Recorded<Root> {
    /// Signs a root's own certificate with its key, wherever that is.
    pub fn sign_itself(self, signer: &dyn Signer) -> Result<Issued, PkiError> {
        by_itself(signer, |by| self.sign_by(by))
    }
}

fn by_itself(
    signer: &dyn Signer,
    sign: impl FnOnce(&By<'_>) -> Result<Issued, PkiError>,
) -> Result<Issued, PkiError> {
    let key = SubjectKey::from(signer.verifying_key());
    let (algorithm, id) = (signer.algorithm(), Digest::of(&key.spki()));
    sign(&By { signer, algorithm, key: key.verifying_key(), id })
}

fn order<R: CaRole>(
    domain: &TrustDomain,
    common_name: String,
    (key_id, key): (KeyId, SubjectKey),
    purposes: KeyPurposes,
    serial: Serial,
    validity: Validity,
) -> Result<Order, PkiError> {
    if !R::PURPOSES.contains(&purposes) {
        return Err(PkiError::Purposes);
    }
    Ok(Order {
        serial,
        common_name: Some(common_name),
        subject_serial: None,
        validity,
        key,
        key_id,
        kind: Kind::Ca { path_len: R::PATH_LEN },
        purposes,
        // SPIFFE X509-SVID §3.1: a signing certificate carries the trust domain's id, without a path.
        names: vec![AltName::Uri(spiffe::authority_uri(domain))],
        assurance: None,
        // RFC 9608 §3: never on a CA.
        no_rev_avail: false,
    })
}
