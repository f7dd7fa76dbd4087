//! Audit entries.

use crate::grpc::convert::{millisecond, parse_optional, text, wrong};
use wardein_domain::{AuditEntry, Field, Origin};
use wardein_engine::{AuditFilter, Ended, Error};
use wardein_proto::{Timestamp, time, v1};

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

pub(super) fn filter(asked: v1::ListEntriesRequest) -> Result<AuditFilter, Error> {
    let v1::ListEntriesRequest { tenant, device_id, since, until, actor, event, outcome, .. } = asked;
    let at =
        |field, given: Option<Timestamp>| given.map(|given| millisecond(field, Some(&given))).transpose();
    Ok(AuditFilter {
        tenant: parse_optional("tenant", &tenant)?,
        device: parse_optional("device_id", &device_id)?,
        since_ms: at("since", since)?,
        until_ms: at("until", until)?,
        actor: name("actor", actor)?,
        event: name("event", event)?,
        ended: match name("outcome", outcome)? {
            None => Ended::Either,
            Some(refused) if refused == "refused" => Ended::Refused,
            Some(outcome) => Ended::In(outcome),
        },
    })
}

/// A name to compare with, or its beginning.
fn name(field: &str, text: String) -> Result<Option<String>, Error> {
    if text.len() > MAX_NAME || text.bytes().any(|byte| !byte.is_ascii_graphic()) {
        return Err(wrong(
            field,
            format_args!("takes at most {MAX_NAME} letters, digits and signs of ASCII"),
        ));
    }
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// The most bytes of a name: no actor has a longer one.
const MAX_NAME: usize = 256;
