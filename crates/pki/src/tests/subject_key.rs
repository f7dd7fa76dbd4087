//! Public keys in certificates: one encoding each.

use super::signers::EVERY;
use super::*;
use crate::der::{SEQUENCE, element, write};
use crate::{NotP256, PublicKey, SubjectKey};
use std::io::Write;
use std::process::{Command, Stdio};

fn keys() -> Vec<SubjectKey> {
    EVERY.iter().map(|signer| SubjectKey::from(signer.verifying_key())).collect()
}

#[test]
fn a_key_comes_back_from_its_one_encoding() {
    for key in keys() {
        let spki = key.spki();
        assert_eq!(SubjectKey::from_spki(&spki).as_ref(), Some(&key));
        // The header, up to where the point or the modulus starts.
        let header = spki.len() - key.verifying_key().as_bytes().len();
        for position in 0..=header {
            let mut changed = spki.clone();
            changed[position] ^= 1;
            assert_eq!(SubjectKey::from_spki(&changed), None, "byte {position}");
        }
        assert_eq!(SubjectKey::from_spki(&[&spki[..], &[0]].concat()), None);
        assert_eq!(SubjectKey::from_spki(&spki[..spki.len() - 1]), None);
        // One more element within.
        let (content, _) = element(&spki, SEQUENCE).unwrap();
        assert_eq!(write(SEQUENCE, &[content]).as_ref(), Some(&spki));
        assert_eq!(SubjectKey::from_spki(&write(SEQUENCE, &[content, &[5, 0]]).unwrap()), None);
    }
    assert_eq!(SubjectKey::from_spki(&[]), None);
}

#[test]
fn a_key_of_p256_is_the_same_in_both_types() {
    let leaf = PublicKey::from(*key().verifying_key());
    assert_eq!(SubjectKey::from(&leaf).spki(), leaf.spki());
    assert_eq!(PublicKey::try_from(&SubjectKey::from(&leaf)), Ok(leaf));
    for other in &keys()[1..] {
        assert_eq!(PublicKey::try_from(other), Err(NotP256));
    }
}

#[test]
fn openssl_writes_each_key_as_we_do() {
    for key in keys() {
        let openssl = Command::new("openssl")
            .args(["pkey", "-pubin", "-inform", "DER", "-outform", "DER"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut openssl) = openssl else {
            eprintln!("SKIPPED: openssl cannot be run; the encoding of keys was not judged by it");
            return;
        };
        openssl.stdin.take().unwrap().write_all(&key.spki()).unwrap();
        assert_eq!(openssl.wait_with_output().unwrap().stdout, key.spki());
    }
}
