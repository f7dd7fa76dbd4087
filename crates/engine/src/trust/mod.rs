//! Whom to trust, and why.

pub(crate) mod check;
pub(crate) mod policy;
pub(crate) mod revision;
pub(crate) mod watch;
