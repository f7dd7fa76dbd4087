//! Salesforce's REST API: logging in, reading orders by SOQL, and writing to them.

mod login;
pub(crate) mod names;
mod orders;
mod page;

pub(crate) use orders::Written;

use crate::config::SalesforceConfig;
use crate::error::Error;
use crate::https::{Answer, Https};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use login::{Login, Session};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;
use std::sync::{Mutex, PoisonError};

/// Salesforce as one user of it.
pub(crate) struct Salesforce {
    config: SalesforceConfig,
    https: Https,
    login: Login,
    /// The session of the last login; it ends when Salesforce says so.
    session: Mutex<Option<Arc<Session>>>,
}

impl Salesforce {
    pub(crate) fn new(config: SalesforceConfig) -> Result<Self, Error> {
        let https = Https::new(&config.roots)?;
        let login = Login::new(&config)?;
        Ok(Self { config, https, login, session: Mutex::default() })
    }

    /// A request within the REST API, as the user. A session that has ended is replaced once.
    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, Error> {
        let session = match self.kept() {
            Some(session) => session,
            None => self.log_in().await?,
        };
        let answer = self.ask(&session, method.clone(), path, body).await?;
        // A session that has ended, or was revoked: 401 with INVALID_SESSION_ID. The account alone decides whether there is
        // another.
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let session = self.log_in().await?;
        self.ask(&session, method, path, body).await
    }

    async fn ask(
        &self,
        session: &Session,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, Error> {
        let unfit = |_| Error::Unreached {
            host: session.instance.authority().to_owned(),
            why: "it named a path that is none".to_owned(),
        };
        let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(AUTHORIZATION, session.authorization())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(Full::new(bytes))
            .map_err(unfit)?;
        self.https.send(&session.instance, request).await
    }

    fn kept(&self) -> Option<Arc<Session>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn log_in(&self) -> Result<Arc<Session>, Error> {
        let session = Arc::new(self.login.go(&self.https, wardein_client::unix_now()).await?);
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = Some(session.clone());
        tracing::info!(instance = session.instance.authority(), "logged in at Salesforce");
        Ok(session)
    }

    fn host(&self) -> String {
        self.kept().map_or_else(
            || self.config.login_url.authority().to_owned(),
            |session| session.instance.authority().to_owned(),
        )
    }

    /// The error of an answer that is not what was asked for.
    fn answered(&self, answer: &Answer) -> Error {
        let said: Vec<Fault> = serde_json::from_slice(&answer.body).unwrap_or_default();
        let why = said.first().map_or_else(
            || "and nothing that is known".to_owned(),
            |fault| format!("{}: {}", printable(&fault.error_code), printable(&fault.message)),
        );
        Error::Answered { host: self.host(), status: answer.status.as_u16(), why }
    }
}

/// An error as Salesforce has it: a list of these.
#[derive(Deserialize)]
struct Fault {
    #[serde(rename = "errorCode", default)]
    error_code: String,
    #[serde(default)]
    message: String,
}

/// A short part of what a peer said, for a log.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_SAID).collect()
}

const MAX_SAID: usize = 256;
