//! The nodes: the processes that use one database together.
//!
//! Each has a row, which its groups and a beat a second renew by the database's clock. A node whose row is gone was removed, and ends. One
//! that had no commit for longer than [`LIMIT`], counted from the start of the last one by the clock that also runs while a machine
//! sleeps, may not know what the others decided: until it knows, its memory must not answer.

use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error};
use wardein_port::{Clock as _, SystemClock};

use super::words;
use crate::open::OpenError;

/// Whether others may use the database at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// With other nodes: for a service.
    Shared,
    /// With nobody: for what is done while no service runs.
    Alone,
    /// With nobody, on whichever timeline and whatever is missing: for a restore in place.
    Restoring,
}

/// A row of this process.
#[derive(Debug)]
pub(super) struct Node {
    /// A UUID of its own, which the database made.
    pub(super) id: String,
    /// When the last commit that came to be was begun, in milliseconds since the machine booted.
    begun_at: AtomicU64,
    /// Until when upkeep is its own, likewise.
    keeps_until: AtomicU64,
    /// How far the machine's clock is ahead of the database's, in milliseconds.
    ahead: AtomicI64,
    /// How many nodes were seen lately, this one among them.
    live: AtomicU64,
    /// How many commits of others to tables that authorize were projected.
    pub(super) others: AtomicU64,
}

/// What a beat brought.
pub(super) enum Beat {
    Done,
    /// The row is gone.
    Removed,
}

impl Node {
    /// Joins those that use the database. Where it must be alone, or another is, it waits until they are gone; of those that a crash left
    /// there, for as long as they could still be alive.
    pub(super) async fn join(
        client: &mut Client,
        at: &Path,
        name: &str,
        sharing: Sharing,
    ) -> Result<Self, OpenError> {
        let mut waited = Duration::ZERO;
        loop {
            let begun = booted_ms();
            let joined = Self::try_join(client, name, sharing).await;
            if let Some(id) = joined.map_err(|error| OpenError::failed(at, words(&error)))? {
                let (begun_at, keeps_until) = (AtomicU64::new(begun), AtomicU64::default());
                // Until it is known.
                let (ahead, live) = (AtomicI64::default(), AtomicU64::new(u64::MAX));
                return Ok(Self { id, begun_at, keeps_until, ahead, live, others: AtomicU64::default() });
            }
            if waited > PATIENCE {
                return Err(OpenError::Locked(at.to_owned()));
            }
            tokio::time::sleep(PAUSE).await;
            waited += PAUSE;
        }
    }

    async fn try_join(client: &mut Client, name: &str, sharing: Sharing) -> Result<Option<String>, Error> {
        let is_alone = sharing != Sharing::Shared;
        let all = client.transaction().await?;
        all.query_typed("SELECT FROM wardein.head FOR UPDATE", &[]).await?;
        let (release, live) = (env!("CARGO_PKG_VERSION"), LIVE.as_secs_f64());
        // What starts again takes the place of its former process, which a crash left there: one that lives was seen since.
        let beaten = BEATEN.as_secs_f64();
        all.execute_typed(REPLACE, &[(&name, Type::TEXT), (&beaten, Type::FLOAT8)]).await?;
        let joined = all
            .query_typed_opt(
                JOIN,
                &[
                    (&name, Type::TEXT),
                    (&release, Type::TEXT),
                    (&is_alone, Type::BOOL),
                    (&live, Type::FLOAT8),
                ],
            )
            .await?;
        let id = joined.map(|record| record.try_get::<_, String>(0)).transpose()?;
        if let Some(id) = id.as_ref().filter(|_| is_alone) {
            // One that stands still wakes up to find that it was removed.
            all.execute_typed("DELETE FROM wardein.nodes WHERE id <> $1::text::uuid", &[(id, Type::TEXT)])
                .await?;
        }
        all.commit().await?;
        Ok(id)
    }

    /// Leaves, so that nobody need wait.
    pub(super) async fn leave(&self, client: &Client) -> Result<(), Error> {
        client.execute_typed(YIELD, &[(&self.id, Type::TEXT)]).await?;
        client.execute_typed(LEAVE, &[(&self.id, Type::TEXT)]).await.map(|_| ())
    }

    /// Renews the row of a node that follows up to `revision`, takes or keeps the upkeep, and compares the clocks. What was committed
    /// before `begun` is to be read after it.
    pub(super) async fn beat(&self, client: &Client, begun: u64, revision: u64) -> Result<Beat, Error> {
        let (before, revision) = (wall_ms(), revision.cast_signed());
        let ahead = self.ahead.load(Ordering::Relaxed);
        let (live, forgotten) = (LIVE.as_secs_f64(), FORGOTTEN.as_secs_f64());
        let record = client
            .query_typed_opt(
                BEAT,
                &[
                    (&self.id, Type::TEXT),
                    (&revision, Type::INT8),
                    (&ahead, Type::INT8),
                    (&live, Type::FLOAT8),
                    (&forgotten, Type::FLOAT8),
                ],
            )
            .await?;
        let Some(record) = record else { return Ok(Beat::Removed) };
        let theirs: i64 = record.try_get(0)?;
        let after = wall_ms();
        // Half the time that the answer took is the most that it is wrong by.
        self.ahead.store(before.midpoint(after) - theirs, Ordering::Relaxed);
        if record.try_get(1)? {
            self.keeps_until.store(begun + KEPT.as_millis() as u64, Ordering::Relaxed);
        }
        Ok(Beat::Done)
    }

    /// Everything that was committed before that time, by [`booted_ms`], is known.
    pub(super) fn known_since(&self, begun: u64) {
        self.begun_at.fetch_max(begun, Ordering::Relaxed);
    }

    /// For how long others may have decided what is not known here.
    pub(super) fn age(&self) -> Duration {
        Duration::from_millis(booted_ms().saturating_sub(self.begun_at.load(Ordering::Relaxed)))
    }

    /// Whether the upkeep of what all share is this node's.
    pub(super) fn keeps(&self) -> bool {
        booted_ms() < self.keeps_until.load(Ordering::Relaxed)
    }

    /// So many nodes were seen lately, this one among them.
    pub(super) fn saw(&self, live: u64) {
        self.live.store(live, Ordering::Relaxed);
    }

    /// Whether no other node was seen lately.
    pub(super) fn is_alone(&self) -> bool {
        self.live.load(Ordering::Relaxed) <= 1
    }

    /// Why the clock of this machine will not do.
    pub(super) fn clock(&self) -> Result<(), String> {
        let ahead = self.ahead.load(Ordering::Relaxed);
        if ahead.unsigned_abs() <= SKEW.as_millis() as u64 {
            return Ok(());
        }
        let (by, way) = (ahead.unsigned_abs(), if ahead > 0 { "ahead of" } else { "behind" });
        Err(format!("this machine's clock is {by} ms {way} the database's; synchronize both with NTP"))
    }
}

/// Milliseconds since the machine booted, asleep or not.
pub(super) fn booted_ms() -> u64 {
    SystemClock.boot_ms()
}

/// Unix milliseconds by the machine's clock.
fn wall_ms() -> i64 {
    i64::try_from(SystemClock.wall_ms()).unwrap_or(i64::MAX)
}

/// The bound: a node that knows no more than what was decided longer ago than that does not answer.
pub(super) const LIMIT: Duration = Duration::from_secs(5);

/// Between two beats.
pub(super) const BEAT_EVERY: Duration = Duration::from_secs(1);

/// Between two looks at what other nodes did.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A node that was not seen for so long is taken for gone by one that must be alone. Until then it may still answer.
const LIVE: Duration = Duration::from_secs(10);

/// For how long the upkeep is a node's after a beat. Another takes it over after [`LIVE`].
const KEPT: Duration = Duration::from_secs(8);

/// A node that was not seen for so long is removed, and has to join again.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// A node beats each second: one that was not seen for so long is not another process of the same directory that serves.
const BEATEN: Duration = Duration::from_millis(2_500);

/// How far a machine's clock may be from the database's: half of what DDKG-1 allows for between two clocks of an authority.
const SKEW: Duration = Duration::from_secs(1);

/// How long others are waited for.
const PATIENCE: Duration = Duration::from_secs(12);

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(250);

const JOIN: &str = "INSERT INTO wardein.nodes (name, release, is_alone)
                    SELECT $1, $2, $3 WHERE (SELECT format < 1000000 FROM wardein.head) AND NOT EXISTS (SELECT FROM wardein.nodes
                        WHERE seen > clock_timestamp() - make_interval(secs => $4) AND (is_alone OR $3
                            OR name <> $1 AND split_part(name, ', process ', 1) = split_part($1, ', process ', 1)))
                    RETURNING id::text";

const REPLACE: &str = "DELETE FROM wardein.nodes WHERE name <> $1
                       AND split_part(name, ', process ', 1) = split_part($1, ', process ', 1)
                       AND seen < clock_timestamp() - make_interval(secs => $2)";

const LEAVE: &str = "DELETE FROM wardein.nodes WHERE id = $1::text::uuid";

const YIELD: &str = "UPDATE wardein.head SET keeper = NULL, kept_until = NULL WHERE keeper = $1::text::uuid";

const BEAT: &str = "WITH gone AS (DELETE FROM wardein.nodes WHERE seen < clock_timestamp() - make_interval(secs => $5)
                            AND id <> $1::text::uuid),
                        kept AS (UPDATE wardein.head SET keeper = $1::text::uuid,
                            kept_until = clock_timestamp() + make_interval(secs => $4)
                            WHERE keeper = $1::text::uuid OR keeper IS NULL OR kept_until < clock_timestamp() RETURNING 1)
                    UPDATE wardein.nodes SET seen = clock_timestamp(), revision = $2, ahead_ms = $3
                    WHERE id = $1::text::uuid
                    RETURNING (extract(epoch FROM clock_timestamp()) * 1000)::int8, EXISTS (SELECT FROM kept)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_a_second_off_will_not_do() {
        let node = |ahead| Node {
            id: String::new(),
            begun_at: AtomicU64::default(),
            keeps_until: AtomicU64::default(),
            ahead: AtomicI64::new(ahead),
            live: AtomicU64::default(),
            others: AtomicU64::default(),
        };
        for near in [0, 1_000, -1_000] {
            assert_eq!(node(near).clock(), Ok(()));
        }
        assert!(node(1_001).clock().unwrap_err().contains("1001 ms ahead of the database's"));
        assert!(node(-60_000).clock().unwrap_err().contains("60000 ms behind the database's"));
    }
}
