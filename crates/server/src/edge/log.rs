//! The log line of a call.

use super::metrics::OK;
use super::peer::Peer;
use super::route::Route;
use std::time::Duration;
use wardein_domain::Method;
use wardein_engine::{Caller, Error, ErrorKind};

/// One line a call. Those that come by the ten thousand a second and went well are for debugging: a proof is in the audit log,
/// with its request id, and the others change nothing.
pub(super) fn log(
    route: Option<Route>,
    peer: &Peer,
    request_id: &str,
    caller: Option<&Caller>,
    error: Option<&Error>,
    took: Duration,
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
        Some(Error { code, message, .. }) => {
            let (kind, code) = (code.kind(), code.as_str());
            if matches!(kind, ErrorKind::Internal | ErrorKind::Unavailable) {
                tracing::error!(request_id, method, caller, %peer, code, duration_us, error = message, "call failed");
            } else {
                tracing::info!(request_id, method, caller, %peer, ?kind, code, duration_us, error = message, "call refused");
            }
        }
    }
}
