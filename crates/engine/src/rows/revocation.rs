//! Revocations: of one certificate, by its serial; and rules, each of which revokes the certificates issued in a span of time to
//! a device, in a tenant or by a CA. Revoking a million certificates is one row then. A revocation list expands the rules;
//! issuance checks them. Nothing is ever deleted: what is released says so.

use super::{column, device_key, parse_device_key, tenant_prefix};
use crate::kernel::Error;
use crate::project::NodeClock;
use serde::{Deserialize, Serialize};
use wardein_ddkg::DeviceName;
use wardein_domain::{Reason, RevocationReason, Serial, TenantId, UnixSeconds};
use wardein_port::Table;

/// A certificate that was revoked by itself.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct RevokedRow {
    #[serde(with = "column")]
    pub(crate) at: UnixSeconds,
    #[serde(with = "column")]
    pub(crate) reason: Reason,
    #[serde(with = "column")]
    pub(crate) code: RevocationReason,
    /// The key identifier of the CA that issued it, and until when it is valid: a list is made without reading certificates.
    pub(crate) ca: [u8; 20],
    #[serde(with = "column")]
    pub(crate) not_after: UnixSeconds,
    /// Whether the hold was released. The row stays, so that what is read late does not bring it back.
    pub(crate) is_released: bool,
}

/// A rule: all certificates of its scope that were issued from `issued_from` until `issued_until`, both inclusive, are revoked.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub(crate) struct RuleRow {
    #[serde(with = "column")]
    pub(crate) issued_from: UnixSeconds,
    #[serde(with = "column")]
    pub(crate) issued_until: UnixSeconds,
    /// When the rule was made.
    #[serde(with = "column")]
    pub(crate) at: UnixSeconds,
    /// In which era of the authority's clock.
    pub(crate) era: u32,
    #[serde(with = "column")]
    pub(crate) reason: Reason,
    #[serde(with = "column")]
    pub(crate) code: RevocationReason,
}

/// Whose certificates a rule is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RuleScope {
    /// Those of a device.
    Device(DeviceName),
    /// Those of all devices of a tenant.
    Tenant(TenantId),
    /// Those that a CA issued, by its key identifier.
    Ca([u8; 20]),
}

/// The subject of a row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Revocation {
    /// One certificate.
    Certificate(Serial),
    /// A rule.
    Rule(RuleScope),
}

impl RuleRow {
    /// The rule of a readmission at `at`: a copy of the device's state may hold its certificates issued until then.
    pub(crate) fn readmitted(at: UnixSeconds, era: u32) -> Self {
        let reason = "the device was readmitted".parse().expect("the constant is a reason");
        let code = RevocationReason::KeyCompromise;
        Self { issued_from: UnixSeconds::default(), issued_until: at, at, era, reason, code }
    }

    /// The rule of a transfer at `at`: what the giving tenant's platforms were told of the device ends.
    pub(crate) fn transferred(at: UnixSeconds, era: u32) -> Self {
        let reason = "the device went over to another tenant".parse().expect("the constant is a reason");
        let code = RevocationReason::AffiliationChanged;
        Self { issued_from: UnixSeconds::default(), issued_until: at, at, era, reason, code }
    }

    /// The rule as it is read now. One of an era whose clock ran ahead, which meant all that had been issued, ends where that
    /// era did: otherwise nothing could be issued until its time has come.
    pub(crate) fn read_by(self, clock: &NodeClock) -> Self {
        match clock.ran_ahead(self.era, self.at) {
            Some(began) if self.issued_until <= self.at => {
                Self { issued_until: self.issued_until.min(began), at: began, ..self }
            }
            _ => self,
        }
    }

    pub(crate) fn covers(&self, issued_at: UnixSeconds) -> bool {
        (self.issued_from..=self.issued_until).contains(&issued_at)
    }
}

/// `'c' ‖ serial`.
pub(crate) fn revoked_key(serial: &Serial) -> Vec<u8> {
    [&[CERTIFICATE], &serial.as_bytes()[..]].concat()
}

/// `'d' ‖ tenant ‖ 0 ‖ device`: a device has one rule. `'t' ‖ tenant ‖ 0 ‖ u64(from) ‖ u64(until)` and
/// `'i' ‖ key identifier ‖ u64(from) ‖ u64(until)`: these have one for each span.
pub(crate) fn rule_key(scope: &RuleScope, row: &RuleRow) -> Vec<u8> {
    let span = [row.issued_from.get().to_be_bytes(), row.issued_until.get().to_be_bytes()].concat();
    match scope {
        RuleScope::Device(name) => [&[DEVICE], &device_key(name)[..]].concat(),
        RuleScope::Tenant(tenant) => [&[TENANT], &tenant_prefix(tenant)[..], &span].concat(),
        RuleScope::Ca(id) => [&[CA], &id[..], &span].concat(),
    }
}

/// The inverse of [`revoked_key`] and [`rule_key`].
pub(crate) fn parse_revocation_key(key: &[u8]) -> Result<Revocation, Error> {
    let damaged = || super::damaged(Table::Revocation, "has a damaged key");
    let (kind, rest) = key.split_first().ok_or_else(damaged)?;
    let without_span = || rest.len().checked_sub(SPAN).and_then(|at| rest.get(..at)).ok_or_else(damaged);
    Ok(match *kind {
        CERTIFICATE => Revocation::Certificate(Serial::from_bytes(rest).map_err(|_| damaged())?),
        DEVICE => Revocation::Rule(RuleScope::Device(parse_device_key(rest)?)),
        TENANT => {
            let tenant = without_span()?.strip_suffix(&[0]).ok_or_else(damaged)?;
            let tenant = std::str::from_utf8(tenant).ok().and_then(|text| text.parse().ok());
            Revocation::Rule(RuleScope::Tenant(tenant.ok_or_else(damaged)?))
        }
        CA => Revocation::Rule(RuleScope::Ca(without_span()?.try_into().map_err(|_| damaged())?)),
        _ => return Err(damaged()),
    })
}

const CERTIFICATE: u8 = b'c';
/// What the keys of single certificates begin with.
pub(crate) const REVOKED_CERTIFICATES: [u8; 1] = [CERTIFICATE];
const DEVICE: u8 = b'd';
const TENANT: u8 = b't';
const CA: u8 = b'i';

/// Two times.
const SPAN: usize = 2 * 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back() {
        let row = RuleRow::readmitted(UnixSeconds::new(7), 0);
        let tenant: TenantId = "klinik".parse().unwrap();
        let device = DeviceName { tenant: tenant.clone(), device: "pump-1".parse().unwrap() };
        for scope in [RuleScope::Device(device), RuleScope::Tenant(tenant), RuleScope::Ca([9; 20])] {
            let key = rule_key(&scope, &row);
            assert_eq!(parse_revocation_key(&key).unwrap(), Revocation::Rule(scope));
        }
        let serial = Serial::from_random([3; 16]);
        assert_eq!(parse_revocation_key(&revoked_key(&serial)).unwrap(), Revocation::Certificate(serial));
        for damaged in [&b""[..], b"c", b"x123", b"t", b"iii", b"tklinik\0", b"d\0"] {
            assert!(parse_revocation_key(damaged).is_err(), "{damaged:?}");
        }
    }
}
