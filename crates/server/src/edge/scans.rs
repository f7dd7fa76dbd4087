//! Reads that go over many rows: each tenant has a line of its own, and a few places at its end, so that one tenant's auditor makes
//! nobody wait but its own tenant. An honest listing of a large fleet, page after page, is slowed to the operator's rate and not refused.

use super::rate::Buckets;
use super::rate_limited;
use crate::config::Rate;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wardein_domain::{Principal, Serial, TenantId};
use wardein_engine::Error;

/// The lines, by the tenant of the caller; those who see all tenants have one together.
pub(crate) struct Scans {
    lines: Mutex<HashMap<Option<TenantId>, Arc<Line>>>,
    all: Arc<Semaphore>,
    rate: Buckets<Serial>,
    patience: Duration,
}

struct Line {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// A place at the end of a line, free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _of_tenant: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Scans {
    /// For `threads` that serve: as many scans go on at a time as leave each its time. `calls` is the rate of one operator's calls.
    pub(crate) fn new(threads: usize, calls: Rate) -> Self {
        let all = Arc::new(Semaphore::new(threads.max(OF_TENANT)));
        // 0 stays what it is: no bound.
        let per_second = calls.per_second.div_ceil(COST);
        let rate = Buckets::new(Rate { per_second, burst: per_second.max(1) });
        Self { lines: Mutex::default(), all, rate, patience: PATIENCE }
    }

    /// Waits for a place, once the operator's rate allows it. Those for whom it takes too long are refused.
    pub(crate) async fn enter(&self, caller: &Principal) -> Result<Place, Error> {
        let due = self.rate.reserve(caller.serial, 1, self.patience).ok_or_else(rate_limited)?;
        self.place(caller.tenant.as_ref(), due).await
    }

    /// Waits until the operator's rate allows a read that has no place, because its pace is its caller's.
    pub(crate) async fn turn(&self, caller: &Principal) -> Result<(), Error> {
        let due = self.rate.reserve(caller.serial, 1, self.patience).ok_or_else(rate_limited)?;
        tokio::time::sleep(due).await;
        Ok(())
    }

    /// Waits for a place, in the order in which they came, after `due`.
    async fn place(&self, tenant: Option<&TenantId>, due: Duration) -> Result<Place, Error> {
        let line = self.line(tenant);
        let _waiting = Waiting::behind(&line).ok_or_else(rate_limited)?;
        let turn = async {
            tokio::time::sleep(due).await;
            let of_tenant = line.places.clone().acquire_owned().await;
            (of_tenant, self.all.clone().acquire_owned().await)
        };
        match tokio::time::timeout(self.patience, turn).await {
            Ok((Ok(of_tenant), Ok(of_all))) => Ok(Place { _of_tenant: of_tenant, _of_all: of_all }),
            // Nobody closes the semaphores.
            _ => Err(rate_limited()),
        }
    }

    fn line(&self, tenant: Option<&TenantId>) -> Arc<Line> {
        // A poisoned map is whole. It has as many lines as there are tenants with operators.
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = || {
            let places = Arc::new(Semaphore::new(OF_TENANT));
            Arc::new(Line { places, waiting: AtomicUsize::new(0) })
        };
        lines.entry(tenant.cloned()).or_insert_with(begin).clone()
    }
}

/// Counts one who waits in a line.
struct Waiting<'a>(&'a Line);

impl<'a> Waiting<'a> {
    fn behind(line: &'a Line) -> Option<Self> {
        let waiting = Self(line);
        // Dropped where it is one too many.
        (line.waiting.fetch_add(1, Ordering::Relaxed) < WAITING).then_some(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many calls of its operator a scan counts for: a page of a thousand rows costs as much as hundreds of trust queries.
const COST: u32 = 500;

/// The longest that a scan waits for its turn.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many scans of one tenant go on at a time.
const OF_TENANT: usize = 2;

/// How many of one tenant wait.
const WAITING: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use wardein_domain::Role;

    const UNBOUNDED: Rate = Rate { per_second: 0, burst: 1 };

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
    }

    #[test]
    fn one_tenant_in_a_line_keeps_no_other_waiting() {
        runtime().block_on(async {
            let scans = Arc::new(Scans { patience: Duration::from_millis(500), ..Scans::new(4, UNBOUNDED) });
            let (klinik, lab): (TenantId, TenantId) = ("klinik".parse().unwrap(), "lab".parse().unwrap());
            let enter = |tenant: &TenantId| {
                let (scans, tenant) = (scans.clone(), tenant.clone());
                async move { scans.place(Some(&tenant), Duration::ZERO).await }
            };
            let (first, _second) = (enter(&klinik).await.unwrap(), enter(&klinik).await.unwrap());
            let waits = tokio::spawn(enter(&klinik));
            tokio::task::yield_now().await;
            drop(enter(&lab).await.unwrap());
            assert!(!waits.is_finished());
            drop(first);
            let _third = waits.await.unwrap().unwrap();
            let refused = enter(&klinik).await.unwrap_err();
            assert_eq!(refused.code.as_str(), "rate-limited", "it waited too long");
        });
    }

    #[test]
    fn an_operators_rate_counts_a_scan_as_many_calls() {
        runtime().block_on(async {
            let calls = Rate { per_second: COST, burst: COST };
            let scans = Scans { patience: Duration::from_millis(500), ..Scans::new(2, calls) };
            let caller = |byte: u8| Principal {
                role: Role::Auditor,
                tenant: None,
                name: "auditor".parse().unwrap(),
                serial: Serial::from_random([byte; 16]),
            };
            drop(scans.enter(&caller(1)).await.unwrap());
            let refused = scans.enter(&caller(1)).await.unwrap_err();
            assert_eq!(refused.code.as_str(), "rate-limited", "the next is due in a second");
            drop(scans.enter(&caller(2)).await.unwrap());
        });
    }

    #[test]
    fn a_line_has_a_length() {
        runtime().block_on(async {
            let scans = Arc::new(Scans::new(2, UNBOUNDED));
            let _places = (scans.place(None, Duration::ZERO).await, scans.place(None, Duration::ZERO).await);
            let waiting = || {
                let scans = scans.clone();
                tokio::spawn(async move { scans.place(None, Duration::ZERO).await.map(drop) })
            };
            let line: Vec<_> = (0..WAITING).map(|_| waiting()).collect();
            while scans.line(None).waiting.load(Ordering::Relaxed) < WAITING {
                tokio::task::yield_now().await;
            }
            assert!(scans.place(None, Duration::ZERO).await.is_err());
            assert!(line.iter().all(|waiting| !waiting.is_finished()), "at once: the line waits on");
        });
    }
}
