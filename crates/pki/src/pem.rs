//! PEM (RFC 7468) for certificates, requests for them and keys.

use crate::{PublicKey, SubjectKey};
use pem_rfc7468::LineEnding;
use wardein_crypto::{P256VerifyingKey, SecretBytes, hex};

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
    /// It is no public key of devices and authorities, in neither form.
    #[error("the text is neither a P-256 public key in PEM nor the 130 lower-case hex digits of its point")]
    PublicKey,
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

/// Revocation lists in PEM (RFC 7468 §6), one after the other.
pub fn encode_crls<'a>(lists: impl IntoIterator<Item = &'a [u8]>) -> Result<String, PemError> {
    let one = |der| pem_rfc7468::encode_string(CRL, LineEnding::LF, der).map_err(|_| PemError::Malformed);
    lists.into_iter().map(one).collect()
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
        found.push(decode_block(CERTIFICATE, block.ok_or(PemError::Label(CERTIFICATE))?)?);
        rest = &rest[start + end + END_CERTIFICATE.len()..];
    }
    (!found.is_empty()).then_some(found).ok_or(PemError::Label(CERTIFICATE))
}

/// A public key in PEM: its SubjectPublicKeyInfo (RFC 7468 §13).
pub fn encode_public_key(key: &PublicKey) -> String {
    let text = pem_rfc7468::encode_string(PUBLIC_KEY, LineEnding::LF, &key.spki());
    text.expect("the SubjectPublicKeyInfo of a P-256 key has 91 bytes")
}

/// The SubjectPublicKeyInfo in PEM (RFC 7468 §13), DER, of a key of any algorithm.
pub(crate) fn decode_public_key(text: &str) -> Result<Vec<u8>, PemError> {
    if text.len() > MAX_LEN {
        return Err(PemError::TooLong(MAX_LEN));
    }
    decode_one(text, PUBLIC_KEY)
}

/// The P-256 key in a file: a SubjectPublicKeyInfo in PEM, or, as releases before 0.2 wrote it, the hex digits of its point.
pub fn read_public_key(text: &str) -> Result<PublicKey, PemError> {
    if text.len() > MAX_LEN {
        return Err(PemError::TooLong(MAX_LEN));
    }
    if text.contains(BEGIN) {
        let key = SubjectKey::from_spki(&decode_one(text, PUBLIC_KEY)?);
        return key.and_then(|key| PublicKey::try_from(&key).ok()).ok_or(PemError::PublicKey);
    }
    let point = hex::decode_array(text.trim()).filter(|point: &[u8; 65]| point[0] == UNCOMPRESSED);
    Ok(P256VerifyingKey(point.ok_or(PemError::PublicKey)?).into())
}

/// A PKCS#10 request in PEM (RFC 7468 §7).
pub fn encode_request(der: &[u8]) -> Result<String, PemError> {
    pem_rfc7468::encode_string(REQUEST, LineEnding::LF, der).map_err(|_| PemError::Malformed)
}

/// The request in a file, DER: PEM, under its former label too (RFC 7468 §7), or DER.
pub fn read_request(file: &[u8]) -> Result<Vec<u8>, PemError> {
    if file.len() > MAX_LEN {
        return Err(PemError::TooLong(MAX_LEN));
    }
    // A SEQUENCE. PEM is text, but what surrounds its block may be in any encoding.
    if file.first() == Some(&0x30) {
        return Ok(file.to_vec());
    }
    let text = String::from_utf8_lossy(file);
    decode_one(&text, FORMER_REQUEST).or_else(|_| decode_one(&text, REQUEST))
}

/// The bytes of a text in base64 (RFC 4648 §4), with whitespace anywhere in it.
pub(crate) fn decode_base64(text: &str) -> Result<Vec<u8>, PemError> {
    decode_block(REQUEST, text)
}

/// Bytes in base64, in lines of 64 columns that each end with LF.
pub(crate) fn encode_base64(bytes: &[u8]) -> Result<SecretBytes, PemError> {
    let length =
        pem_rfc7468::encoded_len(CERTIFICATE, LineEnding::LF, bytes).map_err(|_| PemError::Malformed)?;
    let block = SecretBytes::try_filled(length, |out| {
        pem_rfc7468::encode(CERTIFICATE, LineEnding::LF, bytes, out)
            .map(str::len)
            .map_err(|_| PemError::Malformed)
    })?;
    let first = BEGIN_CERTIFICATE.len() + 1;
    let last = END_CERTIFICATE.len() + 1;
    let mut lines = SecretBytes::with_capacity(length);
    lines.extend(&block.expose()[first..length - last]);
    Ok(lines)
}

/// The content of the first block in `text`, which must be of that label.
fn decode_one(text: &str, label: &'static str) -> Result<Vec<u8>, PemError> {
    let (begin, end) = (format!("{BEGIN}{label}-----"), format!("-----END {label}-----"));
    let first = text.find(BEGIN).map(|start| &text[start..]);
    let content = first.and_then(|first| first.strip_prefix(&begin)).ok_or(PemError::Label(label))?;
    decode_block(label, &content[..content.find(&end).ok_or(PemError::Malformed)?])
}

/// The content of a block between its lines, put into lines of 64 characters, as the strict reader takes it (RFC 7468 §3).
fn decode_block(label: &str, base64: &str) -> Result<Vec<u8>, PemError> {
    let mut block = format!("{BEGIN}{label}-----").into_bytes();
    for (i, byte) in base64.bytes().filter(|byte| !byte.is_ascii_whitespace()).enumerate() {
        if i % 64 == 0 {
            block.push(b'\n');
        }
        block.push(byte);
    }
    block.extend_from_slice(format!("\n-----END {label}-----").as_bytes());
    pem_rfc7468::decode_vec(&block).map(|(_, der)| der).map_err(|_| PemError::Malformed)
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

/// A private key under a passphrase, PKCS#8 `EncryptedPrivateKeyInfo`, in PEM (RFC 7468 §11).
pub fn encode_encrypted_key(der: &[u8]) -> Result<String, PemError> {
    pem_rfc7468::encode_string(ENCRYPTED_KEY, LineEnding::LF, der).map_err(|_| PemError::Malformed)
}

/// The encrypted private key in `text`, DER; none if what is there is not encrypted.
pub fn decode_encrypted_key(text: &[u8]) -> Result<Option<Vec<u8>>, PemError> {
    if text.len() > MAX_LEN {
        return Err(PemError::TooLong(MAX_LEN));
    }
    match std::str::from_utf8(text) {
        Ok(text) if text.contains(BEGIN_ENCRYPTED_KEY) => decode_one(text, ENCRYPTED_KEY).map(Some),
        _ => Ok(None),
    }
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
const CRL: &str = "X509 CRL";
const ENCRYPTED_KEY: &str = "ENCRYPTED PRIVATE KEY";
const PRIVATE_KEY: &str = "PRIVATE KEY";
const PUBLIC_KEY: &str = "PUBLIC KEY";
const REQUEST: &str = "CERTIFICATE REQUEST";
const FORMER_REQUEST: &str = "NEW CERTIFICATE REQUEST";
const BEGIN: &str = "-----BEGIN ";
const BEGIN_ENCRYPTED_KEY: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
const BEGIN_CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";
const END_CERTIFICATE: &str = "-----END CERTIFICATE-----";

/// The first byte of an uncompressed point (SEC 1 §2.3.3).
const UNCOMPRESSED: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> PublicKey {
        let point = hex::decode_array(&format!("04{}", "ab".repeat(64))).unwrap();
        P256VerifyingKey(point).into()
    }

    #[test]
    fn a_public_key_is_read_in_pem_and_in_the_hex_of_before() {
        let text = encode_public_key(&key());
        assert!(
            text.starts_with("-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE"),
            "{text}"
        );
        let hex = hex::encode(&key().verifying_key().0);
        for text in [
            &text,
            &text.replace('\n', "\r\n"),
            &format!("the identity key\n{text}\n"),
            &hex,
            &(hex.clone() + "\n"),
        ] {
            assert_eq!(read_public_key(text), Ok(key()), "{text}");
        }
    }

    #[test]
    fn a_request_is_read_in_every_form_that_tools_write() {
        let der = [0x30, 3, 2, 1, 0];
        let text = encode_request(&der).unwrap();
        let former = text.replace("CERTIFICATE", "NEW CERTIFICATE");
        for file in [text.as_bytes(), former.as_bytes(), &der, format!("Subject: \n{text}").as_bytes()] {
            assert_eq!(read_request(file), Ok(der.to_vec()));
        }
        let key = encode_public_key(&key());
        for (file, error) in [
            (&b""[..], PemError::Label(REQUEST)),
            (key.as_bytes(), PemError::Label(REQUEST)),
            (&text.as_bytes()[..text.len() - 9], PemError::Malformed),
            (&[b' '; MAX_LEN + 1], PemError::TooLong(MAX_LEN)),
        ] {
            assert_eq!(read_request(file), Err(error));
        }
    }

    #[test]
    fn what_is_no_p_256_public_key_is_refused() {
        let text = encode_public_key(&key());
        let changed = |at: usize, to: u8| {
            let mut der = key().spki();
            der[at] = to;
            pem_rfc7468::encode_string(PUBLIC_KEY, LineEnding::LF, &der).unwrap()
        };
        let certificate = encode_certificates([&[0x30, 0][..]]).unwrap();
        let hex = hex::encode(&key().verifying_key().0);
        for (text, error) in [
            ("", PemError::PublicKey),
            (&hex[..128], PemError::PublicKey),
            (&hex.replace("04ab", "02ab"), PemError::PublicKey),
            (&hex.to_uppercase(), PemError::PublicKey),
            (&certificate, PemError::Label(PUBLIC_KEY)),
            (&text.replace("PUBLIC", "PRIVATE"), PemError::Label(PUBLIC_KEY)),
            (&text[..text.len() / 2], PemError::Malformed),
            (&text.replace("MFkw", "MF!w"), PemError::Malformed),
            // Another curve, and a point in another form.
            (&changed(22, 8), PemError::PublicKey),
            (&changed(26, 2), PemError::PublicKey),
            (&" ".repeat(MAX_LEN + 1), PemError::TooLong(MAX_LEN)),
        ] {
            assert_eq!(read_public_key(text), Err(error), "{text}");
        }
    }
}
