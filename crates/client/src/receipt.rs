//! Verifying a receipt: the verdict on a device as the authority signed it, read without asking anybody.
//!
//! What: [`ReceiptKeys`] are the authority's published keys (a JWK Set, `/jwks.json`), and [`ReceiptKeys::verify`] reads a compact JWS
//! by one of them, in the form of an EAT Attestation Result, for one audience and one nonce at one time. Why so strict: a receipt is
//! good for whom it was asked for, and each doubt has its own code. What it does not do: it fetches nothing. A reader that
//! takes the keys from another source than the authority accepts that source's receipts.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde::Deserialize;
use std::collections::BTreeMap;
use wardein_crypto::{P256_FIXED_LEN, P256VerifyingKey};

/// The keys that verify receipts.
#[derive(Debug, Clone)]
pub struct ReceiptKeys(Vec<Key>);

#[derive(Debug, Clone)]
struct Key {
    kid: String,
    public: P256VerifyingKey,
    /// The last Unix second in which it signed.
    retired_at: Option<u64>,
}

/// What a receipt must be for.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Who reads it.
    pub audience: &'a str,
    /// What was drawn for it.
    pub nonce: &'a [u8],
    /// Unix seconds: now, or the moment in question.
    pub at: u64,
}

/// What a receipt says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The authority: the SPIFFE id of its trust domain.
    pub issuer: String,
    /// `trusted`, `restricted`, `not-trusted` or `unknown`; take any other word for the last.
    pub verdict: String,
    /// Why, by the words of `Reason`.
    pub reasons: Vec<String>,
    /// The tenant.
    pub tenant: String,
    /// The device; none where none is known.
    pub device_id: Option<String>,
    /// Its lifecycle state on record, likewise.
    pub state: Option<String>,
    /// What was asked about: `device_id`, `certificate_sha256`, `spiffe_id` or `serial`, and its value.
    pub asked: BTreeMap<String, String>,
    /// Unix seconds at which the verdict was given.
    pub issued_at: u64,
    /// Unix seconds from which it may not be used.
    pub expires_at: u64,
    /// The revision of the authority's record by which it was given.
    pub revision: u64,
    /// Where the device is on a status list: the list's address and the index; none where there is none.
    pub status: Option<(String, u64)>,
    /// Which receipt it is.
    pub id: String,
    /// The key that signed it.
    pub kid: String,
}

/// Why a receipt is not to be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// The set of keys cannot be read.
    #[error("the keys are not a JWK Set of at most 64 KiB")]
    Keys,
    /// It is no compact JWS of a verdict.
    #[error("it is not a signed verdict: three parts of base64url, with the header and the claims of one")]
    Malformed,
    /// Its header names another algorithm than ES256.
    #[error("its header names another algorithm than ES256, the only one that verdicts are signed by")]
    Algorithm,
    /// No key of that name is published: it was never the authority's, or all that it signed has ended.
    #[error(
        "none of the keys has the name that it was signed under; fetch them again, and if it stays so refuse it"
    )]
    KeyUnknown,
    /// It was altered, or signed by somebody else.
    #[error("its signature is not by the key that it names")]
    Signature,
    /// It says that it was signed after its key had retired.
    #[error("it says that it was given after its key had retired")]
    KeyRetired,
    /// It is for another audience.
    #[error("it is for another audience")]
    Audience,
    /// It has another nonce.
    #[error("it has another nonce: it was given to another question")]
    Nonce,
    /// It is of a time to come.
    #[error("it is of a time to come; compare the clocks")]
    Early,
    /// Its time is over.
    #[error("its time is over; ask for another one")]
    Expired,
}

impl ReceiptError {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Keys,
        Self::Malformed,
        Self::Algorithm,
        Self::KeyUnknown,
        Self::Signature,
        Self::KeyRetired,
        Self::Audience,
        Self::Nonce,
        Self::Early,
        Self::Expired,
    ];

    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Keys => "receipt-keys",
            Self::Malformed => "receipt-malformed",
            Self::Algorithm => "receipt-algorithm",
            Self::KeyUnknown => "receipt-key-unknown",
            Self::Signature => "receipt-signature",
            Self::KeyRetired => "receipt-key-retired",
            Self::Audience => "receipt-audience",
            Self::Nonce => "receipt-nonce",
            Self::Early => "receipt-early",
            Self::Expired => "receipt-expired",
        }
    }
}

#[derive(Deserialize)]
struct JwkSet {
    keys: Vec<Jwk>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(default)]
    crv: String,
    #[serde(default)]
    kid: String,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    #[serde(default)]
    x: String,
    #[serde(default)]
    y: String,
    exp: Option<u64>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    typ: String,
    #[serde(default)]
    kid: String,
    /// What must be understood (RFC 7515 §4.1.11): nothing is.
    crit: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    iat: u64,
    exp: u64,
    jti: String,
    eat_nonce: String,
    eat_profile: String,
    #[serde(rename = "wardein.verdict")]
    verdict: String,
    #[serde(rename = "wardein.reasons")]
    reasons: Vec<String>,
    #[serde(rename = "wardein.tenant")]
    tenant: String,
    #[serde(rename = "wardein.device_id")]
    device_id: Option<String>,
    #[serde(rename = "wardein.state")]
    state: Option<String>,
    #[serde(rename = "wardein.asked")]
    asked: BTreeMap<String, String>,
    #[serde(rename = "wardein.revision")]
    revision: u64,
    status: Option<Status>,
}

#[derive(Deserialize)]
struct Status {
    status_list: StatusList,
}

#[derive(Deserialize)]
struct StatusList {
    idx: u64,
    uri: String,
}

impl ReceiptKeys {
    /// The most bytes of a set that is read.
    pub const MAX_SET: usize = 64 << 10;

    /// The most bytes of a receipt that is read.
    pub const MAX_RECEIPT: usize = 4 << 10;

    /// Reads a JWK Set (RFC 7517 §5). Keys of another kind are passed over.
    pub fn parse(jwks: &[u8]) -> Result<Self, ReceiptError> {
        if jwks.len() > Self::MAX_SET {
            return Err(ReceiptError::Keys);
        }
        let set: JwkSet = serde_json::from_slice(jwks).map_err(|_| ReceiptError::Keys)?;
        let mut keys = Vec::new();
        for jwk in set.keys.into_iter().filter(Jwk::verifies) {
            let mut public = [4; 65];
            for (half, text) in public[1..].chunks_mut(32).zip([&jwk.x, &jwk.y]) {
                let bytes = decoded(text).ok_or(ReceiptError::Keys)?;
                if bytes.len() != half.len() {
                    return Err(ReceiptError::Keys);
                }
                half.copy_from_slice(&bytes);
            }
            keys.push(Key { kid: jwk.kid, public: P256VerifyingKey(public), retired_at: jwk.exp });
        }
        Ok(Self(keys))
    }

    /// What a receipt says, if it is one, by one of these keys, and for this.
    pub fn verify(&self, receipt: &str, expected: &Expected<'_>) -> Result<Receipt, ReceiptError> {
        let malformed = ReceiptError::Malformed;
        if receipt.len() > Self::MAX_RECEIPT {
            return Err(malformed);
        }
        let (message, signature) = receipt.rsplit_once('.').ok_or(malformed)?;
        let (header, payload) = message.split_once('.').ok_or(malformed)?;
        let header: Header = read(header).ok_or(malformed)?;
        // Named before anything is verified: what the header says chooses nothing (RFC 8725 §3.1).
        if header.alg != "ES256" {
            return Err(ReceiptError::Algorithm);
        }
        if header.typ != TYPE || header.crit.is_some() {
            return Err(malformed);
        }
        let key = self.0.iter().find(|key| key.kid == header.kid).ok_or(ReceiptError::KeyUnknown)?;
        let signature = decoded(signature).ok_or(malformed)?;
        let signature: [u8; P256_FIXED_LEN] = signature.try_into().map_err(|_| ReceiptError::Signature)?;
        let verified = key.public.verify_fixed(message.as_bytes(), &signature);
        verified.map_err(|_| ReceiptError::Signature)?;
        let claims: Claims = read(payload).ok_or(malformed)?;
        if !claims.eat_profile.starts_with(PROFILE) {
            return Err(malformed);
        }
        if key.retired_at.is_some_and(|at| claims.iat > at) {
            return Err(ReceiptError::KeyRetired);
        }
        if claims.aud != expected.audience {
            return Err(ReceiptError::Audience);
        }
        if decoded(&claims.eat_nonce).as_deref() != Some(expected.nonce) {
            return Err(ReceiptError::Nonce);
        }
        if claims.iat > expected.at.saturating_add(SKEW) {
            return Err(ReceiptError::Early);
        }
        // "On or after" (RFC 7519 §4.1.4).
        if claims.exp <= expected.at {
            return Err(ReceiptError::Expired);
        }
        let Claims {
            iss: issuer,
            iat: issued_at,
            exp: expires_at,
            jti: id,
            verdict,
            reasons,
            tenant,
            device_id,
            state,
            asked,
            revision,
            status,
            ..
        } = claims;
        let status = status.map(|Status { status_list: StatusList { idx, uri } }| (uri, idx));
        Ok(Receipt {
            issuer,
            verdict,
            reasons,
            tenant,
            device_id,
            state,
            asked,
            issued_at,
            expires_at,
            revision,
            status,
            id,
            kid: header.kid,
        })
    }
}

impl Jwk {
    /// Whether it is a key on P-256 that verifies ES256.
    fn verifies(&self) -> bool {
        let is = |word: &Option<String>, wanted: &str| word.as_deref().is_none_or(|word| word == wanted);
        self.kty == "EC" && self.crv == "P-256" && is(&self.alg, "ES256") && is(&self.usage, "sig")
    }
}

fn read<T: for<'de> Deserialize<'de>>(part: &str) -> Option<T> {
    serde_json::from_slice(&decoded(part)?).ok()
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    Base64UrlUnpadded::decode_vec(text).ok()
}

/// The media type of a receipt.
const TYPE: &str = "wardein-verdict+jwt";

/// How the profile of the present form begins; behind it is the draft.
const PROFILE: &str = "tag:wardein,2026:verdict-1:";

/// Seconds by which the authority's clock may be ahead.
const SKEW: u64 = 60;

#[cfg(test)]
mod tests {
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
            format!(
                "{{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"{kid}\",\"x\":\"{x}\",\"y\":\"{y}\"{more}}}"
            )
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
        let codes: std::collections::BTreeSet<_> =
            ReceiptError::ALL.iter().map(|error| error.code()).collect();
        assert_eq!(codes.len(), ReceiptError::ALL.len());
    }
}
