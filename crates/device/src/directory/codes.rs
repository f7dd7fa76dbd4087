//! What is kept of challenges that technicians answer.

use super::{Directory, Files};
use crate::error::Error;
use crate::service::Codes;

impl Files {
    /// The open challenge, and the codes that were tried.
    pub(crate) fn codes(&self) -> Result<Codes, Error> {
        let Some(bytes) = self.read(CODES, MAX_CODES)? else { return Ok(Codes::default()) };
        serde_json::from_slice(bytes.expose())
            .map_err(|error| self.damaged(CODES, error, "remove it, and show another challenge"))
    }
}

impl Directory {
    /// Stores them.
    pub(crate) fn save_codes(&self, codes: &Codes) -> Result<(), Error> {
        let text = serde_json::to_vec(codes).map_err(|_| Error::Fault("writing JSON"))?;
        self.write(CODES, &text, 0o600)
    }
}

const CODES: &str = "codes.json";
const MAX_CODES: usize = 4 << 10;
