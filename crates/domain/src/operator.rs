//! Callers: roles and principals.

use crate::name::{NameError, OperatorName, TenantId};
use crate::serial::Serial;
use core::fmt;
use core::str::FromStr;

/// The roles of operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Administers everything.
    Admin,
    /// Administers one tenant.
    TenantAdmin,
    /// Enrolls devices of one tenant, and nothing else.
    Station,
    /// Asks whom to trust, for devices of one tenant.
    Platform,
    /// Reads, and changes nothing.
    Auditor,
    /// Releases a maker's updates, for the product lines that name it.
    ReleaseManager,
    /// Decides for one tenant whether and when its devices are updated, and which technicians are let in.
    Site,
    /// Invites technicians to devices of one tenant.
    ServiceCoordinator,
    /// Visits the devices that it is invited to, in one tenant.
    Technician,
    /// Sees the devices of one tenant and the verdicts on them, and suspends devices.
    Helpdesk,
    /// Takes backups.
    Backup,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 11] = [
        Self::Admin,
        Self::TenantAdmin,
        Self::Station,
        Self::Platform,
        Self::Auditor,
        Self::ReleaseManager,
        Self::Site,
        Self::ServiceCoordinator,
        Self::Technician,
        Self::Helpdesk,
        Self::Backup,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::TenantAdmin => "tenant-admin",
            Self::Station => "station",
            Self::Platform => "platform",
            Self::Auditor => "auditor",
            Self::ReleaseManager => "release-manager",
            Self::Site => "site",
            Self::ServiceCoordinator => "service-coordinator",
            Self::Technician => "technician",
            Self::Helpdesk => "helpdesk",
            Self::Backup => "backup",
        }
    }

    /// Whether issuing an operator of this role can need a second person: who issues one makes a person who decides, or one whose proposals the
    /// issuer then approves.
    pub fn is_guarded(self) -> bool {
        match self {
            Self::Admin | Self::TenantAdmin | Self::ReleaseManager => true,
            Self::Station
            | Self::Platform
            | Self::Auditor
            | Self::Site
            | Self::ServiceCoordinator
            | Self::Technician
            | Self::Helpdesk
            | Self::Backup => false,
        }
    }

    /// Whether an operator of this role may, or must, belong to a tenant.
    pub fn fits_tenant(self, has_tenant: bool) -> bool {
        match self {
            Self::Admin | Self::ReleaseManager | Self::Backup => !has_tenant,
            Self::TenantAdmin
            | Self::Station
            | Self::Platform
            | Self::Site
            | Self::ServiceCoordinator
            | Self::Technician
            | Self::Helpdesk => has_tenant,
            Self::Auditor => true,
        }
    }
}

impl FromStr for Role {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(NameError::Unknown {
            kind: "role",
            allowed: "admin, tenant-admin, station, platform, auditor, release-manager, site, service-coordinator, technician, helpdesk, backup",
        })
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An operator, as its certificate says and the operator's record confirms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Its role.
    pub role: Role,
    /// The tenant that it belongs to; none for those who see all.
    pub tenant: Option<TenantId>,
    /// Its name.
    pub name: OperatorName,
    /// The serial of the certificate that it came with.
    pub serial: Serial,
}

impl Principal {
    /// Whether it may act within `tenant`.
    pub fn may_see(&self, tenant: &TenantId) -> bool {
        self.tenant.as_ref().is_none_or(|own| own == tenant)
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tenant {
            Some(tenant) => write!(f, "{}/{tenant}/{}", self.role, self.name),
            None => write!(f, "{}/{}", self.role, self.name),
        }
    }
}
