//! The row of a claim: which devices of a tenant have an id whatever its case, a key, or a TPM.
//!
//! It is an index: whether a holder has it still is for its own rows to say. Each enrollment that takes such a thing writes its row, so
//! that two of them at one time conflict, on any node.

use super::{column, tenant_prefix};
use serde::{Deserialize, Serialize};
use wardein_domain::{DeviceId, TenantId};

#[derive(Serialize, Deserialize, Clone, Default, Debug, PartialEq, Eq)]
pub(crate) struct ClaimRow {
    #[serde(with = "column::list")]
    pub(crate) holders: Vec<DeviceId>,
}

/// What is claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim<'a> {
    /// An id, whatever its case.
    Id(&'a DeviceId),
    /// A TPM, by the digest of its endorsement key.
    Tpm(&'a [u8; 32]),
    /// A key that a device signs with, by its key id.
    Key(&'a [u8; 32]),
}

impl Claim<'_> {
    /// `tenant ‖ 0 ‖ kind ‖ value`.
    pub(crate) fn row_key(self, tenant: &TenantId) -> Vec<u8> {
        let mut key = tenant_prefix(tenant);
        match self {
            Self::Id(id) => {
                key.push(b'i');
                key.extend(id.as_str().bytes().map(|byte| byte.to_ascii_lowercase()));
            }
            Self::Tpm(digest) => {
                key.push(b't');
                key.extend_from_slice(digest);
            }
            Self::Key(id) => {
                key.push(b'k');
                key.extend_from_slice(id);
            }
        }
        key
    }
}
