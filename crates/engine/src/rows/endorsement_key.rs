//! The row of an endorsement key on a tenant's list, at tenant and digest.

use super::column;
use serde::{Deserialize, Serialize};
use wardein_domain::UnixSeconds;

#[derive(Serialize, Deserialize)]
pub(crate) struct EndorsementKeyRow {
    #[serde(with = "column")]
    pub(crate) added_at: UnixSeconds,
}
