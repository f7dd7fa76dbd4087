//! The watchers of deeds: callers that follow the progress of theirs, and the task that performs them.

use super::DeedProgress;
use crate::kernel::Error;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, watch};

/// The deeds of this process.
#[derive(Default)]
pub(crate) struct Deeds {
    /// One step is done at a time.
    pub(crate) turn: tokio::sync::Mutex<()>,
    begun: Notify,
    watched: Mutex<Watched>,
}

#[derive(Default)]
struct Watched {
    under_way: HashMap<u64, watch::Sender<DeedProgress>>,
    /// The last that ended, for a caller who found the row and comes a moment late.
    ended: VecDeque<(u64, DeedProgress)>,
}

/// The progress of a deed. Dropping it leaves the deed unchanged.
pub struct DeedWatch(watch::Receiver<DeedProgress>);

impl DeedWatch {
    /// How far it is.
    pub fn now(&mut self) -> DeedProgress {
        self.0.borrow_and_update().clone()
    }

    /// Resolves when there is something that [`DeedWatch::now`] has not said; at once where nothing more will come.
    pub async fn changed(&mut self) {
        // An error means that it has ended.
        drop(self.0.changed().await);
    }
}

impl Deeds {
    /// Watches the deed `id`, which is at `progress` if nobody heard of it here.
    pub(super) fn watch(&self, id: u64, progress: DeedProgress) -> DeedWatch {
        let mut watched = self.watched();
        if let Some((_, progress)) = watched.ended.iter().find(|(ended, _)| *ended == id) {
            return DeedWatch(watch::channel(progress.clone()).1);
        }
        watched.under_way.retain(|_, sender| !sender.is_closed());
        let sender = watched.under_way.entry(id).or_insert_with(|| watch::channel(progress).0);
        // It is being tried again.
        sender.send_if_modified(|progress| progress.failure.take().is_some());
        DeedWatch(sender.subscribe())
    }

    pub(super) fn tell(&self, id: u64, progress: DeedProgress) {
        let mut watched = self.watched();
        if progress.is_done() {
            watched.ended.truncate(ENDED - 1);
            watched.ended.push_front((id, progress.clone()));
            if let Some(sender) = watched.under_way.remove(&id) {
                sender.send_replace(progress);
            }
        } else if let Some(sender) = watched.under_way.get(&id) {
            sender.send_replace(progress);
        }
    }

    /// Tells all watchers why no deed continues for now.
    pub(super) fn tell_all(&self, error: &Error) {
        for sender in self.watched().under_way.values() {
            sender.send_modify(|progress| progress.failure = Some(error.clone()));
        }
    }

    pub(super) fn wake(&self) {
        self.begun.notify_one();
    }

    pub(super) async fn begun(&self) {
        self.begun.notified().await;
    }

    fn watched(&self) -> MutexGuard<'_, Watched> {
        // Each change of it is one insertion or removal.
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many of those that ended are remembered.
const ENDED: usize = 64;
