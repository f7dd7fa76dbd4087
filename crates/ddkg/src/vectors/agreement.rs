//! The agreements: each value from both ends, the elliptic curve with an implementation of its own.

use super::check::{Checked, array, owner, same, values, wrong};
use super::form::{Enrollment, File, Hex};
#[cfg(not(feature = "ring"))]
use super::given::Given;
use crate::derive::derive;
use crate::key::ConfirmKey;
use crate::message::EnrollRequest;
use crate::suite::{Agreed, AuthorityShare, DeviceShare, Suite};
use crate::tree::GenerationRoot;
use alloc::format;
use alloc::vec::Vec;
use p256::elliptic_curve::sec1::ToSec1Point;
use p256::{PublicKey, SecretKey, ecdh};
use wardein_crypto::{Digest, P256SigningKey, P256VerifyingKey, Tag};
use wardein_domain::Schedule;

/// The suite of an agreement with these shares; `None` where it is one that is built with the feature `suite2` only.
pub(super) fn suite(number: u16, device_share: &Hex, authority_share: &Hex) -> Checked<Option<Suite>> {
    if cfg!(not(feature = "suite2")) && number == 2 {
        let lengths = (device_share.0.len(), authority_share.0.len());
        return same("shares of suite 2", &lengths, &(65 + 1184, 65 + 1088)).map(|()| None);
    }
    Suite::from_number(number).map(Some).map_err(wrong("suite"))
}

/// The point at the front of a share.
pub(super) fn point(field: &str, share: &[u8]) -> Checked<PublicKey> {
    let point = share.get(..65).ok_or_else(|| format!("{field}: is too short"))?;
    PublicKey::from_sec1_bytes(point).map_err(wrong(field))
}

pub(super) fn private(field: &str, key: &Hex) -> Checked<SecretKey> {
    SecretKey::from_slice(&key.0).map_err(wrong(field))
}

pub(super) fn ecdh_x(own: &SecretKey, peer: &PublicKey) -> Vec<u8> {
    ecdh::diffie_hellman(own.to_nonzero_scalar(), peer.as_affine()).raw_secret_bytes().to_vec()
}

impl Enrollment {
    pub(super) fn suite(&self) -> Checked<Option<Suite>> {
        suite(self.suite, &self.device_share, &self.authority_share)
    }

    pub(super) fn schedule(&self) -> Schedule {
        Schedule { period: self.period, max_uses: self.max_uses, not_before: self.not_before }
    }

    pub(super) fn request(&self, file: &File, suite: Suite) -> Checked<EnrollRequest> {
        Ok(EnrollRequest {
            device: owner(file)?,
            nonce: array("device_nonce", &self.device_nonce)?,
            share: DeviceShare::new(suite, &self.device_share.0).map_err(wrong("device_share"))?,
            attributes: values(file)?,
        })
    }
}

/// The keys that both ends derive from an agreement.
pub(super) struct Derived {
    pub(super) root: GenerationRoot,
    pub(super) authority: Tag,
    pub(super) device: Tag,
}

impl Derived {
    pub(super) fn new(ikm: &[u8], transcript: &Digest) -> Self {
        let root = Agreed::from_ikm(ikm).root(transcript.as_ref(), transcript);
        let tag = |label| ConfirmKey::from(derive(&root.0, label, transcript.as_ref())).tag(transcript);
        let (authority, device) = (tag("confirm authority"), tag("confirm device"));
        Self { root, authority, device }
    }
}

pub(super) fn check(file: &File, given: &Enrollment, suite: Suite) -> Checked {
    let device = private("device_p256_private", &given.device_p256_private)?;
    let authority = private("authority_p256_private", &given.authority_p256_private)?;
    let half = |key: &SecretKey| key.public_key().to_sec1_point(false).as_bytes().to_vec();
    let front = |share: &Hex| share.0.get(..65).map(<[u8]>::to_vec).unwrap_or_default();
    same("device_share", &half(&device), &front(&given.device_share))?;
    same("authority_share", &half(&authority), &front(&given.authority_share))?;
    let x = ecdh_x(&device, &point("authority_share", &given.authority_share.0)?);
    same("ikm", &ecdh_x(&authority, &point("device_share", &given.device_share.0)?), &x)?;
    let mut ikm = x;
    ikm.extend(kem(given, suite)?);
    same("ikm", &ikm, &given.ikm.0)?;
    let request = given.request(file, suite)?;
    let share = AuthorityShare::new(suite, &given.authority_share.0).map_err(wrong("authority_share"))?;
    let transcript = request.transcript(&share, given.generation, &given.schedule());
    same("transcript", transcript.as_ref(), &given.transcript.0)?;
    let derived = Derived::new(&given.ikm.0, &transcript);
    same("generation_root", &derived.root.0.expose()[..], &given.generation_root.0)?;
    same("authority_confirmation", &derived.authority.0[..], &given.authority_confirmation.0)?;
    same("device_confirmation", &derived.device.0[..], &given.device_confirmation.0)?;
    signed(given, suite, &transcript)
}

/// The given signature with the given key. Only suite 2 may come without: a signature is the same in both.
fn signed(given: &Enrollment, suite: Suite, transcript: &Digest) -> Checked {
    match (&given.authority_identity_public, &given.signature) {
        (Some(identity), Some(signature)) => {
            let identity = P256VerifyingKey(array("authority_identity_public", identity)?);
            identity.verify(transcript.as_ref(), &signature.0).map_err(|_| "signature: is not verified")?;
        }
        (None, None) if suite != Suite::P256 => {}
        _ => return Err("authority_identity_public, signature: one or both are missing".into()),
    }
    #[cfg(feature = "ring")]
    let own = P256SigningKey::generate_pkcs8();
    #[cfg(not(feature = "ring"))]
    let own = P256SigningKey::generate_pkcs8_with(&mut Given::new(&given.device_p256_private, []));
    let own =
        own.and_then(|pkcs8| P256SigningKey::from_pkcs8(&pkcs8).map_err(|_| wardein_crypto::EntropyError));
    let own = own.map_err(|_| "signature: no key to sign with")?;
    let signature = own.sign(transcript.as_ref()).map_err(|_| "signature: signing failed")?;
    own.verifying_key()
        .verify(transcript.as_ref(), &signature)
        .map_err(|_| "signature: own is not verified".into())
}

#[cfg(not(feature = "suite2"))]
fn kem(given: &Enrollment, _: Suite) -> Checked<Vec<u8>> {
    none_of_kem(given)
}

#[cfg(feature = "suite2")]
fn kem(given: &Enrollment, suite: Suite) -> Checked<Vec<u8>> {
    use super::check::secret;
    use wardein_crypto::{MlKemSeed, Secret, ml_kem_encapsulate};
    if suite == Suite::P256 {
        return none_of_kem(given);
    }
    let (Some(d), Some(z)) = (&given.mlkem_keygen_d, &given.mlkem_keygen_z) else {
        return Err("mlkem_keygen_d, mlkem_keygen_z: are missing".into());
    };
    let (Some(m), Some(shared)) = (&given.mlkem_encaps_m, &given.mlkem_shared_secret) else {
        return Err("mlkem_encaps_m, mlkem_shared_secret: are missing".into());
    };
    let (d, z): ([u8; 32], [u8; 32]) = (array("mlkem_keygen_d", d)?, array("mlkem_keygen_z", z)?);
    let seed = MlKemSeed::new(Secret::filled(|out| out.copy_from_slice(&[d, z].concat())));
    let key = seed.encapsulation_key();
    same("device_share", &key[..], given.device_share.0.get(65..).unwrap_or_default())?;
    let encapsulated = ml_kem_encapsulate(&key, &secret("mlkem_encaps_m", m)?);
    let (ciphertext, ours) = encapsulated.map_err(|_| "device_share: is not an encapsulation key")?;
    same("authority_share", &ciphertext[..], given.authority_share.0.get(65..).unwrap_or_default())?;
    same("mlkem_shared_secret", &ours.expose()[..], &shared.0)?;
    same("mlkem_shared_secret", &seed.decapsulate(&ciphertext).expose()[..], &shared.0)?;
    Ok(shared.0.clone())
}

fn none_of_kem(given: &Enrollment) -> Checked<Vec<u8>> {
    let kem =
        [&given.mlkem_keygen_d, &given.mlkem_keygen_z, &given.mlkem_encaps_m, &given.mlkem_shared_secret];
    same("mlkem", &kem.iter().any(|field| field.is_some()), &false)?;
    Ok(Vec::new())
}
