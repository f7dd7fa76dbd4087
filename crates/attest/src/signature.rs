//! TPMT_SIGNATURE (TPM 2.0 Library, part 2, §11.3.4).

use crate::algorithm::{Scheme, read_scheme};
use crate::public::{Key, MAX_MODULUS};
use crate::wire::{Fault, ParseError, Reader};
use wardein_crypto::InvalidSignature;
use wardein_crypto::tpm::MAX_COORDINATE;

/// A signature, with the scheme that it claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature<'a> {
    pub(crate) scheme: Scheme,
    numbers: Numbers<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Numbers<'a> {
    Rsa(&'a [u8]),
    Ecdsa { r: &'a [u8], s: &'a [u8] },
}

impl<'a> Signature<'a> {
    /// The most bytes of a TPMT_SIGNATURE: RSA of 4096 bits.
    pub const MAX_LEN: usize = 6 + MAX_MODULUS;

    /// Reads a TPMT_SIGNATURE: what `tpm2_quote --format tss` and `tpm2_certify --format tss` write.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let mut reader = Reader::open("TPMT_SIGNATURE", bytes, Self::MAX_LEN)?;
        let scheme =
            read_scheme(&mut reader, "sigAlg")?.ok_or_else(|| reader.fault("sigAlg", Fault::Unsupported))?;
        let numbers = match scheme {
            Scheme::Rsa(..) => Numbers::Rsa(reader.sized("sig", MAX_MODULUS)?),
            Scheme::Ecdsa(_) => Numbers::Ecdsa {
                r: reader.sized("signatureR", MAX_COORDINATE)?,
                s: reader.sized("signatureS", MAX_COORDINATE)?,
            },
        };
        reader.end()?;
        Ok(Self { scheme, numbers })
    }

    /// Whether it is one of `message` by the owner of `key`.
    pub(crate) fn verify(&self, key: &Key, message: &[u8]) -> Result<(), InvalidSignature> {
        match (key, self.scheme, self.numbers) {
            (Key::Rsa(key), Scheme::Rsa(scheme, hash), Numbers::Rsa(signature)) => {
                key.verify(scheme, hash, message, signature)
            }
            (Key::Ec(key), Scheme::Ecdsa(_), Numbers::Ecdsa { r, s }) => key.verify(message, r, s),
            _ => Err(InvalidSignature),
        }
    }
}
