//! The targets of audit entries.

use crate::access::Method;
use crate::est::EstOperation;
use crate::name::{DeviceId, OperatorName, ProfileName, TenantId};
use crate::serial::Serial;
use alloc::string::String;
use core::fmt;

/// On whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The authority itself.
    Authority,
    /// A tenant.
    Tenant(TenantId),
    /// A profile of a tenant.
    Profile(TenantId, ProfileName),
    /// An operator, by the serial of its certificate.
    Operator(Serial),
    /// A platform of a tenant, whichever certificate it has.
    Platform(TenantId, OperatorName),
    /// A device.
    Device(TenantId, DeviceId),
    /// A call that was refused.
    Method(Method),
    /// A request by EST that was refused.
    Est(EstOperation),
    /// The whole audit log.
    Audit,
    /// The entries of a tenant.
    AuditOf(TenantId),
    /// The history of a device.
    History(TenantId, DeviceId),
    /// Something that another version of this software wrote down.
    Other(String),
}

impl Target {
    /// The text that `Display` wrote.
    pub fn from_text(text: &str) -> Self {
        Self::parse(text).unwrap_or_else(|| Self::Other(text.into()))
    }

    /// Whether it is that device.
    pub fn is_device(&self, tenant: &TenantId, device: &DeviceId) -> bool {
        matches!(self, Self::Device(of, id) if of == tenant && id == device)
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "authority" => return Some(Self::Authority),
            "audit" => return Some(Self::Audit),
            path if path.starts_with('/') => {
                let est = || EstOperation::from_path(path).map(Self::Est);
                return Method::from_path(path).map(Self::Method).or_else(est);
            }
            _ => {}
        }
        let (kind, rest) = text.split_once('/')?;
        let of_tenant = || rest.split_once('/').and_then(|(tenant, name)| Some((tenant.parse().ok()?, name)));
        Some(match kind {
            "tenant" => Self::Tenant(rest.parse().ok()?),
            "operator" => Self::Operator(rest.parse().ok()?),
            "profile" => {
                of_tenant().and_then(|(tenant, name)| Some(Self::Profile(tenant, name.parse().ok()?)))?
            }
            "platform" => {
                of_tenant().and_then(|(tenant, name)| Some(Self::Platform(tenant, name.parse().ok()?)))?
            }
            "device" => {
                of_tenant().and_then(|(tenant, name)| Some(Self::Device(tenant, name.parse().ok()?)))?
            }
            "audit" => match Self::parse(rest) {
                Some(Self::Device(tenant, device)) => Self::History(tenant, device),
                _ => Self::AuditOf(rest.parse().ok()?),
            },
            _ => return None,
        })
    }
}

/// A kind and names, with `/` in between, such as `device/TENANT/ID`; of a call its path.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authority => f.write_str("authority"),
            Self::Tenant(tenant) => write!(f, "tenant/{tenant}"),
            Self::Profile(tenant, name) => write!(f, "profile/{tenant}/{name}"),
            Self::Operator(serial) => write!(f, "operator/{serial}"),
            Self::Platform(tenant, name) => write!(f, "platform/{tenant}/{name}"),
            Self::Device(tenant, device) => write!(f, "device/{tenant}/{device}"),
            Self::Method(method) => f.write_str(method.path()),
            Self::Est(operation) => f.write_str(operation.path()),
            Self::Audit => f.write_str("audit"),
            Self::AuditOf(tenant) => write!(f, "audit/{tenant}"),
            Self::History(tenant, device) => write!(f, "audit/device/{tenant}/{device}"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_target_is_read_as_it_was_written() {
        let tenant = || "klinik".parse::<TenantId>().unwrap();
        let device = || "pump:1".parse::<DeviceId>().unwrap();
        let serial = Serial::from_random([7; 16]);
        let operator = alloc::format!("operator/{serial}");
        for (target, text) in [
            (Target::Authority, "authority"),
            (Target::Tenant(tenant()), "tenant/klinik"),
            (Target::Profile(tenant(), "lab".parse().unwrap()), "profile/klinik/lab"),
            (Target::Operator(serial), operator.as_str()),
            (Target::Platform(tenant(), "iot".parse().unwrap()), "platform/klinik/iot"),
            (Target::Device(tenant(), device()), "device/klinik/pump:1"),
            (Target::Method(Method::Check), "/wardein.v1.TrustService/Check"),
            (Target::Est(EstOperation::SimpleEnroll), "/.well-known/est/simpleenroll"),
            (Target::Audit, "audit"),
            (Target::AuditOf(tenant()), "audit/klinik"),
            (Target::History(tenant(), device()), "audit/device/klinik/pump:1"),
        ] {
            assert_eq!(target.to_string(), text);
            assert_eq!(Target::from_text(text), target);
        }
    }

    #[test]
    fn what_does_not_parse_stays_as_it_is() {
        for text in [
            "",
            "moon",
            "tenant/",
            "device/klinik",
            "operator/1",
            "/wardein.v1.Moon/Walk",
            "audit/a/b",
            "x/y",
        ] {
            let target = Target::from_text(text);
            assert_eq!(target, Target::Other(text.into()));
            assert_eq!(target.to_string(), text);
        }
    }
}
