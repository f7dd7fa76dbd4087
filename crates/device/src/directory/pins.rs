//! The pins of the platform's keys, in the trust bundle that is stored as it came: its signature is verified at each reading.

use super::{Directory, Files};
use crate::config::Config;
use crate::error::Error;
use wardein_pki::PinBundle;

impl Files {
    /// The trust bundle of the platform of the device's tenant; `None` where there is none.
    pub fn pins(&self, config: &Config) -> Result<Option<PinBundle>, Error> {
        let Some(bytes) = self.read(PINS, PinBundle::MAX_LEN)? else { return Ok(None) };
        let bundle = PinBundle::open(bytes.expose(), &config.identity_key)
            .map_err(|error| self.damaged(PINS, error, "remove it and run: wardein-device pins"))?;
        // That of a tenant that the device has left says nothing.
        Ok(Some(bundle).filter(|bundle| bundle.tenant == config.device.tenant))
    }

    /// The error of a command that needs one where there is none.
    pub(crate) fn no_pins(&self) -> Error {
        Error::NoPins(self.path.join(PINS))
    }
}

impl Directory {
    /// Takes in a bundle as it came, and stores it durably. Refused is one that the identity key did not sign, one of another tenant, and
    /// one of an epoch before that of the stored one. What is in force then comes back.
    pub fn take_pins(&self, config: &Config, bytes: &[u8]) -> Result<PinBundle, Error> {
        let held = self.files.pins(config)?;
        let came = PinBundle::open(bytes, &config.identity_key).map_err(Error::Pins)?;
        came.judge(&config.device.tenant, held.as_ref()).map_err(Error::Pins)?;
        let is_news = |held: &PinBundle| {
            (held.epoch, held.validity.not_after()) < (came.epoch, came.validity.not_after())
        };
        match held {
            Some(held) if !is_news(&held) => Ok(held),
            _ => {
                self.write(PINS, bytes, 0o644)?;
                Ok(came)
            }
        }
    }
}

const PINS: &str = "platform.pins";
