//! Closed words: an enum of the API and the rules' own, one for one.

use crate::grpc::convert::wrong;
use wardein_crypto::KeyAlgorithm;
use wardein_ddkg::message::VisitEnd;
use wardein_domain::{
    Assurance, Bank, CaState, CertificateProfile, DeviceState, GuardedDeed, KeyKeeper, KeyKind, OfflineUse,
    PcrStanding, PlatformProfile, Purpose, RekeyGate, RevocationReason, Right, Role, TransferState,
    TrustLimit, Verdict, VerdictReason,
};
use wardein_engine::{DeedStep, Error, ReleaseDeed, ReleaseState, UpdateDecision, VisitState};
use wardein_files::SealFor;
use wardein_proto::{Word, v1};

/// A word that requests may have.
pub(crate) trait Asked: Sized {
    type Wire: Word;

    fn of(wire: Self::Wire) -> Option<Self>;

    /// A field that must be there.
    fn asked(field: &str, number: i32) -> Result<Self, Error> {
        let known = Self::Wire::try_from(number).ok();
        known.and_then(Self::of).ok_or_else(|| match number {
            0 => wrong(field, "is missing"),
            _ => wrong(field, format_args!("is {number}, which is none of its values")),
        })
    }

    /// A field that may be unset.
    fn asked_optional(field: &str, number: i32) -> Result<Option<Self>, Error> {
        (number != 0).then(|| Self::asked(field, number)).transpose()
    }
}

/// A word that answers may have.
pub(crate) trait Answered: Sized {
    /// Its number.
    fn wire(self) -> i32;
}

/// Nothing is the zero value.
impl<T: Answered> Answered for Option<T> {
    fn wire(self) -> i32 {
        self.map_or(0, Answered::wire)
    }
}

macro_rules! asked {
    ($($own:ident = $wire:ident { $($value:ident),* })*) => {
        $(impl Asked for $own {
            type Wire = v1::$wire;

            fn of(wire: v1::$wire) -> Option<Self> {
                match wire {
                    v1::$wire::Unspecified => None,
                    $(v1::$wire::$value => Some(Self::$value),)*
                }
            }
        })*
    };
}

macro_rules! answered {
    ($($own:ident = $wire:ident { $($value:ident),* })*) => {
        $(impl Answered for $own {
            fn wire(self) -> i32 {
                let wire = match self {
                    $(Self::$value => v1::$wire::$value,)*
                };
                wire.into()
            }
        })*
    };
}

asked! {
    GuardedDeed = GuardedDeed {
        IssueAdministrator, RevokeDevice, ShredDevice, PutTrustPolicy, PutKeyPolicy, PutPcrPolicy, DistrustCa, ReplaceVerdictKey,
        InviteTechnician, ShowEmergencyCode, LoosenApprovals, ReleaseUpdate, RotateUpdateRoot, PutEndorsementKeys
    }
    Bank = PcrBank { Sha256, Sha384 }
    CaState = CaState { Next, Active, Retiring, Retired, Distrusted }
    CertificateProfile = CertificateProfile { DeviceTls, DicomTls, Hl7FhirTls, SdcProvider, SdcConsumer }
    PlatformProfile = PlatformProfile { PlatformServer, FirmwareSigning }
    DeviceState = DeviceState { Pending, Active, Suspended, Quarantined, Revoked, Retired, Transferred }
    Assurance = Assurance { TpmVendor, TpmListed, TpmFirstUse, StatedSecureElement, StatedPkcs11, Software }
    KeyAlgorithm = CaAlgorithm { P256, P384, Rsa3072, Rsa4096 }
    KeyKeeper = KeyKeeper { SecureElement, Pkcs11, Software }
    KeyKind = KeyKind { P256, P384, Rsa2048, Rsa3072, Rsa4096 }
    OfflineUse = OfflineUse { Data, Login, Control }
    Purpose = Purpose { Proof, Token, Data, File, Service }
    ReleaseDeed = ReleaseDeed { Release, Pause, Resume, Recall }
    Right = Right { Token, Open, Data, File }
    SealFor = SealFor { Authority, Readers }
    UpdateDecision = UpdateDecision { Consent, Refuse, Withdraw }
    Role = Role {
        Admin, TenantAdmin, Station, Platform, Auditor, ReleaseManager, Site, ServiceCoordinator, Technician, Helpdesk,
        Backup
    }
}

answered! {
    Assurance = Assurance { TpmVendor, TpmListed, TpmFirstUse, StatedSecureElement, StatedPkcs11, Software }
    GuardedDeed = GuardedDeed {
        IssueAdministrator, RevokeDevice, ShredDevice, PutTrustPolicy, PutKeyPolicy, PutPcrPolicy, DistrustCa, ReplaceVerdictKey,
        InviteTechnician, ShowEmergencyCode, LoosenApprovals, ReleaseUpdate, RotateUpdateRoot, PutEndorsementKeys
    }
    Bank = PcrBank { Sha256, Sha384 }
    CaState = CaState { Next, Active, Retiring, Retired, Distrusted }
    CertificateProfile = CertificateProfile { DeviceTls, DicomTls, Hl7FhirTls, SdcProvider, SdcConsumer }
    DeedStep = DeedStep { Waiting, Sweeping, RootKey, Done }
    DeviceState = DeviceState { Pending, Active, Suspended, Quarantined, Revoked, Retired, Transferred }
    KeyAlgorithm = CaAlgorithm { P256, P384, Rsa3072, Rsa4096 }
    KeyKeeper = KeyKeeper { SecureElement, Pkcs11, Software }
    KeyKind = KeyKind { P256, P384, Rsa2048, Rsa3072, Rsa4096 }
    OfflineUse = OfflineUse { Data, Login, Control }
    PcrStanding = PcrStanding { Golden, AsEnrolled, AsApproved }
    Purpose = Purpose { Proof, Token, Data, File, Service }
    ReleaseState = ReleaseState { Proposed, Released, Paused, Recalled }
    RekeyGate = RekeyGate { Free, Due, Required }
    Right = Right { Token, Open, Data, File }
    SealFor = SealFor { Authority, Readers }
    UpdateDecision = UpdateDecision { Consent, Refuse, Withdraw }
    Role = Role {
        Admin, TenantAdmin, Station, Platform, Auditor, ReleaseManager, Site, ServiceCoordinator, Technician, Helpdesk,
        Backup
    }
    TransferState = TransferState { Offered, Accepted, Agreed, Complete, Withdrawn }
    TrustLimit = Verdict { Restricted, NotTrusted }
    Verdict = Verdict { Trusted, Restricted, NotTrusted, Unknown }
    VisitEnd = SessionEnd { Left, Over, Ended, BrokeOff }
    VisitState = VisitState { Requested, Released, Current, Ended, Over }
}

impl Answered for RevocationReason {
    /// As in revocation lists.
    fn wire(self) -> i32 {
        self.number().into()
    }
}

/// The zero value is one of them.
pub(crate) fn revocation_reason(field: &str, number: i32) -> Result<RevocationReason, Error> {
    let reason = u8::try_from(number).ok().and_then(RevocationReason::from_number);
    reason.ok_or_else(|| wrong(field, format_args!("is {number}, which is none of its values")))
}

impl Answered for VerdictReason {
    fn wire(self) -> i32 {
        let wire = match self {
            Self::InGoodStanding => v1::Reason::InGoodStanding,
            Self::NoSuchDevice => v1::Reason::NoSuchDevice,
            Self::State(DeviceState::Pending) => v1::Reason::Pending,
            // An active device is in good standing, or has another reason.
            Self::State(DeviceState::Active) => v1::Reason::Unspecified,
            Self::State(DeviceState::Suspended) => v1::Reason::Suspended,
            Self::State(DeviceState::Quarantined) => v1::Reason::Quarantined,
            Self::State(DeviceState::Revoked) => v1::Reason::Revoked,
            Self::State(DeviceState::Retired) => v1::Reason::Retired,
            Self::State(DeviceState::Transferred) => v1::Reason::Transferred,
            Self::CertificateUnknown => v1::Reason::CertificateUnknown,
            Self::CertificateNotYetValid => v1::Reason::CertificateNotYetValid,
            Self::CertificateExpired => v1::Reason::CertificateExpired,
            Self::CertificateRevoked => v1::Reason::CertificateRevoked,
            Self::KeyShared => v1::Reason::KeyShared,
            Self::AssuranceLow => v1::Reason::AssuranceLow,
            Self::AttestationOld => v1::Reason::AttestationOld,
            Self::KeysOld => v1::Reason::KeysOld,
            Self::Silent => v1::Reason::Silent,
            Self::FirmwareOld => v1::Reason::FirmwareOld,
            Self::FirmwareUnknown => v1::Reason::FirmwareUnknown,
            Self::FirmwareUnapproved => v1::Reason::FirmwareUnapproved,
        };
        wire.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wardein_proto::word;

    #[test]
    fn a_word_is_the_same_on_the_wire_and_in_the_rules() {
        for state in DeviceState::ALL {
            assert_eq!(word::<v1::DeviceState>(state.wire()), state.as_str());
            assert_eq!(DeviceState::asked("state", state.wire()).unwrap(), state);
        }
        for role in Role::ALL {
            assert_eq!(word::<v1::Role>(role.wire()), role.as_str());
        }
        for right in Right::ALL {
            assert_eq!(word::<v1::Right>(right.wire()), right.as_str());
        }
        for purpose in Purpose::ALL {
            assert_eq!(word::<v1::Purpose>(purpose.wire()), purpose.as_str());
        }
        for state in CaState::ALL {
            assert_eq!(word::<v1::CaState>(state.wire()), state.as_str());
        }
        for algorithm in KeyAlgorithm::ALL {
            assert_eq!(word::<v1::CaAlgorithm>(algorithm.wire()), algorithm.name());
        }
        for level in Assurance::ALL {
            assert_eq!(word::<v1::Assurance>(level.wire()), level.code());
        }
        for keeper in KeyKeeper::ALL {
            assert_eq!(word::<v1::KeyKeeper>(keeper.wire()), keeper.as_str());
        }
        for profile in CertificateProfile::ALL {
            assert_eq!(word::<v1::CertificateProfile>(profile.wire()), profile.as_str());
        }
        for kind in KeyKind::ALL {
            assert_eq!(word::<v1::KeyKind>(kind.wire()), kind.as_str());
        }
        for of in OfflineUse::ALL {
            assert_eq!(word::<v1::OfflineUse>(of.wire()), of.as_str());
        }
        for standing in PcrStanding::ALL {
            assert_eq!(word::<v1::PcrStanding>(standing.wire()), standing.code());
        }
        for bank in Bank::ALL {
            assert_eq!(word::<v1::PcrBank>(bank.wire()), bank.name());
        }
        for gate in [RekeyGate::Free, RekeyGate::Due, RekeyGate::Required] {
            assert_eq!(word::<v1::RekeyGate>(gate.wire()), gate.as_str());
        }
        for step in [DeedStep::Waiting, DeedStep::Sweeping, DeedStep::RootKey, DeedStep::Done] {
            assert_eq!(word::<v1::DeedStep>(step.wire()), step.as_str());
        }
        for state in TransferState::ALL {
            assert_eq!(word::<v1::TransferState>(state.wire()), state.as_str());
        }
        for reason in [
            VerdictReason::InGoodStanding,
            VerdictReason::NoSuchDevice,
            VerdictReason::State(DeviceState::Pending),
            VerdictReason::State(DeviceState::Suspended),
            VerdictReason::State(DeviceState::Quarantined),
            VerdictReason::State(DeviceState::Revoked),
            VerdictReason::State(DeviceState::Retired),
            VerdictReason::State(DeviceState::Transferred),
            VerdictReason::CertificateUnknown,
            VerdictReason::CertificateNotYetValid,
            VerdictReason::CertificateExpired,
            VerdictReason::CertificateRevoked,
            VerdictReason::KeyShared,
            VerdictReason::AssuranceLow,
            VerdictReason::AttestationOld,
            VerdictReason::KeysOld,
            VerdictReason::Silent,
            VerdictReason::FirmwareOld,
            VerdictReason::FirmwareUnknown,
            VerdictReason::FirmwareUnapproved,
        ] {
            assert_eq!(word::<v1::Reason>(reason.wire()), reason.code());
        }
        for limit in TrustLimit::ALL {
            assert_eq!(word::<v1::Verdict>(limit.wire()), limit.as_str());
        }
        assert_eq!(None::<Assurance>.wire(), 0);
    }

    #[test]
    fn a_number_that_is_no_value_is_refused_by_its_field() {
        for (number, why) in
            [(0, "state: is missing"), (77, "state: is 77, which"), (-1, "state: is -1, which")]
        {
            let error = DeviceState::asked("state", number).unwrap_err();
            assert!(error.message.starts_with(why), "{}", error.message);
        }
        assert_eq!(DeviceState::asked_optional("state", 0).unwrap(), None);
        assert!(DeviceState::asked_optional("state", 77).is_err());
    }
}
