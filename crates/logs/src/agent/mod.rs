//! The agent: polls the sources, closes batches by size and age, and has them sealed into the spool; and delivers what waits there.
//!
//! Why without a clock, a timer or a network of its own: [`Intake`] and [`Outbox`] each do one step when they are told to, and say what
//! came of it. The process around them sleeps, and hears signals (`wardein-device logs run`); tests do neither.

mod outbox;
mod pending;
mod told;

pub use outbox::{Outbox, Sent};

use crate::batch::{self, BatchError, FilterVersion, Header, MAX_BATCH, MAX_HEADER};
use crate::config::LogsConfig;
use crate::name::AudienceName;
use crate::polled::Outgoing;
use crate::records::Records;
use crate::source::{SourceError, Sources};
use crate::spool::{MAX_TOGETHER, Spool, SpoolError};
use pending::{Closed, Pending};
use std::cell::RefCell;
use std::io::Read;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;
use told::Told;

/// What seals batches: the device, by its session.
#[allow(async_fn_in_trait, reason = "the agent runs on one thread; no caller needs the futures to be Send")]
pub trait Sealer {
    /// Why it does not.
    type Error: std::error::Error;

    /// Seals and signs all of them, or none. Each file is durable when it has its name, and its statement is beside it.
    async fn seal(&mut self, batches: &[Sealing<'_>]) -> Result<(), Self::Error>;

    /// Finishes what a power cut or an error left of the last sealing: from then on its files are there, or will never be.
    async fn recover(&mut self) -> Result<(), Self::Error>;
}

/// A batch that is to be sealed.
pub struct Sealing<'a> {
    /// For whom.
    pub audience: AudienceName,
    /// Where the sealed file goes.
    pub path: PathBuf,
    header: &'a Header,
    records: &'a Records,
}

impl<'a> Sealing<'a> {
    /// What is in it, made while it is read.
    pub fn plaintext(&self) -> Result<impl Read + use<'a>, BatchError> {
        batch::compressed(self.header, self.records)
    }
}

/// What the clocks say.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// What a clock that only goes forward has counted, since any moment.
    pub counted: Duration,
    /// The wall clock, in Unix seconds. It may be wrong; it is shown in headers and decides nothing.
    pub wall: u64,
}

/// What came of a step of the intake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// There is more to do at once.
    More,
    /// There is nothing to do before the next poll.
    Idle,
    /// The spool is full: the sources wait.
    Full,
}

/// Why a step failed. What was polled is kept, and the next step tries again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError<E> {
    /// The spool cannot be worked in.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The sources cannot be opened.
    #[error(transparent)]
    Sources(#[from] SourceError),
    /// The batches were not sealed.
    #[error("batches are not sealed: {0}")]
    Seal(E),
    /// The records make no batch.
    #[error("batches are not made: {0}")]
    Batch(#[from] BatchError),
    /// There are more audiences than batches can be sealed together.
    #[error("there are {0} audiences; at most {MAX_TOGETHER} are served")]
    TooManyAudiences(usize),
    /// The sealed files are gone.
    #[error("the batches were sealed, and are not in the spool; somebody removed them")]
    Gone,
}

/// From the sources into the spool.
pub struct Intake<S> {
    spool: Rc<RefCell<Spool>>,
    sources: Sources,
    sealer: S,
    filter: FilterVersion,
    pending: Pending,
    told: Told,
    /// What is closed and not sealed yet. Nothing is polled meanwhile.
    closed: Option<Closed>,
    /// Whether the state says that it is about to be sealed.
    is_intended: bool,
    /// Whether the spool was full at the last step.
    is_full: bool,
    batch_bytes: usize,
    batch_age: Duration,
    /// The most bytes that batches which are sealed together take in the spool.
    reserve: u64,
}

impl<S: Sealer> Intake<S> {
    /// Opens spool and sources as `config` says, and finishes what the last process left. `filter` is the version of `config`.
    pub async fn start(
        config: &LogsConfig,
        filter: FilterVersion,
        mut sealer: S,
    ) -> Result<Self, AgentError<S::Error>> {
        let audiences = config.audiences.len();
        if audiences > MAX_TOGETHER {
            return Err(AgentError::TooManyAudiences(audiences));
        }
        let batch_bytes = config.spool.batch_bytes.min(MAX_RECORDS);
        // Records that do not compress, and what sealing adds to each batch.
        let reserve = batch_bytes as u64 + audiences as u64 * OVERHEAD;
        let max = config.spool.max_bytes;
        if max < reserve {
            return Err(SpoolError::TooSmall { max, least: reserve }.into());
        }
        let mut spool = Spool::open(&config.spool.directory, max)?;
        sealer.recover().await.map_err(AgentError::Seal)?;
        spool.settle()?;
        let sources = Sources::open(config, spool.done().positions.clone())?;
        let pending = Pending::new(config, spool.done().clone());
        Ok(Self {
            spool: Rc::new(RefCell::new(spool)),
            sources,
            sealer,
            filter,
            pending,
            told: Told::default(),
            closed: None,
            is_intended: false,
            is_full: false,
            batch_bytes,
            batch_age: config.spool.batch_age,
            reserve,
        })
    }

    /// The spool, for an [`Outbox`].
    pub fn spool(&self) -> Rc<RefCell<Spool>> {
        self.spool.clone()
    }

    /// Polls once, and closes and seals batches where they are large or old enough; with `is_last`, as soon as nothing more comes. After an
    /// error nothing is polled until the same batches are sealed.
    pub async fn step(&mut self, now: Now, is_last: bool) -> Result<Step, AgentError<S::Error>> {
        if self.closed.is_some() {
            self.seal().await?;
            return Ok(Step::More);
        }
        let has_room = self.spool.borrow().has_room(self.reserve);
        if !has_room {
            if !self.is_full {
                tracing::warn!("the spool is full: nothing is read until batches were delivered");
            }
            self.is_full = true;
            return Ok(Step::Full);
        }
        self.is_full = false;
        let room = self.batch_bytes.saturating_sub(self.pending.bytes()).clamp(1, POLL_BYTES);
        let polled = self.sources.poll(room);
        for warning in &polled.warnings {
            if self.told.is_due(warning, now.counted) {
                tracing::warn!("{warning}");
            }
        }
        let is_more = polled.more;
        self.pending.take(polled, now);
        let is_large = self.pending.bytes() >= self.batch_bytes;
        if is_large || self.pending.age(now) >= self.batch_age || (is_last && !is_more) {
            self.close().await?;
        }
        Ok(if is_more { Step::More } else { Step::Idle })
    }

    /// Closes and seals what was polled, without polling again: the end of a process.
    pub async fn finish(&mut self) -> Result<(), AgentError<S::Error>> {
        if self.closed.is_some() {
            self.seal().await?;
        }
        self.close().await
    }

    /// Makes durable what was polled: in batches, or where nothing leaves, as a place from which to go on.
    async fn close(&mut self) -> Result<(), AgentError<S::Error>> {
        if !self.pending.has_batches() {
            if self.pending.has_news() {
                self.spool.borrow_mut().advance(self.pending.progress().clone())?;
                self.pending.restart();
            }
            return Ok(());
        }
        self.closed = Some(self.pending.close(self.filter));
        self.seal().await
    }

    async fn seal(&mut self) -> Result<(), AgentError<S::Error>> {
        let Some(closed) = &self.closed else { return Ok(()) };
        // What failed before may have sealed them all the same.
        if self.is_intended {
            self.sealer.recover().await.map_err(AgentError::Seal)?;
            let is_sealed = self.spool.borrow_mut().settle()?;
            self.is_intended = false;
            if is_sealed {
                self.closed = None;
                return Ok(());
            }
        }
        let mut sealing = Vec::new();
        let batches = self.spool.borrow_mut().intend(closed.progress.clone())?;
        self.is_intended = true;
        for ((name, path), (header, records)) in batches.into_iter().zip(&closed.batches) {
            sealing.push(Sealing { audience: name.audience, path, header, records });
        }
        self.sealer.seal(&sealing).await.map_err(AgentError::Seal)?;
        if !self.spool.borrow_mut().settle()? {
            self.is_intended = false;
            return Err(AgentError::Gone);
        }
        (self.closed, self.is_intended) = (None, false);
        Ok(())
    }
}

/// The most bytes of records in a batch: one record more than this, and the header, are within [`MAX_BATCH`].
const MAX_RECORDS: usize = MAX_BATCH - MAX_HEADER - 2 * Outgoing::MAX_RECORD;

/// The most that is polled at a time, so that a busy source holds up nobody for long.
const POLL_BYTES: usize = 256 << 10;

/// What a batch takes beside its records: the header, one record more, the chunks and the header of the sealed file, and the statement.
const OVERHEAD: u64 = 256 << 10;
