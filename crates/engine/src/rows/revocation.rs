//! Revocations: of one certificate, by its serial; and rules, which revoke what a device was issued until some moment. A revocation
//! list expands the rules; issuance checks them.

use super::{column, device_key, parse_device_key};
use crate::kernel::Error;
use serde::{Deserialize, Serialize};
use wardein_ddkg::DeviceName;
use wardein_domain::{Reason, Serial, UnixSeconds};

/// A certificate that was revoked by itself.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct RevokedRow {
    #[serde(with = "column")]
    pub(crate) at: UnixSeconds,
    #[serde(with = "column")]
    pub(crate) reason: Reason,
}

/// A rule: all certificates that the device was issued until `issued_until`, inclusive, are revoked.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct DeviceRevocationRow {
    #[serde(with = "column")]
    pub(crate) issued_until: UnixSeconds,
    #[serde(with = "column")]
    pub(crate) reason: Reason,
}

/// What a row of the table is about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Revocation {
    /// One certificate.
    Certificate(Serial),
    /// What a device was issued.
    Device(DeviceName),
}

/// `'c' ‖ serial`.
pub(crate) fn revoked_key(serial: &Serial) -> Vec<u8> {
    [&[CERTIFICATE], &serial.as_bytes()[..]].concat()
}

/// `'d' ‖ tenant ‖ 0 ‖ device`.
pub(crate) fn device_rule_key(name: &DeviceName) -> Vec<u8> {
    [&[DEVICE], &device_key(name)[..]].concat()
}

/// The inverse of [`revoked_key`] and [`device_rule_key`].
pub(crate) fn parse_revocation_key(key: &[u8]) -> Result<Revocation, Error> {
    match key.split_first() {
        Some((&CERTIFICATE, serial)) => {
            Serial::from_bytes(serial).map(Revocation::Certificate).map_err(Error::internal)
        }
        Some((&DEVICE, name)) => parse_device_key(name).map(Revocation::Device),
        _ => Err(super::damaged(wardein_port::Table::Revocation, "has a key of an unknown kind")),
    }
}

const CERTIFICATE: u8 = b'c';
const DEVICE: u8 = b'd';

impl DeviceRevocationRow {
    /// The rule of a readmission: a copy of the device's state may hold what it was certified before.
    pub(crate) fn readmitted(issued_until: UnixSeconds) -> Self {
        let reason = "the device was readmitted".parse().expect("the constant is a reason");
        Self { issued_until, reason }
    }
}
