//! Public keys as TUF lists them, and their ids.

use crate::Malformed;
use crate::json::Value;
use crate::role::{get, object, text};
use pem_rfc7468::LineEnding;
use std::collections::BTreeMap;
use std::fmt;
use wardein_crypto::{Digest, P256VerifyingKey, hex};

/// The id of a key: SHA-256 of the canonical form of its object (TUF §4.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 32]);

impl KeyId {
    /// The id that `text` is, in 64 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        hex::decode_array(text).map(Self).ok_or(Malformed::Field("keyid"))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&hex::Hex(&self.0), f)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A key of a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// As it was read, so that its id and the signature over it stay the same.
    object: Value,
    /// `None` for a kind that is not used here: its signatures count for nothing.
    verifies: Option<P256VerifyingKey>,
}

impl Key {
    /// The key as it is written here: `ecdsa` with the scheme `ecdsa-sha2-nistp256`, in PEM of SubjectPublicKeyInfo (RFC 5280
    /// §4.1), as securesystemslib and `tough` write it.
    pub fn p256(key: &P256VerifyingKey) -> Self {
        let object = Value::object([
            ("keytype", Value::text("ecdsa")),
            ("scheme", Value::text(SCHEME)),
            ("keyval", Value::object([("public", Value::text(to_pem(key)))])),
        ]);
        Self { object, verifies: Some(*key) }
    }

    /// Its id.
    pub fn id(&self) -> KeyId {
        KeyId(Digest::of(&self.object.canonical()).0)
    }

    /// The key that verifies its signatures; `None` for a kind that is not used here.
    pub fn verifying(&self) -> Option<&P256VerifyingKey> {
        self.verifies.as_ref()
    }

    /// The object of a key.
    pub(crate) fn read(value: &Value) -> Result<Self, Malformed> {
        let fields = object(value, "keys")?;
        let keytype = text(get(fields, "keytype")?, "keytype")?;
        let scheme = text(get(fields, "scheme")?, "scheme")?;
        let keyval = object(get(fields, "keyval")?, "keyval")?;
        let public = text(get(keyval, "public")?, "public")?;
        // `ecdsa-sha2-nistp256` is what the type was called before TUF 1.0.19.
        let is_p256 = matches!(keytype, "ecdsa" | "ecdsa-sha2-nistp256") && scheme == SCHEME;
        let verifies = if is_p256 { Some(p256(public).ok_or(Malformed::Field("public"))?) } else { None };
        Ok(Self { object: value.clone(), verifies })
    }

    /// Its PEM document, as metadata has it; empty for a kind that is not used here.
    pub fn to_pem(&self) -> String {
        self.verifies.as_ref().map(to_pem).unwrap_or_default()
    }

    /// The key of a PEM document of its own, `BEGIN PUBLIC KEY`.
    pub fn from_pem(pem: &str) -> Option<Self> {
        p256(pem).map(|key| Self::p256(&key))
    }
}

/// The keys of an object, each under its own id.
pub(crate) fn read_keys(value: &Value) -> Result<BTreeMap<KeyId, Key>, Malformed> {
    let mut keys = BTreeMap::new();
    for (id, value) in object(value, "keys")? {
        let (id, key) = (KeyId::parse(id)?, Key::read(value)?);
        // TUF §4.3: clients calculate each id.
        if key.id() != id {
            return Err(Malformed::KeyId);
        }
        keys.insert(id, key);
    }
    Ok(keys)
}

/// As [`read_keys`] reads them.
pub(crate) fn write_keys(keys: &BTreeMap<KeyId, Key>) -> Value {
    Value::object(keys.iter().map(|(id, key)| (id.to_string(), key.object.clone())))
}

const LABEL: &str = "PUBLIC KEY";
const SCHEME: &str = "ecdsa-sha2-nistp256";

/// What precedes the point in a SubjectPublicKeyInfo of P-256 (RFC 5480 §2).
const P256_SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

fn to_pem(key: &P256VerifyingKey) -> String {
    let spki = [&P256_SPKI[..], &key.0].concat();
    pem_rfc7468::encode_string(LABEL, LineEnding::LF, &spki).expect("91 bytes become text in memory")
}

fn p256(pem: &str) -> Option<P256VerifyingKey> {
    let (label, der) = pem_rfc7468::decode_vec(pem.as_bytes()).ok()?;
    let point = der.strip_prefix(&P256_SPKI)?.try_into().ok()?;
    // An uncompressed point; that it is on the curve is checked where it verifies.
    (label == LABEL && der.get(P256_SPKI.len()) == Some(&0x04)).then_some(P256VerifyingKey(point))
}
