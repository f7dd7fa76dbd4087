//! Certificates and the CAs that issue them; revocation.

pub(crate) mod apart;
pub(crate) mod authority;
pub(crate) mod ca_changes;
pub(crate) mod ca_cross;
pub(crate) mod ca_keys;
pub(crate) mod ca_schedule;
pub(crate) mod cas;
pub(crate) mod certificates;
pub(crate) mod crl;
pub(crate) mod made_key;
pub(crate) mod ocsp;
pub(crate) mod pins;
pub(crate) mod platform;
pub(crate) mod prepared;
pub(crate) mod renewal;
pub(crate) mod serial;
pub(crate) mod server_names;
#[cfg(test)]
mod tests;
