//! Who may call, and how often: an operator that calls more often waits its turn, and is refused only where many of its calls wait.

use super::Shared;
use super::context::certificate_required;
use super::peer::{Claim, Peer};
use super::route::Route;
use std::time::Duration;
use wardein_domain::{Access, Call, Method, Principal, Serial};
use wardein_engine::{Caller, Error, ErrorCode};

impl Shared {
    /// The caller, as far as the certificate identifies it, and whether it may call.
    pub(super) async fn admit(
        &self,
        route: Route,
        peer: &Peer,
        call: &Call,
    ) -> (Option<Caller>, Result<(), Error>) {
        let method = match route {
            Route::Own(method) if method.access() != Access::Open => method,
            // An open method needs no caller, so that a wrong certificate does not stand in the way of a right proof.
            Route::Own(_) | Route::Public(_) => return (None, self.admit_anyone(peer)),
        };
        let Claim::Operator(principal) = &peer.0.claim else {
            // Counted by address, for there is nothing else to count by.
            return (None, self.admit_anyone(peer).and(Err(certificate_required())));
        };
        let judged = self.admit_operator(principal, method).await;
        (Some(Caller { principal: principal.clone(), call: call.clone() }), judged)
    }

    pub(super) fn admit_anyone(&self, peer: &Peer) -> Result<(), Error> {
        let has_one = self.open.take(peer.0.address.ip());
        has_one.then_some(()).ok_or_else(rate_limited)
    }

    /// Waits until the rate of the operator with this certificate allows one more call. Calls that come at one time would be answered one
    /// after the other without a pause, and those of others behind them; spread over time, each leaves the thread free for others.
    pub(crate) async fn pace(&self, serial: Serial) -> Result<(), Error> {
        let wait = self.operators.reserve(serial, PATIENCE).ok_or_else(rate_limited)?;
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }

    /// Holds a refusal back for the second that it asks its operator to wait: a client that tries again at once is no load.
    pub(super) async fn hold_back(&self, error: &Error) {
        if error.code == ErrorCode::RateLimited
            && let Ok(_place) = self.held_back.try_acquire()
        {
            tokio::time::sleep(REFUSED_FOR).await;
        }
    }

    async fn admit_operator(&self, principal: &Principal, method: Method) -> Result<(), Error> {
        self.pace(principal.serial).await?;
        self.engine.authenticate(principal).await?;
        let role = principal.role;
        if !method.allows(Some(role)) {
            let message = format_args!("the role {role} may not call {}", method.path());
            return Err(Error::new(ErrorCode::RoleDenied, message));
        }
        Ok(())
    }
}

/// The longest that a call waits for its operator's rate to allow it.
const PATIENCE: Duration = Duration::from_millis(100);

/// How long a refusal for too many calls is held back.
const REFUSED_FOR: Duration = Duration::from_secs(1);

/// The most refusals that are held back at one time; others are answered at once. Each takes a few KiB.
pub(super) const HELD_BACK: usize = 4_096;

pub(crate) fn rate_limited() -> Error {
    Error::new(ErrorCode::RateLimited, "too many calls; wait a second and try again")
}
