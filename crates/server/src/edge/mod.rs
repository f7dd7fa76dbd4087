//! The layer before every handler: authentication, authorization, rate limits; and after it: the answer, the log line, the count.

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
use context::{Context, RequestIds};
use metrics::Metrics;
use rate::Buckets;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use tokio_util::task::TaskTracker;
use wardein_ddkg::DeviceName;
use wardein_domain::Serial;
use wardein_engine::{Engine, Error, ErrorCode, ErrorKind};

/// Shared by all connections.
pub(crate) struct Shared {
    pub(crate) engine: Arc<Engine>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) limits: Limits,
    pub(crate) store_name: &'static str,
    /// Work that continues when its caller has gone: refusals on their way to the log, and deeds of several steps.
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

    /// Leaves an entry for the refusal of an operator, and returns the error to answer with: that the service is unavailable if
    /// the entry cannot be left, for no refusal goes unseen. An internal fault is not a refusal, and neither is a call beyond the
    /// rate: an entry each would carry a flood on to the disk.
    pub(crate) async fn record(&self, context: &Context, device: Option<&DeviceName>, error: Error) -> Error {
        let (Some(method), Some(caller)) = (context.0.method, &context.0.caller) else { return error };
        if error.kind() == ErrorKind::Unavailable || error.code == ErrorCode::RateLimited {
            return error;
        }
        self.engine.record_refusal(caller, method, device, &error).await.err().unwrap_or(error)
    }

    /// The error of a failed call, once it is on record if it must be.
    async fn recorded(self: &Arc<Self>, context: &Context, error: Error) -> Error {
        if context.0.caller.is_none() {
            return error;
        }
        let (shared, context) = (self.clone(), context.clone());
        // A task of its own: a caller that hangs up is on record all the same.
        let record = async move { shared.record(&context, context.0.device.get(), error).await };
        let recorded = self.work.spawn(record).await;
        recorded.unwrap_or_else(|_| Error::internal("recording a refusal panicked"))
    }
}
