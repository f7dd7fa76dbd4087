//! Structures that cannot be: each field has a case that it alone refuses, with the fault it is.

use crate::forge::{AES_128_CFB, Area, ECDSA_SHA256, Forger, Statement, sized};
use crate::vectors::read;
use wardein_attest::{Attested, Fault, ParseError, Public, Signature};

fn area(change: impl FnOnce(&mut Area)) -> Option<(&'static str, Fault)> {
    let mut area = Forger::new().ak_area();
    change(&mut area);
    Public::parse(&area.bytes()).err().map(place)
}

/// The real RSA key with some bytes of it replaced.
fn rsa(from_end: usize, bytes: &[u8]) -> Option<(&'static str, Fault)> {
    let mut area = read("ak-rsassa.pub");
    let at = area.len() - from_end;
    area[at..at + bytes.len()].copy_from_slice(bytes);
    Public::parse(&area).err().map(place)
}

fn statement(change: impl FnOnce(&mut Statement)) -> Option<(&'static str, Fault)> {
    let mut statement = Statement::quote(&[&[1; 32], &[2; 32]]);
    change(&mut statement);
    Attested::parse(&statement.bytes()).err().map(place)
}

fn place(error: ParseError) -> (&'static str, Fault) {
    assert!(error.to_string().contains(error.structure) && error.code().as_str().starts_with("tpm-"));
    (error.field, error.fault)
}

#[test]
fn public_areas() {
    assert_eq!(area(|_| {}), None);
    // KEYEDHASH and SYMCIPHER are no keys that sign.
    assert_eq!(area(|area| area.kind = 8), Some(("type", Fault::Unsupported)));
    assert_eq!(area(|area| area.kind = 0x25), Some(("type", Fault::Unsupported)));
    // SHA-1.
    assert_eq!(area(|area| area.name_hash = 4), Some(("nameAlg", Fault::Unsupported)));
    for bit in [0, 3, 8, 9, 12, 13, 14, 15, 20, 31] {
        let reserved = area(|area| area.attributes |= 1 << bit);
        assert_eq!(reserved, Some(("objectAttributes", Fault::Value)), "bit {bit}");
    }
    assert_eq!(area(|area| area.policy = vec![0; 64]), None);
    assert_eq!(area(|area| area.policy = vec![0; 65]), Some(("authPolicy", Fault::TooLong)));
    let symmetric = Some(("symmetric", Fault::Unsupported));
    assert_eq!(area(|area| area.symmetric = vec![0, 6, 0, 192, 0, 0x43]), symmetric);
    // CBC, and a cipher that is not AES.
    assert_eq!(area(|area| area.symmetric = vec![0, 6, 0, 128, 0, 0x42]), symmetric);
    assert_eq!(area(|area| area.symmetric = vec![0, 0x26, 0, 128, 0, 0x43]), symmetric);
    assert_eq!(area(|area| area.symmetric = AES_128_CFB.to_vec()), None);
    let scheme = Some(("scheme", Fault::Unsupported));
    // ECDAA, ECDSA with SHA-1, with the hash of another curve, and RSASSA on a curve.
    assert_eq!(area(|area| area.scheme = vec![0, 0x1a, 0, 0x0b, 0, 0]), scheme);
    assert_eq!(area(|area| area.scheme = vec![0, 0x18, 0, 4]), scheme);
    assert_eq!(area(|area| area.scheme = vec![0, 0x18, 0, 0x0c]), scheme);
    assert_eq!(area(|area| area.scheme = vec![0, 0x14, 0, 0x0b]), scheme);
    // P-521, and a derivation where there is none.
    assert_eq!(area(|area| area.details[1] = 5), Some(("curveID", Fault::Unsupported)));
    assert_eq!(area(|area| area.details[3] = 0x22), Some(("kdf", Fault::Unsupported)));
    assert_eq!(area(|area| area.unique[10] ^= 1), Some(("unique", Fault::Value)));
    assert_eq!(area(|area| area.unique = vec![0; 4]), Some(("unique", Fault::Value)));
    assert_eq!(area(|area| area.unique = sized(&[1; 33])), Some(("unique.x", Fault::TooLong)));
    assert_eq!(
        area(|area| area.unique = [sized(&[1; 32]), sized(&[1; 33])].concat()),
        Some(("unique.y", Fault::TooLong))
    );
}

#[test]
fn public_areas_of_rsa() {
    assert_eq!(rsa(0, &[]), None);
    // keyBits, exponent, length, modulus.
    assert_eq!(rsa(264, &3072_u16.to_be_bytes()), Some(("keyBits", Fault::Value)));
    assert_eq!(rsa(262, &65_537_u32.to_be_bytes()), None);
    assert_eq!(rsa(262, &3_u32.to_be_bytes()), Some(("exponent", Fault::Unsupported)));
    assert_eq!(rsa(258, &513_u16.to_be_bytes()), Some(("unique", Fault::TooLong)));
    assert_eq!(rsa(256, &[0]), Some(("unique", Fault::Value)));
    assert_eq!(rsa(1, &[2]), Some(("unique", Fault::Value)));
    // ECDSA on RSA.
    assert_eq!(rsa(268, ECDSA_SHA256), Some(("scheme", Fault::Unsupported)));
}

#[test]
fn statements() {
    assert_eq!(statement(|_| {}), None);
    // TPM_ST_ATTEST_TIME.
    assert_eq!(statement(|statement| statement.kind = 0x8019), Some(("type", Fault::Unsupported)));
    assert_eq!(statement(|statement| statement.nonce = vec![0; 66]), None);
    assert_eq!(statement(|statement| statement.nonce = vec![0; 67]), Some(("extraData", Fault::TooLong)));
    assert_eq!(statement(|statement| statement.safe = 2), Some(("clockInfo.safe", Fault::Value)));
    let selected = |bytes: &[u8]| {
        let claim = [bytes, &sized(&[0; 32])].concat();
        statement(|statement| statement.claim = claim)
    };
    let count = Some(("attested.pcrSelect.count", Fault::Unsupported));
    assert_eq!(selected(&[0, 0, 0, 0]), count);
    assert_eq!(selected(&[0, 0, 0, 2, 0, 0x0b, 3, 1, 0, 0, 0, 0x0c, 3, 1, 0, 0]), count);
    assert_eq!(selected(&[0xff, 0xff, 0xff, 0xff, 0, 0x0b, 3, 1, 0, 0]), count);
    // The bank of SHA-1.
    let sha1 = selected(&[0, 0, 0, 1, 0, 4, 3, 1, 0, 0]);
    assert_eq!(sha1, Some(("attested.pcrSelect.hash", Fault::Unsupported)));
    // A fourth octet may be there, but no PCR from 24 on may be selected.
    assert_eq!(selected(&[0, 0, 0, 1, 0, 0x0b, 4, 1, 0, 0, 0]), None);
    let beyond = selected(&[0, 0, 0, 1, 0, 0x0b, 4, 1, 0, 0, 0x80]);
    assert_eq!(beyond, Some(("attested.pcrSelect.pcrSelect", Fault::Value)));
    let size = Some(("attested.pcrSelect.sizeofSelect", Fault::Unsupported));
    assert_eq!(selected(&[0, 0, 0, 1, 0, 0x0b, 5, 1, 0, 0, 0, 0]), size);
    assert_eq!(selected(&[0, 0, 0, 1, 0, 0x0b, 2, 1, 0]), size);
    let none = selected(&[0, 0, 0, 1, 0, 0x0b, 3, 0, 0, 0]);
    assert_eq!(none, Some(("attested.pcrSelect.pcrSelect", Fault::Value)));
    let long = statement(|statement| {
        statement.claim = [&[0, 0, 0, 1, 0, 0x0b, 3, 1, 0, 0][..], &sized(&[0; 67])].concat();
    });
    assert_eq!(long, Some(("attested.pcrDigest", Fault::TooLong)));
    let certify = |name: usize, qualified: usize| {
        let claim = [sized(&vec![0; name]), sized(&vec![0; qualified])].concat();
        statement(|statement| (statement.kind, statement.claim) = (0x8017, claim))
    };
    assert_eq!(certify(66, 66), None);
    assert_eq!(certify(67, 66), Some(("attested.name", Fault::TooLong)));
    assert_eq!(certify(66, 67), Some(("attested.qualifiedName", Fault::TooLong)));
}

#[test]
fn signatures() {
    let place = |bytes: &[u8]| Signature::parse(bytes).err().map(place);
    let number = |length: usize| sized(&vec![1; length]);
    assert_eq!(place(&[ECDSA_SHA256, &number(32), &number(32)].concat()), None);
    assert_eq!(place(&[ECDSA_SHA256, &number(49), &number(32)].concat()), {
        Some(("signatureR", Fault::TooLong))
    });
    assert_eq!(place(&[ECDSA_SHA256, &number(32), &number(49)].concat()), {
        Some(("signatureS", Fault::TooLong))
    });
    assert_eq!(place(&[&[0, 0x14, 0, 0x0b][..], &number(512)].concat()), None);
    // One byte more is more than the whole can have, whichever field it is in.
    assert_eq!(place(&[&[0, 0x14, 0, 0x0b][..], &number(513)].concat()), {
        Some(("the whole", Fault::TooLong))
    });
    assert_eq!(place(&[0, 0x14, 0, 0x0b, 2, 1]), Some(("sig", Fault::TooLong)));
    // TPM_ALG_NULL, HMAC, SM2.
    for scheme in [0x10, 5, 0x1b] {
        assert_eq!(place(&[0, scheme, 0, 0x0b]), Some(("sigAlg", Fault::Unsupported)));
    }
}

#[test]
fn nothing_larger_than_its_kind_is_looked_at() {
    let whole = Some(("the whole", Fault::TooLong));
    assert_eq!(Public::parse(&[0; Public::MAX_LEN + 1]).err().map(place), whole);
    assert_ne!(Public::parse(&[0; Public::MAX_LEN]).err().map(place), whole);
    assert_eq!(Attested::parse(&[0; Attested::MAX_LEN + 1]).err().map(place), whole);
    assert_ne!(Attested::parse(&[0; Attested::MAX_LEN]).err().map(place), whole);
    assert_eq!(Signature::parse(&[0; Signature::MAX_LEN + 1]).err().map(place), whole);
    assert_ne!(Signature::parse(&[0; Signature::MAX_LEN]).err().map(place), whole);
    // Two bytes say how long the area is; it is neither longer nor shorter.
    let area = Forger::new().ak_area().bytes();
    let mut longer = area.clone();
    longer[1] += 1;
    assert_eq!(Public::parse(&longer).err().map(place), Some(("size", Fault::Truncated)));
    let mut shorter = area.clone();
    shorter[1] -= 1;
    assert_eq!(Public::parse(&shorter).err().map(place), Some(("the whole", Fault::TrailingBytes)));
    let mut followed = area;
    followed.push(0);
    followed[1] += 1;
    assert_eq!(Public::parse(&followed).err().map(place), Some(("the whole", Fault::TrailingBytes)));
}
