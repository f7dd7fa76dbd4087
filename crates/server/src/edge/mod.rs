//! The layer before every handler: authentication, authorization, limits; and after it: the answer, the log line, the count.

mod admit;
mod answer;
mod bearer;
pub(crate) mod context;
pub(crate) mod flood;
mod form;
mod hand;
mod layer;
pub(crate) mod line;
mod log;
mod message;
pub(crate) mod metrics;
mod pace;
pub(crate) mod peer;
pub(crate) mod rate;
pub(crate) mod route;
pub(crate) mod scans;
pub(crate) mod streams;
pub(crate) mod trace;

pub(crate) use admit::rate_limited;
pub(crate) use layer::{Behind, Edge, EdgeParts};

use crate::config::{Config, Limits};
use crate::traces::Spans;
use crate::webhooks::Standings;
use context::{Context, RequestIds};
use flood::{Floods, Kind};
use hand::Held;
use metrics::Metrics;
use pace::Pace;
use rate::Addresses;
use scans::Scans;
use std::sync::Arc;
use streams::Streams;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use wardein_ddkg::DeviceName;
use wardein_engine::{Engine, Error, ErrorKind};
use wardein_proto::json::Json;

/// Shared by all connections.
pub(crate) struct Shared {
    pub(crate) engine: Arc<Engine>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) floods: Arc<Floods>,
    pub(crate) limits: Limits,
    pub(crate) store_name: &'static str,
    /// Where clients reach the authority, as it is configured.
    pub(crate) endpoint: String,
    /// Work that continues when its caller has gone: refusals on their way to the log, and deeds of several steps.
    pub(crate) work: TaskTracker,
    pub(crate) operators: Pace,
    pub(crate) scans: Scans,
    pub(crate) streams: Streams,
    /// Messages as JSON.
    pub(crate) json: Json,
    /// How the deliveries of webhooks stand.
    pub(crate) webhooks: Standings,
    /// Where spans go, if calls are traced.
    pub(crate) spans: Option<Spans>,
    /// Set when the server is to stop.
    pub(crate) stop: watch::Sender<bool>,
    open: Addresses,
    ids: RequestIds,
    held: Held,
}

impl Shared {
    pub(crate) fn new(
        engine: Arc<Engine>,
        metrics: Arc<Metrics>,
        config: &Config,
        spans: Option<Spans>,
    ) -> Result<Arc<Self>, Error> {
        let limits = config.limits.clone();
        Ok(Arc::new(Self {
            engine,
            metrics,
            floods: Arc::default(),
            work: TaskTracker::new(),
            operators: Pace::new(&limits),
            scans: Scans::new(config.threads(), limits.operator),
            streams: Streams::new(&limits),
            json: Json::new().map_err(Error::internal)?,
            webhooks: Standings::default(),
            spans,
            stop: watch::Sender::new(false),
            open: Addresses::new(limits.open),
            limits,
            store_name: config.store_name,
            endpoint: config.endpoint.clone(),
            ids: RequestIds::new().map_err(|_| Error::internal("no entropy for request ids"))?,
            held: Held::default(),
        }))
    }

    /// Leaves an entry for the refusal of an operator, and returns the error to answer with: that the service is unavailable if
    /// the entry cannot be left, for no refusal goes unseen. An internal fault is not a refusal. Of refusals that come too often
    /// the engine records the number.
    pub(crate) async fn record(&self, context: &Context, device: Option<&DeviceName>, error: Error) -> Error {
        // The line of the call was written when the stream began.
        if error.kind() == ErrorKind::Internal {
            let request_id = &*context.call().request_id;
            let example = || format!("{request_id} within its stream: {}", error.message);
            if self.floods.is_first(Kind::OfOperator(error.code), example) {
                let (code, error) = (error.code.as_str(), &*error.message);
                tracing::error!(request_id, code, error, "what a stream goes through failed");
            }
        }
        if self.is_due(context, &error) { self.leave_entry(context, device, error).await } else { error }
    }

    /// The error of a failed call, once it is on record if it must be.
    async fn recorded(self: &Arc<Self>, context: &Context, error: Error) -> Error {
        // Asked first: a flood of refusals costs no task each.
        if !self.is_due(context, &error) {
            return error;
        }
        let (shared, context) = (self.clone(), context.clone());
        // A task of its own: a caller that hangs up is on record all the same.
        let record = async move { shared.leave_entry(&context, context.0.device.get(), error).await };
        let recorded = self.work.spawn(record).await;
        recorded.unwrap_or_else(|_| Error::internal("recording a refusal panicked"))
    }

    /// Whether a refusal must have an entry of its own.
    fn is_due(&self, context: &Context, error: &Error) -> bool {
        let (Some(method), Some(caller)) = (context.0.method, &context.0.caller) else { return false };
        error.kind() != ErrorKind::Unavailable && self.engine.records_refusal(caller, method, error.code)
    }

    async fn leave_entry(&self, context: &Context, device: Option<&DeviceName>, error: Error) -> Error {
        let (Some(method), Some(caller)) = (context.0.method, &context.0.caller) else { return error };
        self.engine.record_refusal(caller, method, device, &error).await.err().unwrap_or(error)
    }
}
