//! Orders read and written to.

use super::Salesforce;
use super::names::is_record_id;
use super::page::{Page, order};
use crate::config::{ReportTo, SalesforceConfig};
use crate::error::Error;
use crate::journal::Cursor;
use crate::moment;
use crate::order::Order;
use crate::report::Report;
use http::{Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

/// What came of writing to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    Done,
    /// There is no such order any more.
    Gone,
}

impl Salesforce {
    /// Reads the orders that were changed since `after`, page by page: `take` takes each page, and how far it reaches.
    pub(crate) async fn read_orders(
        &self,
        after: &Cursor,
        mut take: impl FnMut(Vec<Order>, Option<Cursor>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let query = query(&self.config, after);
        let query = utf8_percent_encode(&query, NON_ALPHANUMERIC);
        // With what is in the recycle bin: an order that was deleted lets nobody in.
        let mut path = format!("/services/data/v{}/queryAll?q={query}", self.config.api_version);
        for _ in 0..MAX_PAGES {
            let answer = self.call(Method::GET, &path, None).await?;
            if answer.status != StatusCode::OK {
                return Err(self.answered(&answer));
            }
            let wrong = |why: &str| Error::Answered { host: self.host(), status: 200, why: why.to_owned() };
            let page: Page = serde_json::from_slice(&answer.body).map_err(|_| wrong("no page of a query"))?;
            let reached = page.records.last().and_then(place);
            let read = |record: &Value| order(record, &self.config.fields, &self.config.statuses);
            take(page.records.iter().filter_map(read).collect(), reached)?;
            match (page.done, page.next) {
                (true, _) => return Ok(()),
                (false, Some(next)) if next.starts_with("/services/data/") => path = next,
                (false, _) => {
                    return Err(wrong("a page that is not the last one, and no path of the next one"));
                }
            }
        }
        // The next round goes on from here.
        Ok(())
    }

    /// Writes a report of an order. `all` are those that there are of it, the latest last, which a field has one behind the other.
    pub(crate) async fn write(&self, id: &str, report: &Report, all: &[Report]) -> Result<Written, Error> {
        let (path, body) = self.target(id, report, all);
        let answer = self.call(Method::PATCH, &path, Some(&body)).await?;
        match answer.status {
            // A record that is made by its external id is answered with 201.
            StatusCode::NO_CONTENT | StatusCode::OK | StatusCode::CREATED => Ok(Written::Done),
            StatusCode::NOT_FOUND => Ok(Written::Gone),
            _ => Err(self.answered(&answer)),
        }
    }

    /// Whether a report is on the order already.
    pub(crate) async fn is_written(&self, id: &str, report: &Report) -> Result<bool, Error> {
        let ReportTo::Field(field) = &self.config.report else {
            // Writing it again puts the same record in its place.
            return Ok(false);
        };
        let (version, object) = (&self.config.api_version, self.config.object.as_str());
        let path = format!("/services/data/v{version}/sobjects/{object}/{id}?fields={}", field.as_str());
        let answer = self.call(Method::GET, &path, None).await?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(false),
            _ => return Err(self.answered(&answer)),
        }
        let record: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let text = record.get(field.as_str()).and_then(Value::as_str).unwrap_or_default();
        Ok(text.contains(&report.mark()))
    }

    fn target(&self, id: &str, report: &Report, all: &[Report]) -> (String, Value) {
        let SalesforceConfig { api_version: version, object, report: to, .. } = &self.config;
        let mut fields = Map::new();
        let path = match to {
            ReportTo::Field(field) => {
                // Of many visits of one order, the latest are what fits.
                let mut text = String::new();
                for one in all.iter().rev().map(Report::text) {
                    if text.len() + one.len() + 2 > MAX_FIELD {
                        break;
                    }
                    text = if text.is_empty() { one } else { format!("{one}\n\n{text}") };
                }
                fields.insert(field.as_str().to_owned(), text.into());
                format!("/services/data/v{version}/sobjects/{}/{id}", object.as_str())
            }
            ReportTo::Note { object, key, order, text } => {
                fields.insert(order.as_str().to_owned(), id.into());
                fields.insert(text.as_str().to_owned(), report.text().into());
                format!(
                    "/services/data/v{version}/sobjects/{}/{}/{}",
                    object.as_str(),
                    key.as_str(),
                    report.key
                )
            }
        };
        (path, Value::Object(fields))
    }
}

/// The query for what was changed since `after`, from a little before it: a change that takes long shows late, with the time of its
/// begin.
fn query(config: &SalesforceConfig, after: &Cursor) -> String {
    let SalesforceConfig { fields, statuses, object, .. } = config;
    let mut names = vec!["Id", "SystemModstamp", "IsDeleted"];
    let wanted =
        [&fields.number, &fields.status, &fields.device, &fields.technician, &fields.starts, &fields.ends];
    for path in wanted.into_iter().chain(&fields.scope) {
        // A field twice is a fault to Salesforce.
        if !names.iter().any(|name| name.eq_ignore_ascii_case(path.as_str())) {
            names.push(path.as_str());
        }
    }
    let values = [&statuses.dispatched, &statuses.closed, &statuses.canceled];
    let values: Vec<_> = values.into_iter().flatten().map(ToString::to_string).collect();
    let since = moment::soql(after.changed.saturating_sub(OVERLAP_MS));
    format!(
        "SELECT {} FROM {} WHERE SystemModstamp >= {since} AND ({} IN ({}) OR IsDeleted = TRUE) ORDER BY SystemModstamp, Id",
        names.join(", "),
        object.as_str(),
        fields.status.as_str(),
        values.join(", ")
    )
}

/// Where a record is in the order of a query's result.
fn place(record: &Value) -> Option<Cursor> {
    let id = record.get("Id")?.as_str().filter(|id| is_record_id(id))?.to_owned();
    let changed = moment::parse(record.get("SystemModstamp")?.as_str()?)?;
    Some(Cursor { changed, id })
}

/// Milliseconds that are read again.
const OVERLAP_MS: u64 = 120_000;

/// Pages of one round.
const MAX_PAGES: usize = 1_000;

/// Characters of the order's field: a long text field has 32,768 unless it was made larger.
const MAX_FIELD: usize = 32_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Source;
    use serde_json::json;

    #[test]
    fn the_query_names_each_field_once_and_reads_a_little_again() {
        let Source::Salesforce(config) = crate::config::tests::config().source else { panic!() };
        let after = Cursor { changed: 1_796_054_618_000, id: String::new() };
        let expected = "SELECT Id, SystemModstamp, IsDeleted, Name, SVMXC__Order_Status__c, SVMXC__Component__r.SVMXC__Serial_Lot_Number__c, \
                        SVMXC__Group_Member__r.Name, SVMXC__Scheduled_Date_Time__c, Wardein_Window_End__c FROM SVMXC__Service_Order__c \
                        WHERE SystemModstamp >= 2026-11-30T16:01:38.000Z AND (SVMXC__Order_Status__c IN ('Dispatched', 'In Progress', \
                        'Closed', 'Complete', 'Canceled', 'Open') OR IsDeleted = TRUE) ORDER BY SystemModstamp, Id";
        assert_eq!(query(&config, &after), expected);
    }

    #[test]
    fn a_place_is_of_a_record() {
        let record = json!({ "Id": "a0B000000012345AAA", "SystemModstamp": "2026-11-30T16:03:38.000+0000" });
        assert_eq!(
            place(&record),
            Some(Cursor { changed: 1_796_054_618_000, id: "a0B000000012345AAA".into() })
        );
        assert_eq!(place(&json!({ "Id": "x" })), None);
    }
}
