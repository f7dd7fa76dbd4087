//! A device that is enrolled by a key.

use crate::{Assurance, TenantId};

/// What is on record of a device's key, as its station and the device are answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolledKey {
    /// The tenant that the station works for.
    pub tenant: TenantId,
    /// SHA-256 of the key's SubjectPublicKeyInfo.
    pub key_id: [u8; 32],
    /// How surely the key is where it is said to be.
    pub assurance: Assurance,
}
