//! Fingerprints of certificates.

use core::fmt;
use core::str::FromStr;

/// The fingerprint of a certificate: the SHA-256 of its DER. Programs write it in several ways, and any of them is read: 64 hexadecimal
/// digits of either case (Envoy, HAProxy), or 32 pairs of them with colons between (OpenSSL).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint that is this SHA-256.
    pub const fn of_digest(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The text is not a fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a SHA-256: it takes 64 hexadecimal digits, or 32 pairs of them with colons between")]
pub struct FingerprintError;

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let mut digest = [0; 32];
        let width = match text.len() {
            64 => 2,
            95 => 3,
            _ => return Err(FingerprintError),
        };
        for (byte, part) in digest.iter_mut().zip(text.as_bytes().chunks(width)) {
            *byte = match part {
                [high, low] | [high, low, b':'] => digit(*high)? << 4 | digit(*low)?,
                _ => return Err(FingerprintError),
            };
        }
        Ok(Self(digest))
    }
}

fn digit(byte: u8) -> Result<u8, FingerprintError> {
    let value = char::from(byte).to_digit(16).ok_or(FingerprintError)?;
    u8::try_from(value).map_err(|_| FingerprintError)
}

/// In the one way in which this authority writes it: 64 digits of lower case.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;

    #[test]
    fn each_way_in_which_programs_write_it_is_the_same_fingerprint() {
        let digest: [u8; 32] = core::array::from_fn(|n| n as u8 * 8 + 7);
        let fingerprint = Fingerprint::of_digest(digest);
        let lower = fingerprint.to_string();
        let pairs: alloc::vec::Vec<_> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
        for text in [lower.clone(), lower.to_uppercase(), pairs.join(":"), pairs.join(":").to_lowercase()] {
            assert_eq!(text.parse(), Ok(fingerprint), "{text}");
        }
        for bad in [
            "",
            &lower[1..],
            &format!("{lower}0"),
            &format!("+{}", &lower[1..]),
            &format!("{}g", &lower[1..]),
            &pairs.join(" "),
            &pairs.join("")[..63],
            &format!("{}:", &pairs.join(":")[..94]),
            &"00:".repeat(32),
            &"é".repeat(32),
        ] {
            assert!(bad.parse::<Fingerprint>().is_err(), "{bad}");
        }
    }
}
