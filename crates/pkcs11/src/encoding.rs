//! How PKCS#11 has points and signatures, and how the rest of the world does.

use wardein_crypto::{P256VerifyingKey, P384VerifyingKey, VerifyingKey};

/// The OBJECT IDENTIFIER of P-256 (RFC 5480 §2.1.1.1), DER, as CKA_EC_PARAMS names a curve.
pub(crate) const P256: [u8; 10] = [0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// That of P-384.
pub(crate) const P384: [u8; 7] = [0x06, 5, 0x2b, 0x81, 0x04, 0x00, 0x22];

/// The DigestInfo of a SHA-256 digest (RFC 8017 §9.2, note 1), which CKM_RSA_PKCS signs.
pub(crate) fn sha256_info(digest: &[u8]) -> Vec<u8> {
    const SHA256: [u8; 19] =
        [0x30, 0x31, 0x30, 0x0d, 0x06, 9, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 5, 0, 4, 32];
    [&SHA256, digest].concat()
}

/// The key of CKA_EC_PARAMS and CKA_EC_POINT. The point is an OCTET STRING with the uncompressed point in it (PKCS#11 v2.40 §2.3.3); some
/// tokens leave the OCTET STRING away.
pub(crate) fn ec_key(params: &[u8], point: &[u8]) -> Option<VerifyingKey> {
    let bare = |length: usize| match point {
        [4, size, bare @ ..] if usize::from(*size) == length && bare.len() == length => Some(bare),
        bare if bare.len() == length => Some(bare),
        _ => None,
    };
    if params == P256 {
        let point: [u8; 65] = bare(65)?.try_into().ok()?;
        return (point[0] == UNCOMPRESSED).then_some(P256VerifyingKey(point).into());
    }
    if params == P384 {
        let point: [u8; 97] = bare(97)?.try_into().ok()?;
        return (point[0] == UNCOMPRESSED).then_some(P384VerifyingKey(point).into());
    }
    None
}

/// A signature of ECDSA in DER (RFC 3279 §2.2.3), of R and S, each padded to half of the bytes, as CKM_ECDSA gives them.
pub(crate) fn ecdsa_der(fixed: &[u8]) -> Vec<u8> {
    let (r, s) = fixed.split_at(fixed.len() / 2);
    let both = [integer(r), integer(s)].concat();
    // At most 2 * (2 + 1 + 48) bytes.
    [&[0x30, both.len() as u8], &both[..]].concat()
}

/// A positive INTEGER of at most 48 bytes.
fn integer(bytes: &[u8]) -> Vec<u8> {
    let leading = bytes.iter().take_while(|byte| **byte == 0).count();
    let digits = &bytes[leading.min(bytes.len().saturating_sub(1))..];
    let pad: &[u8] = if digits.first().is_some_and(|first| first & 0x80 != 0) { &[0] } else { &[] };
    [&[0x02, (pad.len() + digits.len()) as u8], pad, digits].concat()
}

/// The number in `bytes`, big endian, without zeros ahead.
pub(crate) fn trimmed(bytes: &[u8]) -> &[u8] {
    let leading = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[leading..]
}

const UNCOMPRESSED: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_taken_with_its_octet_string_and_without() {
        for (params, length) in [(&P256[..], 65), (&P384, 97)] {
            let mut bare = vec![0x55; length];
            bare[0] = UNCOMPRESSED;
            let wrapped = [&[4, length as u8], &bare[..]].concat();
            let key = ec_key(params, &bare).unwrap();
            assert_eq!(key.as_bytes(), bare);
            assert_eq!(ec_key(params, &wrapped), Some(key));
            // The second byte of a bare point can be its length.
            bare[1] = length as u8;
            assert_eq!(ec_key(params, &bare).unwrap().as_bytes(), bare);
            bare[0] = 2;
            for other in [&bare[..], &bare[1..], &wrapped[..=length], &[], &[4, 0xff]] {
                assert_eq!(ec_key(params, other), None);
            }
            assert_eq!(ec_key(&params[1..], &wrapped), None);
        }
    }

    #[test]
    fn a_signature_has_the_shortest_integers() {
        let fixed = [&[0; 31][..], &[1], &[0x80], &[7; 31]].concat();
        let der = ecdsa_der(&fixed);
        assert_eq!(der[..5], [0x30, 3 + 35, 2, 1, 1]);
        assert_eq!(der[5..9], [2, 33, 0, 0x80]);
        assert_eq!(ecdsa_der(&[0; 96]), [0x30, 6, 2, 1, 0, 2, 1, 0]);
        let longest = ecdsa_der(&[0xff; 96]);
        assert_eq!((longest.len(), usize::from(longest[1])), (104, 102));
    }
}
