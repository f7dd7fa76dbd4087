//! Certificates that were issued.

use crate::edge::context::Context;
use crate::grpc::convert::{at_most, parse, parse_optional, second_optional, span_optional, text, wrong};
use crate::grpc::words::{Answered, Asked as _, revocation_reason};
use std::ops::RangeInclusive;
use wardein_ddkg::DeviceName;
use wardein_domain::{PlatformProfile, Reason, RevocationReason, TenantId};
use wardein_engine::{Certificate, Error, Issued, PinsPut, PlatformOrder, PlatformPins};
use wardein_pki::{Csr, Pin, Pins};
use wardein_proto::v1::revoke_issued_request::Issued as Asked;
use wardein_proto::{Timestamp, time, v1};

pub(super) fn certificate(certificate: Certificate) -> v1::Certificate {
    let revoked = certificate.revoked;
    let state = match &revoked {
        None => v1::CertificateState::Good,
        Some(revoked) if revoked.code.is_hold() => v1::CertificateState::OnHold,
        Some(_) => v1::CertificateState::Revoked,
    };
    v1::Certificate {
        serial: certificate.serial.to_string(),
        device_id: text(certificate.device.as_ref()),
        not_before: time::at(certificate.not_before),
        not_after: time::at(certificate.not_after),
        revoked_at: revoked.as_ref().and_then(|revoked| time::at(revoked.at)),
        revocation_reason: revoked.as_ref().map(|revoked| revoked.code).wire(),
        revoked_for: revoked.map(|revoked| revoked.reason.to_string()).unwrap_or_default(),
        der: certificate.der,
        state: state.into(),
    }
}

pub(super) fn platform_order(asked: v1::IssuePlatformCertificateRequest) -> Result<PlatformOrder, Error> {
    let v1::IssuePlatformCertificateRequest { tenant, profile, csr, dns_names, common_name, validity } =
        asked;
    let profile = PlatformProfile::asked("profile", profile)?;
    if dns_names.len() > *profile.dns_names().end() {
        let (count, most) = (dns_names.len(), profile.dns_names().end().to_owned());
        return Err(wrong("dns_names", format_args!("are {count}; {profile} takes at most {most}")));
    }
    Ok(PlatformOrder {
        tenant: parse("tenant", &tenant)?,
        profile,
        csr: at_most("csr", csr, Csr::MAX_LEN)?,
        common_name: parse_optional("common_name", &common_name)?,
        dns_names: dns_names.iter().map(|name| parse("dns_names", name)).collect::<Result<_, _>>()?,
        validity: span_optional("validity", validity.as_ref())?.unwrap_or(0),
    })
}

/// Tenant, and how its platform's pins are to change.
pub(super) fn pins_put(asked: v1::PutPlatformPinsRequest) -> Result<(TenantId, PinsPut), Error> {
    let v1::PutPlatformPinsRequest { pins, confirm_stranding } = asked;
    let pins = pins.ok_or_else(|| wrong("pins", "is missing"))?;
    let pin = |field: &str, bytes: &[u8]| {
        let why = || wrong(field, format_args!("has {} bytes; it takes 32", bytes.len()));
        bytes.try_into().map(Pin).map_err(|_| why())
    };
    let next = match &pins.next_sha256[..] {
        [] => None,
        bytes => Some(pin("pins.next_sha256", bytes)?),
    };
    let put = PinsPut {
        pins: Pins {
            current: pin("pins.current_sha256", &pins.current_sha256)?,
            next,
            recovery: pin("pins.recovery_sha256", &pins.recovery_sha256)?,
        },
        etag: parse_optional("pins.etag", &pins.etag)?,
        confirms_stranding: confirm_stranding,
    };
    Ok((parse("pins.tenant", &pins.tenant)?, put))
}

pub(super) fn platform_pins(tenant: &TenantId, found: PlatformPins) -> v1::PlatformPins {
    let PlatformPins { pins: Pins { current, next, recovery }, epoch, changed_at, next_from, etag } = found;
    v1::PlatformPins {
        tenant: tenant.to_string(),
        current_sha256: current.0.to_vec(),
        next_sha256: next.map(|next| next.0.to_vec()).unwrap_or_default(),
        recovery_sha256: recovery.0.to_vec(),
        epoch,
        changed_at: time::at(changed_at),
        next_from: next_from.and_then(time::at),
        etag: etag.to_string(),
    }
}

/// A rule.
pub(super) struct Rule {
    pub(super) issued: Issued,
    pub(super) span: RangeInclusive<u64>,
    pub(super) code: RevocationReason,
    pub(super) reason: Reason,
}

pub(super) fn rule(context: &Context, asked: v1::RevokeIssuedRequest) -> Result<Rule, Error> {
    let v1::RevokeIssuedRequest { issued, since, until, code, reason } = asked;
    let issued = match issued.ok_or_else(|| wrong("issued", "is missing"))? {
        Asked::ToDevice(v1::IssuedToDevice { tenant, device_id }) => {
            context.may_be_about(&tenant, &device_id);
            let (tenant, device) = (parse("tenant", &tenant)?, parse("device_id", &device_id)?);
            Issued::ToDevice(DeviceName { tenant, device })
        }
        Asked::InTenant(tenant) => Issued::InTenant(parse("in_tenant", &tenant)?),
        Asked::ByCa(v1::IssuedByCa { id }) => Issued::ByCa(parse("id", &id)?),
    };
    let second = |field: &str, given: Option<Timestamp>| {
        second_optional(field, given.as_ref())?.ok_or_else(|| wrong(field, "is missing"))
    };
    Ok(Rule {
        issued,
        span: second("since", since)?..=second("until", until)?,
        code: revocation_reason("code", code)?,
        reason: parse("reason", &reason)?,
    })
}
