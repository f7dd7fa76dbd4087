//! The caller.

use wardein_domain::{Call, Principal};

/// An authenticated operator, and the request that it makes.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The caller.
    pub principal: Principal,
    /// The request, for log and audit.
    pub call: Call,
}
