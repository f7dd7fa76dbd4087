//! The writer: each group is one transaction.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::time::{sleep, timeout, timeout_at};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Row as Record};
use wardein_port::{Change, Feed, Head, Outcome, Projections, StoreError};

use super::address::Address;
use super::group::{Found, Judged, Named, names};
use super::lease::{self, Lease, booted_ms};
use super::statements::{BEGIN, ENDS, LAST_GROUP, LOCK, OLDEST, Param, TRUNCATE, VERSIONS, write};
use super::{read, schema, words};
use crate::age::{self, Age};
use crate::open::OpenError;
use crate::postings::{Posting, Tails};
use crate::queue::{self, Fault, Writer, end_process};

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

    fn set(&self, why: Option<String>) {
        *self.down.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }
}

pub(super) struct PostgresWriter {
    address: Address,
    runtime: Handle,
    shared: Shared,
    lease: Arc<Lease>,
    /// None after a failure, until it was opened again.
    client: Option<Client>,
    head: Head,
    age: Age,
    tails: Tails,
    /// The number of the last group that was begun under this lease.
    group: i64,
    tried: Instant,
}

/// Why a group did not come to be, or is not known to.
enum Failed {
    /// The server refused: nothing of it was applied.
    Refused(Error),
    /// The connection broke. Whether the group that was written, if one was, came to be is not known.
    Broken(Error, Option<Written>),
    /// What is stored is not as it must be.
    Damaged(String),
    /// Another process holds the lease.
    Replaced,
}

/// What holds once a group has come to be.
struct Written {
    outcomes: Vec<Outcome>,
    head: Head,
    age: Age,
}

/// The versions of a group's rows, and the last rows of its keys in the index.
type Prepared<'g> = (Found<'g>, HashMap<Vec<u8>, Posting>);

/// What a query found.
type Records = Result<Vec<Record>, Error>;

impl PostgresWriter {
    /// Connects, and takes the lease.
    pub(super) async fn open(address: Address, name: &str, shared: Shared) -> Result<Self, OpenError> {
        let at = address.shown().to_owned();
        let client = super::connect(&address).await?;
        schema::inspect(&client, &at).await?;
        let lease = Arc::new(Lease::take(&client, &at, name).await?);
        let told = |fault: read::Fault| OpenError::failed(&at, StoreError::from(fault).0);
        let (head, age) = (read::head(&client).await.map_err(told)?, read::age(&client).await.map_err(told)?);
        Ok(Self {
            address,
            runtime: Handle::current(),
            shared,
            lease,
            client: Some(client),
            head,
            age,
            tails: Tails::default(),
            group: 0,
            tried: Instant::now(),
        })
    }

    pub(super) fn lease(&self) -> Arc<Lease> {
        Arc::clone(&self.lease)
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
                Failed::Replaced => end_process(REPLACED),
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
        (self.head, self.age) = (head, age);
        outcomes
    }

    /// Applies a group in one transaction. The lock on `head` makes it the only one: what is read under it stays so.
    async fn attempt(&mut self, group: &[Change]) -> Result<Written, Failed> {
        let Some(client) = &self.client else { return Err(Failed::Damaged("it is not connected".into())) };
        let written = |outcomes, head, age| Written { outcomes, head, age };
        let is_empty = group.iter().all(Change::is_empty);
        if is_empty && self.lease.age() < lease::TICK / 2 {
            let unchanged = group.iter().map(|_| Ok(self.head.revision)).collect();
            return Ok(written(unchanged, self.head, self.age));
        }
        let begun = booted_ms();
        let names = names(group);
        let (tables, keys): (Vec<i16>, Vec<&[u8]>) =
            names.iter().map(|(table, key)| (*table as i16, *key)).unzip();
        let unknown = self.tails.unknown(group);
        let versions: [Param<'_>; 2] = [(&tables, Type::INT2_ARRAY), (&keys, Type::BYTEA_ARRAY)];
        let ends: [Param<'_>; 1] = [(&unknown, Type::BYTEA_ARRAY)];
        // Sent in this order, without waiting for each other.
        let answers = tokio::join!(biased;
            client.batch_execute(BEGIN),
            client.query_typed(LOCK, &[]),
            client.query_typed(VERSIONS, &versions),
            client.query_typed(ENDS, &ends),
        );
        let (found, stored) = match self.prepared(&names, answers) {
            Ok(prepared) => prepared,
            Err(failed) => return Err(roll_back(client, failed).await),
        };
        let mut age = self.age;
        let mut judged = Judged::of(group, &found, self.head, &mut age);
        if judged.head == self.head && !is_empty {
            // All were refused.
            client.batch_execute("ROLLBACK").await.map_err(sorted)?;
            return Ok(written(judged.outcomes, self.head, self.age));
        }
        let filing = std::mem::take(&mut judged.filing);
        let damaged = || Failed::Damaged(read::INDEX_DAMAGED.into());
        let index = match filing.rows(&mut self.tails, |key| Ok(stored.get(key).cloned()), damaged) {
            Ok(index) => index,
            Err(failed) => return Err(roll_back(client, failed).await),
        };
        let number = if is_empty { self.group } else { self.group + 1 };
        let sent = write(client, &judged, self.head.last_audit, number, &index).await;
        let written = written(std::mem::take(&mut judged.outcomes), judged.head, age);
        match sent.map_err(sorted) {
            Ok(()) => {
                self.lease.renewed(begun);
                Ok(written)
            }
            Err(Failed::Broken(error, _)) => Err(Failed::Broken(error, Some(written))),
            Err(failed) => Err(failed),
        }
    }

    fn prepared<'g>(
        &self,
        names: &[Named<'g>],
        (begin, lock, versions, ends): (Result<(), Error>, Records, Records, Records),
    ) -> Result<Prepared<'g>, Failed> {
        begin.map_err(sorted)?;
        let lock = lock.map_err(sorted)?;
        let head = lock.first().ok_or_else(|| Failed::Damaged("its head is gone".into()))?;
        if head.try_get::<_, Option<&str>>(0).map_err(sorted)? != Some(&self.lease.holder) {
            return Err(Failed::Replaced);
        }
        let stored = Head { revision: number(head, 1)?, last_audit: number(head, 2)? };
        if stored != self.head {
            return Err(Failed::Damaged(format!(
                "{:?} was acknowledged, and {stored:?} was found",
                self.head
            )));
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

    /// Connects again, and tells which group came to be last. So it is known, and final, whether the one that was under way did.
    async fn look_up(&mut self, broken: &Error) -> Result<i64, Fault> {
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
        let record = client.query_typed_one(LAST_GROUP, &[]).await.map_err(sorted)?;
        client.batch_execute("ROLLBACK").await.map_err(sorted)?;
        if record.try_get::<_, Option<&str>>(0).map_err(sorted)? != Some(&self.lease.holder) {
            end_process(REPLACED);
        }
        Ok((client, record.try_get(1).map_err(sorted)?))
    }

    /// Connects again after a failure, and goes on only if everything acknowledged is there.
    async fn recover(&mut self) -> Result<(), String> {
        if self.tried.elapsed() < PAUSE {
            return Err(self.shared.why().unwrap_or_default());
        }
        self.tried = Instant::now();
        let (client, last) = match timeout(LOOK, self.last_group()).await {
            Ok(found) => found.map_err(reason)?,
            Err(_) => return Err("the database does not answer".into()),
        };
        schema::inspect(&client, self.address.shown()).await.map_err(|error| error.to_string())?;
        let told = |fault: read::Fault| StoreError::from(fault).0;
        let (found, acknowledged) = (read::head(&client).await.map_err(told)?, self.head);
        if found.revision < acknowledged.revision || found.last_audit < acknowledged.last_audit {
            return Err(format!("{acknowledged:?} was acknowledged, and {found:?} was found"));
        }
        // From here on it is known which of the commits that were answered as unknown were applied.
        self.shared.projections.recovered();
        let mut projected = acknowledged.revision;
        loop {
            let commits = match read::feed(&client, projected, FEED_PAGE).await.map_err(told)? {
                Feed::Since(commits) => commits,
                // Only this writer truncates it, and only projected entries.
                Feed::Truncated { up_to } => return Err(format!("the feed is truncated up to {up_to}")),
            };
            let Some(last) = commits.last() else { break };
            projected = last.revision;
            queue::project(commits.iter(), &self.shared.projections);
        }
        self.age = read::age(&client).await.map_err(told)?;
        (self.head, self.group) = (found, last);
        self.tails.clear();
        self.client = Some(client);
        self.shared.set(None);
        Ok(())
    }

    async fn truncate_feed(&mut self) -> Result<(), Error> {
        let (Some(before), Some(client)) = (self.age.due(), &self.client) else { return Ok(()) };
        let (most, before) = (age::AT_A_TIME as i64, before.cast_signed());
        let sql: [Param<'_>; 3] =
            [(&most, Type::INT8), (&before, Type::INT8), (&self.lease.holder, Type::TEXT)];
        client.execute_typed(TRUNCATE, &sql).await?;
        let oldest: i64 = client.query_typed_one(OLDEST, &[]).await?.try_get(0)?;
        self.age.truncated(oldest.cast_unsigned());
        Ok(())
    }

    fn said(&self, why: &str) -> String {
        format!("{}: {why}", self.address.shown().display())
    }

    fn down(&self, why: &str) -> String {
        let why = self.said(&format!("{why}; it is being connected to again"));
        self.shared.set(Some(why.clone()));
        why
    }

    fn stay_down(&self, why: String) -> Fault {
        let why = if self.shared.why().as_ref() == Some(&why) { why } else { self.down(&why) };
        Fault::Unavailable(why)
    }
}

impl Writer for PostgresWriter {
    fn write(&mut self, group: &[Change]) -> Result<Vec<Outcome>, Fault> {
        let runtime = self.runtime.clone();
        runtime.block_on(self.write_group(group))
    }

    fn rest(&mut self) {
        let runtime = self.runtime.clone();
        if let Err(error) = runtime.block_on(self.truncate_feed())
            && error.is_closed()
        {
            // Nothing is lost; the next group finds another connection.
            self.client = None;
        }
    }
}

impl Drop for PostgresWriter {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            let release = async { timeout(LOOK, self.lease.release(&client)).await };
            // Without it the next process waits until the lease ends by itself.
            let _ = self.runtime.block_on(release);
        }
    }
}

fn reason(failed: Failed) -> String {
    match failed {
        Failed::Refused(error) | Failed::Broken(error, _) => words(&error),
        Failed::Damaged(what) => what,
        Failed::Replaced => REPLACED.to_owned(),
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
fn sorted(error: Error) -> Failed {
    // An administrator's command ends the connection with a word (class 57P).
    match error.code().map(|code| code.code()) {
        Some(code) if !code.starts_with("57P") => Failed::Refused(error),
        _ => Failed::Broken(error, None),
    }
}

fn of_fault(fault: read::Fault) -> Failed {
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

const REPLACED: &str = "another process has taken the lease on the database";

/// How often a group is tried before its callers hear of it.
const ATTEMPTS: u32 = 3;

/// How long it may take to learn what became of a group.
const LOOK: Duration = Duration::from_secs(3);

/// Between two attempts at that.
const AGAIN: Duration = Duration::from_millis(50);

/// Between two attempts at recovery.
const PAUSE: Duration = Duration::from_millis(200);

/// Commits of the feed that are read at once after a failure.
const FEED_PAGE: usize = 256;
