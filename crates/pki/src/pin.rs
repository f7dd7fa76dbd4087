//! Pins of public keys: the SHA-256 of a SubjectPublicKeyInfo, as RFC 7469 §2.4 has it.

use crate::CertificateError;
use crate::pem::{self, PemError};
use base64ct::{Base64, Encoding as _};
use std::fmt;
use std::str::FromStr;
use wardein_crypto::Digest;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// The SHA-256 of a SubjectPublicKeyInfo, DER, of a key of any algorithm. As text it is base64: 44 characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pin(pub [u8; 32]);

impl Pin {
    /// Of a SubjectPublicKeyInfo.
    pub fn of_spki(spki: &[u8]) -> Self {
        Self(Digest::of(spki).0)
    }

    /// Of the key in a certificate: nothing else of it is judged, its issuer neither.
    pub fn of_certificate(der: &[u8]) -> Result<Self, CertificateError> {
        match X509Certificate::from_der(der) {
            Ok(([], certificate)) => Ok(Self::of_spki(certificate.tbs_certificate.subject_pki.raw)),
            _ => Err(CertificateError::Malformed),
        }
    }

    /// Of what a file has: the first certificate or a public key in PEM, or a pin itself.
    pub fn of_file(text: &str) -> Result<Self, PinError> {
        let text = text.trim();
        if let Ok(pin) = text.parse() {
            return Ok(pin);
        }
        if let Ok(spki) = pem::decode_public_key(text) {
            return Ok(Self::of_spki(&spki));
        }
        match pem::decode_certificates(text) {
            Ok(chain) => {
                chain.first().and_then(|der| Self::of_certificate(der).ok()).ok_or(PinError::Certificate)
            }
            Err(PemError::Label(_)) => Err(PinError::Form),
            Err(error) => Err(PinError::Pem(error)),
        }
    }
}

/// A text is neither a pin nor something that has a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PinError {
    /// It is of neither form.
    #[error(
        "neither a pin (the base64 of a SHA-256, with pin-sha256=\"…\" around it or without), nor a certificate or a public key in PEM"
    )]
    Form,
    /// The certificate cannot be read.
    #[error("the certificate cannot be read")]
    Certificate,
    /// The PEM is of no use.
    #[error("{0}")]
    Pem(PemError),
}

/// `sha256//…` is how curl writes it.
impl FromStr for Pin {
    type Err = PinError;

    fn from_str(text: &str) -> Result<Self, PinError> {
        let quoted = text.strip_prefix("pin-sha256=\"").and_then(|rest| rest.strip_suffix('"'));
        let text = quoted.or_else(|| text.strip_prefix("sha256//")).unwrap_or(text);
        let mut digest = [0; 32];
        let length = Base64::decode(text, &mut digest).map_err(|_| PinError::Form)?.len();
        if length == digest.len() { Ok(Self(digest)) } else { Err(PinError::Form) }
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Base64::encode_string(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7469 §2.1.5 and appendix A.
    const EXAMPLE: &str = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=";

    #[test]
    fn a_pin_is_read_as_it_is_written_and_in_no_second_way() {
        let pin: Pin = EXAMPLE.parse().unwrap();
        assert_eq!(pin.to_string(), EXAMPLE);
        for form in ["pin-sha256=\"{}\"", "sha256//{}"] {
            assert_eq!(form.replace("{}", EXAMPLE).parse(), Ok(pin));
            assert_eq!(Pin::of_file(&format!(" {}\n", form.replace("{}", EXAMPLE))), Ok(pin));
        }
        // The last character has two bits to spare, which are zero.
        let spare = EXAMPLE.replace("CQ=", "CR=");
        for bad in [
            "",
            "=",
            &EXAMPLE[..43],
            &spare,
            &format!("{EXAMPLE}="),
            &EXAMPLE.replace('+', "-"),
            "pin-sha256=\"\"",
        ] {
            assert_eq!(bad.parse::<Pin>(), Err(PinError::Form), "{bad}");
        }
        for byte in 0..=255_u8 {
            let mut bytes = [byte; 32];
            bytes[31] = byte.wrapping_mul(7);
            assert_eq!(Pin(bytes).to_string().parse(), Ok(Pin(bytes)));
        }
    }

    /// RFC 4648 §10.
    #[test]
    fn a_file_that_has_no_key_is_refused() {
        for bad in ["", "nonsense", "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"] {
            assert!(Pin::of_file(bad).is_err(), "{bad}");
        }
        assert!(Pin::of_certificate(&[0x30, 0]).is_err());
    }
}
