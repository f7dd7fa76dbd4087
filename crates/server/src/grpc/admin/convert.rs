//! Tenants, operators and devices.

use crate::grpc::convert::{
    List, at_most, page, parse, parse_optional, second_optional, span_optional, text, wrong,
};
use crate::grpc::words::{Answered, Asked};
use wardein_domain::{DeviceState, TenantId};
use wardein_engine::{Device, DeviceFilter, Error, Operator, OperatorOrder, Page, Tenant};
use wardein_pki::Csr;
use wardein_proto::{time, v1};

pub(crate) fn tenant(tenant: Tenant) -> v1::Tenant {
    v1::Tenant { tenant: tenant.id.to_string(), created_at: time::at(tenant.created_at) }
}

pub(crate) fn order(request: v1::IssueOperatorRequest) -> Result<OperatorOrder, Error> {
    let validity = span_optional("validity", request.validity.as_ref())?.unwrap_or(0);
    if validity == 0 {
        return Err(wrong("validity", "is missing or 0; it takes 1 second or more"));
    }
    Ok(OperatorOrder {
        role: Asked::asked("role", request.role)?,
        tenant: parse_optional("tenant", &request.tenant)?,
        name: parse("name", &request.name)?,
        csr: at_most("csr", request.csr, Csr::MAX_LEN)?,
        validity,
        quota: request.quota,
    })
}

pub(crate) fn operator(operator: Operator) -> v1::Operator {
    let principal = operator.principal;
    let (issued_by_serial, issued_by) =
        operator.issued_by.map(|issuer| (issuer.serial.to_string(), issuer.name)).unwrap_or_default();
    v1::Operator {
        role: principal.role.wire(),
        tenant: text(principal.tenant.as_ref()),
        name: principal.name.to_string(),
        serial: principal.serial.to_string(),
        not_before: time::at(operator.not_before),
        not_after: time::at(operator.not_after),
        revoked_at: operator.revoked_at.and_then(time::at),
        quota: operator.quota,
        used: operator.used,
        issued_by,
        issued_by_serial,
    }
}

/// A state that an administrator may set.
pub(crate) fn settable_state(given: i32) -> Result<DeviceState, Error> {
    match DeviceState::asked("state", given)? {
        DeviceState::Pending | DeviceState::Transferred => {
            Err(wrong("state", "takes ACTIVE, SUSPENDED, QUARANTINED, RETIRED or REVOKED"))
        }
        state => Ok(state),
    }
}

/// Which devices, and which page of them.
pub(crate) fn filter(
    mut asked: v1::ListDevicesRequest,
) -> Result<(TenantId, DeviceFilter, List, Page), Error> {
    let (list, page) = page(&mut asked)?;
    let filter = DeviceFilter {
        state: Asked::asked_optional("state", asked.state)?,
        profile: parse_optional("profile", &asked.profile)?,
        model: parse_optional("model", &asked.model)?,
        udi: parse_optional("udi", &asked.udi)?,
        serial_number: parse_optional("serial_number", &asked.serial_number)?,
        enrolled_by: enrolled_by(asked.enrolled_by)?,
        enrolled_after: second_optional("enrolled_after", asked.enrolled_after.as_ref())?,
        seen_before: second_optional("seen_before", asked.seen_before.as_ref())?,
        seen_after: second_optional("seen_after", asked.seen_after.as_ref())?,
        rekey_due: asked.rekey_due,
    };
    Ok((parse("tenant", &asked.tenant)?, filter, list, page))
}

/// An operator as a device's record names it. It is compared, and not looked for: one that never was enrolled nothing.
fn enrolled_by(given: String) -> Result<Option<String>, Error> {
    match given.len() {
        0 => Ok(None),
        1..=MAX_OPERATOR => Ok(Some(given)),
        length => {
            Err(wrong("enrolled_by", format_args!("has {length} bytes; it takes at most {MAX_OPERATOR}")))
        }
    }
}

/// `ROLE/TENANT/NAME`, at its longest.
const MAX_OPERATOR: usize = 19 + 1 + 63 + 1 + 64;

pub(crate) fn device(device: Device) -> v1::Device {
    let quoted = device.signing.and_then(|key| key.last_quote);
    v1::Device {
        tenant: device.name.tenant.to_string(),
        device_id: device.name.device.to_string(),
        state: device.state.wire(),
        profile: device.profile.to_string(),
        model: text(device.model.as_ref()),
        udi: text(device.udi.as_ref()),
        enrolled_at: time::at(device.enrolled_at),
        enrolled_by: device.enrolled_by,
        generation: device.generation,
        proof_epoch: device.proof_epoch,
        suite: device.suite.into(),
        attributes: device.attributes.iter().map(ToString::to_string).collect(),
        last_seen: device.last_seen.and_then(time::at),
        state_reason: text(device.state_reason.as_ref()),
        agreed_at: time::at_unless_0(device.agreed_at),
        rekey: device.gate.wire(),
        key_id: device.signing.map(|key| key.id.to_vec()).unwrap_or_default(),
        assurance: device.signing.map(|key| key.assurance).wire(),
        pcrs: quoted.map(|(standing, _)| standing).wire(),
        quoted_at: quoted.and_then(|(_, at)| time::at(at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_of_an_order_is_judged_and_named() {
        let request = || v1::IssueOperatorRequest {
            role: v1::Role::Station.into(),
            tenant: "t".into(),
            name: "line-1".into(),
            validity: time::span(1),
            ..Default::default()
        };
        assert!(order(request()).is_ok());
        for (field, spoiled) in [
            ("role", v1::IssueOperatorRequest { role: 77, ..request() }),
            ("tenant", v1::IssueOperatorRequest { tenant: "T".into(), ..request() }),
            ("name", v1::IssueOperatorRequest { name: String::new(), ..request() }),
            ("csr", v1::IssueOperatorRequest { csr: vec![0; Csr::MAX_LEN + 1], ..request() }),
            ("validity", v1::IssueOperatorRequest { validity: time::span(0), ..request() }),
        ] {
            let error = order(spoiled).unwrap_err();
            assert!(error.message.starts_with(&format!("{field}: ")), "{field}: {}", error.message);
        }
    }

    #[test]
    fn pending_is_nobodys_to_set() {
        for state in DeviceState::ALL {
            let is_settable = !matches!(state, DeviceState::Pending | DeviceState::Transferred);
            assert_eq!(settable_state(state.wire()).is_ok(), is_settable);
        }
    }
}
