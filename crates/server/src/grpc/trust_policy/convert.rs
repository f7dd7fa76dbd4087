//! Trust policies as they are sent.

use crate::grpc::convert::{parse, parse_optional, span_optional, text, wrong};
use crate::grpc::trust_offline as offline_limits;
use crate::grpc::words::{Answered, Asked};
use wardein_domain::{
    Assurance, DeviceState, Offline, OfflineError, OfflineUse, ProfileName, TenantId, TrustCondition,
    TrustLimit, TrustPolicy, TrustPolicyError, TrustRule, VerdictReason,
};
use wardein_engine::{Error, ErrorCode, Etag, SetTrustPolicy, TrustPolicyView, VerdictChange};
use wardein_proto::{time, v1};

/// A policy that is to be put, or tried.
pub(super) struct Given {
    pub(super) tenant: TenantId,
    /// None for the policy of the tenant.
    pub(super) profile: Option<ProfileName>,
    /// None where it is inherited.
    pub(super) policy: Option<TrustPolicy>,
    pub(super) etag: Option<Etag>,
}

pub(super) fn policy(given: Option<v1::TrustPolicy>) -> Result<Given, Error> {
    let given = given.ok_or_else(|| wrong("policy", "is missing"))?;
    let (tenant, profile) =
        (parse("policy.tenant", &given.tenant)?, parse_optional("policy.profile", &given.profile)?);
    let etag = parse_optional("policy.etag", &given.etag)?;
    let lifetime = span_optional("policy.lifetime", given.lifetime.as_ref())?;
    if given.inherited {
        if !given.rules.is_empty() || lifetime.is_some() || !given.offline.is_empty() {
            return Err(wrong("policy.inherited", "leaves no room for rules, a lifetime or offline uses"));
        }
        return Ok(Given { tenant, profile, policy: None, etag });
    }
    if given.rules.len() > TrustPolicy::MAX_RULES {
        let (count, most) = (given.rules.len(), TrustPolicy::MAX_RULES);
        return Err(wrong("policy.rules", format_args!("are {count}; it takes at most {most}")));
    }
    let rules = given.rules.iter().enumerate().map(|(n, given)| rule(&format!("policy.rules[{n}]"), given));
    let made = TrustPolicy::new(rules.collect::<Result<_, _>>()?, lifetime);
    let policy = made.map_err(|error| match error {
        TrustPolicyError::Lifetime(_) => wrong("policy.lifetime", error),
        error => Error::new(error.code(), format_args!("policy {error}")),
    })?;
    let policy = policy.with_offline(offline(&given.offline)?);
    Ok(Given { tenant, profile, policy: Some(policy), etag })
}

fn offline(given: &[v1::OfflineLimit]) -> Result<Offline, Error> {
    given.iter().enumerate().try_fold(Offline::NONE, |offline, (n, limit)| {
        let field = format!("policy.offline[{n}]");
        let of = OfflineUse::asked(&format!("{field}.use"), limit.r#use)?;
        let time = span_optional(&format!("{field}.time"), limit.time.as_ref())?;
        let time = time.ok_or_else(|| wrong(&format!("{field}.time"), "is missing"))?;
        offline.with(of, time).map_err(|error| match error {
            OfflineError::Time(_) => wrong(&format!("{field}.time"), error),
            OfflineError::Twice(_) => wrong(&format!("{field}.use"), error),
        })
    })
}

fn rule(field: &str, given: &v1::TrustRule) -> Result<TrustRule, Error> {
    let within = |name: &str| format!("{field}.{name}");
    let limit = match v1::Verdict::try_from(given.verdict) {
        Ok(v1::Verdict::Restricted) => TrustLimit::Restricted,
        Ok(v1::Verdict::NotTrusted) => TrustLimit::NotTrusted,
        _ => {
            let why = "takes RESTRICTED or NOT_TRUSTED; what may pass needs no rule";
            return Err(wrong(&within("verdict"), why));
        }
    };
    let reason = asked_reason(field, given.reason)?;
    let age = span_optional(&within("max_age"), given.max_age.as_ref())?;
    let needed = || age.ok_or_else(|| wrong(&within("max_age"), "is missing"));
    let assurance = Asked::asked_optional(&within("least_assurance"), given.least_assurance)?;
    let when = match reason {
        VerdictReason::CertificateNotYetValid => TrustCondition::CertificateNotYetValid,
        VerdictReason::CertificateExpired => TrustCondition::CertificateExpired,
        VerdictReason::KeyShared => TrustCondition::KeyShared,
        VerdictReason::AssuranceLow => {
            let least: Option<Assurance> = assurance;
            let least = least.ok_or_else(|| wrong(&within("least_assurance"), "is missing"))?;
            TrustCondition::AssuranceBelow(least)
        }
        VerdictReason::AttestationOld => TrustCondition::AttestationOlder(needed()?),
        VerdictReason::KeysOld => TrustCondition::KeysOlder(needed()?),
        VerdictReason::Silent => TrustCondition::SilentFor(needed()?),
        VerdictReason::FirmwareOld | VerdictReason::FirmwareUnknown => TrustCondition::FirmwareBelow(
            parse(&within("attribute"), &given.attribute)?,
            parse(&within("least_version"), &given.least_version)?,
        ),
        VerdictReason::FirmwareUnapproved => TrustCondition::FirmwareUnapproved,
        VerdictReason::InGoodStanding
        | VerdictReason::NoSuchDevice
        | VerdictReason::State(_)
        | VerdictReason::CertificateUnknown
        | VerdictReason::CertificateRevoked => {
            let message = format_args!("{field}.reason: {} leads to the same verdict always", reason.code());
            return Err(Error::new(ErrorCode::TrustReasonFixed, message));
        }
    };
    // What belongs to another condition is a mistake, and not to be forgotten in silence.
    let is_firmware = matches!(when, TrustCondition::FirmwareBelow(..));
    for (name, is_given) in [
        ("max_age", age.is_some() && when.age().is_none()),
        ("attribute", !given.attribute.is_empty() && !is_firmware),
        ("least_version", !given.least_version.is_empty() && !is_firmware),
        ("least_assurance", given.least_assurance != 0 && !matches!(when, TrustCondition::AssuranceBelow(_))),
    ] {
        if is_given {
            let why = format_args!("is of no use with the reason {}", reason.code());
            return Err(wrong(&within(name), why));
        }
    }
    Ok(TrustRule { when, limit })
}

fn asked_reason(field: &str, number: i32) -> Result<VerdictReason, Error> {
    match v1::Reason::try_from(number) {
        Ok(v1::Reason::Unspecified) => Err(wrong(&format!("{field}.reason"), "is missing")),
        Ok(v1::Reason::InGoodStanding) => Ok(VerdictReason::InGoodStanding),
        Ok(v1::Reason::NoSuchDevice) => Ok(VerdictReason::NoSuchDevice),
        Ok(v1::Reason::Pending) => Ok(VerdictReason::State(DeviceState::Pending)),
        Ok(v1::Reason::Suspended) => Ok(VerdictReason::State(DeviceState::Suspended)),
        Ok(v1::Reason::Quarantined) => Ok(VerdictReason::State(DeviceState::Quarantined)),
        Ok(v1::Reason::Revoked) => Ok(VerdictReason::State(DeviceState::Revoked)),
        Ok(v1::Reason::Retired) => Ok(VerdictReason::State(DeviceState::Retired)),
        Ok(v1::Reason::Transferred) => Ok(VerdictReason::State(DeviceState::Transferred)),
        Ok(v1::Reason::CertificateUnknown) => Ok(VerdictReason::CertificateUnknown),
        Ok(v1::Reason::CertificateNotYetValid) => Ok(VerdictReason::CertificateNotYetValid),
        Ok(v1::Reason::CertificateExpired) => Ok(VerdictReason::CertificateExpired),
        Ok(v1::Reason::CertificateRevoked) => Ok(VerdictReason::CertificateRevoked),
        Ok(v1::Reason::KeyShared) => Ok(VerdictReason::KeyShared),
        Ok(v1::Reason::AssuranceLow) => Ok(VerdictReason::AssuranceLow),
        Ok(v1::Reason::AttestationOld) => Ok(VerdictReason::AttestationOld),
        Ok(v1::Reason::KeysOld) => Ok(VerdictReason::KeysOld),
        Ok(v1::Reason::Silent) => Ok(VerdictReason::Silent),
        Ok(v1::Reason::FirmwareOld) => Ok(VerdictReason::FirmwareOld),
        Ok(v1::Reason::FirmwareUnknown) => Ok(VerdictReason::FirmwareUnknown),
        Ok(v1::Reason::FirmwareUnapproved) => Ok(VerdictReason::FirmwareUnapproved),
        Err(_) => {
            let message = format_args!("{field}.reason: is {number}, which is none of its values");
            Err(Error::new(ErrorCode::TrustReasonUnknown, message))
        }
    }
}

/// What is set at a place, also where that is nothing.
pub(super) fn own(
    tenant: &TenantId,
    profile: Option<&ProfileName>,
    view: &TrustPolicyView,
) -> v1::TrustPolicy {
    let policy = view.own.as_ref().unwrap_or(TrustPolicy::NONE);
    v1::TrustPolicy { inherited: view.own.is_none(), ..sent(tenant, profile, policy, view.etag) }
}

pub(super) fn effective(tenant: &TenantId, set: &SetTrustPolicy) -> v1::TrustPolicy {
    sent(tenant, set.profile.as_ref(), &set.policy, set.etag)
}

fn sent(
    tenant: &TenantId,
    profile: Option<&ProfileName>,
    policy: &TrustPolicy,
    etag: Etag,
) -> v1::TrustPolicy {
    v1::TrustPolicy {
        tenant: tenant.to_string(),
        profile: text(profile),
        rules: policy.rules().iter().map(sent_rule).collect(),
        lifetime: policy.lifetime().and_then(time::span),
        etag: etag.to_string(),
        inherited: false,
        offline: offline_limits(policy.offline()),
    }
}

fn sent_rule(rule: &TrustRule) -> v1::TrustRule {
    let (attribute, least_version) = match &rule.when {
        TrustCondition::FirmwareBelow(attribute, floor) => (attribute.to_string(), floor.to_string()),
        _ => Default::default(),
    };
    let least_assurance = match &rule.when {
        TrustCondition::AssuranceBelow(least) => Some(*least),
        _ => None,
    };
    v1::TrustRule {
        reason: rule.when.reason().wire(),
        verdict: rule.limit.wire(),
        max_age: rule.when.age().and_then(time::span),
        attribute,
        least_version,
        least_assurance: least_assurance.wire(),
    }
}

pub(super) fn change(change: VerdictChange) -> v1::VerdictChange {
    v1::VerdictChange {
        device_id: change.device.to_string(),
        before: change.before.wire(),
        after: change.after.wire(),
        reasons: change.reasons.iter().map(|reason| reason.wire()).collect(),
    }
}
