//! Events to another system than Salesforce, signed as Standard Webhooks has it.

use crate::config::WebhookConfig;
use crate::error::Error;
use crate::https::Https;
use crate::moment::of_second;
use crate::report::{Report, What};
use crate::signature::WebhookKey;
use bytes::Bytes;
use http::Request;
use http::header::CONTENT_TYPE;
use http_body_util::Full;
use serde_json::{Value, json};
use wardein_client::unix_now;
use wardein_domain::WebhookUrl;

/// Where events go to.
pub(crate) struct Outgoing {
    url: WebhookUrl,
    key: WebhookKey,
    https: Https,
}

impl Outgoing {
    pub(crate) fn new(config: &WebhookConfig) -> Result<Self, Error> {
        let key = WebhookKey::read("url_secret_file", &config.url_secret_file)?;
        Ok(Self { url: config.url.clone(), key, https: Https::new(&config.roots)? })
    }

    /// Sends what came of an order. It is taken if the answer is 2xx. Sent again, as after a crash, it has the same id, by which
    /// the receiver sees that it has it.
    pub(crate) async fn send(&self, order: &str, report: &Report) -> Result<(), Error> {
        let (id, now) = (format!("wo_{}", report.key), unix_now());
        let body = event(order, report, now).to_string();
        let request = Request::post(self.url.path())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", now)
            .header("webhook-signature", self.key.sign(&id, now, body.as_bytes()))
            .body(Full::new(Bytes::from(body)));
        let host = || self.url.authority().to_owned();
        let request = request.map_err(|error| Error::Unreached { host: host(), why: error.to_string() })?;
        let answer = self.https.send(&self.url, request).await?;
        if answer.status.is_success() {
            return Ok(());
        }
        let why = "the event was not taken".to_owned();
        Err(Error::Answered { host: host(), status: answer.status.as_u16(), why })
    }
}

fn event(order: &str, report: &Report, now: u64) -> Value {
    let (kind, mut data) = match &report.what {
        What::Refused { code, message } => {
            ("work-order.refused", json!({ "code": code, "message": message }))
        }
        What::Visit(visit) => ("work-order.visited", json!({ "visit": visit })),
    };
    data["order"] = order.into();
    json!({ "type": kind, "timestamp": of_second(now), "data": data })
}
