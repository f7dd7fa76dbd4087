//! The actors of audit entries.

use crate::name::{DeviceId, OperatorName, TenantId};
use crate::operator::{Principal, Role};
use alloc::string::String;
use core::fmt;

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// An operator. Which of its certificates it came with is in [`super::Origin::certificate`].
    Operator {
        /// Its role.
        role: Role,
        /// The tenant that it belongs to.
        tenant: Option<TenantId>,
        /// Its name.
        name: OperatorName,
    },
    /// A device, by a right proof.
    Device(TenantId, DeviceId),
    /// The authority itself.
    System,
    /// The owner of the machine: a person who has the authority's directory and opens its root key.
    Owner,
    /// Somebody whom another version of this software wrote down.
    Other(String),
}

impl Actor {
    /// The text that `Display` wrote.
    pub fn from_text(text: &str) -> Self {
        Self::parse(text).unwrap_or_else(|| Self::Other(text.into()))
    }

    /// The tenant that it belongs to, if one.
    pub fn tenant(&self) -> Option<&TenantId> {
        match self {
            Self::Operator { tenant, .. } => tenant.as_ref(),
            Self::Device(tenant, _) => Some(tenant),
            Self::System | Self::Owner | Self::Other(_) => None,
        }
    }

    /// Whether it is that device.
    pub fn is_device(&self, tenant: &TenantId, device: &DeviceId) -> bool {
        matches!(self, Self::Device(own, id) if own == tenant && id == device)
    }

    fn parse(text: &str) -> Option<Self> {
        if text == SYSTEM {
            return Some(Self::System);
        }
        if text == OWNER {
            return Some(Self::Owner);
        }
        let (kind, rest) = text.split_once('/')?;
        let (tenant, name) = match rest.split_once('/') {
            Some((tenant, name)) => (Some(tenant.parse::<TenantId>().ok()?), name),
            None => (None, rest),
        };
        match (kind, tenant) {
            (DEVICE, Some(tenant)) => Some(Self::Device(tenant, name.parse().ok()?)),
            (DEVICE, None) => None,
            (role, tenant) => {
                Some(Self::Operator { role: role.parse().ok()?, tenant, name: name.parse().ok()? })
            }
        }
    }
}

impl From<&Principal> for Actor {
    fn from(principal: &Principal) -> Self {
        let Principal { role, tenant, name, .. } = principal;
        Self::Operator { role: *role, tenant: tenant.clone(), name: name.clone() }
    }
}

/// `ROLE/NAME`, `ROLE/TENANT/NAME`, `device/TENANT/ID`, `system` or `owner`.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator { role, tenant: Some(tenant), name } => write!(f, "{role}/{tenant}/{name}"),
            Self::Operator { role, tenant: None, name } => write!(f, "{role}/{name}"),
            Self::Device(tenant, device) => write!(f, "{DEVICE}/{tenant}/{device}"),
            Self::System => f.write_str(SYSTEM),
            Self::Owner => f.write_str(OWNER),
            Self::Other(text) => f.write_str(text),
        }
    }
}

const SYSTEM: &str = "system";
const OWNER: &str = "owner";
// No role has that name.
const DEVICE: &str = "device";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serial::Serial;
    use alloc::string::ToString;

    #[test]
    fn an_actor_is_read_as_it_was_written() {
        let tenant: TenantId = "klinik".parse().unwrap();
        let operator = |role, tenant| Actor::Operator { role, tenant, name: "line-1".parse().unwrap() };
        for (actor, text) in [
            (Actor::System, "system"),
            (Actor::Owner, "owner"),
            (Actor::Device(tenant.clone(), "a:b.c".parse().unwrap()), "device/klinik/a:b.c"),
            (operator(Role::Station, Some(tenant.clone())), "station/klinik/line-1"),
            (operator(Role::Admin, None), "admin/line-1"),
        ] {
            assert_eq!(actor.to_string(), text);
            assert_eq!(Actor::from_text(text), actor);
        }
    }

    #[test]
    fn what_does_not_parse_stays_as_it_is() {
        for text in ["", "robot/klinik/x", "device/x", "admin/", "admin/a/b/c", "device/KLINIK/x"] {
            let actor = Actor::from_text(text);
            assert_eq!((actor.to_string().as_str(), actor.tenant()), (text, None));
            assert!(matches!(actor, Actor::Other(_)), "{text}");
        }
    }

    #[test]
    fn an_operator_is_written_as_its_principal_is() {
        let principal = Principal {
            role: Role::Platform,
            tenant: Some("klinik".parse().unwrap()),
            name: "iot".parse().unwrap(),
            serial: Serial::from_random([7; 16]),
        };
        assert_eq!(Actor::from(&principal).to_string(), principal.to_string());
    }
}
