//! Audit entries.

use crate::grpc::convert::text;
use wardein_domain::{AuditEntry, Field, Origin};
use wardein_proto::{time, v1};

pub(crate) fn entry((sequence, entry): (u64, AuditEntry)) -> v1::AuditEntry {
    let certificate = entry.origin.and_then(|origin| origin.certificate);
    v1::AuditEntry {
        sequence,
        time: time::at_ms(entry.time_ms),
        tenant: text(entry.tenant.as_ref()),
        actor: entry.actor.to_string(),
        event: entry.event.to_string(),
        target: entry.target.to_string(),
        outcome: entry.outcome.to_string(),
        fields: entry.fields.into_iter().map(field).collect(),
        request_id: entry.request_id,
        address: text(entry.origin.map(|Origin { address, .. }| address).as_ref()),
        certificate_sha256: certificate.map(Vec::from).unwrap_or_default(),
        software: entry.software.into_owned(),
    }
}

fn field(Field { name, before, value }: Field) -> v1::AuditField {
    v1::AuditField { name: name.to_string(), before, value }
}
