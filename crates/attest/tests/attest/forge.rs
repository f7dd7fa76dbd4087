//! A TPM that says what a test wants: keys and statements made by hand, signed in software.

use wardein_attest::{AkPublic, EkPublic, EkTrust, Endorsed, TrustedAk};
use wardein_crypto::P256SigningKey;
use wardein_pki::VendorRoots;

pub(crate) const NONCE: [u8; 32] = *b"a nonce of thirty-two bytes, yes";

/// fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth.
pub(crate) const BOUND: u32 = 0x72;
pub(crate) const RESTRICTED: u32 = 1 << 16;
pub(crate) const DECRYPT: u32 = 1 << 17;
pub(crate) const SIGN: u32 = 1 << 18;

pub(crate) const AES_128_CFB: &[u8] = &[0, 6, 0, 128, 0, 0x43];
pub(crate) const NULL: &[u8] = &[0, 0x10];
pub(crate) const ECDSA_SHA256: &[u8] = &[0, 0x18, 0, 0x0b];
pub(crate) const SHA256: u16 = 0x000b;

/// A TPM2B_PUBLIC of a key on P-256 in its parts.
#[derive(Clone)]
pub(crate) struct Area {
    pub(crate) kind: u16,
    pub(crate) name_hash: u16,
    pub(crate) attributes: u32,
    pub(crate) policy: Vec<u8>,
    pub(crate) symmetric: Vec<u8>,
    pub(crate) scheme: Vec<u8>,
    /// Curve and derivation, or bits and exponent.
    pub(crate) details: Vec<u8>,
    pub(crate) unique: Vec<u8>,
}

impl Area {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let area = [
            &self.kind.to_be_bytes()[..],
            &self.name_hash.to_be_bytes(),
            &self.attributes.to_be_bytes(),
            &sized(&self.policy),
            &self.symmetric,
            &self.scheme,
            &self.details,
            &self.unique,
        ]
        .concat();
        sized(&area)
    }

    fn p256(key: &P256SigningKey, attributes: u32, scheme: &[u8]) -> Self {
        let (x, y) = key.verifying_key().0[1..].split_at(32);
        Self {
            kind: 0x23,
            name_hash: SHA256,
            attributes,
            policy: Vec::new(),
            symmetric: NULL.to_vec(),
            scheme: scheme.to_vec(),
            details: vec![0, 3, 0, 0x10],
            unique: [sized(x), sized(y)].concat(),
        }
    }
}

/// The keys of a device, and those that a forger would like.
pub(crate) struct Forger {
    pub(crate) ek: P256SigningKey,
    pub(crate) ak: P256SigningKey,
    pub(crate) device: P256SigningKey,
}

impl Forger {
    pub(crate) fn new() -> Self {
        Self { ek: key(), ak: key(), device: key() }
    }

    /// An endorsement key by template L-2.
    pub(crate) fn ek_area(&self) -> Area {
        let mut area = Area::p256(&self.ek, 0xb2 | RESTRICTED | DECRYPT, NULL);
        area.symmetric = AES_128_CFB.to_vec();
        area.policy = crate::vectors::read("ek-p256.pub")[12..44].to_vec();
        area
    }

    pub(crate) fn ak_area(&self) -> Area {
        Area::p256(&self.ak, BOUND | RESTRICTED | SIGN, ECDSA_SHA256)
    }

    pub(crate) fn device_area(&self) -> Area {
        Area::p256(&self.device, BOUND | SIGN, NULL)
    }

    pub(crate) fn trusted(&self) -> TrustedAk {
        TrustedAk::assertion(AkPublic::parse(&self.ak_area().bytes()).unwrap())
    }

    /// Trusted because a list has it.
    pub(crate) fn endorsed(&self) -> Endorsed {
        let ek = EkPublic::parse(&self.ek_area().bytes()).unwrap();
        EkTrust::new(VendorRoots::default(), false).judge(ek, &[], true, 0).unwrap()
    }

    /// TPMT_SIGNATURE of a statement by the attestation key.
    pub(crate) fn sign(&self, attested: &[u8]) -> Vec<u8> {
        let der = self.ak.sign(attested).unwrap();
        // SEQUENCE { INTEGER r, INTEGER s }, each perhaps with a zero byte before it.
        let (r, rest) = integer(&der[2..]);
        let (s, _) = integer(rest);
        [ECDSA_SHA256, &sized(r), &sized(s)].concat()
    }
}

/// A TPMS_ATTEST in its parts.
#[derive(Clone)]
pub(crate) struct Statement {
    pub(crate) magic: u32,
    pub(crate) kind: u16,
    pub(crate) nonce: Vec<u8>,
    pub(crate) safe: u8,
    pub(crate) claim: Vec<u8>,
}

impl Statement {
    pub(crate) fn certify(area: &Area) -> Self {
        let name = name(area);
        let claim = [sized(&name), sized(&[0; 34])].concat();
        Self { magic: 0xff54_4347, kind: 0x8017, nonce: NONCE.to_vec(), safe: 1, claim }
    }

    /// Of registers 0 and 7 of the SHA-256 bank, with these values.
    pub(crate) fn quote(values: &[&[u8]]) -> Self {
        let digest = wardein_crypto::Digest::of(&values.concat());
        let claim = [&[0, 0, 0, 1, 0, 0x0b, 3, 0x81, 0, 0][..], &sized(&digest.0)].concat();
        Self { magic: 0xff54_4347, kind: 0x8018, nonce: NONCE.to_vec(), safe: 1, claim }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        [
            &self.magic.to_be_bytes()[..],
            &self.kind.to_be_bytes(),
            &sized(&[7; 34]),
            &sized(&self.nonce),
            &[0; 16],
            &[self.safe],
            &[0; 8],
            &self.claim,
        ]
        .concat()
    }
}

/// What a TPM calls this key.
pub(crate) fn name(area: &Area) -> Vec<u8> {
    let digest = wardein_crypto::Digest::of(&area.bytes()[2..]);
    [&SHA256.to_be_bytes()[..], &digest.0].concat()
}

/// A TPM2B.
pub(crate) fn sized(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes(), bytes].concat()
}

fn integer(der: &[u8]) -> (&[u8], &[u8]) {
    let (number, rest) = der[2..].split_at(der[1].into());
    (number.strip_prefix(&[0]).unwrap_or(number), rest)
}

fn key() -> P256SigningKey {
    P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap()
}
