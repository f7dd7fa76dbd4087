//! Compact JWS by ES256 (RFC 7515 §7.1, RFC 7518 §3.4) and the set of keys that verifies them (RFC 7517): written only. Who reads one is
//! another implementation.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use std::fmt::Write as _;
use wardein_crypto::{Digest, P256VerifyingKey, Signer, SigningError, p256_fixed};

/// A key that verifies, as it is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedKey {
    /// The key.
    pub key: P256VerifyingKey,
    /// The last Unix second in which it signed; none while it signs or will.
    pub retired_at: Option<u64>,
}

/// The compact JWS of `claims`, which is JSON, by a key on P-256 that is known as `kid`.
pub fn sign_compact(
    signer: &dyn Signer,
    typ: &'static str,
    kid: &str,
    claims: &str,
) -> Result<String, SigningError> {
    let header = format!("{{\"alg\":\"ES256\",\"typ\":\"{typ}\",\"kid\":\"{kid}\"}}");
    let mut compact = url(header.as_bytes());
    compact.push('.');
    compact.push_str(&url(claims.as_bytes()));
    let signature = signer.sign(compact.as_bytes())?;
    let signature = p256_fixed(&signature).ok_or(SigningError)?;
    compact.push('.');
    compact.push_str(&url(&signature));
    Ok(compact)
}

/// The name of a key: its thumbprint (RFC 7638), 43 characters.
pub fn key_thumbprint(key: &P256VerifyingKey) -> String {
    // The members that are required, in order, without white space (RFC 7638 §3).
    let members = format!("{{{}}}", coordinates(key));
    url(&Digest::of(members.as_bytes()).0)
}

/// A JWK Set. A key that has retired says so by `exp`, as OpenID Federation has it: it signed nothing after that.
pub fn jwks(keys: &[PublishedKey]) -> String {
    let mut text = String::from("{\"keys\":[");
    for (number, published) in keys.iter().enumerate() {
        let comma = if number > 0 { "," } else { "" };
        let (key, kid) = (coordinates(&published.key), key_thumbprint(&published.key));
        // A String takes whatever it is given.
        let _ = write!(text, "{comma}{{{key},\"use\":\"sig\",\"alg\":\"ES256\",\"kid\":\"{kid}\"");
        if let Some(at) = published.retired_at {
            let _ = write!(text, ",\"exp\":{at}");
        }
        text.push('}');
    }
    text.push_str("]}\n");
    text
}

/// Bytes as JOSE has them.
pub fn base64url(bytes: &[u8]) -> String {
    url(bytes)
}

/// An uncompressed point is 4, x and y (SEC 1 §2.3.3).
fn coordinates(key: &P256VerifyingKey) -> String {
    let (x, y) = key.0[1..].split_at(32);
    format!("\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"{}\",\"y\":\"{}\"", url(x), url(y))
}

fn url(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wardein_crypto::P256SigningKey;

    #[test]
    fn a_compact_jws_is_by_the_key_that_its_set_names() {
        let document = P256SigningKey::generate_pkcs8().unwrap();
        let key = P256SigningKey::from_pkcs8(&document).unwrap();
        let kid = key_thumbprint(key.verifying_key());
        let compact = sign_compact(&key, "a+jwt", &kid, "{\"a\":1}").unwrap();
        let (message, signature) = compact.rsplit_once('.').unwrap();
        let decode = |text: &str| Base64UrlUnpadded::decode_vec(text).unwrap();
        let signature: [u8; 64] = decode(signature).try_into().unwrap();
        assert_eq!(key.verifying_key().verify_fixed(message.as_bytes(), &signature), Ok(()));
        let (header, claims) = message.split_once('.').unwrap();
        assert_eq!(decode(claims), b"{\"a\":1}");
        assert_eq!(
            decode(header),
            format!("{{\"alg\":\"ES256\",\"typ\":\"a+jwt\",\"kid\":\"{kid}\"}}").as_bytes()
        );
        let published = |retired_at| jwks(&[PublishedKey { key: *key.verifying_key(), retired_at }, EXAMPLE]);
        assert!(published(None).contains(&format!("\"kid\":\"{kid}\"}},{{")), "{}", published(None));
        assert!(published(Some(7)).contains(&format!("\"kid\":\"{kid}\",\"exp\":7}}")));
    }

    /// The key of RFC 7515 appendix A.3; its thumbprint by an implementation of Python's.
    #[test]
    fn a_key_has_its_thumbprint() {
        assert_eq!(key_thumbprint(&EXAMPLE.key), "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U");
        let text = jwks(&[EXAMPLE]);
        assert!(text.contains("\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\""), "{text}");
        assert!(text.contains("\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\""), "{text}");
    }

    const EXAMPLE: PublishedKey = PublishedKey {
        key: P256VerifyingKey([
            4, 127, 205, 206, 39, 112, 246, 196, 93, 65, 131, 203, 238, 111, 219, 75, 123, 88, 7, 51, 53,
            123, 233, 239, 19, 186, 207, 110, 60, 123, 209, 84, 69, 199, 241, 68, 205, 27, 189, 155, 126,
            135, 44, 223, 237, 185, 238, 185, 244, 179, 105, 93, 110, 169, 11, 36, 173, 138, 70, 35, 40, 133,
            136, 229, 173,
        ]),
        retired_at: None,
    };
}
