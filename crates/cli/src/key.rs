//! `wardein key`: devices' keys, and those that records are sealed under.

mod deeds;
mod devices;
mod storage;

use crate::connection::ConnectArgs;
use crate::{Confirm, Failure, Output};
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// When devices' keys change, of a device or by a profile; and which key records are sealed under
    Status(devices::StatusArgs),
    /// Have devices agree on new keys; or change the root key, or a tenant's, while the authority serves
    ///
    /// --device, --profile and --devices ask devices for new keys: each hears of it with its next request and rekeys by itself, one that was
    /// away when it is back; nothing is written for each device, however many there are.
    ///
    /// --root, and --tenant alone, change a key that records are sealed under, and nothing that devices hold. The root key: the authority's own
    /// keys and those of tenants are sealed again at once, and the older versions are destroyed before the command ends; where it is cut short, the
    /// authority goes on. A tenant's: its records are sealed again when they are next written, and by the sweep,
    /// which this command goes on to do.
    Rotate(RotateArgs),
    /// Change when devices' keys change by themselves, for a whole tenant or a profile
    ///
    /// What is not given stays as it is. Period and number of uses hold for keys that are agreed from then on: `wardein key rotate` brings
    /// them to the devices at once.
    Schedule(devices::ScheduleArgs),
    /// Go over the keys of all devices: erase what is out of retention, reseal records under an old key, drop old keys
    ///
    /// The authority does it by itself once a day, slowly. One that is interrupted starts again, and finds little to do.
    Sweep(storage::SweepArgs),
    /// Show what is under way in several steps: devices being shredded, the root key being changed
    ///
    /// The authority goes on with each by itself, whether or not the command that asked for it still runs, and after a crash.
    Deeds(deeds::DeedsArgs),
}

/// `wardein key rotate`.
#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    /// This device's keys
    #[arg(long, value_name = "ID", requires = "reason")]
    device: Option<String>,
    /// The keys of the devices of this profile
    #[arg(long, value_name = "NAME", requires = "reason", conflicts_with = "device")]
    profile: Option<String>,
    /// The keys of all devices of the tenant
    #[arg(long, requires = "reason", conflicts_with_all = ["device", "profile"])]
    devices: bool,
    /// The root key
    #[arg(long, conflicts_with_all = ["tenant", "device", "profile", "devices"])]
    #[arg(required_unless_present_any = ["tenant", "device", "profile", "devices"])]
    root: bool,
    /// The tenant of the devices; alone: the key that its records are sealed under
    #[arg(long)]
    tenant: Option<String>,
    /// Refuse everything but a rekey until the device has rekeyed (after a leak). Without this the device keeps working
    #[arg(long, conflicts_with = "root")]
    required: bool,
    /// With devices: why, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// With --tenant alone: devices a second of the sweep, 1 to 100000
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    per_second: u32,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    connect: ConnectArgs,
}

impl KeyCommand {
    pub(crate) async fn run(self, out: Output) -> Result<(), Failure> {
        match self {
            Self::Status(args) => devices::show(args, out).await,
            Self::Rotate(args) if args.is_of_devices() => devices::rotate(args, out).await,
            Self::Rotate(args) if args.required || args.reason.is_some() => Err(Failure::Usage(
                "--required and --reason are for devices' keys; add --devices, --profile or --device"
                    .to_owned(),
            )),
            Self::Rotate(args) => storage::rotate(args, out).await,
            Self::Schedule(args) => devices::schedule(args, out).await,
            Self::Sweep(args) => storage::go_over(args, out).await,
            Self::Deeds(args) => deeds::list(args, out).await,
        }
    }
}

impl RotateArgs {
    fn is_of_devices(&self) -> bool {
        self.devices || self.profile.is_some() || self.device.is_some()
    }
}
