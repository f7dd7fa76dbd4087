//! Why the authority was not reached, found among the causes of an error.

use crate::clock;
use crate::error::ConnectError;
use crate::foreign::Foreign;
use crate::proxy::ProxyError;
use rustls::{CertificateError, OtherError};
use std::error::Error;
use std::io;

/// The error of a way to `endpoint` that failed by `error`.
pub(crate) fn unreached(endpoint: &str, error: impl Into<Box<dyn Error + Send + Sync>>) -> ConnectError {
    let source = error.into();
    let found = causes(&*source).find_map(|cause| named(endpoint, cause));
    found.unwrap_or_else(|| ConnectError::Unreachable { endpoint: endpoint.to_owned(), source })
}

fn named(endpoint: &str, cause: &(dyn Error + 'static)) -> Option<ConnectError> {
    if let Some(proxy) = cause.downcast_ref::<ProxyError>() {
        return Some(ConnectError::Proxy(proxy.to_string()));
    }
    match cause.downcast_ref() {
        Some(rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(other)))) => {
            let Foreign(certificate) = other.downcast_ref()?;
            let (endpoint, certificate) = (endpoint.to_owned(), certificate.clone());
            Some(ConnectError::Intercepted { endpoint, certificate })
        }
        Some(error) => clock::of_handshake(error),
        None => None,
    }
}

/// An error, and what is beneath it.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        // What an io::Error holds is not its source: that is beneath it.
        let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        held.map(|held| held as &(dyn Error + 'static)).or_else(|| error.source())
    })
}
