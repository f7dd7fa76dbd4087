//! Signature Version 4 of AWS, for the one form of request that is made here: a POST to a server's root without a query, whose
//! headers are given in the order of their names
//! (docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).

use crate::credentials::Credentials;
use std::fmt::Write as _;
use std::time::SystemTime;
use time::OffsetDateTime;
use time::macros::format_description;
use wardein_crypto::{Digest, MacKey, SecretBytes, hex};

/// When, where and of what service.
pub(crate) struct Scope<'a> {
    pub(crate) at: SystemTime,
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
}

impl Scope<'_> {
    /// The value of the header `x-amz-date`.
    pub(crate) fn date(&self) -> String {
        // A clock that is past the year 9999 gets a signature of 1970, which AWS refuses with words about the clock.
        let second = format_description!("[year][month][day]T[hour][minute][second]Z");
        OffsetDateTime::from(self.at).format(second).unwrap_or_else(|_| "19700101T000000Z".to_owned())
    }
}

/// The value of the header `authorization` for a request with these headers, which are in the order of their names, in lower case,
/// and `x-amz-date` among them.
pub(crate) fn authorization(
    scope: &Scope<'_>,
    credentials: &Credentials,
    headers: &[(&str, &str)],
    body: &[u8],
) -> String {
    let date = scope.date();
    let day = &date[..8];
    let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let mut canonical = "POST\n/\n\n".to_owned();
    for (name, value) in headers {
        let _ = writeln!(canonical, "{name}:{}", value.trim());
    }
    let _ = write!(canonical, "\n{names}\n{}", hex::encode(&Digest::of(body).0));
    let place = format!("{day}/{}/{}/aws4_request", scope.region, scope.service);
    let digest = hex::encode(&Digest::of(canonical.as_bytes()).0);
    let to_sign = format!("{ALGORITHM}\n{date}\n{place}\n{digest}");

    let secret = credentials.secret.expose();
    let mut first = SecretBytes::with_capacity(4 + secret.len());
    first.extend(b"AWS4");
    first.extend(secret);
    let key = MacKey::derived(first.expose(), day.as_bytes())
        .derive(scope.region.as_bytes())
        .derive(scope.service.as_bytes())
        .derive(b"aws4_request");
    let signature = hex::encode(&key.tag(to_sign.as_bytes()).0);
    format!("{ALGORITHM} Credential={}/{place}, SignedHeaders={names}, Signature={signature}", credentials.id)
}

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    /// `post-vanilla` and `post-header-key-sort` of AWS's own suite of test vectors (aws-sig-v4-test-suite): 2015-08-30 12:36 UTC.
    #[test]
    fn the_signatures_are_those_of_awss_own_vectors() {
        let at = UNIX_EPOCH + Duration::from_secs(1_440_938_160);
        let scope = Scope { at, region: "us-east-1", service: "service" };
        assert_eq!(scope.date(), "20150830T123600Z");
        let credentials =
            Credentials::of("AKIDEXAMPLE", b"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None).unwrap();
        let vanilla = [("host", "example.amazonaws.com"), ("x-amz-date", "20150830T123600Z")];
        assert_eq!(
            authorization(&scope, &credentials, &vanilla, b""),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, \
             Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
        );
        let more = [vanilla[0], ("my-header1", "value1"), vanilla[1]];
        assert!(authorization(&scope, &credentials, &more, b"").ends_with(
            "SignedHeaders=host;my-header1;x-amz-date, \
                 Signature=c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"
        ));
    }

    #[test]
    fn every_part_of_a_request_is_signed() {
        let at = UNIX_EPOCH + Duration::from_secs(1_440_938_160);
        let credentials = |secret: &[u8]| Credentials::of("AKIDEXAMPLE", secret, None).unwrap();
        let signed = |region, service, secret: &[u8], host, body: &[u8]| {
            let scope = Scope { at, region, service };
            let headers = [("host", host), ("x-amz-date", "20150830T123600Z")];
            authorization(&scope, &credentials(secret), &headers, body)
        };
        let first = signed("a", "kms", b"secret", "h", b"{}");
        for other in [
            signed("b", "kms", b"secret", "h", b"{}"),
            signed("a", "sts", b"secret", "h", b"{}"),
            signed("a", "kms", b"secreu", "h", b"{}"),
            signed("a", "kms", b"secret", "i", b"{}"),
            signed("a", "kms", b"secret", "h", b"{ }"),
        ] {
            assert_ne!(first.rsplit('=').next(), other.rsplit('=').next());
        }
        assert!(!first.contains("secret"));
    }
}
