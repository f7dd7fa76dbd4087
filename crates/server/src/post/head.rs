//! What a POST's head must be, before a byte of its body is read.

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use wardein_engine::{Error, ErrorCode};

/// What is wrong with the head of a request, by HTTP's own rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Odd {
    /// Its path takes another method.
    Verb {
        /// Its answer has no body (RFC 9110 §9.3.2).
        is_head: bool,
        /// What the path takes.
        allowed: &'static str,
    },
    /// Its body has no length ahead of it. A length and chunks at one time are how requests are smuggled past what is in between
    /// (RFC 9112 §11.2), and a device knows how long its message is: chunks are not taken at all.
    Length,
    /// Its body is something else. A page in a browser can send no such type to another site without asking first.
    Type {
        /// What the path takes.
        taken: &'static str,
    },
}

impl Odd {
    /// Of a POST of that type.
    pub(crate) fn of(head: &Parts, taken: &'static str) -> Option<Self> {
        if head.method != Method::POST {
            return Some(Self::Verb { is_head: head.method == Method::HEAD, allowed: "POST" });
        }
        if head.headers.contains_key(header::TRANSFER_ENCODING) {
            return Some(Self::Length);
        }
        (!is_of_type(&head.headers, taken)).then_some(Self::Type { taken })
    }

    /// Of what is only read.
    pub(crate) fn of_reading(head: &Parts) -> Option<Self> {
        if !matches!(head.method, Method::GET | Method::HEAD) {
            return Some(Self::Verb { is_head: false, allowed: "GET, HEAD" });
        }
        head.headers.contains_key(header::TRANSFER_ENCODING).then_some(Self::Length)
    }

    pub(crate) fn error(self) -> Error {
        let message = match self {
            Self::Verb { allowed, .. } => format!("this path takes {allowed} only"),
            Self::Length => {
                "the body has a Transfer-Encoding; this server takes Content-Length only".to_owned()
            }
            Self::Type { taken } => format!("the body is not {taken}, or has a Content-Encoding"),
        };
        Error::new(ErrorCode::NotSupported, message)
    }

    /// The headers of its refusal.
    pub(crate) fn mark(self, headers: &mut HeaderMap) {
        match self {
            // RFC 9110 §15.5.6.
            Self::Verb { allowed, .. } => {
                drop(headers.insert(header::ALLOW, HeaderValue::from_static(allowed)));
            }
            // Where its body ends is in doubt, and so where the next request begins (RFC 9112 §6.3).
            Self::Length => drop(headers.insert(header::CONNECTION, HeaderValue::from_static("close"))),
            Self::Type { .. } => {}
        }
    }

    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Verb { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::Length => StatusCode::LENGTH_REQUIRED,
            Self::Type { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        }
    }
}

fn is_of_type(headers: &HeaderMap, taken: &str) -> bool {
    let is = |name, what: &str, otherwise| match headers.get(name).map(|value| value.to_str()) {
        None => otherwise,
        // Parameters mean nothing here (RFC 9110 §8.3.1).
        Some(Ok(value)) => value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(what),
        Some(Err(_)) => false,
    };
    is(header::CONTENT_TYPE, taken, false) && is(header::CONTENT_ENCODING, "identity", true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::post::OCTETS;
    use http::Request;

    fn head(method: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn odd(method: &str, headers: &[(&str, &str)]) -> Option<Odd> {
        Odd::of(&head(method, headers), OCTETS)
    }

    #[test]
    fn what_is_read_is_a_get_without_chunks() {
        assert_eq!(Odd::of_reading(&head("GET", &[])), None);
        assert_eq!(Odd::of_reading(&head("HEAD", &[])), None);
        assert_eq!(Odd::of_reading(&head("GET", &[("transfer-encoding", "chunked")])), Some(Odd::Length));
        let verb = Odd::Verb { is_head: false, allowed: "GET, HEAD" };
        assert_eq!(Odd::of_reading(&head("POST", &[("content-type", OCTETS)])), Some(verb));
    }

    #[test]
    fn a_head_is_a_post_of_octets_with_a_length() {
        let octets = ("content-type", OCTETS);
        assert_eq!(odd("POST", &[octets]), None);
        assert_eq!(odd("POST", &[("content-type", "Application/Octet-Stream; x=y")]), None);
        assert_eq!(odd("POST", &[octets, ("content-encoding", "identity")]), None);
        assert_eq!(odd("GET", &[octets]), Some(Odd::Verb { is_head: false, allowed: "POST" }));
        assert_eq!(odd("HEAD", &[]), Some(Odd::Verb { is_head: true, allowed: "POST" }));
        for coding in ["chunked", "gzip, chunked", "identity"] {
            assert_eq!(odd("POST", &[octets, ("transfer-encoding", coding)]), Some(Odd::Length));
        }
        for kind in ["text/plain", "application/grpc", "", "application/octet-stream, text/plain", "\u{e4}"] {
            assert_eq!(odd("POST", &[("content-type", kind)]), Some(Odd::Type { taken: OCTETS }), "{kind}");
        }
        assert_eq!(odd("POST", &[]), Some(Odd::Type { taken: OCTETS }));
        assert_eq!(odd("POST", &[octets, ("content-encoding", "gzip")]), Some(Odd::Type { taken: OCTETS }));
    }
}
