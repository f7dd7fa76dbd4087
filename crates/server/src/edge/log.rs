//! The log line of a call.

use super::flood::{Floods, Kind, level};
use super::metrics::OK;
use super::peer::Peer;
use super::route::Route;
use super::trace::Trace;
use std::time::Duration;
use tracing::Level;
use wardein_domain::{Access, Method};
use wardein_engine::{Caller, Error};

/// One line a call. Those that come by the ten thousand a second and went well are for debugging: a proof is in the audit log,
/// with its request id, and the others change nothing. Those that were refused or failed are counted, behind the first.
pub(super) fn log(
    floods: &Floods,
    route: Option<Route>,
    peer: &Peer,
    (request_id, trace): (&str, &Trace),
    caller: Option<&Caller>,
    error: Option<&Error>,
    took: Duration,
) {
    let method = route.map_or("unknown", Route::path);
    let (peer, duration_us) = (peer.0.address, took.as_micros() as u64);
    let (trace_id, client_request_id) = (trace.id.as_deref(), trace.request.as_deref());
    let kind = match caller {
        Some(_) => Kind::OfOperator,
        None => Kind::Call,
    };
    let caller = caller.map(|caller| tracing::field::display(&caller.principal));
    let is_frequent = match route {
        // Anybody may make open calls that go well, as often as the rate allows.
        Some(Route::Own(method)) => method == Method::Check || method.access() == Access::Open,
        Some(Route::Public(_) | Route::Est(_)) => true,
        None => false,
    };
    let Some(Error { code, message, .. }) = error else {
        if is_frequent {
            tracing::debug!(request_id, trace_id, client_request_id, method, caller, %peer, code = OK, duration_us, "call");
        } else {
            tracing::info!(request_id, trace_id, client_request_id, method, caller, %peer, code = OK, duration_us, "call");
        }
        return;
    };
    let (level, kind, why) = (level(*code), kind(*code), code.kind());
    let code = code.as_str();
    let example = || format!("{request_id} of {peer} to {method}: {message}");
    if !floods.is_first(kind, example) {
        tracing::debug!(request_id, trace_id, client_request_id, method, caller, %peer, kind = ?why, code, duration_us, error = message, "call refused");
    } else if level == Level::ERROR {
        tracing::error!(request_id, trace_id, client_request_id, method, caller, %peer, code, duration_us, error = message, "call failed");
    } else if level == Level::WARN {
        tracing::warn!(request_id, trace_id, client_request_id, method, caller, %peer, code, duration_us, error = message, "call not served");
    } else {
        tracing::info!(request_id, trace_id, client_request_id, method, caller, %peer, kind = ?why, code, duration_us, error = message, "call refused");
    }
}
