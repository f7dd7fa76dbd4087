//! What two people decide: the deeds that can need a second person, and the policy that says which do.

use crate::access::Method;
use crate::name::NameError;
use crate::operator::Principal;
use crate::time::Seconds;
use alloc::collections::BTreeSet;
use core::fmt;
use core::str::FromStr;

/// A deed that can need a second person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GuardedDeed {
    /// An operator with role `admin`, `tenant-admin` or `release-manager` is issued or invited.
    IssueAdministrator,
    /// A device is revoked or retired: it never comes back.
    RevokeDevice,
    /// The keys of a device are erased.
    ShredDevice,
    /// A trust policy is set.
    PutTrustPolicy,
    /// It is set which keys a tenant's devices may sign with.
    PutKeyPolicy,
    /// The PCR requirements of a profile are set.
    PutPcrPolicy,
    /// All that a CA signed is revoked.
    DistrustCa,
    /// The key that signs verdicts is taken out of use.
    ReplaceVerdictKey,
    /// A technician is invited to devices.
    InviteTechnician,
    /// A device's code for emergencies is shown.
    ShowEmergencyCode,
    /// A release of a maker's is released, resumed, or signed as a downgrade.
    ReleaseUpdate,
    /// Other keys are to sign the root of a repository of updates.
    RotateUpdateRoot,
    /// Endorsement keys are put on a tenant's list, or taken off it.
    PutEndorsementKeys,
    /// An approval policy comes to need a second person for less, or to let proposals live longer.
    LoosenApprovals,
}

impl GuardedDeed {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::IssueAdministrator,
        Self::RevokeDevice,
        Self::ShredDevice,
        Self::PutTrustPolicy,
        Self::PutKeyPolicy,
        Self::PutPcrPolicy,
        Self::DistrustCa,
        Self::ReplaceVerdictKey,
        Self::InviteTechnician,
        Self::ShowEmergencyCode,
        Self::ReleaseUpdate,
        Self::RotateUpdateRoot,
        Self::PutEndorsementKeys,
        Self::LoosenApprovals,
    ];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IssueAdministrator => "issue-administrator",
            Self::RevokeDevice => "revoke-device",
            Self::ShredDevice => "shred-device",
            Self::PutTrustPolicy => "put-trust-policy",
            Self::PutKeyPolicy => "put-key-policy",
            Self::PutPcrPolicy => "put-pcr-policy",
            Self::DistrustCa => "distrust-ca",
            Self::ReplaceVerdictKey => "replace-verdict-key",
            Self::InviteTechnician => "invite-technician",
            Self::ShowEmergencyCode => "show-emergency-code",
            Self::ReleaseUpdate => "release-update",
            Self::RotateUpdateRoot => "rotate-update-root",
            Self::PutEndorsementKeys => "put-endorsement-keys",
            Self::LoosenApprovals => "loosen-approvals",
        }
    }

    /// The method by whose callers it is approved: who does it, or, for shredding, who may end the device as well. So the people of a
    /// tenant have a say about what only an administrator of the authority does to a device of theirs.
    pub const fn method(self) -> Method {
        match self {
            Self::IssueAdministrator => Method::IssueOperator,
            // Of those who set states, the administrators: a helpdesk suspends, and approves nothing.
            Self::RevokeDevice | Self::ShredDevice => Method::ReadmitDevice,
            Self::PutTrustPolicy => Method::PutTrustPolicy,
            Self::PutKeyPolicy => Method::PutKeyPolicy,
            Self::PutPcrPolicy => Method::PutPcrPolicy,
            Self::DistrustCa => Method::DistrustCa,
            Self::ReplaceVerdictKey => Method::ReplaceVerdictKey,
            // Of those who may, its administrators: coordinators and sites approve nothing.
            Self::InviteTechnician => Method::PutServicePolicy,
            Self::ShowEmergencyCode => Method::PutServicePolicy,
            // Administrators: a release manager would see what another maker proposes.
            Self::ReleaseUpdate => Method::CreateProductLine,
            Self::RotateUpdateRoot => Method::RotateUpdateRoot,
            Self::PutEndorsementKeys => Method::AddEndorsementKeys,
            Self::LoosenApprovals => Method::PutApprovalPolicy,
        }
    }

    /// Whether it is always a deed of the authority, and never one within a tenant.
    pub const fn is_of_authority(self) -> bool {
        match self {
            Self::DistrustCa | Self::ReplaceVerdictKey | Self::ReleaseUpdate | Self::RotateUpdateRoot => true,
            Self::IssueAdministrator
            | Self::RevokeDevice
            | Self::ShredDevice
            | Self::PutTrustPolicy
            | Self::PutKeyPolicy
            | Self::PutPcrPolicy
            | Self::InviteTechnician
            | Self::PutEndorsementKeys
            | Self::ShowEmergencyCode
            | Self::LoosenApprovals => false,
        }
    }
}

impl FromStr for GuardedDeed {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::ALL.into_iter().find(|deed| deed.as_str() == text).ok_or(NameError::Unknown {
            kind: "guarded deed",
            allowed: "issue-administrator, revoke-device, shred-device, put-trust-policy, put-key-policy, put-pcr-policy, distrust-ca, replace-verdict-key, invite-technician, show-emergency-code, release-update, rotate-update-root, put-endorsement-keys, loosen-approvals",
        })
    }
}

impl fmt::Display for GuardedDeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which deeds need a second person, and for how long a proposal lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalPolicy {
    deeds: BTreeSet<GuardedDeed>,
    lifetime: Seconds,
}

/// Why something is not an approval policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApprovalPolicyError {
    /// A proposal would live too short or too long.
    #[error(
        "is {0} seconds; it takes {min} (an hour) to {max} (30 days)",
        min = ApprovalPolicy::MIN_LIFETIME.get(),
        max = ApprovalPolicy::MAX_LIFETIME.get()
    )]
    Lifetime(u64),
}

impl ApprovalPolicy {
    /// The shortest life of a proposal.
    pub const MIN_LIFETIME: Seconds = Seconds::new(3_600);

    /// The longest.
    pub const MAX_LIFETIME: Seconds = Seconds::new(30 * 86_400);

    /// Its life where nothing else is said: 72 hours.
    pub const LIFETIME: Seconds = Seconds::new(72 * 3_600);

    /// The policy of these deeds. Where anything needs a second person, so do issuing administrators and release managers, since one person
    /// could make the other one otherwise, and loosening the policy itself; where revoking a device does, so does shredding one, which ends it as well.
    pub fn new(
        deeds: impl IntoIterator<Item = GuardedDeed>,
        lifetime: Seconds,
    ) -> Result<Self, ApprovalPolicyError> {
        if !(Self::MIN_LIFETIME..=Self::MAX_LIFETIME).contains(&lifetime) {
            return Err(ApprovalPolicyError::Lifetime(lifetime.get()));
        }
        let mut deeds: BTreeSet<_> = deeds.into_iter().collect();
        if !deeds.is_empty() {
            deeds.extend([GuardedDeed::IssueAdministrator, GuardedDeed::LoosenApprovals]);
        }
        if deeds.contains(&GuardedDeed::RevokeDevice) {
            deeds.insert(GuardedDeed::ShredDevice);
        }
        Ok(Self { deeds, lifetime })
    }

    /// The deeds that need a second person, each once and in order.
    pub fn deeds(&self) -> impl ExactSizeIterator<Item = GuardedDeed> {
        self.deeds.iter().copied()
    }

    /// For how long a proposal lives.
    pub const fn lifetime(&self) -> Seconds {
        self.lifetime
    }

    /// Whether that deed needs a second person.
    pub fn guards(&self, deed: GuardedDeed) -> bool {
        self.deeds.contains(&deed)
    }

    /// Whether `next` in its place needs a second person for less, or lets a proposal live longer. One that guards nothing has nothing to
    /// loosen.
    pub fn is_loosened_by(&self, next: &Self) -> bool {
        !self.deeds.is_empty() && (!next.deeds.is_superset(&self.deeds) || next.lifetime > self.lifetime)
    }
}

/// Nothing needs a second person.
impl Default for ApprovalPolicy {
    fn default() -> Self {
        Self { deeds: BTreeSet::new(), lifetime: Self::LIFETIME }
    }
}

impl Principal {
    /// Whether the two are taken for one person: the name counts, whatever the role, the tenant and the certificate.
    pub fn is_same_person(&self, other: &Self) -> bool {
        self.name.as_str().eq_ignore_ascii_case(other.name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::Role;
    use crate::serial::Serial;
    use alloc::string::ToString;
    use alloc::vec::Vec;

    #[test]
    fn each_deed_reads_back() {
        for deed in GuardedDeed::ALL {
            assert_eq!(deed.as_str().parse(), Ok(deed));
            assert!("x".parse::<GuardedDeed>().unwrap_err().to_string().contains(deed.as_str()), "{deed}");
        }
    }

    #[test]
    fn who_could_make_the_second_person_alone_needs_no_second_one() {
        let hour = Seconds::new(3_600);
        let policy = ApprovalPolicy::new([GuardedDeed::ShredDevice], hour).unwrap();
        assert_eq!(
            policy.deeds().collect::<Vec<_>>(),
            [GuardedDeed::IssueAdministrator, GuardedDeed::ShredDevice, GuardedDeed::LoosenApprovals]
        );
        assert_eq!(ApprovalPolicy::new([], hour).unwrap().deeds().len(), 0);
        // Nor does one shred what it may not revoke alone.
        assert!(
            ApprovalPolicy::new([GuardedDeed::RevokeDevice], hour).unwrap().guards(GuardedDeed::ShredDevice)
        );
    }

    #[test]
    fn who_cannot_approve_does_not_count_as_somebody_who_could() {
        for (deed, role) in GuardedDeed::ALL.iter().flat_map(|deed| Role::ALL.map(|role| (deed, role))) {
            let decides = deed.method().allows(Some(role));
            assert!(!decides || Method::ApproveProposal.allows(Some(role)), "{deed}: {role}");
        }
    }

    #[test]
    fn a_proposal_lives_an_hour_to_thirty_days() {
        let of = |seconds| ApprovalPolicy::new([], Seconds::new(seconds));
        assert!(of(3_600).is_ok() && of(30 * 86_400).is_ok());
        assert_eq!(of(3_599), Err(ApprovalPolicyError::Lifetime(3_599)));
        assert_eq!(of(30 * 86_400 + 1), Err(ApprovalPolicyError::Lifetime(30 * 86_400 + 1)));
    }

    #[test]
    fn less_and_longer_loosens_and_nothing_else() {
        let of = |deeds: &[GuardedDeed], hours: u64| {
            ApprovalPolicy::new(deeds.iter().copied(), Seconds::new(hours * 3_600)).unwrap()
        };
        let (shred, both) = (of(&[GuardedDeed::ShredDevice], 2), of(&[GuardedDeed::RevokeDevice], 2));
        assert!(both.is_loosened_by(&shred) && both.is_loosened_by(&of(&[], 1)));
        assert!(shred.is_loosened_by(&of(&[GuardedDeed::ShredDevice], 3)));
        assert!(!shred.is_loosened_by(&both) && !shred.is_loosened_by(&of(&[GuardedDeed::ShredDevice], 1)));
        assert!(!ApprovalPolicy::default().is_loosened_by(&of(&[], 720)));
    }

    #[test]
    fn a_person_is_a_name() {
        let of = |role, tenant: Option<&str>, name: &str, serial| Principal {
            role,
            tenant: tenant.map(|tenant| tenant.parse().unwrap()),
            name: name.parse().unwrap(),
            serial: Serial::from_random([serial; 16]),
        };
        let anna = of(Role::Admin, None, "anna", 1);
        assert!(anna.is_same_person(&of(Role::TenantAdmin, Some("t"), "Anna", 2)));
        assert!(!anna.is_same_person(&of(Role::Admin, None, "berta", 1)));
    }
}
