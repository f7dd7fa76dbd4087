//! Bringing a device from one state to another.

use super::Device;
use crate::connection::ConnectArgs;
use crate::{Confirm, Failure, Output, progress};
use clap::Args;
use serde::Serialize;
use wardein_client::{v1, word};

#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    target: ResumeArgs,
}

/// `wardein device readmit`.
#[derive(Debug, Args)]
pub(crate) struct ReadmitArgs {
    /// Let a station enroll the device again, under the next generation
    #[arg(long)]
    reenroll: bool,
    #[command(flatten)]
    set: SetArgs,
}

/// `wardein device retire`.
#[derive(Debug, Args)]
pub(crate) struct RetireArgs {
    /// Erase its keys, too. What it sealed can be opened by nobody any more
    #[arg(long)]
    shred: bool,
    /// With --shred: devices a second of the sweep, 1 to 100000
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    per_second: u32,
    #[command(flatten)]
    set: SetArgs,
}

#[derive(Debug, Serialize)]
struct Shredded {
    device_id: String,
    state: String,
    tenant_key: u32,
    root_key: u32,
}

#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
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

pub(super) async fn suspend(args: SetArgs, out: Output) -> Result<(), Failure> {
    args.confirm.ask(&format!("suspend device {}", args.target.device))?;
    set(args.target, v1::DeviceState::Suspended, out).await
}

pub(super) async fn resume(args: ResumeArgs, out: Output) -> Result<(), Failure> {
    set(args, v1::DeviceState::Active, out).await
}

pub(super) async fn quarantine(args: SetArgs, out: Output) -> Result<(), Failure> {
    args.confirm.ask(&format!("quarantine device {}", args.target.device))?;
    set(args.target, v1::DeviceState::Quarantined, out).await
}

pub(super) async fn retire(args: RetireArgs, out: Output) -> Result<(), Failure> {
    let RetireArgs { shred, per_second, set: SetArgs { confirm, target } } = args;
    let device = &target.device;
    if shred {
        confirm.ask(&format!("retire device {device} for good and erase its keys"))?;
        return erase(target, per_second, out).await;
    }
    confirm.ask(&format!("retire device {device} for good"))?;
    set(target, v1::DeviceState::Retired, out).await
}

async fn erase(target: ResumeArgs, per_second: u32, out: Output) -> Result<(), Failure> {
    let ResumeArgs { device: device_id, tenant, reason, connect } = target;
    let session = connect.open().await?;
    let tenant = session.tenant(tenant)?;
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
    let ReadmitArgs { reenroll, set } = args;
    let SetArgs { confirm, target } = set;
    let how = if reenroll { "let a station enroll it again" } else { "trust it after a rekey" };
    confirm.ask(&format!("readmit device {} and {how}", target.device))?;
    let session = target.connect.open().await?;
    let request = v1::ReadmitDeviceRequest {
        tenant: session.tenant(target.tenant)?,
        device_id: target.device,
        enroll_anew: reenroll,
        reason: target.reason,
    };
    let answer = session.operator().readmit_device(request).await?;
    tell(answer.device, out)
}

pub(super) async fn revoke(args: SetArgs, out: Output) -> Result<(), Failure> {
    args.confirm.ask(&format!("revoke device {} for good", args.target.device))?;
    set(args.target, v1::DeviceState::Revoked, out).await
}

async fn set(args: ResumeArgs, state: v1::DeviceState, out: Output) -> Result<(), Failure> {
    let session = args.connect.open().await?;
    let request = v1::SetDeviceStateRequest {
        tenant: session.tenant(args.tenant)?,
        device_id: args.device,
        state: state.into(),
        reason: args.reason,
    };
    let answer = session.operator().set_device_state(request).await?;
    tell(answer.device, out)
}

fn tell(device: Option<v1::Device>, out: Output) -> Result<(), Failure> {
    let device = Device::from(device.unwrap_or_default());
    out.say(&format!("device {} is {}", device.device_id, device.state), &device)
}
