//! CAs match their certificates, and names and times are within bounds.

use super::*;
use crate::{CLOCK_SKEW, CertificateError, PkiError};

#[test]
fn a_ca_is_loaded_by_its_own_key_and_in_its_own_role_only() {
    let domain = "wardein.example".parse().unwrap();
    let pkcs8 = P256SigningKey::generate_pkcs8().unwrap();
    let same_key = || P256SigningKey::from_pkcs8(&pkcs8).unwrap();
    let validity = Validity::starting(NOW, ROOT_LIFETIME).unwrap();
    let root = RootCa::found(&domain, same_key(), serial(1), validity).unwrap();
    let issuing = root.found_issuing(same_key(), serial(2), validity).unwrap();
    let infrastructure = root.found_infrastructure(same_key(), serial(3), validity).unwrap();
    assert!(IssuingCa::load(same_key(), issuing.certificate().der()).is_ok());
    assert_eq!(IssuingCa::load(key(), issuing.certificate().der()).unwrap_err(), PkiError::CaKey);
    for der in [root.certificate().der(), infrastructure.certificate().der()] {
        let refused = IssuingCa::load(same_key(), der).unwrap_err();
        assert_eq!(refused, PkiError::CaCertificate(CertificateError::Use));
    }
    assert!(InfrastructureCa::load(same_key(), issuing.certificate().der()).is_err());
    assert!(RootCa::load(same_key(), issuing.certificate().der()).is_err());
    let leaf = issuing.issue_device(&device_csr(), &device()).unwrap();
    assert!(IssuingCa::load(same_key(), leaf.der()).is_err());
}

#[test]
fn a_ca_stands_for_its_trust_domain_however_long() {
    for domain in ["d", &"d".repeat(255)] {
        let validity = Validity::starting(NOW, ROOT_LIFETIME).unwrap();
        let root = RootCa::found(&domain.parse().unwrap(), key(), serial(1), validity).unwrap();
        assert_eq!(root.certificate().trust_domain().as_str(), domain);
        assert_eq!(
            root.certificate().validity(),
            Validity::new(NOW - CLOCK_SKEW, NOW + ROOT_LIFETIME).unwrap()
        );
        assert!(!format!("{root:?}").is_empty());
    }
}

#[test]
fn a_ca_does_not_outlive_its_root() {
    let validity = Validity::starting(NOW, 1_000).unwrap();
    let root = RootCa::found(&"d".parse().unwrap(), key(), serial(1), validity).unwrap();
    let longer = Validity::starting(NOW, 1_001).unwrap();
    assert!(matches!(root.found_issuing(key(), serial(2), longer), Err(PkiError::Lint(_))));
    assert!(root.found_issuing(key(), serial(2), longer.within(validity).unwrap()).is_ok());
}

#[test]
fn what_an_order_cannot_say() {
    let authority = Authority::found();
    for dots in [".", ".."] {
        let device = DeviceIdentity { device: dots.parse().unwrap(), ..device() };
        assert!(matches!(authority.issuing.issue_device(&device_csr(), &device), Err(PkiError::Uri(_))));
    }
    let mut homeless = operator();
    homeless.principal.tenant = None;
    assert_eq!(authority.infrastructure.issue_operator(&csr(), &homeless), Err(PkiError::Role));
    for count in [0, ServerIdentity::MAX_NAMES + 1] {
        let names = vec!["localhost".parse().unwrap(); count];
        let nameless = ServerIdentity { names, ..server() };
        assert_eq!(authority.infrastructure.issue_server(&csr(), &nameless), Err(PkiError::ServerNames));
    }
}

#[test]
fn every_code_is_of_its_own() {
    let errors = [
        PkiError::Validity,
        PkiError::Role,
        PkiError::ServerNames,
        PkiError::CaKey,
        PkiError::CaAlgorithm,
        PkiError::OtherCa,
        PkiError::NotRecorded,
        PkiError::Altered,
        PkiError::Encoding,
        PkiError::Signing,
        PkiError::Signature,
    ];
    let codes: std::collections::BTreeSet<_> = errors.iter().map(|error| error.code().as_str()).collect();
    assert_eq!(codes.len(), errors.len());
}
