//! DNS names, as certificates have them.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

/// A DNS name of letters, digits and hyphens (RFC 1123 §2.1), lower case, without wildcard or final dot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsName(String);

impl DnsName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text is not a DNS name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a DNS name is 1 to 253 characters in labels of 1 to 63 letters, digits and hyphens, with a letter or digit first and last in \
     each and not only digits in the last"
)]
pub struct DnsNameError;

impl FromStr for DnsName {
    type Err = DnsNameError;

    fn from_str(text: &str) -> Result<Self, DnsNameError> {
        let is_label = |label: &str| {
            let bytes = label.as_bytes();
            let ends = bytes.first().into_iter().chain(bytes.last());
            (1..=63).contains(&bytes.len())
                && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
                && ends.into_iter().all(u8::is_ascii_alphanumeric)
        };
        // A last label of digits alone would be an IPv4 address that is not well formed (RFC 1123 §2.1).
        let is_numeric =
            text.rsplit('.').next().is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
        let is_name = text.len() <= 253 && text.split('.').all(is_label) && !is_numeric;
        is_name.then(|| Self(text.to_ascii_lowercase())).ok_or(DnsNameError)
    }
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
