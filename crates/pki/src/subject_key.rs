//! Public keys of any algorithm that certificates of ours are for, as they carry them.

use crate::der::{BIT_STRING, INTEGER, SEQUENCE, element, write};
use crate::key::{KeyId, PublicKey};
use crate::{PkiError, algorithm};
use rcgen::PublicKeyData;
use wardein_crypto::{
    Digest, P256VerifyingKey, P384VerifyingKey, RsaVerifyingKey, VerifyingKey, WeakModulus,
    danger_sha1_to_name,
};
use wardein_domain::KeyKind;

/// The public key of a certificate: P-256, P-384 or RSA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectKey(VerifyingKey);

impl SubjectKey {
    /// The key in a SubjectPublicKeyInfo, DER: a named curve with an uncompressed point (RFC 5480 §2), or RSA of 2048, 3072 or 4096 bits
    /// with exponent 65537 (RFC 3279 §2.3.1). `None` for any other. Whether a point is on its curve shows when it verifies.
    pub fn from_spki(spki: &[u8]) -> Option<Self> {
        Self::parse(spki).ok()
    }

    /// The same for a key that somebody asks to have certified: one of RSA is looked at for weakness, and a refusal says what is wrong.
    pub(crate) fn of_request(spki: &[u8]) -> Result<Self, UnfitKey> {
        let key = Self::parse(spki)?;
        match &key.0 {
            VerifyingKey::Rsa(rsa) => match rsa.weakness() {
                None => Ok(key),
                Some(WeakModulus::SmallFactor) => Err(UnfitKey::Modulus),
                Some(WeakModulus::Roca) => Err(UnfitKey::Roca),
            },
            VerifyingKey::P256(_) | VerifyingKey::P384(_) => Ok(key),
        }
    }

    fn parse(spki: &[u8]) -> Result<Self, UnfitKey> {
        let (algorithm, key) = split(spki).ok_or(UnfitKey::Form)?;
        let is_uncompressed = key.first() == Some(&UNCOMPRESSED);
        let key = match algorithm {
            _ if algorithm == P256 && is_uncompressed => {
                P256VerifyingKey(key.try_into().map_err(|_| UnfitKey::Form)?).into()
            }
            _ if algorithm == P384 && is_uncompressed => {
                P384VerifyingKey(key.try_into().map_err(|_| UnfitKey::Form)?).into()
            }
            _ if algorithm == RSA => RsaVerifyingKey::from_der(key).map_err(|_| unfit_rsa(key))?.into(),
            _ => return Err(UnfitKey::Form),
        };
        Ok(Self(key))
    }

    /// Its kind.
    pub fn kind(&self) -> KeyKind {
        match &self.0 {
            VerifyingKey::P256(_) => KeyKind::P256,
            VerifyingKey::P384(_) => KeyKind::P384,
            VerifyingKey::Rsa(rsa) => match rsa.bits() {
                ..=2048 => KeyKind::Rsa2048,
                2049..=3072 => KeyKind::Rsa3072,
                _ => KeyKind::Rsa4096,
            },
        }
    }

    /// The SubjectPublicKeyInfo, DER.
    pub fn spki(&self) -> Vec<u8> {
        let algorithm: &[u8] = match &self.0 {
            VerifyingKey::P256(_) => &P256,
            VerifyingKey::P384(_) => &P384,
            VerifyingKey::Rsa(_) => &RSA,
        };
        let bits = write(BIT_STRING, &[&[0], self.0.as_bytes()]);
        let spki = bits.and_then(|bits| write(SEQUENCE, &[algorithm, &bits]));
        spki.expect("the longest key, RSA of 4096 bits, has 526 bytes")
    }

    /// The key that verifies.
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.0
    }

    /// The key of a CA, which is valid for ten years and more: RSA of 2048 bits is too short for that (SP 800-57 part 1, table 4).
    pub(crate) fn of_ca(key: VerifyingKey) -> Result<Self, PkiError> {
        match key {
            VerifyingKey::Rsa(rsa) if rsa.bits() < MIN_CA_RSA_BITS => Err(PkiError::CaAlgorithm),
            key => Ok(Self(key)),
        }
    }

    /// The key identifier: the leftmost 160 bits of the SHA-256 of the key (RFC 7093 §2, method 1).
    pub fn id(&self) -> [u8; 20] {
        let mut id: KeyId = [0; 20];
        id.copy_from_slice(&Digest::of(self.0.as_bytes()).0[..20]);
        id
    }
}

impl SubjectKey {
    /// The key identifier that most CA software gives a key: the SHA-1 of it (RFC 5280 §4.2.1.2, method 1). A CA that another PKI is to certify
    /// as well has it, so that both certificates name the key alike. It is a name, and secures nothing.
    pub fn common_id(&self) -> [u8; 20] {
        danger_sha1_to_name(self.0.as_bytes())
    }
}

/// Why a key is not certified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnfitKey {
    /// It is of another algorithm or curve, or in another encoding.
    Form,
    /// The exponent of an RSA key is not 65537: a small one lets some protocols be broken, and none needs another (SP 800-56B §6.2).
    Exponent,
    /// The modulus is even, has another length, or a small factor.
    Modulus,
    /// It is of a generator whose keys can be factored.
    Roca,
}

/// The algorithm and the key in a SubjectPublicKeyInfo.
fn split(spki: &[u8]) -> Option<(&[u8], &[u8])> {
    let (content, after) = element(spki, SEQUENCE)?;
    let (_, rest) = element(content, SEQUENCE)?;
    let algorithm = &content[..content.len() - rest.len()];
    let (bits, end) = element(rest, BIT_STRING)?;
    let [0, key @ ..] = bits else { return None };
    (after.is_empty() && end.is_empty()).then_some((algorithm, key))
}

/// What is wrong with an RSAPublicKey that was not taken.
fn unfit_rsa(der: &[u8]) -> UnfitKey {
    let numbers = || {
        let (content, _) = element(der, SEQUENCE)?;
        let (modulus, rest) = element(content, INTEGER)?;
        let (exponent, end) = element(rest, INTEGER)?;
        end.is_empty().then_some((modulus, exponent))
    };
    match numbers() {
        Some((_, exponent)) if exponent != [1, 0, 1] => UnfitKey::Exponent,
        Some(_) => UnfitKey::Modulus,
        None => UnfitKey::Form,
    }
}

impl From<VerifyingKey> for SubjectKey {
    fn from(key: VerifyingKey) -> Self {
        Self(key)
    }
}

impl From<&PublicKey> for SubjectKey {
    fn from(key: &PublicKey) -> Self {
        Self(VerifyingKey::P256(*key.verifying_key()))
    }
}

impl PublicKeyData for SubjectKey {
    fn der_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        algorithm::writer(self.0.algorithm())
    }
}

const MIN_CA_RSA_BITS: usize = 3072;

/// The first byte of an uncompressed point (SEC 1 §2.3.3).
const UNCOMPRESSED: u8 = 4;

/// `SEQUENCE { id-ecPublicKey, prime256v1 }`.
const P256: [u8; 21] = [
    0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07,
];

/// `SEQUENCE { id-ecPublicKey, secp384r1 }`.
const P384: [u8; 18] = [
    0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00,
    0x22,
];

/// `SEQUENCE { rsaEncryption, NULL }`.
const RSA: [u8; 15] =
    [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
