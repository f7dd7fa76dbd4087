//! The row of a profile, at tenant and name: its settings, and the last rotation of its devices' keys.

use super::{RotationRow, column};
use serde::{Deserialize, Serialize};
use wardein_domain::{CertificateProfile, KeyKinds, NameTemplate, ProfileFields, Purpose, Seconds};

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
    #[serde(with = "column::maybe")]
    certificate_cn: Option<NameTemplate>,
    #[serde(with = "column::maybe")]
    certificate_dns: Option<NameTemplate>,
    #[serde(with = "column::maybe")]
    certificate_uri: Option<NameTemplate>,
    #[serde(with = "column::maybe")]
    certificate_serial_number: Option<NameTemplate>,
    #[serde(with = "column::maybe")]
    certificate_profile: Option<CertificateProfile>,
    #[serde(with = "column::maybe")]
    certificate_keys: Option<KeyKinds>,
    certificate_no_rev_avail: Option<bool>,
    certificate_renewal: Option<u32>,
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
            certificate_cn,
            certificate_dns,
            certificate_uri,
            certificate_serial_number,
            certificate_profile,
            certificate_keys,
            certificate_no_rev_avail,
            certificate_renewal,
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
            certificate_cn,
            certificate_dns,
            certificate_uri,
            certificate_serial_number,
            certificate_profile,
            certificate_keys,
            certificate_no_rev_avail,
            certificate_renewal,
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
            certificate_cn,
            certificate_dns,
            certificate_uri,
            certificate_serial_number,
            certificate_profile,
            certificate_keys,
            certificate_no_rev_avail,
            certificate_renewal,
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
            certificate_cn: certificate_cn.clone(),
            certificate_dns: certificate_dns.clone(),
            certificate_uri: certificate_uri.clone(),
            certificate_serial_number: certificate_serial_number.clone(),
            certificate_profile: *certificate_profile,
            certificate_keys: *certificate_keys,
            certificate_no_rev_avail: *certificate_no_rev_avail,
            certificate_renewal: *certificate_renewal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{decode, encode};
    use wardein_crypto::hex;
    use wardein_domain::KeyKind;
    use wardein_port::Table;

    /// The golden rows of the release before say nothing of certificates.
    #[test]
    fn the_bytes_of_a_row_that_says_what_certificates_are_never_change() {
        let fields = ProfileFields {
            period: Some(60),
            certificate_cn: Some("{device}.{tenant}".parse().unwrap()),
            certificate_dns: Some(NameTemplate::NONE),
            certificate_serial_number: Some("{device}".parse().unwrap()),
            certificate_profile: Some(CertificateProfile::SdcConsumer),
            certificate_keys: Some(KeyKinds::of(&[KeyKind::P384, KeyKind::Rsa2048])),
            certificate_no_rev_avail: Some(true),
            certificate_renewal: Some(75),
            ..ProfileFields::default()
        };
        let row = ProfileRow::new(&fields, RotationRow::default());
        assert_eq!(hex::encode(&encode(&row).unwrap()), GOLDEN);
        let read: ProfileRow = decode(Table::Profile, &hex::decode(GOLDEN).unwrap()).unwrap();
        assert_eq!(read.fields(), fields);
        assert_eq!(hex::encode(&encode(&read).unwrap()), GOLDEN);
    }

    const GOLDEN: &str = "0200013c0000000000000000000001117b6465766963657d2e7b74656e616e747d01000001087b6465766963657d0105010202030101014b0000";
}
