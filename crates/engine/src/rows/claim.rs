//! The row of a claim: which devices of a tenant have an id whatever its case, a key, a TPM, or a UDI; and which have a serial
//! number.
//!
//! It is an index: whether a holder has it still is for its own rows to say. Each enrollment that takes such a thing writes its row, so
//! that two of them at one time conflict, on any node.

use super::{column, tenant_prefix};
use serde::{Deserialize, Serialize};
use wardein_domain::{DeviceId, TenantId};

/// What ends a serial number in a key: no serial number has it.
const END: u8 = 0;

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
    /// The device identifier and the serial number of a UDI.
    Udi(&'a str, &'a str),
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
            Self::Udi(device, serial) => {
                key.push(b'u');
                key.extend_from_slice(device.as_bytes());
                key.push(END);
                key.extend_from_slice(serial.as_bytes());
            }
        }
        key
    }
}

/// What the keys of all devices with a serial number begin with: `tenant ‖ 0 ‖ 's' ‖ serial ‖ 0`.
pub(crate) fn serial_prefix(tenant: &TenantId, serial: &str) -> Vec<u8> {
    let mut key = tenant_prefix(tenant);
    key.push(b's');
    key.extend_from_slice(serial.as_bytes());
    key.push(END);
    key
}

/// The key under which a device is found by its serial number: the prefix with its id behind.
pub(crate) fn serial_key(tenant: &TenantId, serial: &str, device: &DeviceId) -> Vec<u8> {
    [&serial_prefix(tenant, serial)[..], device.as_str().as_bytes()].concat()
}

/// The device of such a key.
pub(crate) fn parse_serial_key(prefix: &[u8], key: &[u8]) -> Option<DeviceId> {
    std::str::from_utf8(key.strip_prefix(prefix)?).ok()?.parse().ok()
}
