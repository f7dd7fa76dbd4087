//! The row of a grant, at tenant, platform, right and profile.

use super::column;
use serde::{Deserialize, Serialize};
use wardein_domain::{GroupTemplate, LoginNames, LoginTemplate, UnixSeconds};

#[derive(Serialize, Deserialize)]
pub(crate) struct GrantRow {
    #[serde(with = "column::maybe")]
    user_name: Option<LoginTemplate>,
    #[serde(with = "column::maybe")]
    organization: Option<LoginTemplate>,
    #[serde(with = "column::list")]
    groups: Vec<GroupTemplate>,
    #[serde(with = "column")]
    pub(crate) granted_at: UnixSeconds,
    pub(crate) granted_by: String,
}

impl GrantRow {
    pub(crate) fn new(names: LoginNames, granted_at: UnixSeconds, granted_by: String) -> Self {
        let LoginNames { user_name, organization, groups } = names;
        Self { user_name, organization, groups, granted_at, granted_by }
    }

    pub(crate) fn names(&self) -> LoginNames {
        let Self { user_name, organization, groups, .. } = self;
        LoginNames {
            user_name: user_name.clone(),
            organization: organization.clone(),
            groups: groups.clone(),
        }
    }
}
