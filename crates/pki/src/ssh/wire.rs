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
#[cfg(test)]
pub(super) fn put_string(out: &mut Vec<u8>, string: &[u8]) {
    // All strings here are bounded: a certificate has some kilobytes.
    out.extend((string.len() as u32).to_be_bytes());
    out.extend(string);
}
