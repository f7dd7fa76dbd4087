//! AWS Signature Version 4 (<https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>) of one request in
//! one chunk.
//!
//! Why our own lines: it is four HMACs over a text, and the crates that do it bring a client of HTTP, URLs that are signed in
//! advance, or the whole of AWS's API.

use super::credentials::Credentials;
use std::time::{Duration, UNIX_EPOCH};
use wardein_crypto::{Digest, hex, hmac_sha256};

/// What is signed of a request. It has no query.
pub(super) struct ToSign<'a> {
    pub(super) method: &'a str,
    /// As it is sent: each reserved character but slashes is escaped already (RFC 3986 section 2.3).
    pub(super) path: &'a str,
    /// Names in lower case, in order, `host` and `x-amz-date` among them.
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) payload: &'a Digest,
    pub(super) region: &'a str,
    /// As the header `x-amz-date` has it.
    pub(super) at: &'a str,
}

/// The value of the header `authorization`.
pub(super) fn authorization(credentials: &Credentials, to_sign: &ToSign<'_>) -> String {
    let ToSign { method, path, headers, payload, region, at } = to_sign;
    let listed: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let canonical = format!("{method}\n{path}\n\n{listed}\n{names}\n{}", hex::encode(&payload.0));
    let (date, _) = at.split_once('T').unwrap_or((at, ""));
    let scope = format!("{date}/{region}/{SERVICE}/{REQUEST}");
    let text = format!("{ALGORITHM}\n{at}\n{scope}\n{}", hex::encode(&Digest::of(canonical.as_bytes()).0));
    let mut key = hmac_sha256(credentials.secret.expose(), date.as_bytes());
    for part in [region, SERVICE, REQUEST] {
        key = hmac_sha256(&key.0, part.as_bytes());
    }
    let signature = hex::encode(&hmac_sha256(&key.0, text.as_bytes()).0);
    format!("{ALGORITHM} Credential={}/{scope},SignedHeaders={names},Signature={signature}", credentials.id)
}

/// A Unix second as ISO 8601 in its basic form, such as `20130524T000000Z`.
pub(super) fn timestamp(unix: u64) -> String {
    // The last second that the library writes, in the year 9999.
    let at = UNIX_EPOCH + Duration::from_secs(unix.min(253_402_300_799));
    humantime::format_rfc3339_seconds(at).to_string().replace(['-', ':'], "")
}

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const SERVICE: &str = "s3";
const REQUEST: &str = "aws4_request";

#[cfg(test)]
mod tests {
    use super::*;
    use wardein_crypto::SecretBytes;

    /// The examples of AWS's document that need no escaped path, with the signatures that are in it.
    #[test]
    fn the_examples_of_aws_have_their_signatures() {
        let credentials = Credentials {
            id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret: SecretBytes::from_vec(b"AWS4wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_vec()),
            token: None,
        };
        let (at, payload) = (timestamp(1_369_353_600), Digest::of(b""));
        assert_eq!(at, "20130524T000000Z");
        let digest = hex::encode(&payload.0);
        let headers = [
            ("host", "examplebucket.s3.amazonaws.com"),
            ("range", "bytes=0-9"),
            ("x-amz-content-sha256", digest.as_str()),
            ("x-amz-date", at.as_str()),
        ];
        let to_sign = ToSign {
            method: "GET",
            path: "/test.txt",
            headers: &headers,
            payload: &payload,
            region: "us-east-1",
            at: &at,
        };
        assert_eq!(
            authorization(&credentials, &to_sign),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
             SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,\
             Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
        // Each part of the request is in it.
        let other = Digest::of(b"other");
        let more = [headers[0], headers[2], headers[3]];
        for changed in [
            ToSign { method: "PUT", ..to_sign },
            ToSign { path: "/test.tx", ..to_sign },
            ToSign { headers: &more, ..to_sign },
            ToSign { payload: &other, ..to_sign },
            ToSign { region: "us-east-2", ..to_sign },
            ToSign { at: "20130524T000001Z", ..to_sign },
        ] {
            let signature =
                |of: &ToSign<'_>| authorization(&credentials, of).rsplit('=').next().map(str::to_owned);
            assert_ne!(signature(&changed), signature(&to_sign));
        }
    }
}
