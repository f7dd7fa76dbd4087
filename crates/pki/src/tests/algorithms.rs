//! CAs of every algorithm under roots of every algorithm, judged by this crate and by OpenSSL.

use super::chain::openssl_verifies;
use super::signers::{Claims, EVERY};
use super::*;
use crate::build::{AltName, Issuer, Kind, Order};
use crate::ca::common_name;
use crate::envelope::Envelope;
use crate::lint::check;
use crate::{
    CaCertificate, CertificateError, Issuing, LintError, PkiError, Root, SubjectKey, ToBeSigned,
    verify_device_chain,
};
use std::sync::Arc;
use wardein_crypto::{Digest, RsaVerifyingKey, SignatureAlgorithm, VerifyingKey};
use wardein_domain::KeyPurposes;

fn pairs() -> impl Iterator<Item = (&'static Arc<dyn Signer>, &'static Arc<dyn Signer>)> {
    EVERY.iter().flat_map(|root| EVERY.iter().map(move |issuing| (root, issuing)))
}

#[test]
fn a_chain_of_every_pair_of_algorithms_is_taken() {
    // Of the same names and another key.
    let stranger = Authority::found();
    for (root, issuing) in pairs() {
        let pair = format!("{} over {}", root.algorithm().name(), issuing.algorithm().name());
        let authority = Authority::found_with(root.clone(), issuing.clone(), issuing.clone());
        assert_eq!(authority.issuing.algorithm(), issuing.algorithm(), "{pair}");
        let (root, ca) = (authority.root.certificate().der(), authority.issuing.certificate().der());
        let csr = device_csr();
        let leaf = authority.issuing.issue_device(&csr, &device()).unwrap().into_der();
        assert_eq!(authority.issuing.recognize(&leaf), Ok(device()), "{pair}");
        let verified = verify_device_chain(&[&leaf, ca], &[root]);
        assert_eq!(verified, Ok((device(), csr.key().clone())), "{pair}");
        let strange = stranger.root.certificate().der();
        assert_eq!(verify_device_chain(&[&leaf, ca], &[strange]), Err(CertificateError::Chain), "{pair}");
        let purpose = ["-purpose", "sslclient"];
        assert_ne!(openssl_verifies(root, ca, &leaf, NOW, &purpose), Some(false), "{pair}");
        assert_ne!(openssl_verifies(strange, ca, &leaf, NOW, &purpose), Some(true), "{pair}");
    }
}

#[test]
fn a_device_is_recognized_by_its_own_ca_alone() {
    let authorities =
        EVERY.each_ref().map(|signer| Authority::found_with(signer.clone(), signer.clone(), signer.clone()));
    for (i, one) in authorities.iter().enumerate() {
        let leaf = one.device();
        for (j, other) in authorities.iter().enumerate() {
            // The last two are RSA keys, which take each other's algorithms.
            let wanted = match (i, j) {
                _ if i == j => Ok(device()),
                (2.., 2..) => Err(CertificateError::Signature),
                _ => Err(CertificateError::SignatureAlgorithm),
            };
            assert_eq!(other.issuing.recognize(&leaf), wanted, "{i} {j}");
        }
    }
}

#[test]
fn every_changed_byte_of_a_certificate_of_every_algorithm_is_refused() {
    for signer in &*EVERY {
        let authority = Authority::found_with(key(), signer.clone(), key());
        let der = authority.device();
        for position in 0..der.len() {
            let mut changed = der.clone();
            changed[position] ^= 1;
            assert!(authority.issuing.recognize(&changed).is_err(), "byte {position}");
        }
    }
}

#[test]
fn the_algorithm_around_what_is_signed_is_the_one_within() {
    // The same RSA key signs with either hash; a certificate with SHA-384 outside must have it inside.
    let authority = Authority::found_with(key(), EVERY[2].clone(), key());
    let mut der = authority.device();
    let outer = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11, 5, 0];
    let place = der.windows(outer.len()).rposition(|bytes| bytes == outer).unwrap();
    der[place + 10] = 12;
    assert_eq!(authority.issuing.recognize(&der), Err(CertificateError::SignatureAlgorithm));
}

#[test]
fn what_is_linted_says_the_algorithm_of_the_ca() {
    let csr = csr();
    let order = || Order {
        serial: serial(9),
        common_name: None,
        subject_serial: None,
        validity: device().validity,
        key: csr.public_key().into(),
        key_id: SubjectKey::from(csr.public_key()).id(),
        kind: Kind::Leaf,
        purposes: KeyPurposes::CLIENT,
        names: vec![AltName::Uri("spiffe://d/t/x".to_owned())],
        assurance: None,
        no_rev_avail: false,
    };
    let authority = Authority::found();
    for one in SignatureAlgorithm::ALL {
        for other in SignatureAlgorithm::ALL {
            let issuer = |algorithm| Issuer { algorithm, ..authority.issuing.issuer() };
            let made = ToBeSigned::<Issuing>::new(&order(), &issuer(one), Digest([0; 32])).unwrap();
            let wanted = if one == other { None } else { Some(LintError::SignatureAlgorithm) };
            assert_eq!(check(made.bytes().to_vec(), &order(), &issuer(other)).err(), wanted);
        }
    }
}

#[test]
fn a_ca_has_no_rsa_key_of_2048_bits() {
    let short = Claims {
        key: VerifyingKey::Rsa(RsaVerifyingKey::new(&[0xff; 256]).unwrap()),
        algorithm: SignatureAlgorithm::RsaPkcs1Sha256,
    };
    let validity = Validity::starting(NOW, ROOT_LIFETIME).unwrap();
    let domain = "wardein.example".parse().unwrap();
    let refused = RootCa::prepare_itself(&domain, &short, serial(1), validity);
    assert_eq!(refused.err(), Some(PkiError::CaAlgorithm));
    let authority = Authority::found();
    let validity = device().validity;
    let refused = authority.root.issuing_order(&short.key, KeyPurposes::CLIENT, serial(2), validity);
    assert_eq!(refused.err(), Some(PkiError::CaAlgorithm));
}

#[test]
fn a_certificate_of_a_ca_with_an_rsa_key_of_2048_bits_is_not_taken() {
    let domain = "wardein.example".parse().unwrap();
    let name = common_name::<Root>(&domain);
    // The contents of a root's certificate, with a signature of zeros: a reader of a root trusts it already.
    let root = |bytes: usize| {
        let key = SubjectKey::from(VerifyingKey::Rsa(RsaVerifyingKey::new(&vec![0xff; bytes]).unwrap()));
        let algorithm = SignatureAlgorithm::RsaPkcs1Sha256;
        let (key_id, revocation_url) = (key.id(), None);
        let issuer =
            Issuer { common_name: &name, name: None, key_id, validity: None, algorithm, revocation_url };
        let order = Order {
            serial: serial(1),
            common_name: Some(name.clone()),
            subject_serial: None,
            validity: Validity::starting(NOW, ROOT_LIFETIME).unwrap(),
            key,
            key_id,
            kind: Kind::Ca { path_len: 1 },
            purposes: KeyPurposes::NONE,
            names: vec![AltName::Uri("spiffe://wardein.example".to_owned())],
            assurance: None,
            no_rev_avail: false,
        };
        let tbs = ToBeSigned::<Root>::new(&order, &issuer, Digest([0; 32])).unwrap();
        let envelope = Envelope { signed: tbs.bytes(), algorithm, signature: &vec![0; bytes] };
        CaCertificate::<Root>::parse(&envelope.seal().unwrap()).map(|_| ())
    };
    assert_eq!(root(256), Err(CertificateError::Key));
    assert_eq!((root(384), root(512)), (Ok(()), Ok(())));
}

#[test]
fn a_signer_signs_by_an_algorithm_of_its_key() {
    let VerifyingKey::P256(p256) = Signer::verifying_key(&key()) else { panic!("another key") };
    for algorithm in SignatureAlgorithm::ALL.into_iter().skip(1) {
        let claims = Claims { key: p256.into(), algorithm };
        let validity = Validity::starting(NOW, ROOT_LIFETIME).unwrap();
        let refused = RootCa::prepare_itself(&"d".parse().unwrap(), &claims, serial(1), validity);
        assert_eq!(refused.err(), Some(PkiError::CaAlgorithm));
        let authority = Authority::found();
        let key = authority.issuing.certificate().verifying_key().clone();
        let refused = IssuingCa::load(Claims { key, algorithm }, authority.issuing.certificate().der());
        assert_eq!(refused.err(), Some(PkiError::CaAlgorithm));
    }
}

#[test]
fn a_signer_of_another_key_is_refused_whatever_its_algorithm() {
    for (signer, other) in pairs().filter(|(one, other)| !Arc::ptr_eq(one, other)) {
        let authority = Authority::found_with(key(), signer.clone(), key());
        let der = authority.issuing.certificate().der();
        assert_eq!(IssuingCa::load(other.clone(), der).err(), Some(PkiError::CaKey));
        assert!(IssuingCa::load(signer.clone(), der).is_ok());
    }
}
