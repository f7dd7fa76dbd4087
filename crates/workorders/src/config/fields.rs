//! The configuration as it is written, and how it is judged.

use super::{Config, OrderFields, ReportTo, SalesforceConfig, Source, Statuses, Technician, WebhookConfig};
use crate::error::Error;
use crate::salesforce::names::{FieldPath, StatusValue};
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use wardein_domain::WebhookUrl;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fields {
    identity: PathBuf,
    endpoint: String,
    state: PathBuf,
    #[serde(default = "poll")]
    poll: u64,
    #[serde(default = "settle")]
    settle: u64,
    scope: String,
    technicians: Vec<TechnicianFields>,
    salesforce: Option<SalesforceFields>,
    webhook: Option<WebhookFields>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TechnicianFields {
    in_orders: String,
    name: String,
    key: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SalesforceFields {
    login_url: String,
    audience: Option<String>,
    client_id: String,
    username: String,
    key_file: PathBuf,
    api_version: String,
    #[serde(default = "roots")]
    roots: PathBuf,
    object: String,
    report_field: Option<String>,
    note: Option<NoteFields>,
    fields: OrderFieldNames,
    status: StatusNames,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoteFields {
    object: String,
    key: String,
    order: String,
    text: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderFieldNames {
    number: String,
    status: String,
    device: String,
    technician: String,
    starts: String,
    ends: String,
    scope: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StatusNames {
    dispatched: Vec<String>,
    closed: Vec<String>,
    canceled: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WebhookFields {
    #[serde(default = "listen")]
    listen: SocketAddr,
    secret_file: PathBuf,
    url: String,
    url_secret_file: PathBuf,
    #[serde(default = "roots")]
    roots: PathBuf,
}

impl Fields {
    pub(super) fn judge(self) -> Result<Config, Error> {
        let host = self.endpoint.strip_prefix("https://").unwrap_or_default();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
        if host.is_empty() || !host.chars().all(is_plain) {
            return Err(Error::config(
                "endpoint",
                format_args!("{:?} is not https://HOST:PORT", self.endpoint),
            ));
        }
        within("poll", self.poll, 5, 3_600)?;
        within("settle", self.settle, 0, 86_400)?;
        let technicians: Vec<_> =
            self.technicians.into_iter().map(TechnicianFields::judge).collect::<Result<_, _>>()?;
        let twice = |(at, of): (usize, &Technician)| {
            technicians.iter().take(at).any(|other| other.in_orders == of.in_orders)
        };
        if let Some((_, of)) = technicians.iter().enumerate().find(|one| twice(*one)) {
            return Err(Error::config("technicians", format_args!("have {:?} twice", of.in_orders)));
        }
        let source = match (self.salesforce, self.webhook) {
            (Some(salesforce), None) => Source::Salesforce(Box::new(salesforce.judge()?)),
            (None, Some(webhook)) => Source::Webhook(webhook.judge()?),
            _ => {
                let why = "give either [salesforce] or [webhook]; a second process takes the other, with a state of its own";
                return Err(Error::config("salesforce", why));
            }
        };
        Ok(Config {
            identity: self.identity,
            endpoint: self.endpoint,
            state: self.state,
            poll: self.poll,
            settle: self.settle,
            scope: parsed("scope", &self.scope)?,
            technicians,
            source,
        })
    }
}

impl TechnicianFields {
    fn judge(self) -> Result<Technician, Error> {
        if !(1..=256).contains(&self.in_orders.len()) || self.in_orders.trim() != self.in_orders {
            let why = "have a name in_orders that is not 1 to 256 bytes without blanks around it";
            return Err(Error::config("technicians", why));
        }
        let (name, key) = (self.part(&self.name)?, self.part(&self.key)?);
        Ok(Technician { in_orders: self.in_orders, name, key })
    }

    fn part<T: FromStr<Err: ToString>>(&self, text: &str) -> Result<T, Error> {
        let wrong = |error: T::Err| format!("{:?}: {}", self.in_orders, error.to_string());
        text.parse().map_err(|error| Error::config("technicians", wrong(error)))
    }
}

impl SalesforceFields {
    fn judge(self) -> Result<SalesforceConfig, Error> {
        let version = self.api_version.split_once('.');
        let is_number =
            |text: &str| (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if !version.is_some_and(|(major, minor)| is_number(major) && is_number(minor)) {
            return Err(Error::config(
                "api_version",
                format_args!("{:?} is not a version such as 62.0", self.api_version),
            ));
        }
        for (field, text) in [("client_id", &self.client_id), ("username", &self.username)] {
            if !(1..=512).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(Error::config(
                    field,
                    "is not 1 to 512 printable ASCII characters without blanks",
                ));
            }
        }
        let login_url: WebhookUrl = parsed("login_url", &self.login_url)?;
        if login_url.path() != "/" {
            return Err(Error::config(
                "login_url",
                format_args!("{:?} is not https://HOST alone", self.login_url),
            ));
        }
        let report = match (self.report_field, self.note) {
            (Some(field), None) => ReportTo::Field(own("report_field", &field)?),
            (None, Some(note)) => ReportTo::Note {
                object: parsed("note.object", &note.object)?,
                key: own("note.key", &note.key)?,
                order: own("note.order", &note.order)?,
                text: own("note.text", &note.text)?,
            },
            _ => return Err(Error::config("report_field", "give either report_field or [salesforce.note]")),
        };
        let names = self.fields;
        let fields = OrderFields {
            number: parsed("fields.number", &names.number)?,
            status: parsed("fields.status", &names.status)?,
            device: parsed("fields.device", &names.device)?,
            technician: parsed("fields.technician", &names.technician)?,
            starts: parsed("fields.starts", &names.starts)?,
            ends: parsed("fields.ends", &names.ends)?,
            scope: names.scope.map(|scope| parsed("fields.scope", &scope)).transpose()?,
        };
        let statuses = Statuses {
            dispatched: values("status.dispatched", &self.status.dispatched)?,
            closed: values("status.closed", &self.status.closed)?,
            canceled: values("status.canceled", &self.status.canceled)?,
        };
        Ok(SalesforceConfig {
            audience: self.audience.unwrap_or(self.login_url),
            login_url,
            client_id: self.client_id,
            username: self.username,
            key_file: self.key_file,
            api_version: self.api_version,
            roots: self.roots,
            object: parsed("object", &self.object)?,
            fields,
            statuses,
            report,
        })
    }
}

impl WebhookFields {
    fn judge(self) -> Result<WebhookConfig, Error> {
        let Self { listen, secret_file, url, url_secret_file, roots } = self;
        Ok(WebhookConfig { listen, secret_file, url: parsed("url", &url)?, url_secret_file, roots })
    }
}

fn parsed<T: FromStr<Err: ToString>>(field: &'static str, text: &str) -> Result<T, Error> {
    text.parse()
        .map_err(|error: T::Err| Error::config(field, format_args!("{text:?}: {}", error.to_string())))
}

/// A field of the object itself: what is related cannot be written to.
fn own(field: &'static str, text: &str) -> Result<FieldPath, Error> {
    let path: FieldPath = parsed(field, text)?;
    match path.names().count() {
        1 => Ok(path),
        _ => Err(Error::config(field, format_args!("{text:?} is a field of a related object"))),
    }
}

fn values(field: &'static str, texts: &[String]) -> Result<Vec<StatusValue>, Error> {
    if !(1..=MAX_VALUES).contains(&texts.len()) {
        return Err(Error::config(field, format_args!("are {}; it takes 1 to {MAX_VALUES}", texts.len())));
    }
    texts.iter().map(|text| parsed(field, text)).collect()
}

fn within(field: &'static str, value: u64, min: u64, max: u64) -> Result<(), Error> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(Error::config(field, format_args!("is {value}; it takes {min} to {max} seconds")))
}

fn poll() -> u64 {
    60
}

fn settle() -> u64 {
    600
}

/// Debian's bundle.
fn roots() -> PathBuf {
    PathBuf::from("/etc/ssl/certs/ca-certificates.crt")
}

fn listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8470))
}

const MAX_VALUES: usize = 16;
