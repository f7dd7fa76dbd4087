//! The keys of rows.

use super::word;
use crate::kernel::Error;
use wardein_ddkg::DeviceName;
use wardein_domain::{DeviceId, OperatorName, Principal, ProfileName, Role, Serial, TenantId};

/// The row of the authority itself.
pub(crate) const AUTHORITY: &[u8] = b"authority";

/// `tenant ‖ 0`, behind which all that is a tenant's is found.
pub(crate) fn tenant_prefix(tenant: &TenantId) -> Vec<u8> {
    let mut key = Vec::with_capacity(64);
    key.extend_from_slice(tenant.as_str().as_bytes());
    key.push(0);
    key
}

/// The key under which the audit log has a tenant's entries.
pub(crate) fn log_key(tenant: &TenantId) -> Vec<u8> {
    tenant.as_str().as_bytes().to_vec()
}

/// The key under which it has a device's history. No tenant has a zero in its name.
pub(crate) fn history_key(tenant: &TenantId, device: &DeviceId) -> Vec<u8> {
    let mut key = tenant_prefix(tenant);
    key.extend_from_slice(device.as_str().as_bytes());
    key
}

/// `tenant ‖ 0`, behind which the serials of its operators are; of those of the authority itself nothing comes before the zero.
pub(crate) fn tenant_operator_prefix(tenant: Option<&TenantId>) -> Vec<u8> {
    [tenant.map_or("", TenantId::as_str).as_bytes(), &[0]].concat()
}

pub(crate) fn tenant_operator_key(Principal { tenant, serial, .. }: &Principal) -> Vec<u8> {
    let mut key = tenant_operator_prefix(tenant.as_ref());
    key.extend_from_slice(serial.as_bytes());
    key
}

/// The serial that [`tenant_operator_key`] is the key of.
pub(crate) fn parse_tenant_operator_key(key: &[u8]) -> Option<Serial> {
    Serial::from_bytes(key.last_chunk::<16>()?).ok()
}

pub(crate) fn device_key(name: &DeviceName) -> Vec<u8> {
    let mut key = tenant_prefix(&name.tenant);
    key.extend_from_slice(name.device.as_str().as_bytes());
    key
}

/// The device that [`device_key`] is the key of.
pub(crate) fn parse_device_key(key: &[u8]) -> Result<DeviceName, Error> {
    device_name(key).ok_or_else(|| {
        Error::internal("the key of a device's row is damaged; restore the store from a backup")
    })
}

fn device_name(key: &[u8]) -> Option<DeviceName> {
    let text = std::str::from_utf8(key).ok()?;
    let (tenant, device) = text.split_once('\0')?;
    Some(DeviceName { tenant: tenant.parse().ok()?, device: device.parse().ok()? })
}

pub(crate) fn profile_key(tenant: &TenantId, name: &ProfileName) -> Vec<u8> {
    let mut key = tenant_prefix(tenant);
    key.extend_from_slice(name.as_str().as_bytes());
    key
}

/// Tenant and name that [`profile_key`] is the key of.
pub(crate) fn parse_profile_key(key: &[u8]) -> Result<(TenantId, ProfileName), Error> {
    let text = std::str::from_utf8(key).unwrap_or_default();
    let (tenant, name) = text.split_once('\0').unwrap_or_default();
    Ok((word("tenant", tenant)?, word("profile", name)?))
}

pub(crate) fn operator_name_key(role: Role, tenant: Option<&TenantId>, name: &OperatorName) -> Vec<u8> {
    let tenant = tenant.map_or("", TenantId::as_str);
    [role.as_str(), tenant, name.as_str()].join("\0").into_bytes()
}

/// `tenant ‖ 0 ‖ device ‖ 0`, behind which a device's certificates are found.
pub(crate) fn certificate_prefix(tenant: &TenantId, device: &DeviceId) -> Vec<u8> {
    let mut key = tenant_prefix(tenant);
    key.extend_from_slice(device.as_str().as_bytes());
    key.push(0);
    key
}

pub(crate) fn certificate_key(name: &DeviceName, serial: &Serial) -> Vec<u8> {
    let mut key = certificate_prefix(&name.tenant, &name.device);
    key.extend_from_slice(serial.as_bytes());
    key
}

/// `tenant ‖ 0 ‖ 0 ‖ serial`: a platform is in the place of a device without a name, which none is.
pub(crate) fn platform_certificate_key(tenant: &TenantId, serial: &Serial) -> Vec<u8> {
    [&tenant_prefix(tenant)[..], &[0], serial.as_bytes()].concat()
}

/// Holder and serial that [`certificate_key`] or [`platform_certificate_key`] is the key of.
pub(crate) fn parse_certificate_key(key: &[u8]) -> Option<(Holder, Serial)> {
    let (name, serial) = key.split_at_checked(key.len().checked_sub(17)?)?;
    let [0, serial @ ..] = serial else { return None };
    let holder = match name.strip_suffix(&[0]) {
        Some(tenant) => Holder::Platform(std::str::from_utf8(tenant).ok()?.parse().ok()?),
        None => Holder::Device(device_name(name)?),
    };
    Some((holder, Serial::from_bytes(serial).ok()?))
}

/// Whose a certificate of an issuing CA is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Holder {
    Device(DeviceName),
    /// The platform of a tenant.
    Platform(TenantId),
}

impl Holder {
    pub(crate) fn tenant(&self) -> &TenantId {
        match self {
            Self::Device(name) => &name.tenant,
            Self::Platform(tenant) => tenant,
        }
    }

    pub(crate) fn device(&self) -> Option<&DeviceName> {
        match self {
            Self::Device(name) => Some(name),
            Self::Platform(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_certificate_is_read_as_it_was_written() {
        let tenant: TenantId = "klinik".parse().unwrap();
        let name = DeviceName { tenant: tenant.clone(), device: "pump-1".parse().unwrap() };
        for random in [[0; 16], [7; 16]] {
            let serial = Serial::from_random(random);
            let of_device = certificate_key(&name, &serial);
            assert_eq!(parse_certificate_key(&of_device), Some((Holder::Device(name.clone()), serial)));
            let of_platform = platform_certificate_key(&tenant, &serial);
            assert_eq!(parse_certificate_key(&of_platform), Some((Holder::Platform(tenant.clone()), serial)));
            assert!(of_platform.starts_with(&tenant_prefix(&tenant)));
        }
        // An operator's name, which a serial may lead to as well.
        let operator =
            operator_name_key(Role::Station, Some(&tenant), &"line-1-of-the-factory".parse().unwrap());
        assert_eq!(parse_certificate_key(&operator), None);
    }
}
