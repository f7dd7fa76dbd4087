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
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(SerialError),
        };
        let mut bytes = [0; 16];
        if text.len() != 32 {
            return Err(SerialError);
        }
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = pair.iter().try_fold(0, |value, hex| Ok(value << 4 | digit(*hex)?))?;
        }
        Self::from_bytes(&bytes)
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
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
        assert!("G".repeat(32).parse::<Serial>().is_err());
    }
}
