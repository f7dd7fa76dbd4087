//! The edge of one connection: every call passes it, on its way in and out, whether it comes by gRPC or by POST.

use super::Shared;
use super::answer::{Answer, End};
use super::bearer;
use super::context::{Context, ContextParts};
use super::form::Form;
use super::hand::InHand;
use super::line::Line;
use super::log::log;
use super::message::{Messages, octets, whole};
use super::metrics::OK;
use super::peer::Peer;
use super::route::Route;
use super::trace::Trace;
use crate::connect;
use crate::est::{self, EstPeer};
use crate::grpc::panic::{Caught, caught};
use crate::grpc::status::{CODE, REQUEST_ID, carried, status_of};
use crate::hooks::{self, Hook};
use crate::post::{self, Odd};
use crate::traces::Called;
use bytes::Bytes;
use futures_util::FutureExt;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Instant;
use tokio::time::timeout;
use tonic::Status;
use tonic::body::Body;
use tonic::service::Routes;
use tower_service::Service as _;
use wardein_domain::Call;
use wardein_engine::{Error, ErrorCode, EstCall};

/// What hyper hands the calls of a connection to.
pub(crate) struct Edge(Arc<EdgeParts>);

/// The connection.
pub(crate) struct EdgeParts {
    pub(crate) shared: Arc<Shared>,
    pub(crate) behind: Behind,
    pub(crate) peer: Peer,
    pub(crate) line: Arc<Line>,
    /// An operator who may call is at its other end: its calls draw on the operators' share.
    pub(crate) is_operators: bool,
}

/// What is behind the edge.
pub(crate) enum Behind {
    /// tonic's services, and what is posted.
    Services(Caught<Routes>),
    /// EST.
    Est(EstPeer),
}

impl Edge {
    pub(crate) fn new(parts: EdgeParts) -> Self {
        Self(Arc::new(parts))
    }
}

impl hyper::service::Service<Request<Incoming>> for Edge {
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Answer>, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let connection = self.0.clone();
        Box::pin(async move { Ok(connection.answer(request).await) })
    }
}

impl EdgeParts {
    async fn answer(&self, request: Request<Incoming>) -> Response<Answer> {
        let started = Instant::now();
        let Self { shared, peer, .. } = self;
        let (head, body) = request.into_parts();
        let trace = Trace::of(&head.headers);
        let (form, route) = match self.behind {
            Behind::Services(_) => Form::of(&head),
            Behind::Est(_) => Form::of_est(&head),
        };
        let origin = Some(peer.0.origin());
        let call = Call { request_id: shared.ids.next(), origin, ..Call::default() };
        let (caller, admitted) = match InHand::enter(shared, &self.line, self.is_operators) {
            Err(error) => (None, Err(error)),
            Ok(in_hand) => {
                let (caller, judged) = match route {
                    Some(route) => {
                        // Not looked at where a certificate says who calls: a proxy may pass on what its own client sent.
                        let is_nobodys = form.takes_bearer() && !peer.is_operators();
                        let token = is_nobodys.then(|| bearer::token(&head.headers)).flatten();
                        shared.admit(route, peer, &call, token).await
                    }
                    None => {
                        let unknown = || Error::new(ErrorCode::MethodUnknown, "there is no such method");
                        (None, shared.admit_anyone(peer).and_then(|()| Err(unknown())))
                    }
                };
                (caller, judged.map(|()| in_hand))
            }
        };
        let method = route.and_then(Route::method);
        let context = Context(Arc::new(ContextParts { call, method, caller, device: OnceLock::new() }));
        let end = route.filter(|route| route.is_public_stream()).map(|_| shared.end_of_public_stream());
        let (result, in_hand) = match (admitted, route) {
            (Ok(mut in_hand), Some(route)) => {
                // The rarer forms are boxed: in the future of every call they would be several times as large as all else of it.
                let passed = async {
                    match form {
                        Form::Grpc => {
                            self.pass(route, (head, body), &context, &mut in_hand, end.clone()).await
                        }
                        Form::Posted(odd) => {
                            Box::pin(self.pass_posted(route, (odd, body), &context, &mut in_hand)).await
                        }
                        Form::Connect(odd) => {
                            Box::pin(self.pass_json(route, (odd, body), &context, &mut in_hand)).await
                        }
                        Form::Hook(hook, odd) => {
                            let asked = (hook, odd, body);
                            let passed = self.pass_hook(route, &head.headers, asked, &context, &mut in_hand);
                            Box::pin(passed).await
                        }
                        Form::Est(odd) => {
                            Box::pin(self.pass_est(route, (head, odd, body), &context, &mut in_hand)).await
                        }
                    }
                };
                let result = match timeout(shared.limits.request_time, passed).await {
                    Ok(result) => result,
                    Err(_) => Err(Error::new(ErrorCode::RequestTimeout, "no answer in time")),
                };
                (result, Some(in_hand))
            }
            (Ok(_), None) => (Err(Error::internal("a call without a method was admitted")), None),
            (Err(error), _) => (Err(error), None),
        };
        let result = match result {
            Ok(response) => Ok(response),
            Err(error) => Err(shared.recorded(&context, error).await),
        };
        // A refusal over gRPC has no body that could wait for its peer.
        let in_hand = in_hand.filter(|_| result.is_ok() || form.refuses_with_body());
        if let (true, Err(error)) = (self.is_operators, &result) {
            shared.operators.hold_back(error).await;
        }
        // No other call of an operator that has ended will be taken.
        if let Err(Error { code: ErrorCode::OperatorExpired | ErrorCode::OperatorRevoked, .. }) = result {
            self.line.end_soon();
        }
        shared
            .leave(started, (form, route), peer, (&context, &trace), result)
            .map(|body| Answer::new(body, in_hand, end))
    }

    /// Has the call's handler answer it, once its message is there.
    async fn pass(
        &self,
        route: Route,
        (mut head, body): (Parts, Incoming),
        context: &Context,
        in_hand: &mut InHand,
        end: Option<End>,
    ) -> Result<Response<Body>, Error> {
        let Self { shared, behind, is_operators, .. } = self;
        let Behind::Services(routes) = behind else { return Err(Error::internal("EST was called by gRPC")) };
        // No handler reads the headers, so they do not wait for the message.
        is_plain(&std::mem::take(&mut head.headers))?;
        let limit = route.message_bytes();
        let body = if route.takes_stream() {
            Body::new(Messages::new(body, limit, end))
        } else if *is_operators {
            Body::new(Full::new(whole(body, limit, in_hand).await?))
        } else {
            match timeout(shared.limits.open_body_time, whole(body, limit, in_hand)).await {
                Ok(message) => Body::new(Full::new(message?)),
                Err(_) => {
                    return Err(Error::new(ErrorCode::RequestTimeout, "the message did not come in time"));
                }
            }
        };
        if route.is_public_stream() {
            in_hand.is_public_stream()?;
        }
        head.extensions.insert(context.clone());
        called(routes, Request::from_parts(head, body)).await
    }
}

/// Has the handler answer.
async fn called(routes: &Caught<Routes>, request: Request<Body>) -> Result<Response<Body>, Error> {
    match routes.clone().call(request).await {
        Err(never) => match never {},
        Ok(response) => match response.extensions().get::<Status>() {
            Some(status) => Err(carried(status)),
            None => Ok(response),
        },
    }
}

impl EdgeParts {
    /// The same for a message that was posted.
    async fn pass_posted(
        &self,
        route: Route,
        (odd, body): (Option<Odd>, Incoming),
        context: &Context,
        in_hand: &mut InHand,
    ) -> Result<Response<Body>, Error> {
        if let Some(odd) = odd {
            return Err(odd.error());
        }
        let method = route.method().ok_or_else(|| Error::internal("what has no method was posted to"))?;
        let message = self.octets(route, body, in_hand).await?;
        caught(post::answer(&self.shared, method, context, &message)).await.map(post::accepted)
    }

    /// The same for JSON, which the services of gRPC answer.
    async fn pass_json(
        &self,
        route: Route,
        (odd, body): (Option<Odd>, Incoming),
        context: &Context,
        in_hand: &mut InHand,
    ) -> Result<Response<Body>, Error> {
        if let Some(odd) = odd {
            return Err(odd.error());
        }
        let (Some(method), Behind::Services(routes)) = (route.method(), &self.behind) else {
            return Err(Error::internal("what has no method was called with JSON"));
        };
        let text = self.octets(route, body, in_hand).await?;
        let mut request = connect::request(&self.shared.json, method, &text)?;
        request.extensions_mut().insert(context.clone());
        connect::answer(&self.shared.json, method, called(routes, request).await?).await
    }

    /// The same for a hook.
    async fn pass_hook(
        &self,
        route: Route,
        headers: &HeaderMap,
        (hook, odd, body): (Hook, Option<Odd>, Incoming),
        context: &Context,
        in_hand: &mut InHand,
    ) -> Result<Response<Body>, Error> {
        if let Some(odd) = odd {
            return Err(odd.error());
        }
        let body = self.octets(route, body, in_hand).await?;
        caught(hooks::answer(&self.shared, hook, context, headers, &body)).await
    }

    /// The same for EST.
    async fn pass_est(
        &self,
        route: Route,
        (head, odd, body): (Parts, Option<Odd>, Incoming),
        context: &Context,
        in_hand: &mut InHand,
    ) -> Result<Response<Body>, Error> {
        if let Some(odd) = odd {
            return Err(odd.error());
        }
        let (Route::Est(operation), Behind::Est(peer)) = (route, &self.behind) else {
            return Err(Error::internal("what is not EST was called by it"));
        };
        let request = match operation.takes_request() {
            true => self.octets(route, body, in_hand).await?,
            false => Bytes::new(),
        };
        let asked = EstCall { call: context.call(), operation };
        caught(est::answer(&self.shared, asked, peer, &head.headers, &request)).await
    }

    /// The body, once all of it is there.
    async fn octets(&self, route: Route, body: Incoming, in_hand: &mut InHand) -> Result<Bytes, Error> {
        let coming = octets(body, route.message_bytes(), in_hand);
        match timeout(self.shared.limits.open_body_time, coming).await {
            Ok(message) => message,
            Err(_) => Err(Error::new(ErrorCode::RequestTimeout, "the body did not come in time")),
        }
    }
}

/// Messages come uncompressed: what a small one becomes could not be bounded before it is there.
fn is_plain(headers: &HeaderMap) -> Result<(), Error> {
    match headers.get("grpc-encoding") {
        Some(encoding) if encoding != "identity" => {
            let message = "the request is compressed; this server takes `grpc-encoding: identity` only";
            Err(Error::new(ErrorCode::NotSupported, message))
        }
        _ => Ok(()),
    }
}

impl Shared {
    fn leave(
        &self,
        started: Instant,
        (form, route): (Form, Option<Route>),
        peer: &Peer,
        (context, trace): (&Context, &Trace),
        result: Result<Response<Body>, Error>,
    ) -> Response<Body> {
        let ContextParts { call: Call { request_id, .. }, caller, .. } = &*context.0;
        let took = started.elapsed();
        let code = result.as_ref().err().map_or(OK, |error| error.code.as_str());
        self.metrics.called(route, code, took);
        if let (Some(spans), Some(route)) = (&self.spans, route) {
            let (role, error) = (caller.as_ref().map(|caller| caller.principal.role), result.as_ref().err());
            let is_kept = spans.called(&Called { route, trace, request_id, role, error, code, took });
            self.metrics.spans_lost(u64::from(!is_kept));
        }
        log(&self.floods, route, peer, (request_id, trace), caller.as_ref(), result.as_ref().err(), took);
        match (result, form) {
            (Ok(mut response), _) => {
                if let Ok(mut id) = HeaderValue::from_str(request_id) {
                    // No other response has it: it has no place in the tables of header compression (RFC 7541 §6.2.3).
                    id.set_sensitive(true);
                    response.headers_mut().insert(REQUEST_ID, id);
                }
                response.headers_mut().insert(CODE, HeaderValue::from_static(OK));
                response
            }
            (Err(error), Form::Posted(odd)) => post::refusal(&error, odd, request_id),
            (Err(error), Form::Connect(odd)) => connect::refusal(&error, odd, request_id),
            (Err(error), Form::Hook(hook, odd)) => hooks::refusal(hook, &error, odd, request_id),
            (Err(error), Form::Est(odd)) => est::refusal(&error, odd, request_id),
            (Err(error), Form::Grpc) => {
                let mut response: Response<Body> = status_of(&error, request_id).into_http();
                if error.code == ErrorCode::NotSupported {
                    // So that the client can send it again as it is taken (gRPC compression).
                    let identity = HeaderValue::from_static("identity");
                    response.headers_mut().insert("grpc-accept-encoding", identity);
                }
                response
            }
        }
    }

    /// Done when a stream that needs no certificate has gone on for long enough, or the server stops.
    fn end_of_public_stream(&self) -> End {
        let (most, mut stopping) = (self.limits.public_stream_time, self.stop.subscribe());
        let end: Pin<Box<dyn Future<Output = Status> + Send>> = Box::pin(async move {
            match timeout(most, stopping.wait_for(|is_stopping| *is_stopping)).await {
                Ok(_) => Status::unavailable("the service is stopping"),
                Err(_) => Status::unavailable("the stream has gone on for long enough; begin another"),
            }
        });
        end.shared()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size<'a, F: Future>(_: impl Fn(&'a EdgeParts, Request<Incoming>) -> F) -> usize {
        size_of::<F>()
    }

    /// It is allocated, and moved, for each call; with the rarer forms within it, Check took a sixth more of the processor.
    #[test]
    fn the_future_of_a_call_is_small() {
        let bytes = size(EdgeParts::answer);
        assert!(bytes <= 3 << 10, "{bytes} bytes");
    }
}
