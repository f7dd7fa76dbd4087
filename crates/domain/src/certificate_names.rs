//! The names in a device's certificate beside its SPIFFE id, for servers that know a client by its common name or by a DNS name. Brokers
//! of MQTT do: a profile says how its devices are named.

use crate::dns_name::DnsName;
use crate::name::{CommonName, DeviceId, NameError, ProfileName, SubjectSerial, TenantId, is_of_common_name};
use crate::template;
use crate::urn::Urn;
use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;
use smol_str::SmolStr;

/// The names of one certificate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CertificateNames {
    /// The common name of its subject; without one the subject is empty.
    pub common_name: Option<CommonName>,
    /// A DNS name among its alternative names.
    pub dns: Option<DnsName>,
    /// A URN among its alternative names. A certificate with it is not an X.509-SVID, which has one URI (X509-SVID §2).
    pub uri: Option<Urn>,
    /// The serial number of its subject.
    pub serial_number: Option<SubjectSerial>,
}

/// How devices are named in each of these ways.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Templates<'a> {
    pub(crate) common_name: &'a NameTemplate,
    pub(crate) dns: &'a NameTemplate,
    pub(crate) uri: &'a NameTemplate,
    pub(crate) serial_number: &'a NameTemplate,
}

/// How devices are named: text in which `{device}`, `{tenant}` and `{profile}` are replaced. Empty for not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameTemplate(SmolStr);

impl NameTemplate {
    /// Devices have no such name.
    pub const NONE: Self = Self(SmolStr::new_static(""));
    /// The most bytes of a template.
    pub const MAX_LEN: usize = 128;

    /// The template as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether no device of another tenant can have a name that it gives: it ends with the tenant, which has no dot, after one. (Without a
    /// name there is nothing to share.)
    pub fn is_of_one_tenant(&self) -> bool {
        let before = self.0.strip_suffix(template::TENANT);
        self.0.is_empty() || before.is_some_and(|before| before.ends_with('.'))
    }

    /// The name that it gives to a device, as `T`.
    fn name<T: FromStr<Err: fmt::Display>>(
        &self,
        field: &'static str,
        (tenant, device, profile): (&TenantId, &DeviceId, &ProfileName),
    ) -> Result<Option<T>, CertificateNameError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let name = template::filled(&self.0, tenant, device, profile);
        name.parse().map(Some).map_err(|error: T::Err| {
            let problem = error.to_string();
            CertificateNameError { field, name, problem }
        })
    }
}

impl FromStr for NameTemplate {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (kind, length, min, max) = ("name of certificates", text.len(), 0, Self::MAX_LEN);
        if length > max {
            return Err(NameError::Length { kind, length, min, max });
        }
        let allowed = "A-Z, a-z, 0-9 and '.', '_', ':', '@', '-', with {device}, {tenant} and {profile}";
        if let Some((position, character)) = template::stray(text, is_of_common_name) {
            return Err(NameError::Character { kind, position, character, allowed });
        }
        if !text.is_empty() && !text.contains(template::DEVICE) {
            return Err(NameError::Shared { kind, place: template::DEVICE });
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for NameTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A profile gives a device a name that its certificate cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} makes `{name}` of it, which does not fit: {problem}")]
pub struct CertificateNameError {
    /// The field of the profile.
    pub field: &'static str,
    name: String,
    problem: String,
}

/// The names by these templates.
pub(crate) fn of_device(
    templates: Templates<'_>,
    tenant: &TenantId,
    device: &DeviceId,
    profile: &ProfileName,
) -> Result<CertificateNames, CertificateNameError> {
    let names = (tenant, device, profile);
    Ok(CertificateNames {
        common_name: templates.common_name.name("certificate_cn", names)?,
        dns: templates.dns.name("certificate_dns", names)?,
        uri: templates.uri.name("certificate_uri", names)?,
        serial_number: templates.serial_number.name("certificate_serial_number", names)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(cn: &str, dns: &str, device: &str) -> Result<CertificateNames, CertificateNameError> {
        all_names(cn, dns, "", "", device)
    }

    fn all_names(
        cn: &str,
        dns: &str,
        uri: &str,
        serial: &str,
        device: &str,
    ) -> Result<CertificateNames, CertificateNameError> {
        let [common_name, dns, uri, serial_number] = [cn, dns, uri, serial].map(|text| text.parse().unwrap());
        let templates =
            Templates { common_name: &common_name, dns: &dns, uri: &uri, serial_number: &serial_number };
        let (tenant, profile) = ("klinik".parse().unwrap(), "default".parse().unwrap());
        of_device(templates, &tenant, &device.parse().unwrap(), &profile)
    }

    #[test]
    fn a_device_has_a_urn_and_a_serial_number_by_its_profile() {
        let named = all_names("", "", "urn:dev:os:1-{device}.{tenant}", "{tenant}:{device}", "P-1").unwrap();
        assert_eq!(named.uri.unwrap().as_str(), "urn:dev:os:1-P-1.klinik");
        assert_eq!(named.serial_number.unwrap().as_str(), "klinik:P-1");
        let field = |uri, serial, device| all_names("", "", uri, serial, device).unwrap_err().field;
        assert_eq!(field("{device}", "", "p-1"), "certificate_uri", "it is no URN");
        assert_eq!(field("urn:{device}:x", "", "p.1"), "certificate_uri");
        // An underscore is not in a PrintableString, and a serial number has at most 64 characters.
        assert_eq!(field("", "{device}", "p_1"), "certificate_serial_number");
        assert_eq!(field("", "{device}", &"a".repeat(65)), "certificate_serial_number");
    }

    #[test]
    fn a_device_is_named_by_its_profile() {
        assert_eq!(names("", "", "p-1"), Ok(CertificateNames::default()));
        let named = names("{device}.{tenant}", "{device}.{profile}.example", "P-1").unwrap();
        assert_eq!(named.common_name.unwrap().as_str(), "P-1.klinik");
        assert_eq!(named.dns.unwrap().as_str(), "p-1.default.example");
        for (device, fits) in [("a".repeat(64), true), ("a".repeat(65), false)] {
            assert_eq!(names("{device}", "", &device).is_ok(), fits, "{device}");
        }
        for (device, fits) in [("a".repeat(63), true), ("a".repeat(64), false)] {
            assert_eq!(names("", "{device}.x", &device).is_ok(), fits, "{device}");
        }
        for device in ["p_1", "p:1", "-p", "p..1", "p."] {
            let error = names("{device}", "{device}.x", device).unwrap_err();
            assert_eq!(error.field, "certificate_dns", "{device}");
            assert!(error.to_string().contains(&alloc::format!("`{device}.x`")), "{error}");
        }
    }

    #[test]
    fn a_template_names_each_device_otherwise_and_has_its_bounds() {
        for bad in [
            "edge",
            "{tenant}",
            "{device}/x",
            "{device}#",
            "{device}+",
            "*.{device}",
            "{device} ",
            "{serial}",
            "{device",
            "CN={device}",
            "{device},O=x",
            "ä{device}",
        ] {
            assert!(bad.parse::<NameTemplate>().is_err(), "{bad}");
        }
        let long = |length: usize| alloc::format!("{{device}}{}", "a".repeat(length - 8));
        assert!(long(128).parse::<NameTemplate>().is_ok());
        assert!(long(129).parse::<NameTemplate>().is_err());
    }

    #[test]
    fn a_name_of_one_tenant_ends_with_it_after_a_dot() {
        let is_of_one = |text: &str| text.parse::<NameTemplate>().unwrap().is_of_one_tenant();
        for yes in ["", "{device}.{tenant}", "{tenant}.{device}.{tenant}", "x.{device}.{tenant}"] {
            assert!(is_of_one(yes), "{yes}");
        }
        for no in [
            "{device}",
            "{tenant}.{device}",
            "{device}-{tenant}",
            "{device}{tenant}",
            "{device}.{tenant}.example",
        ] {
            assert!(!is_of_one(no), "{no}");
        }
    }
}
