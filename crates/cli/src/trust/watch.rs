//! `wardein trust watch`.

use super::verdict;
use crate::connection::ConnectArgs;
use crate::{Failure, Output, time};
use clap::Args;
use serde::Serialize;
use wardein_client::{WatchEvent, Watcher, time as wire, v1, word};
use wardein_crypto::hex;

/// A line a device, first of all devices and then of each that changes. With --json an object a line: `event` is `snapshot`, `snapshot-end`,
/// `change`, `bookmark` or `interrupted`. Where the authority is not reached it tries again, and goes on where it was.
#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// Go on behind this revision of an earlier watch, which --json names, instead of a line for each device
    #[arg(long, value_name = "HEX")]
    after: Option<String>,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Serialize)]
struct Line {
    event: &'static str,
    /// What a later watch goes on from; null before the first snapshot is complete.
    revision: Option<String>,
    #[serde(flatten)]
    what: What,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum What {
    Device(DeviceLine),
    Bookmark { time: u64 },
    Interrupted { code: String, message: String },
    Nothing {},
}

#[derive(Debug, Serialize)]
struct DeviceLine {
    device_id: String,
    verdict: String,
    reasons: Vec<String>,
    lifetime: u64,
    /// Unix seconds from which time alone makes another verdict; 0 where it does not.
    valid_until: u64,
    state: String,
    assurance: String,
    is_shared: bool,
}

impl From<v1::DeviceVerdict> for DeviceLine {
    fn from(of: v1::DeviceVerdict) -> Self {
        Self {
            device_id: of.device_id,
            verdict: verdict(of.verdict),
            reasons: of.reasons.into_iter().map(word::<v1::Reason>).collect(),
            lifetime: wire::span_seconds(of.lifetime),
            valid_until: wire::seconds(of.valid_until),
            state: word::<v1::DeviceState>(of.state),
            assurance: word::<v1::Assurance>(of.assurance),
            is_shared: of.is_shared,
        }
    }
}

impl WatchArgs {
    pub(crate) async fn run(self, out: Output) -> Result<(), Failure> {
        let Self { after, connect } = self;
        let revision = match after.as_deref().map(hex::decode) {
            Some(None) => return Err(Failure::Usage("--after takes a revision in hex".to_owned())),
            Some(revision) => revision,
            None => None,
        };
        let session = connect.open().await?;
        let platform = session.platform();
        let mut watcher = match revision {
            Some(revision) => Watcher::resume(platform, revision),
            None => Watcher::new(platform),
        };
        loop {
            let event = watcher.next().await?;
            let revision = watcher.revision().map(hex::encode);
            let (event, lines) = match event {
                WatchEvent::SnapshotBegin => continue,
                WatchEvent::Snapshot(devices) => ("snapshot", of(devices)),
                WatchEvent::SnapshotEnd => ("snapshot-end", vec![What::Nothing {}]),
                WatchEvent::Change(devices) => ("change", of(devices)),
                WatchEvent::Bookmark { time, .. } => ("bookmark", vec![What::Bookmark { time }]),
                WatchEvent::Interrupted(refusal) => {
                    let (code, message) = (refusal.code, refusal.message);
                    ("interrupted", vec![What::Interrupted { code, message }])
                }
            };
            let last = lines.len();
            for (number, what) in (1..).zip(lines) {
                // What a later watch goes on from has all of this event in it.
                let revision = revision.clone().filter(|_| number == last);
                print(out, &Line { event, revision, what })?;
            }
        }
    }
}

fn of(devices: Vec<v1::DeviceVerdict>) -> Vec<What> {
    devices.into_iter().map(|device| What::Device(device.into())).collect()
}

fn print(out: Output, line: &Line) -> Result<(), Failure> {
    if out.is_json() {
        return out.json(line);
    }
    match &line.what {
        What::Device(DeviceLine { device_id, verdict, reasons, .. }) => {
            let at = time::at(wardein_client::unix_now());
            out.write(&format!("{at}  {device_id:<24}  {verdict:<12}  {}\n", reasons.join(", ")))
        }
        What::Interrupted { code, message } => {
            eprintln!("{code}: {message}; trying again");
            Ok(())
        }
        What::Bookmark { .. } | What::Nothing {} => Ok(()),
    }
}
