//! The store on PostgreSQL: as many processes as wanted, its nodes, use one database.
//!
//! What: on each node the same queue and groups as the embedded stores, each group one transaction under a lock on the row `head`, in two
//! round trips. The first also reads what other nodes committed since, which is projected before anything that comes after it; where a node
//! has nothing to write, it looks five times a second (`node.rs`). Reads have a pool of connections. Why the lock comes first, and not
//! last: versions are revisions, so nothing can be written before they are known, and under it a plain read is as good as one that locks
//! each row. What it does not do: nothing rests on a session, a prepared statement, an advisory lock or a notification, so that a pooler of
//! transactions may stand between.

mod address;
mod following;
mod group;
mod node;
mod place;
mod read;
mod schema;
mod snapshot;
mod statements;
mod whole;
mod writer;

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime as For};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;
use tokio_postgres::types::Type;
use wardein_port::{
    Change, Entries, Feed, Head, Peek, Pending, Projection, Row, RowKey, Scanned, Snapshot, Store,
    StoreError, Table, Told,
};

use crate::open::OpenError;
use crate::place::Reserve;
use crate::queue::Queue;
use crate::range::Range;
use node::Node;
use snapshot::PostgresSnapshot;
use writer::{PostgresWriter, Shared};

pub(crate) use whole::PostgresTarget;

pub use address::Address;
pub use node::Sharing;

/// A store in a PostgreSQL database.
pub struct PostgresStore {
    // In the order in which they must go: the writer ends and leaves the nodes, then what it ran on.
    ticker: Ticker,
    queue: Option<Arc<Queue>>,
    pool: Pool,
    address: Address,
    shared: Shared,
    node: Arc<Node>,
    runtime: Option<Runtime>,
}

/// What is known of a database without joining its nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// How far it is.
    pub head: Head,
    /// The processes that use it, by name.
    pub nodes: Vec<NodeStatus>,
    /// The version of the server, as it says it.
    pub server: String,
    /// Which cluster and timeline it is on; none where the server does not tell.
    pub place: Option<String>,
    /// Whether that is on record, and nothing that was acknowledged is known to be missing.
    pub is_confirmed: bool,
    /// What a node knew and did not find there.
    pub missing: Option<String>,
}

/// A process that uses a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeStatus {
    /// A UUID that it got when it joined.
    pub id: String,
    /// How it calls itself.
    pub name: String,
    /// The release of its software.
    pub release: String,
    /// Whether it has the upkeep of what all share.
    pub keeps: bool,
    /// How long ago it was last seen, in milliseconds.
    pub seen_ms: u64,
    /// How many revisions it was behind when it last said so.
    pub behind: u64,
    /// How far its machine's clock is ahead of the database's, in milliseconds.
    pub ahead_ms: i64,
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
        let records = client.query_typed(NODES, &[]).await.map_err(failed)?;
        let nodes = records.iter().map(node_of).collect::<Result<_, _>>().map_err(failed)?;
        let sql = "SELECT current_setting('server_version')";
        let record = client.query_typed_one(sql, &[]).await.map_err(failed)?;
        let server = record.try_get(0).map_err(failed)?;
        let place::Found { recorded, contested, here, .. } = place::look(&client).await.map_err(failed)?;
        let is_confirmed = contested.is_none() && (recorded.is_none() || here.is_none() || recorded == here);
        Ok(Status { head, nodes, server, place: here, is_confirmed, missing: contested })
    })
}

/// Puts the timeline that a database is on on record, on the word of who knows that nothing acknowledged is missing there. False where it
/// is there already. Where a node missed something, it is refused.
pub fn confirm(address: &Address) -> Result<bool, OpenError> {
    let found = status(address)?;
    match found.missing {
        Some(missing) => Err(OpenError::Contested { path: address.shown().to_owned(), missing }),
        None if found.is_confirmed => Ok(false),
        None => settle(address).map(|()| true),
    }
}

/// The same after a restore, whatever was missing.
pub fn settle(address: &Address) -> Result<(), OpenError> {
    let at = address.shown();
    on_thread(at, async {
        let client = connect(address).await?;
        schema::inspect(&client, at).await?;
        place::settle(&client).await.map_err(|error| OpenError::failed(at, words(&error)))
    })
}

/// Removes the node of that id from those that use a database; whether there was one. Its process ends as soon as it looks, and one that is
/// started again joins again.
pub fn remove(address: &Address, id: &str) -> Result<bool, OpenError> {
    let at = address.shown();
    on_thread(at, async {
        let mut client = connect(address).await?;
        schema::inspect(&client, at).await?;
        let failed = |error| OpenError::failed(at, words(&error));
        // Between two groups.
        let all = client.transaction().await.map_err(failed)?;
        all.query_typed(statements::LOCK, &[]).await.map_err(failed)?;
        let sql = "DELETE FROM wardein.nodes WHERE id::text = $1";
        let removed = all.execute_typed(sql, &[(&id, Type::TEXT)]).await.map_err(failed)?;
        all.commit().await.map_err(failed)?;
        Ok(removed > 0)
    })
}

fn node_of(record: &tokio_postgres::Row) -> Result<NodeStatus, tokio_postgres::Error> {
    Ok(NodeStatus {
        id: record.try_get(0)?,
        name: record.try_get(1)?,
        release: record.try_get(2)?,
        keeps: record.try_get(3)?,
        seen_ms: record.try_get::<_, i64>(4)?.max(0).cast_unsigned(),
        behind: record.try_get::<_, i64>(5)?.max(0).cast_unsigned(),
        ahead_ms: record.try_get(6)?,
    })
}

impl PostgresStore {
    /// Opens the store in a database that has the tables. `name` is how this process is shown to others. One that
    /// differs only in what follows `, process ` is of a former process of the same node, whose place it takes. Where it must be alone, or another
    /// is, it waits for as long as one that crashed could still live; where one does, the store is [`OpenError::Locked`].
    pub fn open(address: &Address, name: &str, sharing: Sharing) -> Result<Self, OpenError> {
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
        let task = async move { PostgresWriter::open(own, &named, sharing, made).await };
        let opened =
            wait(&handle, task).unwrap_or_else(|| Err(failed(&"opening it failed; the log says why")));
        let writer = match opened {
            Ok(writer) => writer,
            Err(error) => {
                runtime.shutdown_background();
                return Err(error);
            }
        };
        let node = writer.node();
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
        let ticker = Ticker::start(at, Arc::clone(&queue))?;
        let address = address.clone();
        Ok(Self { ticker, queue: Some(queue), pool, address, shared, node, runtime: Some(runtime) })
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
        match self.shared.why() {
            None => self.node.clock(),
            Some(why) => {
                if let Some(queue) = &self.queue {
                    queue.nudge();
                }
                Err(why)
            }
        }
    }

    fn current(&self) -> Result<(), String> {
        let age = self.node.age();
        if age <= node::LIMIT {
            return Ok(());
        }
        let why = self.shared.why().unwrap_or_else(|| "the database has not answered".into());
        Err(format!("what other nodes decided is not known for {} s: {why}", age.as_secs()))
    }

    fn others(&self) -> u64 {
        self.node.others.load(Ordering::Acquire)
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn is_alone(&self) -> bool {
        self.node.is_alone()
    }

    fn keeps(&self) -> bool {
        self.node.keeps()
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

/// Has the writer look at what other nodes do, where it has nothing else to do.
struct Ticker {
    stop: Option<std::sync::mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    fn start(at: &Path, queue: Arc<Queue>) -> Result<Self, OpenError> {
        let (stop, stopped) = std::sync::mpsc::channel();
        let tick = move || {
            while stopped.recv_timeout(node::LOOK_EVERY) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                queue.nudge();
            }
        };
        let thread = std::thread::Builder::new().name("store-ticker".into()).spawn(tick);
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

const NODES: &str = "SELECT n.id::text, n.name, n.release,
                            coalesce(h.keeper = n.id AND h.kept_until > clock_timestamp(), false),
                            (extract(epoch FROM clock_timestamp() - n.seen) * 1000)::int8, h.revision - n.revision, n.ahead_ms
                     FROM wardein.nodes n, wardein.head h ORDER BY n.name, n.id";

/// Threads that talk to the database.
const THREADS: usize = 2;

/// Connections that read. The writer has one more, and each snapshot.
const READERS: usize = 8;

/// How long a connection of the pool is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a read may take.
const READ: Duration = Duration::from_secs(60);
