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

impl Caller {
    /// The same, with a call that belongs to the batch of that digest: the entries of what it changes say so.
    pub fn in_batch(&self, digest: Option<[u8; 32]>) -> Self {
        let Self { principal, call } = self.clone();
        Self { principal, call: Call { batch: digest, ..call } }
    }
}
