//! The server: binds, serves on two runtimes per core, one of them for operators, and stops in order.

mod accept;
mod connection;
mod est;
mod keys;
mod patient;
mod places;
mod tls;
mod upkeep;

use crate::config::{Config, EstConfig};
use crate::edge::Shared;
use crate::edge::metrics::Metrics;
use crate::grpc::panic::Caught;
use crate::grpc::services;
use crate::http;
use crate::sinks::{SinkConfig, Sinks, Surroundings};
use crate::traces::{Spans, TraceConfig, deliver};
use crate::webhooks::deliver_webhooks;
use accept::{Turns, take};
pub(crate) use connection::HTTP1;
use connection::{Door, OuterDoor};
use est::EstDoor;
use keys::ReadyKeys;
use places::Places;
use socket2::{Domain, Protocol, Socket, Type};
use std::future::Future;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::{io, thread};
use tls::{Shown, TlsError, configuration, est_configuration};
pub(crate) use tls::{receiver_configuration, sink_configuration};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;
use upkeep::{
    account, count, hear_of_devices, keep_cas, keep_updates, keep_verdict_keys, publish_crls,
    publish_status_lists, renew, sweep_by_itself, watch_clock, work_off_deeds,
};
use wardein_engine::{Engine, Error};

/// A server that has its ports and does not serve yet.
pub struct Server {
    config: Config,
    engine: Arc<Engine>,
    metrics: Arc<Metrics>,
    grpc: StdListener,
    http: StdListener,
    est: Option<StdListener>,
    sinks: Vec<SinkConfig>,
    reopen: watch::Receiver<u64>,
    traces: Option<TraceConfig>,
}

/// Why the server does not start, or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// A port cannot be had.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The engine refuses to certify the server, or cannot provide the data needed to serve.
    #[error("the authority cannot be served")]
    Engine(#[from] Error),
    /// TLS cannot be set up.
    #[error("the authority cannot be served: {0}")]
    Tls(String),
    /// The system gives no thread or runtime.
    #[error("no thread to serve with")]
    Thread(#[from] io::Error),
    /// A thread that serves ended before it was asked to.
    #[error("a serving thread ended by itself")]
    Ended,
}

impl From<TlsError> for ServeError {
    fn from(error: TlsError) -> Self {
        let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
        Self::Tls(format!("{error}{}", source.unwrap_or_default()))
    }
}

impl Server {
    /// Takes the ports. Nobody is served before [`Server::run`].
    pub fn bind(config: Config, engine: Arc<Engine>, metrics: Arc<Metrics>) -> Result<Self, ServeError> {
        let bind = |address| listen(address).map_err(|source| ServeError::Bind { address, source });
        let est = config.est.map(|est| bind(est.listen)).transpose()?;
        let (grpc, http) = (bind(config.listen)?, bind(config.http)?);
        // Of a channel whose other end has gone nothing is heard.
        let (sinks, reopen) = (Vec::new(), watch::Sender::new(0).subscribe());
        Ok(Self { grpc, http, est, config, engine, metrics, sinks, reopen, traces: None })
    }

    /// Has the audit log delivered to `sinks` while it serves. Whenever `reopen` changes, their files are opened and their
    /// certificates are read again.
    pub fn deliver_audit(self, sinks: Vec<SinkConfig>, reopen: watch::Receiver<u64>) -> Self {
        Self { sinks, reopen, ..self }
    }

    /// Has the spans of traced calls delivered to a collector while it serves.
    pub fn deliver_traces(self, traces: TraceConfig) -> Self {
        Self { traces: Some(traces), ..self }
    }

    /// Where gRPC is served; the port is the one that the system chose where the configuration says 0.
    pub fn grpc_address(&self) -> Result<SocketAddr, ServeError> {
        Ok(self.grpc.local_addr()?)
    }

    /// Where HTTP is served.
    pub fn http_address(&self) -> Result<SocketAddr, ServeError> {
        Ok(self.http.local_addr()?)
    }

    /// Where EST is served, if it is.
    pub fn est_address(&self) -> Result<Option<SocketAddr>, ServeError> {
        Ok(self.est.as_ref().map(StdListener::local_addr).transpose()?)
    }

    /// Serves until `shutdown` is done, then accepts no more connections, finishes running calls, within the time that the limits
    /// give, and returns. It blocks the calling thread, which must be in no runtime.
    pub fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
        runtime()?.block_on(self.serve(shutdown))
    }

    async fn serve(self, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
        let Self { config, engine, metrics, grpc, http, est, sinks, reopen, traces } = self;
        let identity = engine.issue_server_identity(&config.names).await?;
        let shown = Shown::new(&identity)?;
        let (tls, issued) = configuration(shown.clone(), &engine, engine.infrastructure_ca()?)?;
        let tls = TlsAcceptor::from(Arc::new(tls));
        let domain = Arc::new(engine.status().await?.trust_domain);
        let (spans, traced) = traces.as_ref().map(Spans::begin).unzip();
        let shared = Shared::new(engine.clone(), metrics.clone(), &config, spans)?;
        let services = services(&shared).await?;
        let stopping = shared.stop.subscribe();
        // A stop waits for the current step.
        drop(shared.work.spawn(work_off_deeds(engine.clone(), stopping.clone())));

        let (ended, mut any_ended) = mpsc::channel::<()>(1);
        let mut workers = Workers { shared: shared.clone(), ended, joined: Vec::new() };
        let door = || Door { shared: shared.clone(), routes: Caught::new(services.routes()) };
        let operators = workers.begin("operators", config.threads(), || {
            let door = door();
            move |known| door.clone().serve_operator(known)
        })?;
        let doors = workers.begin("open", config.threads(), || {
            let (tls, domain) = (tls.clone(), domain.clone());
            let (issued, operators) = (issued.clone(), operators.clone());
            let door = OuterDoor { door: door(), tls, domain, issued, operators };
            move |taken| door.clone().serve(taken)
        })?;

        let ready_keys = match config.made_keys {
            0 => None,
            keys => Some(ReadyKeys::begin(keys, metrics.clone())?),
        };
        ready_keys.iter().for_each(|keys| engine.make_keys_by(keys.clone()));
        let est = match (est, config.est) {
            (Some(listener), Some(EstConfig { lines, .. })) => {
                let tls = TlsAcceptor::from(Arc::new(est_configuration(shown.clone(), &engine)?));
                let door = || {
                    let door = EstDoor { shared: shared.clone(), tls: tls.clone(), lines };
                    move |taken| door.clone().serve(taken)
                };
                // A renewal comes once in half a certificate's life; more threads brought no more of them a second.
                Some((TcpListener::from_std(listener)?, workers.begin("est", 1, door)?))
            }
            _ => None,
        };

        let (engine_of_sinks, metrics_of_sinks, stop) = (engine.clone(), metrics.clone(), stopping.clone());
        let around = Surroundings { engine: engine_of_sinks, metrics: metrics_of_sinks, reopen, stop };
        let sinks = Sinks::begin(sinks, &around)?;
        drop(around);

        let places = Places::new(&config.limits, metrics.clone());
        let mut http = tokio::spawn(http::serve(
            TcpListener::from_std(http)?,
            engine.clone(),
            metrics.clone(),
            stopping.clone(),
        ));
        let counts = (&*metrics, &*shared.floods);
        let taking = take(TcpListener::from_std(grpc)?, places.clone(), counts, doors);
        let taking_est = async {
            match est {
                Some((listener, doors)) => take(listener, places.clone(), counts, doors).await,
                None => std::future::pending().await,
            }
        };
        let renewing = renew(&shared, &shown, &config, identity.not_after);
        let sweeping = sweep_by_itself(&engine, &config.limits);
        let keeping = keep_cas(&shared);
        let keeping_keys = keep_verdict_keys(&shared);
        let keeping_updates = keep_updates(&shared);
        let following = services.health.follow(&engine);
        let accounting = account(&shared);
        let watching = watch_clock(&shared);
        let counting = count(&shared);
        let publishing = publish_crls(&shared);
        let publishing_status = publish_status_lists(&shared);
        let hearing = hear_of_devices(&engine);
        let delivering = deliver_webhooks(&shared);
        let watching_sinks = sinks.watch(&engine, &metrics);
        let tracing_calls = async {
            match traces.zip(traced) {
                Some((traces, spans)) => deliver(spans, traces.collector(), &metrics).await,
                None => std::future::pending().await,
            }
        };
        let outcome = tokio::select! {
            () = shutdown => Ok(()),
            () = taking => Ok(()),
            () = taking_est => Ok(()),
            () = renewing => Ok(()),
            () = sweeping => Ok(()),
            () = keeping => Ok(()),
            () = keeping_keys => Ok(()),
            () = keeping_updates => Ok(()),
            () = following => Ok(()),
            () = accounting => Ok(()),
            () = watching => Ok(()),
            () = counting => Ok(()),
            () = publishing => Ok(()),
            () = publishing_status => Ok(()),
            () = hearing => Ok(()),
            () = delivering => Ok(()),
            () = watching_sinks => Ok(()),
            () = tracing_calls => Ok(()),
            // Connections would go on being dealt out to a thread that is dead, and probes would hear nothing of a port that is.
            _ = any_ended.recv() => Err(ServeError::Ended),
            _ = &mut http => Err(ServeError::Ended),
        };
        tracing::info!("stopping: no more connections are accepted");
        ready_keys.iter().for_each(|keys| keys.stop());
        services.health.stop().await;
        shared.stop.send_replace(true);
        places.stop();
        shared.work.close();
        let joined = tokio::task::spawn_blocking(move || {
            workers.joined.into_iter().all(|worker| worker.join().is_ok())
        });
        let is_orderly = joined.await.unwrap_or(false);
        sinks.ended().await;
        http.abort();
        shared.floods.tell();
        if let Err(error) = engine.record_further_refusals(true).await {
            tracing::error!(%error, "the number of further refusals could not be recorded");
        }
        outcome.and(is_orderly.then_some(()).ok_or(ServeError::Ended))
    }
}

/// The threads that serve.
struct Workers {
    shared: Arc<Shared>,
    ended: mpsc::Sender<()>,
    joined: Vec<thread::JoinHandle<()>>,
}

impl Workers {
    /// Begins `count` of them, each with its own `serve`, to which connections are dealt.
    fn begin<T, S, F>(&mut self, name: &str, count: usize, serve: impl Fn() -> S) -> io::Result<Turns<T>>
    where
        T: Send + 'static,
        S: Fn(T) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let mut senders = Vec::new();
        for number in 0..count {
            let (sender, dealt) = mpsc::channel(BACKLOG);
            let (runtime, serving, shared) = (runtime()?, serve(), self.shared.clone());
            let work = move || runtime.block_on(work(&shared, dealt, serving));
            self.joined.push(on_thread(format!("{name}-{number}"), Ended(self.ended.clone()), work)?);
            senders.push(sender);
        }
        Ok(Turns::new(senders))
    }
}

/// Serves the connections that one thread is dealt, and finishes their calls when the server stops.
async fn work<T, F>(shared: &Shared, mut dealt: mpsc::Receiver<T>, serve: impl Fn(T) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let connections = TaskTracker::new();
    let serving = async {
        while let Some(connection) = dealt.recv().await {
            drop(connections.spawn(serve(connection)));
        }
    };
    tokio::select! {
        () = serving => {}
        () = wait_for_stop(shared.stop.subscribe()) => {}
    }
    connections.close();
    let finished = async {
        connections.wait().await;
        shared.work.wait().await;
    };
    if tokio::time::timeout(shared.limits.shutdown_time, finished).await.is_err() {
        tracing::warn!("stopped with unfinished calls: their time was up");
    }
}

/// As the standard library does, with a longer queue: it has 128, and a hospital comes back from a power cut at one time.
fn listen(address: SocketAddr) -> io::Result<StdListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(QUEUE)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Says that a thread has ended, however it did.
struct Ended(mpsc::Sender<()>);

impl Drop for Ended {
    fn drop(&mut self) {
        // Where it is full, another has said so.
        let _ = self.0.try_send(());
    }
}

fn on_thread(
    name: String,
    ended: Ended,
    serve: impl FnOnce() + Send + 'static,
) -> io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name(name).spawn(move || {
        let _ended = ended;
        serve();
    })
}

async fn wait_for_stop(mut stopping: watch::Receiver<bool>) {
    // An error means that the sender has gone, which is the same.
    drop(stopping.wait_for(|is_stopping| *is_stopping).await);
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Connections that wait to be accepted; the system has a bound of its own (net.core.somaxconn).
const QUEUE: i32 = 4_096;

/// Connections that wait for a runtime.
const BACKLOG: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thread_of_many_that_ends_is_heard_of_also_where_it_panicked() {
        let (ended, mut any_ended) = mpsc::channel(1);
        let (hold, held) = std::sync::mpsc::channel::<()>();
        let goes_on =
            on_thread("goes-on".into(), Ended(ended.clone()), move || assert!(held.recv().is_err())).unwrap();
        assert!(any_ended.try_recv().is_err());
        let dies = on_thread("dies".into(), Ended(ended.clone()), || panic!("this test's own panic"));
        assert!(dies.unwrap().join().is_err());
        assert_eq!(any_ended.blocking_recv(), Some(()));
        drop(hold);
        goes_on.join().unwrap();
    }
}
