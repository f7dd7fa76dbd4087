//! The readers of the device's files, in the list that is stored as it came: its signature is verified at each reading.

use super::{Directory, Files};
use crate::config::Config;
use crate::error::Error;
use wardein_files::ReaderList;

impl Files {
    /// The readers of the device's files, as the authority vouched for them last; `None` where it was never asked.
    pub fn readers(&self, config: &Config) -> Result<Option<ReaderList>, Error> {
        let Some(bytes) = self.read(READERS, ReaderList::MAX_LEN)? else { return Ok(None) };
        let list = ReaderList::open(bytes.expose(), &config.identity_key).map_err(|error| {
            self.damaged(READERS, error, "remove it and run: wardein-device file readers")
        })?;
        // That of a tenant that the device has left says nothing.
        Ok(Some(list).filter(|list| list.tenant == config.device.tenant))
    }
}

impl Directory {
    /// Takes in a list as it came, and stores it durably. Refused is one that the identity key did not sign, one of another tenant, and one
    /// of a lower number than the stored one.
    pub fn take_readers(&self, config: &Config, bytes: &[u8]) -> Result<ReaderList, Error> {
        let held = self.files.readers(config)?;
        let came = ReaderList::open(bytes, &config.identity_key).map_err(Error::Readers)?;
        came.judge(&config.device.tenant, held.as_ref()).map_err(Error::Readers)?;
        if held.as_ref() != Some(&came) {
            self.write(READERS, bytes, 0o644)?;
        }
        Ok(came)
    }
}

const READERS: &str = "file.readers";
