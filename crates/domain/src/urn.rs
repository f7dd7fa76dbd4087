//! URNs, as certificates have them.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

/// A URN (RFC 8141), such as `urn:dev:os:32473-pump-0001` (RFC 9039), of the characters that names here have; no component of resolution,
/// query or fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Urn(String);

impl Urn {
    /// The most bytes of it.
    pub const MAX_LEN: usize = 255;

    /// The URN as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text is not a URN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a URN is `urn:`, a namespace of 2 to 32 letters, digits and hyphens with none of these at its ends, `:`, and at least one of \
     A-Z, a-z, 0-9 and '.', '_', ':', '@', '-'; at most 255 characters"
)]
pub struct UrnError;

impl FromStr for Urn {
    type Err = UrnError;

    fn from_str(text: &str) -> Result<Self, UrnError> {
        let (namespace, specific) =
            text.strip_prefix("urn:").and_then(|rest| rest.split_once(':')).ok_or(UrnError)?;
        let is_namespace = (2..=32).contains(&namespace.len())
            && namespace.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !namespace.starts_with('-')
            && !namespace.ends_with('-');
        let is_specific = !specific.is_empty() && specific.chars().all(crate::name::is_of_common_name);
        let is_urn = text.len() <= Self::MAX_LEN && is_namespace && is_specific;
        is_urn.then(|| Self(text.into())).ok_or(UrnError)
    }
}

impl fmt::Display for Urn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_urn_has_a_namespace_and_something_in_it() {
        let long = |length: usize| alloc::format!("urn:ab:{}", "x".repeat(length - 7));
        for good in ["urn:dev:os:32473-pump-0001", "urn:x-y:a@b", &long(255)] {
            assert_eq!(good.parse::<Urn>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "urn:",
            "urn:dev",
            "urn:dev:",
            "urn:d:x",
            "urn:-d:x",
            "urn:d-:x",
            "urn:d_v:x",
            "URN:dev:x",
            "urn:dev:a/b",
            "urn:dev:a b",
            "urn:dev:a#b",
            "urn:dev:%00",
            "urn:dev:\u{e4}",
            "spiffe://d/t/x",
            &alloc::format!("urn:{}:x", "a".repeat(33)),
            &long(256),
        ] {
            assert_eq!(bad.parse::<Urn>(), Err(UrnError), "{bad}");
        }
    }
}
