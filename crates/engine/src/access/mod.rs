//! Access: tenants, operators, grants.

mod audit;
pub(crate) mod grants;
pub(crate) mod operators;
pub(crate) mod refusals;
mod renew;
mod revoke;
mod scope;
pub(crate) mod tenants;
