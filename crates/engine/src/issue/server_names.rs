//! The names that the authority's own server is certified for.

use std::sync::{PoisonError, RwLock};
use wardein_domain::DnsName;
use wardein_pki::ServerName;

/// Those of the last certificate.
#[derive(Default)]
pub(crate) struct ServerNames(RwLock<Vec<ServerName>>);

impl ServerNames {
    pub(crate) fn are(&self, names: &[ServerName]) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = names.to_vec();
    }

    pub(crate) fn has(&self, name: &DnsName) -> bool {
        let names = self.0.read().unwrap_or_else(PoisonError::into_inner);
        names.iter().any(|own| matches!(own, ServerName::Dns(own) if own == name))
    }
}
