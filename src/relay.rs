//! `wardein device relay`: real devices at their factory, each at the other end of a line.
//!
//! Reading a line blocks, so each has a thread of its own; what it asks goes over the one connection of all.

use crate::station::vouched;
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

pub(crate) fn run(args: RelayArgs, out: Output) -> Result<(), Failure> {
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
    let enrolled: BTreeSet<_> =
        fates.iter().filter(|fate| fate.result != FAILED).map(|fate| fate.device_id.as_str()).collect();
    // One that failed and came again is not counted as failed.
    let failed: Vec<_> = fates
        .iter()
        .filter(|fate| fate.result == FAILED && !enrolled.contains(fate.device_id.as_str()))
        .collect();
    let missing: Vec<_> =
        expected.into_iter().map(DeviceId::as_str).filter(|device| !enrolled.contains(device)).collect();
    let (enrolled, failed) = (enrolled.len(), failed.len());
    if out.is_json() {
        out.json(&Report {
            enrolled,
            failed,
            missing: missing.clone(),
            devices: fates,
            bad_lines: &batch.bad,
        })?;
    } else {
        out.list("devices", fates)?;
        for bad in &batch.bad {
            out.write(&format!("line {} was left out: {}\n", bad.line, bad.reason))?;
        }
        let missing = missing.len();
        out.write(&format!("{enrolled} enrolled, {failed} failed, {missing} of the list did not come\n"))?;
    }
    match failed + missing.len() + batch.bad.len() {
        0 => Ok(()),
        left => Err(Failure::Failed(format!("{left} devices were not enrolled"))),
    }
}

/// The name of standard input and output as a line.
const STANDARD: &str = "-";
const FAILED: &str = "failed";

/// Between two calls to an authority that does not answer: a restart of it goes unseen.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];
