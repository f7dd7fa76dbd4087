//! The configuration, judged. It holds no secret: secrets are in files that it names.

mod fields;

use crate::error::Error;
use crate::salesforce::names::{FieldPath, ObjectName, StatusValue};
use fields::Fields;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use wardein_domain::{OperatorName, ServiceScope, WebhookUrl};
use wardein_pki::ssh::SshKey;

/// What the configuration says.
#[derive(Debug, Clone)]
pub struct Config {
    /// The directory of the identity, of role `service-coordinator`.
    pub identity: PathBuf,
    /// Where the authority answers.
    pub endpoint: String,
    /// The directory of what must not be forgotten.
    pub state: PathBuf,
    /// Seconds between two rounds.
    pub poll: u64,
    /// Seconds for which a visit that is over is waited for further protocols.
    pub settle: u64,
    /// The scope of orders that name none.
    pub scope: ServiceScope,
    /// Who may be invited.
    pub technicians: Vec<Technician>,
    /// Where orders come from, and protocols go to.
    pub source: Source,
}

/// A technician, as orders and as the authority have them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Technician {
    /// The name in orders.
    pub in_orders: String,
    /// The operator's name at the authority.
    pub name: OperatorName,
    /// The public key that the technician comes with.
    pub key: SshKey,
}

/// Where orders come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// Salesforce, with ServiceMax or without.
    Salesforce(Box<SalesforceConfig>),
    /// Another system, by webhooks.
    Webhook(WebhookConfig),
}

/// Salesforce.
#[derive(Debug, Clone)]
pub struct SalesforceConfig {
    /// Where the login is, such as `https://login.salesforce.com`.
    pub(crate) login_url: WebhookUrl,
    /// For whom the assertion of a login is, as it is in the JWT.
    pub(crate) audience: String,
    /// The consumer key of the app.
    pub(crate) client_id: String,
    /// The user that the adapter is there.
    pub(crate) username: String,
    /// The RSA key that signs assertions.
    pub(crate) key_file: PathBuf,
    /// The version of the REST API, such as `62.0`.
    pub(crate) api_version: String,
    /// CAs that are believed, PEM.
    pub(crate) roots: PathBuf,
    /// The object that is a work order.
    pub(crate) object: ObjectName,
    /// The fields of it.
    pub(crate) fields: OrderFields,
    /// What its status may be.
    pub(crate) statuses: Statuses,
    /// Where protocols are written to.
    pub(crate) report: ReportTo,
}

/// The fields of an order, each by its path.
#[derive(Debug, Clone)]
pub(crate) struct OrderFields {
    pub(crate) number: FieldPath,
    pub(crate) status: FieldPath,
    pub(crate) device: FieldPath,
    pub(crate) technician: FieldPath,
    pub(crate) starts: FieldPath,
    pub(crate) ends: FieldPath,
    pub(crate) scope: Option<FieldPath>,
}

/// The values of the status that mean something.
#[derive(Debug, Clone)]
pub(crate) struct Statuses {
    pub(crate) dispatched: Vec<StatusValue>,
    pub(crate) closed: Vec<StatusValue>,
    pub(crate) canceled: Vec<StatusValue>,
}

/// Where protocols are written to.
#[derive(Debug, Clone)]
pub(crate) enum ReportTo {
    /// A field of the order: long text.
    Field(FieldPath),
    /// A record of its own for each visit, which is found by an external id.
    Note { object: ObjectName, key: FieldPath, order: FieldPath, text: FieldPath },
}

/// Another system.
#[derive(Debug, Clone)]
pub struct WebhookConfig {
    /// Where orders are taken, by HTTP.
    pub(crate) listen: SocketAddr,
    /// The secret of messages that come in.
    pub(crate) secret_file: PathBuf,
    /// Where events go to.
    pub(crate) url: WebhookUrl,
    /// The secret of those.
    pub(crate) url_secret_file: PathBuf,
    /// CAs that are believed, PEM.
    pub(crate) roots: PathBuf,
}

impl Config {
    /// The configuration in the file at `path`.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(Error::file("read", path))?;
        Self::parse(&text)
    }

    /// The configuration in a text.
    pub fn parse(text: &str) -> Result<Self, Error> {
        // The parser's message shows place and field; it is cut from the file's own line, which holds no secret.
        let fields: Fields = toml::from_str(text).map_err(|error| Error::config("syntax", error))?;
        fields.judge()
    }

    pub(crate) fn technician(&self, in_orders: &str) -> Option<&Technician> {
        self.technicians.iter().find(|technician| technician.in_orders == in_orders)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn config() -> Config {
        Config::parse(EXAMPLE).unwrap()
    }

    const EXAMPLE: &str = include_str!("../../../deploy/wardein-workorders.example.toml");

    #[test]
    fn the_example_is_read() {
        let config = config();
        assert_eq!((config.poll, config.settle, config.scope.as_str()), (60, 600, "maintenance"));
        assert_eq!(config.technician("Eva Example").unwrap().name.as_str(), "eva");
        assert!(config.technician("eva example").is_none());
        let Source::Salesforce(salesforce) = config.source else { panic!("{:?}", config.source) };
        assert_eq!(salesforce.audience, "https://login.salesforce.com");
        assert_eq!(salesforce.object.as_str(), "SVMXC__Service_Order__c");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (from, to, field) in [
            ("poll = 60", "poll = 4", "poll"),
            ("settle = 600", "settle = 86401", "settle"),
            ("scope = \"maintenance\"", "scope = \"All of it\"", "scope"),
            ("https://login.salesforce.com", "http://login.salesforce.com", "login_url"),
            ("https://login.salesforce.com", "https://login.salesforce.com/login", "login_url"),
            ("object = \"SVMXC__Service_Order__c\"", "object = \"A WHERE 1=1\"", "object"),
            ("\"SVMXC__Order_Status__c\"", "\"Status FROM User\"", "fields.status"),
            ("api_version = \"62.0\"", "api_version = \"62/../\"", "api_version"),
            ("dispatched = [\"Dispatched\"", "dispatched = []\nold = [\"x\"", "syntax"),
            ("name = \"eva\"", "name = \"eva x\"", "technicians"),
            ("key = \"ssh-ed25519", "key = \"ssh-dss", "technicians"),
            ("in_orders = \"Eva Example\"", "in_orders = \"\"", "technicians"),
            ("report_field = ", "report_fields = ", "syntax"),
            ("https://authority.example.org:7443", "authority", "endpoint"),
        ] {
            assert!(EXAMPLE.contains(from), "{from}");
            let refused = Config::parse(&EXAMPLE.replacen(from, to, 1)).unwrap_err();
            assert!(refused.to_string().starts_with(&format!("{field}: ")), "{field}: {refused}");
        }
    }

    #[test]
    fn there_is_one_source() {
        let both = format!("{EXAMPLE}\n{WEBHOOK}");
        assert!(Config::parse(&both).unwrap_err().to_string().starts_with("salesforce: "));
        let (general, _) = EXAMPLE.split_once("[salesforce]").unwrap();
        assert!(Config::parse(general).unwrap_err().to_string().starts_with("salesforce: "));
        let config = Config::parse(&format!("{general}\n{WEBHOOK}")).unwrap();
        let Source::Webhook(webhook) = config.source else { panic!("{:?}", config.source) };
        assert_eq!(webhook.listen, "127.0.0.1:8470".parse().unwrap());
    }

    const WEBHOOK: &str = "[webhook]\nsecret_file = \"in\"\nurl = \"https://orders.example.org/visits\"\nurl_secret_file = \"out\"\n";
}
