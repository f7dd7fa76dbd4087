//! Algorithms by the numbers that a TPM has for them (TCG Algorithm Registry, §6.1; TPM 2.0 Library, part 2, §6.3), of which only
//! those are known here that are taken.

use crate::wire::{Fault, ParseError, Reader};
use wardein_crypto::tpm::{AesKeyLength, Curve, HashAlgorithm, RsaScheme};

/// How a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// RSASSA or RSAPSS.
    Rsa(RsaScheme, HashAlgorithm),
    /// ECDSA.
    Ecdsa(HashAlgorithm),
}

impl Scheme {
    /// The hash of what is signed.
    pub fn hash(self) -> HashAlgorithm {
        match self {
            Self::Rsa(_, hash) | Self::Ecdsa(hash) => hash,
        }
    }
}

/// The hash that ECDSA takes on this curve.
pub(crate) fn hash_of(curve: Curve) -> HashAlgorithm {
    match curve {
        Curve::P256 => HashAlgorithm::Sha256,
        Curve::P384 => HashAlgorithm::Sha384,
    }
}

pub(crate) fn read_hash(reader: &mut Reader<'_>, field: &'static str) -> Result<HashAlgorithm, ParseError> {
    match reader.u16(field)? {
        SHA256 => Ok(HashAlgorithm::Sha256),
        SHA384 => Ok(HashAlgorithm::Sha384),
        _ => Err(reader.fault(field, Fault::Unsupported)),
    }
}

/// The number of a hash.
pub(crate) fn hash_number(hash: HashAlgorithm) -> u16 {
    match hash {
        HashAlgorithm::Sha256 => SHA256,
        HashAlgorithm::Sha384 => SHA384,
    }
}

/// A signing scheme: TPMT_RSA_SCHEME, TPMT_ECC_SCHEME, or the beginning of a TPMT_SIGNATURE. `None` is TPM_ALG_NULL.
pub(crate) fn read_scheme(
    reader: &mut Reader<'_>,
    field: &'static str,
) -> Result<Option<Scheme>, ParseError> {
    match reader.u16(field)? {
        NULL => Ok(None),
        RSASSA => Ok(Some(Scheme::Rsa(RsaScheme::Pkcs1, read_hash(reader, field)?))),
        RSAPSS => Ok(Some(Scheme::Rsa(RsaScheme::Pss, read_hash(reader, field)?))),
        ECDSA => Ok(Some(Scheme::Ecdsa(read_hash(reader, field)?))),
        _ => Err(reader.fault(field, Fault::Unsupported)),
    }
}

/// TPMT_SYM_DEF_OBJECT: AES in CFB mode, or none.
pub(crate) fn read_symmetric(reader: &mut Reader<'_>) -> Result<Option<AesKeyLength>, ParseError> {
    match reader.u16("symmetric")? {
        NULL => Ok(None),
        AES => {
            let (bits, mode) = (reader.u16("symmetric.keyBits")?, reader.u16("symmetric.mode")?);
            match (bits, mode) {
                (128, CFB) => Ok(Some(AesKeyLength::Bits128)),
                (256, CFB) => Ok(Some(AesKeyLength::Bits256)),
                _ => Err(reader.fault("symmetric", Fault::Unsupported)),
            }
        }
        _ => Err(reader.fault("symmetric", Fault::Unsupported)),
    }
}

pub(crate) fn read_curve(reader: &mut Reader<'_>) -> Result<Curve, ParseError> {
    match reader.u16("curveID")? {
        NIST_P256 => Ok(Curve::P256),
        NIST_P384 => Ok(Curve::P384),
        _ => Err(reader.fault("curveID", Fault::Unsupported)),
    }
}

pub(crate) const RSA: u16 = 0x0001;
pub(crate) const ECC: u16 = 0x0023;
pub(crate) const NULL: u16 = 0x0010;
const AES: u16 = 0x0006;
const SHA256: u16 = 0x000b;
const SHA384: u16 = 0x000c;
const RSASSA: u16 = 0x0014;
const RSAPSS: u16 = 0x0016;
const ECDSA: u16 = 0x0018;
const CFB: u16 = 0x0043;
const NIST_P256: u16 = 0x0003;
const NIST_P384: u16 = 0x0004;
