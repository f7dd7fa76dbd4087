//! `wardein device relay`: real devices at their factory, each at the other end of a line.
//!
//! Reading a line blocks, so each has a thread of its own; what it asks goes over the one connection of all.

use crate::stream::vouched;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write, stdin, stdout};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::signal::ctrl_c;
use tokio::sync::mpsc;
use wardein_cli::{BadLine, Batch, Failure, Output, Record, RelayArgs, Session};
use wardein_client::Connection;
use wardein_ddkg::DeviceName;
use wardein_ddkg::message::{Confirmation, EnrollReply, EnrollRequest};
use wardein_device::{
    CallError, ConnectedStation, End, EnrolledKey, Refused, Relay, Relayed, Station, TpmActivation,
    TpmChallenge, TpmEvidence, TpmStation, Vouched,
};
use wardein_domain::{DeviceId, TenantId};

/// How it went with one device.
#[derive(Debug, Serialize)]
struct Fate {
    line: String,
    device_id: String,
    /// `enrolled`, `unconfirmed` or `failed`.
    result: &'static str,
    generation: u64,
    /// How surely the key of a device that signs is in its TPM; empty for one that derives keys.
    assurance: String,
    /// The stable code of a failure.
    code: String,
    message: String,
}

impl Record for Fate {
    const HEADS: &'static [&'static str] = &["line", "device", "result", "assurance", "why"];

    fn cells(&self) -> Vec<String> {
        let Self { line, device_id, result, assurance, message, .. } = self;
        vec![line.clone(), device_id.clone(), (*result).to_owned(), assurance.clone(), message.clone()]
    }
}

/// The whole, for scripts.
#[derive(Serialize)]
struct Report<'a> {
    enrolled: usize,
    failed: usize,
    /// Devices of the list that were not enrolled.
    missing: Vec<&'a str>,
    devices: &'a [Fate],
    bad_lines: &'a [BadLine],
}

/// Does what the arguments say.
pub fn run(args: RelayArgs, out: Output) -> Result<(), Failure> {
    let batch = args.csv.as_deref().map(Batch::read).transpose()?.unwrap_or_default();
    let out = if args.lines.is_empty() { out.on_standard_error() } else { out };
    let expected = args.csv.is_some().then(|| batch.lines.iter().map(|line| &line.device).collect());
    let fates = wardein_cli::block_on(relay(&args, &batch, expected.clone()))?;
    report(&batch, expected.unwrap_or_default(), &fates, out)
}

async fn relay(
    args: &RelayArgs,
    batch: &Batch,
    mut expected: Option<BTreeSet<&DeviceId>>,
) -> Result<Vec<Fate>, Failure> {
    let session = args.connect.open().await?;
    let factory = Arc::new(Factory::new(args, batch, &session)?);
    let (sender, mut ended) = mpsc::unbounded_channel();
    let lines = if args.lines.is_empty() { vec![STANDARD.to_owned()] } else { args.lines.clone() };
    for name in lines {
        let (factory, sender) = (factory.clone(), sender.clone());
        thread::Builder::new().spawn(move || attend(&name, &factory, &sender)).map_err(Failure::failed)?;
    }
    drop(sender);

    let total = expected.as_ref().map(|devices| devices.len() as u64);
    let progress = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} devices; {msg}") {
        progress.set_style(style);
    }
    let mut fates: Vec<Fate> = Vec::new();
    while expected.as_ref().is_none_or(|devices| !devices.is_empty()) {
        let fate = tokio::select! {
            fate = ended.recv() => fate,
            // What is known so far is told.
            _ = ctrl_c() => None,
        };
        let Some(fate) = fate else { break };
        progress.set_message(format!("{} {} {}", fate.device_id, fate.result, fate.code));
        if fate.result != FAILED {
            progress.inc(1);
            if let Some(devices) = &mut expected {
                devices.retain(|device| device.as_str() != fate.device_id);
            }
        }
        fates.push(fate);
    }
    progress.finish_and_clear();
    Ok(fates)
}

/// One line, until it is closed.
fn attend(name: &str, factory: &Factory, ended: &mpsc::UnboundedSender<Fate>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let attended = runtime.map_err(|error| error.to_string()).and_then(|runtime| {
        let (input, output) = open(name).map_err(|error| error.to_string())?;
        let (mut relay, mut station) = (Relay::new(input, output), factory);
        while let Some(relayed) =
            runtime.block_on(relay.next(&mut station)).map_err(|error| error.to_string())?
        {
            // Where nobody takes it any more, the command has ended.
            drop(ended.send(fate(name, relayed)));
        }
        Ok(())
    });
    if let Err(message) = attended {
        let (code, line) = ("line-lost".to_owned(), name.to_owned());
        drop(ended.send(Fate {
            line,
            device_id: String::new(),
            result: FAILED,
            generation: 0,
            assurance: String::new(),
            code,
            message,
        }));
    }
}

/// The two directions of a line.
fn open(name: &str) -> std::io::Result<(Box<dyn BufRead>, Box<dyn Write>)> {
    if name == STANDARD {
        return Ok((Box::new(BufReader::new(stdin())), Box::new(stdout())));
    }
    if let Some((input, output)) = name.split_once(',') {
        // The writing end first, and for both, which waits for nobody: a device opens what it reads first.
        let output = OpenOptions::new().read(true).write(true).open(output)?;
        return Ok((Box::new(BufReader::new(File::open(input)?)), Box::new(output)));
    }
    let line = OpenOptions::new().read(true).write(true).open(Path::new(name))?;
    Ok((Box::new(BufReader::new(line.try_clone()?)), Box::new(line)))
}

fn fate(line: &str, Relayed { device, end }: Relayed) -> Fate {
    let mut of_key = String::new();
    let (result, generation, code, message) = match end {
        End::Done { generation, is_confirmed: true } => {
            ("enrolled", generation, String::new(), String::new())
        }
        End::Done { generation, is_confirmed: false } => {
            let message = "the device sends its confirmation again by itself".to_owned();
            ("unconfirmed", generation, String::new(), message)
        }
        End::Signs { assurance } => {
            of_key = assurance.to_string();
            ("enrolled", 0, String::new(), String::new())
        }
        End::Failed { code, message } => (FAILED, 0, code, message),
    };
    let device_id = device.map_or_else(String::new, |name| name.device.to_string());
    Fate { line: line.to_owned(), device_id, result, generation, assurance: of_key, code, message }
}

/// What all lines share.
struct Factory {
    connection: Connection,
    tenant: Option<TenantId>,
    /// What each device of the list is vouched for; none where every device is for the same.
    listed: Option<BTreeMap<DeviceId, Vouched>>,
    every: Vouched,
}

impl Factory {
    fn new(args: &RelayArgs, batch: &Batch, session: &Session) -> Result<Self, Failure> {
        let listed = batch.lines.iter().map(|line| (line.device.clone(), vouched(line))).collect();
        let text = |text: Option<&str>| text.map(str::to_owned);
        Ok(Self {
            connection: session.connection.clone(),
            tenant: session.tenant.as_deref().map(str::parse).transpose().map_err(Failure::failed)?,
            listed: args.csv.is_some().then_some(listed),
            every: Vouched {
                profile: text(args.profile.as_ref().map(|profile| profile.as_str())),
                model: text(args.model.as_ref().map(|model| model.as_str())),
                udi: None,
            },
        })
    }

    fn station(&self, device: &DeviceName) -> Result<ConnectedStation, CallError> {
        let refused = |code: &str, message: String| {
            Err(CallError::Refused(Refused { code: code.to_owned(), message, ..Refused::default() }))
        };
        if let Some(tenant) = self.tenant.as_ref().filter(|tenant| **tenant != device.tenant) {
            let message = format!("the device is of tenant {}, and this station of {tenant}", device.tenant);
            return refused("tenant-foreign", message);
        }
        let vouched = match &self.listed {
            None => self.every.clone(),
            Some(listed) => match listed.get(&device.device) {
                Some(vouched) => vouched.clone(),
                None => {
                    let message = format!("{} is not in the list of devices to enroll", device.device);
                    return refused("device-not-listed", message);
                }
            },
        };
        Ok(ConnectedStation::new(self.connection.clone(), vouched))
    }
}

/// A station waits for an authority that does not answer, for some seconds.
impl Station for &Factory {
    async fn enroll(&mut self, request: &EnrollRequest) -> Result<(TenantId, EnrollReply), CallError> {
        let mut station = self.station(&request.device)?;
        patiently(async || station.enroll(request).await).await
    }

    async fn confirm(&mut self, confirmation: &Confirmation) -> Result<(), CallError> {
        let mut station = self.station(&confirmation.device)?;
        patiently(async || station.confirm(confirmation).await).await
    }
}

impl TpmStation for &Factory {
    async fn begin(&mut self, evidence: &TpmEvidence) -> Result<TpmChallenge, CallError> {
        let mut station = self.station(&evidence.device)?;
        patiently(async || station.begin(evidence).await).await
    }

    async fn finish(&mut self, activation: &TpmActivation) -> Result<EnrolledKey, CallError> {
        let mut station = self.station(&activation.device)?;
        patiently(async || station.finish(activation).await).await
    }
}

async fn patiently<T>(mut call: impl AsyncFnMut() -> Result<T, CallError>) -> Result<T, CallError> {
    for pause in PAUSES {
        match call().await {
            Err(CallError::Unreachable(_)) => tokio::time::sleep(pause).await,
            answered => return answered,
        }
    }
    call().await
}

fn report(batch: &Batch, expected: BTreeSet<&DeviceId>, fates: &[Fate], out: Output) -> Result<(), Failure> {
    let tally = Tally::of(&expected, fates);
    let (enrolled, failed, absent) = (tally.enrolled.len(), tally.failures(), tally.absent());
    let left = tally.left() + batch.bad.len();
    if out.is_json() {
        let missing = tally.missing.iter().copied().collect();
        out.json(&Report { enrolled, failed, missing, devices: fates, bad_lines: &batch.bad })?;
    } else {
        out.list("devices", fates)?;
        for bad in &batch.bad {
            out.write(&format!("line {} was left out: {}\n", bad.line, bad.reason))?;
        }
        out.write(&format!("{enrolled} enrolled, {failed} failed, {absent} of the list did not come\n"))?;
    }
    match (left, tally.unnamed) {
        (0, 0) => Ok(()),
        (0, failures) => Err(Failure::Failed(format!("failures of no known device: {failures}"))),
        (1, _) => Err(Failure::failed("1 device was not enrolled")),
        (left, _) => Err(Failure::Failed(format!("{left} devices were not enrolled"))),
    }
}

/// Who was enrolled and who was not: each device once, however often it came.
struct Tally<'a> {
    enrolled: BTreeSet<&'a str>,
    /// They failed, and did not come again.
    failed: BTreeSet<&'a str>,
    /// Of the list, and not enrolled. Those of them that failed are in both sets.
    missing: BTreeSet<&'a str>,
    /// Failures of lines, and of devices that had not said who they are: each may be of a device that is counted already.
    unnamed: usize,
}

impl<'a> Tally<'a> {
    fn of(expected: &BTreeSet<&'a DeviceId>, fates: &'a [Fate]) -> Self {
        let devices = |has_failed: bool| {
            let fates = fates.iter().filter(move |fate| (fate.result == FAILED) == has_failed);
            fates.map(|fate| fate.device_id.as_str())
        };
        let enrolled: BTreeSet<_> = devices(false).collect();
        let is_left = |device: &&str| !device.is_empty() && !enrolled.contains(device);
        Self {
            failed: devices(true).filter(is_left).collect(),
            missing: expected.iter().map(|device| device.as_str()).filter(is_left).collect(),
            unnamed: devices(true).filter(|device| device.is_empty()).count(),
            enrolled,
        }
    }

    fn failures(&self) -> usize {
        self.failed.len() + self.unnamed
    }

    /// Of the list, and never there.
    fn absent(&self) -> usize {
        self.missing.difference(&self.failed).count()
    }

    /// Devices that were not enrolled.
    fn left(&self) -> usize {
        self.failed.union(&self.missing).count()
    }
}

/// The name of standard input and output as a line.
const STANDARD: &str = "-";
const FAILED: &str = "failed";

/// Between two calls to an authority that does not answer: a restart of it goes unseen.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

#[cfg(test)]
mod tests {
    use super::*;

    fn fate(device: &str, result: &'static str) -> Fate {
        Fate {
            line: STANDARD.to_owned(),
            device_id: device.to_owned(),
            result,
            generation: 0,
            assurance: String::new(),
            code: String::new(),
            message: String::new(),
        }
    }

    /// Enrolled, failures, of the list and never there, and not enrolled.
    fn counts(listed: &[&str], fates: &[(&str, &'static str)]) -> (usize, usize, usize, usize) {
        let listed: Vec<DeviceId> = listed.iter().map(|device| device.parse().unwrap()).collect();
        let fates: Vec<_> = fates.iter().map(|&(device, result)| fate(device, result)).collect();
        let expected = listed.iter().collect();
        let tally = Tally::of(&expected, &fates);
        (tally.enrolled.len(), tally.failures(), tally.absent(), tally.left())
    }

    #[test]
    fn a_device_is_counted_once() {
        let (one, two) = (&["pump-1"][..], &["pump-1", "pump-2"][..]);
        assert_eq!(counts(one, &[("pump-1", FAILED)]), (0, 1, 0, 1));
        assert_eq!(counts(one, &[("pump-1", FAILED), ("pump-1", FAILED)]), (0, 1, 0, 1));
        assert_eq!(counts(one, &[("pump-1", FAILED), ("pump-1", "enrolled")]), (1, 0, 0, 0));
        assert_eq!(counts(one, &[("pump-1", "unconfirmed"), ("pump-1", "enrolled")]), (1, 0, 0, 0));
        assert_eq!(counts(two, &[("pump-1", FAILED)]), (0, 1, 1, 2));
        assert_eq!(counts(two, &[("pump-9", FAILED)]), (0, 1, 2, 3), "one that is not of the list");
        assert_eq!(counts(&[], &[("pump-1", FAILED), ("pump-2", "enrolled")]), (1, 1, 0, 1), "no list");
        assert_eq!(counts(one, &[("", FAILED)]), (0, 1, 1, 1), "a line that was lost is no device");
    }
}
