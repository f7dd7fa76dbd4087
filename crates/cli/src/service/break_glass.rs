//! `wardein service break-glass`.

use super::scope;
use super::visit::Protocol;
use crate::connection::ConnectArgs;
use crate::{Column, Confirm, Failure, Output, Record, pages, time};
use clap::{Args, Subcommand};
use serde::Serialize;
use wardein_client::{time as wire, v1};

#[derive(Debug, Subcommand)]
pub(crate) enum BreakGlassCommand {
    /// Show the code of a device for emergencies. It is good once; the device makes another at its next contact
    Show(ShowArgs),
    /// List the devices whose codes were used
    List(ListArgs),
    /// Close the review of all uses of a device's codes
    Close(CloseArgs),
}

#[derive(Debug, Args)]
pub(crate) struct OfDevice {
    /// The device
    #[arg(long, value_name = "ID")]
    device: String,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// The tenant; without it the caller's own
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    of: OfDevice,
    /// Print a page for a sealed envelope
    #[arg(long)]
    print: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only devices with a use that nobody has looked into
    #[arg(long)]
    open: bool,
    /// The tenant; without it all that the caller may see
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CloseArgs {
    #[command(flatten)]
    of: OfDevice,
}

/// The code is for the eyes of who asked.
#[derive(Serialize)]
struct Shown {
    device: String,
    code: String,
    key_name: String,
    stored_at: u64,
}

#[derive(Debug, Serialize)]
struct Use {
    key_name: String,
    reported_at: u64,
    closed_by: String,
    closed_at: u64,
    close_reason: String,
    /// What the device told of the session.
    protocol: Option<Protocol>,
}

#[derive(Debug, Serialize)]
struct Uses {
    tenant: String,
    device: String,
    open: usize,
    uses: Vec<Use>,
}

impl Record for Uses {
    const COLUMNS: &'static [Column<Self>] = &[
        ("tenant", |of| of.tenant.clone()),
        ("device", |of| of.device.clone()),
        ("uses", |of| of.uses.len().to_string()),
        ("open", |of| of.open.to_string()),
        ("protocols", |of| of.uses.iter().filter(|of| of.protocol.is_some()).count().to_string()),
        ("last reported", |of| of.uses.last().map_or_else(String::new, |of| time::at(of.reported_at))),
    ];
}

impl From<v1::EmergencyUses> for Uses {
    fn from(of: v1::EmergencyUses) -> Self {
        let uses: Vec<_> = of
            .uses
            .into_iter()
            .map(|of| Use {
                key_name: of.key_name,
                reported_at: wire::seconds(of.reported_at),
                closed_by: of.closed_by,
                closed_at: wire::seconds(of.closed_at),
                close_reason: of.close_reason,
                protocol: of.protocol.map(Protocol::from),
            })
            .collect();
        let open = uses.iter().filter(|of| of.closed_by.is_empty()).count();
        Self { tenant: of.tenant, device: of.device_id, open, uses }
    }
}

impl BreakGlassCommand {
    pub(crate) async fn run(self, out: Output) -> Result<(), Failure> {
        match self {
            Self::Show(args) => show(args, out).await,
            Self::List(args) => list(args, out).await,
            Self::Close(args) => close(args, out).await,
        }
    }
}

async fn show(args: ShowArgs, out: Output) -> Result<(), Failure> {
    let ShowArgs { of: OfDevice { device, reason, tenant, confirm, connect }, print } = args;
    confirm.ask(&format!("show the code of {device} for emergencies, which is an alarm in the audit log"))?;
    let session = connect.open().await?;
    let tenant = scope(&session, tenant);
    let request = v1::ShowEmergencyCodeRequest {
        tenant: tenant.clone(),
        device_id: device.clone(),
        reason: reason.clone(),
    };
    let answer = session.operator().show_emergency_code(request).await?;
    let v1::ShowEmergencyCodeResponse { code, key_name, stored_at } = answer;
    let shown = Shown { device, code, key_name, stored_at: wire::seconds(stored_at) };
    let words = if print {
        format!(
            "CODE FOR EMERGENCIES\n\n  device   {}/{}\n  code     {}\n  of       {}\n  for      {reason}\n\nTo be typed once, at the \
             device: wardein-device service break-glass\nWho opens this envelope says so at once: the use is an alarm, and is reviewed.\n\
             The device makes another code at its next contact with the authority.\n\n  opened by ____________________   \
             on ____________________\n",
            tenant,
            shown.device,
            shown.code,
            time::at(shown.stored_at)
        )
    } else {
        format!("{}\nfor {}, good once (wardein-device service break-glass)", shown.code, shown.device)
    };
    out.say(&words, &shown)
}

async fn list(args: ListArgs, out: Output) -> Result<(), Failure> {
    let session = args.connect.open().await?;
    let tenant = scope(&session, args.tenant);
    let devices = pages::all(async |page_size, page_token| {
        let request = v1::ListEmergencyUsesRequest { tenant: tenant.clone(), page_size, page_token };
        let answer = session.operator().list_emergency_uses(request).await?;
        Ok((answer.devices, answer.next_page_token))
    });
    let devices = devices.await?.into_iter().map(Uses::from);
    let is_wanted = |of: &Uses| !args.open || of.open != 0;
    out.list("devices", &devices.filter(is_wanted).collect::<Vec<_>>())
}

async fn close(args: CloseArgs, out: Output) -> Result<(), Failure> {
    let OfDevice { device, reason, tenant, confirm, connect } = args.of;
    confirm.ask(&format!("close the review of the uses of {device}'s codes"))?;
    let session = connect.open().await?;
    let tenant = scope(&session, tenant);
    let request = v1::CloseEmergencyReviewRequest { tenant, device_id: device, reason };
    let closed = session.operator().close_emergency_review(request).await?.uses.unwrap_or_default();
    let closed = Uses::from(closed);
    out.say(&format!("closed the review of {}", closed.device), &closed)
}
