//! Enrollment of keys that devices sign with.

use crate::grpc::convert::{at_most, parse, parse_optional, wrong};
use crate::grpc::quote::{quote, selection};
use wardein_crypto::SecretBytes;
use wardein_domain::{KeyKeeper, ProfileName};
use wardein_engine::{EnrolledKey, Error, KeyOrder, TpmActivation, TpmChallenge, TpmEvidence};
use wardein_proto::v1;

fn order(device: &str, profile: &str, model: &str, udi: &str) -> Result<KeyOrder, Error> {
    let profile = if profile.is_empty() { ProfileName::DEFAULT } else { profile };
    Ok(KeyOrder {
        device: parse("device_id", device)?,
        profile: parse("profile", profile)?,
        model: parse_optional("model", model)?,
        udi: parse_optional("udi", udi)?,
    })
}

pub(crate) fn evidence(request: v1::BeginTpmEnrollmentRequest) -> Result<TpmEvidence, Error> {
    if request.ek_certificates.len() > MAX_CERTIFICATES {
        let count = request.ek_certificates.len();
        return Err(wrong(
            "ek_certificates",
            format_args!("are {count}; it takes at most {MAX_CERTIFICATES}"),
        ));
    }
    let certificates = request.ek_certificates.into_iter().enumerate();
    let certificates =
        certificates.map(|(i, der)| at_most(&format!("ek_certificates[{i}]"), der, MAX_CERTIFICATE));
    Ok(TpmEvidence {
        order: order(&request.device_id, &request.profile, &request.model, &request.udi)?,
        ek_public: at_most("ek_public", request.ek_public, MAX_PUBLIC)?,
        ek_certificates: certificates.collect::<Result<_, _>>()?,
        ak_public: at_most("ak_public", request.ak_public, MAX_PUBLIC)?,
    })
}

pub(crate) fn challenge(challenge: TpmChallenge) -> v1::BeginTpmEnrollmentResponse {
    v1::BeginTpmEnrollmentResponse {
        ticket: challenge.ticket,
        id_object: challenge.id_object,
        encrypted_secret: challenge.encrypted_secret,
        nonce: challenge.nonce.to_vec(),
        expires_at: challenge.expires_at,
        quote: challenge.quote.map(selection),
    }
}

pub(crate) fn activation(request: v1::FinishTpmEnrollmentRequest) -> Result<TpmActivation, Error> {
    let secret = SecretBytes::from_vec(request.secret);
    if secret.expose().len() != 32 {
        let length = secret.expose().len();
        return Err(wrong("secret", format_args!("has {length} bytes; it takes 32")));
    }
    Ok(TpmActivation {
        device: parse("device_id", &request.device_id)?,
        ticket: at_most("ticket", request.ticket, MAX_TICKET)?,
        secret,
        device_key: at_most("device_key", request.device_key, MAX_PUBLIC)?,
        attested: at_most("attested", request.attested, MAX_ATTESTED)?,
        signature: at_most("signature", request.signature, MAX_PUBLIC)?,
        quote: request.quote.map(quote).transpose()?,
    })
}

/// The order, what keeps the key, and the request for it.
pub(crate) fn key(request: v1::EnrollKeyRequest) -> Result<(KeyOrder, KeyKeeper, Vec<u8>), Error> {
    let order = order(&request.device_id, &request.profile, &request.model, &request.udi)?;
    Ok((order, parse("keeper", &request.keeper)?, at_most("csr", request.csr, MAX_CSR)?))
}

pub(crate) fn enrolled(enrolled: &EnrolledKey) -> v1::EnrolledKey {
    v1::EnrolledKey {
        tenant: enrolled.tenant.to_string(),
        key_id: enrolled.key_id.to_vec(),
        assurance: enrolled.assurance.to_string(),
    }
}

// What `wardein-attest` and `wardein-pki` read at most; they judge it again.
const MAX_CERTIFICATES: usize = 5;
const MAX_CERTIFICATE: usize = 4 * 1024;
const MAX_PUBLIC: usize = 640;
const MAX_ATTESTED: usize = 320;
const MAX_CSR: usize = 4 * 1024;
// A ticket has some 200 bytes beside an attestation key of at most 640, a model and a UDI.
const MAX_TICKET: usize = 2 * 1024;
