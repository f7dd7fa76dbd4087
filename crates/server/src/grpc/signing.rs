//! Keys that devices sign with: enrolling them, and what is asked with them.

use crate::grpc::convert::{at_most, bytes32, device_name, parse, parse_optional, wrong};
use wardein_attest::PcrSelection;
use wardein_crypto::SecretBytes;
use wardein_ddkg::Challenge;
use wardein_domain::{KeyKeeper, PCRS, ProfileName};
use wardein_engine::{
    EnrolledKey, Error, KeyOrder, Quote, SignedReply, SignedRequest, TpmActivation, TpmChallenge, TpmEvidence,
};
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

fn quote(given: v1::Quote) -> Result<Quote, Error> {
    if given.values.len() > usize::from(PCRS) {
        let count = given.values.len();
        return Err(wrong("quote.values", format_args!("are {count}; it takes at most {PCRS}")));
    }
    let values = given.values.into_iter().enumerate();
    let values = values.map(|(i, value)| at_most(&format!("quote.values[{i}]"), value, MAX_VALUE));
    Ok(Quote {
        attested: at_most("quote.attested", given.attested, MAX_ATTESTED)?,
        signature: at_most("quote.signature", given.signature, MAX_PUBLIC)?,
        values: values.collect::<Result<_, _>>()?,
    })
}

pub(crate) fn selection(selection: PcrSelection) -> v1::PcrSelection {
    let registers = selection.registers().map(u32::from).collect();
    v1::PcrSelection { bank: selection.bank().name().to_owned(), registers }
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

/// The request, and the body that it is about.
pub(crate) fn signed(request: v1::ProveBySignatureRequest) -> Result<(SignedRequest, Vec<u8>), Error> {
    let signed = SignedRequest {
        device: device_name(&request.tenant, &request.device_id)?,
        challenge: Challenge::new(&request.challenge).map_err(|error| wrong("challenge", error))?,
        nonce: bytes32("device_nonce", &request.device_nonce)?,
        action: parse("action", &request.action)?,
        signature: at_most("signature", request.signature, MAX_SIGNATURE)?,
        quote: request.quote.map(quote).transpose()?,
    };
    Ok((signed, request.body))
}

pub(crate) fn reply(reply: SignedReply) -> v1::ProveBySignatureResponse {
    let SignedReply { server_time, body, signature } = reply;
    v1::ProveBySignatureResponse { server_time, body, signature }
}

// What `wardein-attest` and `wardein-pki` read at most; they judge it again.
const MAX_CERTIFICATES: usize = 5;
const MAX_CERTIFICATE: usize = 4 * 1024;
const MAX_PUBLIC: usize = 640;
const MAX_ATTESTED: usize = 320;
const MAX_CSR: usize = 4 * 1024;
// Of the largest bank that is taken.
const MAX_VALUE: usize = 48;
// A ticket has some 200 bytes beside an attestation key of at most 640, a model and a UDI.
const MAX_TICKET: usize = 2 * 1024;
const MAX_SIGNATURE: usize = wardein_crypto::P256_SIGNATURE_MAX;
