//! The queue of changes, and the one thread that writes them in groups.

use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use wardein_engine::port::{Change, CommitError};

use crate::bounds;
use crate::open::OpenError;

/// How a group comes to disk. It lives in the writer's thread.
pub(crate) trait Writer: Send + 'static {
    /// Applies the changes in order and makes them durable: one outcome each. On a fault nothing in the group is
    /// acknowledged.
    fn write(&mut self, group: &[Change]) -> Result<Vec<Result<(), CommitError>>, Fault>;

    /// What can wait until the callers were answered.
    fn rest(&mut self) {}
}

/// Why a group failed.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// Nothing of it was applied, and nothing will be.
    Unavailable(String),
    /// It may show after a restart.
    Unknown(String),
}

/// The way to the writer's thread, which ends when this is dropped, after what was queued.
#[derive(Debug)]
pub(crate) struct Queue {
    // An option so that it can be closed before the thread is waited for.
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Queue {
    pub(crate) fn start(path: &Path, writer: impl Writer) -> Result<Self, OpenError> {
        let (jobs, queue) = mpsc::channel(WAITING);
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || run(queue, writer))
            .map_err(|error| OpenError::failed(path, error))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Queues a change, waiting while the queue is full, and resolves when it is durable or refused.
    pub(crate) async fn commit(&self, change: Change) -> Result<(), CommitError> {
        bounds::check(&change)?;
        let gone = || CommitError::Unavailable("its writer has stopped; restart the service".into());
        let (answer, outcome) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or_else(gone)?;
        jobs.send(Job { change, answer: Answer::new(answer) }).await.map_err(|_| gone())?;
        outcome.await.unwrap_or_else(|_| Err(CommitError::Unknown("its writer stopped halfway".into())))
    }

    /// Lets a writer that is down try to come up, without waiting for it.
    pub(crate) fn nudge(&self) {
        if let Some(jobs) = &self.jobs {
            let (answer, _) = oneshot::channel();
            // A full queue nudges by itself.
            let _ = jobs.try_send(Job { change: Change::default(), answer: Answer::new(answer) });
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // A writer that panicked has told its callers already, by dropping their answers.
            let _ = thread.join();
        }
    }
}

#[derive(Debug)]
struct Job {
    change: Change,
    answer: Answer,
}

type Outcome = Result<(), CommitError>;

/// Where an outcome goes: to whom, and on which runtime that one waits.
#[derive(Debug)]
struct Answer {
    to: oneshot::Sender<Outcome>,
    runtime: Option<Handle>,
}

impl Answer {
    fn new(to: oneshot::Sender<Outcome>) -> Self {
        Self { to, runtime: Handle::try_current().ok() }
    }
}

/// Tells all of a group. Those that wait on one runtime are told by one task there: woken one by one from here, each would cost a
/// system call, and the replies, that then leave one by one too, another.
fn tell(mut outcomes: Vec<(Answer, Outcome)>) {
    while let Some((first, _)) = outcomes.first() {
        let runtime = first.runtime.clone();
        let id = runtime.as_ref().map(Handle::id);
        let (here, others) =
            outcomes.into_iter().partition(|(answer, _)| answer.runtime.as_ref().map(Handle::id) == id);
        outcomes = others;
        match runtime {
            Some(runtime) => drop(runtime.spawn(async move { send(here) })),
            None => send(here),
        }
    }
}

fn send(outcomes: Vec<(Answer, Outcome)>) {
    for (answer, outcome) in outcomes {
        // Whoever dropped the future does not want to know.
        let _ = answer.to.send(outcome);
    }
}

fn run(mut queue: mpsc::Receiver<Job>, mut writer: impl Writer) {
    let (mut group, mut answers) = (Vec::new(), Vec::new());
    let mut is_busy = false;
    while let Some(first) = queue.blocking_recv() {
        let (mut weight, mut pauses) = (0, if is_busy { PAUSES } else { 0 });
        let mut next = Some(first);
        while let Some(Job { change, answer }) = next {
            weight += bounds::weight(&change);
            group.push(change);
            answers.push(answer);
            let has_room = group.len() < GROUP && weight < GROUP_WEIGHT;
            next = if has_room { queue.try_recv().ok() } else { None };
            while has_room && next.is_none() && pauses > 0 && group.len() < ENOUGH {
                pauses -= 1;
                std::thread::sleep(PAUSE);
                next = queue.try_recv().ok();
            }
        }
        is_busy = group.len() >= BUSY;
        let answers = answers.drain(..);
        tell(match writer.write(&group) {
            Ok(outcomes) => answers.zip(outcomes).collect(),
            Err(fault) => answers.map(|answer| (answer, Err(fault.clone().into()))).collect(),
        });
        group.clear();
        writer.rest();
    }
}

impl From<Fault> for CommitError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unavailable(why) => Self::Unavailable(why),
            Fault::Unknown(why) => Self::Unknown(why),
        }
    }
}

/// The most changes that wait in the queue; who comes then waits for a place.
const WAITING: usize = 1024;

/// The most changes in a group: the sync of a slow disk is shared by many, and no caller waits for too many others.
const GROUP: usize = 256;

/// A group of as many changes says that more are on their way: the next one waits for them a little, as with PostgreSQL's
/// `commit_delay`. What a group costs by itself, the sync and the pages that all of them touch, is then shared by more: 6 % more proofs
/// a second and 20 % more enrollments than without pauses (`cargo bench --bench load`). Who comes alone never waits.
const BUSY: usize = 16;

/// A group that large waits for no more.
const ENOUGH: usize = 128;

/// How long is waited at a time, and how many times at most: 2 ms in all.
const PAUSE: Duration = Duration::from_micros(250);
const PAUSES: u32 = 8;

/// The bytes at which a group is full.
const GROUP_WEIGHT: usize = 8 * 1024 * 1024;
