//! Requests by OCSP (RFC 6960 §4.1.1), as a verifier makes them.

use wardein_crypto::Digest;
use wardein_domain::Serial;
use wardein_pki::{CaCertificate, Issuing, OcspRequest};

/// What requests have in common: the issuer, by the SHA-256 of its name and of its key.
pub(crate) struct Asking {
    name: Digest,
    key: Digest,
}

impl Asking {
    /// Of certificates as `leaf`, that `ca` issued, both DER.
    pub(crate) fn of(leaf: &[u8], ca: &[u8]) -> Self {
        let ca = CaCertificate::<Issuing>::parse(ca).unwrap();
        Self { name: Digest::of(&issuer(leaf)), key: Digest::of(ca.verifying_key().as_bytes()) }
    }

    pub(crate) fn request(&self, serial: &Serial, has_nonce: bool) -> OcspRequest {
        let id = [SHA_256, &tlv(4, &[&self.name.0]), &tlv(4, &[&self.key.0]), &tlv(2, &[serial.as_bytes()])];
        let list = tlv(0x30, &[&tlv(0x30, &[&tlv(0x30, &id)])]);
        let nonce = tlv(0x30, &[&tlv(6, &[NONCE]), &tlv(4, &[&tlv(4, &[&[9; 16]])])]);
        let extensions = tlv(0xa2, &[&tlv(0x30, &[&nonce])]);
        let extensions = if has_nonce { &extensions[..] } else { &[] };
        OcspRequest::parse(&tlv(0x30, &[&tlv(0x30, &[&list, extensions])])).unwrap()
    }
}

fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let head = match u8::try_from(content.len()).unwrap() {
        low @ 0..=0x7f => vec![tag, low],
        low => vec![tag, 0x81, low],
    };
    [head, content].concat()
}

/// The DER of a certificate's issuer: behind version, serial and algorithm.
fn issuer(certificate: &[u8]) -> Vec<u8> {
    let tbs = element(element(certificate).0).0;
    let behind = |der| element(der).1;
    let rest = behind(behind(behind(tbs)));
    rest[..rest.len() - behind(rest).len()].to_vec()
}

/// The content of an element, and the rest.
fn element(der: &[u8]) -> (&[u8], &[u8]) {
    let (length, rest) = match der[1] {
        0x81 => (usize::from(der[2]), &der[3..]),
        0x82 => (usize::from(u16::from_be_bytes([der[2], der[3]])), &der[4..]),
        length => (usize::from(length), &der[2..]),
    };
    rest.split_at(length)
}

/// The algorithm, without parameters.
const SHA_256: &[u8] = &[0x30, 11, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];

/// id-pkix-ocsp-nonce (RFC 9654 §2).
const NONCE: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 1, 2];
