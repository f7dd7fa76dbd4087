//! `wardein profile`.

use crate::connection::{ConnectArgs, Session};
use crate::{Failure, Output, Record, time};
use clap::{Args, Subcommand};
use serde::Serialize;
use wardein_client::v1;

#[derive(Debug, Subcommand)]
pub(crate) enum ProfileCommand {
    /// Create a profile, or replace it. What is left out has the value of a new tenant's `default`
    Put(PutArgs),
    /// List a tenant's profiles
    List(ListArgs),
}

#[derive(Debug, Args)]
pub(crate) struct PutArgs {
    /// The profile's name: 1 to 32 of a-z, 0-9 and '-'
    name: String,
    /// The tenant
    #[arg(long)]
    tenant: Option<String>,
    /// How long a device's certificate is valid: 5m to 10d
    #[arg(long, default_value = "1d", value_name = "TIME", value_parser = time::seconds)]
    certificate_validity: u64,
    /// How long an epoch of keys is: 60s or more, 0s for none
    #[arg(long, default_value = "1h", value_name = "TIME", value_parser = time::seconds)]
    period: u64,
    /// How many keys an epoch has; 0 for no bound
    #[arg(long, default_value_t = 0, value_name = "N")]
    max_uses: u64,
    /// The key agreements that are allowed: 1 (P-256), 2 (P-256 and ML-KEM-768)
    #[arg(long, default_value = "1,2", value_delimiter = ',', value_name = "N")]
    suites: Vec<u32>,
    /// How long a trust verdict may be kept: 0s to 1d
    #[arg(long, default_value = "5m", value_name = "TIME", value_parser = time::seconds)]
    verdict_lifetime: u64,
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

#[derive(Debug, Serialize)]
struct Profile {
    tenant: String,
    name: String,
    certificate_validity: u64,
    period: u64,
    max_uses: u64,
    suites: Vec<u32>,
    verdict_lifetime: u64,
}

impl From<v1::Profile> for Profile {
    fn from(profile: v1::Profile) -> Self {
        let v1::Profile { tenant, name, certificate_validity, period, max_uses, suites, verdict_lifetime } =
            profile;
        Self { tenant, name, certificate_validity, period, max_uses, suites, verdict_lifetime }
    }
}

impl Record for Profile {
    const HEADS: &'static [&'static str] =
        &["tenant", "profile", "certificates for", "epochs of", "keys in an epoch", "suites", "verdicts for"];

    fn cells(&self) -> Vec<String> {
        let suites: Vec<_> = self.suites.iter().map(u32::to_string).collect();
        vec![
            self.tenant.clone(),
            self.name.clone(),
            time::span(self.certificate_validity),
            time::span(self.period),
            if self.max_uses == 0 { "any".to_owned() } else { self.max_uses.to_string() },
            suites.join(", "),
            time::span(self.verdict_lifetime),
        ]
    }
}

impl ProfileCommand {
    pub(crate) async fn run(self, out: Output) -> Result<(), Failure> {
        match self {
            Self::Put(args) => put(args.connect.open().await?, args, out).await,
            Self::List(args) => list(args.connect.open().await?, args.tenant, out).await,
        }
    }
}

async fn put(session: Session, args: PutArgs, out: Output) -> Result<(), Failure> {
    let PutArgs { name, tenant, certificate_validity, period, max_uses, suites, verdict_lifetime, .. } = args;
    let tenant = session.tenant(tenant)?;
    let profile =
        v1::Profile { tenant, name, certificate_validity, period, max_uses, suites, verdict_lifetime };
    let request = v1::PutProfileRequest { profile: Some(profile.clone()) };
    session.connection.admin().put_profile(request).await.map_err(Failure::of_call)?;
    out.one(&Profile::from(profile))
}

async fn list(session: Session, tenant: Option<String>, out: Output) -> Result<(), Failure> {
    let request = v1::ListProfilesRequest { tenant: session.tenant(tenant)? };
    let answer =
        session.connection.admin().list_profiles(request).await.map_err(Failure::of_call)?.into_inner();
    let profiles: Vec<_> = answer.profiles.into_iter().map(Profile::from).collect();
    out.list("profiles", &profiles)
}
