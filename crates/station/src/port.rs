//! A line as this machine has it: a serial line that is set up here, two named pipes, or standard input and output.
//!
//! A serial line is raw, this process's alone, and without modem control; what was in its buffers is dropped. Whatever it is,
//! nobody waits for it longer than its [`Deadline`].

use crate::lines::STANDARD;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::termios::{
    ControlModes, InputModes, OptionalActions, QueueSelector, ioctl_tiocexcl, isatty, tcflush, tcgetattr,
    tcsetattr,
};
use std::cell::Cell;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The two directions of a line.
pub(crate) struct Port {
    pub(crate) input: BufReader<Direction>,
    pub(crate) output: Direction,
    pub(crate) deadline: Deadline,
}

/// Until when both directions of a line are waited for; without an end where none is set.
#[derive(Debug, Clone, Default)]
pub(crate) struct Deadline(Rc<Cell<Option<Instant>>>);

/// One direction.
pub(crate) struct Direction {
    file: File,
    deadline: Deadline,
}

/// What a line is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind<'a> {
    Standard,
    /// What the device writes, and what it reads.
    Pipes(&'a str, &'a str),
    Serial(&'a Path),
}

impl Deadline {
    /// From now on, or never.
    pub(crate) fn set(&self, patience: Option<Duration>) {
        self.0.set(patience.and_then(|patience| Instant::now().checked_add(patience)));
    }
}

impl<'a> Kind<'a> {
    pub(crate) fn of(name: &'a str) -> Self {
        match name.split_once(',') {
            _ if name == STANDARD => Self::Standard,
            Some((input, output)) => Self::Pipes(input, output),
            None => Self::Serial(Path::new(name)),
        }
    }
}

impl Port {
    /// Opens the line. A serial line has `baud`.
    pub(crate) fn open(kind: Kind<'_>, baud: u32) -> io::Result<Self> {
        let (input, output) = match kind {
            Kind::Standard => {
                let file = |fd: &dyn AsFd| fd.as_fd().try_clone_to_owned().map(File::from);
                (file(&io::stdin())?, file(&io::stdout())?)
            }
            Kind::Pipes(input, output) => {
                // The writing end first, and for both, which waits for nobody: a device opens what it reads first.
                let output = OpenOptions::new().read(true).write(true).open(output)?;
                (File::open(input)?, output)
            }
            Kind::Serial(path) => {
                let file = open_serial(path, baud)?;
                (file.try_clone()?, file)
            }
        };
        let deadline = Deadline::default();
        let direction = |file| Direction { file, deadline: deadline.clone() };
        Ok(Self {
            input: BufReader::new(direction(input)),
            output: direction(output),
            deadline: deadline.clone(),
        })
    }
}

/// A serial line as devices and stations need it, whatever it was set to before (POSIX.1-2017 §11.2).
fn open_serial(path: &Path, baud: u32) -> io::Result<File> {
    // It neither waits for a carrier nor becomes this session's terminal, by which a device could send us signals.
    let flags = (OFlags::NOCTTY | OFlags::NONBLOCK).bits().cast_signed();
    let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)?;
    if !isatty(&file) {
        return Err(io::Error::new(
            ErrorKind::InvalidInput,
            "it is not a serial line; name two pipes as IN,OUT",
        ));
    }
    // The lock is between stations, also where they run as root, which opens an exclusive line all the same.
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(Errno::BUSY.into()),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    ioctl_tiocexcl(&file)?;
    let mut modes = tcgetattr(&file)?;
    modes.make_raw();
    modes.input_modes.remove(InputModes::IXOFF | InputModes::IXANY);
    // Closing a line must not reset the board at its other end, as many do when the modem lines change.
    modes.control_modes.remove(ControlModes::CRTSCTS | ControlModes::HUPCL);
    modes.control_modes.insert(ControlModes::CLOCAL | ControlModes::CREAD);
    modes.set_speed(baud)?;
    tcsetattr(&file, OptionalActions::Now, &modes)?;
    // It succeeds also where a part of it was not done.
    if tcgetattr(&file)?.output_speed() != baud {
        let why = format!("it does not take {baud} baud");
        return Err(io::Error::new(ErrorKind::InvalidInput, why));
    }
    tcflush(&file, QueueSelector::IOFlush)?;
    Ok(file)
}

impl Direction {
    #[cfg(test)]
    pub(crate) fn new(file: File, deadline: Deadline) -> Self {
        Self { file, deadline }
    }

    fn wait(&self, flags: PollFlags) -> io::Result<()> {
        loop {
            let left = self.deadline.0.get().map(|until| until.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(ErrorKind::TimedOut.into());
            }
            let left = left.map(Timespec::try_from).transpose().map_err(io::Error::other)?;
            match poll(&mut [PollFd::new(&self.file, flags)], left.as_ref()) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Does it once the direction is ready, and again where it was not.
    fn once<T>(
        &mut self,
        flags: PollFlags,
        mut step: impl FnMut(&mut File) -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            self.wait(flags)?;
            match step(&mut self.file) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                done => return done,
            }
        }
    }
}

impl Read for Direction {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.once(PollFlags::IN, |file| file.read(buffer))
    }
}

impl Write for Direction {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.once(PollFlags::OUT, |file| file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests;
