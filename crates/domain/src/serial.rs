//! Serial numbers of certificates.

use core::fmt;
use core::str::FromStr;

/// A certificate's serial number: 16 random bytes behind a zero bit, so that it is positive and has at most 20 octets (RFC 5280
/// §4.1.2.2). It is unique by insertion, not by hope.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial([u8; 16]);

impl Serial {
    /// The serial made of random bytes. The first bit is cleared and the second set, so that its length never varies.
    pub fn from_random(mut bytes: [u8; 16]) -> Self {
        bytes[0] = bytes[0] & 0x7f | 0x40;
        Self(bytes)
    }

    /// The serial in a certificate that this authority issued.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SerialError> {
        let bytes: [u8; 16] = bytes.try_into().map_err(|_| SerialError)?;
        (bytes[0] & 0xc0 == 0x40).then_some(Self(bytes)).ok_or(SerialError)
    }

    /// The bytes, big-endian.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// The serial is not one that this authority gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the serial is not 32 lower-case hexadecimal digits of a certificate issued here")]
pub struct SerialError;

impl FromStr for Serial {
    type Err = SerialError;

    fn from_str(text: &str) -> Result<Self, SerialError> {
        let number = u128::from_str_radix(text, 16).map_err(|_| SerialError)?;
        let serial = Self::from_bytes(&number.to_be_bytes())?;
        // A number has many spellings: a sign, upper case, zeros before it.
        let is_ours = text.len() == 32 && !text.bytes().any(|c| c == b'+' || c.is_ascii_uppercase());
        is_ours.then_some(serial).ok_or(SerialError)
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;

    #[test]
    fn a_serial_is_positive_and_of_one_length() {
        for random in [[0; 16], [0xff; 16]] {
            let serial = Serial::from_random(random);
            assert_eq!(serial.as_bytes()[0] & 0xc0, 0x40);
            assert_eq!(serial.to_string().parse(), Ok(serial));
        }
        assert!(Serial::from_bytes(&[0; 16]).is_err());
        assert!(Serial::from_bytes(&[0x40; 15]).is_err());
        assert!("4".repeat(31).parse::<Serial>().is_err());
        for bad in [
            "G".repeat(32),
            "4A".repeat(16),
            format!("+{}", "4".repeat(31)),
            "4".repeat(33),
            format!("0{}", "4".repeat(32)),
        ] {
            assert!(bad.parse::<Serial>().is_err(), "{bad}");
        }
    }
}
