//! `wardein profile`.

use crate::connection::{ConnectArgs, Session};
use crate::{Column, Failure, Output, Record, time};
use clap::{Args, Subcommand};
use serde::Serialize;
use wardein_client::{FieldMask, number, time as wire, v1, word};

#[derive(Debug, Subcommand)]
pub(crate) enum ProfileCommand {
    /// Create a profile, or replace it. What is left out is inherited from the tenant's profile `default`
    Put(Box<PutArgs>),
    /// List a tenant's profiles, with what they inherit
    List(ListArgs),
}

#[derive(Debug, Args)]
pub(crate) struct PutArgs {
    /// The profile's name: 1 to 32 of a-z, 0-9 and '-'
    name: String,
    /// The tenant
    #[arg(long)]
    tenant: Option<String>,
    /// Leave what is not given as it is
    #[arg(long)]
    merge: bool,
    /// How long a device's certificate is valid: 5m to 366d; more than 7d only with --confirm-long-validity [at first: 1d]
    #[arg(long, value_name = "TIME", value_parser = time::seconds)]
    certificate_validity: Option<u64>,
    /// How long an epoch of keys is: 60s or more, 0s for none [at first: 1h]
    #[arg(long, value_name = "TIME", value_parser = time::seconds)]
    period: Option<u64>,
    /// How many keys an epoch has; 0 for no bound [at first: 0]
    #[arg(long, value_name = "N")]
    max_uses: Option<u64>,
    /// The key agreements that are allowed: 1 (P-256), 2 (P-256 and ML-KEM-768) [at first: both]
    #[arg(long, value_delimiter = ',', value_name = "N")]
    suites: Vec<u32>,
    /// How long a trust verdict may be kept: 0s to 1d [at first: 5m]
    #[arg(long, value_name = "TIME", value_parser = time::seconds)]
    verdict_lifetime: Option<u64>,
    /// After how long a device is to agree on keys again: 1h or more, 0s for only when it is asked [at first: 30d]
    #[arg(long, value_name = "TIME", value_parser = time::seconds)]
    rekey_after: Option<u64>,
    /// Whether a clone alarm takes the device out of trust until a human decides [at first: true]
    #[arg(long, value_name = "true|false")]
    quarantine_on_clone: Option<bool>,
    /// For how many epochs after their own tokens are accepted: 0 to 1000 [at first: 1]
    #[arg(long, value_name = "EPOCHS")]
    token_retention: Option<u32>,
    /// For how many epochs after their own payloads can be opened: 0 to 10000000 [at first: 0]
    #[arg(long, value_name = "EPOCHS")]
    data_retention: Option<u32>,
    /// The same for files [at first: 0]
    #[arg(long, value_name = "EPOCHS")]
    file_retention: Option<u32>,
    /// Whose keys may be released again: data, file, both, or none [at first: none]
    #[arg(long, value_delimiter = ',', value_name = "PURPOSE", value_parser = ["data", "file", "none"])]
    archive: Vec<String>,
    /// The common name (CN) in certificates, by which most brokers know a client: text with {device}, {tenant}, {profile}; empty for
    /// none [at first: none]
    #[arg(long, value_name = "TEMPLATE")]
    certificate_cn: Option<String>,
    /// The same for a DNS name among the subject alternative names [at first: none]
    #[arg(long, value_name = "TEMPLATE")]
    certificate_dns: Option<String>,
    /// The same for a URN among the subject alternative names, such as urn:dev:os:32473-{device}; libraries of SPIFFE refuse a
    /// certificate with it [at first: none]
    #[arg(long, value_name = "TEMPLATE")]
    certificate_uri: Option<String>,
    /// The same for the serial number in the subject [at first: none]
    #[arg(long, value_name = "TEMPLATE")]
    certificate_serial_number: Option<String>,
    /// What certificates are for: device-tls for devices that call; dicom-tls, hl7-fhir-tls, sdc-provider, sdc-consumer for those that are
    /// called, too, by an authority founded with `wardein init --devices-serve` [at first: device-tls]
    #[arg(long, value_name = "PROFILE", value_parser = ["device-tls", "dicom-tls", "hl7-fhir-tls", "sdc-provider", "sdc-consumer"])]
    certificate_profile: Option<String>,
    /// The keys that are certified: p256, p384, rsa-3072, rsa-4096, or for legacy equipment rsa-2048 [at first: p256; of the other
    /// certificate profiles: all but rsa-2048]
    #[arg(long, value_delimiter = ',', value_name = "KIND", value_parser = ["p256", "p384", "rsa-2048", "rsa-3072", "rsa-4096"])]
    certificate_keys: Vec<String>,
    /// Whether certificates say that nobody is told of their revocation (noRevAvail, RFC 9608); they live for 7d at most then [at
    /// first: false]
    #[arg(long, value_name = "true|false")]
    certificate_no_rev_avail: Option<bool>,
    /// After which share of a certificate's time its device renews it, in percent, 8 more or less: 20 to 90 [at first: 66]
    #[arg(long, value_name = "PERCENT")]
    certificate_renewal: Option<u32>,
    /// Have certificates live for more than 7d
    #[arg(long)]
    confirm_long_validity: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// The tenant
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// A profile as it holds.
#[derive(Debug, Serialize)]
struct Profile {
    tenant: String,
    name: String,
    certificate_validity: u64,
    period: u64,
    max_uses: u64,
    suites: Vec<u32>,
    verdict_lifetime: u64,
    rekey_after: u64,
    quarantine_on_clone: bool,
    token_retention: u32,
    data_retention: u32,
    file_retention: u32,
    archive: Vec<String>,
    certificate_cn: String,
    certificate_dns: String,
    certificate_uri: String,
    certificate_serial_number: String,
    certificate_profile: String,
    certificate_keys: Vec<String>,
    certificate_no_rev_avail: bool,
    certificate_renewal_percent: u32,
    /// The fields that it does not set itself.
    inherits: Vec<&'static str>,
}

/// The settings of a profile, by their names in the API, and whether it has them.
fn settings(profile: &v1::Profile) -> [(&'static str, bool); 19] {
    [
        ("certificate_validity", profile.certificate_validity.is_some()),
        ("period", profile.period.is_some()),
        ("max_uses", profile.max_uses.is_some()),
        ("suites", !profile.suites.is_empty()),
        ("verdict_lifetime", profile.verdict_lifetime.is_some()),
        ("rekey_after", profile.rekey_after.is_some()),
        ("quarantine_on_clone", profile.quarantine_on_clone.is_some()),
        ("token_retention_epochs", profile.token_retention_epochs.is_some()),
        ("data_retention_epochs", profile.data_retention_epochs.is_some()),
        ("file_retention_epochs", profile.file_retention_epochs.is_some()),
        ("archive", profile.archive.is_some()),
        ("certificate_cn", profile.certificate_cn.is_some()),
        ("certificate_dns", profile.certificate_dns.is_some()),
        ("certificate_uri", profile.certificate_uri.is_some()),
        ("certificate_serial_number", profile.certificate_serial_number.is_some()),
        ("certificate_profile", profile.certificate_profile != 0),
        ("certificate_keys", !profile.certificate_keys.is_empty()),
        ("certificate_no_rev_avail", profile.certificate_no_rev_avail.is_some()),
        ("certificate_renewal_percent", profile.certificate_renewal_percent.is_some()),
    ]
}

/// Those that a profile has.
fn given(profile: &v1::Profile) -> Vec<String> {
    settings(profile).into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| name.to_owned()).collect()
}

impl Profile {
    fn new(set: &v1::Profile, effective: v1::Profile) -> Self {
        let unset = settings(set).into_iter().filter(|(_, is_set)| !is_set);
        let inherits = unset.map(|(name, _)| name.trim_end_matches("_epochs")).collect();
        let v1::Profile {
            tenant,
            name,
            certificate_validity,
            period,
            max_uses,
            suites,
            verdict_lifetime,
            rekey_after,
            quarantine_on_clone,
            token_retention_epochs: token_retention,
            data_retention_epochs: data_retention,
            file_retention_epochs: file_retention,
            archive,
            etag: _,
            certificate_cn,
            certificate_dns,
            certificate_uri,
            certificate_serial_number,
            certificate_profile,
            certificate_keys,
            certificate_no_rev_avail,
            certificate_renewal_percent,
        } = effective;
        Self {
            tenant,
            name,
            certificate_validity: wire::span_seconds(certificate_validity),
            period: wire::span_seconds(period),
            max_uses: max_uses.unwrap_or_default(),
            suites,
            verdict_lifetime: wire::span_seconds(verdict_lifetime),
            rekey_after: wire::span_seconds(rekey_after),
            quarantine_on_clone: quarantine_on_clone.unwrap_or_default(),
            token_retention: token_retention.unwrap_or_default(),
            data_retention: data_retention.unwrap_or_default(),
            file_retention: file_retention.unwrap_or_default(),
            archive: archive.unwrap_or_default().purposes.into_iter().map(word::<v1::Purpose>).collect(),
            certificate_cn: certificate_cn.unwrap_or_default(),
            certificate_dns: certificate_dns.unwrap_or_default(),
            certificate_uri: certificate_uri.unwrap_or_default(),
            certificate_serial_number: certificate_serial_number.unwrap_or_default(),
            certificate_profile: word::<v1::CertificateProfile>(certificate_profile),
            certificate_keys: certificate_keys.into_iter().map(word::<v1::KeyKind>).collect(),
            certificate_no_rev_avail: certificate_no_rev_avail.unwrap_or_default(),
            certificate_renewal_percent: certificate_renewal_percent.unwrap_or_default(),
            inherits,
        }
    }
}

impl Record for Profile {
    const COLUMNS: &'static [Column<Self>] = &[
        ("tenant", |profile| profile.tenant.clone()),
        ("profile", |profile| profile.name.clone()),
        ("certificates for", |profile| time::span(profile.certificate_validity)),
        ("renewed after", |profile| format!("{}%", profile.certificate_renewal_percent)),
        ("epochs of", |profile| time::span(profile.period)),
        ("keys in an epoch", |profile| {
            if profile.max_uses == 0 { "any".to_owned() } else { profile.max_uses.to_string() }
        }),
        ("rekey after", |profile| {
            if profile.rekey_after == 0 { "asked".to_owned() } else { time::span(profile.rekey_after) }
        }),
        ("suites", |profile| profile.suites.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")),
        ("verdicts for", |profile| time::span(profile.verdict_lifetime)),
        ("clones", |profile| if profile.quarantine_on_clone { "quarantined" } else { "reported" }.to_owned()),
        ("tokens, data, files kept", |profile| {
            let Self { token_retention, data_retention, file_retention, .. } = profile;
            format!("{token_retention}, {data_retention}, {file_retention}")
        }),
        (
            "archive",
            |profile| if profile.archive.is_empty() { "none".to_owned() } else { profile.archive.join(", ") },
        ),
        ("CN, DNS name", |profile| {
            format!("{}, {}", or_none(&profile.certificate_cn), or_none(&profile.certificate_dns))
        }),
        ("URN, serial number", |profile| {
            format!("{}, {}", or_none(&profile.certificate_uri), or_none(&profile.certificate_serial_number))
        }),
        ("certificate profile", |profile| profile.certificate_profile.clone()),
        ("certified keys", |profile| {
            let word = |kind: &String| match kind.as_str() {
                "rsa-2048" => "rsa-2048 (legacy)".to_owned(),
                kind => kind.to_owned(),
            };
            profile.certificate_keys.iter().map(word).collect::<Vec<_>>().join(", ")
        }),
        ("revocation", |profile| {
            if profile.certificate_no_rev_avail { "not told (RFC 9608)" } else { "told" }.to_owned()
        }),
    ];
}

fn or_none(template: &str) -> &str {
    if template.is_empty() { "none" } else { template }
}

impl ProfileCommand {
    pub(crate) async fn run(self, out: Output) -> Result<(), Failure> {
        match self {
            Self::Put(args) => put(args.connect.open().await?, *args, out).await,
            Self::List(args) => list(args.connect.open().await?, args.tenant, out).await,
        }
    }
}

async fn put(session: Session, args: PutArgs, out: Output) -> Result<(), Failure> {
    let tenant = session.tenant(args.tenant).await?;
    let archive = match args.archive.as_slice() {
        [] => None,
        [none] if none == "none" => Some(v1::Archive::default()),
        several if several.iter().any(|word| word == "none") => {
            return Err(Failure::Usage("--archive: none goes alone".to_owned()));
        }
        several => {
            let purposes = several.iter().map(|word| number::<v1::Purpose>(word)).collect();
            Some(v1::Archive { purposes })
        }
    };
    let profile = v1::Profile {
        tenant: tenant.clone(),
        name: args.name.clone(),
        certificate_validity: args.certificate_validity.and_then(wire::span),
        period: args.period.and_then(wire::span),
        max_uses: args.max_uses,
        suites: args.suites,
        verdict_lifetime: args.verdict_lifetime.and_then(wire::span),
        rekey_after: args.rekey_after.and_then(wire::span),
        quarantine_on_clone: args.quarantine_on_clone,
        token_retention_epochs: args.token_retention,
        data_retention_epochs: args.data_retention,
        file_retention_epochs: args.file_retention,
        archive,
        etag: String::new(),
        certificate_cn: args.certificate_cn,
        certificate_dns: args.certificate_dns,
        certificate_uri: args.certificate_uri,
        certificate_serial_number: args.certificate_serial_number,
        certificate_profile: args.certificate_profile.as_deref().map_or(0, number::<v1::CertificateProfile>),
        certificate_keys: args.certificate_keys.iter().map(|kind| number::<v1::KeyKind>(kind)).collect(),
        certificate_no_rev_avail: args.certificate_no_rev_avail,
        certificate_renewal_percent: args.certificate_renewal,
    };
    let update_mask = args.merge.then(|| FieldMask { paths: given(&profile) });
    let confirm_long_validity = args.confirm_long_validity;
    let request = v1::PutProfileRequest { profile: Some(profile), update_mask, confirm_long_validity };
    session.operator().put_profile(request).await?;
    let now = profiles(&session, tenant).await?.into_iter().find(|profile| profile.name == args.name);
    now.map_or_else(|| Err(Failure::failed("the profile is gone again")), |profile| out.one(&profile))
}

async fn list(session: Session, tenant: Option<String>, out: Output) -> Result<(), Failure> {
    let tenant = session.tenant(tenant).await?;
    out.list("profiles", &profiles(&session, tenant).await?)
}

async fn profiles(session: &Session, tenant: String) -> Result<Vec<Profile>, Failure> {
    let request = v1::ListProfilesRequest { tenant };
    let answer = session.operator().list_profiles(request).await?;
    Ok(answer
        .profiles
        .iter()
        .zip(answer.effective)
        .map(|(set, effective)| Profile::new(set, effective))
        .collect())
}
