//! A request beside its message: its id, its method, and its caller.

use crate::grpc::convert::device_name;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use tonic::Request;
use wardein_crypto::{Entropy, EntropyError, SystemEntropy};
use wardein_ddkg::DeviceName;
use wardein_domain::{Call, Method};
use wardein_engine::{Caller, Error, ErrorCode};

/// The edge's findings before a handler runs.
#[derive(Debug, Clone)]
pub(crate) struct Context(pub(crate) Arc<ContextParts>);

#[derive(Debug)]
pub(crate) struct ContextParts {
    pub(crate) call: Call,
    /// The authority's own method that is called, if it is one.
    pub(crate) method: Option<Method>,
    /// The operator, where one showed a certificate that is good.
    pub(crate) caller: Option<Caller>,
    /// The device that the request names, once a handler has read it.
    pub(crate) device: OnceLock<DeviceName>,
}

impl Context {
    /// The edge's findings in the request.
    pub(crate) fn of<T>(request: &Request<T>) -> Result<Self, Error> {
        let context = request.extensions().get::<Self>().cloned();
        context.ok_or_else(|| Error::internal("a request came past the edge"))
    }

    /// The operator that calls. The table lets none but operators to the methods that ask for one; this is the second lock.
    pub(crate) fn caller(&self) -> Result<&Caller, Error> {
        self.0.caller.as_ref().ok_or_else(certificate_required)
    }

    pub(crate) fn call(&self) -> &Call {
        &self.0.call
    }

    /// The device that the request names by tenant and id. Should the call be refused, the audit log says so.
    pub(crate) fn device_name(&self, tenant: &str, device: &str) -> Result<DeviceName, Error> {
        let name = device_name(tenant, device)?;
        self.is_about(&name);
        Ok(name)
    }

    /// The same by whatever else names it.
    pub(crate) fn is_about(&self, name: &DeviceName) {
        // A request names one device; the first that was read stays.
        let _ = self.0.device.set(name.clone());
    }

    /// The same where the request may name none, or one that is malformed, which is judged elsewhere.
    pub(crate) fn may_be_about(&self, tenant: &str, device: &str) {
        if let Some(name) = self.named(tenant, device) {
            self.is_about(&name);
        }
    }

    /// An operator's device of that id; in the operator's own tenant if none is named.
    pub(crate) fn named(&self, tenant: &str, device: &str) -> Option<DeviceName> {
        let tenant = match tenant {
            "" => self.0.caller.as_ref()?.principal.tenant.clone()?,
            tenant => tenant.parse().ok()?,
        };
        Some(DeviceName { tenant, device: device.parse().ok()? })
    }
}

/// The caller showed no certificate, and the method takes operators alone.
pub(crate) fn certificate_required() -> Error {
    let message = "this method requires an operator's client certificate; present one";
    Error::new(ErrorCode::CertificateRequired, message)
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
