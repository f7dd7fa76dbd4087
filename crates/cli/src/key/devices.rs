//! When devices' keys change.

use super::RotateArgs;
use super::storage::{self, StorageKey};
use crate::connection::{ConnectArgs, Session};
use crate::{Column, Confirm, Failure, Output, Record, time};
use clap::Args;
use serde::Serialize;
use wardein_client::v1::rotate_keys_request::Scope;
use wardein_client::{FieldMask, time as wire, v1, word};

/// `wardein key status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// The root key, and nothing of devices
    #[arg(long, conflicts_with_all = ["tenant", "profile", "device"])]
    root: bool,
    /// The tenant
    #[arg(long)]
    tenant: Option<String>,
    /// The devices of this profile
    #[arg(long, value_name = "NAME", conflicts_with = "device")]
    profile: Option<String>,
    /// This device
    #[arg(long, value_name = "ID")]
    device: Option<String>,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// `wardein key schedule`.
#[derive(Debug, Args)]
pub(crate) struct ScheduleArgs {
    /// The tenant
    #[arg(long)]
    tenant: Option<String>,
    /// The devices of this profile alone; otherwise all that have no schedule of their own
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// How long an epoch of keys is: 60s or more, 0s for none
    #[arg(long, value_name = "TIME", value_parser = time::seconds)]
    period: Option<u64>,
    /// How many keys an epoch has; 0 for no bound
    #[arg(long, value_name = "N")]
    max_uses: Option<u64>,
    /// After how long a device is to agree on keys again: 1h or more, 0s for only when it is asked
    #[arg(long, value_name = "TIME", value_parser = time::seconds)]
    rekey_after: Option<u64>,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Serialize)]
struct Status {
    tenant: String,
    profile: String,
    period: u64,
    max_uses: u64,
    rekey_after: u64,
    suites: Vec<u32>,
    rotated_at: u64,
    required_at: u64,
    storage_key: StorageKey,
    device: Option<DeviceKeys>,
}

#[derive(Debug, Serialize)]
struct DeviceKeys {
    device_id: String,
    generation: u64,
    pending_generation: u64,
    suite: u32,
    agreed_at: u64,
    due_at: u64,
    rekey: String,
    proof_epoch: u32,
    period: u64,
    max_uses: u64,
}

impl Status {
    /// What is said of the device; nothing where none was asked about.
    fn of_device(&self, words: fn(&DeviceKeys) -> String) -> String {
        self.device.as_ref().map(words).unwrap_or_default()
    }
}

impl DeviceKeys {
    fn generations(&self) -> String {
        match self.pending_generation {
            0 => self.generation.to_string(),
            pending => format!("{} ({pending} is agreed, and not used yet)", self.generation),
        }
    }
}

impl Record for Status {
    const COLUMNS: &'static [Column<Self>] = &[
        ("tenant", |status| status.tenant.clone()),
        ("profile", |status| status.profile.clone()),
        ("epochs of", |status| time::span(status.period)),
        ("keys in an epoch", |status| uses(status.max_uses)),
        ("rekey after", |status| {
            if status.rekey_after == 0 { "asked".to_owned() } else { time::span(status.rekey_after) }
        }),
        ("suites", |status| status.suites.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")),
        ("rotated", |status| time::at(status.rotated_at)),
        ("required", |status| time::at(status.required_at)),
        ("records under", |status| status.storage_key.words()),
        ("device", |status| status.of_device(|keys| keys.device_id.clone())),
        ("generation", |status| status.of_device(|keys| keys.generations())),
        ("agreed", |status| status.of_device(|keys| time::at(keys.agreed_at))),
        ("due", |status| status.of_device(|keys| time::at(keys.due_at))),
        ("rekey", |status| status.of_device(|keys| keys.rekey.clone())),
        ("suite", |status| status.of_device(|keys| keys.suite.to_string())),
        ("epoch", |status| status.of_device(|keys| keys.proof_epoch.to_string())),
        ("its epochs of", |status| status.of_device(|keys| time::span(keys.period))),
        ("its keys in an epoch", |status| status.of_device(|keys| uses(keys.max_uses))),
    ];
}

fn uses(max_uses: u64) -> String {
    if max_uses == 0 { "any".to_owned() } else { max_uses.to_string() }
}

pub(super) async fn show(args: StatusArgs, out: Output) -> Result<(), Failure> {
    let session = args.connect.open().await?;
    if args.root {
        return storage::show_root(&session, out).await;
    }
    out.one(&status(&session, session.tenant(args.tenant).await?, args.profile, args.device).await?)
}

async fn status(
    session: &Session,
    tenant: String,
    profile: Option<String>,
    device: Option<String>,
) -> Result<Status, Failure> {
    let device_id = device.unwrap_or_default();
    let request = v1::GetKeyStatusRequest {
        tenant: tenant.clone(),
        profile: profile.unwrap_or_default(),
        device_id: device_id.clone(),
    };
    let answer = session.operator().get_key_status(request).await?;
    Ok(Status {
        tenant,
        profile: answer.profile,
        period: wire::span_seconds(answer.period),
        max_uses: answer.max_uses,
        rekey_after: wire::span_seconds(answer.rekey_after),
        suites: answer.suites,
        rotated_at: wire::seconds(answer.rotated_at),
        required_at: wire::seconds(answer.required_at),
        storage_key: answer.storage_key.into(),
        device: answer.device.map(|keys| DeviceKeys {
            device_id,
            generation: keys.generation,
            pending_generation: keys.pending_generation,
            suite: keys.suite,
            agreed_at: wire::seconds(keys.agreed_at),
            due_at: wire::seconds(keys.due_at),
            rekey: word::<v1::RekeyGate>(keys.rekey),
            proof_epoch: keys.proof_epoch,
            period: wire::span_seconds(keys.period),
            max_uses: keys.max_uses,
        }),
    })
}

pub(super) async fn rotate(args: RotateArgs, out: Output) -> Result<(), Failure> {
    let RotateArgs { tenant, profile, device, required, reason, confirm, connect, .. } = args;
    let session = connect.open().await?;
    let tenant = session.tenant(tenant).await?;
    let (whose, scope) = match (profile, device) {
        (Some(profile), _) => {
            (format!("of the devices of profile {profile} of tenant {tenant}"), Scope::Profile(profile))
        }
        (None, Some(device)) => (format!("of device {device} of tenant {tenant}"), Scope::DeviceId(device)),
        (None, None) => (format!("of all devices of tenant {tenant}"), Scope::AllDevices(v1::AllDevices {})),
    };
    let how = if required { "require new keys, before anything else," } else { "ask for new keys" };
    confirm.ask(&format!("{how} {whose}"))?;
    let request = v1::RotateKeysRequest {
        tenant,
        scope: Some(scope),
        required,
        reason: reason.unwrap_or_default(),
        ..Default::default()
    };
    let answer = session.operator().rotate_keys(request).await?;
    let rotated_at = wire::seconds(answer.rotated_at);
    let words = format!("new keys {whose} since {}", time::at(rotated_at));
    out.say(&words, &serde_json::json!({ "rotated_at": rotated_at, "required": required }))
}

pub(super) async fn schedule(args: ScheduleArgs, out: Output) -> Result<(), Failure> {
    let ScheduleArgs { tenant, profile, period, max_uses, rekey_after, confirm, connect } = args;
    if (period, max_uses, rekey_after) == (None, None, None) {
        return Err(Failure::Usage("give --period, --max-uses or --rekey-after".to_owned()));
    }
    let session = connect.open().await?;
    let tenant = session.tenant(tenant).await?;
    let name = profile.unwrap_or_else(|| "default".to_owned());
    let before = status(&session, tenant.clone(), Some(name.clone()), None).await?;
    let changes: Vec<_> = [
        period.map(|new| format!("epochs of {} to {}", time::span(before.period), time::span(new))),
        max_uses.map(|new| format!("keys in an epoch {} to {}", uses(before.max_uses), uses(new))),
        rekey_after
            .map(|new| format!("rekey after {} to {}", time::span(before.rekey_after), time::span(new))),
    ]
    .into_iter()
    .flatten()
    .collect();
    confirm.ask(&format!("change profile {name} of tenant {tenant}: {}", changes.join(", ")))?;
    let profile = v1::Profile {
        tenant: tenant.clone(),
        name: name.clone(),
        period: period.and_then(wire::span),
        max_uses,
        rekey_after: rekey_after.and_then(wire::span),
        ..Default::default()
    };
    let given = [
        ("period", period.is_some()),
        ("max_uses", max_uses.is_some()),
        ("rekey_after", rekey_after.is_some()),
    ];
    let paths = given.into_iter().filter(|(_, is_given)| *is_given).map(|(path, _)| path.to_owned());
    let update_mask = Some(FieldMask { paths: paths.collect() });
    let request = v1::PutProfileRequest { profile: Some(profile), update_mask, ..Default::default() };
    session.operator().put_profile(request).await?;
    out.one(&status(&session, tenant, Some(name), None).await?)
}
