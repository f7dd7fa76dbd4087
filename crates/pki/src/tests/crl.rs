//! Revocation lists: judged by rustls's verifier and by OpenSSL, and one wrong list for each rule of the lint.

use super::signers::{EVERY, Elsewhere, Fault};
use super::*;
use crate::crl::params;
use crate::lint_crl::check;
use crate::pem::{encode_certificates, encode_crls};
use crate::prepare::Capture;
use crate::{Crl, CrlNumber, CrlOrder, IssuedBy, LintError, PkiError, RevokedCertificate};
use rcgen::{CertificateRevocationListParams, CrlDistributionPoint, CrlIssuingDistributionPoint, CrlScope};
use rustls_pki_types::{CertificateDer, UnixTime};
use std::process::Command;
use std::time::Duration;
use wardein_domain::RevocationReason;
use webpki::ring::ECDSA_P256_SHA256;
use webpki::{
    BorrowedCertRevocationList, CertRevocationList, EndEntityCert, KeyUsage, RevocationOptionsBuilder,
    anchor_from_trusted_cert,
};

fn revoked(number: u8, reason: RevocationReason) -> RevokedCertificate {
    RevokedCertificate { serial: serial(number), at: NOW - 60, reason }
}

fn order(revoked: Vec<RevokedCertificate>) -> CrlOrder {
    let number = CrlNumber(u128::from(NOW) << 64 | 7);
    CrlOrder { number, this_update: NOW - 300, next_update: NOW + 86_400, revoked }
}

fn one_for_each_reason() -> CrlOrder {
    let serials = (20..).zip(RevocationReason::ALL);
    order(serials.map(|(number, reason)| revoked(number, reason)).collect())
}

/// Whether rustls, which asks for the status of the leaf and refuses one that is not known, takes a device's certificate.
fn webpki_takes(authority: &Authority, leaf: &[u8], crl: &Crl) -> Result<(), webpki::Error> {
    let [root, issuing, leaf] =
        [authority.root.certificate().der(), authority.issuing.certificate().der(), leaf]
            .map(CertificateDer::from);
    let anchors = [anchor_from_trusted_cert(&root).unwrap()];
    let list = CertRevocationList::from(BorrowedCertRevocationList::from_der(&crl.der).unwrap());
    let lists = [&list];
    let options = RevocationOptionsBuilder::new(&lists)
        .unwrap()
        .with_depth(webpki::RevocationCheckDepth::EndEntity)
        .with_expiration_policy(webpki::ExpirationPolicy::Enforce)
        .build();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW));
    let leaf = EndEntityCert::try_from(&leaf).unwrap();
    leaf.verify_for_usage(
        &[ECDSA_P256_SHA256],
        &anchors,
        &[issuing],
        now,
        KeyUsage::client_auth(),
        Some(options),
        None,
    )
    .map(|_| ())
}

#[test]
fn rustls_refuses_what_is_on_the_list_and_takes_what_is_not() {
    let authority = Authority::found();
    let leaf = authority.device();
    let of = |revoked| authority.issuing.sign_crl(&order(revoked)).unwrap();
    assert_eq!(webpki_takes(&authority, &leaf, &of(vec![])), Ok(()));
    let other = of(vec![revoked(8, RevocationReason::KeyCompromise)]);
    assert_eq!(webpki_takes(&authority, &leaf, &other), Ok(()));
    for reason in RevocationReason::ALL {
        let list = of(vec![revoked(8, reason), revoked(9, reason)]);
        assert_eq!(list.entries, 2);
        assert_eq!(webpki_takes(&authority, &leaf, &list), Err(webpki::Error::CertRevoked), "{reason}");
    }
    let late = CrlOrder { next_update: NOW - 1, ..order(vec![]) };
    let late = authority.issuing.sign_crl(&late).unwrap();
    let refused = webpki_takes(&authority, &leaf, &late);
    assert!(matches!(refused, Err(webpki::Error::CrlExpired { .. })), "{refused:?}");
}

#[test]
fn openssl_reads_lists_of_every_algorithm_and_needs_the_roots() {
    for signer in EVERY.iter() {
        let authority = Authority::found_with(signer.clone(), signer.clone(), signer.clone());
        let leaf = authority.device();
        let root_list = authority.root.sign_crl(&order(vec![])).unwrap();
        let clean = authority.issuing.sign_crl(&order(vec![])).unwrap();
        let held = authority.issuing.sign_crl(&order(vec![revoked(9, RevocationReason::CertificateHold)]));
        let held = held.unwrap();
        for (lists, depth, expected) in [
            (vec![&clean], "-crl_check", true),
            (vec![&clean], "-crl_check_all", false),
            (vec![&clean, &root_list], "-crl_check_all", true),
            (vec![&held, &root_list], "-crl_check_all", false),
            (vec![&held], "-crl_check", false),
        ] {
            let Some(taken) = openssl_takes(&authority, &leaf, &lists, depth) else { return };
            assert_eq!(taken, expected, "{} {depth} {}", signer.algorithm().name(), lists.len());
        }
    }
}

fn openssl_takes(authority: &Authority, leaf: &[u8], lists: &[&Crl], depth: &str) -> Option<bool> {
    let directory = std::env::temp_dir().join(format!("wardein-crl-{}-{leaf:p}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let write = |name: &str, text: String| std::fs::write(directory.join(name), text).unwrap();
    write("root", encode_certificates([authority.root.certificate().der()]).unwrap());
    write("ca", encode_certificates([authority.issuing.certificate().der()]).unwrap());
    write("leaf", encode_certificates([leaf]).unwrap());
    write("crl", encode_crls(lists.iter().map(|list| &list.der[..])).unwrap());
    let outcome = Command::new("openssl")
        .current_dir(&directory)
        .args(["verify", depth, "-attime", &NOW.to_string(), "-CAfile", "root", "-untrusted", "ca"])
        .args(["-CRLfile", "crl", "leaf"])
        .output();
    std::fs::remove_dir_all(&directory).unwrap();
    match outcome {
        Ok(output) => Some(output.status.success()),
        Err(error) => {
            eprintln!("SKIPPED: openssl cannot be run ({error}); the lists were not judged by it");
            None
        }
    }
}

#[test]
fn a_signer_at_fault_signs_no_list() {
    let sign = |fault| {
        let (authority, elsewhere) = (Authority::found(), Elsewhere::new(3, fault));
        let validity = authority.issuing.certificate().validity();
        let ca = authority.root.found_issuing(elsewhere, serial(5), validity).unwrap();
        ca.sign_crl(&order(vec![])).map(|crl| crl.entries)
    };
    assert_eq!(sign(Fault::None), Ok(0));
    assert_eq!(sign(Fault::OtherKey), Err(PkiError::Signature));
    assert_eq!(sign(Fault::OtherBytes), Err(PkiError::Signature));
    assert_eq!(sign(Fault::Garbage), Err(PkiError::Signature));
    assert_eq!(sign(Fault::Unreachable), Err(PkiError::Signing));
}

/// The lint's verdict on a list that `spoil` altered before it was written, and `patch` after it.
fn lint_of(
    order: &CrlOrder,
    spoil: impl FnOnce(&mut CertificateRevocationListParams),
    patch: impl FnOnce(&mut Vec<u8>),
) -> Result<(), LintError> {
    let authority = Authority::found();
    let issuer = authority.issuing.issuer();
    let capture = Capture::new(issuer.algorithm);
    let mut params = params(order, &issuer.key_id).unwrap();
    spoil(&mut params);
    let issuer_params = issuer.params();
    params.signed_by(&rcgen::Issuer::from_params(&issuer_params, &capture)).unwrap();
    let mut tbs = capture.into_bytes();
    patch(&mut tbs);
    check(tbs, order, &issuer).map(|_| ())
}

#[test]
fn each_rule_of_the_lint() {
    let full = one_for_each_reason();
    let lint = |spoil: fn(&mut CertificateRevocationListParams)| lint_of(&full, spoil, |_| ());
    assert_eq!(lint(|_| ()), Ok(()));
    assert_eq!(lint_of(&order(vec![]), |_| (), |_| ()), Ok(()));
    assert_eq!(lint(|params| params.next_update += DAY), Err(LintError::Updates));
    assert_eq!(lint(|params| params.this_update -= DAY), Err(LintError::Updates));
    assert_eq!(lint(|params| params.crl_number = 8_u64.into()), Err(LintError::CrlNumber));
    assert_eq!(
        lint(|params| params.key_identifier_method = rcgen::KeyIdMethod::PreSpecified(vec![7; 20])),
        Err(LintError::AuthorityKeyId)
    );
    assert_eq!(
        lint(|params| {
            params.revoked_certs.pop();
        }),
        Err(LintError::Entries)
    );
    assert_eq!(lint(|params| params.revoked_certs.reverse()), Err(LintError::Entries));
    assert_eq!(lint(|params| params.revoked_certs[1].revocation_time += DAY), Err(LintError::Entries));
    assert_eq!(lint(|params| params.revoked_certs[1].reason_code = None), Err(LintError::Entries));
    assert_eq!(
        lint(|params| params.revoked_certs[0].reason_code = Some(rcgen::RevocationReason::Superseded)),
        Err(LintError::Entries)
    );
    // A list that is only a part of the whole.
    let part = |params: &mut CertificateRevocationListParams| {
        params.issuing_distribution_point = Some(CrlIssuingDistributionPoint {
            distribution_point: CrlDistributionPoint { uris: vec!["http://crl.example/1.crl".to_owned()] },
            scope: Some(CrlScope::UserCertsOnly),
        });
    };
    assert_eq!(lint_of(&full, part, |_| ()), Err(LintError::UnknownExtension));
    // invalidityDate in the place of cRLReasons.
    let other = |tbs: &mut Vec<u8>| replace_first(tbs, &[0x55, 0x1d, 21], &[0x55, 0x1d, 24]);
    assert_eq!(lint_of(&full, |_| (), other), Err(LintError::Entries));
    let version = |tbs: &mut Vec<u8>| replace_first(tbs, &[2, 1, 1], &[2, 1, 0]);
    assert_eq!(lint_of(&full, |_| (), version), Err(LintError::Version));
    let algorithm = |tbs: &mut Vec<u8>| replace_first(tbs, &[0xce, 0x3d, 4, 3, 2], &[0xce, 0x3d, 4, 3, 3]);
    assert_eq!(lint_of(&full, |_| (), algorithm), Err(LintError::SignatureAlgorithm));
    let issuer = |tbs: &mut Vec<u8>| replace_first(tbs, b"issuing CA", b"Issuing CA");
    assert_eq!(lint_of(&full, |_| (), issuer), Err(LintError::Issuer));
    assert_eq!(lint_of(&full, |_| (), |tbs| tbs.push(0)), Err(LintError::Malformed));
    // An empty list in front of the extensions, which have the tag [0].
    let empty = |tbs: &mut Vec<u8>| {
        let is_last = |at: &usize| tbs[*at] == 0xa0 && usize::from(tbs[at + 1]) == tbs.len() - at - 2;
        let at = (0..tbs.len() - 1).find(is_last).unwrap();
        tbs.splice(at..at, [0x30, 0]);
        tbs[2] += 2;
    };
    let is_short = |tbs: &[u8]| tbs[1] == 0x81 && tbs[2] < 0xfe;
    assert_eq!(
        lint_of(
            &order(vec![]),
            |_| (),
            |tbs| {
                assert!(is_short(tbs), "{tbs:02x?}");
                empty(tbs);
            }
        ),
        Err(LintError::Entries)
    );
    // The order itself must be one.
    let twice = order(vec![revoked(9, RevocationReason::Superseded); 2]);
    assert_eq!(lint_of(&twice, |_| (), |_| ()), Err(LintError::Entries));
}

#[test]
fn a_list_is_read_as_it_was_ordered() {
    let authority = Authority::found();
    for order in [order(vec![]), one_for_each_reason()] {
        let der = authority.issuing.sign_crl(&order).unwrap().der;
        assert_eq!(CrlOrder::read(&der), Some(order));
        assert_eq!(CrlOrder::read(&[&der[..], &[0]].concat()), None);
        assert_eq!(CrlOrder::read(&der[..der.len() - 1]), None);
    }
}

fn replace_first(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
    bytes[at..at + to.len()].copy_from_slice(to);
}

#[test]
fn a_critical_reason_is_refused() {
    let order = order(vec![revoked(9, RevocationReason::KeyCompromise)]);
    let authority = Authority::found();
    let tbs = authority.issuing.sign_crl(&order).unwrap().der;
    let tbs = crate::envelope::Envelope::open(&tbs).unwrap().signed.to_vec();
    let issuer = authority.issuing.issuer();
    assert!(check(tbs.clone(), &order, &issuer).is_ok());
    // SEQUENCE { OID, BOOLEAN TRUE, OCTET STRING }, and four lengths around it that have three more.
    let at = tbs.windows(5).position(|window| window == [6, 3, 0x55, 0x1d, 21]).unwrap();
    let mut critical = tbs;
    critical.splice(at + 5..at + 5, [1, 1, 0xff]);
    // The extension, the list of them, the entry, the list of entries; and the whole, whose length has two bytes.
    let entry = 2 + 2 + 16 + 15;
    for back in [1, 3, entry + 4 - 1, entry + 6 - 1] {
        critical[at - back] += 3;
    }
    critical[2] += 3;
    assert_eq!(check(critical, &order, &issuer).map(|_| ()), Err(LintError::Entries));
}

#[test]
fn a_certificate_says_who_issued_it() {
    let authority = Authority::found();
    let leaf = authority.device();
    let expected = IssuedBy { ca: *authority.issuing.certificate().key_id(), not_after: NOW + 86_400 };
    assert_eq!(IssuedBy::of_certificate(&leaf), Some(expected));
    let tbs = crate::envelope::Envelope::open(&leaf).unwrap().signed;
    assert_eq!(IssuedBy::of_tbs(tbs), Some(expected));
    assert_eq!(IssuedBy::of_tbs(&leaf), None);
    assert_eq!(IssuedBy::of_certificate(tbs), None);
}

const DAY: Duration = Duration::from_secs(86_400);

/// Lists of 0, 100,000 and more: how long they take and how many bytes they have. Not a test of anything:
/// `cargo test --release -p wardein-pki --lib crl::cost -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn cost() {
    let authority = Authority::found();
    for count in [0_u32, 1_000, 10_000, 100_000, 1_000_000] {
        let certificate = |number: u32| {
            let mut bytes = [number as u8; 16];
            bytes[1..5].copy_from_slice(&number.to_be_bytes());
            bytes[0] = 0;
            RevokedCertificate {
                serial: Serial::from_random(bytes),
                at: NOW,
                reason: RevocationReason::PrivilegeWithdrawn,
            }
        };
        let order = order((0..count).map(certificate).collect());
        let started = std::time::Instant::now();
        let crl = authority.issuing.sign_crl(&order).unwrap();
        eprintln!("{count} entries: {} bytes, {:?}", crl.der.len(), started.elapsed());
    }
}
