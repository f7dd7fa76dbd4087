//! Ready-made certificate profiles: what devices' certificates are for.

use crate::key_kind::KeyKinds;
use crate::name::NameError;
use core::fmt;
use core::str::FromStr;

/// What a certificate may be used for (extended key usage, RFC 5280 §4.2.1.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPurpose {
    /// The client end of TLS.
    ClientAuth,
    /// The server end of TLS.
    ServerAuth,
    /// A provider of IEEE 11073 SDC services, such as a monitor (IEEE 11073-20701).
    SdcProvider,
    /// A consumer of them.
    SdcConsumer,
    /// Signing of software.
    CodeSigning,
}

impl KeyPurpose {
    /// All of them, in the order in which certificates have them.
    pub const ALL: [Self; 5] =
        [Self::ClientAuth, Self::ServerAuth, Self::SdcProvider, Self::SdcConsumer, Self::CodeSigning];

    /// Its object identifier.
    pub const fn oid(self) -> &'static [u64] {
        match self {
            Self::ServerAuth => &[1, 3, 6, 1, 5, 5, 7, 3, 1],
            Self::ClientAuth => &[1, 3, 6, 1, 5, 5, 7, 3, 2],
            Self::SdcProvider => &[1, 2, 840, 10004, 20701, 1, 1],
            Self::SdcConsumer => &[1, 2, 840, 10004, 20701, 1, 2],
            Self::CodeSigning => &[1, 3, 6, 1, 5, 5, 7, 3, 3],
        }
    }
}

/// A set of purposes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPurposes(u8);

impl KeyPurposes {
    /// None at all.
    pub const NONE: Self = Self(0);
    /// The client end of TLS alone.
    pub const CLIENT: Self = Self::of(&[KeyPurpose::ClientAuth]);
    /// The server end of TLS alone.
    pub const SERVER: Self = Self::of(&[KeyPurpose::ServerAuth]);
    /// Both ends.
    pub const BOTH_ENDS: Self = Self::of(&[KeyPurpose::ClientAuth, KeyPurpose::ServerAuth]);
    /// The signing of software alone.
    pub const CODE: Self = Self::of(&[KeyPurpose::CodeSigning]);
    /// Whatever a ready-made profile of devices has.
    pub const EVERY_DEVICE: Self = Self::of(&[
        KeyPurpose::ClientAuth,
        KeyPurpose::ServerAuth,
        KeyPurpose::SdcProvider,
        KeyPurpose::SdcConsumer,
    ]);
    /// Whatever a ready-made profile has, of devices and of platforms.
    pub const EVERY: Self = Self::of(&KeyPurpose::ALL);

    /// The set of these.
    pub const fn of(purposes: &[KeyPurpose]) -> Self {
        let (mut bits, mut at) = (0, 0);
        while at < purposes.len() {
            bits |= 1 << purposes[at] as u8;
            at += 1;
        }
        Self(bits)
    }

    /// Those in it, in the order of [`KeyPurpose::ALL`].
    pub fn iter(self) -> impl Iterator<Item = KeyPurpose> {
        KeyPurpose::ALL.into_iter().filter(move |purpose| self.0 & 1 << *purpose as u8 != 0)
    }

    /// Whether it has none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether it has all of `others`.
    pub const fn includes(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }
}

/// A ready-made certificate profile. It says what its certificates are for, and which keys they take unless a profile says it itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateProfile {
    /// A device that calls: the client end of TLS, P-256.
    DeviceTls,
    /// An application entity of DICOM, which calls and is called (PS3.15 B.12).
    DicomTls,
    /// A peer of HL7 version 2 over TLS or of FHIR, which calls and is called.
    Hl7FhirTls,
    /// A provider of IEEE 11073 SDC services; both ends of TLS, as SDC demands.
    SdcProvider,
    /// A consumer of IEEE 11073 SDC services.
    SdcConsumer,
}

impl CertificateProfile {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::DeviceTls, Self::DicomTls, Self::Hl7FhirTls, Self::SdcProvider, Self::SdcConsumer];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DeviceTls => "device-tls",
            Self::DicomTls => "dicom-tls",
            Self::Hl7FhirTls => "hl7-fhir-tls",
            Self::SdcProvider => "sdc-provider",
            Self::SdcConsumer => "sdc-consumer",
        }
    }

    /// What its certificates are for.
    pub const fn purposes(self) -> KeyPurposes {
        use KeyPurpose::{ClientAuth, SdcConsumer, SdcProvider, ServerAuth};
        match self {
            Self::DeviceTls => KeyPurposes::CLIENT,
            Self::DicomTls | Self::Hl7FhirTls => KeyPurposes::BOTH_ENDS,
            Self::SdcProvider => KeyPurposes::of(&[ClientAuth, ServerAuth, SdcProvider]),
            Self::SdcConsumer => KeyPurposes::of(&[ClientAuth, ServerAuth, SdcConsumer]),
        }
    }

    /// The keys that it takes by itself.
    pub const fn keys(self) -> KeyKinds {
        match self {
            Self::DeviceTls => KeyKinds::P256,
            Self::DicomTls | Self::Hl7FhirTls | Self::SdcProvider | Self::SdcConsumer => KeyKinds::STRONG,
        }
    }
}

impl FromStr for CertificateProfile {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::ALL.into_iter().find(|profile| profile.as_str() == text).ok_or(NameError::Unknown {
            kind: "certificate profile",
            allowed: "device-tls, dicom-tls, hl7-fhir-tls, sdc-provider, sdc-consumer",
        })
    }
}

impl fmt::Display for CertificateProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_has_its_purposes_and_no_other() {
        let of = |name: &str| name.parse::<CertificateProfile>().unwrap().purposes();
        assert_eq!(of("device-tls"), KeyPurposes::CLIENT);
        assert_eq!((of("dicom-tls"), of("hl7-fhir-tls")), (KeyPurposes::BOTH_ENDS, KeyPurposes::BOTH_ENDS));
        for (name, own) in
            [("sdc-provider", KeyPurpose::SdcProvider), ("sdc-consumer", KeyPurpose::SdcConsumer)]
        {
            let wanted = [KeyPurpose::ClientAuth, KeyPurpose::ServerAuth, own];
            assert!(of(name).iter().eq(wanted), "{name}");
            assert!(of(name).includes(KeyPurposes::BOTH_ENDS) && !KeyPurposes::BOTH_ENDS.includes(of(name)));
        }
        for profile in CertificateProfile::ALL {
            assert_eq!(profile.as_str().parse(), Ok(profile));
            assert!(KeyPurposes::EVERY_DEVICE.includes(profile.purposes()) && !profile.purposes().is_empty());
        }
        assert!(KeyPurposes::NONE.is_empty() && "webtls".parse::<CertificateProfile>().is_err());
    }
}
