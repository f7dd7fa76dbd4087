//! The keys of many files, by one request.

use super::batches::failure;
use super::release::{idempotency, sealed_by, stanza};
use crate::grpc::convert::{parse, wrong};
use crate::grpc::wiped::wiped;
use v1::file_key_result::Result as Came;
use wardein_crypto::SecretBytes;
use wardein_engine::{Error, FileKeys, FileKeysAsk, FileStanzas};
use wardein_proto::v1;

pub(super) fn file_keys_ask(request: v1::ReleaseFileKeysRequest) -> Result<FileKeysAsk, Error> {
    let v1::ReleaseFileKeysRequest { files, reason, idempotency_key } = request;
    // Before each is read.
    if files.len() > FileStanzas::MAX {
        let message = format_args!("has {} stanzas; it takes 1 to {}", files.len(), FileStanzas::MAX);
        return Err(wrong("files", message));
    }
    let stanzas = files.iter().enumerate().map(|(place, file)| stanza(&format!("files[{place}]"), file));
    Ok(FileKeysAsk {
        stanzas: FileStanzas::new(stanzas.collect::<Result<_, _>>()?)?,
        reason: parse("reason", &reason)?,
        idempotency: idempotency(&idempotency_key)?,
    })
}

pub(super) fn file_keys(keys: FileKeys, request_id: &str) -> v1::ReleaseFileKeysResponse {
    let FileKeys { results, digest } = keys;
    let mut secrets = SecretBytes::with_capacity(results.len() * FILE_KEY_LEN);
    let result = |came: Result<wardein_engine::Unsealed, Error>| {
        let came = match came {
            Ok(unsealed) => {
                secrets.extend(unsealed.secret.expose());
                Came::Released(sealed_by(&unsealed))
            }
            Err(error) => Came::Failure(failure(&error, request_id)),
        };
        v1::FileKeyResult { result: Some(came) }
    };
    let results = results.into_iter().map(result).collect();
    let digest = digest.map_or_else(Vec::new, |digest| digest.0.to_vec());
    v1::ReleaseFileKeysResponse { results, digest, keys: wiped(secrets) }
}

/// Of age (C2SP age, File key).
const FILE_KEY_LEN: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;
    use wardein_ddkg::KeyName;

    fn request(count: u32) -> v1::ReleaseFileKeysRequest {
        let file = |epoch| v1::FileStanza {
            arguments: format!("ddkg1 ddkg1:t/d/1.file.{epoch}.0"),
            body: vec![0; 32],
        };
        v1::ReleaseFileKeysRequest {
            files: (0..count).map(file).collect(),
            reason: "archive".into(),
            idempotency_key: vec![0; 16],
        }
    }

    #[test]
    fn each_field_is_judged_and_named() {
        assert!(file_keys_ask(request(1_000)).is_ok());
        let with = |change: fn(&mut v1::ReleaseFileKeysRequest)| {
            let mut request = request(3);
            change(&mut request);
            request
        };
        for (field, spoiled) in [
            ("files", request(0)),
            ("files", request(1_001)),
            ("files[2]", with(|it| it.files[2] = it.files[0].clone())),
            ("files[1]", with(|it| it.files[1].body = vec![0; 31])),
            ("files[1]", with(|it| it.files[1].arguments = "X25519 ddkg1:t/d/1.file.0.0".into())),
            ("files[2].arguments", with(|it| it.files[2].arguments = "d".repeat(300))),
            ("reason", with(|it| it.reason = "x".repeat(257))),
            ("idempotency_key", with(|it| it.idempotency_key = vec![0; 15])),
        ] {
            let error = file_keys_ask(spoiled).unwrap_err();
            assert!(error.message.starts_with(&format!("{field}: ")), "{field}: {}", error.message);
            assert_eq!(error.code, wardein_engine::ErrorCode::Malformed);
        }
    }

    #[test]
    fn the_longest_request_is_within_the_bound_of_its_method() {
        let longest = v1::FileStanza { arguments: "d".repeat(6 + KeyName::MAX_LEN), body: vec![0; 32] };
        let request = v1::ReleaseFileKeysRequest {
            files: vec![longest; FileStanzas::MAX],
            reason: "x".repeat(256),
            idempotency_key: vec![0; 64],
        };
        let bound = crate::edge::route::Route::Own(wardein_domain::Method::ReleaseFileKeys).message_bytes();
        assert!(request.encoded_len() <= bound, "{} of {bound}", request.encoded_len());
    }
}
