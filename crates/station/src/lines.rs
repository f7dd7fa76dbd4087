//! Real devices at their factory, each at the other end of a line.
//!
//! Reading a line blocks, so each has a thread of its own; what it asks goes over the one connection of all.

use crate::relay::{End, Relay, Relayed};
use crate::{Error, Factory, Fate, Origin, Outcome};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write, stdin, stdout};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::thread;
use tokio::sync::mpsc;
use wardein_domain::ErrorCode;

/// The name of standard input and output as a line.
pub const STANDARD: &str = "-";

impl Factory {
    /// Carries what devices on `lines` say to the authority, and its answers back, until all of the list are enrolled, all
    /// lines are closed, or `stop` is done; what is known by then is returned. `each` sees every outcome as it comes.
    ///
    /// A line is a serial device, two named pipes as `IN,OUT`, or [`STANDARD`].
    pub async fn relay(
        self,
        lines: &[String],
        stop: impl Future<Output = ()>,
        mut each: impl FnMut(&Outcome),
    ) -> Result<Vec<Outcome>, Error> {
        let mut expected = self.expected();
        let factory = Arc::new(self);
        let mut stop = pin!(stop);
        let (sender, mut ended) = mpsc::unbounded_channel();
        for name in lines {
            let (factory, sender, line) = (factory.clone(), sender.clone(), name.clone());
            thread::Builder::new()
                .spawn(move || attend(&line, &factory, &sender))
                .map_err(|source| Error::Thread { line: name.clone(), source })?;
        }
        drop(sender);

        let mut outcomes: Vec<Outcome> = Vec::new();
        while expected.as_ref().is_none_or(|devices| !devices.is_empty()) {
            let outcome = tokio::select! {
                outcome = ended.recv() => outcome,
                () = &mut stop => None,
            };
            let Some(outcome) = outcome else { break };
            each(&outcome);
            if let Some(devices) = expected.as_mut().filter(|_| !outcome.has_failed()) {
                devices.retain(|device| device.as_str() != outcome.device_id);
            }
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }
}

/// One line, until it is closed.
fn attend(name: &str, factory: &Factory, ended: &mpsc::UnboundedSender<Outcome>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let attended = runtime.map_err(|error| error.to_string()).and_then(|runtime| {
        let (input, output) = open(name).map_err(|error| error.to_string())?;
        let (mut relay, mut station) = (Relay::new(input, output), factory);
        while let Some(relayed) =
            runtime.block_on(relay.next(&mut station)).map_err(|error| error.to_string())?
        {
            // Where nobody takes it any more, the command has ended.
            drop(ended.send(outcome(name, relayed)));
        }
        Ok(())
    });
    if let Err(message) = attended {
        let lost = Outcome::new(Origin::Line(name.to_owned()), "", Fate::Failed);
        drop(ended.send(Outcome { code: ErrorCode::LineLost.to_string(), message, ..lost }));
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

fn outcome(line: &str, Relayed { device, end }: Relayed) -> Outcome {
    let line = Origin::Line(line.to_owned());
    let device = device.map_or_else(String::new, |name| name.device.to_string());
    match end {
        End::Done { generation, is_confirmed: true } => {
            Outcome { generation, ..Outcome::new(line, device, Fate::Enrolled) }
        }
        End::Done { generation, is_confirmed: false } => {
            Outcome { generation, ..Outcome::unconfirmed(line, device) }
        }
        End::Signs { assurance } => {
            Outcome { assurance: assurance.to_string(), ..Outcome::new(line, device, Fate::Enrolled) }
        }
        End::Failed { code, message } => {
            Outcome { code, message, ..Outcome::new(line, device, Fate::Failed) }
        }
    }
}
