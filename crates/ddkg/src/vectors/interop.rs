//! The real ends, each against an end that is built here on another P-256 and on the vectors' private values.

use super::agreement::{Derived, ecdh_x, point, private};
use super::check::{Checked, owner, same, values, wrong};
use super::form::{Enrollment, File};
use super::given::{Given, IS_EXACT};
use crate::authority::{EnrollTerms, Record, Standing};
use crate::device::Enrolling;
use crate::message::{Confirmation, EnrollReply};
use crate::purposes::Purposes;
use crate::suite::{AuthorityShare, Suite};
use alloc::format;
use alloc::vec::Vec;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use wardein_crypto::{Digest, P256VerifyingKey, SigningError};

/// Where the part of a share begins that follows from the values that an end was given.
const FIXED: usize = if IS_EXACT { 0 } else { 65 };

/// The real device against an authority on `p256`.
pub(super) fn device_end(file: &File, given: &Enrollment, suite: Suite) -> Checked {
    let identity = SigningKey::from(private("authority_p256_private", &given.authority_p256_private)?);
    let point_of = identity.verifying_key().to_sec1_point(false);
    let pinned = P256VerifyingKey(point_of.as_bytes().try_into().map_err(wrong("identity"))?);
    let kem = [given.mlkem_keygen_d.as_ref(), given.mlkem_keygen_z.as_ref()];
    let drawn = kem.into_iter().chain([Some(&given.device_nonce)]);
    let mut entropy = Given::new(&given.device_p256_private, drawn);
    let begun = Enrolling::begin(pinned, suite, owner(file)?, values(file)?, &mut entropy);
    let enrolling = begun.map_err(wrong("begin"))?;
    let request = enrolling.request();
    same("device_nonce", &request.nonce[..], &given.device_nonce.0)?;
    same("device_share", &request.share.as_bytes()[FIXED..], &given.device_share.0[FIXED..])?;

    let own = private("authority_p256_private", &given.authority_p256_private)?;
    let mut ikm = ecdh_x(&own, &point("device_share", request.share.as_bytes())?);
    ikm.extend(given.mlkem_shared_secret.iter().flat_map(|shared| shared.0.clone()));
    let share = AuthorityShare::new(suite, &given.authority_share.0).map_err(wrong("authority_share"))?;
    let (generation, schedule) = (given.generation, given.schedule());
    let transcript = request.transcript(&share, generation, &schedule);
    let signature: Signature = identity.sign(transcript.as_ref());
    let derived = Derived::new(&ikm, &transcript);
    let (signature, confirmation) = (signature.to_der().as_bytes().to_vec(), derived.authority);
    let reply = EnrollReply { share, generation, schedule, signature, confirmation };
    let reply = EnrollReply::decode(&reply.encode()).map_err(wrong("reply"))?;
    let mut state = enrolling.finish(&reply, Purposes::ENROLLED).map_err(wrong("finish"))?;
    let confirmation = state.confirmation().ok_or("no confirmation")?.save(|_| Ok::<(), &str>(()))?;
    if IS_EXACT {
        same("device_confirmation", &confirmation.tag.0[..], &given.device_confirmation.0)?;
    }
    same("device_confirmation", &confirmation.tag.0, &derived.device.0)
}

/// The real authority against a device on `p256`.
pub(super) fn authority_end(file: &File, given: &Enrollment, suite: Suite) -> Checked {
    let request = given.request(file, suite)?;
    let (generation, schedule) = (given.generation, given.schedule());
    let terms = EnrollTerms { generation, schedule, purposes: Purposes::ENROLLED };
    let mut signed = None;
    let sign = |transcript: &Digest| -> Result<Vec<u8>, SigningError> {
        signed = Some(*transcript);
        Ok([0; 70].to_vec())
    };
    let mut entropy = Given::new(&given.authority_p256_private, [given.mlkem_encaps_m.as_ref()]);
    let enrolled = Record::enroll(None, &request, &terms, sign, &mut entropy).map_err(wrong("enroll"))?;
    let (reply, mut record) = (enrolled.reply, enrolled.record.ok_or("no record")?);
    same("authority_share", &reply.share.as_bytes()[FIXED..], &given.authority_share.0[FIXED..])?;

    let own = private("device_p256_private", &given.device_p256_private)?;
    let mut ikm = ecdh_x(&own, &point("authority_share", reply.share.as_bytes())?);
    ikm.extend(decapsulated(given, &reply.share)?);
    let transcript = request.transcript(&reply.share, generation, &schedule);
    same("signed transcript", &signed, &Some(transcript))?;
    let derived = Derived::new(&ikm, &transcript);
    same("authority_confirmation", &reply.confirmation.0, &derived.authority.0)?;
    if IS_EXACT {
        same("authority_confirmation", &reply.confirmation.0[..], &given.authority_confirmation.0)?;
    }
    let confirmation = Confirmation { device: owner(file)?, tag: derived.device };
    same("confirm", &record.confirm(&confirmation), &Ok(true))
        .map_err(|error| format!("confirm: {error}"))?;
    same("standing", &record.standing(), &Standing::Enrolled)
}

#[cfg(not(feature = "suite2"))]
fn decapsulated(_: &Enrollment, _: &AuthorityShare) -> Checked<Option<u8>> {
    Ok(None)
}

#[cfg(feature = "suite2")]
fn decapsulated(given: &Enrollment, share: &AuthorityShare) -> Checked<Vec<u8>> {
    let (Some(d), Some(z)) = (&given.mlkem_keygen_d, &given.mlkem_keygen_z) else { return Ok(Vec::new()) };
    let d_z = [d.0.clone(), z.0.clone()].concat();
    let seed = wardein_crypto::MlKemSeed::new(wardein_crypto::Secret::copied_from(
        d_z.as_slice().try_into().map_err(wrong("d, z"))?,
    ));
    let ciphertext = share.as_bytes().last_chunk().ok_or("authority_share: has no ciphertext")?;
    Ok(seed.decapsulate(ciphertext).expose().to_vec())
}
