//! A device's chain, as the device itself judges it when it gets one.

use crate::ca::{CaCertificate, Issuing, Root};
use crate::key::PublicKey;
use crate::recognize::Parsed;
use crate::{CertificateError, DeviceIdentity};

/// What the first certificate of `chain` says and which key it certifies, if it is a device's, the second is the issuing CA that
/// signed it, and one of `roots` (those that are roots; others are passed over) signed that one. Whether it is valid now, and whether the
/// device and the key are the right ones, is for the caller to judge.
pub fn verify_device_chain(
    chain: &[&[u8]],
    roots: &[&[u8]],
) -> Result<(DeviceIdentity, PublicKey), CertificateError> {
    let [leaf, issuing, ..] = chain else { return Err(CertificateError::Issuer) };
    let parsed = Parsed::new(issuing)?;
    let issuing = CaCertificate::<Issuing>::parse(issuing)?;
    let roots = roots.iter().filter_map(|root| CaCertificate::<Root>::parse(root).ok());
    let mut verdict = Err(CertificateError::Issuer);
    for root in roots.filter(|root| root.trust_domain() == issuing.trust_domain()) {
        verdict = parsed.verify(&root);
        if verdict.is_ok() {
            break;
        }
    }
    verdict?;
    let identity = issuing.recognize(leaf)?;
    let is_within = identity.validity.is_within(issuing.validity());
    if !is_within {
        return Err(CertificateError::Validity);
    }
    Ok((identity, Parsed::new(leaf)?.key()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Csr, InfrastructureCa, IssuingCa, RootCa, Validity};
    use wardein_crypto::P256SigningKey;
    use wardein_domain::Serial;

    fn key() -> P256SigningKey {
        P256SigningKey::from_pkcs8(P256SigningKey::generate_pkcs8().unwrap().expose()).unwrap()
    }

    fn found(domain: &str) -> (RootCa, IssuingCa, InfrastructureCa) {
        let (serial, validity) = (Serial::from_random([1; 16]), Validity::new(1_000, 9_000).unwrap());
        let root = RootCa::found(&domain.parse().unwrap(), key(), serial, validity).unwrap();
        let issuing = root.found_issuing(key(), Serial::from_random([2; 16]), validity).unwrap();
        let infrastructure = root.found_infrastructure(key(), Serial::from_random([3; 16]), validity).unwrap();
        (root, issuing, infrastructure)
    }

    fn device() -> DeviceIdentity {
        DeviceIdentity {
            serial: Serial::from_random([7; 16]),
            tenant: "t".parse().unwrap(),
            device: "d".parse().unwrap(),
            validity: Validity::new(2_000, 3_000).unwrap(),
        }
    }

    #[test]
    fn a_chain_leads_to_a_root_of_its_own_or_is_refused() {
        let (root, issuing, infrastructure) = found("a.example");
        let (owner, device) = (key(), device());
        let csr = Csr::parse(&Csr::create(&owner).unwrap()).unwrap();
        let leaf = issuing.issue_device(&csr, &device).unwrap().into_der();
        let (root_der, issuing_der) = (root.certificate().der(), issuing.certificate().der());
        // Others among the roots are passed over.
        let (identity, certified) =
            verify_device_chain(&[&leaf, issuing_der], &[issuing_der, b"", root_der]).unwrap();
        assert_eq!((identity, certified.verifying_key()), (device, owner.verifying_key()));

        let refused = |chain: &[&[u8]], roots: &[&[u8]]| verify_device_chain(chain, roots).unwrap_err();
        assert_eq!(refused(&[&leaf], &[root_der]), CertificateError::Issuer);
        assert_eq!(refused(&[&leaf, issuing_der], &[]), CertificateError::Issuer);
        assert_eq!(refused(&[&leaf, issuing_der], &[issuing_der]), CertificateError::Issuer, "a CA is no root");
        let infrastructure_der = infrastructure.certificate().der();
        assert_eq!(refused(&[&leaf, infrastructure_der], &[root_der]), CertificateError::Use);
        // Another authority of the same name, and one of another name.
        let (namesake, namesake_issuing, _) = found("a.example");
        assert_eq!(
            refused(&[&leaf, issuing_der], &[namesake.certificate().der()]),
            CertificateError::Signature
        );
        assert_eq!(
            refused(&[&leaf, namesake_issuing.certificate().der()], &[namesake.certificate().der()]),
            CertificateError::Signature
        );
        let (stranger, ..) = found("b.example");
        assert_eq!(refused(&[&leaf, issuing_der], &[stranger.certificate().der()]), CertificateError::Issuer);
    }
}
