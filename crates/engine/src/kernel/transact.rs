//! How a decision is made, committed and answered: the one way to change anything.

use crate::kernel::{Caller, Decision, Engine, Error, Guard, Held, Kept, Stop, Tx};
use std::time::Instant;
use tokio::sync::oneshot;
use wardein_ddkg::DeviceName;
use wardein_port::{Change, CommitError, RowKey, Table};

/// How often a decision is made again when others changed its rows in the meantime.
const ATTEMPTS: usize = 16;

/// How many rows one decision may ask for, one after the other.
const NEEDS: usize = 4_096;

impl Engine {
    /// Looks at rows, and alters nothing.
    pub(crate) async fn look<T: Send>(
        &self,
        mut look: impl FnMut(&mut Tx<'_>) -> Result<T, Stop> + Send,
    ) -> Result<T, Error> {
        let mut tx = self.tx(None);
        self.reach(&mut tx, &mut look).await
    }

    /// Decides and commits, and decides again when a row has changed in between. The answer is given when the change is durable
    /// and projected. A decision that alters nothing is answered at once.
    pub(crate) async fn transact<T: Send>(
        &self,
        mut decide: impl FnMut(&mut Tx<'_>) -> Result<Decision<T>, Stop> + Send,
    ) -> Result<T, Error> {
        let mut tx = self.tx(None);
        let first = self.reach(&mut tx, &mut decide).await?;
        self.carry_out(tx, first, decide).await
    }

    /// The same about one device, one decision after the other. `judge` says whether the caller is genuine: only then does it
    /// wait for its turn, so that nobody without keys can hold up a device.
    pub(crate) async fn transact_on<T: Send>(
        &self,
        device: &DeviceName,
        mut judge: impl FnMut(&mut Tx<'_>) -> Result<(), Stop> + Send,
        mut decide: impl FnMut(&mut Tx<'_>) -> Result<Decision<T>, Stop> + Send,
    ) -> Result<T, Error> {
        if let Some(guard) = self.records.try_hold(device) {
            let mut tx = self.tx(Some(guard));
            match decide(&mut tx) {
                Ok(first) if first.answer.is_ok() || tx.is_final() => {
                    return self.carry_out(tx, first, decide).await;
                }
                Err(Stop::Refuse(error)) if tx.is_final() => return Err(error),
                // The record is released while rows are loaded, or other nodes are heard, for callers who need neither.
                Ok(_) | Err(Stop::Refuse(_) | Stop::Need(_)) => {}
            }
        }
        self.look(&mut judge).await?;
        let mut tx = self.tx(Some(self.records.hold(device).await));
        let first = self.reach(&mut tx, &mut decide).await?;
        self.carry_out(tx, first, decide).await
    }

    /// A decision of an operator. It rests on the operator's row: one that was revoked in the meantime decides nothing any more,
    /// whatever the memory of this node says.
    pub(crate) async fn transact_by<T: Send>(
        &self,
        caller: &Caller,
        mut decide: impl FnMut(&mut Tx<'_>) -> Result<Decision<T>, Stop> + Send,
    ) -> Result<T, Error> {
        self.transact(|tx| {
            let decision = decide(tx)?;
            self.vouched(caller, tx, decision)
        })
        .await
    }

    /// A decision of an operator about one device, one after the other.
    pub(crate) async fn transact_on_by<T: Send>(
        &self,
        caller: &Caller,
        device: &DeviceName,
        judge: impl FnMut(&mut Tx<'_>) -> Result<(), Stop> + Send,
        mut decide: impl FnMut(&mut Tx<'_>) -> Result<Decision<T>, Stop> + Send,
    ) -> Result<T, Error> {
        let decide = |tx: &mut Tx<'_>| {
            let decision = decide(tx)?;
            self.vouched(caller, tx, decision)
        };
        self.transact_on(device, judge, decide).await
    }

    fn vouched<T>(
        &self,
        caller: &Caller,
        tx: &Tx<'_>,
        mut decision: Decision<T>,
    ) -> Result<Decision<T>, Stop> {
        if !decision.change.is_empty() {
            let version = self.operator_version(tx, &caller.principal)?;
            let key = caller.principal.serial.as_bytes().to_vec();
            decision.change.check(Table::Operator, key, version);
        }
        Ok(decision)
    }

    /// A decision that its caller commits.
    pub(crate) async fn decide<T: Send>(
        &self,
        mut decide: impl FnMut(&mut Tx<'_>) -> Result<Decision<T>, Stop> + Send,
    ) -> Result<Decision<T>, Error> {
        self.reach(&mut self.tx(None), &mut decide).await
    }

    fn tx(&self, guard: Option<Guard>) -> Tx<'_> {
        Tx::new(&*self.store, &*self.entropy, guard)
    }

    /// Runs `decide` until it has all rows.
    async fn reach<T>(
        &self,
        tx: &mut Tx<'_>,
        decide: &mut (impl FnMut(&mut Tx<'_>) -> Result<T, Stop> + Send),
    ) -> Result<T, Error> {
        for _ in 0..NEEDS {
            match decide(tx) {
                Ok(decision) => return Ok(decision),
                Err(Stop::Refuse(error)) if tx.is_final() => return Err(error),
                // What another node acknowledged may not be known here yet: nothing is refused for that.
                Err(Stop::Refuse(_)) => self.hear_for(tx).await?,
                Err(Stop::Need(keys)) => self.load(tx, keys).await?,
            }
        }
        Err(Error::internal("a decision asks for rows without end"))
    }

    /// Waits until all is projected that other nodes acknowledged before, where there are any.
    pub async fn hear_others(&self) -> Result<(), Error> {
        if self.store.is_alone() { Ok(()) } else { self.hear().await }
    }

    /// Waits until all is projected that was committed before, on whichever node.
    async fn hear(&self) -> Result<(), Error> {
        Ok(self.commit_alone(Change::default()).await.map(|_| ())?)
    }

    /// Has [`Engine::alone`] know of a node that joined since the last look.
    pub(crate) async fn look_for_nodes(&self) -> Result<(), Error> {
        if self.store.is_shared() { self.hear().await } else { Ok(()) }
    }

    async fn hear_for(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        self.hear().await?;
        tx.forget();
        tx.has_heard = true;
        Ok(())
    }

    async fn load(&self, tx: &mut Tx<'_>, mut keys: Vec<RowKey>) -> Result<(), Error> {
        // The two rows of a device's keys belong together: read at two moments, one may be older than a commit that wrote both.
        let cold = keys.iter().filter(|key| key.table == Table::DeviceKeys);
        let hot: Vec<_> =
            cold.map(|cold| RowKey { table: Table::DeviceHot, key: cold.key.clone() }).collect();
        keys.extend(hot);
        keys.sort_unstable();
        keys.dedup();
        let rows = self.store.load(&keys).await?;
        keys.into_iter().zip(rows).for_each(|(key, row)| tx.take_in(key, row));
        Ok(())
    }

    /// Commits a decision, and makes it again while it conflicts.
    async fn carry_out<T: Send>(
        &self,
        mut tx: Tx<'_>,
        first: Decision<T>,
        mut decide: impl FnMut(&mut Tx<'_>) -> Result<Decision<T>, Stop> + Send,
    ) -> Result<T, Error> {
        let Decision { mut change, mut answer, mut keys } = first;
        let mut turn = None;
        for _ in 0..ATTEMPTS {
            if answer.is_err() && !tx.is_final() {
                self.hear_for(&mut tx).await?;
                Decision { change, answer, keys } = self.reach(&mut tx, &mut decide).await?;
            }
            if change.is_empty() {
                return answer;
            }
            match self.commit(change, &mut tx, keys).await {
                Ok(_) => return answer,
                // A turn is kept to the end, whatever conflicts next, so that nobody waits with one for another.
                Err(CommitError::Conflict { table, key }) if turn.is_none() => {
                    turn = Some(self.turns.of(table, &key).await);
                }
                Err(CommitError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            tx.forget();
            Decision { change, answer, keys } = self.reach(&mut tx, &mut decide).await?;
        }
        Err(Error::contended())
    }

    /// Commits a change, and gives its revision. `keys` are kept, and the record is released, when it is durable, whether or not
    /// the caller still waits.
    async fn commit(
        &self,
        mut change: Change,
        tx: &mut Tx<'_>,
        keys: Option<Kept>,
    ) -> Result<u64, CommitError> {
        // A look at what others did is not what the meter is about.
        let meter = self.meter.as_ref().filter(|_| !change.is_empty());
        change.at_ms = self.clock.now_ms();
        change.others = tx.others.take();
        let (tell, told) = oneshot::channel();
        let (guard, place) = (tx.guard.take(), tx.place.take());
        let started = Instant::now();
        self.store.commit(
            change,
            Box::new(move |outcome| {
                let guard = match (&outcome, guard) {
                    (Ok(revision), Some(mut guard)) => {
                        // Memory is now behind the store.
                        drop(guard.take());
                        if let Some(Kept { keys, cold }) = keys {
                            guard.put(Held { cold: cold.unwrap_or(*revision), version: *revision, keys });
                        }
                        None
                    }
                    (_, guard) => guard,
                };
                let place = place.filter(|_| outcome.is_err());
                // All of it is dropped where nobody waits for it.
                let _ = tell.send((outcome, guard, place));
            }),
        );
        let unknown = || CommitError::Unknown("the store ended without an answer".into());
        let outcome;
        (outcome, tx.guard, tx.place) = told.await.unwrap_or_else(|_| (Err(unknown()), None, None));
        if let Some(meter) = meter {
            meter(started.elapsed(), outcome.is_ok());
        }
        outcome
    }

    /// Commits a change that was decided outside of [`Engine::transact`], by a sweep or another long deed.
    pub(crate) async fn commit_alone(&self, change: Change) -> Result<u64, CommitError> {
        self.commit(change, &mut self.tx(None), None).await
    }
}
