//! What is known of a request beside its message: its id, and who makes it.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tonic::Request;
use wardein_crypto::{Entropy, EntropyError, SystemEntropy};
use wardein_engine::{Caller, Error, Kind};

/// What the edge found out before a handler runs.
#[derive(Debug, Clone)]
pub(crate) struct Context(pub(crate) Arc<ContextParts>);

#[derive(Debug)]
pub(crate) struct ContextParts {
    pub(crate) request_id: String,
    /// The operator, where one showed a certificate that stands.
    pub(crate) caller: Option<Caller>,
}

impl Context {
    /// What the edge put into the request.
    pub(crate) fn of<T>(request: &Request<T>) -> Result<Self, Error> {
        let context = request.extensions().get::<Self>().cloned();
        context.ok_or_else(|| Error::internal("a request came past the edge"))
    }

    /// The operator that calls. The table lets none but operators to the methods that ask for one; this is the second lock.
    pub(crate) fn caller(&self) -> Result<&Caller, Error> {
        self.0.caller.as_ref().ok_or_else(certificate_required)
    }

    pub(crate) fn request_id(&self) -> &str {
        &self.0.request_id
    }
}

/// The caller showed no certificate, and the method takes operators alone.
pub(crate) fn certificate_required() -> Error {
    let message = "this method takes a client certificate of an operator; present one";
    Error::new(Kind::Unauthenticated, "certificate-required", message)
}

/// Makes request ids: random for the process, then counted, so that none comes twice and none costs entropy.
pub(crate) struct RequestIds {
    process: u64,
    next: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new() -> Result<Self, EntropyError> {
        Ok(Self { process: u64::from_be_bytes(SystemEntropy::default().array()?), next: AtomicU64::new(1) })
    }

    pub(crate) fn next(&self) -> String {
        let mut id = String::with_capacity(16 + 1 + 16);
        // A String takes whatever it is given.
        let _ = write!(id, "{:016x}-{:x}", self.process, self.next.fetch_add(1, Ordering::Relaxed));
        id
    }
}
