//! TPM2B_PUBLIC: the public area of a key (TPM 2.0 Library, part 2, §12.2).

use crate::algorithm::{
    ECC, NULL, RSA, Scheme, hash_number, hash_of, read_curve, read_hash, read_scheme, read_symmetric,
};
use crate::wire::{Fault, ParseError, Reader};
use wardein_crypto::tpm::{AesKeyLength, EcPublicKey, HashAlgorithm, RsaPublicKey};

/// The public area of an RSA or elliptic-curve key, whose parts fit each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Public {
    pub(crate) attributes: Attributes,
    pub(crate) name_hash: HashAlgorithm,
    pub(crate) auth_policy: Vec<u8>,
    pub(crate) symmetric: Option<AesKeyLength>,
    pub(crate) scheme: Option<Scheme>,
    pub(crate) key: Key,
    name: Name,
}

/// The key itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// RSA of 2048, 3072 or 4096 bits.
    Rsa(RsaPublicKey),
    /// On P-256 or P-384.
    Ec(EcPublicKey),
}

impl Public {
    /// The most bytes of a TPM2B_PUBLIC that is looked at: RSA of 4096 bits with the longest policy needs 606.
    pub const MAX_LEN: usize = 640;

    /// Reads a TPM2B_PUBLIC, with its two bytes of length: what `TPM2_ReadPublic` gives and `tpm2_readpublic -o` writes.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let mut reader = Reader::open("TPM2B_PUBLIC", bytes, Self::MAX_LEN)?;
        let area = reader.sized("size", Self::MAX_LEN)?;
        reader.end()?;
        let mut reader = Reader::open("TPMT_PUBLIC", area, Self::MAX_LEN)?;
        let kind = reader.u16("type")?;
        let name_hash = read_hash(&mut reader, "nameAlg")?;
        let attributes = Attributes::read(&mut reader)?;
        let auth_policy = reader.sized("authPolicy", MAX_DIGEST)?.to_vec();
        let symmetric = match kind {
            RSA | ECC => read_symmetric(&mut reader)?,
            _ => return Err(reader.fault("type", Fault::Unsupported)),
        };
        let scheme = read_scheme(&mut reader, "scheme")?;
        let key = if kind == RSA { read_rsa(&mut reader)? } else { read_ec(&mut reader)? };
        let fits = match (scheme, &key) {
            (None, _) | (Some(Scheme::Rsa(..)), Key::Rsa(_)) => true,
            (Some(Scheme::Ecdsa(hash)), Key::Ec(key)) => hash == hash_of(key.curve()),
            _ => false,
        };
        if !fits {
            return Err(reader.fault("scheme", Fault::Unsupported));
        }
        reader.end()?;
        let name = Name::of(name_hash, area);
        Ok(Self { attributes, name_hash, auth_policy, symmetric, scheme, key, name })
    }

    /// The key's name: what a TPM calls it by.
    pub fn name(&self) -> &Name {
        &self.name
    }
}

/// The name of a key: the algorithm's number, and its digest of the TPMT_PUBLIC (part 1, §16).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(Vec<u8>);

impl Name {
    fn of(hash: HashAlgorithm, area: &[u8]) -> Self {
        Self([&hash_number(hash).to_be_bytes()[..], hash.digest(&[area]).as_ref()].concat())
    }

    /// Its bytes: 34 or 50.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// TPMA_OBJECT (part 2, §8.3): what a key may do and where it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes(u32);

impl Attributes {
    /// The key never leaves its TPM.
    pub const FIXED_TPM: Self = Self(1 << 1);
    /// It stays with its parent.
    pub const FIXED_PARENT: Self = Self(1 << 4);
    /// The TPM made it and nobody gave it in.
    pub const SENSITIVE_DATA_ORIGIN: Self = Self(1 << 5);
    /// Its use may be authorized by its value.
    pub const USER_WITH_AUTH: Self = Self(1 << 6);
    /// What concerns its administration needs its policy.
    pub const ADMIN_WITH_POLICY: Self = Self(1 << 7);
    /// It handles only what the TPM made itself.
    pub const RESTRICTED: Self = Self(1 << 16);
    /// It decrypts.
    pub const DECRYPT: Self = Self(1 << 17);
    /// It signs.
    pub const SIGN: Self = Self(1 << 18);

    /// All of these.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `others` are set.
    pub fn has(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// Whether any of `others` is set.
    pub fn has_any(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, ParseError> {
        let bits = reader.u32("objectAttributes")?;
        if bits & !DEFINED != 0 {
            return Err(reader.fault("objectAttributes", Fault::Value));
        }
        Ok(Self(bits))
    }
}

/// Beside those above: stClear, noDA, encryptedDuplication and x509sign.
const DEFINED: u32 = 0x0007_00f2 | 1 << 2 | 1 << 10 | 1 << 11 | 1 << 19;

/// TPMS_RSA_PARMS after its scheme, and the modulus (§12.2.3.5).
fn read_rsa(reader: &mut Reader<'_>) -> Result<Key, ParseError> {
    let bits = reader.u16("keyBits")?;
    // 0 stands for 2^16 + 1.
    if !matches!(reader.u32("exponent")?, 0 | 65_537) {
        return Err(reader.fault("exponent", Fault::Unsupported));
    }
    let modulus = reader.sized("unique", MAX_MODULUS)?;
    let key = RsaPublicKey::new(modulus).map_err(|_| reader.fault("unique", Fault::Value))?;
    if usize::from(bits) != modulus.len() * 8 {
        return Err(reader.fault("keyBits", Fault::Value));
    }
    Ok(Key::Rsa(key))
}

/// TPMS_ECC_PARMS after its scheme, and the point (§12.2.3.6).
fn read_ec(reader: &mut Reader<'_>) -> Result<Key, ParseError> {
    let curve = read_curve(reader)?;
    if reader.u16("kdf")? != NULL {
        return Err(reader.fault("kdf", Fault::Unsupported));
    }
    let x = reader.sized("unique.x", curve.coordinate())?;
    let y = reader.sized("unique.y", curve.coordinate())?;
    EcPublicKey::new(curve, x, y).map(Key::Ec).map_err(|_| reader.fault("unique", Fault::Value))
}

/// The longest digest that a TPM knows: SHA-512.
const MAX_DIGEST: usize = 64;

/// RSA of 4096 bits.
pub(crate) const MAX_MODULUS: usize = 512;
