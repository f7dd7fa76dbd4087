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
    /// What was asked about: `device_id`, `certificate_sha256` (a fingerprint too), `spiffe_id` or `serial`, and its value.
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
mod tests;
