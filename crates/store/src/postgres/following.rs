//! What other nodes did, as this one hears of it, and how it goes on after a connection that broke.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout, timeout_at};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error};

use super::node::{self, Beat, booted_ms};
use super::place::Verdict;
use super::read::Followed;
use super::statements::{BEGIN, LOCK, OLDEST, OWN, Param, TRUNCATE};
use super::writer::{
    FEED_PAGE, Failed, LOOK, PostgresWriter, REMOVED, not_connected, of_fault, reason, sorted,
};
use super::{place, read, schema, words};
use crate::age;
use crate::queue::{self, Fault, end_process};

impl PostgresWriter {
    /// Projects what other nodes committed, in order, before anything of this node that came after it. Whether that is all.
    pub(super) fn take_in_feed(&mut self, followed: Followed) -> Result<bool, Failed> {
        let Followed { head, truncated, commits, is_all, newest, live } = followed;
        self.node.saw(live);
        if head.revision < self.head.revision || head.last_audit < self.head.last_audit {
            let why = format!("{:?} was acknowledged, and {head:?} was found", self.head);
            self.lost = Some(why.clone());
            return Err(Failed::Damaged(why));
        }
        if truncated > self.followed {
            end_process(TOO_FAR_BEHIND);
        }
        queue::project(commits.iter(), &self.shared.projections);
        // After it: a decision may have heard of more than it counts, never of less.
        self.node.others.fetch_add(commits.len() as u64, Ordering::Release);
        self.age.pass(newest);
        if is_all {
            (self.followed, self.head) = (head.revision, head);
        } else if let Some(last) = commits.last() {
            self.followed = last.revision;
        }
        Ok(is_all)
    }

    /// Reads what other nodes committed until nothing is left.
    pub(super) async fn follow(&mut self) -> Result<(), Failed> {
        loop {
            let client = self.client.as_ref().ok_or_else(not_connected)?;
            let followed = read::follow(client, self.followed, FEED_PAGE).await.map_err(of_fault)?;
            if self.take_in_feed(followed)? {
                return Ok(());
            }
        }
    }

    /// The same, and looks whether the database is where it was. On another timeline it goes on where all is there that it knew.
    async fn follow_to_place(&mut self) -> Result<(), Failed> {
        let client = self.client.as_ref().ok_or_else(not_connected)?;
        let found = place::look(client).await.map_err(sorted)?;
        let verdict = found.judge(self.place.as_deref(), self.head);
        match verdict {
            _ if self.is_restoring => return self.follow().await,
            Verdict::Contested(why) => return Err(Failed::Damaged(why)),
            Verdict::Missing(why) => {
                self.lost = Some(why.clone());
                return Err(Failed::Damaged(why));
            }
            Verdict::Same | Verdict::Another(_) => self.follow().await?,
        }
        if let (Verdict::Another(here), Some(client)) = (&verdict, &self.client) {
            place::record(client, found.recorded.as_deref(), here).await.map_err(sorted)?;
        }
        self.place = found.here;
        Ok(())
    }

    pub(super) fn is_due(&self, now: u64) -> bool {
        now.saturating_sub(self.beaten) >= node::BEAT_EVERY.as_millis() as u64
    }

    /// Looks at what other nodes did, and says that this one is there.
    async fn keep_up(&mut self) -> Result<(), Failed> {
        let begun = booted_ms();
        let is_due = self.is_due(begun);
        if is_due {
            let client = self.client.as_ref().ok_or_else(not_connected)?;
            match self.node.beat(client, begun, self.followed).await.map_err(sorted)? {
                Beat::Done => self.beaten = begun,
                Beat::Removed => return Err(Failed::Removed),
            }
        }
        let before = self.head;
        if is_due {
            self.follow_to_place().await?;
        } else {
            self.follow().await?;
        }
        if self.head != before {
            self.has_others = true;
        }
        // A database that still reads may have been cut off from those that write. One that still commits was not.
        if is_due {
            self.node.known_since(begun);
        }
        Ok(())
    }

    /// The same, within a time.
    pub(super) async fn look(&mut self) -> Result<(), Fault> {
        match timeout(LOOK, self.keep_up()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(failed)) => Err(Fault::Unavailable(self.given_up(failed))),
            Err(_) => Err(Fault::Unavailable(self.given_up(Failed::Damaged(SILENT.into())))),
        }
    }

    pub(super) fn given_up(&mut self, failed: Failed) -> String {
        self.client = None;
        match failed {
            Failed::Removed => end_process(REMOVED),
            other => self.down(&reason(other)),
        }
    }

    /// Connects again, and tells which group came to be last. So it is known, and final, whether the one that was under way did.
    pub(super) async fn look_up(&mut self, broken: &Error) -> Result<i64, Fault> {
        let until = Instant::now() + LOOK;
        let mut why = words(broken);
        while let Ok(found) = timeout_at(until.into(), self.last_group()).await {
            match found {
                Ok((client, last)) => {
                    self.client = Some(client);
                    return Ok(last);
                }
                Err(failed) => why = reason(failed),
            }
            sleep(AGAIN).await;
        }
        Err(Fault::Unknown(self.down(&why)))
    }

    /// A new connection, and the group that came to be last. It waits for a transaction that still holds the row.
    async fn last_group(&self) -> Result<(Client, i64), Failed> {
        let client = self.address.connect().await.map_err(sorted)?;
        client.batch_execute(BEGIN).await.map_err(sorted)?;
        client.query_typed(LOCK, &[]).await.map_err(sorted)?;
        let own: [Param<'_>; 1] = [(&self.node.id, Type::TEXT)];
        let record = client.query_typed_opt(OWN, &own).await.map_err(sorted)?;
        client.batch_execute("ROLLBACK").await.map_err(sorted)?;
        let Some(record) = record else { end_process(REMOVED) };
        Ok((client, record.try_get(0).map_err(sorted)?))
    }

    /// Connects again after a failure, and goes on only if everything acknowledged is there.
    pub(super) async fn recover(&mut self) -> Result<(), String> {
        if self.tried.elapsed() < PAUSE {
            return Err(self.shared.why().unwrap_or_default());
        }
        self.tried = Instant::now();
        if let Some(why) = self.lost.clone() {
            self.contest(&why).await;
            return Err(why);
        }
        let (client, last) = match timeout(LOOK, self.last_group()).await {
            Ok(found) => found.map_err(reason)?,
            Err(_) => return Err(SILENT.into()),
        };
        schema::inspect(&client, self.address.shown()).await.map_err(|error| error.to_string())?;
        // From here on it is known which of the commits that were answered as unknown were applied.
        self.shared.projections.recovered();
        if last < self.group {
            let why = format!("group {} was acknowledged, and {last} was found", self.group);
            self.lost = Some(why.clone());
            return Err(why);
        }
        self.client = Some(client);
        self.tails.clear();
        if let Err(failed) = self.follow_to_place().await {
            self.client = None;
            return Err(reason(failed));
        }
        self.group = last;
        self.shared.set(None);
        Ok(())
    }

    /// Says in the database that something is missing there, so that no node goes on.
    async fn contest(&self, why: &str) {
        let contesting = async {
            let client = self.address.connect().await?;
            place::contest(&client, why).await
        };
        // Where that fails, it is tried again.
        let _ = timeout(LOOK, contesting).await;
    }

    pub(super) async fn truncate_feed(&mut self) -> Result<(), Error> {
        let (Some(before), Some(client)) = (self.age.due(), &self.client) else { return Ok(()) };
        let (most, before) = (age::AT_A_TIME as i64, before.cast_signed());
        let sql: [Param<'_>; 3] = [(&most, Type::INT8), (&before, Type::INT8), (&self.node.id, Type::TEXT)];
        client.execute_typed(TRUNCATE, &sql).await?;
        let oldest: i64 = client.query_typed_one(OLDEST, &[]).await?.try_get(0)?;
        self.age.truncated(oldest.cast_unsigned());
        Ok(())
    }
}

const TOO_FAR_BEHIND: &str = "the feed no longer has what this node has not heard of";

const SILENT: &str = "the database does not answer";

/// Between two attempts at that.
const AGAIN: Duration = Duration::from_millis(50);

/// Between two attempts at recovery.
const PAUSE: Duration = Duration::from_millis(200);
