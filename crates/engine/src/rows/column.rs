//! Typed columns: how a type of the domain lies in a row. Names are text, closed words are numbers, times are numbers of one unit.
//!
//! `#[serde(with = "column")]` on a field takes its type from here; `column::maybe` and `column::list` are for options and lists of it.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use wardein_crypto::{P256_POINT_LEN, P256VerifyingKey};
use wardein_domain::{
    ActionCategory, Assurance, AttributeName, Bank, CaState, CertificateProfile, DeviceId, DeviceState,
    FirmwareVersion, GroupTemplate, GuardedDeed, KeyKeeper, KeyKind, KeyKinds, LineName, LoginTemplate,
    ModelName, NameTemplate, OperatorName, PcrStanding, ProfileName, Purpose, ReaderName, Reason,
    ReleaseText, RepositoryName, RevocationReason, Role, Seconds, Serial, ServiceScope, SourceAddress,
    TenantId, TransferState, TrustDomain, TrustLimit, Udi, UnixMillis, UnixSeconds, WebhookUrl, WorkOrder,
};
use wardein_files::Reader;

/// A type that a row holds.
pub(super) trait Column: Sized {
    fn put<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error>;

    fn take<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error>;
}

/// A column on its own.
pub(super) fn serialize<T: Column, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    value.put(to)
}

/// A column on its own.
pub(super) fn deserialize<'de, T: Column, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    T::take(from)
}

/// A column that may be empty.
pub(super) mod maybe {
    use super::{Column, Put, Taken};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(in super::super) fn serialize<T: Column, S: Serializer>(
        value: &Option<T>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        value.as_ref().map(Put).serialize(to)
    }

    pub(in super::super) fn deserialize<'de, T: Column, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<T>, D::Error> {
        Ok(Option::<Taken<T>>::deserialize(from)?.map(|taken| taken.0))
    }
}

/// A column of several.
pub(super) mod list {
    use super::{Column, Put, Taken};
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in super::super) fn serialize<T: Column, S: Serializer>(
        values: &[T],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(values.iter().map(Put))
    }

    pub(in super::super) fn deserialize<'de, T: Column, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<T>, D::Error> {
        Ok(Vec::<Taken<T>>::deserialize(from)?.into_iter().map(|taken| taken.0).collect())
    }
}

struct Put<'a, T>(&'a T);

struct Taken<T>(T);

impl<T: Column> Serialize for Put<'_, T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.put(to)
    }
}

impl<'de, T: Column> Deserialize<'de> for Taken<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        T::take(from).map(Self)
    }
}

/// Two columns beside one another.
impl<A: Column, B: Column> Column for (A, B) {
    fn put<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        (Put(&self.0), Put(&self.1)).serialize(to)
    }

    fn take<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (a, b) = <(Taken<A>, Taken<B>)>::deserialize(from)?;
        Ok((a.0, b.0))
    }
}

macro_rules! names {
    ($($name:ty),* $(,)?) => {$(
        impl Column for $name {
            fn put<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(self.as_str())
            }

            fn take<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(from)?;
                text.parse().map_err(|_| D::Error::custom(concat!("not a ", stringify!($name))))
            }
        }
    )*};
}

names! {
    ActionCategory, AttributeName, DeviceId, FirmwareVersion, GroupTemplate, LineName, ModelName, NameTemplate, OperatorName, ProfileName, ReaderName, Reason, ReleaseText, RepositoryName, ServiceScope, SourceAddress, TenantId, TrustDomain, Udi, LoginTemplate, WebhookUrl,
    WorkOrder,
}

macro_rules! numbers {
    ($($moment:ident),* $(,)?) => {$(
        impl Column for $moment {
            fn put<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                self.get().serialize(to)
            }

            fn take<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                u64::deserialize(from).map(Self::new)
            }
        }
    )*};
}

numbers!(Seconds, UnixMillis, UnixSeconds);

/// Closed words. Their numbers are stored, and never used again.
macro_rules! words {
    ($($word:ident { $($variant:ident = $number:literal),* $(,)? })*) => {$(
        impl Column for $word {
            fn put<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                let number: u8 = match self {
                    $(Self::$variant => $number,)*
                };
                number.serialize(to)
            }

            fn take<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                match u8::deserialize(from)? {
                    $($number => Ok(Self::$variant),)*
                    other => Err(D::Error::custom(format_args!(
                        concat!("{} is not a ", stringify!($word)), other
                    ))),
                }
            }
        }
    )*};
}

words! {
    DeviceState {
        Pending = 1, Active = 2, Suspended = 3, Quarantined = 4, Revoked = 5, Retired = 6, Transferred = 7,
    }
    Assurance {
        TpmVendor = 1, TpmListed = 2, TpmFirstUse = 3, StatedSecureElement = 4, StatedPkcs11 = 5, Software = 6,
    }
    KeyKeeper { SecureElement = 1, Pkcs11 = 2, Software = 3 }
    Role {
        Admin = 1, TenantAdmin = 2, Station = 3, Platform = 4, Auditor = 5, ReleaseManager = 6, Site = 7, ServiceCoordinator = 8, Technician = 9,
        Helpdesk = 10, Backup = 11,
    }
    PcrStanding { Golden = 1, AsEnrolled = 2, AsApproved = 3 }
    Purpose { Proof = 1, Token = 2, Data = 3, File = 4, Service = 5 }
    GuardedDeed {
        IssueAdministrator = 1, RevokeDevice = 2, ShredDevice = 3, PutTrustPolicy = 4, PutKeyPolicy = 5, PutPcrPolicy = 6,
        DistrustCa = 7, ReplaceVerdictKey = 8, LoosenApprovals = 9, InviteTechnician = 10,
        ReleaseUpdate = 11, RotateUpdateRoot = 12, PutEndorsementKeys = 13, ShowEmergencyCode = 14,
    }
    Bank { Sha256 = 1, Sha384 = 2 }
    CaState { Next = 1, Active = 2, Retiring = 3, Retired = 4, Distrusted = 5 }
    TransferState { Offered = 1, Accepted = 2, Agreed = 3, Complete = 4, Withdrawn = 5 }
    CertificateProfile { DeviceTls = 1, DicomTls = 2, Hl7FhirTls = 3, SdcProvider = 4, SdcConsumer = 5 }
    TrustLimit { Restricted = 1, NotTrusted = 2 }
    KeyKind { P256 = 1, P384 = 2, Rsa2048 = 3, Rsa3072 = 4, Rsa4096 = 5 }
}

/// As age writes it.
impl Column for Reader {
    fn put<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }

    fn take<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(from)?;
        text.parse().map_err(|_| D::Error::custom("not a reader's key"))
    }
}

impl Column for KeyKinds {
    fn put<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let kinds: Vec<_> = self.iter().collect();
        list::serialize(&kinds, to)
    }

    fn take<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        list::deserialize(from).map(|kinds: Vec<KeyKind>| Self::of(&kinds))
    }
}

impl Column for Serial {
    fn put<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.as_bytes().serialize(to)
    }

    fn take<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::from_bytes(&<[u8; 16]>::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// As its CRLReason.
impl Column for RevocationReason {
    fn put<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.number().serialize(to)
    }

    fn take<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let number = u8::deserialize(from)?;
        Self::from_number(number).ok_or_else(|| D::Error::custom("not a reason of a revocation"))
    }
}

impl Column for P256VerifyingKey {
    fn put<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(&self.0)
    }

    fn take<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let point = <&[u8]>::deserialize(from)?;
        let point: [u8; P256_POINT_LEN] = point.try_into().map_err(|_| D::Error::custom("not a point"))?;
        Ok(Self(point))
    }
}
