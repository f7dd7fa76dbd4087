//! Where verifiers find what is revoked: in the certificates themselves, as a distribution point and an OCSP responder.

use crate::key::KeyId;
use std::fmt;
use std::str::FromStr;
use wardein_crypto::hex;

/// The base of both: `http://HOST[:PORT][/PATH]` under which the authority's HTTP port is reached, without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationUrl(String);

/// It cannot be in a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not http:// or https:// with a host, of at most {} printable ASCII characters, without a query",
    RevocationUrl::MAX_LEN
)]
pub struct RevocationUrlError;

impl RevocationUrl {
    /// The most characters.
    pub const MAX_LEN: usize = 200;

    /// The list of a CA by its key identifier: the one distribution point of its certificates (RFC 5280 §4.2.1.13).
    pub(crate) fn list(&self, ca: &KeyId) -> String {
        format!("{}/crl/{}.crl", self.0, hex::encode(ca))
    }

    /// A Token Status List by its number.
    pub fn status_list(&self, number: u32) -> String {
        format!("{}/status/{number}", self.0)
    }

    /// The responder (RFC 5280 §4.2.2.1).
    pub(crate) fn responder(&self) -> String {
        format!("{}/ocsp", self.0)
    }
}

impl FromStr for RevocationUrl {
    type Err = RevocationUrlError;

    fn from_str(text: &str) -> Result<Self, RevocationUrlError> {
        let base = text.strip_suffix('/').unwrap_or(text);
        let rest = base.strip_prefix("http://").or_else(|| base.strip_prefix("https://"));
        let is_one = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', ':']))
            && text.len() <= Self::MAX_LEN
            && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#<>\"\\^`{|}".contains(&byte));
        is_one.then(|| Self(base.to_owned())).ok_or(RevocationUrlError)
    }
}

impl fmt::Display for RevocationUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_in_a_certificate() {
        let url: RevocationUrl = "http://pki.example:7480/wardein/".parse().unwrap();
        assert_eq!(url.responder(), "http://pki.example:7480/wardein/ocsp");
        let list = "http://pki.example:7480/wardein/crl/0909090909090909090909090909090909090909.crl";
        assert_eq!(url.list(&[9; 20]), list);
        let long = format!("http://{}", "a".repeat(194));
        for text in [
            "",
            "pki.example",
            "ftp://pki.example",
            "http://",
            "http:///crl",
            "http://:80",
            "http://pki.example/?a",
            "http://pki.example/#a",
            "http://pki example",
            "http://pki.exämple",
            "http://pki.example\n",
            &long,
        ] {
            assert_eq!(text.parse::<RevocationUrl>(), Err(RevocationUrlError), "{text:?}");
        }
        assert!(long[..200].parse::<RevocationUrl>().is_ok());
    }
}
