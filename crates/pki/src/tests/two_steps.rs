//! Prepared, recorded, signed: the input of a signer in another process, and which of its answers are accepted.

use super::signers::{Claims, EVERY, Elsewhere, Fault};
use super::*;
use crate::{Issuing, LintError, PkiError, Recorded, ToBeSigned};
use std::sync::Arc;
use wardein_crypto::SignatureAlgorithm;

/// An authority whose issuing CA has its key elsewhere.
fn authority(signer: &Arc<Elsewhere>) -> Authority {
    Authority::found_with(key(), signer.clone(), key())
}

fn prepared(authority: &Authority, csr: &DeviceCsr) -> ToBeSigned<Issuing> {
    let order = authority.issuing.device_order(csr, &device()).unwrap();
    authority.issuing.prepare(&order).unwrap()
}

#[test]
fn a_signer_elsewhere_signs_what_is_recorded_and_nothing_else() {
    let signer = Elsewhere::new(1, Fault::None);
    let (authority, csr) = (authority(&signer), device_csr());
    assert!(authority.issuing.is_external() && !authority.root.is_external());
    assert_eq!(authority.issuing.issue_device(&csr, &device()), Err(PkiError::NotRecorded));
    assert_eq!(prepared(&authority, &csr).sign(&authority.issuing), Err(PkiError::NotRecorded));
    assert!(signer.given.lock().unwrap().is_empty());
    let tbs = prepared(&authority, &csr);
    assert_eq!(tbs.serial(), device().serial);
    let bytes = tbs.bytes().to_vec();
    let issued = tbs.recorded_assertion().sign(&authority.issuing).unwrap();
    assert_eq!(*signer.given.lock().unwrap(), [bytes]);
    assert_eq!(authority.issuing.recognize(issued.der()), Ok(device()));
}

#[test]
fn what_a_faulty_signer_gives_is_not_issued() {
    for (fault, error) in [
        (Fault::OtherKey, PkiError::Signature),
        (Fault::OtherBytes, PkiError::Signature),
        (Fault::Garbage, PkiError::Signature),
        (Fault::Unreachable, PkiError::Signing),
    ] {
        let authority = authority(&Elsewhere::new(1, fault));
        let recorded = prepared(&authority, &device_csr()).recorded_assertion();
        assert_eq!(recorded.sign(&authority.issuing), Err(error), "{fault:?}");
    }
}

#[test]
fn a_record_is_completed_after_a_crash_to_the_same_certificate() {
    let signer = Elsewhere::new(1, Fault::None);
    let (authority, csr) = (authority(&signer), device_csr());
    let tbs = prepared(&authority, &csr);
    let record = tbs.bytes().to_vec();
    let before = tbs.recorded_assertion().sign(&authority.issuing).unwrap();
    // Another process loads the CA, and reads the record.
    let ca = IssuingCa::load(Elsewhere::new(1, Fault::None), authority.issuing.certificate().der()).unwrap();
    let order = ca.device_order(&csr, &device()).unwrap();
    let recorded = Recorded::from_record(record, &order, &ca).unwrap();
    assert_eq!((recorded.serial(), order.serial()), (device().serial, device().serial));
    // The test signer is deterministic, so that the two can be compared.
    assert_eq!(recorded.sign(&ca), Ok(before));
}

#[test]
fn a_record_that_says_something_else_is_not_signed() {
    let authority = authority(&Elsewhere::new(1, Fault::None));
    let csr = device_csr();
    let record = prepared(&authority, &csr).bytes().to_vec();
    let read = |record: &[u8], csr: &DeviceCsr, device: &DeviceIdentity| {
        let order = authority.issuing.device_order(csr, device).unwrap();
        Recorded::from_record(record.to_vec(), &order, &authority.issuing).map(|_| ())
    };
    assert_eq!(read(&record, &csr, &device()), Ok(()));
    let other = DeviceIdentity { device: "pump-0002".parse().unwrap(), ..device() };
    assert_eq!(read(&record, &csr, &other), Err(PkiError::Lint(LintError::SubjectAltName)));
    let other = DeviceIdentity { serial: serial(8), ..device() };
    assert_eq!(read(&record, &csr, &other), Err(PkiError::Lint(LintError::Serial)));
    assert_eq!(read(&record, &super::device_csr(), &device()), Err(PkiError::Lint(LintError::Key)));
    assert_eq!(read(&record[1..], &csr, &device()), Err(PkiError::Lint(LintError::Malformed)));
}

#[test]
fn what_is_prepared_for_one_ca_is_not_signed_by_another() {
    let (authority, stranger) = (Authority::found(), Authority::found());
    let (csr, root) = (device_csr(), &authority.root);
    let tbs = || prepared(&authority, &csr);
    assert_eq!(tbs().sign(&stranger.issuing), Err(PkiError::OtherCa));
    assert_eq!(tbs().recorded_assertion().sign(&stranger.issuing), Err(PkiError::OtherCa));
    assert!(tbs().sign(&authority.issuing).is_ok());
    // Nor by the root as if it were the root's own certificate, nor the other way round.
    let own = key();
    let validity = root.certificate().validity();
    let root = RootCa::found(root.certificate().trust_domain(), key(), serial(1), validity).unwrap();
    let order =
        root.issuing_order(&Signer::verifying_key(&own), KeyPurposes::CLIENT, serial(2), validity).unwrap();
    assert_eq!(root.prepare(&order).unwrap().sign_itself(&own), Err(PkiError::OtherCa));
    let domain = root.certificate().trust_domain();
    let itself = RootCa::prepare_itself(domain, &own, serial(3), validity).unwrap();
    assert_eq!(itself.sign(&root), Err(PkiError::OtherCa));
}

#[test]
fn what_is_prepared_for_one_algorithm_is_not_signed_by_another() {
    let authority = Authority::found_with(key(), EVERY[2].clone(), key());
    let der = authority.issuing.certificate().der();
    let claims = Claims { key: EVERY[2].verifying_key(), algorithm: SignatureAlgorithm::RsaPkcs1Sha384 };
    let other = IssuingCa::load(claims, der).unwrap();
    assert_eq!(prepared(&authority, &device_csr()).sign(&other), Err(PkiError::OtherCa));
    assert!(prepared(&authority, &device_csr()).sign(&authority.issuing).is_ok());
}

#[test]
fn a_root_elsewhere_is_founded_and_certifies_in_two_steps() {
    let signer = Elsewhere::new(1, Fault::None);
    let domain = "wardein.example".parse().unwrap();
    let validity = Validity::starting(NOW, ROOT_LIFETIME).unwrap();
    let refused = RootCa::found(&domain, signer.clone(), serial(1), validity);
    assert_eq!(refused.err(), Some(PkiError::NotRecorded));
    let itself = || RootCa::prepare_itself(&domain, &signer, serial(1), validity).unwrap();
    assert_eq!(itself().sign_itself(&signer), Err(PkiError::NotRecorded));
    // A signer of another key does not sign it.
    let other = Elsewhere::new(2, Fault::None);
    assert_eq!(itself().recorded_assertion().sign_itself(&other), Err(PkiError::OtherCa));
    let faulty = Elsewhere::new(1, Fault::OtherKey);
    assert_eq!(itself().recorded_assertion().sign_itself(&faulty), Err(PkiError::Signature));
    let certificate = itself().recorded_assertion().sign_itself(&signer).unwrap();
    let root = RootCa::load(signer, certificate.der()).unwrap();
    assert_eq!(root.found_issuing(key(), serial(2), validity).err(), Some(PkiError::NotRecorded));
    let issuing = key();
    let order = root
        .issuing_order(&Signer::verifying_key(&issuing), KeyPurposes::CLIENT, serial(2), validity)
        .unwrap();
    let certificate = root.prepare(&order).unwrap().recorded_assertion().sign(&root).unwrap();
    let issuing = IssuingCa::load(issuing, certificate.der()).unwrap();
    let order = root.infrastructure_order(&Signer::verifying_key(&key()), serial(3), validity).unwrap();
    let certificate = root.prepare(&order).unwrap().recorded_assertion().sign(&root).unwrap();
    assert!(crate::CaCertificate::<crate::Infrastructure>::parse(certificate.der()).is_ok());
    let leaf = issuing.issue_device(&device_csr(), &device()).unwrap();
    let chain = [leaf.der(), issuing.certificate().der()];
    assert!(crate::verify_device_chain(&chain, &[root.certificate().der()]).is_ok());
}
