//! A message that an order changed.

use crate::moment;
use crate::order::{Order, Raw, Status};
use crate::report::cut;
use serde::Deserialize;

#[derive(Deserialize)]
struct Message {
    r#type: String,
    /// When the order was changed, in RFC 3339: what is older than what is known changes nothing.
    timestamp: String,
    data: Data,
}

/// Fields that are not known are left out of account: the sender has more of them.
#[derive(Deserialize)]
struct Data {
    id: String,
    number: Option<String>,
    device: Option<String>,
    technician: Option<String>,
    starts_at: Option<String>,
    ends_at: Option<String>,
    scope: Option<String>,
}

/// The order that a body is about; or what is wrong with the body. What is wrong with the order itself is reported later, by an
/// event.
pub(super) fn order(body: &[u8]) -> Result<Order, String> {
    let message: Message =
        serde_json::from_slice(body).map_err(|error| format!("the body is not understood: {error}"))?;
    let status = match message.r#type.as_str() {
        "work-order.dispatched" => Status::Dispatched,
        "work-order.closed" => Status::Closed,
        "work-order.canceled" => Status::Canceled,
        _ => {
            let why = "type is not work-order.dispatched, work-order.closed or work-order.canceled";
            return Err(why.to_owned());
        }
    };
    let changed = moment::parse(&message.timestamp).ok_or("timestamp is not a time of RFC 3339")?;
    let Data { id, number, device, technician, starts_at, ends_at, scope } = message.data;
    if !(1..=Order::MAX_ID).contains(&id.len()) || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("data.id is not 1 to {} printable ASCII characters", Order::MAX_ID));
    }
    // One byte more than a field may have is kept, so that what is too long is refused and not shortened.
    let kept = |field: Option<String>| field.map(|text| cut(&text, Raw::MAX_FIELD + 1));
    let raw = Raw {
        number: kept(number),
        device: kept(device),
        technician: kept(technician),
        starts: kept(starts_at),
        ends: kept(ends_at),
        scope: kept(scope),
    };
    Ok(Order { id, changed, status, raw })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"type":"work-order.dispatched","timestamp":"2026-11-30T16:03:38Z","data":{"id":"4711","device":"pump-1","more":[1]}}"#;

    #[test]
    fn a_message_is_read() {
        let read = order(GOOD.as_bytes()).unwrap();
        assert_eq!(
            (read.id.as_str(), read.changed, read.status),
            ("4711", 1_796_054_618_000, Status::Dispatched)
        );
        assert_eq!((read.raw.device.as_deref(), read.raw.number), (Some("pump-1"), None));
    }

    #[test]
    fn what_is_wrong_with_a_message_is_named() {
        let long = "x".repeat(129);
        for (from, to, said) in [
            ("work-order.dispatched", "order", "type is not"),
            ("2026-11-30T16:03:38Z", "today", "timestamp is not"),
            ("\"4711\"", "\"\"", "data.id is not"),
            ("\"4711\"", "\"a b\"", "data.id is not"),
            ("4711", &long, "data.id is not"),
            ("\"4711\"", "4711", "not understood"),
            ("\"id\":", "\"ident\":", "not understood"),
            ("{\"type\"", "[\"type\"", "not understood"),
        ] {
            let refused = order(GOOD.replacen(from, to, 1).as_bytes()).unwrap_err();
            assert!(refused.contains(said), "{to}: {refused}");
        }
        assert!(order(&"[".repeat(60_000).into_bytes()).is_err());
    }
}
