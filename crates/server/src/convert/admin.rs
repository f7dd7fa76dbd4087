//! Tenants, operators, profiles and devices.

use super::{at_most, parse, parse_optional, text, wrong};
use wardein_domain::{DeviceState, Profile, ProfileName, TenantId};
use wardein_engine::{Device, Error, Operator, OperatorOrder, Tenant};
use wardein_proto::v1;

pub(crate) fn tenant(tenant: Tenant) -> v1::Tenant {
    v1::Tenant { tenant: tenant.id.to_string(), created_at: tenant.created_at }
}

pub(crate) fn order(request: v1::IssueOperatorRequest) -> Result<OperatorOrder, Error> {
    if request.validity == 0 {
        return Err(wrong("validity", "is 0; it takes 1 second and more"));
    }
    Ok(OperatorOrder {
        role: parse("role", &request.role)?,
        tenant: parse_optional("tenant", &request.tenant)?,
        name: parse("name", &request.name)?,
        csr: at_most("csr", request.csr, MAX_CSR)?,
        validity: request.validity,
        quota: request.quota,
    })
}

pub(crate) fn operator(operator: Operator) -> v1::Operator {
    let principal = operator.principal;
    v1::Operator {
        role: principal.role.to_string(),
        tenant: text(principal.tenant.as_ref()),
        name: principal.name.to_string(),
        serial: principal.serial.to_string(),
        not_before: operator.not_before,
        not_after: operator.not_after,
        revoked_at: operator.revoked_at.unwrap_or(0),
        quota: operator.quota,
        used: operator.used,
    }
}

pub(crate) fn profile(given: Option<&v1::Profile>) -> Result<(TenantId, ProfileName, Profile), Error> {
    let given = given.ok_or_else(|| wrong("profile", "is missing"))?;
    let profile = Profile::new(
        given.certificate_validity,
        given.period,
        given.max_uses,
        &given.suites,
        given.verdict_lifetime,
    );
    let profile = profile.map_err(|error| wrong(&format!("profile.{}", error.field), error))?;
    Ok((parse("profile.tenant", &given.tenant)?, parse("profile.name", &given.name)?, profile))
}

pub(crate) fn profile_response(tenant: &TenantId, name: &ProfileName, profile: &Profile) -> v1::Profile {
    // What a schedule starts at is not the profile's.
    let schedule = profile.schedule(0);
    v1::Profile {
        tenant: tenant.to_string(),
        name: name.to_string(),
        certificate_validity: profile.certificate_validity(),
        period: schedule.period,
        max_uses: schedule.max_uses,
        suites: profile.suites().collect(),
        verdict_lifetime: profile.verdict_lifetime(),
    }
}

/// A state that an administrator may set.
pub(crate) fn settable_state(given: &str) -> Result<DeviceState, Error> {
    match given.parse() {
        Ok(state @ (DeviceState::Active | DeviceState::Suspended | DeviceState::Revoked)) => Ok(state),
        Ok(DeviceState::Pending | DeviceState::Quarantined) | Err(_) => {
            Err(wrong("state", "takes active, suspended or revoked"))
        }
    }
}

pub(crate) fn device(device: Device) -> v1::Device {
    v1::Device {
        tenant: device.name.tenant.to_string(),
        device_id: device.name.device.to_string(),
        state: device.state.to_string(),
        profile: device.profile.to_string(),
        model: text(device.model.as_ref()),
        udi: text(device.udi.as_ref()),
        enrolled_at: device.enrolled_at,
        enrolled_by: device.enrolled_by,
        generation: device.generation,
        proof_epoch: device.proof_epoch,
        suite: device.suite.into(),
        attributes: device.attributes.iter().map(ToString::to_string).collect(),
        last_seen: device.last_seen.unwrap_or(0),
        state_reason: text(device.state_reason.as_ref()),
    }
}

// What wardein-pki reads of a request.
const MAX_CSR: usize = 4 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_of_an_order_is_judged_and_named() {
        let request = || v1::IssueOperatorRequest {
            role: "station".into(),
            tenant: "t".into(),
            name: "line-1".into(),
            validity: 1,
            ..Default::default()
        };
        assert!(order(request()).is_ok());
        for (field, spoiled) in [
            ("role", v1::IssueOperatorRequest { role: "king".into(), ..request() }),
            ("tenant", v1::IssueOperatorRequest { tenant: "T".into(), ..request() }),
            ("name", v1::IssueOperatorRequest { name: String::new(), ..request() }),
            ("csr", v1::IssueOperatorRequest { csr: vec![0; MAX_CSR + 1], ..request() }),
            ("validity", v1::IssueOperatorRequest { validity: 0, ..request() }),
        ] {
            let error = order(spoiled).unwrap_err();
            assert!(error.message.starts_with(&format!("{field}: ")), "{field}: {}", error.message);
        }
    }

    #[test]
    fn a_profile_comes_back_as_it_was_given() {
        let given = v1::Profile {
            tenant: "t".into(),
            name: "p".into(),
            certificate_validity: 600,
            period: 60,
            max_uses: 7,
            suites: vec![2],
            verdict_lifetime: 5,
        };
        let (tenant, name, parsed) = profile(Some(&given)).unwrap();
        assert_eq!(profile_response(&tenant, &name, &parsed), given);
        assert!(profile(None).unwrap_err().message.starts_with("profile: "));
        let short = v1::Profile { certificate_validity: 1, ..given };
        assert!(profile(Some(&short)).unwrap_err().message.starts_with("profile.certificate_validity: "));
    }

    #[test]
    fn pending_and_quarantined_are_nobodys_to_set() {
        for state in DeviceState::ALL {
            let is_settable = !matches!(state, DeviceState::Pending | DeviceState::Quarantined);
            assert_eq!(settable_state(state.as_str()).is_ok(), is_settable);
        }
    }
}
