//! The names that a server is reached by.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use wardein_domain::DnsName;

/// A DNS name or an IP address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerName {
    /// A DNS name.
    Dns(DnsName),
    /// An IP address.
    Ip(IpAddr),
}

/// A text is neither an IP address nor a DNS name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a server name is an IP address, or 1 to 253 characters in labels of 1 to 63 letters, digits and hyphens, \
     with a letter or digit first and last in each and not only digits in the last"
)]
pub struct ServerNameError;

impl FromStr for ServerName {
    type Err = ServerNameError;

    fn from_str(text: &str) -> Result<Self, ServerNameError> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Ip(address));
        }
        text.parse().map(Self::Dns).map_err(|_| ServerNameError)
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name.as_str()),
            Self::Ip(address) => address.fmt(f),
        }
    }
}

/// The contents of a server certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerIdentity {
    /// Its serial.
    pub serial: wardein_domain::Serial,
    /// The names that the server is reached by, at least one and at most [`ServerIdentity::MAX_NAMES`].
    pub names: Vec<ServerName>,
    /// When it is valid.
    pub validity: crate::Validity,
}

impl ServerIdentity {
    /// The most names in one certificate.
    pub const MAX_NAMES: usize = 32;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_at_their_bounds() {
        let label = "a".repeat(63);
        for good in
            ["localhost", "Wardein.Example", "127.0.0.1", "::1", "a-b.c1", &label, &[&*label; 3].join(".")]
        {
            let name = good.parse::<ServerName>().unwrap();
            assert_eq!(name.to_string(), good.to_ascii_lowercase());
        }
        let long = [&*label; 4].join(".");
        for bad in [
            "",
            ".",
            "a.",
            "*.example",
            "a_b",
            "-a",
            "a-",
            "a..b",
            "1.2.3",
            "256.1.1.1",
            "ä",
            "a b",
            &"a".repeat(64),
            &long,
        ] {
            assert_eq!(bad.parse::<ServerName>(), Err(ServerNameError), "{bad}");
        }
    }
}
