//! Who may call, and how often.

use super::Shared;
use super::context::certificate_required;
use super::peer::{Claim, Peer};
use super::route::Route;
use wardein_crypto::SecretBytes;
use wardein_domain::{Access, Call, Method, Principal, Role};
use wardein_engine::{Caller, Error, ErrorCode};

impl Shared {
    /// The caller, as far as its certificate or the bearer token that it shows identifies it, and whether it may call.
    pub(super) async fn admit(
        &self,
        route: Route,
        peer: &Peer,
        call: &Call,
        token: Option<Option<SecretBytes>>,
    ) -> (Option<Caller>, Result<(), Error>) {
        let method = match route {
            Route::Own(method) if method.access() != Access::Open => method,
            // An open method needs no caller, so that a wrong certificate does not stand in the way of a right proof.
            Route::Own(_) | Route::Public(_) | Route::Est(_) => return (None, self.admit_anyone(peer)),
        };
        if let Some(token) = token {
            return self.admit_bearer(method, peer, call, token).await;
        }
        let Claim::Operator(principal) = &peer.0.claim else {
            let error = match peer.0.claim {
                Claim::Nobody => certificate_required(),
                Claim::Other | Claim::Operator(_) => not_an_operators(),
            };
            // Counted by address, for there is nothing else to count by.
            return (None, self.admit_anyone(peer).and(Err(error)));
        };
        let judged = self.admit_operator(principal, method).await;
        (Some(Caller { principal: principal.clone(), call: call.clone() }), judged)
    }

    /// One that shows a token: who has a good one is counted as its operator, and everybody else by address.
    async fn admit_bearer(
        &self,
        method: Method,
        peer: &Peer,
        call: &Call,
        token: Option<SecretBytes>,
    ) -> (Option<Caller>, Result<(), Error>) {
        let bearer = self.engine.bearer(token.as_ref().map_or(&[], SecretBytes::expose)).await;
        match bearer {
            Ok((principal, id)) => {
                let judged = self.admit_operator(&principal, method).await;
                let call = Call { bearer_token: Some(id), ..call.clone() };
                (Some(Caller { principal, call }), judged)
            }
            Err(error) => (None, self.admit_anyone(peer).and(Err(error))),
        }
    }

    pub(super) fn admit_anyone(&self, peer: &Peer) -> Result<(), Error> {
        let has_one = self.open.take(peer.0.address.ip());
        has_one.then_some(()).ok_or_else(rate_limited)
    }

    async fn admit_operator(&self, principal: &Principal, method: Method) -> Result<(), Error> {
        self.operators.turn(principal.serial, Route::Own(method).cost()).await?;
        self.engine.authenticate(principal).await?;
        let role = principal.role;
        if !method.allows(Some(role)) {
            let message = format_args!("the role {role} may not call {}", method.path());
            return Err(Error::new(ErrorCode::RoleDenied, message));
        }
        // What an administrator or a station was told by one node, another knows. Platforms ask too often for that.
        if role == Role::Platform { Ok(()) } else { self.engine.hear_others().await }
    }
}

fn not_an_operators() -> Error {
    let message = "the certificate is not one of this authority's operators; present an operator's";
    Error::new(ErrorCode::IdentityUnknown, message)
}

pub(crate) fn rate_limited() -> Error {
    Error::new(ErrorCode::RateLimited, "too many calls; wait a second and try again")
}
