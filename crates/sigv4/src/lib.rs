//! AWS Signature Version 4 in the header `authorization`, of a request without a query
//! (docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).

use std::time::{Duration, UNIX_EPOCH};
use wardein_crypto::{Digest, MacKey, SecretBytes, hex};

/// What is signed of a request.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Such as `POST`.
    pub method: &'a str,
    /// As it is sent: each reserved character but slashes is escaped already (RFC 3986 section 2.3).
    pub path: &'a str,
    /// Names in lower case, in order, `host` and `x-amz-date` among them.
    pub headers: &'a [(&'a str, &'a str)],
    /// The SHA-256 of the body.
    pub payload: &'a Digest,
}

/// When, where and of which service.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// As the header `x-amz-date` has it: [`date`].
    pub date: &'a str,
    /// Such as `eu-central-1`.
    pub region: &'a str,
    /// Such as `kms`.
    pub service: &'a str,
}

/// The value of the header `x-amz-date`: a Unix second as ISO 8601 in its basic form, such as `20130524T000000Z`. Of a clock that is
/// past the year 9999 it is the last second of that year, which AWS refuses with words about the clock.
pub fn date(unix: u64) -> String {
    let at = UNIX_EPOCH + Duration::from_secs(unix.min(LAST));
    humantime::format_rfc3339_seconds(at).to_string().replace(['-', ':'], "")
}

/// The value of the header `authorization`, by the access key `id` and its secret.
pub fn authorization(id: &str, secret: &SecretBytes, scope: &Scope<'_>, request: &Request<'_>) -> String {
    let Scope { date, region, service } = scope;
    let Request { method, path, headers, payload } = request;
    let listed: String = headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let canonical = format!("{method}\n{path}\n\n{listed}\n{names}\n{}", hex::encode(&payload.0));
    let (day, _) = date.split_once('T').unwrap_or((date, ""));
    let place = format!("{day}/{region}/{service}/{REQUEST}");
    let digest = hex::encode(&Digest::of(canonical.as_bytes()).0);
    let to_sign = format!("{ALGORITHM}\n{date}\n{place}\n{digest}");

    let mut first = SecretBytes::with_capacity(4 + secret.expose().len());
    first.extend(b"AWS4");
    first.extend(secret.expose());
    let key = MacKey::derived(first.expose(), day.as_bytes())
        .derive(region.as_bytes())
        .derive(service.as_bytes())
        .derive(REQUEST.as_bytes());
    let signature = hex::encode(&key.tag(to_sign.as_bytes()).0);
    format!("{ALGORITHM} Credential={id}/{place}, SignedHeaders={names}, Signature={signature}")
}

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const REQUEST: &str = "aws4_request";

/// The last second of the year 9999.
const LAST: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretBytes {
        SecretBytes::from_vec(text.as_bytes().to_vec())
    }

    /// `post-vanilla` and `post-header-key-sort` of AWS's own suite of test vectors (aws-sig-v4-test-suite): 2015-08-30 12:36 UTC.
    #[test]
    fn the_signatures_are_those_of_awss_own_vectors() {
        let date = date(1_440_938_160);
        assert_eq!(date, "20150830T123600Z");
        let scope = Scope { date: &date, region: "us-east-1", service: "service" };
        let signed = |headers: &[(&str, &str)]| {
            let request = Request { method: "POST", path: "/", headers, payload: &Digest::of(b"") };
            authorization(
                "AKIDEXAMPLE",
                &secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
                &scope,
                &request,
            )
        };
        let vanilla = [("host", "example.amazonaws.com"), ("x-amz-date", "20150830T123600Z")];
        assert_eq!(
            signed(&vanilla),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, \
             Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
        );
        let more = [vanilla[0], ("my-header1", "value1"), vanilla[1]];
        assert!(signed(&more).ends_with(
            "SignedHeaders=host;my-header1;x-amz-date, \
             Signature=c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"
        ));
    }

    /// The example of S3's document whose path needs no escapes
    /// (docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html), and that each part of it is signed.
    #[test]
    fn every_part_of_a_request_is_signed() {
        let (payload, other) = (Digest::of(b""), Digest::of(b"other"));
        let digest = hex::encode(&payload.0);
        let headers = [
            ("host", "examplebucket.s3.amazonaws.com"),
            ("range", "bytes=0-9"),
            ("x-amz-content-sha256", digest.as_str()),
            ("x-amz-date", "20130524T000000Z"),
        ];
        let more = [headers[0], headers[2], headers[3]];
        let request = Request { method: "GET", path: "/test.txt", headers: &headers, payload: &payload };
        let scope = Scope { date: "20130524T000000Z", region: "us-east-1", service: "s3" };
        let key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        let signature = |key: &str, scope: Scope<'_>, request: Request<'_>| {
            let text = authorization("AKIAIOSFODNN7EXAMPLE", &secret(key), &scope, &request);
            assert!(!text.contains(key));
            text.rsplit('=').next().unwrap().to_owned()
        };
        let whole = signature(key, scope, request);
        assert_eq!(whole, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
        for changed in [
            signature("wJalrXUtnFEMI", scope, request),
            signature(key, Scope { date: "20130524T000001Z", ..scope }, request),
            signature(key, Scope { region: "us-east-2", ..scope }, request),
            signature(key, Scope { service: "kms", ..scope }, request),
            signature(key, scope, Request { method: "PUT", ..request }),
            signature(key, scope, Request { path: "/test.tx", ..request }),
            signature(key, scope, Request { headers: &more, ..request }),
            signature(key, scope, Request { payload: &other, ..request }),
        ] {
            assert_ne!(changed, whole);
        }
    }

    #[test]
    fn a_date_has_one_form_to_the_end_of_its_years() {
        assert_eq!(date(0), "19700101T000000Z");
        assert_eq!(date(u64::MAX), "99991231T235959Z");
    }
}
