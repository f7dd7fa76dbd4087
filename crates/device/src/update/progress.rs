//! How far installations have come: what runs, the floor, and what was installed and has not started yet.

use super::error::UpdateError;
use super::files::{MAX_PROGRESS, UpdateFiles};
use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use wardein_crypto::hex;
use wardein_tuf::Release;

use super::catalog::Listed;

/// What is known of the device's software. It is durable before a step is taken, and holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// The lowest version that may be installed. It rises with the first good start of a release that says so, and never before.
    pub floor: u64,
    /// What was confirmed last: what is to run. `None` before the first.
    pub running: Option<Installed>,
    /// What the maker's command was given, until it has started well or was rolled back.
    pub pending: Option<(Phase, Installed)>,
    /// When the offer was issued by which something was installed last, in Unix milliseconds; 0 before the first. No offer that is as old is
    /// good again.
    #[serde(default)]
    pub last_offer: u64,
}

/// How far an installation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The maker's command is at work, or was when the power was cut: it is run again.
    Installing,
    /// It has ended well. The release waits for its first start.
    Installed,
}

/// A release that was installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Installed {
    /// Its version.
    pub version: u64,
    /// What people call it.
    pub label: String,
    /// The artifact's path in the repository.
    pub path: String,
    /// The artifact's SHA-256, in hex.
    pub sha256: String,
    /// The floor that it sets.
    pub floor: u64,
    /// The attributes that it shows.
    pub attributes: BTreeMap<String, String>,
}

impl Installed {
    pub(super) fn of(listed: &Listed) -> Self {
        let Release { version, label, floor, attributes, .. } = listed.release.clone();
        let (path, sha256) = (listed.path.as_str().to_owned(), hex::encode(&listed.file.sha256.0));
        Self { version, label, path, sha256, floor, attributes }
    }
}

impl Standing {
    pub(super) fn read(files: &UpdateFiles) -> Result<Self, Error> {
        let Some(bytes) = files.progress()? else { return Ok(Self::default()) };
        let damaged =
            |why: String| Error::Damaged { path: files.progress_path(), why, next: PROGRESS_DAMAGED };
        if bytes.len() as u64 > MAX_PROGRESS {
            return Err(damaged(format!("it has more than {MAX_PROGRESS} bytes")));
        }
        serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))
    }

    pub(super) fn keep(&self, files: &UpdateFiles) -> Result<(), Error> {
        let bytes = serde_json::to_vec(self).map_err(|_| Error::Fault("writing JSON"))?;
        files.keep_progress(&bytes)
    }

    /// The same once what was installed has started well.
    pub(super) fn confirmed(self) -> Result<Self, UpdateError> {
        let Some((Phase::Installed, installed)) = self.pending else {
            return Err(UpdateError::NothingPending);
        };
        // A signed downgrade lowers it: what it goes back to says how far.
        let is_downgrade = installed.version < self.floor;
        let floor = if is_downgrade { installed.floor } else { self.floor.max(installed.floor) };
        Ok(Self { floor, running: Some(installed), pending: None, last_offer: self.last_offer })
    }

    /// The same once the device runs what it ran before.
    pub(super) fn rolled_back(self) -> Result<Self, UpdateError> {
        match self.pending {
            None => Err(UpdateError::NothingPending),
            Some(_) => Ok(Self { pending: None, ..self }),
        }
    }
}

/// With it, the floor would be lost.
const PROGRESS_DAMAGED: &str = "the lowest version that may be installed is in it; restore the file, or have the maker's service set the \
                                device up again";
