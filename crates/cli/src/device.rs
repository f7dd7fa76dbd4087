//! `wardein device`.

mod batch;
mod calls;
mod chosen;
mod control;
mod enroll;
mod outcome;
mod relay;
mod report;
mod screen;
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
    /// Enroll simulated devices listed in a CSV or XLSX file
    ///
    /// Columns: id (needed), model, udi, profile, and attr.NAME for attributes; one whose head begins with # is not read. In
    /// CSV they are separated by commas, semicolons or tabs, and the text is UTF-8, or UTF-16 with its mark; of a workbook the
    /// first sheet is read. Each good line becomes a device whose state is in OUT/ID, to go on with by `wardein-device --dir
    /// OUT/ID`; each bad line is reported by its number and reason. The same file again goes on with what an earlier run left
    /// unfinished.
    ///
    /// Example: wardein device enroll --csv charge-7.xlsx --map id=Seriennummer --ignore Bemerkung --dry-run
    ///
    /// Example: wardein device enroll --csv charge-7.csv --report charge-7.report.csv --failed again.csv --expected order-7.txt
    Enroll(enroll::EnrollArgs),
    /// Enroll real devices: carry what they say on a line to the authority, and its answers back
    ///
    /// The device runs `wardein-device enroll --begin`, or speaks the same lines of JSON by itself (crates/device/README.md):
    /// one that derives keys, or one whose key is in a TPM, as the tenant's policy for keys allows (`wardein attestation`). A
    /// line may bring one device after the other. Asking again is safe: a device that was cut off starts over.
    ///
    /// A serial line is set up here: raw, at --baud, for this program alone, without modem control. What a boot loader prints
    /// is skipped, and nothing is written before a device speaks. A line that vanishes with its device is opened again when it
    /// is back. Ctrl-C, SIGTERM and SIGHUP end the command in order; with --report the same command goes on also after a crash.
    ///
    /// Example: wardein device relay --csv charge-7.csv --line /dev/ttyUSB0 --line /dev/ttyUSB1 --report charge-7.report.csv
    Relay(relay::RelayArgs),
    /// List a tenant's devices
    List(ListArgs),
    /// Show one device, by its id, its UDI or its serial number
    ///
    /// Example: wardein device show --serial-number 4711
    Show(ShowArgs),
    /// Take devices out of trust for a while
    ///
    /// Several ids, a file of ids, or what devices have in common (--enrolled-by and the like; all that are given hold) make one
    /// question with the count, and one entry in the audit log beside those of the devices. A device that is suspended already is
    /// left as it is: where the command was cut short, the same command goes on. Failures are shown last; --failed writes their ids
    /// to a file for --from.
    ///
    /// Example: wardein device suspend --enrolled-by line-1 --enrolled-since 2026-11-28 --reason 'station stolen' --failed left.txt
    Suspend(batch::ManyArgs),
    /// Bring suspended devices back into trust
    ///
    /// Several devices are named as with `device suspend`.
    ///
    /// Example: wardein device resume --from checked.txt --reason 'found and checked'
    Resume(batch::ManyArgs),
    /// Take devices out of trust for good
    ///
    /// Several devices are named as with `device suspend`. Where it takes a second person, each device makes a proposal of its own;
    /// the same command again revokes those that were approved.
    ///
    /// Example: wardein device revoke --from left.txt --reason 'not found' --dry-run
    Revoke(batch::ManyArgs),
    /// Take devices out of trust until a human decides
    ///
    /// Several devices are named as with `device suspend`.
    Quarantine(batch::ManyArgs),
    /// Bring a quarantined device back, or let a station enroll a device again
    ///
    /// Without --reenroll the device goes on with the keys that it has, and must rekey before anything else; anyone else who
    /// holds its state is shut out by that. If the copy was ahead of the device, the alarm comes again: then, and where the
    /// state is lost, --reenroll. What was sealed under the former keys cannot be opened after the new enrollment.
    Readmit(state::ReadmitArgs),
    /// End the service of devices as planned; they are out of trust for good
    ///
    /// Several devices are named as with `device suspend`.
    ///
    /// With --shred the device's keys are erased for good: its record is deleted, and then the key of its tenant and the root
    /// key are changed, so that nothing is left that opens what the disk may still have of it. Backups that were taken before
    /// keep what they have. It takes an administrator of the authority, and as long as a sweep of the tenant. The authority
    /// does all of it, also where this command is cut short or the authority crashes: `wardein key deeds` shows how far it is,
    /// and the same command watches it again.
    Retire(state::RetireArgs),
    /// Ask devices for new keys
    ///
    /// Devices are named as with `device suspend`. Each hears of it with its next request and rekeys by itself. A device that is
    /// due to rekey already is left as it is; one that has rekeyed since is asked again. `wardein key rotate` asks all devices of a
    /// tenant or a profile, by one row.
    ///
    /// Example: wardein device rotate --enrolled-by line-1 --required --reason 'keys leaked'
    Rotate(state::RotateArgs),
    /// Offer a device to another tenant
    ///
    /// The other tenant's administrator accepts it with `wardein device accept`. Then the device goes over with its next
    /// contact, by itself: it agrees on new keys, and has no other than those of the new tenant. Until then it is in service
    /// here. What it sealed stays this tenant's; its certificates are revoked.
    Transfer(transfer::TransferArgs),
    /// Take a device that another tenant offers
    Accept(transfer::AcceptArgs),
    /// Call a transfer off, on either side
    Withdraw(transfer::WithdrawArgs),
    /// List the open transfers from and to a tenant
    Transfers(transfer::TransfersArgs),
    /// Make a voucher, by which a device that speaks EST gets its first certificate
    ///
    /// The device gets its first certificate with it by EST, as the user and the password that are shown; once, and then by
    /// that certificate. As a station, for a device that is not on record: it is from then on, pending, and active with its
    /// first certificate. As an administrator, for one that is on record. A device has one voucher: another takes its place.
    Voucher(voucher::VoucherArgs),
    /// What happened to a device, without its signs of life
    History(HistoryArgs),
}

/// The states of devices.
const STATES: [&str; 7] =
    ["pending", "active", "suspended", "quarantined", "revoked", "retired", "transferred"];

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// The tenant
    #[arg(long)]
    tenant: Option<String>,
    /// Those in one state
    #[arg(long, value_parser = STATES)]
    state: Option<String>,
    /// Those of one profile
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Those of one model
    #[arg(long)]
    model: Option<String>,
    /// Those with this UDI, as its label prints it or a scanner sends it; it must have a serial number
    #[arg(long)]
    udi: Option<String>,
    /// Those with this serial number in their UDI
    #[arg(long, value_name = "NUMBER")]
    serial_number: Option<String>,
    /// Those that this station enrolled last: NAME, or station/TENANT/NAME
    #[arg(long, value_name = "OPERATOR")]
    enrolled_by: Option<String>,
    /// Those that were enrolled not before this time: 2026-11-30T08:00:00Z, or so long ago, such as 24h
    #[arg(long, value_name = "TIME", value_parser = time::past)]
    enrolled_since: Option<u64>,
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
pub(crate) struct ShowArgs {
    /// The device's id
    #[arg(required_unless_present_any = ["udi", "serial_number"], conflicts_with_all = ["udi", "serial_number"])]
    device: Option<String>,
    /// Its UDI instead, as its label prints it or a scanner sends it; it must have a serial number
    #[arg(long, conflicts_with = "serial_number")]
    udi: Option<String>,
    /// The serial number in its UDI instead
    #[arg(long, value_name = "NUMBER")]
    serial_number: Option<String>,
    /// The tenant
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    connect: ConnectArgs,
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
            Self::Rotate(args) => state::rotate(args, out).await,
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
    let tenant = session.tenant(args.tenant).await?;
    let enrolled_by = args.enrolled_by.map(|by| chosen::station(&by, &tenant));
    let request = v1::ListDevicesRequest {
        tenant,
        state: args.state.as_deref().map_or(0, number::<v1::DeviceState>),
        profile: args.profile.unwrap_or_default(),
        model: args.model.unwrap_or_default(),
        udi: args.udi.unwrap_or_default(),
        serial_number: args.serial_number.unwrap_or_default(),
        enrolled_by: enrolled_by.unwrap_or_default(),
        enrolled_after: args.enrolled_since.and_then(wire::at),
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

async fn show(args: ShowArgs, out: Output) -> Result<(), Failure> {
    let ShowArgs { device, udi, serial_number, tenant, connect } = args;
    let session = connect.open().await?;
    let tenant = session.tenant(tenant).await?;
    let operator = session.operator();
    if let Some(device_id) = device {
        let answer = operator.get_device(v1::GetDeviceRequest { tenant, device_id }).await?;
        return out.one(&Device::from(answer.device.unwrap_or_default()));
    }
    let request = v1::ListDevicesRequest {
        tenant,
        udi: udi.unwrap_or_default(),
        serial_number: serial_number.unwrap_or_default(),
        ..Default::default()
    };
    let mut found = pages::all(async |page_size, page_token| {
        let request = v1::ListDevicesRequest { page_size, page_token, ..request.clone() };
        let page = operator.list_devices(request).await?;
        Ok((page.devices, page.next_page_token))
    })
    .await?;
    match (found.len(), found.pop()) {
        (1, Some(device)) => out.one(&Device::from(device)),
        (0, _) | (_, None) => {
            Err(Failure::failed("there is no device with it; wardein device list shows which there are"))
        }
        (count, Some(last)) => {
            let ids: Vec<_> = found.into_iter().chain([last]).map(|device| device.device_id).collect();
            Err(Failure::Failed(format!("{count} devices have it: {}; name one of them", ids.join(", "))))
        }
    }
}

async fn history(args: HistoryArgs, out: Output) -> Result<(), Failure> {
    let HistoryArgs { part, one } = args;
    let session: Session = one.connect.open().await?;
    let tenant = session.tenant(one.tenant).await?;
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
