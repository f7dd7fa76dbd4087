//! The station that devices on lines speak with: for whom it is one, and what it does when the authority is away.

use crate::{Batch, Error, Expected, Outcome, Report};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use wardein_client as client;
use wardein_ddkg::DeviceName;
use wardein_device::{
    CallError, ConnectedStation, PinStation, ProofStation, Refused, Station, TpmStation, Vouched,
};
use wardein_domain::{DeviceId, ErrorCode, TenantId};

/// A station that lines to devices share.
pub struct Factory<A = client::Station> {
    authority: A,
    tenant: Option<TenantId>,
    vouching: Vouching,
    expected: Option<Expected>,
    report: Option<Mutex<Report>>,
}

/// What is asked in a device's name. Over the wire it is [`client::Station`]; tests script it.
pub trait Authority: Clone + Send + Sync + 'static {
    /// A station for one device.
    type Station: Station + TpmStation + PinStation + ProofStation;
    /// One for a device that the factory vouches for so.
    fn station(&self, vouched: Vouched) -> Self::Station;
}

impl Authority for client::Station {
    type Station = ConnectedStation;

    fn station(&self, vouched: Vouched) -> ConnectedStation {
        ConnectedStation::new(self.clone(), vouched)
    }
}

/// What is vouched for, and of whom.
enum Vouching {
    /// These and no others, each with its own.
    Listed(BTreeMap<DeviceId, Vouched>),
    /// Every device, with the same.
    Every(Vouched),
}

impl<A: Authority> Factory<A> {
    /// A station for the devices of `batch` alone. Where its `tenant` is known, it sends devices of another away by itself.
    pub fn for_batch(authority: A, tenant: Option<TenantId>, batch: &Batch) -> Self {
        let listed = batch.lines.iter().map(|line| (line.device.clone(), line.vouched())).collect();
        Self { authority, tenant, vouching: Vouching::Listed(listed), expected: None, report: None }
    }

    /// A station for whichever device comes; of each the same is said.
    pub fn for_all(authority: A, tenant: Option<TenantId>, vouched: Vouched) -> Self {
        Self { authority, tenant, vouching: Vouching::Every(vouched), expected: None, report: None }
    }

    /// The same for the devices of a list alone: another one is refused before the authority hears of it.
    pub fn expecting(self, expected: Option<Expected>) -> Self {
        Self { expected, ..self }
    }

    /// The same with a report, which has each device before the device hears that it is enrolled.
    pub fn reporting(self, report: Option<Report>) -> Self {
        Self { report: report.map(Mutex::new), ..self }
    }

    /// How many devices are still to come; `None` where any may.
    pub fn left(&self) -> Option<usize> {
        self.to_come().map(|devices| devices.len())
    }

    /// The devices that are still to come; `None` where any may.
    pub(crate) fn to_come(&self) -> Option<BTreeSet<DeviceId>> {
        let listed = match &self.vouching {
            Vouching::Listed(listed) => Some(listed.keys().cloned().collect()),
            Vouching::Every(_) => None,
        };
        let expected = self.expected.as_ref().map(|expected| expected.ids().clone());
        let mut devices: BTreeSet<DeviceId> = match (listed, expected) {
            (None, None) => return None,
            (Some(devices), None) | (None, Some(devices)) => devices,
            (Some(listed), Some(expected)) => listed.intersection(&expected).cloned().collect(),
        };
        if let Some(report) = &self.report {
            let report = report.lock().unwrap_or_else(PoisonError::into_inner);
            devices.retain(|device| !report.enrolled().contains(device.as_str()));
        }
        Some(devices)
    }

    /// What is vouched for of a device; an error where it is not to be enrolled here.
    pub(crate) fn vouched(&self, device: &DeviceName) -> Result<Vouched, CallError> {
        let refused = |code, message| Err(CallError::Refused(Refused::new(code, message)));
        if let Some(tenant) = self.tenant.as_ref().filter(|tenant| **tenant != device.tenant) {
            let message = format!("the device is of tenant {}, and this station of {tenant}", device.tenant);
            return refused(ErrorCode::TenantForeign, message);
        }
        if self.expected.as_ref().is_some_and(|expected| !expected.has(&device.device)) {
            let message = format!("{} is not in the expected list", device.device);
            return refused(ErrorCode::DeviceNotListed, message);
        }
        match &self.vouching {
            Vouching::Every(vouched) => Ok(vouched.clone()),
            Vouching::Listed(listed) => match listed.get(&device.device) {
                Some(vouched) => Ok(vouched.clone()),
                None => {
                    let message = format!("{} is not in the list of devices to enroll", device.device);
                    refused(ErrorCode::DeviceNotListed, message)
                }
            },
        }
    }

    /// The authority, for a device that may be enrolled here.
    pub(crate) fn station(&self, device: &DeviceName) -> Result<A::Station, CallError> {
        Ok(self.authority.station(self.vouched(device)?))
    }

    /// Enters an outcome in the report, where there is one.
    pub(crate) fn enter(&self, outcome: &Outcome) -> Result<(), Error> {
        match &self.report {
            Some(report) => report.lock().unwrap_or_else(PoisonError::into_inner).enter(outcome),
            None => Ok(()),
        }
    }
}

/// A station waits for an authority that does not answer, for some seconds.
pub(crate) async fn patiently<T>(
    mut call: impl AsyncFnMut() -> Result<T, CallError>,
) -> Result<T, CallError> {
    for pause in PAUSES {
        match call().await {
            Err(CallError::Unreachable(_)) => tokio::time::sleep(pause).await,
            answered => return answered,
        }
    }
    call().await
}

/// Between two calls to an authority that does not answer: a restart of it goes unseen.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];
