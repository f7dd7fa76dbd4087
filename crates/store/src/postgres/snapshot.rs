//! All stored data as of one moment: a transaction that reads (PostgreSQL, "Repeatable Read Isolation Level").

use std::sync::mpsc as std_mpsc;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use wardein_port::{Entries, Scanned, Snapshot, StoreError, Table};

use super::address::Address;
use super::{read, words};
use crate::range::Range;

/// A connection in a transaction, in a task of its own: its reader need not be in a runtime, and may be in one.
pub(super) struct PostgresSnapshot {
    requests: mpsc::UnboundedSender<Request>,
}

enum Request {
    Scan { table: Table, range: Range, limit: usize, answer: Answer<Scanned> },
    Audit { from: u64, limit: usize, answer: Answer<Entries> },
    Held { answer: Answer<u64> },
}

type Answer<T> = std_mpsc::SyncSender<Result<T, StoreError>>;

impl PostgresSnapshot {
    pub(super) fn begin(runtime: &Handle, address: &Address) -> Result<Self, StoreError> {
        let (requests, queue) = mpsc::unbounded_channel();
        let (begun, has_begun) = std_mpsc::sync_channel(1);
        let address = address.clone();
        runtime.spawn(async move {
            match moment(&address).await {
                Ok((client, at)) => {
                    // Nobody waits for one that was given up.
                    let _ = begun.send(Ok(()));
                    serve(client, at, queue).await;
                }
                Err(error) => drop(begun.send(Err(StoreError(words(&error))))),
            }
        });
        has_begun.recv().unwrap_or_else(|_| Err(stopped()))?;
        Ok(Self { requests })
    }

    fn ask<T>(&self, request: impl FnOnce(Answer<T>) -> Request) -> Result<T, StoreError> {
        let (answer, answered) = std_mpsc::sync_channel(1);
        self.requests.send(request(answer)).map_err(|_| stopped())?;
        answered.recv().unwrap_or_else(|_| Err(stopped()))
    }
}

/// A transaction that sees one moment, and the end of the write-ahead log at that moment.
async fn moment(address: &Address) -> Result<(Client, String), tokio_postgres::Error> {
    let client = address.connect().await?;
    client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    // The first query takes the moment.
    let at =
        client.query_typed_one("SELECT pg_current_wal_insert_lsn()::text FROM wardein.head", &[]).await?;
    Ok((client, at.try_get(0)?))
}

/// Until the snapshot is dropped.
async fn serve(client: Client, at: String, mut queue: mpsc::UnboundedReceiver<Request>) {
    while let Some(request) = queue.recv().await {
        // The caller waits for the answer.
        match request {
            Request::Scan { table, range, limit, answer } => {
                let found = read::scan(&client, table, &range, limit).await;
                let _ = answer.send(found.map_err(StoreError::from));
            }
            Request::Audit { from, limit, answer } => {
                let found = read::audit(&client, from, limit).await;
                let _ = answer.send(found.map_err(StoreError::from));
            }
            Request::Held { answer } => {
                let sql = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), $1::text::pg_lsn)::int8";
                let held = client.query_typed_one(sql, &[(&at, Type::TEXT)]).await;
                let held = held.and_then(|record| record.try_get::<_, i64>(0));
                let held = held.map(|bytes| u64::try_from(bytes).unwrap_or(0));
                let _ = answer.send(held.map_err(|error| StoreError(words(&error))));
            }
        }
    }
}

impl Snapshot for PostgresSnapshot {
    fn scan(&self, table: Table, after: Option<&[u8]>, limit: usize) -> Result<Scanned, StoreError> {
        let range = Range::new(b"", after);
        self.ask(|answer| Request::Scan { table, range, limit, answer })
    }

    fn audit(&self, from: u64, limit: usize) -> Result<Entries, StoreError> {
        self.ask(|answer| Request::Audit { from, limit, answer })
    }

    /// What was written to the log since: roughly what vacuum cannot clear away.
    fn held(&self) -> u64 {
        self.ask(|answer| Request::Held { answer }).unwrap_or(0)
    }
}

fn stopped() -> StoreError {
    StoreError("the store has been closed".into())
}
