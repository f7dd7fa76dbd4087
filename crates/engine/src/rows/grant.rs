//! The row of a grant, at tenant, platform, right and profile.

use super::column;
use serde::{Deserialize, Serialize};
use wardein_domain::{UnixSeconds, UserNameTemplate};

#[derive(Serialize, Deserialize)]
pub(crate) struct GrantRow {
    #[serde(with = "column::maybe")]
    pub(crate) user_name: Option<UserNameTemplate>,
    #[serde(with = "column")]
    pub(crate) granted_at: UnixSeconds,
    pub(crate) granted_by: String,
}
