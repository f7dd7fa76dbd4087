//! Access: tenants, operators, grants.

mod audit;
pub(crate) mod grants;
pub(crate) mod operators;
mod scope;
pub(crate) mod tenants;
