//! A handler that panics fails its own call, as an internal fault: with a request id, in the log and in the counts.
//!
//! Without this the stream would break off under the caller, and no line would say which call it was. What else may panic, and what
//! then ends, is in CONTRIBUTING.md.

use super::status::Failed;
use futures_util::FutureExt;
use futures_util::future::{CatchUnwind, Map};
use http::{Request, Response};
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::task::{Context, Poll};
use tonic::Status;
use tonic::body::Body;
use wardein_engine::Error;

/// Handlers behind the edge.
#[derive(Clone)]
pub(crate) struct Caught<S>(S);

impl<S> Caught<S> {
    pub(crate) fn new(handlers: S) -> Self {
        Self(handlers)
    }
}

type Answer = Result<Response<Body>, Infallible>;

impl<S> tower_service::Service<Request<Body>> for Caught<S>
where
    S: tower_service::Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Map<CatchUnwind<AssertUnwindSafe<S::Future>>, fn(std::thread::Result<Answer>) -> Answer>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // What a handler shares with others, it changes in one step, or under a guard that undoes it.
        AssertUnwindSafe(self.0.call(request)).catch_unwind().map(answer)
    }
}

/// The same for one answer that is on its way past tonic.
pub(crate) async fn caught<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let done = AssertUnwindSafe(work).catch_unwind().await;
    done.unwrap_or_else(|_| Err(Error::internal("a handler panicked")))
}

fn answer(caught: std::thread::Result<Answer>) -> Answer {
    // The message is on standard error, with its place; it is nothing for the caller.
    caught.unwrap_or_else(|_| Ok(Status::from(Failed(Error::internal("a handler panicked"))).into_http()))
}
