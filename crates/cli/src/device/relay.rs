//! `wardein device relay`.

use super::control::ControlArgs;
use super::report::Summary;
use super::screen::Screen;
use super::sheet::HeadArgs;
use crate::connection::ConnectArgs;
use crate::{Failure, Output, time};
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;
use wardein_domain::{ModelName, ProfileName};
use wardein_station::{Factory, Lines, STANDARD, Vouched, told_to_stop};

/// `wardein device relay`.
#[derive(Debug, Args)]
pub(crate) struct RelayArgs {
    /// A line: a serial device, or what the device writes and what it reads, such as two named pipes. May be repeated.
    /// Without one, standard input and output are the line, and what there is to tell goes to standard error
    #[arg(long = "line", value_name = "PATH|IN,OUT")]
    lines: Vec<String>,
    /// The speed of serial lines, in bits per second
    #[arg(long, value_name = "N", default_value_t = 115_200, value_parser = clap::value_parser!(u32).range(50..=4_000_000))]
    baud: u32,
    /// How long a device that has begun may be silent, from 1s to 1h
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = patience)]
    timeout: u64,
    /// The devices that may come, CSV or XLSX, with what the factory vouches for; all others are refused. It has the columns of
    /// `device enroll`, of which attributes are left to the device to measure. The command ends when all of them are enrolled
    #[arg(long, value_name = "FILE", conflicts_with_all = ["profile", "model"])]
    csv: Option<PathBuf>,
    #[command(flatten)]
    heads: HeadArgs,
    #[command(flatten)]
    control: ControlArgs,
    /// The profile of every device
    #[arg(long)]
    profile: Option<ProfileName>,
    /// The maker's name of the model of every device
    #[arg(long)]
    model: Option<ModelName>,
    /// The station
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) async fn run(args: RelayArgs, out: Output) -> Result<(), Failure> {
    let RelayArgs { lines: mut names, baud, timeout, csv, heads, control, profile, model, connect } = args;
    let listed = csv.as_deref().map(|file| heads.read(file)).transpose()?;
    let expected = control.expected(&heads.map())?;
    let out = if names.is_empty() { out.on_standard_error() } else { out };
    if names.is_empty() {
        names.push(STANDARD.to_owned());
    }
    let session = connect.open().await?;
    let report = control.report()?;
    let earlier = report.as_ref().map(|report| report.enrolled().clone()).unwrap_or_default();
    let (station, tenant) = (session.station(), session.own_tenant()?);
    let factory = match &listed {
        Some(batch) => Factory::for_batch(station, tenant, batch),
        None => {
            let (profile, model) = (profile.map(|name| name.to_string()), model.map(|name| name.to_string()));
            Factory::for_all(station, tenant, Vouched { profile, model, udi: None })
        }
    };
    let factory = factory.reporting(report).expecting(expected.clone());
    let screen = Screen::new(&names, factory.left().map(|left| left as u64));
    let lines = Lines { names, baud, patience: Duration::from_secs(timeout) };
    let work = factory.relay(&lines, told_to_stop(), |event| screen.show(&event)).await;
    screen.end();
    let (work, batch) = (work?, listed.unwrap_or_default());
    let summary = Summary::new(&batch, &work.outcomes, &earlier, expected.as_ref(), &work.lines);
    control.write_failures(&batch, summary.tally(), &work.outcomes)?;
    summary.print(None, out)
}

fn patience(text: &str) -> Result<u64, String> {
    match time::seconds(text)? {
        seconds @ 1..=3600 => Ok(seconds),
        _ => Err("it takes 1s to 1h".to_owned()),
    }
}
