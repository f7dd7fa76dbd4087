//! Statements: each thing that is checked, and each change that is noticed.

use crate::certified::{Certified, NOW, first, key, statement};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use wardein_crypto::Digest;
use wardein_files::{FileError, SignedStatement, Statement, check, in_order, signed_path};
use wardein_pki::{CLOCK_SKEW, pem};

#[test]
fn a_statement_is_believed_as_it_was_signed_and_under_the_root_alone() {
    let device = Certified::found();
    let signed = device.sign(first());
    let parsed = SignedStatement::parse(signed.text().as_bytes()).unwrap();
    assert_eq!(parsed, signed);
    let verified = parsed.verify(&[&device.root]).unwrap();
    assert_eq!(verified.statement, first());
    assert!(verified.is_of((Digest::of(b"sealed"), 6)).is_ok());
    for other in [(Digest::of(b"other!"), 6), (Digest::of(b"sealed"), 7)] {
        assert!(matches!(verified.is_of(other), Err(FileError::OtherFile)));
    }
    let stranger = Certified::found();
    assert!(matches!(parsed.verify(&[&stranger.root]), Err(FileError::Certificate(_))));
    assert!(matches!(parsed.verify(&[]), Err(FileError::Certificate(_))));
}

#[test]
fn what_was_changed_is_refused() {
    let device = Certified::found();
    let text = device.sign(first()).text();
    let refused = |text: &str| match SignedStatement::parse(text.as_bytes()) {
        Ok(signed) => signed.verify(&[&device.root]).unwrap_err(),
        Err(error) => error,
    };
    for (from, to) in [
        ("number: 1", "number: 2"),
        ("sealed-at: 17953056", "sealed-at: 17953057"),
        ("length: 6", "length: 7"),
    ] {
        assert!(text.contains(from), "{from}");
        assert!(matches!(refused(&text.replace(from, to)), FileError::Signature), "{from}");
    }
    // Signed by another key than the certified one; certified for another device.
    let other = SignedStatement::sign(first(), &key(), device.certificates.clone()).unwrap();
    assert!(matches!(other.verify(&[&device.root]), Err(FileError::Signature)));
    let other = SignedStatement::sign(first(), &device.key, device.certificates_of("pump-2")).unwrap();
    assert!(matches!(other.verify(&[&device.root]), Err(FileError::OtherDevice { .. })));
    // Malformed, and bounded.
    for bad in ["", "wardein-file 1\n", &text[..200], &text.replace("signature: ", "")] {
        assert!(SignedStatement::parse(bad.as_bytes()).is_err(), "{bad}");
    }
    assert!(SignedStatement::parse(&vec![b'a'; wardein_files::MAX_SIGNED + 1]).is_err());
    assert!(SignedStatement::parse(&[0xff]).is_err());
}

#[test]
fn a_certificate_that_was_not_valid_then_proves_nothing() {
    let device = Certified::found();
    let (from, until) = (NOW - CLOCK_SKEW, NOW + 86_400);
    for (sealed_at, is_valid) in [(from - 1, false), (from, true), (until, true), (until + 1, false)] {
        let verified = device.sign(Statement { sealed_at, ..first() }).verify(&[&device.root]);
        match verified {
            Ok(_) => assert!(is_valid, "{sealed_at}"),
            Err(FileError::NotValidThen { at, .. }) => assert!(!is_valid && at == sealed_at),
            Err(error) => unreachable!("{error}"),
        }
    }
}

#[test]
fn a_missing_and_a_swapped_file_are_seen() {
    let mut files = vec![first()];
    for number in 2..=6 {
        let before = files.last().unwrap().digest();
        files.push(statement(number, before));
    }
    let told = |files: &[Statement]| {
        let order = in_order(files).unwrap();
        (order.gaps, order.broken)
    };
    assert_eq!(told(&files), (vec![], vec![]));
    let mut shuffled = files.clone();
    shuffled.reverse();
    shuffled.push(files[3].clone());
    assert_eq!(told(&shuffled), (vec![], vec![]), "in any order, and a copy twice");
    assert_eq!(told(&[&files[..2], &files[4..]].concat()), (vec![(5, 2)], vec![]));
    assert_eq!(told(&files[2..]), (vec![(3, 2)], vec![]));
    let forked = Statement { length: 7, ..files[3].clone() };
    let mut swapped = files.clone();
    swapped[3] = forked.clone();
    assert_eq!(told(&swapped), (vec![], vec![5]), "the next one names another");
    assert_eq!(told(&[&files[..], &[forked]].concat()).1, vec![4, 5]);
    assert_eq!(told(&[statement(1, Digest([1; 32]))]).1, vec![1]);
    assert!(in_order(&[]).is_none());
}

#[test]
fn files_are_checked_where_they_are_and_openssl_says_the_same() {
    let (device, directory) = (Certified::found(), tempfile::tempdir().unwrap());
    let path = directory.path().join("log.age");
    fs::write(&path, b"sealed").unwrap();
    fs::write(signed_path(&path), device.sign(first()).text()).unwrap();
    let checked = check(std::slice::from_ref(&path), &[&device.root], &mut |_| {}).unwrap();
    assert!(checked.is_complete());
    assert_eq!((checked.files[0].number, checked.files[0].device.as_str()), (1, "klinik/pump-1"));

    let roots = directory.path().join("roots.pem");
    fs::write(&roots, pem::encode_certificates([device.root.as_slice()]).unwrap()).unwrap();
    let judged = |sealed: &PathBuf| {
        let judge = Command::new("bash").args(["-euc", OPENSSL, "judge"]).arg(sealed).arg(&roots).output();
        judge.unwrap().status.success()
    };
    let has_openssl =
        Command::new("openssl").arg("version").output().is_ok_and(|output| output.status.success());
    assert!(!has_openssl || judged(&path), "as deploy/FILES.md says");

    fs::write(&path, b"saeled").unwrap();
    let (of, error) = check(std::slice::from_ref(&path), &[&device.root], &mut |_| {}).unwrap_err();
    assert!(of == path && matches!(error, FileError::OtherFile));
    assert!(!has_openssl || !judged(&path));
    fs::remove_file(signed_path(&path)).unwrap();
    assert!(matches!(check(&[path], &[&device.root], &mut |_| {}), Err((_, FileError::Io(_)))));
}

/// The commands of deploy/FILES.md, for the file `$1` and the roots `$2`.
const OPENSSL: &str = r#"
s=$1.sig
d=$(mktemp -d)
trap 'rm -r "$d"' EXIT
sed '/^signature: /,$d' "$s" > "$d/statement"
sed -n 's/^signature: //p' "$s" | openssl base64 -d -A > "$d/signature"
openssl x509 -in "$s" -noout -pubkey > "$d/key"
openssl dgst -sha256 -verify "$d/key" -signature "$d/signature" "$d/statement"
openssl verify -attime "$(sed -n 's/^sealed-at: //p' "$d/statement")" -CAfile "$2" -untrusted "$s" "$s"
openssl x509 -in "$s" -noout -ext subjectAltName | grep -q "/$(sed -n 's/^device: .*\///p' "$d/statement")\$"
echo "$(sed -n 's/^sha256: //p' "$d/statement")  $1" | sha256sum -c
"#;
