//! The row of an operator, at the serial of its certificate.

use super::column;
use serde::{Deserialize, Serialize};
use wardein_domain::{OperatorName, Principal, Reason, Role, Serial, TenantId, UnixSeconds};

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct OperatorRow {
    #[serde(with = "column")]
    pub(crate) role: Role,
    #[serde(with = "column::maybe")]
    pub(crate) tenant: Option<TenantId>,
    #[serde(with = "column")]
    pub(crate) name: OperatorName,
    #[serde(with = "column")]
    pub(crate) not_before: UnixSeconds,
    #[serde(with = "column")]
    pub(crate) not_after: UnixSeconds,
    #[serde(with = "column::maybe")]
    pub(crate) revoked: Option<(UnixSeconds, Reason)>,
    /// For stations: how many devices it may enroll.
    pub(crate) quota: u64,
}

impl OperatorRow {
    pub(crate) fn principal(&self, serial: Serial) -> Principal {
        Principal { role: self.role, tenant: self.tenant.clone(), name: self.name.clone(), serial }
    }
}
