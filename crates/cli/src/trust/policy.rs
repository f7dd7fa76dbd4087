//! `wardein trust policy`.

use super::verdict;
use crate::connection::{ConnectArgs, Session};
use crate::pages::Part;
use crate::{Column, Failure, Output, Record, time};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::fmt;
use std::str::FromStr;
use wardein_client::{Word, time as wire, v1, word};

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Show the policy of a profile, or of the tenant, and what holds there
    Show(ShowArgs),
    /// Set it, whole; or say on which devices it would change the verdict
    ///
    /// A rule is REASON=VERDICT, with VERDICT `restricted` or `not-trusted`, and REASON one of `silent:AGE`, `keys-old:AGE`,
    /// `attestation-old:AGE` (an age such as 30d or 12h), `firmware-old:ATTRIBUTE:VERSION` (versions below that one, and those that are not on
    /// record), `assurance-low:LEVEL` (keys less surely held than that), `key-shared`, `firmware-unapproved`
    /// (what runs is not a release that is approved, or the device has not told), `certificate-expired` and `certificate-not-yet-valid`.
    /// Such as: --rule silent:7d=restricted --rule silent:30d=not-trusted --rule firmware-old:firmware:2.1.0=restricted
    Set(SetArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    place: PlaceArgs,
}

/// `wardein trust policy set`.
#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    #[command(flatten)]
    rules: RulesArgs,
    /// How long a verdict may be kept, at most 1d; left out, what the profile says
    #[arg(long, value_name = "SPAN", value_parser = time::seconds, conflicts_with = "inherited")]
    lifetime: Option<u64>,
    /// For how long a verdict may be used for something while a platform does not reach the authority: `data` (it takes in what the device
    /// sends), `login` (it lets it in) or `control` (it sends it commands), such as data:3d; at most 30d; several may be given. Left out, for
    /// nothing once it is stale
    #[arg(long = "offline", value_name = "USE:SPAN", conflicts_with = "inherited")]
    offline: Vec<Offline>,
    /// Change it only if it is still of this version; left out, of the one that is there when this begins
    #[arg(long, value_name = "ETAG")]
    etag: Option<String>,
    /// Change nothing, and list the devices on which it would give another verdict
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    part: Part,
    #[command(flatten)]
    place: PlaceArgs,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct RulesArgs {
    /// A rule; several may be given
    #[arg(long = "rule", value_name = "REASON=VERDICT")]
    rules: Vec<Rule>,
    /// No rules: a device is trusted while it is active
    #[arg(long)]
    no_rules: bool,
    /// What is set for the tenant holds; for the tenant itself, nothing
    #[arg(long)]
    inherited: bool,
}

#[derive(Debug, Args)]
struct PlaceArgs {
    /// The profile for whose devices it is; left out, those of all profiles that have no policy of their own
    #[arg(long)]
    profile: Option<String>,
    /// The tenant
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// A rule as people write it.
#[derive(Debug, Clone, PartialEq)]
struct Rule(v1::TrustRule);

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (when, limit) = text.rsplit_once('=').ok_or("takes REASON=VERDICT")?;
        let (word, value) = when.split_once(':').map_or((when, None), |(word, value)| (word, Some(value)));
        let reason = v1::Reason::from_word(word)
            .ok_or_else(|| format!("{word} is not a reason that this version knows"))?;
        let verdict = v1::Verdict::from_word(limit).ok_or("takes the verdict restricted or not-trusted")?;
        let mut rule = v1::TrustRule { reason: reason.into(), verdict: verdict.into(), ..Default::default() };
        match (reason, value) {
            (v1::Reason::FirmwareOld, Some(value)) => {
                let (attribute, version) =
                    value.rsplit_once(':').ok_or("takes firmware-old:ATTRIBUTE:VERSION")?;
                (rule.attribute, rule.least_version) = (attribute.to_owned(), version.to_owned());
            }
            (v1::Reason::AssuranceLow, Some(value)) => {
                let level = v1::Assurance::from_word(value);
                rule.least_assurance =
                    level.ok_or_else(|| format!("{value} is not a level of assurance"))?.into();
            }
            (_, Some(value)) => rule.max_age = wire::span(time::seconds(value)?),
            // The authority says what is missing.
            (_, None) => {}
        }
        Ok(Self(rule))
    }
}

/// A use of stale trust as people write it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Offline(pub(super) v1::OfflineLimit);

impl FromStr for Offline {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (word, span) = text.split_once(':').ok_or("takes USE:SPAN, such as data:3d")?;
        let of = v1::OfflineUse::from_word(word).ok_or("takes a use: data, login or control")?;
        Ok(Self(v1::OfflineLimit { r#use: of.into(), time: wire::span(time::seconds(span)?) }))
    }
}

impl fmt::Display for Offline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = time::span(wire::span_seconds(self.0.time)).replace(' ', "");
        write!(f, "{}:{span}", word::<v1::OfflineUse>(self.0.r#use))
    }
}

pub(super) fn offline_texts(limits: Vec<v1::OfflineLimit>) -> Vec<String> {
    limits.into_iter().map(|limit| Offline(limit).to_string()).collect()
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(rule) = self;
        f.write_str(&word::<v1::Reason>(rule.reason))?;
        match rule.reason() {
            v1::Reason::FirmwareOld => write!(f, ":{}:{}", rule.attribute, rule.least_version)?,
            v1::Reason::AssuranceLow => write!(f, ":{}", word::<v1::Assurance>(rule.least_assurance))?,
            _ if rule.max_age.is_some() => {
                // Without the spaces that people read: it can be given back as it is.
                write!(f, ":{}", time::span(wire::span_seconds(rule.max_age)).replace(' ', ""))?;
            }
            _ => {}
        }
        write!(f, "={}", word::<v1::Verdict>(rule.verdict))
    }
}

#[derive(Debug, Serialize)]
struct Policy {
    tenant: String,
    profile: String,
    inherited: bool,
    rules: Vec<String>,
    /// Seconds; null where the profile's holds.
    lifetime: Option<u64>,
    /// What stale trust may be used for, and for how long.
    offline: Vec<String>,
    etag: String,
    /// The profile whose policy holds, `tenant` for the tenant's, `none` where nothing is set.
    holds: String,
    effective_rules: Vec<String>,
    effective_etag: String,
}

impl Policy {
    fn of(policy: Option<v1::TrustPolicy>, effective: Option<v1::TrustPolicy>) -> Self {
        let policy = policy.unwrap_or_default();
        let texts =
            |rules: Vec<v1::TrustRule>| rules.into_iter().map(|rule| Rule(rule).to_string()).collect();
        Self {
            tenant: policy.tenant,
            profile: policy.profile,
            inherited: policy.inherited,
            lifetime: policy.lifetime.map(|span| wire::span_seconds(Some(span))),
            rules: texts(policy.rules),
            offline: offline_texts(policy.offline),
            etag: policy.etag,
            holds: place(effective.as_ref()),
            effective_etag: effective.as_ref().map(|set| set.etag.clone()).unwrap_or_default(),
            effective_rules: texts(effective.unwrap_or_default().rules),
        }
    }
}

/// Where a policy is set, in a word.
pub(super) fn place(set: Option<&v1::TrustPolicy>) -> String {
    match set {
        None => "none".to_owned(),
        Some(set) if set.profile.is_empty() => "tenant".to_owned(),
        Some(set) => set.profile.clone(),
    }
}

impl Record for Policy {
    const COLUMNS: &'static [Column<Self>] = &[
        ("tenant", |policy| policy.tenant.clone()),
        ("profile", |policy| policy.profile.clone()),
        ("rules", |policy| match (policy.inherited, &policy.rules[..]) {
            (true, _) => "inherited".to_owned(),
            (false, []) => "none".to_owned(),
            (false, rules) => rules.join(" "),
        }),
        ("verdicts for", |policy| policy.lifetime.map(time::span).unwrap_or_default()),
        ("offline", |policy| policy.offline.join(" ")),
        ("version", |policy| policy.etag.clone()),
        ("holds", |policy| match policy.holds.as_str() {
            "none" => "nothing is set: a device is trusted while it is active".to_owned(),
            "tenant" => format!("that of the tenant, {}", policy.effective_etag),
            _ => "this one".to_owned(),
        }),
        ("rules that hold", |policy| policy.effective_rules.join(" ")),
    ];
}

#[derive(Debug, Serialize)]
struct Change {
    device_id: String,
    before: String,
    after: String,
    reasons: Vec<String>,
}

impl Record for Change {
    const COLUMNS: &'static [Column<Self>] = &[
        ("device", |change| change.device_id.clone()),
        ("now", |change| change.before.clone()),
        ("then", |change| change.after.clone()),
        ("because", |change| change.reasons.join(", ")),
    ];
}

impl PolicyCommand {
    pub(crate) async fn run(self, out: Output) -> Result<(), Failure> {
        match self {
            Self::Show(args) => {
                let PlaceArgs { profile, tenant, connect } = args.place;
                let session = connect.open().await?;
                let tenant = session.tenant(tenant).await?;
                let answer = get(&session, tenant, profile).await?;
                out.one(&Policy::of(answer.policy, answer.effective))
            }
            Self::Set(args) => args.run(out).await,
        }
    }
}

async fn get(
    session: &Session,
    tenant: String,
    profile: Option<String>,
) -> Result<v1::GetTrustPolicyResponse, Failure> {
    let request = v1::GetTrustPolicyRequest { tenant, profile: profile.unwrap_or_default() };
    Ok(session.operator().get_trust_policy(request).await?)
}

impl SetArgs {
    async fn run(self, out: Output) -> Result<(), Failure> {
        let Self { rules, lifetime, offline, etag, dry_run, part, place } = self;
        let PlaceArgs { profile, tenant, connect } = place;
        let session = connect.open().await?;
        let tenant = session.tenant(tenant).await?;
        let policy = v1::TrustPolicy {
            tenant: tenant.clone(),
            profile: profile.clone().unwrap_or_default(),
            rules: rules.rules.into_iter().map(|Rule(rule)| rule).collect(),
            lifetime: lifetime.and_then(wire::span),
            inherited: rules.inherited,
            offline: offline.into_iter().map(|Offline(limit)| limit).collect(),
            etag: String::new(),
        };
        if dry_run {
            return preview(&session, policy, &part, out).await;
        }
        // Nobody else changed it between what this command read and what it writes.
        let etag = match etag {
            Some(etag) => etag,
            None => get(&session, tenant, profile).await?.policy.unwrap_or_default().etag,
        };
        let policy = Some(v1::TrustPolicy { etag, ..policy });
        let answer = session.operator().put_trust_policy(v1::PutTrustPolicyRequest { policy }).await?;
        out.one(&Policy::of(answer.policy, answer.effective))
    }
}

async fn preview(
    session: &Session,
    policy: v1::TrustPolicy,
    part: &Part,
    out: Output,
) -> Result<(), Failure> {
    let mut looked_at = 0_u64;
    let (changes, next) = part
        .of(async |page_size, page_token| {
            let policy = Some(policy.clone());
            let request = v1::PreviewTrustPolicyRequest { policy, page_size, page_token };
            let page = session.operator().preview_trust_policy(request).await?;
            looked_at += u64::from(page.looked_at);
            Ok((page.changes, page.next_page_token))
        })
        .await?;
    let change = |change: v1::VerdictChange| Change {
        device_id: change.device_id,
        before: verdict(change.before),
        after: verdict(change.after),
        reasons: change.reasons.into_iter().map(word::<v1::Reason>).collect(),
    };
    let changes: Vec<_> = changes.into_iter().map(change).collect();
    if out.is_json() {
        let next = (!next.is_empty()).then(|| wardein_crypto::hex::encode(&next));
        return out.json(&serde_json::json!({
            "changes": changes, "changed": changes.len(), "looked_at": looked_at, "next": next,
        }));
    }
    out.list_part("changes", &changes, &next)?;
    let more = if next.is_empty() { "" } else { " so far" };
    out.write(&format!("{} of {looked_at} devices would have another verdict{more}\n", changes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_written_as_it_is_read() {
        for text in [
            "silent:7days=restricted",
            "keys-old:1day12h=not-trusted",
            "attestation-old:1m=restricted",
            "firmware-old:a:b:2.1.0-rc.1=not-trusted",
            "assurance-low:tpm-listed=restricted",
            "key-shared=restricted",
            "certificate-expired=restricted",
        ] {
            assert_eq!(text.parse::<Rule>().unwrap().to_string(), text);
        }
        let rule = "silent:30d=restricted".parse::<Rule>().unwrap().0;
        assert_eq!(wire::span_seconds(rule.max_age), 30 * 86_400);
        assert_eq!("silent=restricted".parse::<Rule>().unwrap().0.max_age, None);
        assert_eq!("data:3days".parse::<Offline>().unwrap().to_string(), "data:3days");
        for bad in ["", "data", "data:", "data:3", "telemetry:3d", "Data:3d"] {
            assert!(bad.parse::<Offline>().is_err(), "{bad}");
        }
        for bad in [
            "",
            "silent:30d",
            "silent:30=restricted",
            "loud:1d=restricted",
            "silent:1d=sometimes",
            "firmware-old:2.1.0=restricted",
            "assurance-low:high=restricted",
        ] {
            assert!(bad.parse::<Rule>().is_err(), "{bad}");
        }
    }
}
