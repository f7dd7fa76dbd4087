//! The layer that every gRPC call passes, on its way in and out.

use super::Shared;
use super::context::{Context, ContextParts};
use super::log::log;
use super::metrics::OK;
use super::peer::Peer;
use super::route::Route;
use crate::grpc::status::{CODE, REQUEST_ID, carried, status_of};
use http::{HeaderValue, Request, Response};
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Instant;
use tonic::Status;
use tonic::body::Body;
use wardein_domain::Call;
use wardein_engine::{Error, ErrorCode};

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

impl Shared {
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
                (None, Err(Error::new(ErrorCode::Overloaded, "too many calls at one time")))
            }
            Some(route) => self.admit(route, &peer, &call).await,
            None => {
                let unknown = || Error::new(ErrorCode::MethodUnknown, "there is no such method");
                (None, self.admit_anyone(&peer).and_then(|()| Err(unknown())))
            }
        };
        let method = route.and_then(Route::method);
        let context = Context(Arc::new(ContextParts { call, method, caller, device: OnceLock::new() }));
        let result = match admitted {
            Err(error) => Err(error),
            Ok(()) => {
                request.extensions_mut().insert(context.clone());
                match tokio::time::timeout(self.limits.request_time, inner.call(request)).await {
                    Err(_) => Err(Error::new(ErrorCode::RequestTimeout, "no answer in time")),
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
            Err(error) => Err(self.recorded(&context, error).await),
        };
        self.leave(started, route, &peer, &context, result)
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
        let code = result.as_ref().err().map_or(OK, |error| error.code.as_str());
        self.metrics.called(route, code, took);
        log(&self.floods, route, peer, request_id, caller.as_ref(), result.as_ref().err(), took);
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
            Err(error) => {
                peer.leave_if_ended(&error);
                status_of(&error, request_id).into_http()
            }
        }
    }
}

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
