use super::*;
use wardein_crypto::{P256SigningKey, p256_fixed};

const NOW: u64 = 1_790_000_100;
const EXPECTED: Expected<'_> = Expected { audience: "thingworx", nonce: &[7; 16], at: NOW };

struct Signing {
    key: P256SigningKey,
    kid: &'static str,
}

impl Signing {
    fn new(kid: &'static str) -> Self {
        let document = P256SigningKey::generate_pkcs8().unwrap();
        Self { key: P256SigningKey::from_pkcs8(&document).unwrap(), kid }
    }

    fn jwk(&self, more: &str) -> String {
        let (x, y) = self.key.verifying_key().0[1..].split_at(32);
        let (x, y, kid) = (url(x), url(y), self.kid);
        format!("{{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"{kid}\",\"x\":\"{x}\",\"y\":\"{y}\"{more}}}")
    }

    fn sign(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", url(header.as_bytes()), url(claims.as_bytes()));
        let signature = p256_fixed(&self.key.sign(message.as_bytes()).unwrap()).unwrap();
        format!("{message}.{}", url(&signature))
    }

    fn receipt(&self, claims: &str) -> String {
        self.sign(&header("ES256", self.kid), claims)
    }
}

fn url(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

fn header(alg: &str, kid: &str) -> String {
    format!("{{\"alg\":\"{alg}\",\"typ\":\"wardein-verdict+jwt\",\"kid\":\"{kid}\"}}")
}

fn claims(iat: u64, exp: u64) -> String {
    let nonce = url(&[7; 16]);
    format!(
        "{{\"iss\":\"spiffe://w.example\",\"aud\":\"thingworx\",\"iat\":{iat},\"exp\":{exp},\"jti\":\"j\",\"eat_nonce\":\"{nonce}\",\
         \"eat_profile\":\"tag:wardein,2026:verdict-1:draft\",\"submods\":{{}},\"wardein.verdict\":\"trusted\",\
         \"wardein.reasons\":[\"in-good-standing\"],\"wardein.tenant\":\"t\",\"wardein.device_id\":\"d\",\
         \"wardein.state\":\"active\",\"wardein.asked\":{{\"device_id\":\"d\"}},\"wardein.revision\":9}}"
    )
}

fn keys(jwks: &[String]) -> ReceiptKeys {
    ReceiptKeys::parse(format!("{{\"keys\":[{}]}}", jwks.join(",")).as_bytes()).unwrap()
}

fn good() -> String {
    claims(NOW - 10, NOW + 10)
}

#[test]
fn a_receipt_is_good_for_whom_and_when_it_was_given() {
    let signing = Signing::new("k");
    let keys = keys(&[Signing::new("other").jwk(""), signing.jwk(",\"use\":\"sig\",\"alg\":\"ES256\"")]);
    let receipt = signing.receipt(&good());
    let read = keys.verify(&receipt, &EXPECTED).unwrap();
    assert_eq!((read.verdict.as_str(), read.device_id.as_deref()), ("trusted", Some("d")));
    assert_eq!((read.issued_at, read.expires_at, read.kid.as_str()), (NOW - 10, NOW + 10, "k"));
    let refused = |expected| keys.verify(&receipt, &expected).unwrap_err();
    assert_eq!(refused(Expected { audience: "another", ..EXPECTED }), ReceiptError::Audience);
    assert_eq!(refused(Expected { nonce: &[8; 16], ..EXPECTED }), ReceiptError::Nonce);
    assert_eq!(refused(Expected { nonce: &[], ..EXPECTED }), ReceiptError::Nonce);
    assert_eq!(refused(Expected { at: NOW + 10, ..EXPECTED }), ReceiptError::Expired);
    assert!(keys.verify(&receipt, &Expected { at: NOW + 9, ..EXPECTED }).is_ok());
    assert_eq!(refused(Expected { at: NOW - 71, ..EXPECTED }), ReceiptError::Early);
    assert!(keys.verify(&receipt, &Expected { at: NOW - 70, ..EXPECTED }).is_ok());
}

#[test]
fn an_altered_receipt_is_refused_at_each_character() {
    let signing = Signing::new("k");
    let (keys, receipt) = (keys(&[signing.jwk("")]), signing.receipt(&good()));
    for at in 0..receipt.len() {
        let mut altered = receipt.clone().into_bytes();
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).unwrap();
        assert!(keys.verify(&altered, &EXPECTED).is_err(), "character {at}");
        assert!(keys.verify(&receipt[..at], &EXPECTED).is_err());
    }
    assert!(keys.verify(&format!("{receipt}A"), &EXPECTED).is_err());
    // The claims of one under the signature of another.
    let other = signing.receipt(&claims(NOW - 10, NOW + 1_000));
    let (_, signature) = receipt.rsplit_once('.').unwrap();
    let mixed = format!("{}.{signature}", other.rsplit_once('.').unwrap().0);
    assert_eq!(keys.verify(&mixed, &EXPECTED).unwrap_err(), ReceiptError::Signature);
    let stranger = Signing::new("k").receipt(&good());
    assert_eq!(keys.verify(&stranger, &EXPECTED).unwrap_err(), ReceiptError::Signature);
}

/// RFC 8725 §3.1: neither none, nor a MAC under the public key, nor another curve.
#[test]
fn no_other_algorithm_is_taken() {
    let signing = Signing::new("k");
    let keys = keys(&[signing.jwk("")]);
    for alg in ["none", "None", "HS256", "ES384", "RS256", "es256", ""] {
        let receipt = signing.sign(&header(alg, "k"), &good());
        assert_eq!(keys.verify(&receipt, &EXPECTED).unwrap_err(), ReceiptError::Algorithm, "{alg}");
        let unsigned = format!("{}.", receipt.rsplit_once('.').unwrap().0);
        assert_eq!(keys.verify(&unsigned, &EXPECTED).unwrap_err(), ReceiptError::Algorithm, "{alg}");
    }
    let unsigned = format!("{}.", signing.receipt(&good()).rsplit_once('.').unwrap().0);
    assert_eq!(keys.verify(&unsigned, &EXPECTED).unwrap_err(), ReceiptError::Signature);
    // In DER, as X.509 has signatures.
    let message = unsigned.trim_end_matches('.');
    let der = signing.key.sign(message.as_bytes()).unwrap();
    let in_der = format!("{message}.{}", url(&der));
    assert_eq!(keys.verify(&in_der, &EXPECTED).unwrap_err(), ReceiptError::Signature);
}

#[test]
fn a_token_of_another_kind_is_no_receipt() {
    let signing = Signing::new("k");
    let keys = keys(&[signing.jwk("")]);
    let refused = |header: &str, claims: &str| {
        assert_eq!(
            keys.verify(&signing.sign(header, claims), &EXPECTED).unwrap_err(),
            ReceiptError::Malformed
        );
    };
    refused("{\"alg\":\"ES256\",\"typ\":\"statuslist+jwt\",\"kid\":\"k\"}", &good());
    refused("{\"alg\":\"ES256\",\"kid\":\"k\"}", &good());
    refused(
        "{\"alg\":\"ES256\",\"typ\":\"wardein-verdict+jwt\",\"kid\":\"k\",\"crit\":[\"b64\"],\"b64\":false}",
        &good(),
    );
    refused("[]", &good());
    refused(&header("ES256", "k"), &good().replace("verdict-1", "verdict-2"));
    refused(&header("ES256", "k"), &good().replace("\"exp\":", "\"expiry\":"));
    refused(&header("ES256", "k"), &good().replace("\"aud\":\"thingworx\"", "\"aud\":[\"thingworx\"]"));
    refused(&header("ES256", "k"), &good().replace("\"iat\"", "\"aud\":\"thingworx\",\"iat\""));
    refused(&header("ES256", "k"), "");
    for text in ["", ".", "..", "a.b.c", "a.b.c.d", &"a".repeat(5_000)] {
        assert_eq!(keys.verify(text, &EXPECTED).unwrap_err(), ReceiptError::Malformed, "{text}");
    }
}

#[test]
fn a_key_is_good_for_what_it_signed_before_it_retired_and_nothing_once_it_is_gone() {
    let signing = Signing::new("k");
    let receipt = signing.receipt(&good());
    let with = |exp: u64| keys(&[signing.jwk(&format!(",\"exp\":{exp}"))]).verify(&receipt, &EXPECTED);
    assert!(with(NOW - 10).is_ok());
    assert_eq!(with(NOW - 11).unwrap_err(), ReceiptError::KeyRetired);
    let gone = keys(&[Signing::new("next").jwk("")]);
    assert_eq!(gone.verify(&receipt, &EXPECTED).unwrap_err(), ReceiptError::KeyUnknown);
    for unfit in [",\"use\":\"enc\"", ",\"alg\":\"ES384\""] {
        let error = keys(&[signing.jwk(unfit)]).verify(&receipt, &EXPECTED).unwrap_err();
        assert_eq!(error, ReceiptError::KeyUnknown, "{unfit}");
    }
}

#[test]
fn what_is_not_a_set_of_keys_is_refused() {
    let signing = Signing::new("k");
    let short = signing.jwk("").replace("\"x\":\"", "\"x\":\"AA");
    for text in ["", "[]", "{}", "{\"keys\":7}", &format!("{{\"keys\":[{short}]}}")] {
        assert_eq!(ReceiptKeys::parse(text.as_bytes()).unwrap_err(), ReceiptError::Keys, "{text}");
    }
    let long = format!("{{\"keys\":[]{}}}", " ".repeat(64 << 10));
    assert_eq!(ReceiptKeys::parse(long.as_bytes()).unwrap_err(), ReceiptError::Keys);
    assert!(ReceiptKeys::parse(b"{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQ\",\"e\":\"AQAB\"}]}").is_ok());
    let codes: std::collections::BTreeSet<_> = ReceiptError::ALL.iter().map(|error| error.code()).collect();
    assert_eq!(codes.len(), ReceiptError::ALL.len());
}
