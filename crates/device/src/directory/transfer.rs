//! A device that goes over to another tenant: its name changes, which is in two files, the state and device.toml. A power cut
//! between the two must not part them.
//!
//! So a third says beforehand who the device is to be. While it is there, the state decides which of the two names is the present
//! one.

use super::{CERTIFICATE, Directory, Files, KEY, SEALED_KEY};
use crate::config::Config;
use crate::error::Error;
use serde::{Deserialize, Serialize};
use wardein_ddkg::DeviceName;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arriving {
    tenant: String,
    device_id: String,
}

impl Files {
    /// `config` with the device's present name.
    pub(super) fn of_present_name(&self, config: Config) -> Result<Config, Error> {
        let Some(device) = self.arriving()? else { return Ok(config) };
        let other = Config { device, ..config.clone() };
        match self.state(&other) {
            Ok(Some(_)) => Ok(other),
            _ => Ok(config),
        }
    }

    /// Who the device is to be, while that is under way.
    fn arriving(&self) -> Result<Option<DeviceName>, Error> {
        let Some(bytes) = self.read(TRANSFER, MAX_TRANSFER)? else { return Ok(None) };
        let damaged = |why: String| {
            self.damaged(TRANSFER, why, "restore it, or put the name of the state into device.toml")
        };
        let Arriving { tenant, device_id } =
            serde_json::from_slice(bytes.expose()).map_err(|error| damaged(error.to_string()))?;
        let tenant = tenant.parse().map_err(|error| damaged(format!("tenant: {error}")))?;
        let device = device_id.parse().map_err(|error| damaged(format!("device_id: {error}")))?;
        Ok(Some(DeviceName { tenant, device }))
    }
}

impl Directory {
    /// Notes who the device is to be, before its state says so.
    pub(crate) fn begin_transfer(&self, to: &DeviceName) -> Result<(), Error> {
        let arriving = Arriving { tenant: to.tenant.to_string(), device_id: to.device.to_string() };
        let text = serde_json::to_vec(&arriving).map_err(|_| Error::Fault("writing JSON"))?;
        self.write(TRANSFER, &text, 0o600)
    }

    /// Brings a transfer to its end, as far as it came: `config` has the name of the state. The certificate and its key were the
    /// former tenant's, and end with it. Where none is under way it does nothing.
    pub(crate) fn end_transfer(&self, config: &Config) -> Result<(), Error> {
        let Some(to) = self.files.arriving()? else { return Ok(()) };
        if to == config.device {
            for former in [CERTIFICATE, KEY, SEALED_KEY] {
                self.remove(former)?;
            }
            // The other settings may have been edited since this process began. Saving syncs the directory, and with it what was removed.
            let present = self.files.config()?.unwrap_or_else(|| config.clone());
            self.save_config(&Config { device: to, ..present })?;
        }
        self.remove(TRANSFER)
    }
}

const TRANSFER: &str = "transfer.json";
const MAX_TRANSFER: usize = 4 << 10;
