//! Strings and numbers of SSH's wire (RFC 4251 §5).

/// Takes strings off the front of bytes.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    /// A string: its length in four bytes, and the bytes.
    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (string, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(string)
    }

    /// Whether nothing is left.
    pub(super) fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }
}

/// Appends a string.
pub(super) fn put_string(out: &mut Vec<u8>, string: &[u8]) {
    // All strings here are bounded: a certificate has some kilobytes.
    out.extend((string.len() as u32).to_be_bytes());
    out.extend(string);
}

/// Appends a positive number (RFC 4251 §5): big-endian, without leading zeros but for the one that keeps it positive.
pub(super) fn put_mpint(out: &mut Vec<u8>, number: &[u8]) {
    let start = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
    let number = &number[start..];
    match number.first() {
        Some(first) if *first & 0x80 != 0 => put_string(out, &[&[0], number].concat()),
        _ => put_string(out, number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 4251 §5 that are positive.
    #[test]
    fn numbers_are_as_short_as_they_may_be_and_positive() {
        for (number, expected) in [
            (&[0; 4][..], &[0, 0, 0, 0][..]),
            (&[0, 0x80], &[0, 0, 0, 2, 0, 0x80]),
            (&[0, 0, 9, 0xa3], &[0, 0, 0, 2, 9, 0xa3]),
        ] {
            let mut out = Vec::new();
            put_mpint(&mut out, number);
            assert_eq!(out, expected);
        }
    }
}
