//! Bytes as hexadecimal text: written in lower case, in a time that says nothing of the bytes.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// The text of `bytes`.
pub fn encode(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(bytes)
}

/// The bytes of lower-case digits; `None` for any other text, so that bytes have one spelling.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    base16ct::lower::decode_vec(text).ok()
}

/// The same for a fixed number of bytes.
pub fn decode_array<const N: usize>(text: &str) -> Option<[u8; N]> {
    decode(text)?.try_into().ok()
}

/// The bytes of digits of either case, as people and other tools write them.
pub fn decode_any_case(text: &str) -> Option<Vec<u8>> {
    base16ct::mixed::decode_vec(text).ok()
}

/// Bytes that display as their text.
pub struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(&base16ct::HexDisplay(self.0), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;

    #[test]
    fn bytes_have_one_text() {
        let bytes = [0, 0x9f, 0xa0, 0xff];
        assert_eq!(encode(&bytes), "009fa0ff");
        assert_eq!(Hex(&bytes).to_string(), "009fa0ff");
        assert_eq!(decode("009fa0ff").as_deref(), Some(&bytes[..]));
        assert_eq!((encode(&[]), decode("")), (String::new(), Some(vec![])));
        for bad in ["0", "0G", "0g", "AB", "0x", " 00", "+0", "\u{e4}"] {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
        assert_eq!(decode_array::<2>("0a0b"), Some([10, 11]));
        assert_eq!((decode_array::<2>("0a0b0c"), decode_array::<2>("0a")), (None, None));
    }

    #[test]
    fn either_case_is_taken_where_people_write() {
        assert_eq!(decode_any_case("aBCd"), Some(vec![0xab, 0xcd]));
        for bad in ["0", "0G", "0x", " 00", "+0", "\u{e4}"] {
            assert_eq!(decode_any_case(bad), None, "{bad:?}");
        }
    }
}
