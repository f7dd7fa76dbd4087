//! The lease: one process at a time writes to a database, and knows it.
//!
//! The row `head` says who holds it and until when, by the database's clock. Each group of changes renews it, and so does a tick
//! where there are none. A process that finds another holder there has been replaced; one that could not renew for nearly as long as it
//! lasts, by the clock that also runs while a machine sleeps, may have been. Both end: their memory no longer follows.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::words;
use crate::open::OpenError;

/// A lease that is held.
#[derive(Debug)]
pub(super) struct Lease {
    /// A UUID of its own, which the database made.
    pub(super) holder: String,
    /// When the last renewal was begun, in milliseconds since the machine booted.
    renewed_at: AtomicU64,
}

impl Lease {
    /// Takes the lease, as soon as it is free. `name` is how it is shown to others.
    pub(super) async fn take(client: &Client, at: &Path, name: &str) -> Result<Self, OpenError> {
        let failed = |error| OpenError::failed(at, words(&error));
        let mut waited = Duration::ZERO;
        loop {
            let begun = booted_ms();
            let taken = client.query_typed_opt(TAKE, &[(&name, Type::TEXT), (&SECONDS, Type::FLOAT8)]).await;
            if let Some(record) = taken.map_err(failed)? {
                let holder = record.try_get(0).map_err(failed)?;
                return Ok(Self { holder, renewed_at: AtomicU64::new(begun) });
            }
            if waited > PATIENCE {
                return Err(OpenError::Locked(at.to_owned()));
            }
            tokio::time::sleep(PAUSE).await;
            waited += PAUSE;
        }
    }

    /// Gives it back, so that another process need not wait.
    pub(super) async fn release(&self, client: &Client) -> Result<(), tokio_postgres::Error> {
        client.execute_typed(RELEASE, &[(&self.holder, Type::TEXT)]).await.map(|_| ())
    }

    /// A renewal that was begun at that time, by [`booted_ms`], was made.
    pub(super) fn renewed(&self, begun: u64) {
        self.renewed_at.store(begun, Ordering::Relaxed);
    }

    /// For how long it has not been renewed.
    pub(super) fn age(&self) -> Duration {
        Duration::from_millis(booted_ms().saturating_sub(self.renewed_at.load(Ordering::Relaxed)))
    }
}

/// Milliseconds since the machine booted, asleep or not.
pub(super) fn booted_ms() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec.cast_unsigned() * 1000 + now.tv_nsec.cast_unsigned() / 1_000_000
}

/// How long it lasts after a renewal, in seconds.
pub(super) const SECONDS: f64 = 10.0;

/// Without a renewal for so long, another process may soon hold it.
pub(super) const LIMIT: Duration = Duration::from_secs(8);

/// Between two renewals, and two looks at [`LIMIT`].
pub(super) const TICK: Duration = Duration::from_secs(1);

/// How long another process's lease is waited for: one that was killed left it.
const PATIENCE: Duration = Duration::from_secs(12);

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(250);

/// Groups are counted from the beginning of a lease: the last one of another holder is not to be taken for one of ours.
const TAKE: &str = "UPDATE wardein.head SET holder = gen_random_uuid(), holder_name = $1, \
                    last_group = 0, held_until = clock_timestamp() + make_interval(secs => $2) \
                    WHERE holder IS NULL OR held_until < clock_timestamp() RETURNING holder::text";

const RELEASE: &str =
    "UPDATE wardein.head SET holder = NULL, held_until = NULL WHERE holder = $1::text::uuid";
