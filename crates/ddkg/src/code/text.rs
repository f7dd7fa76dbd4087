//! Crockford's base32 (<https://www.crockford.com/base32.html>): digits and letters that are not taken for each other, in any case, with
//! hyphens and blanks where they help. No check symbol: macs check what is typed.

use alloc::string::String;
use alloc::vec::Vec;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Digits of 5 bits, to be written.
#[derive(Default)]
pub(super) struct Digits(Vec<u8>);

impl Digits {
    /// A number in digits of 4 bits, the most significant first and none before it that is 0; each but the last has the fifth bit set.
    pub(super) fn number(&mut self, value: u64) {
        let last = (64 - value.leading_zeros()).div_ceil(4).max(1) - 1;
        for place in (0..=last).rev() {
            let more = if place == 0 { 0 } else { MORE };
            self.0.push((value >> (4 * place)) as u8 & 15 | more);
        }
    }

    /// The last `BITS` bits of a value, a multiple of 5.
    pub(super) fn bits<const BITS: u32>(&mut self, value: u64) {
        self.0.extend((0..BITS / 5).rev().map(|place| (value >> (5 * place)) as u8 & 31));
    }

    /// The text, with a hyphen behind each `length` digits but the last.
    pub(super) fn grouped(&self, length: usize) -> String {
        let mut out = String::with_capacity(2 * self.0.len());
        for (at, digit) in self.0.iter().enumerate() {
            if at != 0 && at % length == 0 {
                out.push('-');
            }
            out.push(char::from(character(*digit)));
        }
        out
    }
}

/// Digits that were read.
pub(super) struct Reader {
    digits: Vec<u8>,
    at: usize,
}

impl Reader {
    /// The digits of a text of at most `most` bytes; none where it has another character.
    pub(super) fn of(text: &str, most: usize) -> Option<Self> {
        if text.len() > most {
            return None;
        }
        let is_digit = |byte: &u8| !matches!(byte, b'-' | b' ');
        let digits: Option<Vec<u8>> = text.bytes().filter(is_digit).map(value).collect();
        Some(Self { digits: digits?, at: 0 })
    }

    /// All digits.
    pub(super) fn digits(&self) -> &[u8] {
        &self.digits
    }

    /// The inverse of [`Digits::number`].
    pub(super) fn number(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for place in 0.. {
            let digit = *self.digits.get(self.at)?;
            self.at += 1;
            // One form each, of at most 64 bits.
            if place == 16 || (place == 0 && digit == MORE) {
                return None;
            }
            value = value << 4 | u64::from(digit & 15);
            if digit & MORE == 0 {
                break;
            }
        }
        Some(value)
    }

    /// The inverse of [`Digits::bits`], where nothing follows.
    pub(super) fn last<const BITS: u32>(&mut self) -> Option<u64> {
        let rest = self.digits.get(self.at..)?;
        let is_all = u32::try_from(rest.len()).is_ok_and(|length| length * 5 == BITS);
        is_all.then(|| rest.iter().fold(0, |value, digit| value << 5 | u64::from(*digit)))
    }
}

/// The character of a digit of 5 bits.
pub(super) fn character(digit: u8) -> u8 {
    ALPHABET[usize::from(digit & 31)]
}

fn value(byte: u8) -> Option<u8> {
    let byte = match byte.to_ascii_uppercase() {
        b'O' => b'0',
        b'I' | b'L' => b'1',
        other => other,
    };
    ALPHABET.iter().position(|digit| *digit == byte).and_then(|at| u8::try_from(at).ok())
}

/// Another digit of the number follows.
const MORE: u8 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_form() {
        for (number, text) in [
            (0, "0"),
            (15, "F"),
            (16, "H0"),
            (255, "ZF"),
            (256, "HG0"),
            (u64::from(u32::MAX), "ZZZZZZZF"),
            (u64::MAX, "ZZZZZZZZZZZZZZZF"),
        ] {
            let mut digits = Digits::default();
            digits.number(number);
            assert_eq!(digits.grouped(99), text);
            assert_eq!(Reader::of(text, 99).unwrap().number(), Some(number), "{text}");
        }
        for bad in ["", "G0", "G", "Z", "ZZZZZZZZZZZZZZZZF"] {
            assert_eq!(Reader::of(bad, 99).unwrap().number(), None, "{bad}");
        }
    }

    #[test]
    fn what_is_taken_for_another_is_read_as_it() {
        for (typed, meant) in [("oO", "00"), ("iIlL", "1111"), ("a b-c", "ABC")] {
            let read = Reader::of(typed, 9).unwrap();
            assert_eq!(Digits(read.digits).grouped(9), meant);
        }
        for bad in ["u", "é", "1.", "1\n"] {
            assert!(Reader::of(bad, 9).is_none(), "{bad}");
        }
        assert!(Reader::of("0000000000", 9).is_none());
    }
}
