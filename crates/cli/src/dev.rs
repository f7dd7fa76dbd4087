//! `wardein dev`, as a client sees it: what a trial authority is furnished with, and what to type next. The binary founds and
//! serves it, since it knows the inside of an authority.

use crate::connection::ConnectArgs;
use crate::operator::{Trial, issue_for_trial};
use crate::{Failure, Output, files};
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};
use wardein_client::{time as wire, v1};
use wardein_domain::ErrorCode;

/// `wardein dev`.
#[derive(Debug, Args)]
pub struct DevArgs {
    /// Keep the trial in this directory, and go on with what is there. Without it the directory is a temporary one, which is
    /// removed at the end
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// The port of gRPC on the loopback interface, 7443 where none is given. It is chosen at the first start
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// The port of HTTP, 7480 where none is given
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub http_port: Option<u16>,
}

/// The files of a trial.
#[derive(Debug, Clone)]
pub struct TrialFiles {
    directory: PathBuf,
    is_temporary: bool,
}

/// What is said of a trial that is ready.
#[derive(Serialize)]
struct Ready<'a> {
    directory: &'a Path,
    endpoint: &'a str,
    is_temporary: bool,
    tenant: &'static str,
    /// The value of WARDEIN_DIR.
    authority: PathBuf,
    /// Identities.
    station: PathBuf,
    platform: PathBuf,
}

impl TrialFiles {
    /// Those of a trial in `directory`, which is removed at the end if it `is_temporary`.
    pub fn new(directory: PathBuf, is_temporary: bool) -> Self {
        Self { directory, is_temporary }
    }

    /// The authority's directory.
    pub fn authority(&self) -> PathBuf {
        self.directory.join("authority")
    }

    /// The file with the key that the root key is under.
    pub fn root_key(&self) -> PathBuf {
        self.directory.join("root.key")
    }

    fn station(&self) -> PathBuf {
        self.directory.join("station")
    }

    fn platform(&self) -> PathBuf {
        self.directory.join("platform")
    }

    fn batch(&self) -> PathBuf {
        self.directory.join("batch.csv")
    }

    /// Makes what is missing of tenant, profile, identities and batch, through the authority that serves, and says what to type
    /// next. What an earlier start made stays as it is.
    pub async fn furnish(&self, out: Output) -> Result<(), Failure> {
        let session = ConnectArgs::of_directory(self.authority()).open().await?;
        let operator = session.operator();
        let tenant = v1::CreateTenantRequest { tenant: TENANT.to_owned() };
        match operator.create_tenant(tenant).await {
            Err(refusal) if refusal.known() == Some(ErrorCode::TenantExists) => {}
            created => drop(created?),
        }
        let request = v1::ListProfilesRequest { tenant: TENANT.to_owned() };
        let profiles = operator.list_profiles(request).await?.profiles;
        if profiles.iter().all(|profile| profile.name != PROFILE) {
            operator.put_profile(short_lived()).await?;
        }
        let station = Trial { role: "station", name: "line-1", quota: Some(QUOTA), ..IDENTITY };
        issue_for_trial(station, &self.station(), &session).await?;
        let platform = Trial { role: "platform", name: "iot", ..IDENTITY };
        issue_for_trial(platform, &self.platform(), &session).await?;
        if !self.batch().exists() {
            files::write_new(&self.batch(), BATCH.as_bytes(), files::PUBLIC)?;
        }
        let ready = Ready {
            directory: &self.directory,
            endpoint: &session.endpoint,
            is_temporary: self.is_temporary,
            tenant: TENANT,
            authority: self.authority(),
            station: self.station(),
            platform: self.platform(),
        };
        out.say(&self.words(&session.endpoint), &ready)
    }

    fn words(&self, endpoint: &str) -> String {
        let directory = quoted(&self.directory);
        let then = match self.is_temporary {
            true => format!("Ctrl-C ends it and removes {directory}."),
            false => format!("Ctrl-C ends it; wardein dev --dir {directory} goes on with it."),
        };
        format!(
            "A trial authority serves on {endpoint}, with tenant {TENANT}. For trials only: its root key is in a file beside it.\n\
             {then}\n\
             \n\
             In another terminal:\n\
             \n\
             \x20 export WARDEIN_DIR={authority}\n\
             \n\
             Then enroll two devices, certify one, and ask as the platform whether it is to be trusted:\n\
             \n\
             \x20 wardein device enroll --identity {station} --csv {batch} --out {devices}\n\
             \x20 wardein-device --dir {device} certificate\n\
             \x20 wardein trust check --identity {platform} --device pump-001\n",
            authority = quoted(&self.authority()),
            station = quoted(&self.station()),
            batch = quoted(&self.batch()),
            devices = quoted(&self.directory.join("devices")),
            device = quoted(&self.directory.join("devices/pump-001")),
            platform = quoted(&self.platform()),
        )
    }
}

/// A profile whose certificates are renewed while one looks on.
fn short_lived() -> v1::PutProfileRequest {
    let profile = v1::Profile {
        tenant: TENANT.to_owned(),
        name: PROFILE.to_owned(),
        certificate_validity: wire::span(3_600),
        ..Default::default()
    };
    v1::PutProfileRequest { profile: Some(profile), ..Default::default() }
}

/// A path as a shell takes it: what a person copies must mean this path and nothing else.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+:@%".contains(&byte);
    match text.bytes().all(is_plain) && !text.starts_with('-') {
        true => text,
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

const TENANT: &str = "trial";

const PROFILE: &str = "short-lived";

/// Like that of the administrator, which is for a year.
const IDENTITY: Trial = Trial { role: "", tenant: TENANT, name: "", validity: 365 * 86_400, quota: None };

/// Devices that the station may enroll.
const QUOTA: u64 = 5_000;

const BATCH: &str = "\
id,model,udi,attr.firmware
pump-001,Infusion 3,(01)09506000134352(21)A-1,2.1.0
pump-002,Infusion 3,(01)09506000134352(21)A-2,2.1.0
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_copied_into_a_shell_and_means_one_path() {
        assert_eq!(quoted(Path::new("/tmp/wardein-dev-1/station")), "/tmp/wardein-dev-1/station");
        assert_eq!(quoted(Path::new("/tmp/my trial")), "'/tmp/my trial'");
        assert_eq!(quoted(Path::new("/tmp/$(id)'s")), r"'/tmp/$(id)'\''s'");
        assert_eq!(quoted(Path::new("-rf")), "'-rf'");
    }

    #[test]
    fn it_says_that_it_is_for_trials_and_what_becomes_of_it() {
        let words = TrialFiles::new("/tmp/t".into(), true).words("https://localhost:7443");
        assert!(words.contains("For trials only") && words.contains("removes /tmp/t."), "{words}");
        let kept = TrialFiles::new("/tmp/t".into(), false).words("https://localhost:7443");
        assert!(kept.contains("wardein dev --dir /tmp/t goes on") && !kept.contains("removes"), "{kept}");
        assert_eq!(kept.lines().filter(|line| line.starts_with("  wardein")).count(), 3, "{kept}");
    }
}
