//! Whom to trust: a verdict with its reasons.

use crate::device::DeviceState;
use alloc::vec::Vec;

/// Whether a device, or its certificate, is to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Trusted,
    /// It is not.
    NotTrusted,
    /// There is no such device.
    Unknown,
}

/// The reasons. A verdict names every reason against, or that there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerdictReason {
    /// Nothing speaks against it.
    InGoodStanding,
    /// No such device in this tenant.
    NoSuchDevice,
    /// The device is not in the state active.
    State(DeviceState),
    /// The certificate was not issued here for this tenant.
    CertificateUnknown,
    /// The certificate is not valid yet.
    CertificateNotYetValid,
    /// The certificate has expired.
    CertificateExpired,
    /// The certificate was revoked.
    CertificateRevoked,
}

impl VerdictReason {
    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::InGoodStanding => "in-good-standing",
            Self::NoSuchDevice => "no-such-device",
            Self::State(state) => state.as_str(),
            Self::CertificateUnknown => "certificate-unknown",
            Self::CertificateNotYetValid => "certificate-not-yet-valid",
            Self::CertificateExpired => "certificate-expired",
            Self::CertificateRevoked => "certificate-revoked",
        }
    }
}

/// The facts about a device in question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceFacts {
    /// Its state.
    pub state: DeviceState,
    /// Seconds for which a verdict on it may be kept.
    pub verdict_lifetime: u64,
}

/// The facts about a certificate in question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Unix seconds from which it is valid.
    pub not_before: u64,
    /// Unix seconds until which it is valid.
    pub not_after: u64,
    /// Whether it was revoked.
    pub is_revoked: bool,
}

impl Verdict {
    /// The verdict on a device at Unix second `now`, its reasons, and until when it may be kept.
    pub fn on_device(device: Option<DeviceFacts>, now: u64) -> (Self, Vec<VerdictReason>, u64) {
        let Some(device) = device else {
            return (Self::Unknown, Vec::from([VerdictReason::NoSuchDevice]), now);
        };
        let keep_until = now.saturating_add(device.verdict_lifetime);
        match device.state {
            DeviceState::Active => (Self::Trusted, Vec::from([VerdictReason::InGoodStanding]), keep_until),
            state => (Self::NotTrusted, Vec::from([VerdictReason::State(state)]), keep_until),
        }
    }

    /// The verdict on a device that shows a certificate, of which `None` is known when it was not issued here.
    pub fn on_certificate(
        device: Option<DeviceFacts>,
        certificate: Option<CertificateFacts>,
        now: u64,
    ) -> (Self, Vec<VerdictReason>, u64) {
        let (verdict, mut reasons, mut keep_until) = Self::on_device(device, now);
        reasons.retain(|reason| *reason != VerdictReason::InGoodStanding);
        match certificate {
            None => reasons.push(VerdictReason::CertificateUnknown),
            Some(certificate) => {
                if now < certificate.not_before {
                    reasons.push(VerdictReason::CertificateNotYetValid);
                    keep_until = keep_until.min(certificate.not_before);
                }
                if now > certificate.not_after {
                    reasons.push(VerdictReason::CertificateExpired);
                } else {
                    keep_until = keep_until.min(certificate.not_after);
                }
                if certificate.is_revoked {
                    reasons.push(VerdictReason::CertificateRevoked);
                }
            }
        }
        if reasons.is_empty() {
            return (verdict, Vec::from([VerdictReason::InGoodStanding]), keep_until);
        }
        let verdict = if verdict == Self::Unknown { verdict } else { Self::NotTrusted };
        (verdict, reasons, keep_until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACTIVE: DeviceFacts = DeviceFacts { state: DeviceState::Active, verdict_lifetime: 300 };
    const VALID: CertificateFacts = CertificateFacts { not_before: 100, not_after: 200, is_revoked: false };

    fn codes(reasons: &[VerdictReason]) -> Vec<&'static str> {
        reasons.iter().map(|reason| reason.code()).collect()
    }

    #[test]
    fn only_an_active_device_is_trusted() {
        for state in DeviceState::ALL {
            let (verdict, _, keep) = Verdict::on_device(Some(DeviceFacts { state, ..ACTIVE }), 10);
            assert_eq!(verdict == Verdict::Trusted, state == DeviceState::Active);
            assert_eq!(keep, 310);
        }
        assert_eq!(Verdict::on_device(None, 10).0, Verdict::Unknown);
    }

    #[test]
    fn a_verdict_on_a_certificate_names_every_reason_and_ends_with_it() {
        let at = |certificate, now| Verdict::on_certificate(Some(ACTIVE), certificate, now);
        assert_eq!(at(Some(VALID), 150), (Verdict::Trusted, Vec::from([VerdictReason::InGoodStanding]), 200));
        assert_eq!(codes(&at(Some(VALID), 99).1), ["certificate-not-yet-valid"]);
        assert_eq!(at(Some(VALID), 99).2, 100);
        assert_eq!(codes(&at(Some(VALID), 201).1), ["certificate-expired"]);
        assert_eq!(codes(&at(None, 150).1), ["certificate-unknown"]);
        let revoked = CertificateFacts { is_revoked: true, ..VALID };
        let suspended = DeviceFacts { state: DeviceState::Suspended, ..ACTIVE };
        let (verdict, reasons, _) = Verdict::on_certificate(Some(suspended), Some(revoked), 150);
        assert_eq!(
            (verdict, codes(&reasons)),
            (Verdict::NotTrusted, Vec::from(["suspended", "certificate-revoked"]))
        );
        assert_eq!(Verdict::on_certificate(None, Some(VALID), 150).0, Verdict::Unknown);
    }
}
