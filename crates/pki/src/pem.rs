//! PEM (RFC 7468) for certificates and private keys.

use pem_rfc7468::LineEnding;
use wardein_crypto::SecretBytes;

/// The most characters of a text that is read.
pub const MAX_LEN: usize = 64 * 1024;

/// Why a text is not the PEM that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PemError {
    /// It is longer than [`MAX_LEN`].
    #[error("the PEM text has more than {MAX_LEN} bytes")]
    TooLong,
    /// It is not well-formed PEM.
    #[error("the text is not well-formed PEM")]
    Malformed,
    /// It is PEM of something else, or of nothing.
    #[error("the PEM text contains no {0}")]
    Label(&'static str),
}

/// The certificates in PEM, one after the other: a chain has its leaf first.
pub fn encode_certificates<'a>(certificates: impl IntoIterator<Item = &'a [u8]>) -> Result<String, PemError> {
    let one =
        |der| pem_rfc7468::encode_string(CERTIFICATE, LineEnding::LF, der).map_err(|_| PemError::Malformed);
    certificates.into_iter().map(one).collect()
}

/// The certificates in `text`, at least one, as DER. Text around them is ignored; other blocks are not allowed.
pub fn decode_certificates(text: &str) -> Result<Vec<Vec<u8>>, PemError> {
    if text.len() > MAX_LEN {
        return Err(PemError::TooLong);
    }
    let (mut rest, mut found) = (text, Vec::new());
    while let Some(start) = rest.find(BEGIN) {
        let end = rest[start..].find(END_CERTIFICATE).ok_or(PemError::Label(CERTIFICATE))?;
        let end = start + end + END_CERTIFICATE.len();
        let (label, der) =
            pem_rfc7468::decode_vec(&rest.as_bytes()[start..end]).map_err(|_| PemError::Malformed)?;
        if label != CERTIFICATE {
            return Err(PemError::Label(CERTIFICATE));
        }
        found.push(der);
        rest = &rest[end..];
    }
    (!found.is_empty()).then_some(found).ok_or(PemError::Label(CERTIFICATE))
}

/// A PKCS#8 private key in PEM, in memory that is wiped.
pub fn encode_private_key(pkcs8: &[u8]) -> Result<SecretBytes, PemError> {
    let length =
        pem_rfc7468::encoded_len(PRIVATE_KEY, LineEnding::LF, pkcs8).map_err(|_| PemError::Malformed)?;
    SecretBytes::try_filled(length, |out| {
        pem_rfc7468::encode(PRIVATE_KEY, LineEnding::LF, pkcs8, out)
            .map(str::len)
            .map_err(|_| PemError::Malformed)
    })
}

/// The PKCS#8 private key in `text`, DER, in memory that is wiped.
pub fn decode_private_key(text: &[u8]) -> Result<SecretBytes, PemError> {
    if text.len() > MAX_LEN {
        return Err(PemError::TooLong);
    }
    if pem_rfc7468::decode_label(text).map_err(|_| PemError::Malformed)? != PRIVATE_KEY {
        return Err(PemError::Label(PRIVATE_KEY));
    }
    SecretBytes::try_filled(text.len(), |out| {
        pem_rfc7468::decode(text, out).map(|(_, der)| der.len()).map_err(|_| PemError::Malformed)
    })
}

const CERTIFICATE: &str = "CERTIFICATE";
const PRIVATE_KEY: &str = "PRIVATE KEY";
const BEGIN: &str = "-----BEGIN ";
const END_CERTIFICATE: &str = "-----END CERTIFICATE-----";
