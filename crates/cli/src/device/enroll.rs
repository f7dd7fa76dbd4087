//! `wardein device enroll`.

use super::report::{Judged, Report};
use super::sheet::HeadArgs;
use crate::connection::ConnectArgs;
use crate::{Failure, Output, files, progress};
use clap::Args;
use std::path::{Path, PathBuf};
use wardein_station::Play;

/// `wardein device enroll`.
#[derive(Debug, Args)]
pub(crate) struct EnrollArgs {
    /// The file, with a first line that names the columns
    #[arg(long, value_name = "FILE")]
    csv: PathBuf,
    /// Where the devices' states go, a directory each
    #[arg(long, value_name = "DIR", default_value = "devices")]
    out: PathBuf,
    /// How many are enrolled at the same time, on one connection
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    parallel: u16,
    #[command(flatten)]
    heads: HeadArgs,
    /// Judge the file, and enroll nothing
    #[arg(long)]
    dry_run: bool,
    /// The station
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) async fn run(args: EnrollArgs, out: Output) -> Result<(), Failure> {
    let batch = args.heads.read(&args.csv)?;
    if args.dry_run {
        return Judged::of(&batch).print(out);
    }
    let session = args.connect.open().await?;
    let tenant = session.own_tenant()?.ok_or_else(|| {
        Failure::Usage("--identity: give the directory of a station, which says its tenant".to_owned())
    })?;
    make_directory(&args.out)?;
    let play = Play {
        station: &session.station(),
        endpoint: &session.endpoint,
        tenant,
        states: &args.out,
        parallel: args.parallel.into(),
    };
    let bar = progress(BAR, Some(batch.lines.len() as u64));
    let outcomes = play.enroll(&batch, |_| bar.inc(1)).await;
    bar.finish_and_clear();
    let next = format!("Go on with: wardein-device --dir {}/ID certificate", args.out.display());
    Report::new(&batch, &outcomes?).print(Some(&next), out)
}

fn make_directory(path: &Path) -> Result<(), Failure> {
    match files::make_private_directory(path) {
        Err(_) if path.is_dir() => Ok(()),
        made => made,
    }
}

const BAR: &str = "{bar:30} {pos}/{len} devices, {per_sec}, {eta} left";
