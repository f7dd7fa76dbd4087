//! Requests and certificates of every kind of key, and the keys that are refused.

use super::chain::openssl_verifies;
use super::request::{sequence, tagged};
use super::signers::EVERY;
use super::*;
use crate::{CaKey, CertificateError, CsrError, Issuing, PkiError, SubjectKey, verify_device_chain};
use std::sync::Arc;
use wardein_domain::{CertificateProfile, KeyKind, KeyKinds};

/// What `vectors/requests/make.sh` wrote.
fn vector(name: &str) -> Vec<u8> {
    let path = format!("{}/src/tests/vectors/requests/{name}.der", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap()
}

const TAKEN: [(&str, KeyKind); 6] = [
    ("p256", KeyKind::P256),
    ("p384", KeyKind::P384),
    ("p384-sha256", KeyKind::P384),
    ("rsa-2048", KeyKind::Rsa2048),
    ("rsa-3072", KeyKind::Rsa3072),
    ("rsa-4096", KeyKind::Rsa4096),
];

const EVERY_KIND: KeyKinds = KeyKinds::of(&KeyKind::ALL);

fn parse(der: &[u8]) -> Result<SubjectKey, CsrError> {
    DeviceCsr::parse(der, EVERY_KIND).map(|csr| csr.key().clone())
}

#[test]
fn requests_of_openssl_are_taken_where_the_profile_accepts_their_keys() {
    for (name, kind) in TAKEN {
        let der = vector(name);
        assert_eq!(parse(&der).unwrap().kind(), kind, "{name}");
        for other in KeyKind::ALL {
            let parsed = DeviceCsr::parse(&der, KeyKinds::of(&[other]));
            assert_eq!(parsed.err(), (other != kind).then_some(CsrError::KeyNotAccepted), "{name} {other}");
        }
        // No profile has a say in the keys of operators, and of devices that sign.
        assert_eq!(Csr::parse(&der).err(), (kind != KeyKind::P256).then_some(CsrError::Key), "{name}");
    }
}

#[test]
fn every_changed_byte_of_a_request_of_any_kind_is_refused() {
    for (name, _) in TAKEN {
        let der = vector(name);
        for position in 0..der.len() {
            let mut changed = der.clone();
            changed[position] ^= 1;
            assert!(parse(&changed).is_err(), "{name}, byte {position}");
        }
    }
}

#[test]
fn keys_and_signatures_of_openssl_that_are_not_taken() {
    for (name, error) in [
        ("rsa-1024", CsrError::RsaModulus),
        ("rsa-2048-exponent-3", CsrError::RsaExponent),
        ("rsa-2048-sha1", CsrError::SignatureAlgorithm),
        ("p521", CsrError::SignatureAlgorithm),
        ("ed25519", CsrError::SignatureAlgorithm),
    ] {
        assert_eq!(parse(&vector(name)), Err(error), "{name}");
    }
}

const RSA_SHA256: [u8; 15] = [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11, 5, 0];

/// A request of an RSA key, with a signature of zeros: a weak key is refused before that is looked at.
fn of_rsa(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let positive = |number: &[u8]| {
        let zero: &[u8] = if number[0] >= 0x80 { &[0] } else { &[] };
        tagged(2, &[zero, number].concat())
    };
    let key = sequence(&[&positive(modulus), &positive(exponent)]);
    let algorithm = [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
    let spki = sequence(&[&algorithm, &tagged(3, &[&[0], &key[..]].concat())]);
    let info = sequence(&[&[2, 1, 0], &[0x30, 0], &spki, &[0xa0, 0]]);
    sequence(&[&info, &RSA_SHA256, &tagged(3, &[0; 257])])
}

#[test]
fn weak_rsa_keys_are_refused_each_by_its_own_code() {
    let rsa = parse(&vector("rsa-2048")).unwrap();
    let wardein_crypto::VerifyingKey::Rsa(rsa) = rsa.verifying_key().clone() else { panic!("another key") };
    let good = rsa.modulus();
    let f4: &[u8] = &[1, 0, 1];
    let mut even = good.to_vec();
    even[255] &= 0xfe;
    let roca = include_bytes!("vectors/requests/roca-modulus");
    for (what, modulus, exponent, error) in [
        ("as it is", good, f4, CsrError::Signature),
        ("exponent 1", good, &[1], CsrError::RsaExponent),
        ("exponent 3", good, &[3], CsrError::RsaExponent),
        ("an even exponent", good, &[1, 0, 0], CsrError::RsaExponent),
        ("a longer exponent", good, &[1, 0, 0, 0, 1], CsrError::RsaExponent),
        ("even", &even, f4, CsrError::RsaModulus),
        ("2^2048 - 1, which 3 divides", &[0xff; 256], f4, CsrError::RsaModulus),
        ("a bit short", &[&[0x7f][..], &good[1..]].concat(), f4, CsrError::RsaModulus),
        ("a byte long", &[&[0x81][..], good].concat(), f4, CsrError::RsaModulus),
        ("ROCA", roca, f4, CsrError::RsaRoca),
    ] {
        assert_eq!(parse(&of_rsa(modulus, exponent)), Err(error), "{what}");
    }
}

#[test]
fn a_point_off_its_curve_is_refused() {
    for name in ["p256", "p384"] {
        let der = vector(name);
        let key = parse(&der).unwrap();
        let point = key.verifying_key().as_bytes();
        let at = der.windows(point.len()).position(|bytes| bytes == point).unwrap() + point.len() - 1;
        let mut off = der.clone();
        off[at] ^= 1;
        assert_eq!(parse(&off), Err(CsrError::Signature), "{name}");
    }
}

#[test]
fn a_request_of_a_known_holder_is_not_verified_again_and_is_for_that_key_alone() {
    for (name, _) in TAKEN {
        let mut der = vector(name);
        let held = parse(&der).unwrap();
        let last = der.len() - 1;
        der[last] ^= 1;
        assert_eq!(parse(&der), Err(CsrError::Signature));
        assert_eq!(
            DeviceCsr::parse_of_holder(&der, &held, EVERY_KIND).map(|csr| csr.key().clone()),
            Ok(held),
            "{name}"
        );
        let other = SubjectKey::from(csr().public_key());
        assert_eq!(
            DeviceCsr::parse_of_holder(&der, &other, EVERY_KIND),
            Err(CsrError::KeyOfAnother),
            "{name}"
        );
        assert_eq!(
            DeviceCsr::parse_of_holder(&der[1..], &other, EVERY_KIND),
            Err(CsrError::Malformed),
            "{name}"
        );
    }
}

/// An issuing CA of `signer` that certifies servers, too, under a root.
fn serving(authority: &Authority, signer: &Arc<dyn Signer>) -> IssuingCa {
    let validity = Validity::starting(NOW, INTERMEDIATE_LIFETIME).unwrap();
    let key = signer.verifying_key();
    let order = authority.root.issuing_order(&key, KeyPurposes::EVERY, serial(4), validity).unwrap();
    CaKey::<Issuing>::load(signer.clone(), authority.root.issue(&order).unwrap().der()).unwrap()
}

#[test]
fn certificates_of_every_profile_and_kind_are_recognized_and_openssl_takes_them() {
    let authority = Authority::found();
    let root = authority.root.certificate().der();
    for signer in &*EVERY {
        let ca = serving(&authority, signer);
        for profile in CertificateProfile::ALL {
            for (name, kind) in TAKEN {
                for no_rev_avail in [false, true] {
                    let csr = DeviceCsr::parse(&vector(name), EVERY_KIND).unwrap();
                    let device =
                        DeviceIdentity { purposes: profile.purposes(), no_rev_avail, ..named_device() };
                    let leaf = ca.issue_device(&csr, &device).unwrap().into_der();
                    let verified = verify_device_chain(&[&leaf, ca.certificate().der()], &[root]);
                    assert_eq!(verified, Ok((device, csr.key().clone())), "{profile} {kind}");
                }
            }
        }
    }
    let ca = serving(&authority, &EVERY[0]);
    for profile in CertificateProfile::ALL {
        let device = DeviceIdentity { purposes: profile.purposes(), ..named_device() };
        let leaf = ca.issue_device(&device_csr(), &device).unwrap().into_der();
        let is_server = profile != CertificateProfile::DeviceTls;
        for (purpose, wanted) in [("sslclient", true), ("sslserver", is_server)] {
            let verifies = openssl_verifies(root, ca.certificate().der(), &leaf, NOW, &["-purpose", purpose]);
            assert_ne!(verifies, Some(!wanted), "{profile} {purpose}");
        }
    }
}

#[test]
fn a_ca_of_clients_certifies_no_server() {
    let authority = Authority::found();
    for profile in CertificateProfile::ALL {
        let device = DeviceIdentity { purposes: profile.purposes(), ..device() };
        let issued = authority.issuing.issue_device(&device_csr(), &device);
        let is_client = profile == CertificateProfile::DeviceTls;
        assert_eq!(issued.err(), (!is_client).then_some(PkiError::Purposes), "{profile}");
    }
    let none = DeviceIdentity { purposes: KeyPurposes::NONE, ..device() };
    assert_eq!(authority.issuing.issue_device(&device_csr(), &none), Err(PkiError::Purposes));
    let key = authority.issuing.certificate().verifying_key();
    let validity = Validity::starting(NOW, INTERMEDIATE_LIFETIME).unwrap();
    let order = authority.root.issuing_order(key, KeyPurposes::SERVER, serial(5), validity);
    assert_eq!(order.err(), Some(PkiError::Purposes), "an issuing CA is for clients, or for all");
}

#[test]
fn what_is_for_other_purposes_than_a_profile_has_is_not_a_devices() {
    let authority = Authority::found();
    let ca = serving(&authority, &EVERY[0]);
    let device = DeviceIdentity { purposes: KeyPurposes::SERVER, ..device() };
    let leaf = ca.issue_device(&device_csr(), &device).unwrap().into_der();
    assert_eq!(ca.recognize(&leaf), Err(CertificateError::Use));
}
