//! The operations of EST (RFC 7030 §3.2.2).

use core::fmt;

/// An operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EstOperation {
    /// The CAs' certificates (§4.1).
    CaCerts,
    /// A certificate for a key of the client's (§4.2.1).
    SimpleEnroll,
    /// The same for a client that has one (§4.2.2).
    SimpleReenroll,
    /// What a request is to say (§4.5).
    CsrAttrs,
    /// A certificate with a key that the server makes (§4.4).
    ServerKeyGen,
}

impl EstOperation {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::CaCerts, Self::SimpleEnroll, Self::SimpleReenroll, Self::CsrAttrs, Self::ServerKeyGen];

    /// Where it is.
    pub const fn path(self) -> &'static str {
        match self {
            Self::CaCerts => "/.well-known/est/cacerts",
            Self::SimpleEnroll => "/.well-known/est/simpleenroll",
            Self::SimpleReenroll => "/.well-known/est/simplereenroll",
            Self::CsrAttrs => "/.well-known/est/csrattrs",
            Self::ServerKeyGen => "/.well-known/est/serverkeygen",
        }
    }

    /// The operation at that path.
    pub fn from_path(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.path() == path)
    }

    /// Whether a client asks with a body; the others are for reading, and for anybody.
    pub const fn takes_request(self) -> bool {
        match self {
            Self::CaCerts | Self::CsrAttrs => false,
            Self::SimpleEnroll | Self::SimpleReenroll | Self::ServerKeyGen => true,
        }
    }
}

impl fmt::Display for EstOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path())
    }
}

/// How the password of a voucher begins, by which people, and programs that look for secrets, know one.
pub const VOUCHER_MARK: &str = "wardein-voucher-";
