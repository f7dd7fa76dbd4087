//! `wardein clock`.

use crate::connection::{ConnectArgs, Session};
use crate::{Column, Confirm, Failure, Output, Record, time};
use clap::{Args, Subcommand};
use serde::Serialize;
use wardein_client::time as wire;
use wardein_client::v1::{self, ClockAgreement};

#[derive(Debug, Subcommand)]
pub(crate) enum ClockCommand {
    /// Show the authority's time, and how the wall clock of its machine compares
    Status(StatusArgs),
    /// Take the word of that wall clock, which you vouch for
    ///
    /// Where the wall clock is behind the authority's time, this begins a new era: what devices answered before counts no more, devices
    /// that agreed on keys later rekey, and certificates that were issued later count as revoked.
    Accept(AcceptArgs),
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    connect: ConnectArgs,
}

/// `wardein clock accept`.
#[derive(Debug, Args)]
pub(crate) struct AcceptArgs {
    /// Show what it would do, and do nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Serialize)]
struct Clock {
    /// Unix milliseconds.
    time_ms: u64,
    wall_ms: u64,
    /// `agrees`, `apart` or `held`.
    agreement: &'static str,
    erases: bool,
    acceptances: u32,
    can_be_accepted: bool,
}

impl Clock {
    fn new(clock: &v1::GetClockResponse) -> Self {
        let agreement = match clock.agreement() {
            ClockAgreement::Agrees => "agrees",
            ClockAgreement::Apart => "apart",
            ClockAgreement::Held => "held",
            ClockAgreement::Unspecified => "unknown",
        };
        Self {
            time_ms: wire::ms(clock.time),
            wall_ms: wire::ms(clock.wall_time),
            agreement,
            erases: clock.may_erase,
            acceptances: clock.acceptances,
            can_be_accepted: clock.acceptance.is_some(),
        }
    }
}

impl Record for Clock {
    const COLUMNS: &'static [Column<Self>] = &[
        ("the authority's time", |clock| time::at_ms(clock.time_ms)),
        ("the machine's clock", |clock| time::at_ms(clock.wall_ms)),
        ("they", |clock| {
            let words = match clock.agreement {
                "agrees" => "agree",
                "apart" => "are apart: that clock jumped; set it, or `wardein clock accept` it",
                "held" => {
                    "are apart since the start: certificates wait; set that clock, or `wardein clock accept` it"
                }
                other => other,
            };
            words.to_owned()
        }),
        ("what is over is erased", |clock| {
            if clock.erases { "yes" } else { "not before they agree for 24 hours" }.to_owned()
        }),
        ("accepted", |clock| format!("{} times", clock.acceptances)),
    ];
}

#[derive(Debug, Serialize)]
struct Accepted {
    /// Unix milliseconds.
    from_ms: u64,
    to_ms: u64,
    is_new_era: bool,
    /// Only before it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    devices_to_rekey: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificates_ended: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operators_to_issue_again: Option<u64>,
    done: bool,
}

impl Record for Accepted {
    const COLUMNS: &'static [Column<Self>] = &[
        ("from", |accepted| time::at_ms(accepted.from_ms)),
        ("to", |accepted| time::at_ms(accepted.to_ms)),
        ("a new era", |accepted| if accepted.is_new_era { "yes" } else { "no" }.to_owned()),
        ("devices to rekey", |accepted| number(accepted.devices_to_rekey)),
        ("certificates ended", |accepted| number(accepted.certificates_ended)),
        ("operators to issue again", |accepted| number(accepted.operators_to_issue_again)),
        ("done", |accepted| if accepted.done { "yes" } else { "no: without --dry-run it is" }.to_owned()),
    ];
}

fn number(count: Option<u64>) -> String {
    count.map_or_else(String::new, |count| count.to_string())
}

impl ClockCommand {
    pub(crate) async fn run(self, out: Output) -> Result<(), Failure> {
        match self {
            Self::Status(StatusArgs { connect }) => {
                let request = v1::GetClockRequest { count: false };
                let clock = connect.open().await?.operator().get_clock(request).await?;
                out.one(&Clock::new(&clock))
            }
            Self::Accept(AcceptArgs { dry_run, confirm, connect }) => {
                accept(connect.open().await?, dry_run, confirm, out).await
            }
        }
    }
}

async fn accept(session: Session, dry_run: bool, confirm: Confirm, out: Output) -> Result<(), Failure> {
    let operator = session.operator();
    let clock = operator.get_clock(v1::GetClockRequest { count: true }).await?;
    let Some(would) = clock.acceptance else {
        let wall = time::at_ms(wire::ms(clock.wall_time));
        return Err(Failure::failed(format!(
            "the clock of the authority's machine says {wall}, when its CA is not valid; set it first"
        )));
    };
    let left = clock.left_behind;
    let mut accepted = Accepted {
        from_ms: wire::ms(would.before),
        to_ms: wire::ms(would.after),
        is_new_era: would.is_new_era,
        devices_to_rekey: left.map(|left| left.devices),
        certificates_ended: left.map(|left| left.certificates),
        operators_to_issue_again: left.map(|left| left.operators),
        done: false,
    };
    if dry_run {
        return out.one(&accepted);
    }
    let era = match left {
        None => String::new(),
        Some(v1::LeftBehind { devices, certificates, operators }) => format!(
            ", a new era: {devices} devices rekey, {certificates} certificates end, {operators} operators are to be issued again"
        ),
    };
    let (from, to) = (time::at_ms(accepted.from_ms), time::at_ms(accepted.to_ms));
    confirm.ask(&format!("set the authority's time from {from} to {to}{era}"))?;
    let done = operator.accept_clock(v1::AcceptClockRequest { wall_time: clock.wall_time }).await?;
    if let Some(v1::ClockAcceptance { before, after, is_new_era }) = done.acceptance {
        (accepted.from_ms, accepted.to_ms) = (wire::ms(before), wire::ms(after));
        accepted.is_new_era = is_new_era;
    }
    accepted.done = true;
    out.one(&accepted)
}
