//! Suspending, resuming and revoking a device.

use super::Device;
use crate::connection::ConnectArgs;
use crate::{Confirm, Failure, Output};
use clap::Args;
use wardein_client::v1;

#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    target: ResumeArgs,
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
    set(args.target, "suspended", out).await
}

pub(super) async fn resume(args: ResumeArgs, out: Output) -> Result<(), Failure> {
    set(args, "active", out).await
}

pub(super) async fn revoke(args: SetArgs, out: Output) -> Result<(), Failure> {
    args.confirm.ask(&format!("revoke device {} for good", args.target.device))?;
    set(args.target, "revoked", out).await
}

async fn set(args: ResumeArgs, state: &str, out: Output) -> Result<(), Failure> {
    let session = args.connect.open().await?;
    let request = v1::SetDeviceStateRequest {
        tenant: session.tenant(args.tenant)?,
        device_id: args.device,
        state: state.to_owned(),
        reason: args.reason,
    };
    let answer =
        session.connection.admin().set_device_state(request).await.map_err(Failure::of_call)?.into_inner();
    let device = Device::from(answer.device.unwrap_or_default());
    out.say(&format!("device {} is {}", device.device_id, device.state), &device)
}
