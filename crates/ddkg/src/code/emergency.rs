//! The code of a device for emergencies (specification, section 7.2).

use super::{CodeError, text};
use crate::key::NumberKey;
use core::str;
use wardein_crypto::{Secret, SecretBytes};

/// A code that lets anyone in once who has it: 75 bits in fifteen digits of Crockford's base32, and one digit more that tells a typing error
/// from a guess.
pub struct EmergencyCode(Secret<LEN>);

impl EmergencyCode {
    /// The most characters of a text that is read, with hyphens and blanks.
    pub const MAX_LEN: usize = 48;

    pub(crate) fn of(key: &NumberKey) -> Self {
        let secret = key.emergency_code();
        Self(Secret::filled(|digits: &mut [u8; LEN]| {
            for (place, digit) in digits.iter_mut().take(LEN - 1).enumerate() {
                *digit = five_bits(secret.expose(), 5 * place);
            }
            digits[LEN - 1] = check(&digits[..LEN - 1]);
        }))
    }

    /// Its digits, each of 5 bits, for a digest of them.
    pub fn expose(&self) -> &[u8; LEN] {
        self.0.expose()
    }

    /// Its text, in four groups of four.
    pub fn to_text(&self) -> SecretBytes {
        let mut out = SecretBytes::with_capacity(LEN + LEN / 4);
        for (at, digit) in self.0.expose().iter().enumerate() {
            if at != 0 && at % 4 == 0 {
                out.extend(b"-");
            }
            out.extend(&[text::character(*digit)]);
        }
        out
    }

    /// Reads a text that a person typed.
    pub fn parse(text: &[u8]) -> Result<Self, CodeError> {
        let text = str::from_utf8(text).map_err(|_| CodeError)?;
        let read = text::Reader::of(text, Self::MAX_LEN).ok_or(CodeError)?;
        let digits: &[u8; LEN] = read.digits().try_into().map_err(|_| CodeError)?;
        let code = Self(Secret::copied_from(digits));
        (check(&digits[..LEN - 1]) == digits[LEN - 1]).then_some(code).ok_or(CodeError)
    }
}

/// The 5 bits that begin at bit `first`, counted from the most significant one.
fn five_bits(bytes: &[u8; 32], first: usize) -> u8 {
    let (at, shift) = (first / 8, first % 8);
    let pair = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    (pair >> (11 - shift)) as u8 & 31
}

/// A sum in the field of 32 elements (x⁵ + x² + 1) in which each digit has another weight: one wrong digit changes it, and so does exchanging
/// two.
fn check(digits: &[u8]) -> u8 {
    digits.iter().fold(0, |sum, digit| {
        let doubled = (sum ^ digit) << 1;
        if doubled & 32 == 0 { doubled } else { doubled ^ 0b10_0101 }
    })
}

const LEN: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::EpochSecret;
    use alloc::string::String;
    use alloc::vec::Vec;

    fn code(number: u64) -> EmergencyCode {
        EmergencyCode::of(&EpochSecret(Secret::copied_from(&[7; 32])).key(number))
    }

    fn text(code: &EmergencyCode) -> String {
        String::from_utf8(code.to_text().expose().to_vec()).unwrap()
    }

    #[test]
    fn a_code_is_of_its_number_and_comes_back() {
        let shown = text(&code(1));
        assert_eq!((shown.len(), shown.matches('-').count()), (19, 3), "{shown}");
        let typed = shown.to_lowercase().replace('-', " ");
        assert_eq!(EmergencyCode::parse(typed.as_bytes()).unwrap().expose(), code(1).expose());
        assert_ne!(code(1).expose(), code(2).expose());
        let bits = EpochSecret(Secret::copied_from(&[7; 32])).key(1).emergency_code();
        let first = u128::from_be_bytes(*bits.expose().first_chunk().unwrap()) >> (128 - 75);
        let read = code(1).expose()[..15].iter().fold(0, |bits, digit| bits << 5 | u128::from(*digit));
        assert_eq!(read, first);
    }

    #[test]
    fn a_wrong_digit_two_exchanged_and_a_missing_one_are_noticed() {
        let right: Vec<u8> = text(&code(3)).bytes().filter(|byte| *byte != b'-').collect();
        let is_code = |digits: &[u8]| EmergencyCode::parse(digits).is_ok();
        assert!(is_code(&right));
        for at in 0..16 {
            for digit in 0..32 {
                let mut wrong = right.clone();
                wrong[at] = super::super::text::character(digit);
                assert_eq!(is_code(&wrong), wrong == right, "digit {digit} at {at}");
            }
            for other in 0..at {
                let mut wrong = right.clone();
                wrong.swap(at, other);
                assert_eq!(is_code(&wrong), wrong == right, "{other} and {at}");
            }
            let mut less = right.clone();
            less.remove(at);
            assert!(!is_code(&less));
        }
        for bad in [&b""[..], b"\xff", &[b'0'; 17], &[b'0'; 99]] {
            assert!(!is_code(bad));
        }
    }
}
