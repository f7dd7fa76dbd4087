//! Trust policies: what a tenant makes of what is known of its devices.
//!
//! A policy is a list of rules. Each names a condition and the most that a device may be while it holds: restricted, or not trusted. Without
//! rules a device is trusted while it is active, and a certificate while it is valid and not revoked.
//!
//! Some reasons lead to *not trusted* under any policy, and no rule can name them. A device that is pending has not shown that it has its
//! keys. One that is suspended, revoked, retired or transferred was taken out of trust by a decision about that very device, which a rule
//! about many cannot know better. One in quarantine is suspected to be two, and which of them asks cannot be told. A certificate that is
//! unknown or revoked shows nobody.

use crate::assurance::Assurance;
use crate::code::ErrorCode;
use crate::name::AttributeName;
use crate::offline::Offline;
use crate::trust::VerdictReason;
use crate::version::FirmwareVersion;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;

/// The rules by which devices are trusted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrustPolicy {
    rules: Vec<TrustRule>,
    lifetime: Option<u64>,
    offline: Offline,
}

/// A condition, and what comes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustRule {
    /// When it applies.
    pub when: TrustCondition,
    /// The most that the device may be then.
    pub limit: TrustLimit,
}

/// What a rule looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustCondition {
    /// The certificate in question is not valid yet. Without a rule: not trusted.
    CertificateNotYetValid,
    /// The certificate in question has expired. Without a rule: not trusted.
    CertificateExpired,
    /// Another device was enrolled with its key or its TPM.
    KeyShared,
    /// The key that it signs with is less surely held than that. A device that derives its keys has no such key, and passes.
    AssuranceBelow(Assurance),
    /// Its TPM's last accepted quote is that many seconds old, or there was none.
    AttestationOlder(u64),
    /// The active generation of its keys was agreed that many seconds ago. A device that signs has no generations, and passes.
    KeysOlder(u64),
    /// It has proved or signed nothing for that many seconds, nor changed its state.
    SilentFor(u64),
    /// That attribute of it is a version below this one, or no version of it is on record.
    FirmwareBelow(AttributeName, FirmwareVersion),
    /// What it runs, by its receipts, is not a release that its maker approves, or it has given none.
    FirmwareUnapproved,
}

/// The most that a device may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TrustLimit {
    /// Trusted for what the platform's own rules allow a device in that condition.
    Restricted,
    /// Not trusted.
    NotTrusted,
}

/// Why rules are not a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustPolicyError {
    /// There are too many rules.
    #[error("has {0} rules; it takes at most {max}", max = TrustPolicy::MAX_RULES)]
    TooMany(usize),
    /// An age is out of its bounds.
    #[error(
        "has a rule for {reason} with an age of {seconds} seconds; it takes {min} (a minute) to {max} (ten years)",
        min = TrustPolicy::MIN_AGE,
        max = TrustPolicy::MAX_AGE
    )]
    Age {
        /// The reason that the rule leads to.
        reason: &'static str,
        /// The age.
        seconds: u64,
    },
    /// Two rules contradict each other: one of them would never apply.
    #[error(
        "has two rules for {0} of which one would never apply; what restricts a device comes before what ends its trust"
    )]
    Contradiction(&'static str),
    /// The time for which a verdict may be kept is out of its bounds.
    #[error("is {0} seconds; it takes 0 to {max}", max = TrustPolicy::MAX_LIFETIME)]
    Lifetime(u64),
}

impl TrustPolicyError {
    /// The code for refusing it.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::TooMany(_) | Self::Lifetime(_) => ErrorCode::Malformed,
            Self::Age { .. } => ErrorCode::TrustAgeBounds,
            Self::Contradiction(_) => ErrorCode::TrustRulesContradict,
        }
    }
}

impl TrustPolicy {
    /// The most rules.
    pub const MAX_RULES: usize = 32;

    /// The least age that a rule may name, in seconds: one could not be kept apart from a slow network.
    pub const MIN_AGE: u64 = 60;

    /// The largest age that a rule may name, in seconds: ten years.
    pub const MAX_AGE: u64 = 10 * 365 * 86_400;

    /// The longest that a verdict may be kept, in seconds: as with a profile's `verdict_lifetime`.
    pub const MAX_LIFETIME: u64 = 86_400;

    /// No rules: what holds where nothing is set.
    pub const NONE: &'static Self = &Self { rules: Vec::new(), lifetime: None, offline: Offline::NONE };

    /// The policy of these rules. A verdict may be kept for `lifetime` seconds; with `None` for the `verdict_lifetime` of the profile.
    pub fn new(mut rules: Vec<TrustRule>, lifetime: Option<u64>) -> Result<Self, TrustPolicyError> {
        if rules.len() > Self::MAX_RULES {
            return Err(TrustPolicyError::TooMany(rules.len()));
        }
        for rule in &rules {
            let reason = rule.when.reason().code();
            if let Some(seconds) = rule.when.age()
                && !(Self::MIN_AGE..=Self::MAX_AGE).contains(&seconds)
            {
                return Err(TrustPolicyError::Age { reason, seconds });
            }
        }
        if let Some(lifetime) = lifetime.filter(|lifetime| *lifetime > Self::MAX_LIFETIME) {
            return Err(TrustPolicyError::Lifetime(lifetime));
        }
        // One order, so that the same rules are the same policy.
        rules.sort_by(|one, other| one.when.place(&other.when).then(one.limit.cmp(&other.limit)));
        for pair in rules.windows(2) {
            if let [one, other] = pair
                && one.when.place(&other.when) == Ordering::Equal
                && !(one.limit < other.limit && one.when.holds_before(&other.when))
            {
                return Err(TrustPolicyError::Contradiction(one.when.reason().code()));
            }
        }
        Ok(Self { rules, lifetime, offline: Offline::NONE })
    }

    /// The same with what stale trust may be used for.
    pub fn with_offline(self, offline: Offline) -> Self {
        Self { offline, ..self }
    }

    /// The rules, in one order.
    pub fn rules(&self) -> &[TrustRule] {
        &self.rules
    }

    /// Seconds for which a verdict may be kept; `None` for what the profile says.
    pub fn lifetime(&self) -> Option<u64> {
        self.lifetime
    }

    /// What stale trust may be used for, and for how long.
    pub fn offline(&self) -> Offline {
        self.offline
    }

    /// Whether it looks at what changes with a device's proofs, signatures and quotes.
    pub fn looks_at_signs(&self) -> bool {
        self.rules.iter().any(|rule| rule.when.age().is_some())
    }

    /// Whether it looks at what devices run, by their receipts.
    pub fn looks_at_software(&self) -> bool {
        self.rules.iter().any(|rule| rule.when == TrustCondition::FirmwareUnapproved)
    }

    /// What comes of a certificate that is not valid at the time.
    pub(crate) fn limit_of(&self, when: &TrustCondition) -> TrustLimit {
        let rule = self.rules.iter().find(|rule| rule.when == *when);
        rule.map_or(TrustLimit::NotTrusted, |rule| rule.limit)
    }
}

impl TrustCondition {
    /// The reason of a verdict where it holds.
    pub fn reason(&self) -> VerdictReason {
        match self {
            Self::CertificateNotYetValid => VerdictReason::CertificateNotYetValid,
            Self::CertificateExpired => VerdictReason::CertificateExpired,
            Self::KeyShared => VerdictReason::KeyShared,
            Self::AssuranceBelow(_) => VerdictReason::AssuranceLow,
            Self::AttestationOlder(_) => VerdictReason::AttestationOld,
            Self::KeysOlder(_) => VerdictReason::KeysOld,
            Self::SilentFor(_) => VerdictReason::Silent,
            Self::FirmwareBelow(..) => VerdictReason::FirmwareOld,
            Self::FirmwareUnapproved => VerdictReason::FirmwareUnapproved,
        }
    }

    /// The age that it names, in seconds.
    pub fn age(&self) -> Option<u64> {
        match self {
            Self::AttestationOlder(seconds) | Self::KeysOlder(seconds) | Self::SilentFor(seconds) => {
                Some(*seconds)
            }
            Self::CertificateNotYetValid
            | Self::CertificateExpired
            | Self::KeyShared
            | Self::AssuranceBelow(_)
            | Self::FirmwareBelow(..)
            | Self::FirmwareUnapproved => None,
        }
    }

    /// The order of conditions; those are equal that look at the same thing.
    fn place(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::FirmwareBelow(one, _), Self::FirmwareBelow(other, _)) => one.cmp(other),
            _ => self.number().cmp(&other.number()),
        }
    }

    fn number(&self) -> u8 {
        match self {
            Self::CertificateNotYetValid => 1,
            Self::CertificateExpired => 2,
            Self::KeyShared => 3,
            Self::AssuranceBelow(_) => 4,
            Self::AttestationOlder(_) => 5,
            Self::KeysOlder(_) => 6,
            Self::SilentFor(_) => 7,
            Self::FirmwareBelow(..) => 8,
            Self::FirmwareUnapproved => 9,
        }
    }

    /// Whether it holds wherever `other`, which looks at the same thing, holds, and elsewhere too.
    fn holds_before(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::AssuranceBelow(one), Self::AssuranceBelow(other)) => one.number() < other.number(),
            (Self::FirmwareBelow(_, one), Self::FirmwareBelow(_, other)) => one > other,
            _ => self.age().zip(other.age()).is_some_and(|(one, other)| one < other),
        }
    }
}

impl TrustLimit {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Restricted, Self::NotTrusted];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Restricted => "restricted",
            Self::NotTrusted => "not-trusted",
        }
    }
}

impl fmt::Display for TrustLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// As the audit log has it: `silent 86400 s: restricted`.
impl fmt::Display for TrustRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.when.reason().code())?;
        match &self.when {
            TrustCondition::AssuranceBelow(least) => write!(f, " below {least}")?,
            TrustCondition::FirmwareBelow(attribute, floor) => write!(f, " {attribute} below {floor}")?,
            when => when.age().map_or(Ok(()), |seconds| write!(f, " {seconds} s"))?,
        }
        write!(f, ": {}", self.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::TrustCondition::*;
    use super::TrustLimit::{NotTrusted, Restricted};
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;

    fn rule(when: TrustCondition, limit: TrustLimit) -> TrustRule {
        TrustRule { when, limit }
    }

    fn below(attribute: &str, floor: &str) -> TrustCondition {
        FirmwareBelow(attribute.parse().unwrap(), floor.parse().unwrap())
    }

    fn refused(rules: Vec<TrustRule>) -> ErrorCode {
        TrustPolicy::new(rules, None).unwrap_err().code()
    }

    #[test]
    fn the_same_rules_are_the_same_policy_in_whatever_order() {
        let mut rules = vec![
            rule(below("firmware", "2.0"), Restricted),
            rule(below("firmware", "1.0"), NotTrusted),
            rule(below("bootloader", "1.0"), NotTrusted),
            rule(SilentFor(86_400), Restricted),
            rule(SilentFor(864_000), NotTrusted),
            rule(KeyShared, Restricted),
        ];
        let policy = TrustPolicy::new(rules.clone(), Some(60)).unwrap();
        assert!(policy.looks_at_signs());
        rules.reverse();
        assert_eq!(TrustPolicy::new(rules, Some(60)).unwrap(), policy);
        assert_eq!(policy.rules()[1].to_string(), "silent 86400 s: restricted");
        assert_eq!(policy.rules()[3].to_string(), "firmware-old bootloader below 1.0: not-trusted");
        assert_eq!(TrustPolicy::new(Vec::new(), None).unwrap(), *TrustPolicy::NONE);
    }

    #[test]
    fn ages_have_bounds_and_so_have_lifetimes() {
        for (age, is_good) in [
            (59, false),
            (60, true),
            (TrustPolicy::MAX_AGE, true),
            (TrustPolicy::MAX_AGE + 1, false),
            (u64::MAX, false),
        ] {
            for when in [AttestationOlder(age), KeysOlder(age), SilentFor(age)] {
                let made = TrustPolicy::new(vec![rule(when, Restricted)], None);
                assert_eq!(made.is_ok(), is_good, "{age}");
                assert!(made.err().is_none_or(|error| error.code() == ErrorCode::TrustAgeBounds));
            }
        }
        assert!(TrustPolicy::new(Vec::new(), Some(86_400)).is_ok());
        assert_eq!(TrustPolicy::new(Vec::new(), Some(86_401)).unwrap_err().code(), ErrorCode::Malformed);
        let many =
            |count| (0..count).map(|n| rule(below(&alloc::format!("a{n}"), "1.0"), Restricted)).collect();
        assert!(TrustPolicy::new(many(32), None).is_ok());
        assert_eq!(TrustPolicy::new(many(33), None), Err(TrustPolicyError::TooMany(33)));
    }

    #[test]
    fn rules_of_which_one_would_never_apply_are_refused() {
        for (one, other) in [
            (KeyShared, KeyShared),
            (FirmwareUnapproved, FirmwareUnapproved),
            (CertificateExpired, CertificateExpired),
            (SilentFor(600), SilentFor(600)),
            (SilentFor(900), SilentFor(600)),
            (below("firmware", "1.0"), below("firmware", "1.0.0")),
            (below("firmware", "1.0"), below("firmware", "2.0")),
            (AssuranceBelow(Assurance::Software), AssuranceBelow(Assurance::TpmVendor)),
        ] {
            let rules = vec![rule(one, Restricted), rule(other, NotTrusted)];
            assert_eq!(refused(rules), ErrorCode::TrustRulesContradict);
        }
        let twice = vec![rule(SilentFor(600), Restricted), rule(SilentFor(900), Restricted)];
        assert_eq!(refused(twice), ErrorCode::TrustRulesContradict);
        let rising = vec![
            rule(AssuranceBelow(Assurance::TpmVendor), Restricted),
            rule(AssuranceBelow(Assurance::TpmFirstUse), NotTrusted),
        ];
        assert!(TrustPolicy::new(rising, None).is_ok());
    }
}
