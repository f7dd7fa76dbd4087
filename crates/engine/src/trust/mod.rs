//! Whom to trust, and why.

pub(crate) mod check;
pub(crate) mod keys;
pub(crate) mod policy;
pub(crate) mod receipt;
pub(crate) mod revision;
pub(crate) mod status_list;
pub(crate) mod watch;
pub(crate) mod webhooks;
