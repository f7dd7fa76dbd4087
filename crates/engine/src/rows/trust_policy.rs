//! The row of a trust policy, at tenant and profile; that of the tenant itself under an empty profile.

use super::{column, tenant_prefix, word};
use crate::kernel::Error;
use serde::{Deserialize, Serialize};
use wardein_domain::{
    Assurance, AttributeName, FirmwareVersion, Offline, OfflineUse, ProfileName, Seconds, TenantId,
    TrustCondition, TrustLimit, TrustPolicy, TrustRule,
};

#[derive(Serialize, Deserialize)]
pub(crate) struct TrustPolicyRow {
    /// Whether none is set, and what is set for all holds; the others are empty then.
    is_inherited: bool,
    rules: Vec<RuleColumn>,
    #[serde(with = "column::maybe")]
    lifetime: Option<Seconds>,
    offline: Vec<OfflineColumn>,
}

#[derive(Serialize, Deserialize)]
struct OfflineColumn {
    of: OfflineUseColumn,
    #[serde(with = "column")]
    time: Seconds,
}

/// The order of these is stored.
#[derive(Serialize, Deserialize)]
enum OfflineUseColumn {
    Data,
    Login,
    Control,
}

#[derive(Serialize, Deserialize)]
struct RuleColumn {
    when: WhenColumn,
    #[serde(with = "column")]
    limit: TrustLimit,
}

/// The order of these is stored.
#[derive(Serialize, Deserialize)]
enum WhenColumn {
    CertificateNotYetValid,
    CertificateExpired,
    KeyShared,
    AssuranceBelow(#[serde(with = "column")] Assurance),
    AttestationOlder(#[serde(with = "column")] Seconds),
    KeysOlder(#[serde(with = "column")] Seconds),
    SilentFor(#[serde(with = "column")] Seconds),
    FirmwareBelow {
        #[serde(with = "column")]
        attribute: AttributeName,
        #[serde(with = "column")]
        floor: FirmwareVersion,
    },
    FirmwareUnapproved,
}

impl From<Option<&TrustPolicy>> for TrustPolicyRow {
    fn from(policy: Option<&TrustPolicy>) -> Self {
        let is_inherited = policy.is_none();
        let policy = policy.unwrap_or(TrustPolicy::NONE);
        let rule = |TrustRule { when, limit }: &TrustRule| {
            let when = match when {
                TrustCondition::CertificateNotYetValid => WhenColumn::CertificateNotYetValid,
                TrustCondition::CertificateExpired => WhenColumn::CertificateExpired,
                TrustCondition::KeyShared => WhenColumn::KeyShared,
                TrustCondition::AssuranceBelow(least) => WhenColumn::AssuranceBelow(*least),
                TrustCondition::AttestationOlder(age) => WhenColumn::AttestationOlder(Seconds::new(*age)),
                TrustCondition::KeysOlder(age) => WhenColumn::KeysOlder(Seconds::new(*age)),
                TrustCondition::SilentFor(age) => WhenColumn::SilentFor(Seconds::new(*age)),
                TrustCondition::FirmwareBelow(attribute, floor) => {
                    WhenColumn::FirmwareBelow { attribute: attribute.clone(), floor: floor.clone() }
                }
                TrustCondition::FirmwareUnapproved => WhenColumn::FirmwareUnapproved,
            };
            RuleColumn { when, limit: *limit }
        };
        let rules = policy.rules().iter().map(rule).collect();
        let offline = |(of, seconds)| {
            let of = match of {
                OfflineUse::Data => OfflineUseColumn::Data,
                OfflineUse::Login => OfflineUseColumn::Login,
                OfflineUse::Control => OfflineUseColumn::Control,
            };
            OfflineColumn { of, time: Seconds::new(seconds) }
        };
        let offline = policy.offline().uses().map(offline).collect();
        Self { is_inherited, rules, lifetime: policy.lifetime().map(Seconds::new), offline }
    }
}

impl TrustPolicyRow {
    /// The policy; none where what is set for all holds.
    pub(crate) fn policy(self) -> Result<Option<TrustPolicy>, Error> {
        if self.is_inherited {
            return Ok(None);
        }
        let rule = |RuleColumn { when, limit }| {
            let when = match when {
                WhenColumn::CertificateNotYetValid => TrustCondition::CertificateNotYetValid,
                WhenColumn::CertificateExpired => TrustCondition::CertificateExpired,
                WhenColumn::KeyShared => TrustCondition::KeyShared,
                WhenColumn::AssuranceBelow(least) => TrustCondition::AssuranceBelow(least),
                WhenColumn::AttestationOlder(age) => TrustCondition::AttestationOlder(age.get()),
                WhenColumn::KeysOlder(age) => TrustCondition::KeysOlder(age.get()),
                WhenColumn::SilentFor(age) => TrustCondition::SilentFor(age.get()),
                WhenColumn::FirmwareBelow { attribute, floor } => {
                    TrustCondition::FirmwareBelow(attribute, floor)
                }
                WhenColumn::FirmwareUnapproved => TrustCondition::FirmwareUnapproved,
            };
            TrustRule { when, limit }
        };
        let rules = self.rules.into_iter().map(rule).collect();
        let offline =
            self.offline.into_iter().try_fold(Offline::NONE, |offline, OfflineColumn { of, time }| {
                let of = match of {
                    OfflineUseColumn::Data => OfflineUse::Data,
                    OfflineUseColumn::Login => OfflineUse::Login,
                    OfflineUseColumn::Control => OfflineUse::Control,
                };
                offline.with(of, time.get())
            });
        let policy = TrustPolicy::new(rules, self.lifetime.map(Seconds::get)).map_err(Error::internal)?;
        Ok(Some(policy.with_offline(offline.map_err(Error::internal)?)))
    }
}

/// `tenant ‖ 0 ‖ profile`, the last empty for the policy of the tenant.
pub(crate) fn trust_policy_key(tenant: &TenantId, profile: Option<&ProfileName>) -> Vec<u8> {
    let mut key = tenant_prefix(tenant);
    key.extend_from_slice(profile.map_or("", ProfileName::as_str).as_bytes());
    key
}

/// Tenant and profile that [`trust_policy_key`] is the key of.
pub(crate) fn parse_trust_policy_key(key: &[u8]) -> Result<(TenantId, Option<ProfileName>), Error> {
    let text = std::str::from_utf8(key).unwrap_or_default();
    let (tenant, profile) = text.split_once('\0').unwrap_or_default();
    let profile = (!profile.is_empty()).then(|| word("profile", profile)).transpose()?;
    Ok((word("tenant", tenant)?, profile))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{decode, encode};
    use wardein_crypto::hex;
    use wardein_port::Table;

    #[test]
    fn the_bytes_of_a_row_never_change() {
        let rule = |when, limit| TrustRule { when, limit };
        let rules = vec![
            rule(TrustCondition::CertificateNotYetValid, TrustLimit::NotTrusted),
            rule(TrustCondition::CertificateExpired, TrustLimit::Restricted),
            rule(TrustCondition::KeyShared, TrustLimit::Restricted),
            rule(TrustCondition::AssuranceBelow(Assurance::TpmListed), TrustLimit::NotTrusted),
            rule(TrustCondition::AttestationOlder(60), TrustLimit::Restricted),
            rule(TrustCondition::KeysOlder(61), TrustLimit::Restricted),
            rule(TrustCondition::SilentFor(62), TrustLimit::Restricted),
            rule(
                TrustCondition::FirmwareBelow("fw".parse().unwrap(), "1.2".parse().unwrap()),
                TrustLimit::NotTrusted,
            ),
        ];
        let offline =
            Offline::NONE.with(OfflineUse::Data, 64).unwrap().with(OfflineUse::Control, 63).unwrap();
        let policy = TrustPolicy::new(rules, Some(30)).unwrap().with_offline(offline);
        for (policy, golden) in [(Some(&policy), GOLDEN), (None, INHERITED)] {
            assert_eq!(hex::encode(&encode(&TrustPolicyRow::from(policy)).unwrap()), golden);
            let read: TrustPolicyRow = decode(Table::TrustPolicy, &hex::decode(golden).unwrap()).unwrap();
            assert_eq!(read.policy().unwrap().as_ref(), policy);
        }
    }

    #[test]
    fn a_key_leads_to_its_tenant_and_profile() {
        let (tenant, profile): (TenantId, ProfileName) = ("klinik".parse().unwrap(), "icu".parse().unwrap());
        for profile in [None, Some(profile)] {
            let key = trust_policy_key(&tenant, profile.as_ref());
            assert_eq!(parse_trust_policy_key(&key).unwrap(), (tenant.clone(), profile));
        }
        for damaged in [&b""[..], b"klinik", b"\0icu", b"klinik\0a b", b"\xff"] {
            assert!(parse_trust_policy_key(damaged).is_err());
        }
    }

    const GOLDEN: &str = "020008000201010201030202043c01053d01063e010702667703312e3202011e020040023f";
    const INHERITED: &str = "0201000000";
}
