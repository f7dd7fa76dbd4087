//! The row of a tenant, at its name.

use super::column;
use serde::{Deserialize, Serialize};
use wardein_domain::{Rotation, UnixSeconds};

#[derive(Serialize, Deserialize)]
pub(crate) struct TenantRow {
    #[serde(with = "column")]
    pub(crate) created_at: UnixSeconds,
    /// The versions of the tenant's key, newest first: each its number and the key, sealed under the root key.
    pub(crate) keys: Vec<Vec<u8>>,
    /// The last rotation of all its devices' keys.
    pub(crate) rotation: RotationRow,
}

/// A [`Rotation`].
#[derive(Serialize, Deserialize, Clone, Copy, Default)]
pub(crate) struct RotationRow {
    #[serde(with = "column")]
    asked_at: UnixSeconds,
    #[serde(with = "column")]
    required_at: UnixSeconds,
}

impl From<RotationRow> for Rotation {
    fn from(row: RotationRow) -> Self {
        Self { asked_at: row.asked_at.get(), required_at: row.required_at.get() }
    }
}

impl From<Rotation> for RotationRow {
    fn from(rotation: Rotation) -> Self {
        let Rotation { asked_at, required_at } = rotation;
        Self { asked_at: UnixSeconds::new(asked_at), required_at: UnixSeconds::new(required_at) }
    }
}
