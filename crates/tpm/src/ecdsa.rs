//! ECDSA signatures as X.509 and TLS carry them.

/// `SEQUENCE { INTEGER r, INTEGER s }` (RFC 3279 §2.2.3), of numbers of up to 32 bytes.
pub(crate) fn to_der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let body = [integer(r), integer(s)].concat();
    tagged(0x30, &body)
}

fn integer(number: &[u8]) -> Vec<u8> {
    let significant = number.iter().position(|&byte| byte != 0).unwrap_or(number.len().saturating_sub(1));
    let number = &number[significant..];
    // A first bit of 1 would make it negative.
    let sign: &[u8] = if number.first().is_none_or(|&first| first >= 0x80) { &[0] } else { &[] };
    tagged(2, &[sign, number].concat())
}

/// Neither is longer than 2 × 35 bytes, which one byte of length tells.
fn tagged(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag, body.len() as u8], body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shortest_and_positive() {
        assert_eq!(to_der(&[0x7f], &[0x80]), [0x30, 7, 2, 1, 0x7f, 2, 2, 0, 0x80]);
        assert_eq!(to_der(&[0, 0, 1], &[0, 0xff]), [0x30, 7, 2, 1, 1, 2, 2, 0, 0xff]);
        assert_eq!(to_der(&[0], &[]), [0x30, 6, 2, 1, 0, 2, 1, 0]);
        assert_eq!(to_der(&[0xff; 32], &[0xff; 32]).len(), 72);
    }
}
