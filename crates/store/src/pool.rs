//! Threads that read for callers who must not wait for a disk, such as a thread that serves connections.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};
use wardein_port::{Pending, StoreError};

use crate::open::OpenError;

/// A few threads and a bounded queue to them. Dropping it waits for the reads in progress, so that nobody has the store's
/// files open any more.
#[derive(Debug)]
pub(crate) struct Pool {
    // An option so that it can be closed before the threads are waited for.
    jobs: Option<mpsc::Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

type Job = Box<dyn FnOnce() + Send>;

impl Pool {
    pub(crate) fn start(path: &Path) -> Result<Self, OpenError> {
        let (jobs, queue) = mpsc::channel(WAITING);
        let queue = Arc::new(Mutex::new(queue));
        let threads = (0..THREADS).map(|_| {
            let queue = Arc::clone(&queue);
            std::thread::Builder::new().name("store-reader".into()).spawn(move || run(&queue))
        });
        let threads: Result<_, _> = threads.collect();
        Ok(Self { jobs: Some(jobs), threads: threads.map_err(|error| OpenError::failed(path, error))? })
    }

    /// Reads on a thread of the pool. A read whose future was dropped is left out if it has not begun.
    pub(crate) fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Pending<'_, Result<T, StoreError>> {
        Box::pin(async move {
            let failed = || StoreError("a read failed; the log says why".into());
            let (answer, found) = oneshot::channel();
            let job = Box::new(move || {
                if !answer.is_closed() {
                    // A caller that went away in the meantime does not want to know.
                    let _ = answer.send(read());
                }
            });
            let jobs = self.jobs.as_ref().ok_or_else(failed)?;
            jobs.send(job).await.map_err(|_| failed())?;
            found.await.unwrap_or_else(|_| Err(failed()))
        })
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        drop(self.jobs.take());
        for thread in self.threads.drain(..) {
            // None of them panics: they catch a panic of a read.
            let _ = thread.join();
        }
    }
}

fn run(queue: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        // The lock is held while waiting, and released before reading.
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        let Some(job) = job else { break };
        // The caller learns of it by its dropped answer, and the thread continues for the others.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}

/// A scan keeps a disk busy by itself; the second one lets a short read pass a long one.
const THREADS: usize = 2;

/// The most reads that wait in the queue; further callers wait for a place.
const WAITING: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc as std_mpsc;

    #[test]
    fn a_long_read_holds_up_neither_its_thread_of_call_nor_a_short_read() {
        let pool = Pool::start(Path::new("test")).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (release, held) = std_mpsc::channel::<()>();
            let mut long = pool.read(move || Ok(held.recv().is_ok()));
            let begun =
                std::future::poll_fn(|cx| std::task::Poll::Ready(long.as_mut().poll(cx).is_pending()));
            assert!(begun.await, "the thread that asked goes on");
            assert_eq!(pool.read(|| Ok(7)).await, Ok(7));
            release.send(()).unwrap();
            assert_eq!(long.await, Ok(true));
        });
    }

    #[test]
    fn a_read_that_panics_ends_itself_alone() {
        let pool = Pool::start(Path::new("test")).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for _ in 0..2 * THREADS {
            let outcome = runtime.block_on(pool.read::<()>(|| panic!("this test's own panic")));
            assert!(outcome.is_err());
        }
        assert_eq!(runtime.block_on(pool.read(|| Ok(7))), Ok(7));
    }

    #[test]
    fn a_read_whose_caller_went_away_does_not_begin() {
        let pool = Pool::start(Path::new("test")).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let releases: Vec<_> = (0..THREADS).map(|_| std_mpsc::channel::<()>()).collect();
            let mut reads = Vec::new();
            let mut senders = Vec::new();
            for (release, held) in releases {
                reads.push(pool.read(move || Ok(held.recv().is_ok())));
                senders.push(release);
            }
            let (ran, has_run) = std_mpsc::channel();
            reads.push(pool.read(move || Ok(ran.send(()).is_ok())));
            for read in &mut reads {
                std::future::poll_fn(|cx| std::task::Poll::Ready(read.as_mut().poll(cx).is_pending())).await;
            }
            drop(reads.pop());
            drop(senders);
            for read in reads {
                read.await.unwrap();
            }
            assert_eq!(pool.read(|| Ok(7)).await, Ok(7));
            assert!(has_run.recv().is_err(), "its closure went without being called");
        });
    }
}
