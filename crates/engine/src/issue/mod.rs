//! Certificates and the CAs that issue them; revocation.

pub(crate) mod authority;
pub(crate) mod certificates;
pub(crate) mod serial;
