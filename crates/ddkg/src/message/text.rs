//! Messages as text, for media that take nothing else: a login form, a header, a terminal (specification, section 11).

use crate::wire::{DecodeError, Problem};
use alloc::string::String;
use alloc::vec::Vec;
use base64ct::{Base64, Encoding};

/// The base64 of a message's bytes (RFC 4648 §4, padded, on one line).
pub fn to_text(message: &[u8]) -> String {
    Base64::encode_string(message)
}

/// The inverse of [`to_text`], for at most `max` bytes; there is one text of each message, and nothing around it.
pub fn from_text(text: &str, max: usize) -> Result<Vec<u8>, DecodeError> {
    let (length, min, max) = (text.len(), 0, max.div_ceil(3).saturating_mul(4));
    if length > max {
        return Err(Problem::Length { length, min, max }.of("base64 text"));
    }
    Base64::decode_vec(text).map_err(|_| Problem::NotCanonical("is not padded base64").of("base64 text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_text_and_it_is_bounded() {
        for bytes in [&b""[..], b"f", b"fo", b"foo", &[0xfb, 0xff]] {
            assert_eq!(from_text(&to_text(bytes), bytes.len()).unwrap(), bytes);
        }
        assert_eq!(to_text(&[0xfb, 0xff]), "+/8=");
        for bad in ["+/8", "-_8=", "+/9=", " +/8=", "+/8=\n", "+/8==", "ä"] {
            assert_eq!(from_text(bad, 64).unwrap_err().field, "base64 text", "{bad:?}");
        }
        assert!(from_text("AAAA", 3).is_ok());
        assert!(matches!(from_text("AAAAAAAA", 3).unwrap_err().problem, Problem::Length { max: 4, .. }));
    }
}
