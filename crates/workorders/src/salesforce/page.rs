//! A page of orders, as a query answers it.

use super::names::{FieldPath, is_record_id};
use crate::config::{OrderFields, Statuses};
use crate::moment;
use crate::order::{Order, Raw, Status};
use crate::report::cut;
use serde::Deserialize;
use serde_json::Value;

/// A page of a query's result.
#[derive(Deserialize)]
pub(super) struct Page {
    pub(super) done: bool,
    #[serde(rename = "nextRecordsUrl")]
    pub(super) next: Option<String>,
    pub(super) records: Vec<Value>,
}

/// The order in a record; none if it is not what was asked for.
pub(super) fn order(record: &Value, fields: &OrderFields, statuses: &Statuses) -> Option<Order> {
    let text = |name: &str| record.get(name).and_then(Value::as_str);
    let id = text("Id").filter(|id| is_record_id(id))?.to_owned();
    let changed = moment::parse(text("SystemModstamp")?)?;
    let is_deleted = record.get("IsDeleted").and_then(Value::as_bool).unwrap_or_default();
    let value = value(record, &fields.status);
    let is_of = |values: &[super::names::StatusValue]| {
        values.iter().any(|of| value.as_deref().is_some_and(|value| value.eq_ignore_ascii_case(of.as_str())))
    };
    // One that is gone is canceled. Of a value that is in two lists the one counts that lets nobody in.
    let status = match () {
        () if is_deleted || is_of(&statuses.canceled) => Status::Canceled,
        () if is_of(&statuses.closed) => Status::Closed,
        () if is_of(&statuses.dispatched) => Status::Dispatched,
        () => return None,
    };
    let get = |path: &FieldPath| self::value(record, path);
    let raw = Raw {
        number: get(&fields.number),
        device: get(&fields.device),
        technician: get(&fields.technician),
        starts: get(&fields.starts),
        ends: get(&fields.ends),
        scope: fields.scope.as_ref().and_then(get),
    };
    Some(Order { id, changed, status, raw })
}

/// The text at the end of a path; a related record is an object within, or null.
fn value(record: &Value, path: &FieldPath) -> Option<String> {
    let end = path.names().try_fold(record, |at, name| at.get(name))?;
    // One byte more than a field may have is kept, so that what is too long is refused and not shortened.
    let text = match end {
        Value::String(text) => cut(text, Raw::MAX_FIELD + 1),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Source;
    use serde_json::json;

    fn read(record: &Value) -> Option<Order> {
        let Source::Salesforce(config) = crate::config::tests::config().source else { panic!() };
        order(record, &config.fields, &config.statuses)
    }

    fn record() -> Value {
        json!({
            "attributes": { "type": "SVMXC__Service_Order__c" },
            "Id": "a0B000000012345AAA",
            "Name": "WO-00012",
            "SystemModstamp": "2026-11-30T16:03:38.000+0000",
            "IsDeleted": false,
            "SVMXC__Order_Status__c": "Dispatched",
            "SVMXC__Component__r": { "SVMXC__Serial_Lot_Number__c": "pump-1" },
            "SVMXC__Group_Member__r": null,
        })
    }

    #[test]
    fn an_order_is_read_with_what_is_related_to_it() {
        let order = read(&record()).unwrap();
        assert_eq!(
            (order.id.as_str(), order.changed, order.status),
            ("a0B000000012345AAA", 1_796_054_618_000, Status::Dispatched)
        );
        assert_eq!((order.raw.device.as_deref(), order.raw.technician), (Some("pump-1"), None));
    }

    #[test]
    fn a_status_says_what_to_do_and_what_is_deleted_is_canceled() {
        let with = |name: &str, value: Value| {
            let mut record = record();
            record[name] = value;
            read(&record).map(|order| order.status)
        };
        for (text, status) in
            [("In Progress", Status::Dispatched), ("Complete", Status::Closed), ("OPEN", Status::Canceled)]
        {
            assert_eq!(with("SVMXC__Order_Status__c", json!(text)), Some(status));
        }
        assert_eq!(with("IsDeleted", json!(true)), Some(Status::Canceled));
        for (name, value) in [
            ("SVMXC__Order_Status__c", json!("Planned")),
            ("SVMXC__Order_Status__c", json!(null)),
            ("Id", json!("../../x")),
            ("SystemModstamp", json!("today")),
        ] {
            assert_eq!(with(name, value), None, "{name}");
        }
    }

    #[test]
    fn what_is_too_long_is_not_made_to_fit() {
        let mut record = record();
        record["Name"] = json!("9".repeat(1_000));
        assert_eq!(read(&record).unwrap().raw.number.map(|text| text.len()), Some(Raw::MAX_FIELD + 1));
    }
}
