//! `wardein device relay`.

use super::report::Report;
use super::sheet::HeadArgs;
use crate::connection::ConnectArgs;
use crate::{Failure, Output, progress};
use clap::Args;
use std::future::pending;
use std::path::PathBuf;
use tokio::signal::ctrl_c;
use wardein_domain::{ModelName, ProfileName};
use wardein_station::{Factory, STANDARD, Vouched};

/// `wardein device relay`.
#[derive(Debug, Args)]
pub(crate) struct RelayArgs {
    /// A line: a serial device, or what the device writes and what it reads, such as two named pipes. May be repeated.
    /// Without one, standard input and output are the line, and what there is to tell goes to standard error
    #[arg(long = "line", value_name = "PATH|IN,OUT")]
    lines: Vec<String>,
    /// The devices to expect, with what the factory vouches for; all others are refused. It has the columns of `device
    /// enroll`, of which attributes are left to the device to measure. The command ends when all of them are enrolled
    #[arg(long, value_name = "FILE", conflicts_with_all = ["profile", "model"])]
    csv: Option<PathBuf>,
    #[command(flatten)]
    heads: HeadArgs,
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
    let RelayArgs { mut lines, csv, heads, profile, model, connect } = args;
    let listed = csv.as_deref().map(|file| heads.read(file)).transpose()?;
    let out = if lines.is_empty() { out.on_standard_error() } else { out };
    if lines.is_empty() {
        lines.push(STANDARD.to_owned());
    }
    let session = connect.open().await?;
    let (station, tenant) = (session.station(), session.own_tenant()?);
    let factory = match &listed {
        Some(batch) => Factory::for_batch(station, tenant, batch),
        None => {
            let (profile, model) = (profile.map(|name| name.to_string()), model.map(|name| name.to_string()));
            Factory::for_all(station, tenant, Vouched { profile, model, udi: None })
        }
    };
    let bar = progress(BAR, listed.as_ref().map(|batch| batch.lines.len() as u64));
    let stop = async {
        // Where it cannot be heard, an interrupt ends the process by itself.
        if ctrl_c().await.is_err() {
            pending::<()>().await;
        }
    };
    let outcomes = factory.relay(&lines, stop, |outcome| {
        bar.set_message(format!("{} {} {}", outcome.device_id, outcome.result, outcome.code));
        bar.inc(u64::from(!outcome.has_failed()));
    });
    let outcomes = outcomes.await;
    bar.finish_and_clear();
    Report::new(&listed.unwrap_or_default(), &outcomes?).print(None, out)
}

const BAR: &str = "{bar:30} {pos}/{len} devices; {msg}";
