//! Enrollment of keys that devices sign with.

use crate::grpc::convert::{at_most, parse, parse_optional, wrong};
use crate::grpc::quote::{quote, selection};
use crate::grpc::words::{Answered, Asked};
use wardein_attest::{Attested, Public, Signature};
use wardein_crypto::SecretBytes;
use wardein_domain::{EnrolledKey, KeyKeeper, ProfileName, TpmChallenge, TpmEvidence};
use wardein_engine::{Error, KeyOrder, TpmActivation};
use wardein_pki::{Csr, EndorsementChain};
use wardein_proto::{time, v1};

fn order(device: &str, profile: &str, model: &str, udi: &str) -> Result<KeyOrder, Error> {
    let profile = if profile.is_empty() { ProfileName::DEFAULT } else { profile };
    Ok(KeyOrder {
        device: parse("device_id", device)?,
        profile: parse("profile", profile)?,
        model: parse_optional("model", model)?,
        udi: parse_optional("udi", udi)?,
    })
}

/// The order, and the evidence.
pub(crate) fn evidence(request: v1::BeginTpmEnrollmentRequest) -> Result<(KeyOrder, TpmEvidence), Error> {
    let (count, max) = (request.ek_certificates.len(), EndorsementChain::MAX_CERTIFICATES);
    if count > max {
        return Err(wrong("ek_certificates", format_args!("are {count}; it takes at most {max}")));
    }
    let certificates = request.ek_certificates.into_iter().enumerate();
    let certificates = certificates
        .map(|(i, der)| at_most(&format!("ek_certificates[{i}]"), der, EndorsementChain::MAX_LEN));
    let order = order(&request.device_id, &request.profile, &request.model, &request.udi)?;
    let evidence = TpmEvidence {
        ek_public: at_most("ek_public", request.ek_public, Public::MAX_LEN)?,
        ek_certificates: certificates.collect::<Result<_, _>>()?,
        ak_public: at_most("ak_public", request.ak_public, Public::MAX_LEN)?,
    };
    Ok((order, evidence))
}

pub(crate) fn challenge((challenge, expires_at): (TpmChallenge, u64)) -> v1::BeginTpmEnrollmentResponse {
    v1::BeginTpmEnrollmentResponse {
        ticket: challenge.ticket,
        id_object: challenge.id_object,
        encrypted_secret: challenge.encrypted_secret,
        nonce: challenge.nonce.to_vec(),
        expires_at: time::at(expires_at),
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
        device_key: at_most("device_key", request.device_key, Public::MAX_LEN)?,
        attested: at_most("attested", request.attested, Attested::MAX_LEN)?,
        signature: at_most("signature", request.signature, Signature::MAX_LEN)?,
        quote: request.quote.map(quote).transpose()?,
    })
}

/// The order, the keeper of the key, and the request for it.
pub(crate) fn key(request: v1::EnrollKeyRequest) -> Result<(KeyOrder, KeyKeeper, Vec<u8>), Error> {
    let order = order(&request.device_id, &request.profile, &request.model, &request.udi)?;
    Ok((order, Asked::asked("keeper", request.keeper)?, at_most("csr", request.csr, Csr::MAX_LEN)?))
}

pub(crate) fn finished(enrolled: &EnrolledKey) -> v1::FinishTpmEnrollmentResponse {
    v1::FinishTpmEnrollmentResponse {
        tenant: enrolled.tenant.to_string(),
        key_id: enrolled.key_id.to_vec(),
        assurance: enrolled.assurance.wire(),
    }
}

pub(crate) fn enrolled(enrolled: &EnrolledKey) -> v1::EnrollKeyResponse {
    let v1::FinishTpmEnrollmentResponse { tenant, key_id, assurance } = finished(enrolled);
    v1::EnrollKeyResponse { tenant, key_id, assurance }
}

// A ticket has some 200 bytes beside an attestation key, a model and a UDI.
const MAX_TICKET: usize = 2 * 1024;
