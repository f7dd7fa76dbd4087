//! The note of when the certificate that is stored is to be renewed. Without it, that is after two thirds of its time.

use super::{Directory, Files};
use crate::certificate::Certificate;
use crate::error::Error;
use serde::{Deserialize, Serialize};
use wardein_domain::{RenewalWindow, Serial};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    /// Of the certificate, so that it is not taken for that of another one.
    serial: String,
    /// Unix seconds.
    start: u64,
    end: u64,
}

impl Files {
    /// When the certificate with that serial is to be renewed; `None` where that is not noted, or the note is damaged.
    pub(crate) fn renewal(&self, serial: &Serial) -> Option<RenewalWindow> {
        let bytes = self.read(RENEWAL, MAX_NOTE).ok()??;
        let note: Note = serde_json::from_slice(bytes.expose()).ok()?;
        RenewalWindow::new(note.start, note.end).filter(|_| note.serial == serial.to_string())
    }
}

impl Directory {
    pub(super) fn save_renewal(&self, certificate: &Certificate) -> Result<(), Error> {
        let Certificate { serial, renewal, .. } = certificate;
        let note = Note { serial: serial.to_string(), start: renewal.start(), end: renewal.end() };
        let text = serde_json::to_vec(&note).map_err(|_| Error::Fault("writing JSON"))?;
        self.write(RENEWAL, &text, 0o600)
    }
}

const RENEWAL: &str = "renewal.json";
const MAX_NOTE: usize = 4 << 10;
