//! The settings of a profile by their names, for a change that names some of them.

use crate::name::NameError;
use crate::profile::ProfileFields;
use alloc::vec::Vec;
use core::str::FromStr;

/// A setting of a profile, by its name in the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProfileField {
    /// How long certificates are valid.
    CertificateValidity,
    /// How long an epoch is.
    Period,
    /// How many keys an epoch has.
    MaxUses,
    /// The suites that are allowed.
    Suites,
    /// How long a verdict may be kept.
    VerdictLifetime,
    /// When a device is to rekey.
    RekeyAfter,
    /// Whether a clone alarm quarantines.
    QuarantineOnClone,
    /// For how many epochs tokens are accepted after their own.
    TokenRetention,
    /// For how many epochs payloads can be opened after their own.
    DataRetention,
    /// The same for files.
    FileRetention,
    /// Whose keys may be released again.
    Archive,
    /// The common name in certificates.
    CertificateCn,
    /// The DNS name in certificates.
    CertificateDns,
    /// The URN in certificates.
    CertificateUri,
    /// The serial number of the subject in certificates.
    CertificateSerialNumber,
    /// What certificates are for.
    CertificateProfile,
    /// The keys that are certified.
    CertificateKeys,
    /// Whether certificates say that nobody is told of their revocation.
    CertificateNoRevAvail,
    /// When certificates are renewed.
    CertificateRenewal,
}

impl ProfileField {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::CertificateValidity,
        Self::Period,
        Self::MaxUses,
        Self::Suites,
        Self::VerdictLifetime,
        Self::RekeyAfter,
        Self::QuarantineOnClone,
        Self::TokenRetention,
        Self::DataRetention,
        Self::FileRetention,
        Self::Archive,
        Self::CertificateCn,
        Self::CertificateDns,
        Self::CertificateUri,
        Self::CertificateSerialNumber,
        Self::CertificateProfile,
        Self::CertificateKeys,
        Self::CertificateNoRevAvail,
        Self::CertificateRenewal,
    ];

    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CertificateValidity => "certificate_validity",
            Self::Period => "period",
            Self::MaxUses => "max_uses",
            Self::Suites => "suites",
            Self::VerdictLifetime => "verdict_lifetime",
            Self::RekeyAfter => "rekey_after",
            Self::QuarantineOnClone => "quarantine_on_clone",
            Self::TokenRetention => "token_retention_epochs",
            Self::DataRetention => "data_retention_epochs",
            Self::FileRetention => "file_retention_epochs",
            Self::Archive => "archive",
            Self::CertificateCn => "certificate_cn",
            Self::CertificateDns => "certificate_dns",
            Self::CertificateUri => "certificate_uri",
            Self::CertificateSerialNumber => "certificate_serial_number",
            Self::CertificateProfile => "certificate_profile",
            Self::CertificateKeys => "certificate_keys",
            Self::CertificateNoRevAvail => "certificate_no_rev_avail",
            Self::CertificateRenewal => "certificate_renewal_percent",
        }
    }
}

impl FromStr for ProfileField {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::ALL.into_iter().find(|field| field.as_str() == text).ok_or(NameError::Unknown {
            kind: "setting of a profile",
            allowed: "certificate_validity, period, max_uses, suites, verdict_lifetime, rekey_after, \
                      quarantine_on_clone, token_retention_epochs, data_retention_epochs, \
                      file_retention_epochs, archive, certificate_cn, certificate_dns, certificate_uri, \
                      certificate_serial_number, certificate_profile, certificate_keys, certificate_no_rev_avail, \
                      certificate_renewal_percent",
        })
    }
}

impl ProfileFields {
    /// The settings that are set.
    pub fn named(&self) -> Vec<ProfileField> {
        ProfileField::ALL.into_iter().filter(|field| self.has(*field)).collect()
    }

    fn has(&self, field: ProfileField) -> bool {
        match field {
            ProfileField::CertificateValidity => self.certificate_validity.is_some(),
            ProfileField::Period => self.period.is_some(),
            ProfileField::MaxUses => self.max_uses.is_some(),
            ProfileField::Suites => self.suites.is_some(),
            ProfileField::VerdictLifetime => self.verdict_lifetime.is_some(),
            ProfileField::RekeyAfter => self.rekey_after.is_some(),
            ProfileField::QuarantineOnClone => self.quarantine_on_clone.is_some(),
            ProfileField::TokenRetention => self.token_retention.is_some(),
            ProfileField::DataRetention => self.data_retention.is_some(),
            ProfileField::FileRetention => self.file_retention.is_some(),
            ProfileField::Archive => self.archive.is_some(),
            ProfileField::CertificateCn => self.certificate_cn.is_some(),
            ProfileField::CertificateDns => self.certificate_dns.is_some(),
            ProfileField::CertificateUri => self.certificate_uri.is_some(),
            ProfileField::CertificateSerialNumber => self.certificate_serial_number.is_some(),
            ProfileField::CertificateProfile => self.certificate_profile.is_some(),
            ProfileField::CertificateKeys => self.certificate_keys.is_some(),
            ProfileField::CertificateNoRevAvail => self.certificate_no_rev_avail.is_some(),
            ProfileField::CertificateRenewal => self.certificate_renewal.is_some(),
        }
    }

    /// Those of `before`, with these for the settings in `only`: one that is not set here is inherited from then on.
    pub fn only(self, only: &[ProfileField], mut before: Self) -> Self {
        for field in only {
            match field {
                ProfileField::CertificateValidity => before.certificate_validity = self.certificate_validity,
                ProfileField::Period => before.period = self.period,
                ProfileField::MaxUses => before.max_uses = self.max_uses,
                ProfileField::Suites => before.suites.clone_from(&self.suites),
                ProfileField::VerdictLifetime => before.verdict_lifetime = self.verdict_lifetime,
                ProfileField::RekeyAfter => before.rekey_after = self.rekey_after,
                ProfileField::QuarantineOnClone => before.quarantine_on_clone = self.quarantine_on_clone,
                ProfileField::TokenRetention => before.token_retention = self.token_retention,
                ProfileField::DataRetention => before.data_retention = self.data_retention,
                ProfileField::FileRetention => before.file_retention = self.file_retention,
                ProfileField::Archive => before.archive.clone_from(&self.archive),
                ProfileField::CertificateCn => before.certificate_cn.clone_from(&self.certificate_cn),
                ProfileField::CertificateDns => before.certificate_dns.clone_from(&self.certificate_dns),
                ProfileField::CertificateUri => before.certificate_uri.clone_from(&self.certificate_uri),
                ProfileField::CertificateSerialNumber => {
                    before.certificate_serial_number.clone_from(&self.certificate_serial_number);
                }
                ProfileField::CertificateProfile => before.certificate_profile = self.certificate_profile,
                ProfileField::CertificateKeys => before.certificate_keys = self.certificate_keys,
                ProfileField::CertificateNoRevAvail => {
                    before.certificate_no_rev_avail = self.certificate_no_rev_avail
                }
                ProfileField::CertificateRenewal => before.certificate_renewal = self.certificate_renewal,
            }
        }
        before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Profile;

    #[test]
    fn what_is_named_changes_and_nothing_else() {
        let before = Profile::DEFAULT.fields();
        assert_eq!(before.named(), ProfileField::ALL);
        let given = ProfileFields { max_uses: Some(8), ..ProfileFields::default() };
        assert_eq!(given.named(), [ProfileField::MaxUses]);
        assert_eq!(given.clone().only(&[], before.clone()), before);
        for field in ProfileField::ALL {
            assert_eq!(field.as_str().parse(), Ok(field));
            let changed = given.clone().only(&[field], before.clone());
            let left: Vec<_> = ProfileField::ALL.into_iter().filter(|one| *one != field).collect();
            match field {
                ProfileField::MaxUses => assert_eq!(changed.max_uses, Some(8)),
                _ => assert_eq!(changed.named(), left, "named and not set: it is inherited"),
            }
            assert_eq!(before.clone().only(&[field], changed), before, "nothing else was touched");
        }
    }
}
