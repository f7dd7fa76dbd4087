//! The rules for a group of devices.

use crate::certificate_names::{self, CertificateNameError, CertificateNames, NameTemplate, Templates};
use crate::certificate_profile::CertificateProfile;
use crate::key_kind::KeyKinds;
use crate::name::{DeviceId, ProfileName, Purpose, TenantId};
use crate::renewal::RenewalWindow;
use crate::schedule::Schedule;
use alloc::vec::Vec;

/// The settings of a profile. An unset field has the value of the tenant's profile `default`, and for that one as
/// in [`Profile::DEFAULT`].
///
/// Whatever reads or makes it names every field, without `..`, so that a new one is an error of the compiler wherever it is missing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProfileFields {
    /// Seconds for which a certificate is valid: 300 to 31,622,400.
    pub certificate_validity: Option<u64>,
    /// Seconds in an epoch: 60 to ten years; 0 for none.
    pub period: Option<u64>,
    /// Keys in an epoch; 0 for no bound.
    pub max_uses: Option<u64>,
    /// The suites that are allowed: 1, 2, or both.
    pub suites: Option<Vec<u32>>,
    /// Seconds for which a trust verdict may be kept: at most 86,400.
    pub verdict_lifetime: Option<u64>,
    /// Seconds after which a device is to rekey: 3,600 to ten years; 0 for only when it is asked.
    pub rekey_after: Option<u64>,
    /// Whether a clone alarm takes the device out of trust until a human decides.
    pub quarantine_on_clone: Option<bool>,
    /// Epochs for which tokens are accepted after their own: at most 1,000.
    pub token_retention: Option<u32>,
    /// Epochs for which payloads can be opened after their own: at most 10,000,000.
    pub data_retention: Option<u32>,
    /// The same for files.
    pub file_retention: Option<u32>,
    /// Those of `data` and `file` whose keys may be released again.
    pub archive: Option<Vec<Purpose>>,
    /// The common name in a device's certificate.
    pub certificate_cn: Option<NameTemplate>,
    /// The DNS name in a device's certificate.
    pub certificate_dns: Option<NameTemplate>,
    /// The URN in a device's certificate.
    pub certificate_uri: Option<NameTemplate>,
    /// The serial number in the subject of a device's certificate.
    pub certificate_serial_number: Option<NameTemplate>,
    /// What a device's certificate is for.
    pub certificate_profile: Option<CertificateProfile>,
    /// The keys that are certified. Where this is not set and `certificate_profile` is, they are those of that.
    pub certificate_keys: Option<KeyKinds>,
    /// Whether a device's certificate says that nobody is told of its revocation (RFC 9608).
    pub certificate_no_rev_avail: Option<bool>,
    /// After which share of its time a device renews its certificate: 20 to 90 percent.
    pub certificate_renewal: Option<u32>,
}

/// The rules that a device follows by its profile, including inherited ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    certificate_validity: u64,
    period: u64,
    max_uses: u64,
    /// Bit n − 1: suite n is allowed.
    suites: u8,
    verdict_lifetime: u64,
    rekey_after: u64,
    quarantine_on_clone: bool,
    token_retention: u32,
    data_retention: u32,
    file_retention: u32,
    archives_data: bool,
    archives_files: bool,
    certificate_cn: NameTemplate,
    certificate_dns: NameTemplate,
    certificate_uri: NameTemplate,
    certificate_serial_number: NameTemplate,
    certificate_profile: CertificateProfile,
    certificate_keys: KeyKinds,
    certificate_no_rev_avail: bool,
    /// Percent.
    certificate_renewal: u32,
}

impl Profile {
    /// Certificates for a day, renewed after two thirds of it, epochs of an hour, both suites, verdicts for five minutes, new keys every
    /// 30 days, clones quarantined; tokens for one epoch after their own, nothing else kept, nothing released twice. A certificate has its SPIFFE id for
    /// its only name: one CA certifies the devices of all tenants, so that a server that goes by a bare device id would take a device of
    /// one tenant for that of another, and an id may have twice the length of a common name. Who needs one chooses its form.
    pub const DEFAULT: Self = Self {
        certificate_validity: 86_400,
        period: 3_600,
        max_uses: 0,
        suites: 0b11,
        verdict_lifetime: 300,
        rekey_after: 30 * 86_400,
        quarantine_on_clone: true,
        token_retention: 1,
        data_retention: 0,
        file_retention: 0,
        archives_data: false,
        archives_files: false,
        certificate_cn: NameTemplate::NONE,
        certificate_dns: NameTemplate::NONE,
        certificate_uri: NameTemplate::NONE,
        certificate_serial_number: NameTemplate::NONE,
        certificate_profile: CertificateProfile::DeviceTls,
        certificate_keys: CertificateProfile::DeviceTls.keys(),
        certificate_no_rev_avail: false,
        certificate_renewal: RenewalWindow::DEFAULT_SHARE,
    };
    /// The most seconds for which a certificate is valid unless somebody confirms more: seven days, for which the CA/B Baseline
    /// Requirements (§1.6.1, short-lived subscriber certificate) do without revocation, too.
    pub const SHORT_VALIDITY: u64 = 7 * 86_400;

    /// The most seconds for which a device's certificate is valid.
    pub const MAX_CERTIFICATE_VALIDITY: u64 = 366 * 86_400;

    /// This profile with the set `fields` replacing its own. Whether they are within their bounds does not depend on
    /// this profile.
    pub fn with(&self, fields: &ProfileFields) -> Result<Self, ProfileError> {
        let given = self.replaced_by(fields)?;
        let (day, years) = (86_400, 10 * 366 * 86_400);
        range("certificate_validity", given.certificate_validity, 300, Self::MAX_CERTIFICATE_VALIDITY)?;
        if given.period != 0 {
            range("period", given.period, 60, years)?;
        }
        range("verdict_lifetime", given.verdict_lifetime, 0, day)?;
        range("token_retention_epochs", given.token_retention.into(), 0, 1_000)?;
        range("data_retention_epochs", given.data_retention.into(), 0, 10_000_000)?;
        range("file_retention_epochs", given.file_retention.into(), 0, 10_000_000)?;
        // Sooner, a fleet does little else; later, a certificate ends while the authority is away for a moment.
        range("certificate_renewal_percent", given.certificate_renewal.into(), 20, 90)?;
        if given.rekey_after != 0 {
            range("rekey_after", given.rekey_after, 3_600, years)?;
        }
        Ok(given)
    }

    fn replaced_by(&self, fields: &ProfileFields) -> Result<Self, ProfileError> {
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
        } = fields;
        let template = |set: &Option<NameTemplate>, own: &NameTemplate| set.as_ref().unwrap_or(own).clone();
        let archives = |purpose| archive.as_ref().map(|purposes| purposes.contains(&purpose));
        if let Some(purposes) = archive {
            range("archive", purposes.len() as u64, 0, 2)?;
            for purpose in purposes {
                range("archive", *purpose as u64, Purpose::Data as u64, Purpose::File as u64)?;
            }
        }
        Ok(Self {
            certificate_validity: certificate_validity.unwrap_or(self.certificate_validity),
            period: period.unwrap_or(self.period),
            max_uses: max_uses.unwrap_or(self.max_uses),
            suites: suites.as_deref().map_or(Ok(self.suites), suite_bits)?,
            verdict_lifetime: verdict_lifetime.unwrap_or(self.verdict_lifetime),
            rekey_after: rekey_after.unwrap_or(self.rekey_after),
            quarantine_on_clone: quarantine_on_clone.unwrap_or(self.quarantine_on_clone),
            token_retention: token_retention.unwrap_or(self.token_retention),
            data_retention: data_retention.unwrap_or(self.data_retention),
            file_retention: file_retention.unwrap_or(self.file_retention),
            archives_data: archives(Purpose::Data).unwrap_or(self.archives_data),
            archives_files: archives(Purpose::File).unwrap_or(self.archives_files),
            certificate_cn: template(certificate_cn, &self.certificate_cn),
            certificate_dns: template(certificate_dns, &self.certificate_dns),
            certificate_uri: template(certificate_uri, &self.certificate_uri),
            certificate_serial_number: template(certificate_serial_number, &self.certificate_serial_number),
            certificate_profile: certificate_profile.unwrap_or(self.certificate_profile),
            // Who chooses what certificates are for gets the keys that go with it, and not those of a profile above.
            certificate_keys: certificate_keys
                .or(certificate_profile.map(CertificateProfile::keys))
                .unwrap_or(self.certificate_keys),
            certificate_no_rev_avail: certificate_no_rev_avail.unwrap_or(self.certificate_no_rev_avail),
            certificate_renewal: certificate_renewal.unwrap_or(self.certificate_renewal),
        })
    }

    /// Seconds for which a certificate is valid: at most [`Profile::SHORT_VALIDITY`] where nobody is told of its revocation.
    pub fn certificate_validity(&self) -> u64 {
        match self.certificate_no_rev_avail {
            true => self.certificate_validity.min(Self::SHORT_VALIDITY),
            false => self.certificate_validity,
        }
    }

    /// What certificates are for.
    pub fn certificate_profile(&self) -> CertificateProfile {
        self.certificate_profile
    }

    /// The keys that are certified.
    pub fn certificate_keys(&self) -> KeyKinds {
        self.certificate_keys
    }

    /// Whether certificates say that nobody is told of their revocation (RFC 9608).
    pub fn certificate_no_rev_avail(&self) -> bool {
        self.certificate_no_rev_avail
    }

    /// When a certificate is to be renewed that was issued at Unix second `issued_at` and is valid until `not_after`.
    pub fn renewal_window(&self, issued_at: u64, not_after: u64) -> RenewalWindow {
        RenewalWindow::at(self.certificate_renewal, issued_at, not_after)
    }

    /// The names of the certificate of a device of this profile, whose name is given. They are those of its next certificate.
    pub fn certificate_names(
        &self,
        tenant: &TenantId,
        device: &DeviceId,
        profile: &ProfileName,
    ) -> Result<CertificateNames, CertificateNameError> {
        let templates = Templates {
            common_name: &self.certificate_cn,
            dns: &self.certificate_dns,
            uri: &self.certificate_uri,
            serial_number: &self.certificate_serial_number,
        };
        certificate_names::of_device(templates, tenant, device, profile)
    }

    /// Seconds for which a trust verdict may be kept.
    pub fn verdict_lifetime(&self) -> u64 {
        self.verdict_lifetime
    }

    /// Seconds after which a device is to rekey; `None` where only a rotation asks for it.
    ///
    /// It is longer than the setting where the generations that are kept for data sealed under them would fill a device's
    /// record (DDKG-1 §6): time alone fills half of it, the other half is for requested rotations.
    pub fn rekey_after(&self) -> Option<u64> {
        let kept = u64::from(self.data_retention.max(self.file_retention)).saturating_mul(self.period);
        (self.rekey_after != 0).then(|| self.rekey_after.max(kept.div_ceil(FILLED_BY_TIME)))
    }

    /// Whether a clone alarm takes the device out of trust until a human decides.
    pub fn quarantines_clones(&self) -> bool {
        self.quarantine_on_clone
    }

    /// Epochs for which messages made with a key of `purpose` are accepted after their own. Proofs have one, so that a late
    /// message can be distinguished from a clone (DDKG-1 §5).
    pub fn retention(&self, purpose: Purpose) -> u32 {
        match purpose {
            Purpose::Proof => 1,
            Purpose::Token => self.token_retention,
            Purpose::Data => self.data_retention,
            Purpose::File => self.file_retention,
            Purpose::Service => 0,
        }
    }

    /// Whether a key of `purpose` may be released again (DDKG-1 §7). Once is the rule; proofs and tokens know no other.
    pub fn archives(&self, purpose: Purpose) -> bool {
        match purpose {
            Purpose::Proof | Purpose::Token | Purpose::Service => false,
            Purpose::Data => self.archives_data,
            Purpose::File => self.archives_files,
        }
    }

    /// The schedule of a generation that starts at Unix second `now`.
    pub fn schedule(&self, now: u64) -> Schedule {
        Schedule { period: self.period, max_uses: self.max_uses, not_before: now }
    }

    /// Whether suite `number` is allowed.
    pub fn allows_suite(&self, number: u16) -> bool {
        matches!(number, 1 | 2) && self.suites & 1 << (number - 1) != 0
    }

    /// The suites that are allowed.
    pub fn suites(&self) -> impl Iterator<Item = u32> {
        (1..=2).filter(|number| self.allows_suite(*number)).map(u32::from)
    }

    /// Every field as it holds.
    pub fn fields(&self) -> ProfileFields {
        let archived = [Purpose::Data, Purpose::File].into_iter().filter(|purpose| self.archives(*purpose));
        ProfileFields {
            certificate_validity: Some(self.certificate_validity),
            period: Some(self.period),
            max_uses: Some(self.max_uses),
            suites: Some(self.suites().collect()),
            verdict_lifetime: Some(self.verdict_lifetime),
            rekey_after: Some(self.rekey_after),
            quarantine_on_clone: Some(self.quarantine_on_clone),
            token_retention: Some(self.token_retention),
            data_retention: Some(self.data_retention),
            file_retention: Some(self.file_retention),
            archive: Some(archived.collect()),
            certificate_cn: Some(self.certificate_cn.clone()),
            certificate_dns: Some(self.certificate_dns.clone()),
            certificate_uri: Some(self.certificate_uri.clone()),
            certificate_serial_number: Some(self.certificate_serial_number.clone()),
            certificate_profile: Some(self.certificate_profile),
            certificate_keys: Some(self.certificate_keys),
            certificate_no_rev_avail: Some(self.certificate_no_rev_avail),
            certificate_renewal: Some(self.certificate_renewal),
        }
    }
}

impl ProfileFields {
    /// Whether the names that are set fit a device with the shortest id, so that they fit any at all.
    pub fn check_names(&self, tenant: &TenantId, profile: &ProfileName) -> Result<(), CertificateNameError> {
        let set = |template: &Option<NameTemplate>| template.clone().unwrap_or(NameTemplate::NONE);
        let templates = Templates {
            common_name: &set(&self.certificate_cn),
            dns: &set(&self.certificate_dns),
            uri: &set(&self.certificate_uri),
            serial_number: &set(&self.certificate_serial_number),
        };
        let shortest = "a".parse().expect("a letter is a device's id");
        certificate_names::of_device(templates, tenant, &shortest, profile).map(|_| ())
    }
}

fn suite_bits(numbers: &[u32]) -> Result<u8, ProfileError> {
    range("suites", numbers.len() as u64, 1, 2)?;
    numbers.iter().try_fold(0, |bits, number| Ok(bits | 1 << (range("suites", (*number).into(), 1, 2)? - 1)))
}

fn range(field: &'static str, value: u64, min: u64, max: u64) -> Result<u64, ProfileError> {
    (min..=max).contains(&value).then_some(value).ok_or(ProfileError { field, value, min, max })
}

/// A value of a profile is out of its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {value}; it takes {min} to {max}")]
pub struct ProfileError {
    /// The field at fault.
    pub field: &'static str,
    /// Its value.
    pub value: u64,
    /// The least that it may be.
    pub min: u64,
    /// The greatest that it may be.
    pub max: u64,
}

/// Of the 16 generations that a record keeps for data sealed under them (DDKG-1 §6).
const FILLED_BY_TIME: u64 = 8;

#[cfg(test)]
mod tests;
