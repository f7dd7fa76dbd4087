//! The report of an order: that it made no visit, or what came of the visit.

use crate::moment::of_second;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use wardein_client::{time, v1, word};

/// The report of one visit of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// The key of it.
    pub(crate) key: String,
    pub(crate) what: What,
    pub(crate) delivery: Delivery,
    /// How often delivering it failed.
    #[serde(default)]
    pub(crate) failures: u32,
    /// Unix second before which it is not tried again.
    #[serde(default)]
    pub(crate) next: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum What {
    /// The order made no visit.
    Refused { code: String, message: String },
    /// What came of the visit.
    Visit(Box<VisitReport>),
}

/// How far its delivery has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Delivery {
    Due,
    /// It was begun; whether it was taken is not known.
    Begun,
    Done,
}

/// A visit that is over, with the protocols of its devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VisitReport {
    pub(crate) visit: String,
    pub(crate) technician: String,
    pub(crate) work_order: String,
    pub(crate) scope: String,
    pub(crate) devices: Vec<String>,
    pub(crate) released_by: String,
    pub(crate) ended_by: String,
    pub(crate) end_reason: String,
    pub(crate) sessions: Vec<Session>,
    /// The devices of which no protocol came, and why it was closed so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) closed_without_protocol: Option<Closing>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Closing {
    pub(crate) devices: Vec<String>,
    pub(crate) closed_by: String,
    pub(crate) reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) device: String,
    pub(crate) session: String,
    pub(crate) began_at: String,
    pub(crate) ended_at: String,
    pub(crate) end: String,
    pub(crate) actions: BTreeMap<String, u32>,
}

impl Report {
    pub(crate) fn new(key: String, what: What) -> Self {
        Self { key, what, delivery: Delivery::Due, failures: 0, next: 0 }
    }

    /// Its first line, by which it is recognized where it was written to.
    pub(crate) fn mark(&self) -> String {
        format!("[Wardein {}]", self.key)
    }

    /// As people read it.
    pub(crate) fn text(&self) -> String {
        let mut text = self.mark();
        // A String takes whatever it is given.
        let _ = match &self.what {
            What::Refused { code, message } => write!(text, " no visit was made: {code}: {message}"),
            What::Visit(visit) => visit.write(&mut text),
        };
        cut(&text, MAX_TEXT)
    }
}

impl VisitReport {
    pub(crate) fn of(visit: &v1::Visit) -> Self {
        Self {
            visit: visit.id.clone(),
            technician: visit.technician.clone(),
            work_order: visit.work_order.clone(),
            scope: visit.scope.clone(),
            devices: visit.device_ids.clone(),
            released_by: visit.released_by.clone(),
            ended_by: visit.ended_by.clone(),
            end_reason: visit.end_reason.clone(),
            sessions: visit.protocols.iter().map(Session::of).collect(),
            closed_without_protocol: visit.closing.as_ref().map(Closing::of),
        }
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        let Self { visit, technician, scope, .. } = self;
        write!(text, " visit {visit} of {} by {technician}, scope {scope}", self.devices.join(", "))?;
        match self.released_by.as_str() {
            "" => write!(text, "; it was never released")?,
            by => write!(text, "; released by {by}")?,
        }
        if !self.ended_by.is_empty() {
            write!(text, "; ended by {}: {}", self.ended_by, self.end_reason)?;
        }
        match &self.closed_without_protocol {
            Some(Closing { devices, closed_by, reason }) => {
                let devices = devices.join(", ");
                write!(text, "\nClosed without a protocol of {devices} by {closed_by}: {reason}")?;
            }
            None if self.sessions.is_empty() => write!(text, "\nNobody was let in.")?,
            None => {}
        }
        for (at, session) in self.sessions.iter().enumerate() {
            if text.len() > MAX_TEXT - MAX_LINE {
                let left = self.sessions.len() - at;
                return write!(text, "\n{left} more sessions: wardein service show {visit}");
            }
            let Session { device, began_at, ended_at, end, actions, .. } = session;
            write!(text, "\n{device}: {began_at} to {ended_at}, {end}")?;
            for (action, times) in actions {
                write!(text, ", {action} {times}")?;
            }
        }
        Ok(())
    }
}

impl Closing {
    fn of(closing: &v1::VisitClosing) -> Self {
        let v1::VisitClosing { closed_by, reason, device_ids, .. } = closing.clone();
        Self { devices: device_ids, closed_by, reason }
    }
}

impl Session {
    fn of(protocol: &v1::VisitProtocol) -> Self {
        let actions = protocol.actions.iter().map(|action| (action.category.clone(), action.times));
        Self {
            device: protocol.device_id.clone(),
            session: protocol.session.clone(),
            began_at: of_second(time::seconds(protocol.began_at)),
            ended_at: of_second(time::seconds(protocol.ended_at)),
            end: word::<v1::SessionEnd>(protocol.end),
            actions: actions.collect(),
        }
    }
}

/// At most `max` bytes of a text, at the end of a character.
pub(crate) fn cut(text: &str, max: usize) -> String {
    text[..text.floor_char_boundary(max)].to_owned()
}

/// Bytes of a text: a long text field of Salesforce has 32,768 characters unless it was made larger.
const MAX_TEXT: usize = 30_000;

/// More than a session's line has: a device's id, and 16 actions of 32 characters.
const MAX_LINE: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    fn report(sessions: usize) -> Report {
        let session = |at: usize| Session {
            device: "pump-1".into(),
            session: format!("{at:032x}"),
            began_at: "2026-12-01T08:00:00Z".into(),
            ended_at: "2026-12-01T08:42:10Z".into(),
            end: "left".into(),
            actions: BTreeMap::from([("calibration".into(), 1), ("command".into(), 12)]),
        };
        let visit = VisitReport {
            visit: "5f0c000000000001".into(),
            technician: "eva".into(),
            work_order: "WO-00012/0123456789ab".into(),
            scope: "maintenance".into(),
            devices: vec!["pump-1".into()],
            released_by: "site/klinik/sina".into(),
            ended_by: "service-coordinator/klinik/carla".into(),
            end_reason: "the work order is closed".into(),
            sessions: (0..sessions).map(session).collect(),
            closed_without_protocol: None,
        };
        Report::new("0123456789ab".into(), What::Visit(Box::new(visit)))
    }

    #[test]
    fn a_report_says_who_when_and_what() {
        let expected = "[Wardein 0123456789ab] visit 5f0c000000000001 of pump-1 by eva, scope maintenance; released by site/klinik/sina; \
                        ended by service-coordinator/klinik/carla: the work order is closed\n\
                        pump-1: 2026-12-01T08:00:00Z to 2026-12-01T08:42:10Z, left, calibration 1, command 12";
        assert_eq!(report(1).text(), expected);
        assert!(report(0).text().ends_with("\nNobody was let in."));
        let refused =
            What::Refused { code: "order-incomplete".into(), message: "the order has no device".into() };
        let refused = Report::new("0123456789ab".into(), refused);
        assert_eq!(
            refused.text(),
            "[Wardein 0123456789ab] no visit was made: order-incomplete: the order has no device"
        );
    }

    #[test]
    fn a_report_fits_its_field() {
        let text = report(2_000).text();
        assert!(
            text.len() <= MAX_TEXT && text.contains(" more sessions: wardein service show 5f0c"),
            "{}",
            text.len()
        );
        let message = "ä".repeat(40_000);
        let refused = Report::new("0".into(), What::Refused { code: "c".into(), message });
        assert!((MAX_TEXT - 3..=MAX_TEXT).contains(&refused.text().len()));
    }
}
