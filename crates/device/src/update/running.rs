//! Whether what runs is what was approved: the attributes that the running release is to show, measured.

use super::error::UpdateError;
use super::progress::{Installed, Standing};
use crate::attribute::measure;
use crate::config::Config;
use crate::error::Error;
use serde::Serialize;
use std::path::Path;
use wardein_crypto::hex;

/// What runs, beside what is to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Running {
    /// The version that was confirmed last.
    pub version: u64,
    /// What people call it.
    pub label: String,
    /// The attributes that the release names, and that have another value, or are not among those of device.toml.
    pub differ: Vec<String>,
    /// How many it names.
    pub compared: usize,
}

impl Running {
    /// Measures below `root` what the release that was confirmed last is to show.
    pub(super) fn measured(standing: &Standing, config: &Config, root: &Path) -> Result<Self, Error> {
        let Some(Installed { version, label, attributes, .. }) = &standing.running else {
            return Err(UpdateError::NothingRuns.into());
        };
        let measured = measure(&config.attributes, root, |name| attributes.contains_key(name.as_str()))?;
        let is_shown = |name: &str, value: &str| {
            measured.iter().any(|(of, found)| {
                of.as_str() == name && (hex::encode(found) == *value || found == value.as_bytes())
            })
        };
        let differ = attributes.iter().filter(|(name, value)| !is_shown(name, value));
        Ok(Self {
            version: *version,
            label: label.clone(),
            differ: differ.map(|(name, _)| name.clone()).collect(),
            compared: attributes.len(),
        })
    }

    /// Whether all that the release names is as it says. A release that names nothing says nothing.
    pub fn is_approved(&self) -> bool {
        self.compared > 0 && self.differ.is_empty()
    }
}
