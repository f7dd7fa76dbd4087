//! The store on PostgreSQL: one process at a time writes, others wait to take its place.
//!
//! What: the same queue and groups as the embedded stores, each group one transaction under a lock on the row `head`, in two round
//! trips. Who may write has a lease there (`lease.rs`), which every group checks and renews. Reads have a pool of connections.
//! Why the lock comes first, and not last: versions are revisions, so nothing can be written before they are known, and under it
//! a plain read is as good as one that locks each row. What it does not do: nothing rests on a session, a prepared statement, an
//! advisory lock or a notification, so that a pooler of transactions may stand between.

mod address;
mod group;
mod lease;
mod read;
mod schema;
mod snapshot;
mod statements;
mod writer;

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime as For};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;
use wardein_port::{
    Change, Entries, Feed, Head, Peek, Pending, Projection, Row, RowKey, Scanned, Snapshot, Store,
    StoreError, Table, Told,
};

use crate::open::OpenError;
use crate::place::Reserve;
use crate::queue::{Queue, end_process};
use crate::range::Range;
use lease::Lease;
use snapshot::PostgresSnapshot;
use writer::{PostgresWriter, Shared};

pub use address::Address;

/// A store in a PostgreSQL database.
pub struct PostgresStore {
    // In the order in which they must go: the writer ends and gives the lease back, then what it ran on.
    ticker: Ticker,
    queue: Option<Arc<Queue>>,
    pool: Pool,
    address: Address,
    shared: Shared,
    runtime: Option<Runtime>,
}

/// What is known of a database without taking its lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// How far it is.
    pub head: Head,
    /// The process that writes to it, by its name; none where none does.
    pub holder: Option<String>,
    /// The version of the server, as it says it.
    pub server: String,
}

/// Makes the tables in a database where there are none, and lets `role` use them: to read and write, but neither to alter a table, nor to
/// empty one, nor to change an audit entry. It needs a role that may create in the database. The same again is fine.
pub fn create(address: &Address, role: Option<&str>) -> Result<(), OpenError> {
    let at = address.shown();
    on_thread(at, async {
        let mut client = connect(address).await?;
        schema::create(&mut client, at, role).await
    })
}

/// What a database is like.
pub fn status(address: &Address) -> Result<Status, OpenError> {
    let at = address.shown();
    on_thread(at, async {
        let client = connect(address).await?;
        schema::inspect(&client, at).await?;
        let failed = |error| OpenError::failed(at, words(&error));
        let head =
            read::head(&client).await.map_err(|fault| OpenError::failed(at, StoreError::from(fault).0))?;
        let sql = "SELECT CASE WHEN held_until > clock_timestamp() THEN holder_name END, current_setting('server_version') \
                   FROM wardein.head";
        let record = client.query_typed_one(sql, &[]).await.map_err(failed)?;
        Ok(Status {
            head,
            holder: record.try_get(0).map_err(failed)?,
            server: record.try_get(1).map_err(failed)?,
        })
    })
}

impl PostgresStore {
    /// Opens the store in a database that has the tables. `name` is how this process is shown to others. It waits for a lease that
    /// another process left behind, for as long as one lasts; where it is renewed meanwhile, the store is [`OpenError::Locked`].
    pub fn open(address: &Address, name: &str) -> Result<Self, OpenError> {
        let at = address.shown();
        let failed = |error: &dyn std::fmt::Display| OpenError::failed(at, error);
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("store-postgres")
            .enable_all()
            .build()
            .map_err(|error| failed(&error))?;
        let handle = runtime.handle().clone();
        let (own, named) = (address.clone(), name.to_owned());
        let shared = Shared::default();
        let made = shared.clone();
        let task = async move { PostgresWriter::open(own, &named, made).await };
        let opened =
            wait(&handle, task).unwrap_or_else(|| Err(failed(&"opening it failed; the log says why")));
        let writer = match opened {
            Ok(writer) => writer,
            Err(error) => {
                runtime.shutdown_background();
                return Err(error);
            }
        };
        let lease = writer.lease();
        let (config, tls) = address.config();
        let manager = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let pool = Pool::builder(Manager::from_config(config, tls, manager))
            .max_size(READERS)
            .runtime(For::Tokio1)
            .wait_timeout(Some(PATIENCE))
            .create_timeout(Some(PATIENCE))
            .build()
            .map_err(|error| failed(&error))?;
        let queue = Queue::start(at, writer, Arc::clone(&shared.projections), Reserve::new(at, 0))?;
        let queue = Arc::new(queue);
        let ticker = Ticker::start(at, Arc::clone(&queue), lease)?;
        let address = address.clone();
        Ok(Self { ticker, queue: Some(queue), pool, address, shared, runtime: Some(runtime) })
    }

    /// Reads everything and checks that it is whole. It takes as long as the store is large.
    pub async fn verify(&self) -> Result<(), StoreError> {
        self.read(move |client| async move { read::verify(&client).await }).await?
    }

    /// Reads on the store's own runtime: the caller may be on any, or on none.
    fn read<T, F>(
        &self,
        read: impl FnOnce(Object) -> F + Send + 'static,
    ) -> Pending<'_, Result<T, StoreError>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, read::Fault>> + Send,
    {
        Box::pin(async move {
            let closed = || StoreError("the store has been closed".into());
            let (answer, found) = oneshot::channel();
            let pool = self.pool.clone();
            let runtime = self.runtime.as_ref().ok_or_else(closed)?;
            runtime.spawn(async move {
                let reading = async {
                    let client = pool.get().await.map_err(|error| StoreError(no_connection(&error)))?;
                    read(client).await.map_err(StoreError::from)
                };
                let slow = |_| Err(StoreError("the database did not answer in time".into()));
                let told = tokio::time::timeout(READ, reading).await.unwrap_or_else(slow);
                // A caller that went away in the meantime does not want to know.
                let _ = answer.send(told);
            });
            found.await.unwrap_or_else(|_| Err(closed()))
        })
    }
}

impl Store for PostgresStore {
    fn peek(&self, _: Table, _: &[u8]) -> Result<Peek, StoreError> {
        Ok(Peek::Later)
    }

    fn load<'a>(&'a self, keys: &'a [RowKey]) -> Pending<'a, Result<Vec<Option<Row>>, StoreError>> {
        let keys = keys.to_vec();
        self.read(move |client| async move { read::load(&client, &keys).await })
    }

    fn scan<'a>(
        &'a self,
        table: Table,
        prefix: &'a [u8],
        after: Option<&'a [u8]>,
        limit: usize,
    ) -> Pending<'a, Result<Scanned, StoreError>> {
        let range = Range::new(prefix, after);
        if range.is_empty() {
            return Box::pin(async { Ok(Vec::new()) });
        }
        self.read(move |client| async move { read::scan(&client, table, &range, limit).await })
    }

    fn audit(&self, from: u64, limit: usize) -> Pending<'_, Result<Entries, StoreError>> {
        self.read(move |client| async move { read::audit(&client, from, limit).await })
    }

    fn audit_of<'a>(
        &'a self,
        key: &'a [u8],
        from: u64,
        limit: usize,
    ) -> Pending<'a, Result<Entries, StoreError>> {
        let key = key.to_vec();
        self.read(move |client| async move { read::audit_of(&client, &key, from, limit).await })
    }

    fn head(&self) -> Pending<'_, Result<Head, StoreError>> {
        self.read(|client| async move { read::head(&client).await })
    }

    fn snapshot(&self) -> Result<Option<Box<dyn Snapshot>>, StoreError> {
        let closed = || StoreError("the store has been closed".into());
        let runtime = self.runtime.as_ref().ok_or_else(closed)?;
        Ok(Some(Box::new(PostgresSnapshot::begin(runtime.handle(), &self.address)?)))
    }

    fn feed(&self, after: u64, limit: usize) -> Pending<'_, Result<Feed, StoreError>> {
        self.read(move |client| async move { read::feed(&client, after, limit).await })
    }

    fn follow(&self, projection: &Arc<dyn Projection>) {
        self.shared.projections.add(projection);
    }

    fn commit(&self, change: Change, told: Told) {
        if let Some(queue) = &self.queue {
            queue.commit(change, told);
        }
    }

    /// A writer that failed is made to try again.
    fn writable(&self) -> Result<(), String> {
        let Some(why) = self.shared.why() else { return Ok(()) };
        if let Some(queue) = &self.queue {
            queue.nudge();
        }
        Err(why)
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.ticker.stop();
        drop(self.queue.take());
        if let Some(runtime) = self.runtime.take() {
            // It may be dropped on a runtime, where nothing may be waited for.
            runtime.shutdown_background();
        }
    }
}

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PostgresStore").field(&self.address).finish()
    }
}

/// Has the lease renewed where nothing else does it, and ends the process before another may hold it.
struct Ticker {
    stop: Option<std::sync::mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    fn start(at: &Path, queue: Arc<Queue>, lease: Arc<Lease>) -> Result<Self, OpenError> {
        let (stop, stopped) = std::sync::mpsc::channel();
        let tick = move || {
            while stopped.recv_timeout(lease::TICK) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                if lease.age() > lease::LIMIT {
                    end_process(LAPSED);
                }
                queue.nudge();
            }
        };
        let thread = std::thread::Builder::new().name("store-lease".into()).spawn(tick);
        Ok(Self { stop: Some(stop), thread: Some(thread.map_err(|error| OpenError::failed(at, error))?) })
    }

    fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It does nothing that panics.
            let _ = thread.join();
        }
    }
}

/// Runs `task` on the runtime and waits for it, on whatever thread; none where it panicked.
fn wait<T: Send + 'static>(runtime: &Handle, task: impl Future<Output = T> + Send + 'static) -> Option<T> {
    let (told, outcome) = std::sync::mpsc::sync_channel(1);
    runtime.spawn(async move { drop(told.send(task.await)) });
    outcome.recv().ok()
}

/// Runs `task` on a runtime of a thread of its own: the caller may be on one already.
fn on_thread<T: Send>(
    at: &Path,
    task: impl Future<Output = Result<T, OpenError>> + Send,
) -> Result<T, OpenError> {
    std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            let runtime = Builder::new_current_thread().enable_all().build();
            runtime.map_err(|error| OpenError::failed(at, error))?.block_on(task)
        });
        run.join().unwrap_or_else(|_| Err(OpenError::failed(at, "it failed; the log says why")))
    })
}

async fn connect(address: &Address) -> Result<tokio_postgres::Client, OpenError> {
    let at = address.shown();
    address.connect().await.map_err(|error| OpenError::failed(at, words(&error)))
}

/// What an error says, with what the server said.
fn words(error: &tokio_postgres::Error) -> String {
    use std::error::Error as _;
    match (error.as_db_error(), error.source()) {
        (Some(told), _) => {
            let hint = told.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
            format!("{} (SQLSTATE {}){hint}", told.message(), told.code().code())
        }
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}

fn no_connection(error: &PoolError) -> String {
    match error {
        PoolError::Backend(error) => words(error),
        other => format!("no connection to the database: {other}"),
    }
}

const LAPSED: &str = "the lease on the database could not be renewed, and another process may hold it now";

/// Threads that talk to the database.
const THREADS: usize = 2;

/// Connections that read. The writer has one more, and each snapshot.
const READERS: usize = 8;

/// How long a connection of the pool is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a read may take.
const READ: Duration = Duration::from_secs(60);
