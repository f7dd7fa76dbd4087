//! One change of many devices: one question, one entry on record, and what failed as a file that can be run again.

use super::calls::{Call, changed};
use super::chosen::{Chosen, WhichArgs};
use super::outcome::{Counts, Outcome, Outcomes, digest_of};
use crate::connection::{ConnectArgs, Session};
use crate::{Confirm, Failure, Output, files, progress};
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};
use wardein_client::v1;
use wardein_client::v1::begin_batch_request::Change;
use wardein_client::v1::rotate_keys_request::Scope;
use wardein_crypto::hex;
use wardein_domain::DeviceId;

/// A change of one device or many.
#[derive(Debug, Args)]
pub(crate) struct ManyArgs {
    #[command(flatten)]
    pub(super) confirm: Confirm,
    #[command(flatten)]
    pub(super) which: WhichArgs,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT", required_unless_present = "dry_run")]
    pub(super) reason: Option<String>,
    #[command(flatten)]
    pub(super) connect: ConnectArgs,
}

/// What is done to each device.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deed {
    /// `suspend`.
    pub(super) verb: &'static str,
    /// `suspended`.
    pub(super) done: &'static str,
    pub(super) what: What,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum What {
    State(v1::DeviceState),
    Rotation { required: bool },
}

impl What {
    /// Whether it cannot be taken back.
    pub(super) fn is_final(self) -> bool {
        matches!(self, Self::State(v1::DeviceState::Revoked | v1::DeviceState::Retired))
    }

    /// Whether a device is so already.
    fn is_so(self, device: &v1::Device) -> bool {
        match self {
            Self::State(state) => device.state() == state,
            Self::Rotation { required: true } => device.rekey() == v1::RekeyGate::Required,
            Self::Rotation { required: false } => {
                matches!(device.rekey(), v1::RekeyGate::Due | v1::RekeyGate::Required)
            }
        }
    }

    fn change(self) -> Change {
        match self {
            Self::State(state) => Change::State(state.into()),
            Self::Rotation { required } => Change::Rotation(v1::BatchRotation { required }),
        }
    }

    fn call(self, tenant: &str, id: &DeviceId, reason: &str, batch: &[u8]) -> Call {
        let (tenant, device_id) = (tenant.to_owned(), id.to_string());
        let (reason, batch) = (reason.to_owned(), batch.to_vec());
        match self {
            Self::State(state) => {
                let state = state.into();
                Call::State(v1::SetDeviceStateRequest { tenant, device_id, state, reason, batch })
            }
            Self::Rotation { required } => {
                let scope = Some(Scope::DeviceId(device_id));
                Call::Rotation(v1::RotateKeysRequest { tenant, scope, required, reason, batch })
            }
        }
    }
}

/// Does it, to the devices that are not so already.
pub(super) async fn run(deed: Deed, args: ManyArgs, out: Output) -> Result<(), Failure> {
    let ManyArgs { confirm, which, reason, connect } = args;
    if let Some(path) = which.failed.as_deref().filter(|path| path.symlink_metadata().is_ok()) {
        return Err(Failure::file("write", path, "it is there already; choose another name"));
    }
    let session = connect.open().await?;
    let tenant = session.tenant(which.tenant.clone()).await?;
    let Chosen { selector, devices } = which.choose(&session.operator(), &tenant).await?;
    let outcomes = Outcomes::found(devices, |device| deed.what.is_so(device));
    let (failed, is_dry) = (which.failed, which.dry_run);
    let mut work = Work { deed, tenant, selector, failed, is_dry, batch: None, outcomes };
    let to_do = work.outcomes.to_do();
    if !is_dry && !to_do.is_empty() {
        confirm.ask(&work.question(to_do.len()))?;
        work.carry_out(&session, &to_do, &reason.unwrap_or_default()).await?;
    }
    work.report(out)
}

/// What was asked for, and what became of it.
struct Work {
    deed: Deed,
    tenant: String,
    selector: String,
    /// Where the ids go of devices that were not changed.
    failed: Option<PathBuf>,
    is_dry: bool,
    /// The digest on record, in hex; none where nothing was to be done.
    batch: Option<String>,
    outcomes: Outcomes,
}

#[derive(Serialize)]
struct Report<'a> {
    dry_run: bool,
    tenant: &'a str,
    selector: &'a str,
    batch: Option<&'a str>,
    counts: Counts,
    devices: &'a [Outcome],
}

impl Work {
    /// What is confirmed.
    fn question(&self, count: usize) -> String {
        let Self { deed: Deed { verb, done, what }, tenant, selector, .. } = self;
        let end = if what.is_final() { " for good" } else { "" };
        let beside = self.outcomes.counts().beside(done);
        format!("{verb} {} of tenant {tenant} ({selector}){end}{beside}", devices(count))
    }

    /// Puts it on record, and does it.
    async fn carry_out(
        &mut self,
        session: &Session,
        to_do: &[DeviceId],
        reason: &str,
    ) -> Result<(), Failure> {
        let operator = session.operator();
        let digest = digest_of(to_do).0;
        let request = v1::BeginBatchRequest {
            tenant: self.tenant.clone(),
            change: Some(self.deed.what.change()),
            selector: self.selector.clone(),
            devices: u32::try_from(to_do.len()).map_err(Failure::failed)?,
            digest: digest.to_vec(),
            reason: reason.to_owned(),
        };
        operator.begin_batch(request).await?;
        self.batch = Some(hex::encode(&digest));
        let bar = progress("{wide_bar} {pos} of {len}, {per_sec}", Some(to_do.len() as u64));
        let (what, tenant) = (self.deed.what, &self.tenant);
        let call =
            |id: &DeviceId| changed(operator.clone(), id.clone(), what.call(tenant, id, reason, &digest));
        let ended = self.outcomes.carry_out(to_do, call, || bar.inc(1)).await;
        bar.finish_and_clear();
        ended
    }

    /// Writes the file of what failed first, then what became of each: of those that went well, people are shown the number.
    fn report(&self, out: Output) -> Result<(), Failure> {
        let (counts, all, open) = (self.outcomes.counts(), self.outcomes.all(), self.outcomes.open());
        let written = match &self.failed {
            Some(path) if !open.is_empty() && !self.is_dry => write(path, &open),
            _ => Ok(()),
        };
        if out.is_json() {
            out.json(&Report {
                dry_run: self.is_dry,
                tenant: &self.tenant,
                selector: &self.selector,
                batch: self.batch.as_deref(),
                counts,
                devices: &all,
            })?;
        } else {
            let shown = if self.is_dry { &all } else { &open };
            if !shown.is_empty() {
                out.table("devices", shown)?;
            }
            let batch = self.batch.iter().map(|digest| format!("; batch {digest}")).collect::<String>();
            let nothing = if self.is_dry { "; nothing was done" } else { "" };
            out.write(&format!("{}{nothing}{batch}\n", counts.words(self.deed.done)))?;
        }
        written?;
        self.verdict(counts, &open)
    }

    /// What was not done is a failure of the command.
    fn verdict(&self, counts: Counts, open: &[Outcome]) -> Result<(), Failure> {
        let done = self.deed.done;
        if counts.left > 0 {
            let why = open.iter().find(|of| of.is_unreached()).map_or("", |of| of.message.as_str());
            let left = devices(counts.left);
            return Err(Failure::Unreachable(format!("{why}; {left} not {done}. The same command goes on")));
        }
        match open.len() {
            0 => Ok(()),
            count => Err(Failure::Failed(format!("{} not {done}", devices(count)))),
        }
    }
}

fn write(path: &Path, open: &[Outcome]) -> Result<(), Failure> {
    let ids: String = open.iter().map(|of| format!("{}\n", of.device_id)).collect();
    files::write_new(path, ids.as_bytes(), files::PRIVATE)
}

fn devices(count: usize) -> String {
    if count == 1 { "1 device".to_owned() } else { format!("{count} devices") }
}

#[cfg(test)]
mod tests {
    use super::super::calls::Refused;
    use super::*;

    #[test]
    fn a_rotation_is_asked_of_what_is_not_due_and_required_of_what_is_not_required() {
        let gate = |rekey: v1::RekeyGate| v1::Device { rekey: rekey.into(), ..Default::default() };
        let so = |required, rekey| What::Rotation { required }.is_so(&gate(rekey));
        use v1::RekeyGate::{Due, Free, Required};
        assert_eq!([Free, Due, Required].map(|rekey| so(false, rekey)), [false, true, true]);
        assert_eq!([Free, Due, Required].map(|rekey| so(true, rekey)), [false, false, true]);
    }

    #[test]
    fn the_question_has_the_count_the_selector_and_whether_it_can_be_taken_back() {
        let found = |id: &str| (id.parse::<DeviceId>().unwrap(), Ok::<_, Refused>(v1::Device::default()));
        let work = |verb, what| Work {
            deed: Deed { verb, done: "revoked", what },
            tenant: "klinik".to_owned(),
            selector: "of model Pump 7".to_owned(),
            failed: None,
            is_dry: false,
            batch: None,
            outcomes: Outcomes::found([found("a"), found("b")].into(), |_| false),
        };
        let revoke = work("revoke", What::State(v1::DeviceState::Revoked));
        assert_eq!(revoke.question(2), "revoke 2 devices of tenant klinik (of model Pump 7) for good");
        let suspend = work("suspend", What::State(v1::DeviceState::Suspended));
        assert_eq!(suspend.question(1), "suspend 1 device of tenant klinik (of model Pump 7)");
    }
}
