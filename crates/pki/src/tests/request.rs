//! Requests: the accepted ones, and each refusal.

use super::*;
use crate::CsrError;
use crate::key::PublicKey;
use crate::pem::{decode_private_key, encode_private_key};
use std::process::Command;

/// A SEQUENCE of `parts`.
pub(super) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tagged(0x30, &parts.concat())
}

pub(super) fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let header = match content.len() {
        0..128 => vec![tag, length[1]],
        128..256 => vec![tag, 0x81, length[1]],
        _ => vec![tag, 0x82, length[0], length[1]],
    };
    [&header[..], content].concat()
}

const ECDSA_WITH_SHA256: [u8; 12] = [0x30, 0x0a, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
const ECDSA_WITH_SHA384: [u8; 12] = [0x30, 0x0a, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3];

/// A request made by hand, signed by `key` whatever it says.
fn request(key: &P256SigningKey, version: u8, spki: &[u8], attributes: &[u8], algorithm: &[u8]) -> Vec<u8> {
    let info = sequence(&[&[2, 1, version], &[0x30, 0], spki, &tagged(0xa0, attributes)]);
    let signature = key.sign(&info).unwrap();
    sequence(&[&info, algorithm, &tagged(3, &[&[0], &signature[..]].concat())])
}

/// A request of these fields, signed by `key`.
fn without(key: &P256SigningKey, fields: &[&[u8]]) -> Vec<u8> {
    let info = sequence(fields);
    let signature = key.sign(&info).unwrap();
    sequence(&[&info, &ECDSA_WITH_SHA256, &tagged(3, &[&[0], &signature[..]].concat())])
}

/// RFC 2986 §4.1 has them be a SET OF Attribute. Whatever they are, nobody goes by them.
#[test]
fn attributes_and_subjects_are_ignored_whatever_they_are() {
    let key = key();
    let public = PublicKey::from(*key.verifying_key());
    let spki = public.spki();
    // extensionRequest (RFC 2985 §5.4.2) with a value that is no extension, and one that is cut.
    let extension_request = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 14];
    for attributes in [
        &[][..],
        &[0xff; 7],
        &[0x30, 0x80, 0, 0],
        &tagged(0x30, &[&extension_request[..], &[0x31, 0]].concat()),
        &tagged(0x30, &[&extension_request[..], &[0x31, 5, 0x30, 0x7f]].concat()),
        &tagged(0x30, &[&[6, 1, 0x80][..], &[0x31, 2, 5, 0]].concat()),
        &tagged(0x30, &[0; 300]),
    ] {
        let taken = Csr::parse(&request(&key, 0, &spki, attributes, &ECDSA_WITH_SHA256));
        assert_eq!(taken.unwrap().public_key(), &public, "{attributes:02x?}");
    }
    for subject in [&[0x30, 0][..], &[0x30, 3, 1, 2, 3], &tagged(0x30, &[0xff; 200])] {
        let with = without(&key, &[&[2, 1, 0], subject, &spki, &[0xa0, 0]]);
        assert_eq!(Csr::parse(&with).unwrap().public_key(), &public, "{subject:02x?}");
    }
    let bare = without(&key, &[&[2, 1, 0], &[0x30, 0], &spki]);
    assert_eq!(Csr::parse(&bare).unwrap().public_key(), &public, "without the field of attributes");
}

#[test]
fn a_request_of_ours_and_one_by_hand_are_taken() {
    let key = key();
    let public = PublicKey::from(*key.verifying_key());
    assert_eq!(Csr::parse(&Csr::create(&key).unwrap()).unwrap().public_key(), &public);
    let by_hand = request(&key, 0, &public.spki(), &[], &ECDSA_WITH_SHA256);
    assert_eq!(Csr::parse(&by_hand).unwrap().public_key(), &public);
}

#[test]
fn each_refusal_is_its_own() {
    let (key, other) = (key(), key());
    let spki = PublicKey::from(*key.verifying_key()).spki();
    let good = |key| request(key, 0, &spki, &[], &ECDSA_WITH_SHA256);
    // Signed once: signatures differ in length.
    let whole = good(&key);
    let cut = &whole[..whole.len() - 1];
    let mut compressed = spki[..26 + 33].to_vec();
    compressed[1] -= 32;
    compressed[24] -= 32;
    compressed[26] = 2 + (spki[90] & 1);
    let mut other_curve = spki;
    other_curve[22] ^= 1;
    let mut off_curve = spki;
    off_curve[90] ^= 1;
    let padding = tagged(0x30, &[&[6, 3, 0x2a, 3, 4][..], &tagged(0x31, &tagged(4, &[0; 4096]))].concat());
    for (der, error) in [
        (request(&key, 0, &spki, &padding, &ECDSA_WITH_SHA256), CsrError::TooLong),
        (vec![], CsrError::Malformed),
        (cut.to_vec(), CsrError::Malformed),
        ([&good(&key)[..], &[0]].concat(), CsrError::TrailingBytes),
        (request(&key, 1, &spki, &[], &ECDSA_WITH_SHA256), CsrError::Version),
        (without(&key, &[&[2, 1, 0], &[0x30, 0]]), CsrError::Malformed),
        (without(&key, &[&[2, 1, 0], &spki]), CsrError::Malformed),
        (without(&key, &[&[2, 1, 0], &[0x30, 0], &spki, &[0xa0, 0], &[0xa0, 0]]), CsrError::Malformed),
        (without(&key, &[&[2, 1, 0], &[0x30, 0], &spki, &[0xa1, 0]]), CsrError::Malformed),
        (request(&key, 0, &compressed, &[], &ECDSA_WITH_SHA256), CsrError::Key),
        (request(&key, 0, &other_curve, &[], &ECDSA_WITH_SHA256), CsrError::Key),
        (request(&key, 0, &spki, &[], &ECDSA_WITH_SHA384), CsrError::SignatureAlgorithm),
        (good(&other), CsrError::Signature),
        (request(&key, 0, &off_curve, &[], &ECDSA_WITH_SHA256), CsrError::Signature),
    ] {
        assert_eq!(Csr::parse(&der), Err(error), "{}", error.code().as_str());
    }
}

#[test]
fn the_bound_on_length_is_at_4_kib() {
    let key = key();
    let spki = PublicKey::from(*key.verifying_key()).spki();
    let with = |length: usize| {
        let value = tagged(0x31, &tagged(4, &vec![0; length]));
        let attribute = tagged(0x30, &[&[6, 3, 0x2a, 3, 4][..], &value].concat());
        // A signature has 70 to 72 bytes, so that the length must be hit by trying.
        request(&key, 0, &spki, &attribute, &ECDSA_WITH_SHA256)
    };
    let fixed = Csr::MAX_LEN - with(3000).len() + 3000;
    let hit =
        |wanted: usize| (0..200).map(|i| with(fixed - 4 + i % 9)).find(|der| der.len() == wanted).unwrap();
    assert!(Csr::parse(&hit(Csr::MAX_LEN)).is_ok());
    assert_eq!(Csr::parse(&hit(Csr::MAX_LEN + 1)), Err(CsrError::TooLong));
}

#[test]
fn every_changed_byte_of_a_request_is_refused() {
    let der = Csr::create(&key()).unwrap();
    for position in 0..der.len() {
        let mut changed = der.clone();
        changed[position] ^= 1;
        assert!(Csr::parse(&changed).is_err(), "byte {position}");
    }
}

#[test]
fn requests_of_openssl_are_taken_with_whatever_subject_and_extensions() {
    let script = "openssl ecparam -name \"$0\" -genkey -noout | openssl req -new -key /dev/stdin -subj '/CN=root/O=x' \
                  -addext basicConstraints=critical,CA:TRUE -addext subjectAltName=URI:spiffe://a/b -outform DER";
    let of_curve = |curve| Command::new("bash").args(["-c", script, curve]).output();
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!("SKIPPED: openssl cannot be run; its requests were not tried");
        return;
    }
    let der = of_curve("prime256v1").unwrap().stdout;
    let csr = Csr::parse(&der).unwrap();
    let authority = Authority::found();
    // The CA:TRUE and the name that were requested are not in the issued certificate, for the lint compares it with the decision.
    let issued = authority.issuing.issue_device(&DeviceCsr::from(&csr), &device()).unwrap();
    assert_eq!(authority.issuing.recognize(issued.der()), Ok(device()));
    assert_eq!(Csr::parse(&of_curve("secp384r1").unwrap().stdout), Err(CsrError::Key));
}

#[test]
fn a_private_key_is_read_as_it_was_written() {
    let pkcs8 = P256SigningKey::generate_pkcs8().unwrap();
    let pem = encode_private_key(pkcs8.expose()).unwrap();
    assert!(pem.expose().starts_with(b"-----BEGIN PRIVATE KEY-----\n"));
    assert_eq!(decode_private_key(pem.expose()).unwrap().expose(), pkcs8.expose());
    assert!(decode_private_key(b"-----BEGIN PRIVATE KEY-----\n").is_err());
    let certificate = crate::pem::encode_certificates([pkcs8.expose()]).unwrap();
    assert!(decode_private_key(certificate.as_bytes()).is_err());
}
