//! The row of a profile, at tenant and name: its settings, and the last rotation of its devices' keys.

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
        let ProfileFields {
            certificate_validity,
            period,
            max_uses,
            suites,
            verdict_lifetime,
            rekey_after,
            quarantine_on_clone,
            token_retention,
            data_retention,
            file_retention,
            archive,
        } = fields.clone();
        Self {
            certificate_validity: certificate_validity.map(Seconds::new),
            period: period.map(Seconds::new),
            max_uses,
            suites,
            verdict_lifetime: verdict_lifetime.map(Seconds::new),
            rekey_after: rekey_after.map(Seconds::new),
            quarantine_on_clone,
            token_retention,
            data_retention,
            file_retention,
            archives: archive.is_some(),
            archive: archive.unwrap_or_default(),
            rotation,
        }
    }

    pub(crate) fn fields(&self) -> ProfileFields {
        let Self {
            certificate_validity,
            period,
            max_uses,
            suites,
            verdict_lifetime,
            rekey_after,
            quarantine_on_clone,
            token_retention,
            data_retention,
            file_retention,
            archive,
            archives,
            rotation: _,
        } = self;
        ProfileFields {
            certificate_validity: certificate_validity.map(Seconds::get),
            period: period.map(Seconds::get),
            max_uses: *max_uses,
            suites: suites.clone(),
            verdict_lifetime: verdict_lifetime.map(Seconds::get),
            rekey_after: rekey_after.map(Seconds::get),
            quarantine_on_clone: *quarantine_on_clone,
            token_retention: *token_retention,
            data_retention: *data_retention,
            file_retention: *file_retention,
            archive: archives.then(|| archive.clone()),
        }
    }
}
