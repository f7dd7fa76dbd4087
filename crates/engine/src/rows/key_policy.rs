//! The row of a tenant's key storage policy, at its name.

use super::column;
use serde::{Deserialize, Serialize};
use wardein_domain::KeyKeeper;

#[derive(Serialize, Deserialize)]
pub(crate) struct KeyPolicyRow {
    /// Certificates of TPM vendors, DER.
    pub(crate) vendor_roots: Vec<Vec<u8>>,
    pub(crate) first_use: bool,
    #[serde(with = "column::list")]
    pub(crate) keepers: Vec<KeyKeeper>,
}
