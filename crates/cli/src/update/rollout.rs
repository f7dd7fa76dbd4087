//! `wardein update rollout`.

use super::release::{OfArgs, Release};
use crate::connection::ConnectArgs;
use crate::{Confirm, Failure, Output};
use clap::Args;
use serde::Serialize;
use std::fmt;
use wardein_client::v1;
use wardein_client::v1::rollout::{Profiles, Tenants};

/// `wardein update rollout`.
#[derive(Debug, Args)]
pub(crate) struct RolloutArgs {
    /// The release's number
    number: u64,
    #[command(flatten)]
    of: OfArgs,
    /// What share of the devices that are meant, 0 to 100. A higher one only adds devices
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=100))]
    percent: u32,
    /// Devices of this tenant alone; several times for several. Without it, of all tenants
    #[arg(long = "tenant", value_name = "TENANT")]
    tenants: Vec<String>,
    /// Devices of this profile alone; several times for several. Without it, of all profiles
    #[arg(long = "profile", value_name = "PROFILE")]
    profiles: Vec<String>,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// To which devices a release is offered; of all tenants or profiles, where none is named.
#[derive(Debug, Serialize)]
pub(super) struct Rollout {
    percent: u32,
    tenants: Vec<String>,
    profiles: Vec<String>,
}

impl From<v1::Rollout> for Rollout {
    fn from(from: v1::Rollout) -> Self {
        let tenants = match from.tenants {
            Some(Tenants::SomeTenants(some)) => some.tenants,
            Some(Tenants::EveryTenant(_)) | None => Vec::new(),
        };
        let profiles = match from.profiles {
            Some(Profiles::SomeProfiles(some)) => some.profiles,
            Some(Profiles::EveryProfile(_)) | None => Vec::new(),
        };
        Self { percent: from.percent, tenants, profiles }
    }
}

impl From<Rollout> for v1::Rollout {
    fn from(from: Rollout) -> Self {
        let Rollout { percent, tenants, profiles } = from;
        let tenants = match tenants.is_empty() {
            true => Tenants::EveryTenant(v1::EveryTenant {}),
            false => Tenants::SomeTenants(v1::SomeTenants { tenants }),
        };
        let profiles = match profiles.is_empty() {
            true => Profiles::EveryProfile(v1::EveryProfile {}),
            false => Profiles::SomeProfiles(v1::SomeProfiles { profiles }),
        };
        Self { percent, tenants: Some(tenants), profiles: Some(profiles) }
    }
}

impl fmt::Display for Rollout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.percent)?;
        if !self.tenants.is_empty() {
            write!(f, " of {}", self.tenants.join(", "))?;
        }
        if !self.profiles.is_empty() {
            write!(f, " with profile {}", self.profiles.join(", "))?;
        }
        Ok(())
    }
}

pub(super) async fn run(args: RolloutArgs, out: Output) -> Result<(), Failure> {
    let RolloutArgs { number: version, of, percent, tenants, profiles, reason, confirm, connect } = args;
    let rollout = Rollout { percent, tenants, profiles };
    confirm.ask(&format!("offer release {version} of {}/{} to {rollout}", of.repository, of.line))?;
    let session = connect.open().await?;
    let request = v1::SetReleaseRolloutRequest {
        repository: of.repository,
        line: of.line,
        version,
        rollout: Some(rollout.into()),
        reason,
    };
    let answer = session.operator().set_release_rollout(request).await?;
    out.one(&Release::from(answer.release.unwrap_or_default()))
}
