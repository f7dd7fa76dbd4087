//! Access: tenants, operators, invitations, bearer tokens, grants.

mod answers;
pub(crate) mod audit;
pub(crate) mod bearer_tokens;
pub(crate) mod grants;
pub(crate) mod invitations;
pub(crate) mod open_invitations;
pub(crate) mod operators;
pub(crate) mod refusals;
mod renew;
mod revoke;
mod scope;
pub(crate) mod sinks;
pub(crate) mod tenants;
