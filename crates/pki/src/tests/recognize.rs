//! Certificates that are shown: read as they were issued, or refused.

use super::*;
use crate::build::{AltName, Order};
use crate::pem::{PemError, decode_certificates, encode_certificates, read_certificates};
use crate::{CertificateError, issuer_name, parse_operator, verify_device_chain, verify_operator_chain};

#[test]
fn a_device_is_recognized_by_the_ca_that_issued_its_certificate() {
    let (authority, stranger) = (Authority::found(), Authority::found());
    let der = authority.device();
    assert_eq!(authority.issuing.recognize(&der), Ok(device()));
    // The stranger has the same names, so that only the signature tells.
    assert_eq!(stranger.issuing.recognize(&der), Err(CertificateError::Signature));
    assert_eq!(authority.issuing.recognize(&authority.operator()), Err(CertificateError::Issuer));
    let root = authority.root.certificate().der();
    assert_eq!(authority.issuing.recognize(root), Err(CertificateError::Issuer));
}

/// RFC 5280 §4.1.2.4 and §4.2.1.6: a common name in UTF-8; the alternative names critical only where there is no subject.
#[test]
fn a_device_is_recognized_with_the_names_of_its_profile() {
    let authority = Authority::found();
    for names in 0..16 {
        let has = |name: u32| names & 1 << name != 0;
        let mut device = named_device();
        device.names.common_name = device.names.common_name.filter(|_| has(0));
        device.names.serial_number = device.names.serial_number.filter(|_| has(1));
        device.names.uri = device.names.uri.filter(|_| has(2));
        device.names.dns = device.names.dns.filter(|_| has(3));
        let der = authority.issuing.issue_device(&device_csr(), &device).unwrap().into_der();
        assert_eq!(authority.issuing.recognize(&der), Ok(device));
        let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
        let subject = parsed.subject().to_string();
        let (cn, serial) = ("CN=pump-0001.klinik-nord", "serialNumber=pump-0001");
        assert_eq!(
            subject,
            [(has(0), cn), (has(1), serial)]
                .into_iter()
                .filter(|one| one.0)
                .map(|one| one.1)
                .collect::<Vec<_>>()
                .join(", ")
        );
        let san = parsed.subject_alternative_name().unwrap().unwrap();
        assert_eq!(san.critical, subject.is_empty());
        assert_eq!(san.value.general_names.len(), 1 + usize::from(has(2)) + usize::from(has(3)));
    }
    // What is no device's name, and what another writer may have put beside one.
    let unlike = |spoil: &dyn Fn(&mut Order)| {
        let mut order = authority.issuing.device_order(&device_csr(), &named_device()).unwrap();
        spoil(&mut order.order);
        let issued = authority.issuing.prepare(&order).and_then(|tbs| tbs.sign(&authority.issuing)).unwrap();
        authority.issuing.recognize(issued.der()).unwrap_err()
    };
    assert_eq!(unlike(&|order| order.common_name = Some("pump 1".into())), CertificateError::Subject);
    assert_eq!(unlike(&|order| order.names.reverse()), CertificateError::Uri);
    let server = |name: &str| AltName::Server(name.parse().unwrap());
    assert_eq!(unlike(&|order| order.names.push(server("b.example"))), CertificateError::Uri);
    assert_eq!(unlike(&|order| order.names[2] = server("127.0.0.1")), CertificateError::Uri);
    assert_eq!(
        unlike(&|order| order.names[1] = AltName::Uri("spiffe://d/t/x".into())),
        CertificateError::Uri
    );
    assert_eq!(unlike(&|order| order.names.swap(1, 2)), CertificateError::Uri);
}

#[test]
fn every_changed_byte_and_every_cut_is_refused() {
    let authority = Authority::found();
    let der = authority.device();
    for position in 0..der.len() {
        let mut changed = der.clone();
        changed[position] ^= 1;
        assert!(authority.issuing.recognize(&changed).is_err(), "byte {position}");
        assert!(authority.issuing.recognize(&der[..position]).is_err(), "cut at {position}");
    }
    let trailing = [&der[..], &[0]].concat();
    assert_eq!(authority.issuing.recognize(&trailing), Err(CertificateError::Malformed));
    let long = vec![0x30; CertificateError::MAX_LEN + 1];
    assert_eq!(authority.issuing.recognize(&long), Err(CertificateError::TooLong));
    assert_eq!(authority.issuing.recognize(&long[1..]), Err(CertificateError::Malformed));
}

#[test]
fn the_issuer_of_whatever_was_shown_is_named_in_one_line() {
    let mut der = Authority::found().device();
    let name = issuer_name(&der).unwrap();
    let (_, common) = name.rsplit_once("CN=").unwrap();
    let at = der.windows(common.len()).position(|bytes| bytes == common.as_bytes()).unwrap();
    der[at..at + 2].copy_from_slice(b"\x1b\n");
    let name = issuer_name(&der).unwrap();
    assert!(name.contains("\\u{1b}\\n") && name.chars().all(|c| !c.is_control()), "{name}");
    assert_eq!(issuer_name(b"no certificate"), None);
    assert_eq!(issuer_name(&der[..der.len() / 2]), None);
}

#[test]
fn an_operator_is_read_and_nobody_else_is_one() {
    let authority = Authority::found();
    let domain = authority.root.certificate().trust_domain();
    assert_eq!(parse_operator(domain, &authority.operator()), Ok(operator()));
    let elsewhere = "elsewhere.example".parse().unwrap();
    assert_eq!(parse_operator(&elsewhere, &authority.operator()), Err(CertificateError::TrustDomain));
    assert_eq!(parse_operator(domain, &authority.device()), Err(CertificateError::Uri));
    assert_eq!(parse_operator(domain, &authority.server()), Err(CertificateError::Use));
    let ca = authority.infrastructure.certificate().der();
    assert_eq!(parse_operator(domain, ca), Err(CertificateError::Use));
}

#[test]
fn a_chain_leads_from_a_device_to_a_trusted_root() {
    let (authority, stranger) = (Authority::found(), Authority::found());
    let root = |authority: &Authority| authority.root.certificate().der().to_vec();
    let (own, strange) = (root(&authority), root(&stranger));
    let issuing = authority.issuing.certificate().der();
    let infrastructure = authority.infrastructure.certificate().der();
    let csr = device_csr();
    let leaf = authority.issuing.issue_device(&csr, &device()).unwrap().into_der();
    let verified = verify_device_chain(&[&leaf, issuing], &[issuing, &strange, &own]);
    assert_eq!(verified, Ok((device(), csr.key().clone())));
    assert!(verify_device_chain(&[&leaf, issuing, &own], &[&own]).is_ok());
    for (chain, trusted, error) in [
        (&[&leaf[..]][..], &own, CertificateError::Chain),
        (&[], &own, CertificateError::Chain),
        (&[&leaf, issuing], &strange, CertificateError::Chain),
        (&[&leaf, stranger.issuing.certificate().der()], &strange, CertificateError::Signature),
        (&[&leaf, &own], &own, CertificateError::Use),
        (&[&leaf, infrastructure], &own, CertificateError::Use),
        (&[&authority.operator(), issuing], &own, CertificateError::Issuer),
    ] {
        assert_eq!(verify_device_chain(chain, &[trusted]), Err(error));
    }
    assert_eq!(verify_device_chain(&[&leaf, issuing], &[]), Err(CertificateError::Chain));
    // An issuing CA is not a root, even where somebody trusts it as one.
    assert_eq!(verify_device_chain(&[&leaf, issuing], &[issuing]), Err(CertificateError::Chain));
}

#[test]
fn an_operators_certificate_leads_to_its_root_and_to_no_other() {
    let (one, other) = (Authority::found(), Authority::found());
    let verify = |leaf: &[u8], root: &Authority, infrastructure: &Authority| {
        let (root, infrastructure) = (root.root.certificate(), infrastructure.infrastructure.certificate());
        verify_operator_chain(leaf, root.der(), infrastructure.der()).map(|(operator, _)| operator)
    };
    let leaf = one.operator();
    assert_eq!(verify(&leaf, &one, &one), Ok(operator()));
    for (root, infrastructure) in [(&other, &one), (&one, &other), (&other, &other)] {
        assert_eq!(verify(&leaf, root, infrastructure), Err(CertificateError::Signature));
    }
    assert_eq!(verify(&one.server(), &one, &one), Err(CertificateError::Use));
    assert_eq!(verify(&one.device(), &one, &one), Err(CertificateError::Issuer));
    let (root, issuing) = (one.root.certificate().der(), one.issuing.certificate().der());
    assert_eq!(verify_operator_chain(&leaf, root, issuing), Err(CertificateError::Use));
    assert_eq!(verify_operator_chain(&leaf, issuing, issuing), Err(CertificateError::Use));
}

#[test]
fn chains_in_pem_keep_their_order() {
    let authority = Authority::found();
    let (leaf, ca) = (authority.device(), authority.issuing.certificate().der());
    let text = encode_certificates([&leaf[..], ca]).unwrap();
    assert_eq!(decode_certificates(&format!("# trusted\n{text}\n")), Ok(vec![leaf.clone(), ca.to_vec()]));
    assert_eq!(decode_certificates(""), Err(PemError::Label("CERTIFICATE")));
    let most = crate::pem::MAX_BUNDLE_LEN;
    assert_eq!(decode_certificates(&"x".repeat(most + 1)), Err(PemError::TooLong(most)));
    let key = text.replacen("CERTIFICATE", "PRIVATE KEY", 2);
    assert!(decode_certificates(&key).is_err());
    assert!(decode_certificates(&text[..text.len() - 30]).is_err());
    assert!(decode_certificates(&text.replace("MII", "M!I")).is_err());
}

/// As openssl, Go and Java read them: whatever the columns, and DER where a file has one certificate.
#[test]
fn certificates_are_read_in_the_forms_in_which_files_have_them() {
    let der = include_bytes!("vectors/root.der");
    let forms = [
        ("76 columns", include_str!("vectors/columns-76.pem")),
        ("one line", include_str!("vectors/one-line.pem")),
        ("a blank line", include_str!("vectors/blank-line.pem")),
    ];
    for (form, text) in forms {
        for text in [text.to_owned(), text.replace('\n', "\r\n"), format!("Gerät\n{text}{text}")] {
            let read = read_certificates(text.as_bytes()).unwrap_or_else(|error| panic!("{form}: {error}"));
            assert_eq!(read[0], der, "{form}");
        }
    }
    assert_eq!(read_certificates(der), Ok(vec![der.to_vec()]));
    for damaged in [&der[..der.len() - 1], &[&der[..], &der[..]].concat()] {
        assert_eq!(read_certificates(damaged), Err(PemError::Der));
    }
    // Text around the blocks may be in any encoding.
    let text = [b"Ger\xe4t\n", include_bytes!("vectors/one-line.pem").as_slice()].concat();
    assert_eq!(read_certificates(&text), Ok(vec![der.to_vec()]));
}
