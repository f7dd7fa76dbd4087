//! The row of a profile, at tenant and name: what is set for it, and the last rotation of its devices' keys.

use super::{RotationRow, column};
use serde::{Deserialize, Serialize};
use wardein_domain::{ProfileFields, Purpose, Seconds};

#[derive(Serialize, Deserialize)]
pub(crate) struct ProfileRow {
    #[serde(with = "column::maybe")]
    certificate_validity: Option<Seconds>,
    #[serde(with = "column::maybe")]
    period: Option<Seconds>,
    max_uses: Option<u64>,
    suites: Option<Vec<u32>>,
    #[serde(with = "column::maybe")]
    verdict_lifetime: Option<Seconds>,
    #[serde(with = "column::maybe")]
    rekey_after: Option<Seconds>,
    quarantine_on_clone: Option<bool>,
    /// In epochs.
    token_retention: Option<u32>,
    data_retention: Option<u32>,
    file_retention: Option<u32>,
    archives: bool,
    #[serde(with = "column::list")]
    archive: Vec<Purpose>,
    pub(crate) rotation: RotationRow,
}

impl ProfileRow {
    pub(crate) fn new(fields: &ProfileFields, rotation: RotationRow) -> Self {
        Self {
            certificate_validity: fields.certificate_validity.map(Seconds::new),
            period: fields.period.map(Seconds::new),
            max_uses: fields.max_uses,
            suites: fields.suites.clone(),
            verdict_lifetime: fields.verdict_lifetime.map(Seconds::new),
            rekey_after: fields.rekey_after.map(Seconds::new),
            quarantine_on_clone: fields.quarantine_on_clone,
            token_retention: fields.token_retention,
            data_retention: fields.data_retention,
            file_retention: fields.file_retention,
            archives: fields.archive.is_some(),
            archive: fields.archive.clone().unwrap_or_default(),
            rotation,
        }
    }

    pub(crate) fn fields(&self) -> ProfileFields {
        ProfileFields {
            certificate_validity: self.certificate_validity.map(Seconds::get),
            period: self.period.map(Seconds::get),
            max_uses: self.max_uses,
            suites: self.suites.clone(),
            verdict_lifetime: self.verdict_lifetime.map(Seconds::get),
            rekey_after: self.rekey_after.map(Seconds::get),
            quarantine_on_clone: self.quarantine_on_clone,
            token_retention: self.token_retention,
            data_retention: self.data_retention,
            file_retention: self.file_retention,
            archive: self.archives.then(|| self.archive.clone()),
        }
    }
}
