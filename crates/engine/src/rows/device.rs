//! The row of a device, at tenant and id: the administrator's view of it, and the basis of trust. Its keys are elsewhere.

use super::{RotationRow, column};
use serde::{Deserialize, Serialize};
use wardein_ddkg::authority::Record;
use wardein_domain::{
    Assurance, AttributeName, DeviceState, ModelName, ProfileName, Reason, Serial, Udi, UnixSeconds,
};

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct DeviceRow {
    #[serde(with = "column")]
    pub(crate) state: DeviceState,
    #[serde(with = "column::maybe")]
    pub(crate) state_reason: Option<Reason>,
    #[serde(with = "column")]
    pub(crate) profile: ProfileName,
    #[serde(with = "column::maybe")]
    pub(crate) model: Option<ModelName>,
    #[serde(with = "column::maybe")]
    pub(crate) udi: Option<Udi>,
    #[serde(with = "column")]
    pub(crate) enrolled_at: UnixSeconds,
    pub(crate) enrolled_by: String,
    /// The serial of the station's certificate, by which its quota is counted.
    #[serde(with = "column")]
    pub(crate) station: Serial,
    /// The names of its attributes, in byte order: its recipe.
    #[serde(with = "column::list")]
    pub(crate) attributes: Vec<AttributeName>,
    /// The last rotation of its keys alone.
    pub(crate) rotation: RotationRow,
    /// How surely the key that it signs with is where it is said to be; none for a device that derives its keys.
    #[serde(with = "column::maybe")]
    pub(crate) assurance: Option<Assurance>,
}

/// The value of [`DeviceRow::attributes`] for a record.
pub(crate) fn attribute_names(record: &Record) -> Vec<AttributeName> {
    record.attributes().names().names().to_vec()
}
