//! Founding: the root and the two CAs under it.

use crate::build::{AltName, Issuer, Kind, Order};
use crate::ca::{CaKey, CaRole, common_name};
use crate::issue::issue;
use crate::key::PublicKey;
use crate::{InfrastructureCa, IssuingCa, PkiError, RootCa, Validity, spiffe};
use wardein_crypto::P256SigningKey;
use wardein_domain::{Serial, TrustDomain};

impl RootCa {
    /// A root for `domain`, signed by itself. See [`crate::ROOT_LIFETIME`].
    pub fn found(
        domain: &TrustDomain,
        key: P256SigningKey,
        serial: Serial,
        validity: Validity,
    ) -> Result<Self, PkiError> {
        let public = PublicKey::from(*key.verifying_key());
        let order = order::<crate::Root>(domain, &public, serial, validity);
        let own_name = common_name::<crate::Root>(domain);
        let issuer = Issuer { common_name: &own_name, name: None, key_id: public.id(), validity: None };
        let certificate = issue(&key, &order, &issuer)?;
        Self::load(key, certificate.der())
    }

    /// An issuing CA under this root. See [`crate::INTERMEDIATE_LIFETIME`].
    pub fn found_issuing(
        &self,
        key: P256SigningKey,
        serial: Serial,
        validity: Validity,
    ) -> Result<IssuingCa, PkiError> {
        self.found_under(key, serial, validity)
    }

    /// An infrastructure CA under this root. See [`crate::INTERMEDIATE_LIFETIME`].
    pub fn found_infrastructure(
        &self,
        key: P256SigningKey,
        serial: Serial,
        validity: Validity,
    ) -> Result<InfrastructureCa, PkiError> {
        self.found_under(key, serial, validity)
    }

    fn found_under<R: CaRole>(
        &self,
        key: P256SigningKey,
        serial: Serial,
        validity: Validity,
    ) -> Result<CaKey<R>, PkiError> {
        let public = PublicKey::from(*key.verifying_key());
        let certificate =
            self.issue(&order::<R>(self.certificate().trust_domain(), &public, serial, validity))?;
        CaKey::load(key, certificate.der())
    }
}

fn order<'a, R: CaRole>(
    domain: &TrustDomain,
    key: &'a PublicKey,
    serial: Serial,
    validity: Validity,
) -> Order<'a> {
    Order {
        serial,
        common_name: Some(common_name::<R>(domain)),
        validity,
        key,
        kind: Kind::Ca { path_len: R::PATH_LEN },
        purposes: R::PURPOSES,
        // SPIFFE X509-SVID §3.1: a signing certificate carries the trust domain's id, without a path.
        names: vec![AltName::Uri(spiffe::authority_uri(domain))],
        assurance: None,
    }
}
