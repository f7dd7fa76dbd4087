//! The station that devices on lines speak with: for whom it is one, and what it does when the authority is away.

use crate::Batch;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use wardein_client as client;
use wardein_ddkg::DeviceName;
use wardein_ddkg::message::{Confirmation, EnrollReply, EnrollRequest};
use wardein_device::{
    CallError, ConnectedStation, PinStation, Refused, Station, TpmActivation, TpmStation, Vouched,
};
use wardein_domain::{DeviceId, EnrolledKey, ErrorCode, TenantId, TpmChallenge, TpmEvidence};

/// A station that lines to devices share.
pub struct Factory {
    authority: client::Station,
    tenant: Option<TenantId>,
    expected: Expected,
}

/// Who may come, and what is vouched for.
enum Expected {
    /// These and no others, each with its own.
    Listed(BTreeMap<DeviceId, Vouched>),
    /// Every device, with the same.
    Every(Vouched),
}

impl Factory {
    /// A station for the devices of `batch` alone. Where its `tenant` is known, it sends devices of another away by itself.
    pub fn for_batch(authority: client::Station, tenant: Option<TenantId>, batch: &Batch) -> Self {
        let listed = batch.lines.iter().map(|line| (line.device.clone(), line.vouched())).collect();
        Self { authority, tenant, expected: Expected::Listed(listed) }
    }

    /// A station for whichever device comes; of each the same is said.
    pub fn for_all(authority: client::Station, tenant: Option<TenantId>, vouched: Vouched) -> Self {
        Self { authority, tenant, expected: Expected::Every(vouched) }
    }

    /// The devices that are expected; `None` where any is.
    pub(crate) fn expected(&self) -> Option<BTreeSet<DeviceId>> {
        match &self.expected {
            Expected::Listed(listed) => Some(listed.keys().cloned().collect()),
            Expected::Every(_) => None,
        }
    }

    fn station(&self, device: &DeviceName) -> Result<ConnectedStation, CallError> {
        let refused = |code, message| Err(CallError::Refused(Refused::new(code, message)));
        if let Some(tenant) = self.tenant.as_ref().filter(|tenant| **tenant != device.tenant) {
            let message = format!("the device is of tenant {}, and this station of {tenant}", device.tenant);
            return refused(ErrorCode::TenantForeign, message);
        }
        let vouched = match &self.expected {
            Expected::Every(vouched) => vouched.clone(),
            Expected::Listed(listed) => match listed.get(&device.device) {
                Some(vouched) => vouched.clone(),
                None => {
                    let message = format!("{} is not in the list of devices to enroll", device.device);
                    return refused(ErrorCode::DeviceNotListed, message);
                }
            },
        };
        Ok(ConnectedStation::new(self.authority.clone(), vouched))
    }
}

/// A station waits for an authority that does not answer, for some seconds.
impl Station for &Factory {
    async fn enroll(&mut self, request: &EnrollRequest) -> Result<(TenantId, EnrollReply), CallError> {
        let mut station = self.station(&request.device)?;
        patiently(async || station.enroll(request).await).await
    }

    async fn confirm(&mut self, confirmation: &Confirmation) -> Result<(), CallError> {
        let mut station = self.station(&confirmation.device)?;
        patiently(async || station.confirm(confirmation).await).await
    }
}

impl PinStation for &Factory {
    async fn signed_bundle(&mut self, device: &DeviceName) -> Result<Option<Vec<u8>>, CallError> {
        let mut station = self.station(device)?;
        patiently(async || station.signed_bundle(device).await).await
    }
}

impl TpmStation for &Factory {
    async fn begin(
        &mut self,
        device: &DeviceName,
        evidence: &TpmEvidence,
    ) -> Result<TpmChallenge, CallError> {
        let mut station = self.station(device)?;
        patiently(async || station.begin(device, evidence).await).await
    }

    async fn finish(&mut self, activation: &TpmActivation) -> Result<EnrolledKey, CallError> {
        let mut station = self.station(&activation.device)?;
        patiently(async || station.finish(activation).await).await
    }
}

async fn patiently<T>(mut call: impl AsyncFnMut() -> Result<T, CallError>) -> Result<T, CallError> {
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
