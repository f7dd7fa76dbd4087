//! The row of a tenant's key storage policy, at its name, and those of the certificates that it trusts, at tenant and digest.

use super::{column, tenant_prefix};
use serde::{Deserialize, Serialize};
use wardein_crypto::Digest;
use wardein_domain::{KeyKeeper, TenantId};

#[derive(Serialize, Deserialize, Default, PartialEq, Eq)]
pub(crate) struct KeyPolicyRow {
    pub(crate) vendor_roots: Vec<RootRef>,
    pub(crate) first_use: bool,
    #[serde(with = "column::list")]
    pub(crate) keepers: Vec<KeyKeeper>,
    /// Whether several devices may be one TPM.
    pub(crate) shared_tpms: bool,
}

/// A certificate of a TPM vendor that is trusted: there are hundreds, and one judgment needs a few.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RootRef {
    /// The first half of the SHA-256 of its subject.
    pub(crate) name: [u8; 16],
    /// The SHA-256 of the certificate.
    pub(crate) digest: [u8; 32],
}

impl RootRef {
    pub(crate) fn new(subject: &[u8], der: &[u8]) -> Self {
        Self { name: Self::name_of(subject), digest: Digest::of(der).0 }
    }

    /// How a subject is found.
    pub(crate) fn name_of(subject: &[u8]) -> [u8; 16] {
        let mut name = [0; 16];
        name.copy_from_slice(&Digest::of(subject).0[..16]);
        name
    }

    pub(crate) fn row_key(&self, tenant: &TenantId) -> Vec<u8> {
        let mut key = tenant_prefix(tenant);
        key.extend_from_slice(&self.digest);
        key
    }
}

/// A certificate, DER.
#[derive(Serialize, Deserialize)]
pub(crate) struct VendorRootRow {
    pub(crate) der: Vec<u8>,
}
