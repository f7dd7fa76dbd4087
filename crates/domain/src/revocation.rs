//! Why a certificate is revoked, in the words of RFC 5280.

use crate::name::NameError;
use core::fmt;
use core::str::FromStr;

/// The reason of a revocation (RFC 5280 §5.3.1), of those that concern the certificate of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum RevocationReason {
    /// None is given.
    #[default]
    Unspecified,
    /// The private key is known, or suspected, to be elsewhere.
    KeyCompromise,
    /// The subject's name or affiliation has changed.
    AffiliationChanged,
    /// Another certificate took its place.
    Superseded,
    /// The device is out of service.
    CessationOfOperation,
    /// It counts as revoked for now, and may be released. The only reason that can be taken back.
    CertificateHold,
    /// The device is no longer entitled to it.
    PrivilegeWithdrawn,
}

impl RevocationReason {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
        Self::CertificateHold,
        Self::PrivilegeWithdrawn,
    ];

    /// The CRLReason. Numbers are stored, and in every revocation list.
    pub const fn number(self) -> u8 {
        match self {
            Self::Unspecified => 0,
            Self::KeyCompromise => 1,
            Self::AffiliationChanged => 3,
            Self::Superseded => 4,
            Self::CessationOfOperation => 5,
            Self::CertificateHold => 6,
            Self::PrivilegeWithdrawn => 9,
        }
    }

    /// The reason of a CRLReason, if it is one of these.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.number() == number)
    }

    /// The stable word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "key-compromise",
            Self::AffiliationChanged => "affiliation-changed",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessation-of-operation",
            Self::CertificateHold => "certificate-hold",
            Self::PrivilegeWithdrawn => "privilege-withdrawn",
        }
    }

    /// Whether what is revoked for it may be released.
    pub const fn is_hold(self) -> bool {
        matches!(self, Self::CertificateHold)
    }
}

impl FromStr for RevocationReason {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text).ok_or(NameError::Unknown {
            kind: "reason of a revocation",
            allowed: "unspecified, key-compromise, affiliation-changed, superseded, cessation-of-operation, certificate-hold, \
                      privilege-withdrawn",
        })
    }
}

impl fmt::Display for RevocationReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_words_come_back() {
        for reason in RevocationReason::ALL {
            assert_eq!(RevocationReason::from_number(reason.number()), Some(reason));
            assert_eq!(reason.as_str().parse(), Ok(reason));
        }
        // removeFromCRL is for delta lists alone; 7 is not assigned; the others are not of devices.
        for number in [2, 7, 8, 10, 11] {
            assert_eq!(RevocationReason::from_number(number), None);
        }
        assert!("removeFromCRL".parse::<RevocationReason>().is_err());
    }
}
