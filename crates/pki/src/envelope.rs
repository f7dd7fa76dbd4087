//! What a certificate and a request have around what is signed: `SEQUENCE { signed, AlgorithmIdentifier, BIT STRING }` (RFC 5280 §4.1.1,
//! RFC 2986 §4.2).
//!
//! These bytes are the ones that no signature covers. The reader of the rest takes some spellings of them that are no DER, so they
//! are read here, where each byte has one right value.

/// The parts of a signed structure.
pub(crate) struct Envelope<'a> {
    /// The DER of what is signed.
    pub(crate) signed: &'a [u8],
    /// The signature by ECDSA with SHA-256.
    pub(crate) signature: &'a [u8],
}

/// Why bytes are no signed structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EnvelopeError {
    Malformed,
    TrailingBytes,
    Algorithm,
}

impl<'a> Envelope<'a> {
    pub(crate) fn open(der: &'a [u8]) -> Result<Self, EnvelopeError> {
        let (outer, after) = element(der, SEQUENCE).ok_or(EnvelopeError::Malformed)?;
        if !after.is_empty() {
            return Err(EnvelopeError::TrailingBytes);
        }
        let (_, rest) = element(outer, SEQUENCE).ok_or(EnvelopeError::Malformed)?;
        let signed = &outer[..outer.len() - rest.len()];
        let (_, after_algorithm) = element(rest, SEQUENCE).ok_or(EnvelopeError::Malformed)?;
        if rest[..rest.len() - after_algorithm.len()] != ECDSA_WITH_SHA256 {
            return Err(EnvelopeError::Algorithm);
        }
        let (bits, end) = element(after_algorithm, BIT_STRING).ok_or(EnvelopeError::Malformed)?;
        // The first byte counts the unused bits; a signature is whole bytes.
        match bits {
            [0, signature @ ..] if end.is_empty() => Ok(Self { signed, signature }),
            _ => Err(EnvelopeError::Malformed),
        }
    }
}

/// The content of the element at the start of `der` if it has this tag and a length in its one DER form (X.690 §10.1), and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match *der {
        [found, length @ 0..=0x7f, ref rest @ ..] if found == tag => (usize::from(length), rest),
        [found, 0x81, length @ 0x80..=0xff, ref rest @ ..] if found == tag => (usize::from(length), rest),
        [found, 0x82, high @ 1..=0xff, low, ref rest @ ..] if found == tag => {
            (usize::from(u16::from_be_bytes([high, low])), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;

/// The AlgorithmIdentifier of ecdsa-with-SHA256, without parameters (RFC 5758 §3.2).
pub(crate) const ECDSA_WITH_SHA256: [u8; 12] = [0x30, 0x0a, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_one_form() {
        let of = |length: usize, header: &[u8]| {
            let der = [header, &vec![7; length]].concat();
            element(&der, SEQUENCE).map(|(content, rest)| (content.len(), rest.len()))
        };
        for (length, header) in [
            (0, &[0x30, 0][..]),
            (127, &[0x30, 127]),
            (128, &[0x30, 0x81, 128]),
            (255, &[0x30, 0x81, 255]),
            (256, &[0x30, 0x82, 1, 0]),
        ] {
            assert_eq!(of(length, header), Some((length, 0)));
            assert_eq!(of(length + 1, header), Some((length, 1)));
            assert!(length == 0 || of(length - 1, header).is_none());
        }
        for header in [
            &[0x30, 0x81, 127][..],
            &[0x30, 0x82, 0, 255],
            &[0x30, 0x83, 0, 1, 0],
            &[0x30, 0x80],
            &[0x31, 1],
            &[0x30],
            &[],
        ] {
            assert_eq!(of(if header.len() < 3 { 0 } else { 300 }, header), None, "{header:?}");
        }
    }
}
