//! Certificates that were issued.

use wardein_engine::Certificate;
use wardein_proto::{time, v1};

pub(crate) fn certificate(certificate: Certificate) -> v1::Certificate {
    let (revoked_at, revoked_for) =
        certificate.revoked.map(|(at, reason)| (time::at(at), reason.to_string())).unwrap_or_default();
    v1::Certificate {
        serial: certificate.serial.to_string(),
        device_id: certificate.device.device.to_string(),
        not_before: time::at(certificate.not_before),
        not_after: time::at(certificate.not_after),
        revoked_at,
        revoked_for,
        der: certificate.der,
    }
}
