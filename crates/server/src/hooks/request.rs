//! What proxies ask: whether a request may pass, by the certificate that the device showed to them.
//!
//! nginx names it `$ssl_client_escaped_cert`, which it is configured to send as `x-client-cert`; Envoy sends `x-forwarded-client-cert` with
//! `Cert`. Both are the PEM, percent-encoded. That the header is the proxy's own and not the client's is for the proxy to see to.

use super::{Decision, allowed, judged};
use crate::edge::Shared;
use crate::edge::context::Context;
use crate::grpc::wrong;
use http::HeaderMap;
use wardein_engine::{Error, Subject};
use wardein_pki::pem;

pub(super) async fn passes(
    shared: &Shared,
    context: &Context,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Decision, Error> {
    if !body.is_empty() {
        return Err(wrong("body", "is not empty; have the proxy send none"));
    }
    let der = certificate(headers)?;
    Ok(allowed(judged(shared, context, Subject::Certificate(der)).await?))
}

/// The one certificate that was shown.
fn certificate(headers: &HeaderMap) -> Result<Vec<u8>, Error> {
    let one = |name: &'static str| {
        let mut all = headers.get_all(name).iter();
        match (all.next(), all.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => {
                value.to_str().map(Some).map_err(|_| wrong(name, "is not printable ASCII"))
            }
            (Some(_), Some(_)) => Err(wrong(name, "comes twice")),
        }
    };
    let (name, escaped) = match (one(NGINX)?, one(ENVOY)?) {
        (Some(escaped), None) => (NGINX, escaped),
        (None, Some(text)) => {
            (ENVOY, of_envoy(text).ok_or_else(|| wrong(ENVOY, "is not of one client with its Cert"))?)
        }
        (None, None) => return Err(wrong(NGINX, "is missing: the device showed no certificate")),
        (Some(_), Some(_)) => return Err(wrong(NGINX, "comes beside x-forwarded-client-cert")),
    };
    let text = unescaped(escaped).ok_or_else(|| wrong(name, "is not percent-encoded"))?;
    let chain = pem::decode_certificates(&text).map_err(|error| wrong(name, error))?;
    // A client that sends its chain shows its own certificate first.
    chain.into_iter().next().ok_or_else(|| wrong(name, "has no certificate"))
}

/// The value of `Cert` of an `x-forwarded-client-cert` with one element. A value in quotes may have the separators and escaped quotes.
fn of_envoy(text: &str) -> Option<&str> {
    let (mut found, mut rest) = (None, text);
    loop {
        let (name, value) = rest.split_once('=')?;
        let (value, behind) = match value.strip_prefix('"') {
            Some(quoted) => {
                let mut is_escaped = false;
                let end = quoted.find(|c| {
                    let is_end = c == '"' && !is_escaped;
                    is_escaped = c == '\\' && !is_escaped;
                    is_end
                })?;
                (&quoted[..end], &quoted[end + 1..])
            }
            None => {
                let end = value.find([';', ',']).unwrap_or(value.len());
                (&value[..end], &value[end..])
            }
        };
        if name.eq_ignore_ascii_case("Cert") && found.replace(value).is_some() {
            return None;
        }
        match behind.strip_prefix(';') {
            Some(more) => rest = more,
            // A comma begins what another proxy says.
            None if behind.is_empty() => return found,
            None => return None,
        }
    }
}

fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        match first {
            b'%' => {
                let (digits, behind) = rest.split_at_checked(2)?;
                let digits = std::str::from_utf8(digits).ok()?;
                // `from_str_radix` takes a sign.
                let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
                bytes.push(u8::from_str_radix(digits, 16).ok().filter(|_| is_hex)?);
                rest = behind;
            }
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).ok()
}

const NGINX: &str = "x-client-cert";
const ENVOY: &str = "x-forwarded-client-cert";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_of_the_one_client_is_taken() {
        for (text, cert) in [
            ("Cert=\"a%0A\"", Some("a%0A")),
            ("By=spiffe://x/y;Hash=00ff;Cert=\"a\";Subject=\"CN=a;b,c\";URI=spiffe://x/z", Some("a")),
            ("Hash=0;Subject=\"CN=\\\";Cert=\\\"b\";Cert=\"a\"", Some("a")),
            ("cert=a;Hash=0", Some("a")),
            ("Hash=0", None),
            ("Cert=\"a\";Cert=\"b\"", None),
            ("Cert=\"a\",Cert=\"b\"", None),
            ("Cert=a,Hash=0", None),
            ("Cert=\"a", None),
            ("Cert=\"a\"b", None),
            ("Cert", None),
            ("", None),
        ] {
            assert_eq!(of_envoy(text), cert, "{text}");
        }
    }

    #[test]
    fn escapes_are_hexadecimal() {
        assert_eq!(unescaped("a%2Bb%0a+c").as_deref(), Some("a+b\n+c"));
        for bad in ["%", "%2", "%+1", "%zz", "%ff"] {
            assert_eq!(unescaped(bad), None, "{bad}");
        }
    }
}
