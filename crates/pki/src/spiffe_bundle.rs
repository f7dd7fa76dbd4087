//! The trust domain's bundle as SPIFFE has it (SPIFFE Trust Domain and Bundle §4): a JWK Set of the roots.

use crate::ca::{CaCertificate, Root};
use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};
use wardein_crypto::VerifyingKey;

/// The bundle of these roots, JSON. `sequence` rises whenever they change (§4.1.1); `refresh` says after how many seconds to take it again.
pub fn spiffe_bundle<'a>(
    roots: impl IntoIterator<Item = &'a CaCertificate<Root>>,
    sequence: u64,
    refresh: u64,
) -> String {
    let keys: Vec<_> = roots.into_iter().map(key).collect();
    format!(
        "{{\"spiffe_sequence\":{sequence},\"spiffe_refresh_hint\":{refresh},\"keys\":[{}]}}\n",
        keys.join(",")
    )
}

/// A JWK (RFC 7517 §4) for X.509-SVIDs, with its certificate in `x5c`.
fn key(root: &CaCertificate<Root>) -> String {
    let url = |bytes: &[u8]| Base64UrlUnpadded::encode_string(bytes);
    let curve = |name: &str, point: &[u8]| {
        // An uncompressed point is 4, x and y (SEC 1 §2.3.3).
        let (x, y) = point[1..].split_at(point.len() / 2);
        format!("\"kty\":\"EC\",\"crv\":\"{name}\",\"x\":\"{}\",\"y\":\"{}\"", url(x), url(y))
    };
    let parameters = match root.verifying_key() {
        VerifyingKey::P256(point) => curve("P-256", &point.0),
        VerifyingKey::P384(point) => curve("P-384", &point.0),
        VerifyingKey::Rsa(_) => {
            // Its exponent is 65537, the only one that is read.
            let modulus = modulus(root.verifying_key().as_bytes()).unwrap_or_default();
            format!("\"kty\":\"RSA\",\"n\":\"{}\",\"e\":\"AQAB\"", url(modulus))
        }
    };
    format!("{{\"use\":\"x509-svid\",{parameters},\"x5c\":[\"{}\"]}}", Base64::encode_string(root.der()))
}

/// The modulus of an RSAPublicKey (RFC 8017 §A.1.1), without the zero that keeps it positive.
fn modulus(der: &[u8]) -> Option<&[u8]> {
    let (fields, _) = crate::der::element(der, crate::der::SEQUENCE)?;
    let (modulus, _) = crate::der::element(fields, crate::der::INTEGER)?;
    Some(modulus.strip_prefix(&[0]).unwrap_or(modulus))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ROOT_LIFETIME, RootCa, Validity};
    use wardein_crypto::{KeyAlgorithm, SigningKey};
    use wardein_domain::Serial;

    fn root(algorithm: KeyAlgorithm) -> RootCa {
        let document = SigningKey::generate_pkcs8(algorithm).unwrap();
        let signer = SigningKey::from_pkcs8(algorithm.signature(), &document).unwrap();
        let validity = Validity::starting(1_800_000_000, ROOT_LIFETIME).unwrap();
        RootCa::found(&"wardein.example".parse().unwrap(), signer, Serial::from_random([7; 16]), validity)
            .unwrap()
    }

    #[test]
    fn a_root_of_each_algorithm_is_a_key_with_its_certificate() {
        for (algorithm, parameters, bytes) in [
            (KeyAlgorithm::P256, "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"", 32),
            (KeyAlgorithm::P384, "\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"", 48),
            (KeyAlgorithm::Rsa3072, "\"kty\":\"RSA\",\"n\":\"", 384),
        ] {
            let root = root(algorithm);
            let text = spiffe_bundle([root.certificate()], 7, 3_600);
            assert!(
                text.starts_with("{\"spiffe_sequence\":7,\"spiffe_refresh_hint\":3600,\"keys\":[{"),
                "{text}"
            );
            let (_, value) = text.split_once(parameters).unwrap();
            let (value, _) = value.split_once('"').unwrap();
            assert_eq!(value.len(), (bytes * 4_usize).div_ceil(3), "{text}");
            assert!(!value.contains(['+', '/', '=']), "{text}");
            assert!(
                text.contains(&format!("\"x5c\":[\"{}\"]", Base64::encode_string(root.certificate().der()))),
                "{text}"
            );
        }
    }
}
