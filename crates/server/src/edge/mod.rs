//! The layer before every handler: who calls, may they, how often; and after it: what leaves, the log line, the count.

pub(crate) mod context;
pub(crate) mod metrics;
pub(crate) mod peer;
pub(crate) mod rate;
mod route;

use crate::config::{Config, Limits};
use crate::grpc::status::{CODE, Failed, REQUEST_ID, carried, status_of, unknown_method};
use context::{Context, ContextParts, RequestIds, certificate_required};
use http::{HeaderValue, Request, Response};
use metrics::{Metrics, OK};
use peer::{Claim, Peer};
use rate::{Buckets, address_key};
use route::Route;
use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Instant;
use tokio_util::task::TaskTracker;
use tonic::Status;
use tonic::body::Body;
use wardein_ddkg::DeviceName;
use wardein_domain::{Access, Call, Method, Principal, Serial};
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

    /// Who calls, as far as the certificate says, and whether they may.
    fn admit(&self, route: Route, peer: &Peer, call: &Call) -> (Option<Caller>, Result<(), Error>) {
        let method = match route {
            Route::Own(method) if method.access() != Access::Open => method,
            // An open method asks for nobody, so that a wrong certificate does not stand in the way of a right proof.
            Route::Own(_) | Route::Public(_) => return (None, self.admit_anyone(peer)),
        };
        let Claim::Operator(principal) = &peer.0.claim else {
            // Counted by address, for there is nothing else to count by.
            return (None, self.admit_anyone(peer).and(Err(certificate_required())));
        };
        let judged = self.admit_operator(principal, method);
        (Some(Caller { principal: principal.clone(), call: call.clone() }), judged)
    }

    fn admit_anyone(&self, peer: &Peer) -> Result<(), Error> {
        let has_one = self.open.take(address_key(peer.0.address.ip()));
        has_one.then_some(()).ok_or_else(rate_limited)
    }

    fn admit_operator(&self, principal: &Principal, method: Method) -> Result<(), Error> {
        if !self.operators.take(principal.serial) {
            return Err(rate_limited());
        }
        self.engine.authenticate(principal)?;
        let role = principal.role;
        if !method.allows(Some(role)) {
            let message = format_args!("the role {role} may not call {}", method.path());
            return Err(Error::new(Kind::Denied, "role-denied", message));
        }
        Ok(())
    }

    async fn handle<I>(self: Arc<Self>, mut inner: I, mut request: Request<Body>) -> Response<Body>
    where
        I: tower_service::Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    {
        let started = Instant::now();
        let Some(peer) = request.extensions().get::<Peer>().cloned() else {
            return status_of(&Error::internal("a connection came past the handshake"), "none").into_http();
        };
        let route = Route::of(request.uri().path());
        let call = Call { request_id: self.ids.next(), origin: Some(peer.0.origin()) };
        let _in_hand = InHand::enter(&self.calls);
        let (caller, admitted) = match route {
            _ if self.calls.load(Ordering::Relaxed) > self.limits.calls => {
                (None, Err(Error::new(Kind::Unavailable, "overloaded", "too many calls at one time")))
            }
            Some(route) => self.admit(route, &peer, &call),
            None => {
                let unknown = || Error::new(Kind::Invalid, UNKNOWN_METHOD, "there is no such method");
                (None, self.admit_anyone(&peer).and_then(|()| Err(unknown())))
            }
        };
        let context = Context(Arc::new(ContextParts { call, caller, device: OnceLock::new() }));
        let result = match admitted {
            Err(error) => Err(Failed::from(error)),
            Ok(()) => {
                request.extensions_mut().insert(context.clone());
                match tokio::time::timeout(self.limits.request_time, inner.call(request)).await {
                    Err(_) => {
                        Err(Error::new(Kind::Unavailable, "request-timeout", "no answer in time").into())
                    }
                    Ok(Err(never)) => match never {},
                    Ok(Ok(response)) => match response.extensions().get::<Status>() {
                        Some(status) => Err(carried(status)),
                        None => Ok(response),
                    },
                }
            }
        };
        let result = match result {
            Ok(response) => Ok(response),
            Err(failed) => Err(self.recorded(route, &context, failed).await),
        };
        self.leave(started, route, &peer, &context, result)
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

    fn leave(
        &self,
        started: Instant,
        route: Option<Route>,
        peer: &Peer,
        context: &Context,
        result: Result<Response<Body>, Error>,
    ) -> Response<Body> {
        let ContextParts { call: Call { request_id, .. }, caller, .. } = &*context.0;
        let took = started.elapsed();
        let code = result.as_ref().err().map_or(OK, |error| error.code);
        self.metrics.called(route, code, took);
        log(route, peer, request_id, caller.as_ref(), result.as_ref().err(), took);
        match result {
            Ok(mut response) => {
                if let Ok(mut id) = HeaderValue::from_str(request_id) {
                    // No other response has it: it has no place in the tables of header compression (RFC 7541 §6.2.3).
                    id.set_sensitive(true);
                    response.headers_mut().insert(REQUEST_ID, id);
                }
                response.headers_mut().insert(CODE, HeaderValue::from_static(OK));
                response
            }
            Err(error) if error.code == UNKNOWN_METHOD => unknown_method(&error, request_id).into_http(),
            Err(error) => status_of(&error, request_id).into_http(),
        }
    }
}

/// One line a call. Those that come by the ten thousand a second and went well are for debugging: a proof stands in the audit log,
/// with its request id, and the others change nothing.
fn log(
    route: Option<Route>,
    peer: &Peer,
    request_id: &str,
    caller: Option<&Caller>,
    error: Option<&Error>,
    took: std::time::Duration,
) {
    let method = route.map_or("unknown", Route::path);
    let (peer, duration_us) = (peer.0.address, took.as_micros() as u64);
    let caller = caller.map(|caller| tracing::field::display(&caller.principal));
    let is_frequent = matches!(
        route,
        Some(Route::Own(Method::Check | Method::GetChallenge | Method::Prove) | Route::Public(_))
    );
    match error {
        None if is_frequent => {
            tracing::debug!(request_id, method, caller, %peer, code = OK, duration_us, "call")
        }
        None => tracing::info!(request_id, method, caller, %peer, code = OK, duration_us, "call"),
        Some(Error { kind: Kind::Internal | Kind::Unavailable, code, message, .. }) => {
            tracing::error!(request_id, method, caller, %peer, code, duration_us, error = message, "call failed");
        }
        Some(Error { kind, code, message, .. }) => {
            tracing::info!(request_id, method, caller, %peer, ?kind, code, duration_us, error = message, "call refused");
        }
    }
}

pub(crate) fn rate_limited() -> Error {
    Error::new(Kind::Exhausted, RATE_LIMITED, "too many calls; wait a second and try again")
}

const RATE_LIMITED: &str = "rate-limited";
const UNKNOWN_METHOD: &str = "method-unknown";

/// Counts a call while it is served.
struct InHand<'a>(&'a AtomicUsize);

impl<'a> InHand<'a> {
    fn enter(calls: &'a AtomicUsize) -> Self {
        calls.fetch_add(1, Ordering::Relaxed);
        Self(calls)
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Puts [`Edge`] before tonic's services.
#[derive(Clone)]
pub(crate) struct EdgeLayer(pub(crate) Arc<Shared>);

impl<I> tower_layer::Layer<I> for EdgeLayer {
    type Service = Edge<I>;

    fn layer(&self, inner: I) -> Edge<I> {
        Edge { shared: self.0.clone(), inner }
    }
}

/// The layer.
pub(crate) struct Edge<I> {
    shared: Arc<Shared>,
    inner: I,
}

impl<I: Clone> Clone for Edge<I> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), inner: self.inner.clone() }
    }
}

impl<I> tower_service::Service<Request<Body>> for Edge<I>
where
    I: tower_service::Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    I::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut std::task::Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The clone stays here; the one that was found ready goes (tower's contract of `poll_ready`).
        let fresh = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, fresh);
        let shared = self.shared.clone();
        Box::pin(async move { Ok(shared.handle(ready, request).await) })
    }
}
