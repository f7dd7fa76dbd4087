//! The names in certificates: SPIFFE ids (SPIFFE-ID §2).
//!
//! A device is `spiffe://DOMAIN/TENANT/DEVICE`, an operator `spiffe://DOMAIN/operator/ROLE/TENANT or -/NAME`, a CA
//! `spiffe://DOMAIN`; what a platform is certified for is `spiffe://DOMAIN/platform/TENANT/server` or `…/firmware`. They cannot be
//! confused, a tenant called `operator` included: they have two, four, no and three segments, and no name holds a slash.
//!
//! A device that was enrolled by the first release may have `:` in its id, which RFC 3986 §3.3 allows in a path and SPIFFE-ID §2.2 does
//! not: it gets its certificate, and a strict SPIFFE library will not take its name. None is enrolled with it any more.

use wardein_domain::{DeviceId, OperatorName, PlatformProfile, Role, TenantId, TrustDomain};

/// Why names do not form a SPIFFE id, or a text is not one of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UriError {
    /// A name is `.` or `..`, which would move the path (SPIFFE-ID §2.2).
    #[error("a name is '.' or '..', which cannot be part of a SPIFFE id")]
    Dots,
    /// The text has not the form that its kind takes.
    #[error("the SPIFFE id does not have the form required for this use")]
    Form,
}

/// The id of a CA: the trust domain itself.
pub fn authority_uri(domain: &TrustDomain) -> String {
    format!("spiffe://{domain}")
}

/// The id of a device.
pub fn device_uri(domain: &TrustDomain, tenant: &TenantId, device: &DeviceId) -> Result<String, UriError> {
    let device = segment(device.as_str())?;
    Ok(format!("spiffe://{domain}/{tenant}/{device}"))
}

/// The id of an operator.
pub fn operator_uri(
    domain: &TrustDomain,
    role: Role,
    tenant: Option<&TenantId>,
    name: &OperatorName,
) -> Result<String, UriError> {
    let (tenant, name) = (tenant.map_or(NO_TENANT, TenantId::as_str), segment(name.as_str())?);
    Ok(format!("spiffe://{domain}/operator/{role}/{tenant}/{name}"))
}

/// The id of a platform: of its server, or of what signs its firmware.
pub fn platform_uri(domain: &TrustDomain, tenant: &TenantId, profile: PlatformProfile) -> String {
    let what = match profile {
        PlatformProfile::PlatformServer => "server",
        PlatformProfile::FirmwareSigning => "firmware",
    };
    format!("spiffe://{domain}/platform/{tenant}/{what}")
}

/// The trust domain of a CA's id.
pub(crate) fn parse_authority(uri: &str) -> Result<TrustDomain, UriError> {
    match split(uri)? {
        (domain, path) if path.is_empty() => Ok(domain),
        _ => Err(UriError::Form),
    }
}

/// The trust domain, tenant and device of a device's id.
pub fn parse_device(uri: &str) -> Result<(TrustDomain, TenantId, DeviceId), UriError> {
    let (domain, path) = split(uri)?;
    let [tenant, device] = path[..] else { return Err(UriError::Form) };
    let tenant = tenant.parse().map_err(|_| UriError::Form)?;
    let device = segment(device)?.parse().map_err(|_| UriError::Form)?;
    Ok((domain, tenant, device))
}

/// The trust domain, role, tenant and name of an operator's id.
pub fn parse_operator(uri: &str) -> Result<(TrustDomain, Role, Option<TenantId>, OperatorName), UriError> {
    let (domain, path) = split(uri)?;
    let ["operator", role, tenant, name] = path[..] else { return Err(UriError::Form) };
    let role = role.parse().map_err(|_| UriError::Form)?;
    let tenant = match tenant {
        NO_TENANT => None,
        tenant => Some(tenant.parse().map_err(|_| UriError::Form)?),
    };
    let name = segment(name)?.parse().map_err(|_| UriError::Form)?;
    Ok((domain, role, tenant, name))
}

fn split(uri: &str) -> Result<(TrustDomain, Vec<&str>), UriError> {
    let mut segments = uri.strip_prefix("spiffe://").ok_or(UriError::Form)?.split('/');
    let domain = segments.next().and_then(|domain| domain.parse().ok()).ok_or(UriError::Form)?;
    Ok((domain, segments.collect()))
}

fn segment(name: &str) -> Result<&str, UriError> {
    (!matches!(name, "." | "..")).then_some(name).ok_or(UriError::Dots)
}

/// In place of a tenant; no tenant's name, for those begin with a letter or digit.
const NO_TENANT: &str = "-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_are_written() {
        let domain: TrustDomain = "wardein.example".parse().unwrap();
        let tenant: TenantId = "operator".parse().unwrap();
        let device: DeviceId = "pump-0001:a".parse().unwrap();
        let uri = device_uri(&domain, &tenant, &device).unwrap();
        assert_eq!(uri, "spiffe://wardein.example/operator/pump-0001:a");
        assert_eq!(parse_device(&uri), Ok((domain.clone(), tenant.clone(), device)));
        assert_eq!(parse_operator(&uri), Err(UriError::Form));
        let name: OperatorName = "line-1".parse().unwrap();
        for tenant in [None, Some(tenant)] {
            let uri = operator_uri(&domain, Role::Auditor, tenant.as_ref(), &name).unwrap();
            assert_eq!(parse_operator(&uri), Ok((domain.clone(), Role::Auditor, tenant, name.clone())));
            assert_eq!(parse_device(&uri), Err(UriError::Form));
        }
        for profile in PlatformProfile::ALL {
            let uri = platform_uri(&domain, &"operator".parse().unwrap(), profile);
            assert_eq!((parse_device(&uri).is_err(), parse_operator(&uri).is_err()), (true, true), "{uri}");
        }
        assert_eq!(parse_authority(&authority_uri(&domain)), Ok(domain));
    }

    #[test]
    fn other_texts_are_refused() {
        for bad in [
            "",
            "spiffe://",
            "http://d/t/x",
            "spiffe://d/t",
            "spiffe://d/t/x/",
            "spiffe://d//x",
            "spiffe://D/t/x",
        ] {
            assert!(parse_device(bad).is_err(), "{bad}");
        }
        for bad in
            ["spiffe://d/operator/king/-/a", "spiffe://d/operator/admin/A/a", "spiffe://d/Operator/admin/-/a"]
        {
            assert!(parse_operator(bad).is_err(), "{bad}");
        }
        assert!(parse_authority("spiffe://d/").is_err());
        for dots in [".", ".."] {
            let (domain, tenant) = ("d".parse().unwrap(), "t".parse().unwrap());
            assert_eq!(device_uri(&domain, &tenant, &dots.parse().unwrap()), Err(UriError::Dots));
            assert_eq!(parse_device(&format!("spiffe://d/t/{dots}")), Err(UriError::Dots));
            assert_eq!(operator_uri(&domain, Role::Admin, None, &dots.parse().unwrap()), Err(UriError::Dots));
        }
    }
}
