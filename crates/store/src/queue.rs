//! The queue of changes, and the one thread that writes them in groups, projects them and answers their callers.

use std::borrow::Borrow;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use wardein_port::{Change, CommitError, Committed, Outcome, Projections, Told};

use crate::bounds;
use crate::open::OpenError;
use crate::place::Reserve;

/// How a group comes to disk. It lives in the writer's thread.
pub(crate) trait Writer: Send + 'static {
    /// Applies the changes in order and makes them durable: one outcome each. Of an empty change the outcome is the revision so
    /// far. On a fault nothing in the group is acknowledged.
    fn write(&mut self, group: &[Change]) -> Result<Vec<Outcome>, Fault>;

    /// Work that can wait until the callers have their answers.
    fn rest(&mut self) {}
}

/// Why a group failed.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// Nothing of it was applied, and nothing will be.
    Unavailable(String),
    /// It may show when the store has recovered.
    Unknown(String),
}

/// The way to the writer's thread, which ends when this is dropped, after the queued changes.
#[derive(Debug)]
pub(crate) struct Queue {
    // An option so that it can be closed before the thread is waited for. It has no bound: callers are bounded at the edge, and
    // hold their change in memory anyway.
    jobs: Option<mpsc::UnboundedSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Queue {
    pub(crate) fn start(
        path: &Path,
        writer: impl Writer,
        projections: Arc<Projections>,
        reserve: Reserve,
    ) -> Result<Self, OpenError> {
        let (jobs, queue) = mpsc::unbounded_channel();
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || {
                if catch_unwind(AssertUnwindSafe(|| run(queue, writer, &projections, reserve))).is_err() {
                    end_process("it panicked");
                }
            })
            .map_err(|error| OpenError::failed(path, error))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Queues a change.
    pub(crate) fn commit(&self, change: Change, told: Told) {
        if let Err(error) = bounds::check(&change) {
            return told(Err(error));
        }
        let job = Job { change, answer: Answer { told, runtime: Handle::try_current().ok() } };
        let left = match &self.jobs {
            Some(jobs) => jobs.send(job).err().map(|unsent| unsent.0),
            None => Some(job),
        };
        if let Some(job) = left {
            (job.answer.told)(Err(CommitError::Unavailable("its writer has stopped".into())));
        }
    }

    /// Lets a writer that is down try to come up, without waiting for it.
    pub(crate) fn nudge(&self) {
        self.commit(Change::default(), Box::new(|_| {}));
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // A caller that is answered in the writer's thread may hold the last handle to the store: the thread cannot wait for
            // itself.
            if thread.thread().id() != std::thread::current().id() {
                // Its panics end the process.
                let _ = thread.join();
            }
        }
    }
}

struct Job {
    change: Change,
    answer: Answer,
}

/// Where an outcome goes: the caller, and the runtime on which it waits.
struct Answer {
    told: Told,
    runtime: Option<Handle>,
}

/// Answers all of a group. One task on each runtime answers the callers there: woken one by one from here, each would cost a
/// system call, and the replies, which then leave one by one too, another.
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
        // A caller's panic is the caller's: the others get their answers all the same.
        let _ = catch_unwind(AssertUnwindSafe(|| (answer.told)(outcome)));
    }
}

fn run(
    mut queue: mpsc::UnboundedReceiver<Job>,
    mut writer: impl Writer,
    projections: &Projections,
    mut reserve: Reserve,
) {
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
        if let Err(why) = reserve.check_and_keep() {
            refuse(&mut group, &mut answers, &why);
            if group.is_empty() {
                continue;
            }
            if group.iter().any(|change| change.may_use_reserve) {
                reserve.make_room();
            }
        }
        let written = writer.write(&group);
        // Before others take it.
        if !reserve.has_spare() {
            reserve.take_back();
        }
        let answers = answers.drain(..);
        tell(match written {
            Ok(outcomes) => {
                let applied = group.drain(..).zip(&outcomes).filter_map(|(change, outcome)| {
                    outcome.as_ref().ok().and_then(|revision| Committed::of(*revision, change))
                });
                project(applied, projections);
                answers.zip(outcomes).collect()
            }
            Err(fault) => answers.map(|answer| (answer, Err(fault.clone().into()))).collect(),
        });
        group.clear();
        writer.rest();
    }
    drop(writer);
    reserve.take_back();
}

/// Takes from the group what must leave the reserve alone, and answers it. What writes nothing, and has a writer that failed try again,
/// is not refused.
fn refuse(group: &mut Vec<Change>, answers: &mut Vec<Answer>, why: &str) {
    let (mut kept, mut refused) = (Vec::new(), Vec::new());
    for (change, answer) in group.drain(..).zip(answers.drain(..)) {
        match change.may_use_reserve || change.is_empty() {
            true => kept.push((change, answer)),
            false => refused.push((answer, Err(CommitError::Unavailable(why.to_owned())))),
        }
    }
    tell(refused);
    (*group, *answers) = kept.into_iter().unzip();
}

/// Projects commits, in their order. Where that fails, the process ends.
pub(crate) fn project<C: Borrow<Committed>>(commits: impl Iterator<Item = C>, projections: &Projections) {
    for committed in commits {
        if let Err(why) = projections.project(committed.borrow()) {
            end_process(&why);
        }
    }
}

/// Ends the process, which would otherwise serve from memory that no longer receives changes.
pub(crate) fn end_process(why: &str) -> ! {
    let line = format!("{DEAD}: {why}\n");
    let say = move || {
        // Not eprintln, whose failure would be a panic of its own.
        let _ = std::io::stderr().write_all(line.as_bytes());
    };
    // In a thread of its own: nobody may be reading.
    if let Ok(said) = std::thread::Builder::new().spawn(say) {
        let begun = std::time::Instant::now();
        while !said.is_finished() && begun.elapsed() < LAST_WORDS {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    std::process::abort()
}

impl From<Fault> for CommitError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unavailable(why) => Self::Unavailable(why),
            Fault::Unknown(why) => Self::Unknown(why),
        }
    }
}

const DEAD: &str = "wardein: the store's writer or a projection failed, and the process ends, as its memory may be out of date; \
                    restart the service";

/// How long the end of the process waits for its reason to be read.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The most changes in a group: the sync of a slow disk is shared by many, and no caller waits for too many others.
const GROUP: usize = 256;

/// A group of as many changes says that more are on their way: the next one waits for them a little, as with PostgreSQL's
/// `commit_delay`. The fixed cost of a group, the sync and the pages that all of them touch, is then shared by more: 6 % more
/// proofs a second and 20 % more enrollments than without pauses (`cargo bench --bench load`). A change that comes alone never
/// waits.
const BUSY: usize = 16;

/// A group that large waits for no more.
const ENOUGH: usize = 128;

/// How long is waited at a time, and how many times at most: 2 ms in all.
const PAUSE: Duration = Duration::from_micros(250);
const PAUSES: u32 = 8;

/// The bytes at which a group is full.
const GROUP_WEIGHT: usize = 8 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Output};
    use std::sync::mpsc as std_mpsc;
    use wardein_port::{Projection, Table};

    /// Applies everything, and panics at a change whose audit entry says so.
    struct Counting(u64);

    impl Writer for Counting {
        fn write(&mut self, group: &[Change]) -> Result<Vec<Outcome>, Fault> {
            let outcomes = group.iter().map(|change| {
                assert_ne!(change.audit.first().map(Vec::as_slice), Some(b"panic".as_slice()));
                self.0 += 1;
                Ok(self.0)
            });
            Ok(outcomes.collect())
        }
    }

    struct Failing;

    impl Projection for Failing {
        fn project(&self, committed: &Committed) -> Result<(), String> {
            assert_ne!(committed.rows[0].key, b"panic", "this test's own panic");
            Err("this test's own failure".into())
        }

        fn recovered(&self) {}
    }

    fn queue(projections: Projections) -> Queue {
        let none = Reserve::new(Path::new("test"), 0);
        Queue::start(Path::new("test"), Counting(0), Arc::new(projections), none).unwrap()
    }

    fn wait_for(queue: &Queue, change: Change) -> Option<Outcome> {
        let (told, outcome) = std_mpsc::channel();
        queue.commit(change, Box::new(move |outcome| told.send(outcome).unwrap()));
        outcome.recv().ok()
    }

    /// Not a test: the process that dies. Without its variable it does nothing.
    #[test]
    fn victim() {
        let Ok(how) = std::env::var(HOW) else { return };
        let (projections, mut change) = (Projections::default(), Change::default());
        let failing: Arc<dyn Projection> = Arc::new(Failing);
        projections.add(&failing);
        match how.as_str() {
            "a writer that panics" => change.audit.push(b"panic".to_vec()),
            "a projection that panics" => change.insert(Table::Tenant, b"panic".to_vec(), vec![]),
            _ => change.insert(Table::Tenant, b"fail".to_vec(), vec![]),
        }
        let outcome = wait_for(&queue(projections), change);
        println!("went on with {outcome:?}");
    }

    fn run_victim(how: &str) -> Output {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "queue::tests::victim", "--nocapture", "--test-threads=1"])
            .env(HOW, how)
            .output()
            .unwrap()
    }

    #[test]
    fn a_dead_writer_or_projection_ends_the_process() {
        use std::os::unix::process::ExitStatusExt;
        for (how, why) in [
            ("a writer that panics", "it panicked"),
            ("a projection that panics", "it panicked"),
            ("a projection that fails", "this test's own failure"),
        ] {
            let Output { status, stdout, stderr } = run_victim(how);
            let (said, line) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
            assert_eq!(status.signal(), Some(SIGABRT), "{how}: {status}, {said}{line}");
            assert!(
                line.contains(&format!("{DEAD}: {why}")) && !said.contains("went on"),
                "{how}: {said}{line}"
            );
        }
    }

    #[test]
    fn a_caller_that_panics_harms_neither_the_writer_nor_the_other_callers() {
        let queue = queue(Projections::default());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let told = runtime.block_on(async {
            let (told, outcome) = tokio::sync::oneshot::channel();
            let panicking = || Box::new(|_| panic!("this test's own panic"));
            // Some of them come into one group, and one task answers them.
            for _ in 0..20 {
                queue.commit(Change::default(), panicking());
            }
            queue.commit(Change::default(), Box::new(move |outcome| told.send(outcome).unwrap()));
            outcome.await
        });
        assert_eq!(told, Ok(Ok(21)));
        // Without a runtime the writer's thread answers them.
        queue.commit(Change::default(), Box::new(|_| panic!("this test's own panic")));
        assert_eq!(wait_for(&queue, Change::default()), Some(Ok(23)));
    }

    #[test]
    fn the_last_handle_may_go_where_a_caller_is_told() {
        let queue = Arc::new(queue(Projections::default()));
        let (going, gone) = std_mpsc::channel();
        let (here, release) = std_mpsc::channel::<()>();
        let last = Arc::clone(&queue);
        let told = move |_| {
            let _ = release.recv();
            drop(last);
            going.send(()).unwrap();
        };
        queue.commit(Change::default(), Box::new(told));
        drop(queue);
        here.send(()).unwrap();
        gone.recv().unwrap();
    }

    const HOW: &str = "WARDEIN_QUEUE_VICTIM";
    const SIGABRT: i32 = 6;
}
