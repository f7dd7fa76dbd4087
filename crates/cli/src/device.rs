//! `wardein device`.

mod enroll;
mod relay;
mod report;
mod sheet;
mod state;
mod transfer;
mod voucher;

use crate::connection::{ConnectArgs, Session};
use crate::{Column, Failure, Output, Record, audit, pages, time};
use clap::{Args, Subcommand};
use serde::Serialize;
use wardein_client::{number, time as wire, v1, word};
use wardein_crypto::hex;

#[derive(Debug, Subcommand)]
pub(crate) enum DeviceCommand {
    /// Enroll simulated devices listed in a CSV file
    ///
    /// Columns: id (needed), model, udi, profile, and attr.NAME for attributes. They are separated by commas, semicolons or tabs; the text is
    /// UTF-8, or UTF-16 with its mark. Each good line becomes a device whose state is in OUT/ID, to go on with by `wardein-device --dir OUT/ID`;
    /// each bad line is reported by its number and reason. The same file again goes on with what an earlier run left unfinished.
    ///
    /// Example: wardein device enroll --csv charge-7.csv --map id=Seriennummer --ignore Bemerkung --dry-run
    Enroll(enroll::EnrollArgs),
    /// Enroll real devices: carry what they say on a line to the authority, and its answers back
    ///
    /// The device runs `wardein-device enroll --begin`, or speaks the same lines of JSON by itself (crates/device/README.md): one that
    /// derives keys, or one whose key is in a TPM, as the tenant's policy for keys allows (`wardein attestation`). A line may bring one device after the
    /// other. Asking again is safe: a device that was cut off starts over. Set a serial line up before, such as with
    /// `stty -F /dev/ttyUSB0 115200 raw -echo`.
    Relay(relay::RelayArgs),
    /// List a tenant's devices
    List(ListArgs),
    /// Show one device
    Show(OneArgs),
    /// Take a device out of trust for a while
    Suspend(state::SetArgs),
    /// Bring a suspended device back into trust
    Resume(state::ResumeArgs),
    /// Take a device out of trust for good
    Revoke(state::SetArgs),
    /// Take a device out of trust until a human decides
    Quarantine(state::SetArgs),
    /// Bring a quarantined device back, or let a station enroll a device again
    ///
    /// Without --reenroll the device goes on with the keys that it has, and must rekey before anything else; anyone else who holds its
    /// state is shut out by that. If the copy was ahead of the device, the alarm comes again: then, and where the state is lost,
    /// --reenroll. What was sealed under the former keys cannot be opened after the new enrollment.
    Readmit(state::ReadmitArgs),
    /// End a device's service as planned; it is out of trust for good
    ///
    /// With --shred the device's keys are erased for good: its record is deleted, and then the key of its tenant and the root key are changed, so
    /// that nothing is left that opens what the disk may still have of it. Backups that were taken before keep what they have. It takes an
    /// administrator of the authority, and as long as a sweep of the tenant. The authority does all of it, also where this command is cut short or
    /// the authority crashes: `wardein key deeds` shows how far it is, and the same command watches it again.
    Retire(state::RetireArgs),
    /// Offer a device to another tenant
    ///
    /// The other tenant's administrator accepts it with `wardein device accept`. Then the device goes over with its next contact, by
    /// itself: it agrees on new keys, and has no other than those of the new tenant. Until then it is in service here. What it sealed
    /// stays this tenant's; its certificates are revoked.
    Transfer(transfer::TransferArgs),
    /// Take a device that another tenant offers
    Accept(transfer::AcceptArgs),
    /// Call a transfer off, on either side
    Withdraw(transfer::WithdrawArgs),
    /// List the open transfers from and to a tenant
    Transfers(transfer::TransfersArgs),
    /// Make a voucher, by which a device that speaks EST gets its first certificate
    ///
    /// The device gets its first certificate with it by EST, as the user and the password that are shown; once, and then by that
    /// certificate. As a station, for a device that is not on record: it is from then on, pending, and active with its first certificate.
    /// As an administrator, for one that is on record. A device has one voucher: another takes its place.
    Voucher(voucher::VoucherArgs),
    /// What happened to a device, without its signs of life
    History(HistoryArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// The tenant
    #[arg(long)]
    tenant: Option<String>,
    /// Those in one state
    #[arg(long, value_parser = ["pending", "active", "suspended", "quarantined", "revoked", "retired", "transferred"])]
    state: Option<String>,
    /// Those of one profile
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Those of one model
    #[arg(long)]
    model: Option<String>,
    /// Those whose last proof is longer ago than this, or that never proved anything
    #[arg(long, value_name = "TIME", value_parser = time::seconds)]
    silent_for: Option<u64>,
    /// Those whose last proof is not longer ago than this
    #[arg(long, value_name = "TIME", value_parser = time::seconds)]
    seen_within: Option<u64>,
    /// Those that are due to rekey
    #[arg(long)]
    rekey_due: bool,
    #[command(flatten)]
    part: pages::Part,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    #[command(flatten)]
    part: pages::Part,
    #[command(flatten)]
    one: OneArgs,
}

#[derive(Debug, Args)]
pub(crate) struct OneArgs {
    /// The device's id
    device: String,
    /// The tenant
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Serialize)]
struct Device {
    tenant: String,
    device_id: String,
    state: String,
    state_reason: String,
    profile: String,
    model: String,
    udi: String,
    enrolled_at: u64,
    enrolled_by: String,
    generation: u64,
    proof_epoch: u32,
    suite: u32,
    attributes: Vec<String>,
    last_seen: u64,
    agreed_at: u64,
    rekey: String,
    /// Lower-case hex; empty for a device that derives its keys.
    key_id: String,
    assurance: String,
    pcrs: String,
    quoted_at: u64,
}

impl From<v1::Device> for Device {
    fn from(device: v1::Device) -> Self {
        Self {
            tenant: device.tenant,
            device_id: device.device_id,
            state: word::<v1::DeviceState>(device.state),
            state_reason: device.state_reason,
            profile: device.profile,
            model: device.model,
            udi: device.udi,
            enrolled_at: wire::seconds(device.enrolled_at),
            enrolled_by: device.enrolled_by,
            generation: device.generation,
            proof_epoch: device.proof_epoch,
            suite: device.suite,
            attributes: device.attributes,
            last_seen: wire::seconds(device.last_seen),
            agreed_at: wire::seconds(device.agreed_at),
            rekey: word::<v1::RekeyGate>(device.rekey),
            key_id: hex::encode(&device.key_id),
            assurance: word::<v1::Assurance>(device.assurance),
            pcrs: word::<v1::PcrStanding>(device.pcrs),
            quoted_at: wire::seconds(device.quoted_at),
        }
    }
}

impl Record for Device {
    const COLUMNS: &'static [Column<Self>] = &[
        ("device", |device| device.device_id.clone()),
        ("tenant", |device| device.tenant.clone()),
        ("state", |device| device.state.clone()),
        ("because", |device| device.state_reason.clone()),
        ("model", |device| device.model.clone()),
        ("udi", |device| device.udi.clone()),
        ("profile", |device| device.profile.clone()),
        ("enrolled", |device| time::at(device.enrolled_at)),
        ("by", |device| device.enrolled_by.clone()),
        ("last proof", |device| time::at(device.last_seen)),
        ("generation", |device| device.generation.to_string()),
        ("agreed", |device| time::at(device.agreed_at)),
        ("rekey", |device| device.rekey.clone()),
        ("epoch", |device| device.proof_epoch.to_string()),
        ("suite", |device| device.suite.to_string()),
        ("attributes", |device| device.attributes.join(", ")),
        ("key", |device| device.key_id.clone()),
        ("key held", |device| device.assurance.clone()),
        ("registers", |device| device.pcrs.clone()),
        ("quoted", |device| time::at(device.quoted_at)),
    ];
}

/// A device in a list, where there is no room for everything; in JSON it is the whole.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Row(Device);

impl Record for Row {
    const COLUMNS: &'static [Column<Self>] = &[
        ("device", |Self(device)| device.device_id.clone()),
        ("state", |Self(device)| device.state.clone()),
        ("model", |Self(device)| device.model.clone()),
        ("profile", |Self(device)| device.profile.clone()),
        ("enrolled", |Self(device)| time::at(device.enrolled_at)),
        ("last proof", |Self(device)| time::at(device.last_seen)),
        ("rekey", |Self(device)| device.rekey.clone()),
        ("key held", |Self(device)| device.assurance.clone()),
    ];
}

impl DeviceCommand {
    pub(crate) async fn run(self, out: Output) -> Result<(), Failure> {
        match self {
            Self::Enroll(args) => enroll::run(args, out).await,
            Self::Relay(args) => relay::run(args, out).await,
            Self::List(args) => list(args, out).await,
            Self::Show(args) => show(args, out).await,
            Self::Suspend(args) => state::suspend(args, out).await,
            Self::Resume(args) => state::resume(args, out).await,
            Self::Revoke(args) => state::revoke(args, out).await,
            Self::Quarantine(args) => state::quarantine(args, out).await,
            Self::Readmit(args) => state::readmit(args, out).await,
            Self::Retire(args) => state::retire(args, out).await,
            Self::Transfer(args) => transfer::offer(args, out).await,
            Self::Accept(args) => transfer::accept(args, out).await,
            Self::Withdraw(args) => transfer::withdraw(args, out).await,
            Self::Transfers(args) => transfer::list(args, out).await,
            Self::Voucher(args) => voucher::run(args, out).await,
            Self::History(args) => history(args, out).await,
        }
    }
}

async fn list(args: ListArgs, out: Output) -> Result<(), Failure> {
    let session = args.connect.open().await?;
    let operator = session.operator();
    let now = match (args.silent_for, args.seen_within) {
        (None, None) => 0,
        // The authority's time, by which it judged when each device was seen.
        _ => wire::seconds(operator.get_status(v1::GetStatusRequest {}).await?.time),
    };
    let ago = |seconds: Option<u64>| wire::at(now.saturating_sub(seconds?).max(1));
    let request = v1::ListDevicesRequest {
        tenant: session.tenant(args.tenant)?,
        state: args.state.as_deref().map_or(0, number::<v1::DeviceState>),
        profile: args.profile.unwrap_or_default(),
        model: args.model.unwrap_or_default(),
        seen_before: ago(args.silent_for),
        seen_after: ago(args.seen_within),
        rekey_due: args.rekey_due,
        page_size: 0,
        page_token: Vec::new(),
    };
    let found = args.part.of(async |page_size, page_token| {
        let request = v1::ListDevicesRequest { page_size, page_token, ..request.clone() };
        let page = operator.list_devices(request).await?;
        Ok((page.devices, page.next_page_token))
    });
    let (devices, next) = found.await?;
    let rows: Vec<_> = devices.into_iter().map(|device| Row(device.into())).collect();
    out.list_part("devices", &rows, &next)
}

async fn show(args: OneArgs, out: Output) -> Result<(), Failure> {
    let session = args.connect.open().await?;
    let request = v1::GetDeviceRequest { tenant: session.tenant(args.tenant)?, device_id: args.device };
    let answer = session.operator().get_device(request).await?;
    out.one(&Device::from(answer.device.unwrap_or_default()))
}

async fn history(args: HistoryArgs, out: Output) -> Result<(), Failure> {
    let HistoryArgs { part, one } = args;
    let session: Session = one.connect.open().await?;
    let tenant = session.tenant(one.tenant)?;
    let operator = session.operator();
    let found = part.of(async |page_size, page_token| {
        let (tenant, device_id) = (tenant.clone(), one.device.clone());
        let request = v1::ListDeviceHistoryRequest { tenant, device_id, page_size, page_token };
        let page = operator.list_device_history(request).await?;
        Ok((page.entries, page.next_page_token))
    });
    let (entries, next) = found.await?;
    let rows: Vec<_> = entries.into_iter().map(audit::Event::from).collect();
    out.list_part("entries", &rows, &next)
}
