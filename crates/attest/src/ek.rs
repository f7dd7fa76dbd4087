//! The endorsement key: the key by which a TPM is known, and by which only it opens a credential.

use crate::Refusal;
use crate::public::{Attributes, Key, Public};
use core::fmt;
use core::str::FromStr;
use wardein_crypto::tpm::{AesKeyLength, Curve, HashAlgorithm};
use wardein_crypto::{Digest, hex};

/// An endorsement key made by one of the templates of the TCG EK Credential Profile for TPM Family 2.0 (annex B): L-1 and H-1 (RSA-2048),
/// L-2 and H-2 (P-256), H-3 (P-384).
///
/// A TPM makes another key from each template, so a key that is certified under one template cannot be used under another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EkPublic {
    pub(crate) public: Public,
    pub(crate) aes: AesKeyLength,
}

/// The SHA-256 of the key's SubjectPublicKeyInfo, as `openssl pkey -pubin -outform der | sha256sum` gives it: what a factory's list
/// of endorsement keys has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EkDigest(pub Digest);

impl fmt::Display for EkDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&hex::Hex(&self.0.0), f)
    }
}

impl FromStr for EkDigest {
    type Err = InvalidDigest;

    /// 64 hexadecimal digits, of either case.
    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let bytes = hex::decode_any_case(text).ok_or(InvalidDigest)?;
        bytes.try_into().map(|bytes| Self(Digest(bytes))).map_err(|_| InvalidDigest)
    }
}

/// The text is no digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a digest of an endorsement key is 64 hexadecimal digits")]
pub struct InvalidDigest;

impl EkPublic {
    /// Reads a TPM2B_PUBLIC, and compares it with its template.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let public = Public::parse(bytes)?;
        let template = Template::of(&public.key).ok_or(Refusal::EkTemplate("key"))?;
        ensure(public.name_hash == template.name_hash, "name algorithm")?;
        ensure(public.symmetric == Some(template.aes), "symmetric cipher")?;
        ensure(public.scheme.is_none(), "scheme")?;
        ensure(template.rules.contains(&(public.attributes, &public.auth_policy)), "attributes and policy")?;
        Ok(Self { public, aes: template.aes })
    }

    /// What it is known by.
    pub fn digest(&self) -> EkDigest {
        EkDigest(Digest::of(&self.spki()))
    }

    /// The key as a certificate carries it.
    pub fn spki(&self) -> Vec<u8> {
        self.public.key.spki()
    }
}

/// What all keys of one kind have in common.
struct Template {
    name_hash: HashAlgorithm,
    aes: AesKeyLength,
    /// Attributes and policy belong together.
    rules: &'static [(Attributes, &'static [u8])],
}

impl Template {
    fn of(key: &Key) -> Option<Self> {
        match key {
            Key::Rsa(key) if key.modulus().len() == 256 => Some(SHA256_TEMPLATE),
            Key::Ec(key) if key.curve() == Curve::P256 => Some(SHA256_TEMPLATE),
            Key::Ec(key) if key.curve() == Curve::P384 => Some(Self {
                name_hash: HashAlgorithm::Sha384,
                aes: AesKeyLength::Bits256,
                rules: &[(HIGH, &POLICY_B_SHA384)],
            }),
            _ => None,
        }
    }
}

const SHA256_TEMPLATE: Template = Template {
    name_hash: HashAlgorithm::Sha256,
    aes: AesKeyLength::Bits128,
    rules: &[(LOW, &POLICY_A_SHA256), (HIGH, &POLICY_B_SHA256)],
};

/// Attributes of the templates of the low range.
const LOW: Attributes = Attributes::FIXED_TPM
    .union(Attributes::FIXED_PARENT)
    .union(Attributes::SENSITIVE_DATA_ORIGIN)
    .union(Attributes::ADMIN_WITH_POLICY)
    .union(Attributes::RESTRICTED)
    .union(Attributes::DECRYPT);

/// Of the high range.
const HIGH: Attributes = LOW.union(Attributes::USER_WITH_AUTH);

/// PolicySecret of the endorsement hierarchy (annex B, "PolicyA").
const POLICY_A_SHA256: [u8; 32] = [
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd,
    0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
];

/// PolicyA, or what an index of the TPM names ("PolicyB").
const POLICY_B_SHA256: [u8; 32] = [
    0xca, 0x3d, 0x0a, 0x99, 0xa2, 0xb9, 0x39, 0x06, 0xf7, 0xa3, 0x34, 0x24, 0x14, 0xef, 0xcf, 0xb3, 0xa3,
    0x85, 0xd4, 0x4c, 0xd1, 0xfd, 0x45, 0x90, 0x89, 0xd1, 0x9b, 0x50, 0x71, 0xc0, 0xb7, 0xa0,
];

/// The same by SHA-384.
const POLICY_B_SHA384: [u8; 48] = [
    0xb2, 0x6e, 0x7d, 0x28, 0xd1, 0x1a, 0x50, 0xbc, 0x53, 0xd8, 0x82, 0xbc, 0xf5, 0xfd, 0x3a, 0x1a, 0x07,
    0x41, 0x48, 0xbb, 0x35, 0xd3, 0xb4, 0xe4, 0xcb, 0x1c, 0x0a, 0xd9, 0xbd, 0xe4, 0x19, 0xca, 0xcb, 0x47,
    0xba, 0x09, 0x69, 0x96, 0x46, 0x15, 0x0f, 0x9f, 0xc0, 0x00, 0xf3, 0xf8, 0x0e, 0x12,
];

fn ensure(holds: bool, part: &'static str) -> Result<(), Refusal> {
    holds.then_some(()).ok_or(Refusal::EkTemplate(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_as_it_is_written_and_nothing_else_is_one() {
        let digest = EkDigest(Digest::of(b"key"));
        let text = digest.to_string();
        assert_eq!(text.parse(), Ok(digest));
        assert_eq!(text.to_uppercase().parse(), Ok(digest));
        for wrong in ["", &text[1..], &format!("{text}0"), &format!("+{}", &text[1..]), &"é".repeat(32)] {
            assert_eq!(wrong.parse::<EkDigest>(), Err(InvalidDigest), "{wrong}");
        }
    }
}
