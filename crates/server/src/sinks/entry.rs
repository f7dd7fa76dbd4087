//! An entry of the audit log as sinks take it: an object of JSON on one line, with the names that `wardein audit list --json` has,
//! and beside `time_ms` a time that programs for logs know.

use serde::Serialize;
use std::fmt::Write;
use wardein_crypto::hex;
use wardein_domain::{AuditEntry, Field, Outcome, UnixSeconds};
use wardein_engine::Error;

/// An entry, ready to be sent.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) number: u64,
    /// The object, without a line break at its end.
    pub(crate) json: String,
    /// RFC 3339, with milliseconds.
    pub(crate) time: String,
    /// Such as `device.enroll`.
    pub(crate) event: String,
    pub(crate) is_refused: bool,
}

#[derive(Serialize)]
struct Object<'a> {
    sequence: u64,
    time: &'a str,
    time_ms: u64,
    tenant: &'a str,
    actor: String,
    event: &'a str,
    target: String,
    outcome: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<Vec<Fact<'a>>>,
    /// In the place of `fields` where those would make it too long.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<&'static str>,
    request_id: &'a str,
    address: String,
    certificate_sha256: String,
    software: &'a str,
}

#[derive(Serialize)]
struct Fact<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<&'a str>,
    value: &'a str,
}

impl Line {
    /// Entry `number`, in at most `most` bytes: a longer one goes without its fields, which the log has.
    pub(crate) fn new(number: u64, entry: &AuditEntry, most: usize) -> Result<Self, Error> {
        let time = time(entry.time_ms);
        let origin = entry.origin.as_ref();
        let certificate = origin.and_then(|origin| origin.certificate);
        let mut object = Object {
            sequence: number,
            time: &time,
            time_ms: entry.time_ms,
            tenant: entry.tenant.as_ref().map(|tenant| tenant.as_str()).unwrap_or_default(),
            actor: entry.actor.to_string(),
            event: entry.event.as_str(),
            target: entry.target.to_string(),
            outcome: entry.outcome.code(),
            fields: Some(entry.fields.iter().map(Fact::from).collect()),
            left_out: None,
            request_id: &entry.request_id,
            address: origin.map(|origin| origin.address.to_string()).unwrap_or_default(),
            certificate_sha256: certificate.map(|digest| hex::encode(&digest)).unwrap_or_default(),
            software: &entry.software,
        };
        let mut json = text(&object)?;
        if json.len() > most {
            (object.fields, object.left_out) = (None, Some("fields"));
            json = text(&object)?;
        }
        let (event, is_refused) = (entry.event.to_string(), entry.outcome != Outcome::Done);
        Ok(Self { number, json, time, event, is_refused })
    }
}

impl<'a> From<&'a Field> for Fact<'a> {
    fn from(Field { name, before, value }: &'a Field) -> Self {
        Self { name: name.as_str(), before: before.as_deref(), value }
    }
}

fn text(object: &Object<'_>) -> Result<String, Error> {
    serde_json::to_string(object).map(escaped).map_err(Error::internal)
}

/// The same document with every control character escaped. JSON demands that of those of ASCII alone; a terminal takes U+009B for
/// an escape as well, and some readers break lines at U+0085, U+2028 and U+2029.
fn escaped(json: String) -> String {
    let is_unsafe = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    if !json.contains(is_unsafe) {
        return json;
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        match is_unsafe(c) {
            // All of them are within the basic plane. A String takes whatever it is given.
            true => drop(write!(out, "\\u{:04x}", u32::from(c))),
            false => out.push(c),
        }
    }
    out
}

/// RFC 3339 with milliseconds, as RFC 5424 has it (§6.2.3).
fn time(ms: u64) -> String {
    let whole = wardein_tuf::format_utc(UnixSeconds::new(ms / 1000));
    format!("{}.{:03}Z", whole.trim_end_matches('Z'), ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wardein_domain::{Actor, Call, Event, FieldName, Reason, Target};

    fn entry() -> AuditEntry {
        let (tenant, device) = ("klinik".parse().unwrap(), "pump-1".parse().unwrap());
        let target = Target::Device(tenant, device);
        let call = Call::new("id-7");
        AuditEntry::new(
            "0.2.0",
            1_700_000_000_042,
            Actor::System,
            Event::DeviceStateSet,
            target,
            Outcome::Done,
            &call,
        )
        .changed(FieldName::State, "active", "suspended")
    }

    #[test]
    fn an_entry_is_one_line_with_the_names_of_audit_list() {
        let line = Line::new(7, &entry(), 8_192).unwrap();
        let json: serde_json::Value = serde_json::from_str(&line.json).unwrap();
        let expected = serde_json::json!({
            "sequence": 7, "time": "2023-11-14T22:13:20.042Z", "time_ms": 1_700_000_000_042_u64, "tenant": "",
            "actor": "system", "event": "device.set-state", "target": "device/klinik/pump-1", "outcome": "ok",
            "fields": [{ "name": "state", "before": "active", "value": "suspended" }], "request_id": "id-7",
            "address": "", "certificate_sha256": "", "software": "0.2.0",
        });
        assert_eq!(json, expected);
        assert!(!line.is_refused && line.event == "device.set-state");
    }

    #[test]
    fn no_text_breaks_a_line_or_reaches_a_terminal() {
        let mut hostile = entry();
        hostile.request_id = "a\nb\u{1b}[31m\u{9b}2J\u{85}\u{2028}<13>1 - - - - - -".to_owned();
        let line = Line::new(7, &hostile, 8_192).unwrap();
        assert!(line.json.chars().all(|c| !c.is_control() && c != '\u{2028}'), "{:?}", line.json);
        let json: serde_json::Value = serde_json::from_str(&line.json).unwrap();
        assert_eq!(json["request_id"], hostile.request_id.as_str(), "and nothing is lost");
    }

    #[test]
    fn a_long_entry_goes_without_its_fields_and_says_so() {
        let mut long = entry();
        let reason: Reason = "x".repeat(256).parse().unwrap();
        for _ in 0..40 {
            long = long.with(FieldName::Reason, &reason);
        }
        assert!(Line::new(7, &long, 32_768).unwrap().json.len() > 8_192);
        let line = Line::new(7, &long, 8_192).unwrap();
        let json: serde_json::Value = serde_json::from_str(&line.json).unwrap();
        assert!(line.json.len() < 1_024 && json["left_out"] == "fields" && json["fields"].is_null());
        assert_eq!(json["sequence"], 7);
        assert_eq!(json["event"], "device.set-state");
    }
}
