//! How surely a key lives where it is said to live.

use crate::name::NameError;
use core::fmt;
use core::str::FromStr;

/// The assurance that a device's signing key cannot leave its hardware, as in the record, the verdict and the certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assurance {
    /// In a TPM whose endorsement key is certified by its vendor.
    TpmVendor,
    /// In a TPM whose endorsement key is on the list of the factory.
    TpmListed,
    /// In something that claimed at its first use to be a TPM; any program can claim that.
    TpmFirstUse,
    /// In a secure element, as the station states; nothing shows it.
    StatedSecureElement,
    /// Behind PKCS#11, as the station states; nothing shows it.
    StatedPkcs11,
    /// In software, and so wherever a copy of it is.
    Software,
}

impl Assurance {
    /// All levels.
    pub const ALL: [Self; 6] = [
        Self::TpmVendor,
        Self::TpmListed,
        Self::TpmFirstUse,
        Self::StatedSecureElement,
        Self::StatedPkcs11,
        Self::Software,
    ];

    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::TpmVendor => "tpm-vendor",
            Self::TpmListed => "tpm-listed",
            Self::TpmFirstUse => "tpm-first-use",
            Self::StatedSecureElement => "stated-secure-element",
            Self::StatedPkcs11 => "stated-pkcs11",
            Self::Software => "software",
        }
    }

    /// Whether it is of a TPM that proved, or at least claimed, to be one: quotes can be required only of such a key.
    pub fn is_tpm(self) -> bool {
        match self {
            Self::TpmVendor | Self::TpmListed | Self::TpmFirstUse => true,
            Self::StatedSecureElement | Self::StatedPkcs11 | Self::Software => false,
        }
    }

    /// Its number in the policy that certificates carry: from 1, and never given to another level.
    pub fn number(self) -> u8 {
        match self {
            Self::TpmVendor => 1,
            Self::TpmListed => 2,
            Self::TpmFirstUse => 3,
            Self::StatedSecureElement => 4,
            Self::StatedPkcs11 => 5,
            Self::Software => 6,
        }
    }
}

impl fmt::Display for Assurance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Assurance {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::ALL.into_iter().find(|level| level.code() == text).ok_or(NameError::Unknown {
            kind: "assurance level",
            allowed: "tpm-vendor, tpm-listed, tpm-first-use, stated-secure-element, stated-pkcs11, software",
        })
    }
}

/// The keeper of a key whose location nothing proves, by the station's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKeeper {
    /// A secure element.
    SecureElement,
    /// Something behind PKCS#11.
    Pkcs11,
    /// Software: for tests, and for devices that have nothing better.
    Software,
}

impl KeyKeeper {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::SecureElement, Self::Pkcs11, Self::Software];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SecureElement => "secure-element",
            Self::Pkcs11 => "pkcs11",
            Self::Software => "software",
        }
    }

    /// How surely it keeps a key, as far as anybody but the station knows.
    pub fn assurance(self) -> Assurance {
        match self {
            Self::SecureElement => Assurance::StatedSecureElement,
            Self::Pkcs11 => Assurance::StatedPkcs11,
            Self::Software => Assurance::Software,
        }
    }
}

impl fmt::Display for KeyKeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for KeyKeeper {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::ALL.into_iter().find(|keeper| keeper.as_str() == text).ok_or(NameError::Unknown {
            kind: "keeper of a key",
            allowed: "secure-element, pkcs11, software",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back_and_numbers_are_each_ones_own() {
        for (i, level) in Assurance::ALL.into_iter().enumerate() {
            assert_eq!(level.code().parse(), Ok(level));
            assert_eq!(usize::from(level.number()), i + 1);
            assert_eq!(level.is_tpm(), level.code().starts_with("tpm-"));
        }
        for keeper in KeyKeeper::ALL {
            assert_eq!(keeper.as_str().parse(), Ok(keeper));
            assert!(!keeper.assurance().code().starts_with("tpm"), "no evidence was judged");
        }
        assert!("tpm".parse::<Assurance>().is_err() && "tpm".parse::<KeyKeeper>().is_err());
    }
}
