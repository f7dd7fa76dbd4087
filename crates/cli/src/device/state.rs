//! Bringing devices from one state to another.

use super::Device;
use super::batch::{Deed, ManyArgs, What, run};
use crate::connection::ConnectArgs;
use crate::{Confirm, Failure, Output, progress};
use clap::Args;
use serde::Serialize;
use wardein_client::{v1, word};

/// `wardein device readmit`.
#[derive(Debug, Args)]
pub(crate) struct ReadmitArgs {
    /// Let a station enroll the device again, under the next generation
    #[arg(long)]
    reenroll: bool,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    target: TargetArgs,
}

/// `wardein device retire`.
#[derive(Debug, Args)]
pub(crate) struct RetireArgs {
    /// Erase its keys, too; of one device. What it sealed can be opened by nobody any more
    #[arg(long, conflicts_with_all = ["from", "enrolled_by", "enrolled_since", "profile", "model", "state", "dry_run", "failed"])]
    shred: bool,
    /// With --shred: devices a second of the sweep, 1 to 100000
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    per_second: u32,
    #[command(flatten)]
    many: ManyArgs,
}

/// `wardein device rotate`.
#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    /// Refuse everything but a rekey until the device has rekeyed (after a leak). Without this the device keeps working
    #[arg(long)]
    required: bool,
    #[command(flatten)]
    many: ManyArgs,
}

#[derive(Debug, Serialize)]
struct Shredded {
    device_id: String,
    state: String,
    tenant_key: u32,
    root_key: u32,
}

/// One device.
#[derive(Debug, Args)]
struct TargetArgs {
    /// The device's id
    device: String,
    /// The tenant
    #[arg(long)]
    tenant: Option<String>,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    connect: ConnectArgs,
}

impl ManyArgs {
    /// The one device, where one is named and nothing is asked for that takes a list.
    fn target(&self) -> Option<TargetArgs> {
        let device = self.which.single()?.to_owned();
        let (tenant, reason) = (self.which.tenant.clone(), self.reason.clone().unwrap_or_default());
        Some(TargetArgs { device, tenant, reason, connect: self.connect.clone() })
    }
}

pub(super) async fn suspend(args: ManyArgs, out: Output) -> Result<(), Failure> {
    let what = What::State(v1::DeviceState::Suspended);
    set(Deed { verb: "suspend", done: "suspended", what }, args, out).await
}

pub(super) async fn resume(args: ManyArgs, out: Output) -> Result<(), Failure> {
    let state = v1::DeviceState::Active;
    match args.target() {
        // It takes nothing from anybody: one device is not asked about.
        Some(target) => set_one(target, state, out).await,
        None => run(Deed { verb: "resume", done: "resumed", what: What::State(state) }, args, out).await,
    }
}

pub(super) async fn quarantine(args: ManyArgs, out: Output) -> Result<(), Failure> {
    let what = What::State(v1::DeviceState::Quarantined);
    set(Deed { verb: "quarantine", done: "quarantined", what }, args, out).await
}

pub(super) async fn revoke(args: ManyArgs, out: Output) -> Result<(), Failure> {
    let what = What::State(v1::DeviceState::Revoked);
    set(Deed { verb: "revoke", done: "revoked", what }, args, out).await
}

pub(super) async fn retire(args: RetireArgs, out: Output) -> Result<(), Failure> {
    let RetireArgs { shred, per_second, many } = args;
    if shred {
        let Some(target) = many.target() else {
            return Err(Failure::Usage("--shred takes the id of one device".to_owned()));
        };
        many.confirm.ask(&format!("retire device {} for good and erase its keys", target.device))?;
        return erase(target, per_second, out).await;
    }
    let what = What::State(v1::DeviceState::Retired);
    set(Deed { verb: "retire", done: "retired", what }, many, out).await
}

pub(super) async fn rotate(args: RotateArgs, out: Output) -> Result<(), Failure> {
    let RotateArgs { required, many } = args;
    let verb = if required { "require new keys, before anything else, of" } else { "ask for new keys of" };
    run(Deed { verb, done: "asked for new keys", what: What::Rotation { required } }, many, out).await
}

async fn set(deed: Deed, args: ManyArgs, out: Output) -> Result<(), Failure> {
    let What::State(state) = deed.what else { return run(deed, args, out).await };
    match args.target() {
        Some(target) => {
            let end = if deed.what.is_final() { " for good" } else { "" };
            args.confirm.ask(&format!("{} device {}{end}", deed.verb, target.device))?;
            set_one(target, state, out).await
        }
        None => run(deed, args, out).await,
    }
}

async fn erase(target: TargetArgs, per_second: u32, out: Output) -> Result<(), Failure> {
    let TargetArgs { device: device_id, tenant, reason, connect } = target;
    let session = connect.open().await?;
    let tenant = session.tenant(tenant).await?;
    let request = v1::ShredDeviceRequest { tenant, device_id: device_id.clone(), reason, per_second };
    let mut steps = session.operator().shred_device(request).await?;
    let bar = progress("{spinner} {msg}; {pos} devices swept, {per_sec}", None);
    while let Some(step) = steps.next().await? {
        let v1::ShredDeviceResponse { state, progress, is_done, .. } = step;
        let v1::DeedProgress { step, devices, tenant_key, root_key } = progress.unwrap_or_default();
        bar.set_position(devices);
        bar.set_message(word::<v1::DeedStep>(step));
        if is_done {
            bar.finish_and_clear();
            let state = word::<v1::DeviceState>(state);
            let words = format!(
                "device {device_id} is {state}; its keys are erased, and nothing is left that opens what the disk may still have of them"
            );
            return out.say(&words, &Shredded { device_id, state, tenant_key, root_key });
        }
    }
    let words = "the connection ended; the authority goes on with it: wardein key deeds shows how far it is";
    Err(Failure::Unreachable(words.to_owned()))
}

pub(super) async fn readmit(args: ReadmitArgs, out: Output) -> Result<(), Failure> {
    let ReadmitArgs { reenroll, confirm, target } = args;
    let how = if reenroll { "let a station enroll it again" } else { "trust it after a rekey" };
    confirm.ask(&format!("readmit device {} and {how}", target.device))?;
    let session = target.connect.open().await?;
    let request = v1::ReadmitDeviceRequest {
        tenant: session.tenant(target.tenant).await?,
        device_id: target.device,
        enroll_anew: reenroll,
        reason: target.reason,
    };
    let answer = session.operator().readmit_device(request).await?;
    tell(answer.device, out)
}

async fn set_one(args: TargetArgs, state: v1::DeviceState, out: Output) -> Result<(), Failure> {
    let session = args.connect.open().await?;
    let request = v1::SetDeviceStateRequest {
        tenant: session.tenant(args.tenant).await?,
        device_id: args.device,
        state: state.into(),
        reason: args.reason,
        ..Default::default()
    };
    let answer = session.operator().set_device_state(request).await?;
    tell(answer.device, out)
}

fn tell(device: Option<v1::Device>, out: Output) -> Result<(), Failure> {
    let device = Device::from(device.unwrap_or_default());
    out.say(&format!("device {} is {}", device.device_id, device.state), &device)
}
