//! The chains, judged by others: OpenSSL and the verifier of rustls.

use super::*;
use crate::pem::encode_certificates;
use rustls_pki_types::{CertificateDer, UnixTime};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert, ring::ECDSA_P256_SHA256};

/// Whether rustls would take `leaf`, at that time and for that end of TLS.
fn webpki_verifies(root: &[u8], intermediate: &[u8], leaf: &[u8], now: u64, usage: KeyUsage) -> bool {
    let [root, intermediate, leaf] = [root, intermediate, leaf].map(CertificateDer::from);
    let anchors = [anchor_from_trusted_cert(&root).unwrap()];
    let leaf = EndEntityCert::try_from(&leaf).unwrap();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
    leaf.verify_for_usage(&[ECDSA_P256_SHA256], &anchors, &[intermediate], now, usage, None, None).is_ok()
}

/// Whether `openssl verify` takes it. `None`, with a warning, where there is no openssl.
pub(super) fn openssl_verifies(
    root: &[u8],
    intermediate: &[u8],
    leaf: &[u8],
    now: u64,
    more: &[&str],
) -> Option<bool> {
    let directory =
        std::env::temp_dir().join(format!("wardein-pki-{}-{:p}", std::process::id(), &raw const root));
    std::fs::create_dir_all(&directory).unwrap();
    let [root, intermediate, leaf] =
        [("root", root), ("ca", intermediate), ("leaf", leaf)].map(|(name, der)| {
            let path = directory.join(name);
            std::fs::write(&path, encode_certificates([der]).unwrap()).unwrap();
            path
        });
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let outcome = Command::new("openssl")
        .args(["verify", "-x509_strict", "-check_ss_sig", "-attime", &now.to_string()])
        .args(more)
        .args(["-CAfile", &text(&root), "-untrusted", &text(&intermediate), &text(&leaf)])
        .output();
    std::fs::remove_dir_all(&directory).unwrap();
    match outcome {
        Ok(output) => {
            eprintln!(
                "{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
            Some(output.status.success())
        }
        Err(error) => {
            eprintln!("SKIPPED: openssl cannot be run ({error}); the chain was not judged by it");
            None
        }
    }
}

#[test]
fn openssl_takes_each_leaf_for_its_purpose_and_no_other() {
    let authority = Authority::found();
    let (root, issuing) = (authority.root.certificate().der(), authority.issuing.certificate().der());
    let infrastructure = authority.infrastructure.certificate().der();
    let (device, operator, server) = (authority.device(), authority.operator(), authority.server());
    for (ca, leaf, purpose, expected) in [
        (issuing, &device, "sslclient", true),
        (issuing, &device, "sslserver", false),
        (infrastructure, &device, "sslclient", false),
        (infrastructure, &operator, "sslclient", true),
        (infrastructure, &operator, "sslserver", false),
        (issuing, &operator, "sslclient", false),
        (infrastructure, &server, "sslserver", true),
        (infrastructure, &server, "sslclient", false),
        (issuing, &server, "sslserver", false),
    ] {
        let verifies = openssl_verifies(root, ca, leaf, NOW, &["-purpose", purpose]);
        assert_ne!(verifies, Some(!expected), "{purpose}");
    }
    let at = |now, more: &[&str]| openssl_verifies(root, issuing, &device, now, more);
    assert_ne!(at(NOW - 301, &[]), Some(true), "before its time");
    assert_ne!(at(NOW + 86_401, &[]), Some(true), "after its time");
    let named = |name| openssl_verifies(root, infrastructure, &server, NOW, &["-verify_hostname", name]);
    assert_ne!(named("localhost"), Some(false));
    assert_ne!(named("other"), Some(true));
}

#[test]
fn rustls_takes_each_leaf_for_its_purpose_and_no_other() {
    let authority = Authority::found();
    let (root, issuing) = (authority.root.certificate().der(), authority.issuing.certificate().der());
    let infrastructure = authority.infrastructure.certificate().der();
    let (device, operator, server) = (authority.device(), authority.operator(), authority.server());
    let client = || KeyUsage::client_auth();
    for (ca, leaf, usage, expected) in [
        (issuing, &device, client(), true),
        (issuing, &device, KeyUsage::server_auth(), false),
        (infrastructure, &device, client(), false),
        (infrastructure, &operator, client(), true),
        (issuing, &operator, client(), false),
        (infrastructure, &server, KeyUsage::server_auth(), true),
        (infrastructure, &server, client(), false),
    ] {
        assert_eq!(webpki_verifies(root, ca, leaf, NOW, usage), expected);
    }
    // As the server sees it: the infrastructure CA is the anchor, and certificates that a device sends along do not help it.
    assert!(webpki_verifies(infrastructure, infrastructure, &operator, NOW, client()));
    assert!(!webpki_verifies(infrastructure, issuing, &device, NOW, client()));
    for now in [NOW - 301, NOW + 86_401] {
        assert!(!webpki_verifies(root, issuing, &device, now, client()));
    }
}

#[test]
fn a_server_certificate_holds_its_names_and_no_other() {
    let authority = Authority::found();
    let der = authority.server();
    let der = CertificateDer::from(&der[..]);
    let certificate = EndEntityCert::try_from(&der).unwrap();
    let is_for = |name: &str| certificate.verify_is_valid_for_subject_name(&name.try_into().unwrap()).is_ok();
    assert!(is_for("localhost") && is_for("127.0.0.1") && is_for("::1"));
    assert!(!is_for("127.0.0.2") && !is_for("wardein.example"));
}
