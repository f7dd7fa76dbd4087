//! Ready-made certificate profiles of platforms: what holds of a certificate that is not a device's.

use crate::certificate_profile::KeyPurposes;
use crate::name::NameError;
use core::fmt;
use core::ops::RangeInclusive;
use core::str::FromStr;

/// What a platform's certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlatformProfile {
    /// The server that devices deliver to, by its DNS names.
    PlatformServer,
    /// The key that signs firmware (code signing), by a common name.
    FirmwareSigning,
}

impl PlatformProfile {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::PlatformServer, Self::FirmwareSigning];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PlatformServer => "platform-server",
            Self::FirmwareSigning => "firmware-signing",
        }
    }

    /// What its certificates are for.
    pub const fn purposes(self) -> KeyPurposes {
        match self {
            Self::PlatformServer => KeyPurposes::SERVER,
            Self::FirmwareSigning => KeyPurposes::CODE,
        }
    }

    /// The seconds for which its certificates may be valid: a server's are renewed, firmware is verified for years.
    pub const fn validity(self) -> RangeInclusive<u64> {
        match self {
            Self::PlatformServer => 300..=366 * DAY,
            Self::FirmwareSigning => DAY..=10 * 366 * DAY,
        }
    }

    /// How many DNS names it takes.
    pub const fn dns_names(self) -> RangeInclusive<usize> {
        match self {
            Self::PlatformServer => 1..=16,
            Self::FirmwareSigning => 0..=0,
        }
    }
}

impl FromStr for PlatformProfile {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::ALL.into_iter().find(|profile| profile.as_str() == text).ok_or(NameError::Unknown {
            kind: "certificate profile of platforms",
            allowed: "platform-server, firmware-signing",
        })
    }
}

impl fmt::Display for PlatformProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

const DAY: u64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate_profile::CertificateProfile;

    #[test]
    fn a_platforms_purposes_are_no_devices() {
        for profile in PlatformProfile::ALL {
            assert_eq!(profile.as_str().parse(), Ok(profile));
            assert!(KeyPurposes::EVERY.includes(profile.purposes()));
            assert!(CertificateProfile::ALL.iter().all(|device| device.purposes() != profile.purposes()));
        }
        assert!(!KeyPurposes::EVERY_DEVICE.includes(PlatformProfile::FirmwareSigning.purposes()));
        assert!("platform".parse::<PlatformProfile>().is_err());
    }
}
