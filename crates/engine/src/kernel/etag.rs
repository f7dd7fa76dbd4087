//! Versions of what is put, so that two who change it at once do not overwrite each other (AIP-154).

use crate::kernel::Error;
use std::fmt;
use std::str::FromStr;
use wardein_crypto::{Digest, hex};
use wardein_domain::ErrorCode;

/// The version of a setting: a digest of what is stored, so that it changes with the setting and with nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Etag([u8; 8]);

impl Etag {
    pub(crate) fn of(stored: &[u8]) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = Digest::of(stored).0;
        Self([a, b, c, d, e, f, g, h])
    }

    /// Refuses a change of another version than the caller has seen.
    pub(crate) fn require(seen: Option<Self>, present: Option<Self>) -> Result<(), Error> {
        match seen {
            Some(seen) if present != Some(seen) => {
                Err(Error::new(ErrorCode::EtagMismatch, "somebody else changed it since it was read"))
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

/// What is not an etag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnEtag;

impl fmt::Display for NotAnEtag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("is not an etag that this authority gave: 16 hex digits")
    }
}

impl FromStr for Etag {
    type Err = NotAnEtag;

    fn from_str(text: &str) -> Result<Self, NotAnEtag> {
        hex::decode_array(text).map(Self).ok_or(NotAnEtag)
    }
}
