//! Where a webhook is posted to.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

/// `https://HOST[:PORT][/PATH][?QUERY]`, without a user, a password or a fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookUrl {
    text: String,
    /// Where the host ends.
    host: usize,
    port: u16,
    /// Where the path begins.
    path: usize,
}

/// It is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "is not https://HOST[:PORT][/PATH][?QUERY] of at most {} printable ASCII characters, without a user, a password or a fragment",
    WebhookUrl::MAX_LEN
)]
pub struct WebhookUrlError;

impl WebhookUrl {
    /// The most characters.
    pub const MAX_LEN: usize = 512;

    /// The host: a name, an IPv4 address, or an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        let host = &self.text[SCHEME.len()..self.host];
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Host and port as the header `Host` has them.
    pub fn authority(&self) -> &str {
        &self.text[SCHEME.len()..self.path]
    }

    /// Path and query, which begin with a slash.
    pub fn path(&self) -> &str {
        match &self.text[self.path..] {
            "" => "/",
            path => path,
        }
    }

    /// All of it.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for WebhookUrl {
    type Err = WebhookUrlError;

    fn from_str(text: &str) -> Result<Self, WebhookUrlError> {
        Self::parse(text).ok_or(WebhookUrlError)
    }
}

impl WebhookUrl {
    fn parse(text: &str) -> Option<Self> {
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"#<>\"\\^`{|}".contains(&byte);
        let rest = text.strip_prefix(SCHEME).filter(|_| text.len() <= Self::MAX_LEN)?;
        if !text.bytes().all(is_plain) {
            return None;
        }
        let path = SCHEME.len() + rest.find(['/', '?']).unwrap_or(rest.len());
        // A query without a path has no place to begin.
        if text[path..].starts_with('?') {
            return None;
        }
        let authority = &text[SCHEME.len()..path];
        let (host, port) = match authority.strip_prefix('[') {
            Some(inner) => {
                let end = inner.find(']')?;
                inner[..end].parse::<core::net::Ipv6Addr>().ok()?;
                (end + 2, &inner[end + 1..])
            }
            None => {
                let end = authority.find(':').unwrap_or(authority.len());
                let host = &authority[..end];
                let is_name = !host.is_empty()
                    && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
                (is_name.then_some(end)?, &authority[end..])
            }
        };
        let port = match port {
            "" => 443,
            port => {
                let digits =
                    port.strip_prefix(':').filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()))?;
                digits.parse().ok().filter(|port| *port != 0)?
            }
        };
        Some(Self { text: text.into(), host: SCHEME.len() + host, port, path })
    }
}

impl fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

const SCHEME: &str = "https://";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_falls_into_its_parts() {
        let parts = |text: &str| {
            let url: WebhookUrl = text.parse().unwrap();
            (String::from(url.host()), url.port(), String::from(url.authority()), String::from(url.path()))
        };
        for (text, host, port, authority, path) in [
            ("https://iot.example", "iot.example", 443, "iot.example", "/"),
            ("https://iot.example/", "iot.example", 443, "iot.example", "/"),
            ("https://iot.example:8443/a/b?c=d&e", "iot.example", 8443, "iot.example:8443", "/a/b?c=d&e"),
            ("https://192.0.2.7:1/a", "192.0.2.7", 1, "192.0.2.7:1", "/a"),
            ("https://[2001:db8::7]:65535/a", "2001:db8::7", 65_535, "[2001:db8::7]:65535", "/a"),
            ("https://[::1]", "::1", 443, "[::1]", "/"),
        ] {
            assert_eq!(parts(text), (host.into(), port, authority.into(), path.into()), "{text}");
        }
    }

    #[test]
    fn what_is_no_such_url_is_refused() {
        let long = alloc::format!("https://{}", "a".repeat(505));
        for text in [
            "",
            "https://",
            "https:///a",
            "http://iot.example/",
            "HTTPS://iot.example/",
            "file:///etc/passwd",
            "https://user@iot.example/",
            "https://user:password@iot.example/",
            "https://iot.example#a",
            "https://iot.example/#a",
            "https://iot.example?a",
            "https://iot.example:0/",
            "https://iot.example:65536/",
            "https://iot.example:+1/",
            "https://iot.example:/",
            "https://iot.example:443:443/",
            "https://[::1/",
            "https://[iot]/",
            "https://[::1]x/",
            "https://iot example/",
            "https://iot.example/a b",
            "https://iot.exämple/",
            "https://iot.example/\r\nx: y",
            "https://iot.example\\@other/",
            &long,
        ] {
            assert!(text.parse::<WebhookUrl>().is_err(), "{text:?}");
        }
    }
}
