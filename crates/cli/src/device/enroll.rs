//! `wardein device enroll`.

use super::control::ControlArgs;
use super::report::{Judged, Summary};
use super::sheet::HeadArgs;
use crate::connection::ConnectArgs;
use crate::{Failure, Output, files, progress};
use clap::Args;
use std::path::{Path, PathBuf};
use wardein_station::Play;

/// `wardein device enroll`.
#[derive(Debug, Args)]
pub(crate) struct EnrollArgs {
    /// The file, CSV or XLSX, with a first line that names the columns
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
    #[command(flatten)]
    control: ControlArgs,
    /// Judge the file, compare it with --expected, and enroll nothing. Nothing is written, and no authority is asked
    #[arg(long)]
    dry_run: bool,
    /// The station
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) async fn run(args: EnrollArgs, out: Output) -> Result<(), Failure> {
    let batch = args.heads.read(&args.csv)?;
    let expected = args.control.expected(&args.heads.map())?;
    if args.dry_run {
        return Judged::of(&batch, expected.as_ref()).print(out);
    }
    let session = args.connect.open().await?;
    let tenant = session.own_tenant()?.ok_or_else(|| {
        Failure::Usage("--identity: give the directory of a station, which says its tenant".to_owned())
    })?;
    let mut report = args.control.report()?;
    let earlier = report.as_ref().map(|report| report.enrolled().clone()).unwrap_or_default();
    make_directory(&args.out)?;
    let play = Play {
        station: &session.station(),
        endpoint: &session.endpoint,
        tenant,
        states: &args.out,
        parallel: args.parallel.into(),
        expected: expected.as_ref(),
    };
    let bar = progress(BAR, Some(batch.lines.len() as u64));
    let outcomes = play.enroll(&batch, report.as_mut(), |_| bar.inc(1)).await;
    bar.finish_and_clear();
    let outcomes = outcomes?;
    let next = format!("Go on with: wardein-device --dir {}/ID certificate", args.out.display());
    let summary = Summary::new(&batch, &outcomes, &earlier, expected.as_ref(), &[]);
    args.control.write_failures(&batch, summary.tally(), &outcomes)?;
    summary.print(Some(&next), out)
}

fn make_directory(path: &Path) -> Result<(), Failure> {
    match files::make_private_directory(path) {
        Err(_) if path.is_dir() => Ok(()),
        made => made,
    }
}

const BAR: &str = "{bar:30} {pos}/{len} devices, {per_sec}, {eta} left";
