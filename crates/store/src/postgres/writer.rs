//! The writer: each group is one transaction.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Row as Record};
use wardein_port::{Change, Head, Outcome, Projections, StoreError};

use super::address::Address;
use super::group::{Found, Judged, Named, names};
use super::node::{Beat, Node, Sharing, booted_ms};
use super::statements::{BEGIN, ENDS, LOCK, OWN, Param, VERSIONS, write};
use super::{place, read, schema, words};
use crate::age::Age;
use crate::open::OpenError;
use crate::postings::{Posting, Tails};
use crate::queue::{Fault, Writer, end_process};

/// What the writer shares with the store.
#[derive(Clone, Default)]
pub(super) struct Shared {
    pub(super) projections: Arc<Projections>,
    down: Arc<Mutex<Option<String>>>,
}

impl Shared {
    /// Why the writer is down.
    pub(super) fn why(&self) -> Option<String> {
        self.down.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set(&self, why: Option<String>) {
        *self.down.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }
}

pub(super) struct PostgresWriter {
    pub(super) address: Address,
    pub(super) runtime: Handle,
    pub(super) shared: Shared,
    pub(super) node: Arc<Node>,
    /// None after a failure, until it was opened again.
    pub(super) client: Option<Client>,
    pub(super) head: Head,
    /// The revision up to which the feed was projected.
    pub(super) followed: u64,
    pub(super) age: Age,
    pub(super) tails: Tails,
    /// Whether other nodes may have written what `tails` has.
    pub(super) has_others: bool,
    /// The number of the last group of this node that came to be.
    pub(super) group: i64,
    /// When the last beat was begun, in milliseconds since the machine booted.
    pub(super) beaten: u64,
    pub(super) tried: Instant,
    /// Where the database is, as this node knows it.
    pub(super) place: Option<String>,
    /// Whether it is to go on wherever that is.
    pub(super) is_restoring: bool,
    /// Why it is of no use any more: something that was acknowledged is not there.
    pub(super) lost: Option<String>,
}

/// Why a group did not come to be, or is not known to.
pub(super) enum Failed {
    /// The server refused: nothing of it was applied.
    Refused(Error),
    /// The connection broke. Whether the group that was written, if one was, came to be is not known.
    Broken(Error, Option<Written>),
    /// What is stored is not as it must be.
    Damaged(String),
    /// Other nodes have done more than was known, or could be read at once.
    Behind,
    /// This node is not among those that use the database any more.
    Removed,
}

/// What holds once a group has come to be.
pub(super) struct Written {
    outcomes: Vec<Outcome>,
    head: Head,
    age: Age,
}

/// The versions of a group's rows, and the last rows of its keys in the index.
type Prepared<'g> = (Found<'g>, HashMap<Vec<u8>, Posting>);

/// What a query found.
type Records = Result<Vec<Record>, Error>;

impl PostgresWriter {
    /// Connects, and joins the nodes.
    pub(super) async fn open(
        address: Address,
        name: &str,
        sharing: Sharing,
        shared: Shared,
    ) -> Result<Self, OpenError> {
        let at = address.shown().to_owned();
        let mut client = super::connect(&address).await?;
        schema::inspect(&client, &at).await?;
        let is_restoring = sharing == Sharing::Restoring;
        let place = if is_restoring { None } else { place::admit(&client, &at).await? };
        let node = Arc::new(Node::join(&mut client, &at, name, sharing).await?);
        let told = |fault: read::Fault| OpenError::failed(&at, StoreError::from(fault).0);
        let (head, age) = (read::head(&client).await.map_err(told)?, read::age(&client).await.map_err(told)?);
        let begun = booted_ms();
        let beat = node.beat(&client, begun, head.revision).await;
        if matches!(beat.map_err(|error| OpenError::failed(&at, words(&error)))?, Beat::Removed) {
            return Err(OpenError::failed(&at, REMOVED));
        }
        node.saw(read::follow(&client, head.revision, 1).await.map_err(told)?.live);
        Ok(Self {
            address,
            runtime: Handle::current(),
            shared,
            node,
            client: Some(client),
            head,
            followed: head.revision,
            age,
            tails: Tails::default(),
            has_others: true,
            group: 0,
            beaten: begun,
            tried: Instant::now(),
            place,
            is_restoring,
            lost: None,
        })
    }

    pub(super) fn node(&self) -> Arc<Node> {
        Arc::clone(&self.node)
    }

    async fn write_group(&mut self, group: &[Change]) -> Result<Vec<Outcome>, Fault> {
        if self.client.is_none() {
            self.recover().await.map_err(|why| self.stay_down(why))?;
        }
        let mut left = ATTEMPTS;
        loop {
            left -= 1;
            let failed = match self.attempt(group).await {
                Ok(written) => return Ok(self.take_in(written)),
                Err(failed) => failed,
            };
            // What it would have left there, it did not.
            self.tails.clear();
            match failed {
                Failed::Removed => end_process(REMOVED),
                Failed::Behind => {
                    left += 1;
                    if let Err(error) = self.follow().await {
                        let why = self.given_up(error);
                        return Err(Fault::Unavailable(why));
                    }
                }
                Failed::Refused(error) if may_run_again(&error) && left > 0 => {}
                Failed::Refused(error) => return Err(Fault::Unavailable(self.said(&words(&error)))),
                Failed::Damaged(what) => {
                    self.client = None;
                    return Err(self.stay_down(what));
                }
                Failed::Broken(error, written) => {
                    self.client = None;
                    let is_in_doubt = written.is_some();
                    match (self.look_up(&error).await?, written) {
                        (last, Some(written)) if last == self.group + 1 => return Ok(self.take_in(written)),
                        (last, _) if last == self.group && left > 0 => {}
                        (last, _) if last == self.group => {
                            let why = format!("{}; nothing was applied", words(&error));
                            return Err(Fault::Unavailable(self.said(&why)));
                        }
                        (last, _) => {
                            self.client = None;
                            let why = format!("group {last} came to be after group {}", self.group);
                            let why = self.down(&why);
                            return Err(if is_in_doubt {
                                Fault::Unknown(why)
                            } else {
                                Fault::Unavailable(why)
                            });
                        }
                    }
                }
            }
        }
    }

    fn take_in(&mut self, Written { outcomes, head, age }: Written) -> Vec<Outcome> {
        if head != self.head {
            self.group += 1;
        }
        (self.head, self.followed, self.age) = (head, head.revision, age);
        outcomes
    }

    /// Applies a group in one transaction. The lock on `head` makes it the only one: what is read under it stays so.
    async fn attempt(&mut self, group: &[Change]) -> Result<Written, Failed> {
        let client = self.client.take().ok_or_else(not_connected)?;
        let attempted = self.attempt_by(&client, group).await;
        self.client = Some(client);
        attempted
    }

    async fn attempt_by(&mut self, client: &Client, group: &[Change]) -> Result<Written, Failed> {
        let written = |outcomes, head, age| Written { outcomes, head, age };
        if self.has_others {
            self.tails.clear();
        }
        let begun = booted_ms();
        let names = names(group);
        let (tables, keys): (Vec<i16>, Vec<&[u8]>) =
            names.iter().map(|(table, key)| (*table as i16, *key)).unzip();
        let unknown = self.tails.unknown(group);
        let own: [Param<'_>; 1] = [(&self.node.id, Type::TEXT)];
        let (after, page) = (self.followed.cast_signed(), FEED_PAGE as i64);
        let feed: [Param<'_>; 2] = [(&after, Type::INT8), (&page, Type::INT8)];
        let versions: [Param<'_>; 2] = [(&tables, Type::INT2_ARRAY), (&keys, Type::BYTEA_ARRAY)];
        let ends: [Param<'_>; 1] = [(&unknown, Type::BYTEA_ARRAY)];
        // Sent in this order, without waiting for each other.
        let answers = tokio::join!(biased;
            client.batch_execute(BEGIN),
            client.query_typed(LOCK, &[]),
            client.query_typed(OWN, &own),
            client.query_typed(read::FOLLOW, &feed),
            client.query_typed(VERSIONS, &versions),
            client.query_typed(ENDS, &ends),
        );
        let (found, stored) = match self.prepared(&names, answers) {
            Ok(prepared) => prepared,
            Err(failed) => return Err(roll_back(client, failed).await),
        };
        let mut age = self.age;
        let mut judged =
            Judged::of(group, &found, self.head, self.node.others.load(Ordering::Acquire), &mut age);
        if judged.head == self.head {
            // All were refused, or empty.
            client.batch_execute("ROLLBACK").await.map_err(sorted)?;
            return Ok(written(judged.outcomes, self.head, self.age));
        }
        let filing = std::mem::take(&mut judged.filing);
        let damaged = || Failed::Damaged(read::INDEX_DAMAGED.into());
        let index = match filing.rows(&mut self.tails, |key| Ok(stored.get(key).cloned()), damaged) {
            Ok(index) => index,
            Err(failed) => return Err(roll_back(client, failed).await),
        };
        let sent =
            write(client, &judged, self.head.last_audit, (&self.node.id, self.group + 1), &index).await;
        let written = written(std::mem::take(&mut judged.outcomes), judged.head, age);
        match sent.map_err(sorted) {
            Ok(()) => {
                self.node.known_since(begun);
                Ok(written)
            }
            Err(Failed::Broken(error, _)) => Err(Failed::Broken(error, Some(written))),
            Err(failed) => Err(failed),
        }
    }

    fn prepared<'g>(
        &mut self,
        names: &[Named<'g>],
        (begin, lock, own, feed, versions, ends): (
            Result<(), Error>,
            Records,
            Records,
            Records,
            Records,
            Records,
        ),
    ) -> Result<Prepared<'g>, Failed> {
        begin.map_err(sorted)?;
        lock.map_err(sorted)?;
        let own = own.map_err(sorted)?;
        let own = own.first().ok_or(Failed::Removed)?;
        let (last, nodes) = (number(own, 0)?, number(own, 1)?);
        if last != self.group.cast_unsigned() {
            return Err(Failed::Damaged(format!("group {last} came to be after group {}", self.group)));
        }
        let before = self.head;
        let followed = read::followed(feed.map_err(sorted)?, FEED_PAGE).map_err(of_fault)?;
        let is_all = self.take_in_feed(followed)?;
        let looked_at_tails = std::mem::replace(&mut self.has_others, nodes > 1);
        // What was known of the index is of before.
        if !is_all || self.head != before && !looked_at_tails {
            self.has_others = true;
            return Err(Failed::Behind);
        }
        let mut found = Found::new();
        for record in versions.map_err(sorted)? {
            // The first is 1.
            let at = usize::try_from(number(&record, 0)?).ok().and_then(|at| names.get(at.wrapping_sub(1)));
            let name = at.ok_or_else(|| Failed::Damaged("it found a row that was not asked for".into()))?;
            found.insert(*name, number(&record, 1)?);
        }
        let mut last = HashMap::new();
        for record in ends.map_err(sorted)? {
            last.insert(record.try_get(0).map_err(sorted)?, read::posting(&record, 1).map_err(of_fault)?);
        }
        Ok((found, last))
    }

    pub(super) fn said(&self, why: &str) -> String {
        format!("{}: {why}", self.address.shown().display())
    }

    pub(super) fn down(&self, why: &str) -> String {
        let why = self.said(&format!("{why}; it is being connected to again"));
        self.shared.set(Some(why.clone()));
        why
    }

    pub(super) fn stay_down(&self, why: String) -> Fault {
        let why = if self.shared.why().as_ref() == Some(&why) { why } else { self.down(&why) };
        Fault::Unavailable(why)
    }
}

pub(super) fn not_connected() -> Failed {
    Failed::Damaged("it is not connected".into())
}

impl Writer for PostgresWriter {
    fn write(&mut self, group: &[Change]) -> Result<Vec<Outcome>, Fault> {
        let runtime = self.runtime.clone();
        runtime.block_on(async {
            if !group.iter().all(Change::is_empty) {
                return self.write_group(group).await;
            }
            if self.client.is_none() {
                self.recover().await.map_err(|why| self.stay_down(why))?;
            }
            self.look().await?;
            Ok(group.iter().map(|_| Ok(self.head.revision)).collect())
        })
    }

    fn rest(&mut self) {
        let runtime = self.runtime.clone();
        runtime.block_on(async {
            if let Err(error) = self.truncate_feed().await
                && error.is_closed()
            {
                // Nothing is lost; the next group finds another connection.
                self.client = None;
            }
            // Where groups never pause, nothing else does it.
            if self.client.is_some() && self.is_due(booted_ms()) {
                // Who asks next hears why.
                drop(self.look().await);
            }
        });
    }
}

impl Drop for PostgresWriter {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            let leaving = async { timeout(LOOK, self.node.leave(&client)).await };
            // Without it, one that must be alone waits until this one could not live any more.
            let _ = self.runtime.block_on(leaving);
        }
    }
}

pub(super) fn reason(failed: Failed) -> String {
    match failed {
        Failed::Refused(error) | Failed::Broken(error, _) => words(&error),
        Failed::Damaged(what) => what,
        Failed::Behind => "other nodes are ahead".to_owned(),
        Failed::Removed => REMOVED.to_owned(),
    }
}

/// Ends the transaction of a group that is given up.
async fn roll_back(client: &Client, failed: Failed) -> Failed {
    match client.batch_execute("ROLLBACK").await {
        Ok(()) => failed,
        Err(error) => sorted(error),
    }
}

/// Whether the server refused, or the connection broke.
pub(super) fn sorted(error: Error) -> Failed {
    // An administrator's command ends the connection with a word (class 57P).
    match error.code().map(|code| code.code()) {
        Some(code) if !code.starts_with("57P") => Failed::Refused(error),
        _ => Failed::Broken(error, None),
    }
}

pub(super) fn of_fault(fault: read::Fault) -> Failed {
    match fault {
        read::Fault::Database(error) => sorted(error),
        read::Fault::Damaged(what) => Failed::Damaged(what.to_owned()),
    }
}

fn number(record: &Record, at: usize) -> Result<u64, Failed> {
    read::number(record, at).map_err(of_fault)
}

/// Serialization failures and deadlocks (PostgreSQL, "Serialization Failure Handling").
fn may_run_again(error: &Error) -> bool {
    error.code().is_some_and(|code| ["40001", "40P01"].contains(&code.code()))
}

pub(super) const REMOVED: &str = "this node is not among those that use the database any more";

/// How often a group is tried before its callers hear of it.
const ATTEMPTS: u32 = 3;

/// How long it may take to learn what became of a group.
pub(super) const LOOK: Duration = Duration::from_secs(3);

/// Commits of the feed that are read at once.
pub(super) const FEED_PAGE: usize = 256;
