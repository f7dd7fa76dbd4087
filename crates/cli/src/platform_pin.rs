//! `wardein platform-pin`.

use crate::connection::{ConnectArgs, Session};
use crate::{Column, Failure, Output, Record, files, time};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::path::Path;
use std::str::FromStr;
use wardein_client::{time as wire, v1};
use wardein_pki::Pin;

#[derive(Debug, Subcommand)]
pub(crate) enum PlatformPinCommand {
    /// Put the pins of a platform's keys; devices get them in the trust bundle
    ///
    /// A key is given by a file with its certificate or the key itself in PEM (openssl pkey -pubout), or by its pin: the base64 of the SHA-256
    /// of its SubjectPublicKeyInfo (RFC 7469).
    Set(SetArgs),
    /// Make the next key the current one, and give the one that comes after it
    ///
    /// The platform goes over to the next key when this is done, and not before: a device that was off for six months knows the key that it
    /// then has, by the pins of either epoch.
    Rotate(RotateArgs),
    /// Show the pins of a platform's keys
    Show(ShowArgs),
}

/// `wardein platform-pin set`.
#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// The key that the platform has
    #[arg(long, value_name = "FILE|PIN")]
    current: KeyArg,
    /// The key that it goes over to next, 183 days from now at the earliest
    #[arg(long, value_name = "FILE|PIN")]
    next: Option<KeyArg>,
    /// The key that is kept offline, for the day on which the others are lost or known to others
    #[arg(long, value_name = "FILE|PIN")]
    recovery: KeyArg,
    #[command(flatten)]
    common: Common,
}

/// `wardein platform-pin rotate`.
#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    /// The key that comes after it
    #[arg(long, value_name = "FILE|PIN")]
    next: KeyArg,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The tenant
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
struct Common {
    /// Take a current key that devices do not know which were off for some of the last 183 days: they refuse the platform until the
    /// authority has given them the next pins
    #[arg(long)]
    confirm_stranding: bool,
    /// The tenant
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// The pin of a key that an argument names.
#[derive(Debug, Clone, Copy)]
struct KeyArg(Pin);

impl FromStr for KeyArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(pin) = text.parse() {
            return Ok(Self(pin));
        }
        let file = files::read_bounded(Path::new(text), MAX_FILE).map_err(|failure| failure.to_string())?;
        Pin::of_file(&String::from_utf8_lossy(&file)).map(Self).map_err(|error| error.to_string())
    }
}

#[derive(Serialize)]
struct Shown {
    tenant: String,
    current: String,
    next: String,
    recovery: String,
    epoch: u64,
    changed_at: u64,
    next_from: u64,
}

impl Record for Shown {
    const COLUMNS: &'static [Column<Self>] = &[
        ("tenant", |pins| pins.tenant.clone()),
        ("current", |pins| pins.current.clone()),
        ("next", |pins| pins.next.clone()),
        ("recovery", |pins| pins.recovery.clone()),
        ("epoch", |pins| pins.epoch.to_string()),
        ("since", |pins| time::at(pins.changed_at)),
        ("next from", |pins| time::at(pins.next_from)),
    ];
}

impl Shown {
    fn of(pins: Option<v1::PlatformPins>) -> Result<Self, Failure> {
        let v1::PlatformPins {
            tenant,
            current_sha256,
            next_sha256,
            recovery_sha256,
            epoch,
            changed_at,
            next_from,
            ..
        } = pins.unwrap_or_default();
        let text = |bytes: Vec<u8>| match bytes.try_into() {
            Ok(pin) => Ok(Pin(pin).to_string()),
            Err(bytes) if bytes.is_empty() => Ok(String::new()),
            Err(_) => {
                Err(Failure::Failed("the authority's answer has a pin that is not 32 bytes".to_owned()))
            }
        };
        let (current, next, recovery) = (text(current_sha256)?, text(next_sha256)?, text(recovery_sha256)?);
        let (changed_at, next_from) = (wire::seconds(changed_at), wire::seconds(next_from));
        Ok(Self { tenant, current, next, recovery, epoch, changed_at, next_from })
    }
}

impl PlatformPinCommand {
    pub(crate) async fn run(self, out: Output) -> Result<(), Failure> {
        match self {
            Self::Set(args) => set(args, out).await,
            Self::Rotate(args) => rotate(args, out).await,
            Self::Show(args) => show(args, out).await,
        }
    }
}

async fn set(args: SetArgs, out: Output) -> Result<(), Failure> {
    let SetArgs { current, next, recovery, common } = args;
    let session = common.connect.open().await?;
    let pins = v1::PlatformPins {
        tenant: session.tenant(common.tenant).await?,
        current_sha256: current.0.0.to_vec(),
        next_sha256: next.map(|next| next.0.0.to_vec()).unwrap_or_default(),
        recovery_sha256: recovery.0.0.to_vec(),
        ..v1::PlatformPins::default()
    };
    put(&session, pins, common.confirm_stranding, out).await
}

async fn rotate(args: RotateArgs, out: Output) -> Result<(), Failure> {
    let RotateArgs { next, common } = args;
    let session = common.connect.open().await?;
    let tenant = session.tenant(common.tenant).await?;
    let answer = session.operator().get_platform_pins(v1::GetPlatformPinsRequest { tenant }).await?;
    let present = answer.pins.unwrap_or_default();
    if present.next_sha256.is_empty() {
        let words =
            "the pins have no next key: put one (wardein platform-pin set --next), and rotate 183 days later";
        return Err(Failure::Failed(words.to_owned()));
    }
    // The version that was read: nobody has put others meanwhile.
    let pins = v1::PlatformPins {
        current_sha256: present.next_sha256.clone(),
        next_sha256: next.0.0.to_vec(),
        ..present
    };
    put(&session, pins, common.confirm_stranding, out).await
}

async fn put(
    session: &Session,
    pins: v1::PlatformPins,
    confirm_stranding: bool,
    out: Output,
) -> Result<(), Failure> {
    let request = v1::PutPlatformPinsRequest { pins: Some(pins), confirm_stranding };
    out.one(&Shown::of(session.operator().put_platform_pins(request).await?.pins)?)
}

async fn show(args: ShowArgs, out: Output) -> Result<(), Failure> {
    let session = args.connect.open().await?;
    let tenant = session.tenant(args.tenant).await?;
    let answer = session.operator().get_platform_pins(v1::GetPlatformPinsRequest { tenant }).await?;
    out.one(&Shown::of(answer.pins)?)
}

/// Bytes of a file with a key.
const MAX_FILE: u64 = 64 * 1024;
