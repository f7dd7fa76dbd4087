//! Audit entries.

use super::text;
use wardein_domain::AuditEntry;
use wardein_proto::v1;

pub(crate) fn entry((sequence, entry): (u64, AuditEntry)) -> v1::AuditEntry {
    v1::AuditEntry {
        sequence,
        time_ms: entry.time_ms,
        tenant: text(entry.tenant.as_ref()),
        actor: entry.actor,
        event: entry.event,
        target: entry.target,
        outcome: entry.outcome,
        detail: entry.detail,
        request_id: entry.request_id,
    }
}
