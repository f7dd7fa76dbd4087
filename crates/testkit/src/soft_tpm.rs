//! A simulated TPM 2.0: its keys are in this process. It follows the specification as a device's TPM does, which is why a TPM
//! that only claims to be one is trusted by a list or on first use, or not at all.

use p256::elliptic_curve::sec1::ToEncodedPoint;
use p256::{PublicKey, SecretKey, ecdh};
use wardein_crypto::tpm::{AesKeyLength, HashAlgorithm, cfb_encrypt, hmac, kdfa, kdfe};
use wardein_crypto::{Digest, Entropy, P256SigningKey, SecretBytes, SystemEntropy};

/// An endorsement key by template L-2 (TCG EK Credential Profile, annex B), an attestation key and a device key, all on P-256.
pub struct SoftTpm {
    endorsement: SecretKey,
    endorsement_point: [u8; 65],
    attestation: P256SigningKey,
    device: P256SigningKey,
}

impl SoftTpm {
    /// One with keys that nobody else has.
    ///
    /// # Panics
    ///
    /// If the operating system gives no random bytes.
    #[expect(clippy::new_without_default, reason = "a default that draws keys would surprise")]
    pub fn new() -> Self {
        let bytes: [u8; 32] = SystemEntropy::default().array().unwrap();
        // Nearly all 32 bytes are a key.
        let endorsement = SecretKey::from_slice(&bytes).unwrap();
        let point = endorsement.public_key().to_encoded_point(false);
        let endorsement_point = point.as_bytes().try_into().unwrap();
        Self { endorsement, endorsement_point, attestation: key(), device: key() }
    }

    /// TPM2B_PUBLIC of the endorsement key.
    pub fn ek_public(&self) -> Vec<u8> {
        public(&self.endorsement_point, 0xb2 | RESTRICTED | DECRYPT, &POLICY_A, &AES_128_CFB, &NULL)
    }

    /// Its entry on a factory's list.
    pub fn ek_digest(&self) -> [u8; 32] {
        Digest::of(&[&SPKI_PREFIX[..], &self.endorsement_point].concat()).0
    }

    /// TPM2B_PUBLIC of the attestation key.
    pub fn ak_public(&self) -> Vec<u8> {
        public(&self.attestation.verifying_key().0, BOUND | RESTRICTED | SIGN, &[], &NULL, &ECDSA_SHA256)
    }

    /// TPM2B_PUBLIC of the device's key.
    pub fn device_public(&self) -> Vec<u8> {
        public(&self.device.verifying_key().0, BOUND | SIGN, &[], &NULL, &NULL)
    }

    /// The device's key.
    pub fn device_key(&self) -> &P256SigningKey {
        &self.device
    }

    /// TPM2_ActivateCredential: the secret, or none if the credential is of another attestation key, or of another TPM.
    pub fn activate(&mut self, id_object: &[u8], encrypted_secret: &[u8]) -> Option<Vec<u8>> {
        let peer: [u8; 65] =
            [&[4], encrypted_secret.get(2..34)?, encrypted_secret.get(36..68)?].concat().try_into().ok()?;
        let public = PublicKey::from_sec1_bytes(&peer).ok()?;
        let shared = ecdh::diffie_hellman(self.endorsement.to_nonzero_scalar(), public.as_affine());
        let shared = SecretBytes::from_vec(shared.raw_secret_bytes().to_vec());
        let (hash, ak) = (HashAlgorithm::Sha256, self.ak_public());
        let seed = kdfe(hash, &shared, b"IDENTITY", &peer[1..33], &self.endorsement_point[1..33], 32);
        let name = [&[0, 0x0b], &Digest::of(&ak[2..]).0[..]].concat();
        let (mac, sealed) = id_object.get(2..)?.split_at_checked(32)?;
        let mac_key = kdfa(hash, &seed, b"INTEGRITY", &[], &[], 32);
        if hmac(hash, mac_key.expose(), &[sealed, &name]).as_ref() != mac {
            return None;
        }
        let cipher_key = kdfa(hash, &seed, b"STORAGE", &name, &[], 16);
        Some(cfb_decrypt(&cipher_key, sealed)?.get(2..)?.to_vec())
    }

    /// TPM2_Certify of the device's key by the attestation key: TPMS_ATTEST and TPMT_SIGNATURE.
    pub fn certify(&self, nonce: &[u8; 32]) -> (Vec<u8>, Vec<u8>) {
        let name = [&[0, 0x0b], &Digest::of(&self.device_public()[2..]).0[..]].concat();
        self.say(0x17, nonce, &[sized(&name), sized(&[0; 34])].concat())
    }

    /// TPM2_Quote of these PCRs of the bank for SHA-256, with the values that are given for them: TPMS_ATTEST and TPMT_SIGNATURE.
    pub fn quote(&self, nonce: &[u8; 32], registers: &[(u8, [u8; 32])]) -> (Vec<u8>, Vec<u8>) {
        let mask = registers.iter().fold(0_u32, |mask, (register, _)| mask | 1 << register).to_le_bytes();
        let values = registers.iter().flat_map(|(_, value)| *value).collect::<Vec<u8>>();
        let digest = sized(&Digest::of(&values).0);
        self.say(0x18, nonce, &[&[0, 0, 0, 1, 0, 0x0b, 3][..], &mask[..3], &digest].concat())
    }

    /// TPMS_ATTEST with this claim, and the attestation key's signature.
    fn say(&self, kind: u8, nonce: &[u8; 32], claim: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let head = [&[0xff, 0x54, 0x43, 0x47, 0x80, kind][..], &sized(&[7; 34]), &sized(nonce)].concat();
        let attested = [&head[..], &[0; 16], &[1], &[0; 8], claim].concat();
        let der = self.attestation.sign(&attested).unwrap();
        // SEQUENCE { INTEGER r, INTEGER s }, each perhaps with a zero byte before it.
        let (r, rest) = integer(&der[2..]);
        let (s, _) = integer(rest);
        let signature = [&ECDSA_SHA256[..], &sized(r), &sized(s)].concat();
        (attested, signature)
    }
}

/// CFB with a zero IV, by the cipher that only encrypts: its output for zeros after the known part is the next key stream.
fn cfb_decrypt(key: &SecretBytes, sealed: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    for block in sealed.chunks(16) {
        let known = plain.len();
        let mut stream = [&plain[..], &[0; 16]].concat();
        cfb_encrypt(AesKeyLength::Bits128, key, &mut stream)?;
        plain.extend(block.iter().zip(&stream[known..]).map(|(sealed, key)| sealed ^ key));
    }
    Some(plain)
}

fn public(point: &[u8; 65], attributes: u32, policy: &[u8], symmetric: &[u8], scheme: &[u8]) -> Vec<u8> {
    let (x, y) = point[1..].split_at(32);
    let kind_and_hash = [0, 0x23, 0, 0x0b];
    let curve_and_kdf = [0, 3, 0, 0x10];
    let area = [&kind_and_hash[..], &attributes.to_be_bytes(), &sized(policy), symmetric, scheme];
    let unique = [&curve_and_kdf[..], &sized(x), &sized(y)].concat();
    sized(&[area.concat(), unique].concat())
}

/// A TPM2B.
fn sized(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes(), bytes].concat()
}

fn integer(der: &[u8]) -> (&[u8], &[u8]) {
    let (number, rest) = der[2..].split_at(der[1].into());
    (number.strip_prefix(&[0]).unwrap_or(number), rest)
}

fn key() -> P256SigningKey {
    P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap()
}

/// fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth.
const BOUND: u32 = 0x72;
const RESTRICTED: u32 = 1 << 16;
const DECRYPT: u32 = 1 << 17;
const SIGN: u32 = 1 << 18;
const AES_128_CFB: [u8; 6] = [0, 6, 0, 128, 0, 0x43];
const NULL: [u8; 2] = [0, 0x10];
const ECDSA_SHA256: [u8; 4] = [0, 0x18, 0, 0x0b];

/// PolicySecret of the endorsement hierarchy (annex B, "PolicyA").
const POLICY_A: [u8; 32] = [
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd,
    0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
];

/// `SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING` up to the point.
const SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
