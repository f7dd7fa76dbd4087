//! Certificates that were issued.

use wardein_engine::Certificate;
use wardein_proto::v1;

pub(crate) fn certificate(certificate: Certificate) -> v1::Certificate {
    let (revoked_at, revoked_for) =
        certificate.revoked.map(|(at, reason)| (at, reason.to_string())).unwrap_or_default();
    v1::Certificate {
        serial: certificate.serial.to_string(),
        device_id: certificate.device.device.to_string(),
        not_before: certificate.not_before,
        not_after: certificate.not_after,
        revoked_at,
        revoked_for,
        der: certificate.der,
    }
}
