//! Giving a device to another tenant, and taking one.

use crate::connection::ConnectArgs;
use crate::{Column, Confirm, Failure, Output, Record, pages, time};
use clap::Args;
use serde::Serialize;
use wardein_client::{time as wire, v1, word};

/// `wardein device transfer`.
#[derive(Debug, Args)]
pub(crate) struct TransferArgs {
    /// The device's id
    device: String,
    /// The receiving tenant
    #[arg(long, value_name = "TENANT")]
    to: String,
    /// For how long the other tenant may accept, such as 30d; 60s to 366d
    #[arg(long, value_name = "TIME", value_parser = time::seconds, default_value = "7d")]
    expires: u64,
    /// The tenant
    #[arg(long)]
    tenant: Option<String>,
    /// Why, for the audit logs of both tenants
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// `wardein device accept`.
#[derive(Debug, Args)]
pub(crate) struct AcceptArgs {
    /// The device's id in the giving tenant
    device: String,
    /// The giving tenant
    #[arg(long, value_name = "TENANT")]
    from: String,
    /// The device's id here, where it is to be another one
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// The profile that it is to follow; `default` without it
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// The receiving tenant
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// `wardein device withdraw`.
#[derive(Debug, Args)]
pub(crate) struct WithdrawArgs {
    /// The device's id in the giving tenant
    device: String,
    /// The giving tenant, where it is not yours
    #[arg(long, value_name = "TENANT")]
    from: Option<String>,
    /// Why, for the audit logs of both tenants
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TransfersArgs {
    /// The tenant
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    part: pages::Part,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Serialize)]
struct Transfer {
    from_tenant: String,
    device_id: String,
    to_tenant: String,
    state: String,
    reason: String,
    offered_at: u64,
    expires_at: u64,
    accepted_at: u64,
    new_device_id: String,
    profile: String,
}

impl From<v1::Transfer> for Transfer {
    fn from(transfer: v1::Transfer) -> Self {
        Self {
            from_tenant: transfer.from_tenant,
            device_id: transfer.device_id,
            to_tenant: transfer.to_tenant,
            state: word::<v1::TransferState>(transfer.state),
            reason: transfer.reason,
            offered_at: wire::seconds(transfer.offered_at),
            expires_at: wire::seconds(transfer.expires_at),
            accepted_at: wire::seconds(transfer.accepted_at),
            new_device_id: transfer.new_device_id,
            profile: transfer.profile,
        }
    }
}

impl Record for Transfer {
    const COLUMNS: &'static [Column<Self>] = &[
        ("device", |transfer| transfer.device_id.clone()),
        ("from", |transfer| transfer.from_tenant.clone()),
        ("to", |transfer| transfer.to_tenant.clone()),
        ("state", |transfer| transfer.state.clone()),
        ("because", |transfer| transfer.reason.clone()),
        ("offered", |transfer| time::at(transfer.offered_at)),
        ("until", |transfer| time::at(transfer.expires_at)),
        ("accepted", |transfer| time::at(transfer.accepted_at)),
        ("as", |transfer| transfer.new_device_id.clone()),
        ("profile", |transfer| transfer.profile.clone()),
    ];
}

pub(super) async fn offer(args: TransferArgs, out: Output) -> Result<(), Failure> {
    let TransferArgs { device, to, expires, tenant, reason, confirm, connect } = args;
    confirm.ask(&format!("give device {device} to tenant {to}"))?;
    let session = connect.open().await?;
    let request = v1::TransferDeviceRequest {
        tenant: session.tenant(tenant).await?,
        device_id: device.clone(),
        to_tenant: to.clone(),
        lifetime: wire::span(expires),
        reason,
    };
    let answer = session.operator().transfer_device(request).await?;
    let transfer = Transfer::from(answer.transfer.unwrap_or_default());
    let until = time::at(transfer.expires_at);
    let words = match transfer.state.as_str() {
        "offered" => format!("device {device} is offered to tenant {to}, which may accept until {until}"),
        state => format!("the transfer of device {device} to tenant {to} is {state}"),
    };
    out.say(&words, &transfer)
}

pub(super) async fn accept(args: AcceptArgs, out: Output) -> Result<(), Failure> {
    let AcceptArgs { device, from, id, profile, tenant, connect } = args;
    let session = connect.open().await?;
    let request = v1::AcceptTransferRequest {
        tenant: session.tenant(tenant).await?,
        from_tenant: from,
        device_id: device,
        new_device_id: id.unwrap_or_default(),
        profile: profile.unwrap_or_default(),
    };
    let answer = session.operator().accept_transfer(request).await?;
    let transfer = Transfer::from(answer.transfer.unwrap_or_default());
    let words = format!(
        "device {} of tenant {} comes as {} with its next contact",
        transfer.device_id, transfer.from_tenant, transfer.new_device_id
    );
    out.say(&words, &transfer)
}

pub(super) async fn withdraw(args: WithdrawArgs, out: Output) -> Result<(), Failure> {
    let WithdrawArgs { device, from, reason, connect } = args;
    let session = connect.open().await?;
    let request =
        v1::WithdrawTransferRequest { from_tenant: session.tenant(from).await?, device_id: device, reason };
    let answer = session.operator().withdraw_transfer(request).await?;
    let transfer = Transfer::from(answer.transfer.unwrap_or_default());
    let words =
        format!("the transfer of device {} to tenant {} is off", transfer.device_id, transfer.to_tenant);
    out.say(&words, &transfer)
}

pub(super) async fn list(args: TransfersArgs, out: Output) -> Result<(), Failure> {
    let session = args.connect.open().await?;
    let operator = session.operator();
    let tenant = session.tenant(args.tenant).await?;
    let found = args.part.of(async |page_size, page_token| {
        let request = v1::ListTransfersRequest { tenant: tenant.clone(), page_size, page_token };
        let page = operator.list_transfers(request).await?;
        Ok((page.transfers, page.next_page_token))
    });
    let (transfers, next) = found.await?;
    let rows: Vec<_> = transfers.into_iter().map(Transfer::from).collect();
    out.list_part("transfers", &rows, &next)
}
