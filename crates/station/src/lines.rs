//! Real devices at their factory, each at the other end of a line.
//!
//! Waiting for a line blocks, so each has a thread of its own; what it asks goes over the one connection of all. A serial line may
//! vanish with its device and come again with the next.

use crate::attendant::Attendant;
use crate::factory::Authority;
use crate::port::{Kind, Port};
use crate::relay::Relay;
use crate::{Error, Factory, Fate, Origin, Outcome};
use rustix::io::Errno;
use serde::Serialize;
use std::fmt;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::sync::mpsc;
use wardein_domain::ErrorCode;

/// The name of standard input and output as a line.
pub const STANDARD: &str = "-";

/// The lines of a station, and how they are set up.
#[derive(Debug, Clone)]
pub struct Lines {
    /// Each a serial device, two named pipes as `IN,OUT`, or [`STANDARD`].
    pub names: Vec<String>,
    /// The speed of serial lines, in bits per second.
    pub baud: u32,
    /// How long a device that has begun may be silent.
    pub patience: Duration,
}

/// How it is with a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LineStatus {
    /// Its name.
    pub name: String,
    /// What it does.
    #[serde(flatten)]
    pub state: LineState,
    /// Devices that were enrolled over it.
    pub enrolled: usize,
    /// Devices that failed on it, each as often as it did.
    pub failed: usize,
    /// How often it was there again after it had vanished.
    pub returned: u32,
    /// Bytes of noise that were skipped, as far as a device came after them.
    pub noise: u64,
}

/// What a line does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum LineState {
    /// It cannot be opened now, and is tried again.
    Absent {
        /// Why not.
        why: String,
    },
    /// It waits for a device to speak.
    Waiting,
    /// A device speaks.
    Speaking {
        /// Its id.
        device: String,
    },
    /// The other end closed it.
    Closed,
    /// It is given up.
    Lost {
        /// Why.
        why: String,
    },
}

/// What happens at a station.
#[derive(Debug)]
pub enum Event<'a> {
    /// A line does something else than before: which one, by its place among the names.
    Line(usize, &'a LineStatus),
    /// It ended with a device.
    Outcome(&'a Outcome),
}

/// What a station did.
#[derive(Debug)]
pub struct Work {
    /// How each device fared, in the order in which they ended.
    pub outcomes: Vec<Outcome>,
    /// How it is with each line.
    pub lines: Vec<LineStatus>,
}

/// What a line's thread tells of it.
pub(crate) struct Told {
    pub(crate) line: usize,
    pub(crate) what: What,
}

pub(crate) enum What {
    State(LineState),
    Outcome(Outcome),
    /// So many bytes of noise since it was opened.
    Noise(u64),
    /// It is there again.
    Returned,
    /// The station cannot go on.
    Broken(Error),
}

impl<A: Authority> Factory<A> {
    /// Carries what devices on `lines` say to the authority, and its answers back, until all that were to come are enrolled,
    /// all lines are closed, or `stop` is done; what is known by then is returned. `each` sees every event as it comes.
    pub async fn relay(
        self,
        lines: &Lines,
        stop: impl Future<Output = ()>,
        mut each: impl FnMut(Event<'_>),
    ) -> Result<Work, Error> {
        let mut to_come = self.to_come();
        let factory = Arc::new(self);
        let mut stop = pin!(stop);
        let (sender, mut told) = mpsc::unbounded_channel();
        let mut work = Work { outcomes: Vec::new(), lines: Vec::new() };
        for (at, name) in lines.names.iter().enumerate() {
            work.lines.push(LineStatus::new(name));
            let (factory, sender, name) = (factory.clone(), sender.clone(), name.clone());
            let (baud, patience) = (lines.baud, lines.patience);
            let source = thread::Builder::new().spawn({
                let name = name.clone();
                move || attend(&mut Attendant::new(&factory, (at, &name), &sender), &name, baud, patience)
            });
            source.map_err(|source| Error::Thread { line: name, source })?;
        }
        drop(sender);

        while to_come.as_ref().is_none_or(|devices| !devices.is_empty()) {
            let next = tokio::select! {
                next = told.recv() => next,
                () = &mut stop => None,
            };
            let Some(Told { line, what }) = next else { break };
            let Some(status) = work.lines.get_mut(line) else { continue };
            match what {
                What::State(state) => status.state = state,
                What::Noise(bytes) => status.noise += bytes,
                What::Returned => status.returned += 1,
                What::Broken(error) => return Err(error),
                What::Outcome(outcome) => {
                    *if outcome.has_failed() { &mut status.failed } else { &mut status.enrolled } += 1;
                    each(Event::Outcome(&outcome));
                    if let Some(devices) = to_come.as_mut().filter(|_| !outcome.has_failed()) {
                        devices.retain(|device| device.as_str() != outcome.device_id);
                    }
                    work.outcomes.push(outcome);
                }
            }
            each(Event::Line(line, status));
        }
        Ok(work)
    }
}

/// One line: a serial one until the command ends, another one until it is closed.
fn attend<A: Authority>(attendant: &mut Attendant<'_, A>, name: &str, baud: u32, patience: Duration) {
    let lost = |attendant: &Attendant<'_, A>, error: &io::Error| {
        let why = crate::text::plain(&reason(error));
        let outcome = Outcome::new(Origin::Line(name.to_owned()), "", Fate::Failed);
        let code = ErrorCode::LineLost.to_string();
        attendant.tell(What::State(LineState::Lost { why: why.clone() }));
        attendant.tell(What::Outcome(Outcome { code, message: why, ..outcome }));
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_time().build() {
        Ok(runtime) => runtime,
        Err(error) => return lost(attendant, &error),
    };
    let (kind, mut has_been, mut shown) = (Kind::of(name), false, String::new());
    let is_serial = matches!(kind, Kind::Serial(_));
    while !attendant.is_over() {
        let port = match Port::open(kind, baud) {
            Ok(port) => port,
            // A device may not be plugged in yet; one that was there comes again, and its file may be root's for a moment.
            Err(error) if is_serial && (has_been || is_absent(&error)) => {
                let why = reason(&error);
                if why != shown {
                    attendant.tell(What::State(LineState::Absent { why: why.clone() }));
                    shown = why;
                }
                thread::sleep(AGAIN);
                continue;
            }
            Err(error) => return lost(attendant, &error),
        };
        if has_been {
            attendant.tell(What::Returned);
        }
        (has_been, shown) = (true, String::new());
        attendant.tell(What::State(LineState::Waiting));
        let mut relay = Relay::new(port.input, port.output, port.deadline, patience);
        let mut heard = 0;
        let ended = loop {
            let next = runtime.block_on(relay.next(attendant));
            attendant.tell(What::Noise(relay.noise() - heard));
            heard = relay.noise();
            match next {
                Ok(Some(relayed)) => attendant.end(relayed),
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        match ended {
            _ if is_serial => thread::sleep(AGAIN),
            Some(error) => return lost(attendant, &error),
            None => return attendant.tell(What::State(LineState::Closed)),
        }
    }
}

/// Whether there is no device at the line's name.
fn is_absent(error: &io::Error) -> bool {
    let absent = [Errno::NOENT, Errno::NOTDIR, Errno::NXIO, Errno::NODEV, Errno::IO];
    Errno::from_io_error(error).is_some_and(|error| absent.contains(&error))
}

/// Why a line cannot be opened, and what to do where that is known.
fn reason(error: &io::Error) -> String {
    match Errno::from_io_error(error) {
        Some(Errno::ACCESS) => format!("{error}; be in the group that the line belongs to, such as dialout"),
        Some(Errno::BUSY) => "another program has it; end that first".to_owned(),
        _ => error.to_string(),
    }
}

impl LineStatus {
    fn new(name: &str) -> Self {
        let state = LineState::Absent { why: "not tried yet".to_owned() };
        Self { name: name.to_owned(), state, enrolled: 0, failed: 0, returned: 0, noise: 0 }
    }
}

impl fmt::Display for LineState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent { why } => write!(f, "absent: {why}"),
            Self::Waiting => f.write_str("waits for a device"),
            Self::Speaking { device } => write!(f, "{device} speaks"),
            Self::Closed => f.write_str("closed"),
            Self::Lost { why } => write!(f, "lost: {why}"),
        }
    }
}

/// Between two attempts to open a line.
const AGAIN: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests;
