//! OCSP: requests of openssl and malformed ones, and answers that openssl judges.

use super::signers::EVERY;
use super::*;
use crate::der::{SEQUENCE, element, write};
use crate::pem::encode_certificates;
use crate::{
    CertificateError, OcspAnswer, OcspError, OcspMalformed, OcspRequest, OcspSigner, OcspStatus, PkiError,
};
use std::path::{Path, PathBuf};
use std::process::Command;
use wardein_crypto::{Digest, KeyAlgorithm, SigningKey, danger_sha1_to_name};
use wardein_domain::RevocationReason;

/// A responder of this authority with a key of that kind.
fn signer(authority: &Authority, algorithm: KeyAlgorithm) -> OcspSigner {
    let document = SigningKey::generate_pkcs8(algorithm).unwrap();
    let key = SigningKey::from_pkcs8(algorithm.signature(), &document).unwrap();
    let validity = Validity::starting(NOW, 86_400).unwrap();
    let order = authority.issuing.ocsp_order(&key.verifying_key(), serial(77), validity).unwrap();
    let issued = authority.issuing.issue(&order).unwrap();
    OcspSigner::new(authority.issuing.certificate(), key, &issued).unwrap()
}

fn seq(parts: &[&[u8]]) -> Vec<u8> {
    write(SEQUENCE, parts).unwrap()
}

fn octets(content: &[u8]) -> Vec<u8> {
    write(4, &[content]).unwrap()
}

const SHA_1: &[u8] = &[0x30, 9, 6, 5, 0x2b, 14, 3, 2, 26, 5, 0];
const SHA_256: &[u8] = &[0x30, 11, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];

/// A CertID of the issuing CA.
fn cert_id(authority: &Authority, serial: &[u8]) -> Vec<u8> {
    let ca = authority.issuing.certificate();
    let (name, key) = (danger_sha1_to_name(ca.name()), danger_sha1_to_name(ca.verifying_key().as_bytes()));
    seq(&[SHA_1, &octets(&name), &octets(&key), &write(2, &[serial]).unwrap()])
}

fn nonce(length: usize) -> Vec<u8> {
    extension(&[0x2b, 6, 1, 5, 5, 7, 48, 1, 2], &[], &octets(&vec![7; length]))
}

fn extension(oid: &[u8], critical: &[u8], value: &[u8]) -> Vec<u8> {
    seq(&[&write(6, &[oid]).unwrap(), critical, &octets(value)])
}

/// A request for these, with these extensions.
fn request(ids: &[&[u8]], extensions: &[&[u8]]) -> Vec<u8> {
    let ids: Vec<_> = ids.iter().map(|id| seq(&[id])).collect();
    let list = seq(&ids.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let extensions = match extensions {
        [] => Vec::new(),
        extensions => write(0xa2, &[&seq(extensions)]).unwrap(),
    };
    seq(&[&seq(&[&list, &extensions])])
}

#[test]
fn requests_are_read_by_either_hash_and_with_their_nonce() {
    let authority = Authority::found();
    let signer = signer(&authority, KeyAlgorithm::P256);
    let ca = authority.issuing.certificate();
    let serial = *serial(9).as_bytes();
    let sha256 = seq(&[
        SHA_256,
        &octets(&Digest::of(ca.name()).0),
        &octets(&Digest::of(ca.verifying_key().as_bytes()).0),
        &write(2, &[&serial]).unwrap(),
    ]);
    for id in [&cert_id(&authority, &serial), &sha256] {
        let read = OcspRequest::parse(&request(&[id], &[])).unwrap();
        assert_eq!(read.nonce, None);
        assert_eq!(read.certificates[0].serial(), serial);
        assert!(signer.answers_for(&read.certificates[0]));
        // Any bit of either hash.
        for at in [12, 40] {
            let mut other = id.clone();
            other[at + 4] ^= 1;
            if let Ok(read) = OcspRequest::parse(&request(&[&other], &[])) {
                assert!(!signer.answers_for(&read.certificates[0]), "{at}");
            }
        }
    }
    let stranger = OcspRequest::parse(&request(&[&cert_id(&Authority::found(), &serial)], &[])).unwrap();
    assert!(!signer.answers_for(&stranger.certificates[0]));
    let id = cert_id(&authority, &serial);
    for length in [1, 16, 32, 128] {
        let read = OcspRequest::parse(&request(&[&id], &[&nonce(length)])).unwrap();
        assert_eq!(read.nonce, Some(vec![7; length]));
    }
    // Version 1 written out, a requestor's name, a signature, and extensions that are not critical.
    let other = extension(&[0x2b, 6, 1, 5, 5, 7, 48, 1, 4], &[1, 1, 0], &[0x30, 0]);
    let (version, name) = (write(0xa0, &[&[2, 1, 0]]).unwrap(), write(0xa1, &[b"anybody"]).unwrap());
    let tbs = seq(&[
        &version,
        &name,
        &seq(&[&seq(&[&id]), &seq(&[&id])]),
        &write(0xa2, &[&seq(&[&other, &nonce(3)])]).unwrap(),
    ]);
    let read = OcspRequest::parse(&seq(&[&tbs, &write(0xa0, &[b"signed"]).unwrap()])).unwrap();
    assert_eq!((read.certificates.len(), read.nonce), (2, Some(vec![7; 3])));
    // A hash that is not computed here names no CA.
    let sha512 = seq(&[
        &seq(&[&write(6, &[&[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3]]).unwrap()]),
        &octets(&[1; 64]),
        &octets(&[2; 64]),
        &[2, 1, 5],
    ]);
    let read = OcspRequest::parse(&request(&[&sha512], &[])).unwrap();
    assert!(!signer.answers_for(&read.certificates[0]));
}

#[test]
fn what_is_not_a_request_is_malformed() {
    let authority = Authority::found();
    let id = cert_id(&authority, serial(9).as_bytes());
    let good = request(&[&id], &[&nonce(16)]);
    assert!(OcspRequest::parse(&good).is_ok());
    let many = vec![&id[..]; OcspRequest::MAX_CERTIFICATES];
    assert!(OcspRequest::parse(&request(&many, &[])).is_ok());
    let critical = extension(&[0x2b, 6, 1, 5, 5, 7, 48, 1, 4], &[1, 1, 0xff], &[0x30, 0]);
    let single = seq(&[&seq(&[&seq(&[&seq(&[&id, &write(0xa0, &[&seq(&[&critical])]).unwrap()])])])]);
    let single_nonce = seq(&[&seq(&[&seq(&[&seq(&[&id, &write(0xa0, &[&seq(&[&nonce(9)])]).unwrap()])])])]);
    for (what, bytes) in [
        ("nothing", vec![]),
        ("bytes after it", [&good[..], &[0]].concat()),
        ("cut", good[..good.len() - 1].to_vec()),
        ("no certificate", request(&[], &[])),
        ("too many", request(&[&many[..], &[&id[..]]].concat(), &[])),
        ("an empty nonce", request(&[&id], &[&nonce(0)])),
        ("a long nonce", request(&[&id], &[&nonce(129)])),
        ("a very long nonce", request(&[&id], &[&nonce(3_000)])),
        ("two nonces", request(&[&id], &[&nonce(16), &nonce(16)])),
        ("a critical extension", request(&[&id], &[&critical])),
        ("one of a single certificate", single),
        ("a nonce of a single certificate", single_nonce),
        ("a serial of 21 bytes", request(&[&cert_id(&authority, &[7; 21])], &[])),
        ("no serial", request(&[&cert_id(&authority, &[])], &[])),
        ("version 2", seq(&[&seq(&[&write(0xa0, &[&[2, 1, 1]]).unwrap(), &seq(&[&seq(&[&id])])])])),
        ("a short hash", request(&[&seq(&[SHA_1, &octets(&[1; 19]), &octets(&[2; 20]), &[2, 1, 5]])], &[])),
        ("too long", request(&[&id], &[&extension(&[0x2b, 1], &[], &[0; 4_096])])),
    ] {
        assert_eq!(OcspRequest::parse(&bytes), Err(OcspMalformed), "{what}");
    }
    // No byte of a request that is taken is read as something else: what is cut or longer by one is not.
    for end in 0..good.len() {
        assert_eq!(OcspRequest::parse(&good[..end]), Err(OcspMalformed));
    }
}

#[test]
fn a_path_is_read_however_it_was_written() {
    let authority = Authority::found();
    // Serials until base64 has every sign that is escaped, and padding.
    let mut seen = [false; 4];
    for number in 0..=255_u8 {
        let id = cert_id(&authority, &[0x40, number, 0xff, 0xef, number ^ 0x5a, 0xbf]);
        let nonce = nonce(1 + usize::from(number % 3));
        let der = request(&[&id], &[&nonce]);
        let text = base64(&der);
        let expected = OcspRequest::parse(&der).unwrap();
        seen[0] |= text.contains('/');
        seen[1] |= text.contains('+');
        seen[2] |= text.ends_with('=');
        seen[3] |= text.contains("//");
        let escaped = text.replace('/', "%2F").replace('+', "%2b").replace('=', "%3D");
        for path in [
            text.clone(),
            escaped.clone(),
            text.replace('=', "%3d"),
            text.trim_end_matches('=').to_owned(),
            text.replace('+', " "),
            text.replace('+', "%20"),
            format!("/{text}"),
            format!("//{escaped}"),
            format!("{text}=="),
            text.bytes().map(|byte| format!("%{byte:02X}")).collect(),
        ] {
            assert_eq!(OcspRequest::parse_path(&path), Ok(vec![expected.clone()]), "{path}");
        }
        // Of two slashes one is left, and there may be several places where the other was.
        let merged = OcspRequest::parse_path(&text.replacen("//", "/", 1)).unwrap();
        assert!(merged.contains(&expected) && merged.len() <= 17, "{text}");
        for path in [
            text[..text.len() - 6].to_owned(),
            format!("{text}%"),
            format!("{text}%2"),
            format!("{text}%zz"),
            format!("{text}."),
            text.replacen('M', "-", 1),
        ] {
            assert_eq!(OcspRequest::parse_path(&path), Err(OcspMalformed), "{path}");
        }
    }
    assert_eq!(seen, [true; 4]);
    for path in ["", "/", "=", "%3D", "////", "M", "\u{fc}", &"A".repeat(20_000)] {
        assert_eq!(OcspRequest::parse_path(path), Err(OcspMalformed), "{path}");
    }
}

fn base64(bytes: &[u8]) -> String {
    let text = pem_rfc7468::encode_string("X", pem_rfc7468::LineEnding::LF, bytes).unwrap();
    text.lines().filter(|line| !line.starts_with('-')).collect()
}

#[test]
fn only_a_responders_certificate_of_this_ca_makes_a_responder() {
    let authority = Authority::found();
    let key = key();
    let validity = Validity::starting(NOW, 86_400).unwrap();
    let order = |authority: &Authority| {
        authority.issuing.ocsp_order(&key.verifying_key().to_owned().into(), serial(77), validity).unwrap()
    };
    let issued = authority.issuing.issue(&order(&authority)).unwrap();
    let take = |issued: &crate::Issued, key| {
        OcspSigner::new(authority.issuing.certificate(), key, issued).map(|_| ())
    };
    let another = || super::key();
    assert_eq!(take(&issued, another()), Err(PkiError::CaKey));
    let device = authority.issuing.issue_device(&device_csr(), &device()).unwrap();
    assert_eq!(take(&device, another()), Err(PkiError::CaCertificate(CertificateError::Use)));
    let stranger = Authority::found();
    let foreign = stranger.issuing.issue(&order(&stranger)).unwrap();
    assert_eq!(take(&foreign, another()), Err(PkiError::CaCertificate(CertificateError::Signature)));
    // Nor is it a device.
    assert_eq!(authority.issuing.recognize(issued.der()), Err(CertificateError::Use));
}

#[test]
fn errors_are_five_bytes() {
    for (error, status) in [
        (OcspError::MalformedRequest, 1),
        (OcspError::InternalError, 2),
        (OcspError::TryLater, 3),
        (OcspError::Unauthorized, 6),
    ] {
        assert_eq!(error.der(), [0x30, 3, 0x0a, 1, status]);
    }
}

#[test]
fn openssl_asks_and_verifies_what_it_is_answered() {
    let revoked = |reason| OcspStatus::Revoked { at: NOW - 60, reason };
    for (key, algorithm) in EVERY.iter().zip(KeyAlgorithm::ALL) {
        let authority = Authority::found_with(crate::tests::key(), key.clone(), crate::tests::key());
        let signer = signer(&authority, algorithm);
        let bench = Bench::new(&authority, &authority.device());
        for (hash, nonce) in [("-sha1", "-nonce"), ("-sha1", "-no_nonce"), ("-sha256", "-nonce")] {
            let Some(request) = bench.request(hash, nonce) else { return };
            let read = OcspRequest::parse(&request).unwrap();
            assert_eq!(read.nonce.is_some(), nonce == "-nonce");
            assert!(signer.answers_for(&read.certificates[0]), "{} {hash}", algorithm.name());
            for (status, word) in [
                (OcspStatus::Good, "good"),
                (OcspStatus::Unknown, "unknown"),
                (revoked(RevocationReason::Unspecified), "revoked"),
                (revoked(RevocationReason::KeyCompromise), "Reason: keyCompromise"),
                (revoked(RevocationReason::CertificateHold), "Reason: certificateHold"),
            ] {
                let answer = OcspAnswer {
                    certificates: vec![(read.certificates[0].clone(), status)],
                    this_update: NOW - 300,
                    next_update: NOW + 3_600,
                    produced_at: NOW,
                    nonce: read.nonce.clone(),
                };
                let der = signer.answer(&answer).unwrap();
                let said = bench.judge(hash, &der);
                assert!(said.contains("Response verify OK") && said.contains(word), "{status:?}: {said}");
                assert!(!said.contains("WARNING: no nonce"), "{said}");
            }
        }
    }
}

/// Files for openssl.
struct Bench(PathBuf);

impl Bench {
    fn new(authority: &Authority, leaf: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("wardein-ocsp-{}-{leaf:p}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        let write = |name: &str, der: &[u8]| {
            std::fs::write(path.join(name), encode_certificates([der]).unwrap()).unwrap();
        };
        write("root", authority.root.certificate().der());
        write("ca", authority.issuing.certificate().der());
        write("leaf", leaf);
        Self(path)
    }

    /// `None`, with a warning, where there is no openssl.
    fn request(&self, hash: &str, nonce: &str) -> Option<Vec<u8>> {
        let made = Command::new("openssl")
            .current_dir(&self.0)
            .args(["ocsp", hash, nonce, "-issuer", "ca", "-cert", "leaf", "-reqout", "request"])
            .output();
        match made {
            Ok(output) => {
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                Some(std::fs::read(self.0.join("request")).unwrap())
            }
            Err(error) => {
                eprintln!("SKIPPED: openssl cannot be run ({error}); it asked for nothing");
                None
            }
        }
    }

    fn judge(&self, hash: &str, response: &[u8]) -> String {
        std::fs::write(self.0.join("response"), response).unwrap();
        let output = Command::new("openssl")
            .current_dir(&self.0)
            .args(["ocsp", hash, "-no_nonce", "-reqin", "request", "-respin", "response"])
            .args(["-issuer", "ca", "-cert", "leaf"])
            .args(["-CAfile", "root", "-verify_other", "ca", "-attime", &NOW.to_string()])
            .output()
            .unwrap();
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(Path::new(&self.0)));
    }
}

#[test]
fn answers_repeat_what_was_asked() {
    let authority = Authority::found();
    let signer = signer(&authority, KeyAlgorithm::P256);
    let (one, two) = (cert_id(&authority, serial(9).as_bytes()), cert_id(&authority, &[5]));
    let read = OcspRequest::parse(&request(&[&one, &two], &[&nonce(32)])).unwrap();
    let certificates = [
        (read.certificates[0].clone(), OcspStatus::Good),
        (read.certificates[1].clone(), OcspStatus::Unknown),
    ];
    let answer = OcspAnswer {
        certificates: certificates.to_vec(),
        this_update: NOW,
        next_update: NOW + 60,
        produced_at: NOW,
        nonce: read.nonce.clone(),
    };
    let der = signer.answer(&answer).unwrap();
    assert!(element(&der, SEQUENCE).is_some_and(|(_, rest)| rest.is_empty()));
    for part in [&one, &two, &nonce(32)] {
        assert!(der.windows(part.len()).any(|window| window == &part[..]));
    }
}

/// How many answers one core signs: `cargo test --release -p wardein-pki --lib ocsp::cost -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn cost() {
    for algorithm in KeyAlgorithm::ALL {
        let authority = Authority::found();
        let signer = signer(&authority, algorithm);
        let bytes = request(&[&cert_id(&authority, serial(9).as_bytes())], &[&nonce(32)]);
        let (started, mut count) = (std::time::Instant::now(), 0_u32);
        while started.elapsed().as_secs() < 2 {
            let read = OcspRequest::parse(&bytes).unwrap();
            let answer = OcspAnswer {
                certificates: vec![(read.certificates[0].clone(), OcspStatus::Good)],
                this_update: NOW,
                next_update: NOW + 60,
                produced_at: NOW,
                nonce: read.nonce.clone(),
            };
            assert!(!signer.answer(&answer).unwrap().is_empty());
            count += 1;
        }
        eprintln!(
            "{}: {} answers a second",
            algorithm.name(),
            f64::from(count) / started.elapsed().as_secs_f64()
        );
    }
}
