//! Whom to trust: a verdict with its reasons.

use crate::assurance::Assurance;
use crate::device::DeviceState;
use crate::name::AttributeName;
use crate::offline::Offline;
use crate::trust_policy::{TrustCondition, TrustLimit, TrustPolicy};
use crate::version::FirmwareVersion;
use alloc::vec::Vec;

/// Whether a device, or its certificate, is to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Trusted,
    /// It is, for what the platform's own rules allow a device in that condition.
    Restricted,
    /// It is not.
    NotTrusted,
    /// There is no such device.
    Unknown,
}

/// The reasons. A verdict names every reason against, or that there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerdictReason {
    /// Nothing speaks against it.
    InGoodStanding,
    /// No such device in this tenant.
    NoSuchDevice,
    /// The device is not in the state active.
    State(DeviceState),
    /// The certificate was not issued here for this tenant.
    CertificateUnknown,
    /// The certificate is not valid yet.
    CertificateNotYetValid,
    /// The certificate has expired.
    CertificateExpired,
    /// The certificate was revoked.
    CertificateRevoked,
    /// Another device was enrolled with its key or its TPM.
    KeyShared,
    /// The key that it signs with is less surely held than the policy asks.
    AssuranceLow,
    /// The last quote of its TPM is too old, or there was none.
    AttestationOld,
    /// Its keys were agreed too long ago.
    KeysOld,
    /// It has proved or signed nothing for too long.
    Silent,
    /// Its firmware is below a floor.
    FirmwareOld,
    /// The version of its firmware is not on record.
    FirmwareUnknown,
    /// What it runs is not a release that its maker approves, or it has not told.
    FirmwareUnapproved,
}

impl VerdictReason {
    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::InGoodStanding => "in-good-standing",
            Self::NoSuchDevice => "no-such-device",
            Self::State(state) => state.as_str(),
            Self::CertificateUnknown => "certificate-unknown",
            Self::CertificateNotYetValid => "certificate-not-yet-valid",
            Self::CertificateExpired => "certificate-expired",
            Self::CertificateRevoked => "certificate-revoked",
            Self::KeyShared => "key-shared",
            Self::AssuranceLow => "assurance-low",
            Self::AttestationOld => "attestation-old",
            Self::KeysOld => "keys-old",
            Self::Silent => "silent",
            Self::FirmwareOld => "firmware-old",
            Self::FirmwareUnknown => "firmware-unknown",
            Self::FirmwareUnapproved => "firmware-unapproved",
        }
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let states = DeviceState::ALL.into_iter().filter(|state| *state != DeviceState::Active);
        let others = [
            Self::InGoodStanding,
            Self::NoSuchDevice,
            Self::CertificateUnknown,
            Self::CertificateNotYetValid,
            Self::CertificateExpired,
            Self::CertificateRevoked,
            Self::KeyShared,
            Self::AssuranceLow,
            Self::AttestationOld,
            Self::KeysOld,
            Self::Silent,
            Self::FirmwareOld,
            Self::FirmwareUnknown,
            Self::FirmwareUnapproved,
        ];
        states.map(Self::State).chain(others)
    }

    /// What cures it, in a sentence; nothing where there is nothing to cure.
    pub fn cure(self) -> &'static str {
        match self {
            Self::InGoodStanding => "",
            Self::NoSuchDevice => "Correct the id, or enroll the device.",
            Self::State(state) => state.refusal().map_or("", |code| code.remedy()),
            Self::CertificateUnknown => {
                "Have the device show a certificate that this authority issued to it."
            }
            Self::CertificateNotYetValid => "Wait until it is valid, or correct the clock that is wrong.",
            Self::CertificateExpired => "The device asks for another certificate.",
            Self::CertificateRevoked => {
                "The audit log says why it was revoked; the device asks for another one if it may."
            }
            Self::KeyShared => "Retire the other device, or enroll this one with a key of its own.",
            Self::AssuranceLow => "Enroll it with a key in better hardware.",
            Self::AttestationOld => {
                "The device asks for a certificate with a quote; a PCR policy has it do so (`wardein pcr-policy set`)."
            }
            Self::KeysOld => "The device agrees on new keys; `wardein key rotate` asks it to.",
            Self::Silent => "Bring it back to the network: its next proof or signature cures it.",
            Self::FirmwareOld => "Update its firmware; it then announces the version.",
            Self::FirmwareUnknown => {
                "The device announces that attribute, as numbers with dots between them such as 2.10.3."
            }
            Self::FirmwareUnapproved => {
                "The device installs a release that is not recalled, and tells so (`wardein-device update confirm` or `verify-running`)."
            }
        }
    }
}

/// The facts about a device in question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceFacts<'a> {
    /// Its state.
    pub state: DeviceState,
    /// Seconds for which a verdict on it may be kept.
    pub verdict_lifetime: u64,
    /// The rules for it.
    pub policy: &'a TrustPolicy,
    /// What it was heard of.
    pub signs: Signs,
    /// How surely the key that it signs with is held; none for a device that derives its keys.
    pub assurance: Option<Assurance>,
    /// Whether another device was enrolled with its key or its TPM.
    pub is_shared: bool,
    /// Those of its attributes that are versions.
    pub versions: &'a [(AttributeName, FirmwareVersion)],
    /// Whether all that it runs, by its receipts, are releases that their makers approve; not so where it has given none.
    pub is_software_approved: bool,
}

/// When something was last heard of a device, in Unix seconds; 0 for never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Signs {
    /// Its last accepted proof or signature.
    pub seen: u64,
    /// When the active generation of its keys was agreed.
    pub agreed: u64,
    /// The last accepted quote of its TPM.
    pub quoted: u64,
    /// Since when it is in its state.
    pub since: u64,
}

/// The facts about a certificate in question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Unix seconds from which it is valid.
    pub not_before: u64,
    /// Unix seconds until which it is valid.
    pub not_after: u64,
    /// Whether it was revoked.
    pub is_revoked: bool,
}

/// A verdict as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgment {
    /// The verdict.
    pub verdict: Verdict,
    /// Why.
    pub reasons: Vec<VerdictReason>,
    /// Unix seconds until which it may be kept.
    pub keep_until: u64,
    /// For how many seconds one on that device may be kept; 0 where there is none.
    pub lifetime: u64,
    /// The Unix second from which time alone makes another one; none where it does not.
    pub valid_until: Option<u64>,
    /// What it may be used for when it is stale, and for how long; never from `valid_until` on.
    pub offline: Offline,
}

impl Verdict {
    /// The verdict on a device at Unix second `now`.
    pub fn on_device(device: Option<&DeviceFacts<'_>>, now: u64) -> Judgment {
        let Some(device) = device else {
            let reasons = Vec::from([VerdictReason::NoSuchDevice]);
            return Judgment {
                verdict: Self::Unknown,
                reasons,
                keep_until: now,
                lifetime: 0,
                valid_until: None,
                offline: Offline::NONE,
            };
        };
        let mut judging = Judging::of(device, now);
        if judging.reasons.is_empty() {
            judging.reasons.push(VerdictReason::InGoodStanding);
        }
        judging.done(device, now)
    }

    /// The verdict on a device that shows a certificate, of which `None` is known when it was not issued here.
    pub fn on_certificate(
        device: Option<&DeviceFacts<'_>>,
        certificate: Option<CertificateFacts>,
        now: u64,
    ) -> Judgment {
        let mut judging = match device {
            Some(device) => Judging::of(device, now),
            None => Judging {
                verdict: Self::Unknown,
                reasons: Vec::from([VerdictReason::NoSuchDevice]),
                valid_until: None,
            },
        };
        let mut keep_until = u64::MAX;
        match certificate {
            None => judging.add(VerdictReason::CertificateUnknown, TrustLimit::NotTrusted),
            Some(certificate) => {
                let policy = device.map_or(TrustPolicy::NONE, |device| device.policy);
                let CertificateFacts { not_before, not_after, is_revoked } = certificate;
                if now < not_before {
                    let limit = policy.limit_of(&TrustCondition::CertificateNotYetValid);
                    judging.add(VerdictReason::CertificateNotYetValid, limit);
                    judging.until(not_before);
                    keep_until = not_before;
                }
                if now > not_after {
                    let limit = policy.limit_of(&TrustCondition::CertificateExpired);
                    judging.add(VerdictReason::CertificateExpired, limit);
                } else {
                    judging.until(not_after.saturating_add(1));
                    keep_until = keep_until.min(not_after);
                }
                if is_revoked {
                    judging.add(VerdictReason::CertificateRevoked, TrustLimit::NotTrusted);
                }
            }
        }
        if judging.reasons.is_empty() {
            judging.reasons.push(VerdictReason::InGoodStanding);
        }
        let mut judgment = match device {
            Some(device) => judging.done(device, now),
            None => {
                let Judging { verdict, reasons, .. } = judging;
                let offline = Offline::NONE;
                Judgment { verdict, reasons, keep_until: now, lifetime: 0, valid_until: None, offline }
            }
        };
        judgment.keep_until = judgment.keep_until.min(keep_until);
        judgment
    }
}

/// A verdict in the making.
struct Judging {
    verdict: Verdict,
    reasons: Vec<VerdictReason>,
    valid_until: Option<u64>,
}

impl Judging {
    /// All that speaks against a device. Of one that is not active, its state says all: no rule makes it better or worse.
    fn of(device: &DeviceFacts<'_>, now: u64) -> Self {
        let mut judging = Self { verdict: Verdict::Trusted, reasons: Vec::new(), valid_until: None };
        if device.state != DeviceState::Active {
            judging.add(VerdictReason::State(device.state), TrustLimit::NotTrusted);
            return judging;
        }
        let Signs { seen, agreed, quoted, since } = device.signs;
        for rule in device.policy.rules() {
            let (reason, limit) = (rule.when.reason(), rule.limit);
            match &rule.when {
                TrustCondition::CertificateNotYetValid | TrustCondition::CertificateExpired => {}
                TrustCondition::KeyShared if device.is_shared => judging.add(reason, limit),
                TrustCondition::KeyShared => {}
                TrustCondition::AssuranceBelow(least) => {
                    // The surest has the lowest number.
                    if device.assurance.is_some_and(|held| held.number() > least.number()) {
                        judging.add(reason, limit);
                    }
                }
                TrustCondition::AttestationOlder(age) => {
                    judging.from(quoted.saturating_add(*age), reason, limit, now);
                }
                TrustCondition::KeysOlder(_) if agreed == 0 => {}
                TrustCondition::KeysOlder(age) => {
                    judging.from(agreed.saturating_add(*age), reason, limit, now)
                }
                TrustCondition::SilentFor(age) => {
                    judging.from(seen.max(since).saturating_add(*age), reason, limit, now);
                }
                TrustCondition::FirmwareBelow(attribute, floor) => {
                    match device.versions.iter().find(|(name, _)| name == attribute) {
                        Some((_, version)) if version >= floor => {}
                        Some(_) => judging.add(reason, limit),
                        None => judging.add(VerdictReason::FirmwareUnknown, limit),
                    }
                }
                TrustCondition::FirmwareUnapproved if device.is_software_approved => {}
                TrustCondition::FirmwareUnapproved => judging.add(reason, limit),
            }
        }
        judging
    }

    fn add(&mut self, reason: VerdictReason, limit: TrustLimit) {
        self.verdict = match (self.verdict, limit) {
            (Verdict::Unknown, _) => Verdict::Unknown,
            (Verdict::NotTrusted, _) | (_, TrustLimit::NotTrusted) => Verdict::NotTrusted,
            (Verdict::Trusted | Verdict::Restricted, TrustLimit::Restricted) => Verdict::Restricted,
        };
        if !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }

    /// A reason that there is from Unix second `at` on.
    fn from(&mut self, at: u64, reason: VerdictReason, limit: TrustLimit, now: u64) {
        if now >= at {
            self.add(reason, limit);
        } else {
            self.until(at);
        }
    }

    fn until(&mut self, at: u64) {
        self.valid_until = Some(self.valid_until.map_or(at, |until| until.min(at)));
    }

    fn done(self, device: &DeviceFacts<'_>, now: u64) -> Judgment {
        let Self { verdict, reasons, valid_until } = self;
        let lifetime = device.policy.lifetime().unwrap_or(device.verdict_lifetime);
        let keep_until = now.saturating_add(lifetime).min(valid_until.unwrap_or(u64::MAX));
        // What nobody may keep is stale at once, and is used for nothing then.
        let offline = if lifetime == 0 { Offline::NONE } else { device.policy.offline() };
        Judgment { verdict, reasons, keep_until, lifetime, valid_until, offline }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust_policy::TrustRule;
    use alloc::vec;

    const ACTIVE: DeviceFacts<'_> = DeviceFacts {
        state: DeviceState::Active,
        verdict_lifetime: 300,
        policy: TrustPolicy::NONE,
        signs: Signs { seen: 0, agreed: 0, quoted: 0, since: 0 },
        assurance: None,
        is_shared: false,
        versions: &[],
        is_software_approved: false,
    };
    const VALID: CertificateFacts = CertificateFacts { not_before: 100, not_after: 200, is_revoked: false };

    fn codes(reasons: &[VerdictReason]) -> Vec<&'static str> {
        reasons.iter().map(|reason| reason.code()).collect()
    }

    fn policy(rules: Vec<(TrustCondition, TrustLimit)>) -> TrustPolicy {
        let rules = rules.into_iter().map(|(when, limit)| TrustRule { when, limit });
        TrustPolicy::new(rules.collect(), None).unwrap()
    }

    #[test]
    fn each_reason_has_a_word_of_its_own_and_all_but_one_a_cure() {
        let mut words: Vec<_> = VerdictReason::all().map(VerdictReason::code).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), VerdictReason::all().count());
        for reason in VerdictReason::all() {
            assert_eq!(reason.cure().ends_with('.'), reason != VerdictReason::InGoodStanding);
        }
    }

    #[test]
    fn only_an_active_device_is_trusted_whatever_the_policy() {
        let strict = policy(vec![(TrustCondition::SilentFor(60), TrustLimit::Restricted)]);
        for state in DeviceState::ALL {
            let judged = Verdict::on_device(Some(&DeviceFacts { state, ..ACTIVE }), 10);
            assert_eq!(judged.verdict == Verdict::Trusted, state == DeviceState::Active);
            assert_eq!((judged.keep_until, judged.valid_until), (310, None));
            let judged = Verdict::on_device(Some(&DeviceFacts { state, policy: &strict, ..ACTIVE }), 1_000);
            let verdict =
                if state == DeviceState::Active { Verdict::Restricted } else { Verdict::NotTrusted };
            assert_eq!(judged.verdict, verdict, "{state}");
        }
        assert_eq!(Verdict::on_device(None, 10).verdict, Verdict::Unknown);
    }

    #[test]
    fn a_verdict_on_a_certificate_names_every_reason_and_ends_with_it() {
        let at = |certificate, now| Verdict::on_certificate(Some(&ACTIVE), certificate, now);
        let good = at(Some(VALID), 150);
        assert_eq!((good.verdict, codes(&good.reasons)), (Verdict::Trusted, vec!["in-good-standing"]));
        assert_eq!((good.keep_until, good.valid_until), (200, Some(201)));
        assert_eq!(codes(&at(Some(VALID), 99).reasons), ["certificate-not-yet-valid"]);
        assert_eq!((at(Some(VALID), 99).keep_until, at(Some(VALID), 99).valid_until), (100, Some(100)));
        assert_eq!(codes(&at(Some(VALID), 201).reasons), ["certificate-expired"]);
        assert_eq!(at(Some(VALID), 201).valid_until, None);
        assert_eq!(codes(&at(None, 150).reasons), ["certificate-unknown"]);
        let revoked = CertificateFacts { is_revoked: true, ..VALID };
        let suspended = DeviceFacts { state: DeviceState::Suspended, ..ACTIVE };
        let judged = Verdict::on_certificate(Some(&suspended), Some(revoked), 150);
        assert_eq!(
            (judged.verdict, codes(&judged.reasons)),
            (Verdict::NotTrusted, vec!["suspended", "certificate-revoked"])
        );
        let unknown = Verdict::on_certificate(None, Some(VALID), 150);
        assert_eq!((unknown.verdict, codes(&unknown.reasons)), (Verdict::Unknown, vec!["no-such-device"]));
    }

    #[test]
    fn an_expired_certificate_may_restrict_and_a_revoked_one_never() {
        let rules = vec![(TrustCondition::CertificateExpired, TrustLimit::Restricted)];
        let (policy, revoked) = (policy(rules), CertificateFacts { is_revoked: true, ..VALID });
        let device = DeviceFacts { policy: &policy, ..ACTIVE };
        let on = |certificate, now| Verdict::on_certificate(Some(&device), Some(certificate), now).verdict;
        assert_eq!(on(VALID, 201), Verdict::Restricted);
        assert_eq!(on(revoked, 201), Verdict::NotTrusted);
        assert_eq!(on(VALID, 99), Verdict::NotTrusted, "a rule is of one condition");
        assert_eq!(on(VALID, 150), Verdict::Trusted);
    }

    #[test]
    fn ages_count_from_the_last_sign_and_end_verdicts_to_the_second() {
        let policy = policy(vec![
            (TrustCondition::SilentFor(100), TrustLimit::Restricted),
            (TrustCondition::SilentFor(300), TrustLimit::NotTrusted),
            (TrustCondition::KeysOlder(250), TrustLimit::Restricted),
        ]);
        let signs = Signs { seen: 1_000, agreed: 1_000, quoted: 0, since: 900 };
        let device = DeviceFacts { policy: &policy, signs, ..ACTIVE };
        let at = |now| {
            let judged = Verdict::on_device(Some(&device), now);
            (judged.verdict, codes(&judged.reasons), judged.valid_until, judged.keep_until)
        };
        assert_eq!(at(1_099), (Verdict::Trusted, vec!["in-good-standing"], Some(1_100), 1_100));
        assert_eq!(at(1_100), (Verdict::Restricted, vec!["silent"], Some(1_250), 1_250));
        assert_eq!(at(1_250), (Verdict::Restricted, vec!["keys-old", "silent"], Some(1_300), 1_300));
        assert_eq!(at(1_300), (Verdict::NotTrusted, vec!["keys-old", "silent"], None, 1_600));
        // A device that signs has no generations, and one that was resumed just now has time to speak.
        let signs = Signs { agreed: 0, since: 1_400, ..signs };
        let judged = Verdict::on_device(Some(&DeviceFacts { signs, ..device }), 1_450);
        assert_eq!((judged.verdict, judged.valid_until), (Verdict::Trusted, Some(1_500)));
    }

    #[test]
    fn what_never_attested_is_old_and_what_states_no_version_is_unknown() {
        let policy = policy(vec![
            (TrustCondition::AttestationOlder(60), TrustLimit::Restricted),
            (TrustCondition::AssuranceBelow(Assurance::TpmListed), TrustLimit::Restricted),
            (TrustCondition::KeyShared, TrustLimit::Restricted),
            (
                TrustCondition::FirmwareBelow("firmware".parse().unwrap(), "1.10".parse().unwrap()),
                TrustLimit::NotTrusted,
            ),
        ]);
        let version = |text: &str| [("firmware".parse().unwrap(), text.parse().unwrap())];
        let (old, floor, other) =
            (version("1.9"), version("1.10"), [("boot".parse().unwrap(), "9.0".parse().unwrap())]);
        let on = |device: DeviceFacts<'_>| {
            let judged = Verdict::on_device(Some(&DeviceFacts { policy: &policy, ..device }), 1_000);
            (judged.verdict, codes(&judged.reasons))
        };
        let bare = vec!["attestation-old", "firmware-unknown"];
        assert_eq!(on(ACTIVE), (Verdict::NotTrusted, bare.clone()));
        assert_eq!(on(DeviceFacts { versions: &other, ..ACTIVE }), (Verdict::NotTrusted, bare));
        let below = vec!["attestation-old", "firmware-old"];
        assert_eq!(on(DeviceFacts { versions: &old, ..ACTIVE }), (Verdict::NotTrusted, below));
        let signs = Signs { quoted: 950, ..Signs::default() };
        let good = DeviceFacts { versions: &floor, signs, ..ACTIVE };
        assert_eq!(on(good).0, Verdict::Trusted);
        let assurance = Some(Assurance::TpmFirstUse);
        assert_eq!(on(DeviceFacts { assurance, ..good }), (Verdict::Restricted, vec!["assurance-low"]));
        assert_eq!(on(DeviceFacts { assurance: Some(Assurance::TpmListed), ..good }).0, Verdict::Trusted);
        assert_eq!(on(DeviceFacts { is_shared: true, ..good }), (Verdict::Restricted, vec!["key-shared"]));
    }

    #[test]
    fn what_runs_counts_where_a_rule_asks() {
        let policy = policy(vec![(TrustCondition::FirmwareUnapproved, TrustLimit::Restricted)]);
        let on = |device| {
            let judged = Verdict::on_device(Some(&device), 10);
            (judged.verdict, codes(&judged.reasons))
        };
        assert_eq!(on(ACTIVE).0, Verdict::Trusted, "no rule asks");
        let device = DeviceFacts { policy: &policy, ..ACTIVE };
        assert_eq!(on(device), (Verdict::Restricted, vec!["firmware-unapproved"]));
        assert_eq!(on(DeviceFacts { is_software_approved: true, ..device }).0, Verdict::Trusted);
    }
}
