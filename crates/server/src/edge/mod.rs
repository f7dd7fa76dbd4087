//! The layer before every handler: who calls, may they, how often; and after it: what leaves, the log line, the count.

mod admit;
pub(crate) mod context;
mod layer;
mod log;
pub(crate) mod metrics;
pub(crate) mod peer;
pub(crate) mod rate;
mod route;

pub(crate) use admit::rate_limited;
pub(crate) use layer::EdgeLayer;

use crate::config::{Config, Limits};
use crate::grpc::status::Failed;
use admit::RATE_LIMITED;
use context::{Context, RequestIds};
use metrics::Metrics;
use rate::Buckets;
use route::Route;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use tokio_util::task::TaskTracker;
use wardein_ddkg::DeviceName;
use wardein_domain::{Method, Serial};
use wardein_engine::{Caller, Engine, Error, Kind};

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) engine: Arc<Engine>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) limits: Limits,
    pub(crate) store_name: &'static str,
    /// Work that goes on when its caller has gone: refusals on their way to the log, and deeds of several steps.
    pub(crate) work: TaskTracker,
    pub(crate) operators: Buckets<Serial>,
    open: Buckets<IpAddr>,
    ids: RequestIds,
    calls: AtomicUsize,
}

impl Shared {
    pub(crate) fn new(
        engine: Arc<Engine>,
        metrics: Arc<Metrics>,
        config: &Config,
    ) -> Result<Arc<Self>, Error> {
        let limits = config.limits.clone();
        Ok(Arc::new(Self {
            engine,
            metrics,
            work: TaskTracker::new(),
            operators: Buckets::new(limits.operator),
            open: Buckets::new(limits.open),
            limits,
            store_name: config.store_name,
            ids: RequestIds::new().map_err(|_| Error::internal("no entropy for request ids"))?,
            calls: AtomicUsize::new(0),
        }))
    }

    /// Leaves an entry for a refused call of an operator, and answers that the service is unavailable where it cannot be left: no
    /// refusal goes unseen. What is ours to answer for is no refusal, and neither is a call beyond the rate: an entry each would
    /// carry a flood on to the disk.
    pub(crate) async fn record(
        &self,
        caller: &Caller,
        method: Method,
        device: Option<&DeviceName>,
        error: Error,
    ) -> Failed {
        let is_refusal = error.kind != Kind::Unavailable && error.code != RATE_LIMITED;
        let error = match is_refusal {
            true => self.engine.record_refusal(caller, method, device, &error).await.err().unwrap_or(error),
            false => error,
        };
        Failed { error, is_recorded: true }
    }

    /// What a call failed with, once that is on record where it is to be.
    async fn recorded(self: &Arc<Self>, route: Option<Route>, context: &Context, failed: Failed) -> Error {
        let Failed { error, is_recorded } = failed;
        let (false, Some(Route::Own(method)), Some(caller)) = (is_recorded, route, &context.0.caller) else {
            return error;
        };
        let (shared, caller, device) = (self.clone(), caller.clone(), context.0.device.get().cloned());
        // A task of its own: whoever hangs up is recorded all the same.
        let recorded = self
            .work
            .spawn(async move { shared.record(&caller, method, device.as_ref(), error).await })
            .await;
        recorded.map_or_else(|_| Error::internal("recording a refusal panicked"), |failed| failed.error)
    }
}
