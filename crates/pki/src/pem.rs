//! PEM (RFC 7468) for certificates and private keys.

use pem_rfc7468::LineEnding;
use wardein_crypto::SecretBytes;

/// The most bytes of a private key's text, and of one device's certificates.
pub const MAX_LEN: usize = 64 * 1024;

/// The most bytes of a text of certificates: a bundle of vendors' roots has hundreds.
pub const MAX_BUNDLE_LEN: usize = 2 * 1024 * 1024;

/// Why a text is not the PEM that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PemError {
    /// It is longer than this.
    #[error("the PEM text has more than {0} bytes")]
    TooLong(usize),
    /// It is not well-formed PEM.
    #[error("the text is not well-formed PEM")]
    Malformed,
    /// It begins as DER does, and is not one certificate.
    #[error(
        "the file is DER, and not one certificate: its length is not that of its bytes; several go into one file as PEM"
    )]
    Der,
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

/// The certificates in a file: PEM, or the DER of one.
pub fn read_certificates(file: &[u8]) -> Result<Vec<Vec<u8>>, PemError> {
    // A SEQUENCE of more than 255 bytes, as a certificate is. PEM is text, but what surrounds its blocks may be in any encoding.
    if let [0x30, 0x82, high, low, rest @ ..] = file {
        let is_one = rest.len() == usize::from(u16::from_be_bytes([*high, *low]));
        return is_one.then(|| vec![file.to_vec()]).ok_or(PemError::Der);
    }
    decode_certificates(&String::from_utf8_lossy(file))
}

/// The certificates in `text`, at least one, as DER. Text around them is ignored; other blocks are not allowed. Lines may be of any
/// length, and blank, as openssl takes them (RFC 7468 §3, `laxtextualmsg`).
pub fn decode_certificates(text: &str) -> Result<Vec<Vec<u8>>, PemError> {
    if text.len() > MAX_BUNDLE_LEN {
        return Err(PemError::TooLong(MAX_BUNDLE_LEN));
    }
    let (mut rest, mut found) = (text, Vec::new());
    while let Some(start) = rest.find(BEGIN) {
        let end = rest[start..].find(END_CERTIFICATE).ok_or(PemError::Label(CERTIFICATE))?;
        let block = rest[start..start + end].strip_prefix(BEGIN_CERTIFICATE);
        let block = block.ok_or(PemError::Label(CERTIFICATE))?;
        let (_, der) = pem_rfc7468::decode_vec(&wrapped(block)).map_err(|_| PemError::Malformed)?;
        found.push(der);
        rest = &rest[start + end + END_CERTIFICATE.len()..];
    }
    (!found.is_empty()).then_some(found).ok_or(PemError::Label(CERTIFICATE))
}

/// The block of a certificate as the strict reader takes it: lines of 64 characters (RFC 7468 §3).
fn wrapped(base64: &str) -> Vec<u8> {
    let mut block = BEGIN_CERTIFICATE.as_bytes().to_vec();
    for (i, byte) in base64.bytes().filter(|byte| !byte.is_ascii_whitespace()).enumerate() {
        if i % 64 == 0 {
            block.push(b'\n');
        }
        block.push(byte);
    }
    block.push(b'\n');
    block.extend_from_slice(END_CERTIFICATE.as_bytes());
    block
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
        return Err(PemError::TooLong(MAX_LEN));
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
const BEGIN_CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";
const END_CERTIFICATE: &str = "-----END CERTIFICATE-----";
