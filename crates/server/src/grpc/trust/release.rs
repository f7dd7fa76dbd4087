//! Tokens, keys and payloads that platforms bring and take.

use super::convert::answer;
use crate::grpc::convert::{parse, wrong};
use crate::grpc::wiped::wiped;
use crate::grpc::words::Answered;
use v1::release_key_request::Key;
use wardein_crypto::{AES_256_GCM_NONCE_LEN, Digest, TAG_LEN};
use wardein_ddkg::KeyName;
use wardein_ddkg::message::{FileStanza, MAX_PLATFORM_NONCE, SealedPayload, Token};
use wardein_engine::{Error, LoggedIn, OpenAsk, ReleaseAsk, Sealed, TokenAsk, Unsealed};
use wardein_proto::{time, v1};

pub(crate) fn token_ask(request: &v1::VerifyTokenRequest) -> Result<TokenAsk, Error> {
    bounded("token", &request.token, 1..=MAX_TOKEN)?;
    bounded("platform_nonce", &request.platform_nonce, 0..=MAX_PLATFORM_NONCE)?;
    Ok(TokenAsk {
        token: Token::decode(&request.token).map_err(|error| wrong("token", error))?,
        platform_nonce: request.platform_nonce.clone(),
        idempotency: idempotency(&request.idempotency_key)?,
    })
}

pub(crate) fn logged_in(logged_in: LoggedIn) -> v1::VerifyTokenResponse {
    let LoggedIn { answer: given, user_name, organization, groups, issued_at } = logged_in;
    v1::VerifyTokenResponse {
        trust: Some(answer(given)),
        user_name,
        organization,
        groups,
        issued_at: time::at_if_it_is_one(issued_at),
    }
}

pub(crate) fn release_ask(request: v1::ReleaseKeyRequest) -> Result<ReleaseAsk, Error> {
    let sealed = match request.key {
        Some(Key::KeyName(name)) => Sealed::Payload(parse("key_name", &name)?),
        Some(Key::File(file)) => Sealed::File(stanza("file", &file)?),
        None => return Err(wrong("key", "is missing; it takes key_name or file")),
    };
    let (reason, idempotency) = (parse("reason", &request.reason)?, idempotency(&request.idempotency_key)?);
    Ok(ReleaseAsk { sealed, reason, idempotency })
}

pub(crate) fn released(unsealed: Unsealed) -> v1::ReleaseKeyResponse {
    v1::ReleaseKeyResponse { sealed_by: Some(sealed_by(&unsealed)), key: wiped(unsealed.secret) }
}

pub(crate) fn open_ask(request: v1::OpenRequest) -> Result<OpenAsk, Error> {
    bounded("sealed", &request.sealed, 1..=MAX_SEALED)?;
    bounded("additional_data", &request.additional_data, 0..=MAX_ADDITIONAL)?;
    let sealed = SealedPayload::decode(&request.sealed).map_err(|error| wrong("sealed", error))?;
    let length = sealed.plaintext_len();
    if length > MAX_PLAINTEXT {
        let most = MAX_PLAINTEXT;
        return Err(wrong(
            "sealed",
            format_args!("has {length} bytes of plaintext; it takes at most {most}"),
        ));
    }
    Ok(OpenAsk {
        sealed,
        additional: request.additional_data,
        reason: parse("reason", &request.reason)?,
        idempotency: idempotency(&request.idempotency_key)?,
    })
}

pub(crate) fn opened(unsealed: Unsealed) -> v1::OpenResponse {
    v1::OpenResponse { sealed_by: Some(sealed_by(&unsealed)), plaintext: wiped(unsealed.secret) }
}

/// The stanza in `field`.
pub(super) fn stanza(field: &str, file: &v1::FileStanza) -> Result<FileStanza, Error> {
    let v1::FileStanza { arguments, body } = file;
    bounded(&format!("{field}.arguments"), arguments.as_bytes(), 1..=MAX_ARGUMENTS)?;
    FileStanza::parse(arguments, body).map_err(|error| wrong(field, error))
}

pub(super) fn sealed_by(unsealed: &Unsealed) -> v1::SealedBy {
    let owner = &unsealed.key_name.owner;
    v1::SealedBy {
        tenant: owner.tenant.to_string(),
        device_id: owner.device.to_string(),
        state: unsealed.state.wire(),
        key_name: unsealed.key_name.to_string(),
    }
}

pub(super) fn idempotency(key: &[u8]) -> Result<Digest, Error> {
    bounded("idempotency_key", key, 16..=64)?;
    Ok(Digest::of(key))
}

fn bounded(field: &str, bytes: &[u8], range: std::ops::RangeInclusive<usize>) -> Result<(), Error> {
    let (length, min, max) = (bytes.len(), range.start(), range.end());
    match range.contains(&length) {
        true => Ok(()),
        false => Err(wrong(field, format_args!("has {length} bytes; it takes {min} to {max}"))),
    }
}

/// More than the longest token has.
const MAX_TOKEN: usize = 1024;
/// The type of the stanza, a space, and a name.
const MAX_ARGUMENTS: usize = 6 + KeyName::MAX_LEN;
const MAX_PLAINTEXT: usize = 8 * 1024;
/// The most plaintext, and its envelope: kind, framed name, nonce, framed ciphertext with its tag.
const MAX_SEALED: usize = MAX_PLAINTEXT + 1 + 4 + KeyName::MAX_LEN + AES_256_GCM_NONCE_LEN + 4 + TAG_LEN;
const MAX_ADDITIONAL: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn starts_with(error: Error, field: &str) {
        assert!(error.message.starts_with(&format!("{field}: ")), "{field}: {}", error.message);
        assert_eq!(error.code, wardein_engine::ErrorCode::Malformed);
    }

    #[test]
    fn each_field_of_a_release_is_judged_and_named() {
        let good = || v1::ReleaseKeyRequest {
            key: Some(Key::KeyName("ddkg1:t/d/1.data.0.0".into())),
            reason: "archive".into(),
            idempotency_key: vec![0; 16],
        };
        let file = |arguments: &str, length| {
            Some(Key::File(v1::FileStanza { arguments: arguments.into(), body: vec![0; length] }))
        };
        assert!(release_ask(good()).is_ok());
        let stanza = file("ddkg1 ddkg1:t/d/1.file.0.0", 32);
        assert!(release_ask(v1::ReleaseKeyRequest { key: stanza, ..good() }).is_ok());
        for (field, spoiled) in [
            ("key", v1::ReleaseKeyRequest { key: None, ..good() }),
            ("key_name", v1::ReleaseKeyRequest { key: Some(Key::KeyName("t/d".into())), ..good() }),
            ("file", v1::ReleaseKeyRequest { key: file("ddkg1 ddkg1:t/d/1.file.0.0", 31), ..good() }),
            ("file", v1::ReleaseKeyRequest { key: file("ddkg1 ddkg1:t/d/1.data.0.0", 32), ..good() }),
            ("file", v1::ReleaseKeyRequest { key: file("X25519 ddkg1:t/d/1.file.0.0", 32), ..good() }),
            ("file.arguments", v1::ReleaseKeyRequest { key: file(&"d".repeat(300), 32), ..good() }),
            ("reason", v1::ReleaseKeyRequest { reason: String::new(), ..good() }),
            ("idempotency_key", v1::ReleaseKeyRequest { idempotency_key: vec![0; 15], ..good() }),
            ("idempotency_key", v1::ReleaseKeyRequest { idempotency_key: vec![0; 65], ..good() }),
        ] {
            starts_with(release_ask(spoiled).unwrap_err(), field);
        }
    }

    #[test]
    fn the_largest_payload_that_is_opened_has_8_kib() {
        let owner = format!("ddkg1:{}/{}", "t".repeat(63), "d".repeat(128));
        let longest = format!("{owner}/{}.data.{}.{}", u64::MAX, u32::MAX, i64::MAX);
        let sealed = |name: &str, plaintext: usize| {
            let framed = |bytes: &[u8]| [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat();
            let ciphertext = framed(&vec![0; plaintext + 16]);
            [&[8][..], &framed(name.as_bytes()), &[0; 12], &ciphertext].concat()
        };
        let ask = |name: &str, length| {
            let reason = "test".into();
            open_ask(v1::OpenRequest {
                sealed: sealed(name, length),
                reason,
                idempotency_key: vec![0; 16],
                ..Default::default()
            })
        };
        for name in [&*longest, "ddkg1:t/d/1.data.0.0"] {
            assert!(ask(name, 8 * 1024).is_ok());
            starts_with(ask(name, 8 * 1024 + 1).unwrap_err(), "sealed");
        }
    }
}
