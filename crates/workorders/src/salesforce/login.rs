//! Logging in by the OAuth 2.0 JWT bearer flow (RFC 7523 §2.1, §3; Salesforce, "OAuth 2.0 JWT Bearer Flow for Server-to-Server
//! Integration"): an assertion that is good for three minutes, signed by a key whose certificate the app has.

use super::printable;
use crate::config::SalesforceConfig;
use crate::error::Error;
use crate::https::Https;
use crate::signature::read_private;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, StatusCode};
use http_body_util::Full;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::json;
use wardein_crypto::{SecretBytes, SignatureAlgorithm, Signer, SigningKey};
use wardein_domain::WebhookUrl;
use wardein_pki::jose::base64url;
use wardein_pki::pem;

/// What a login takes.
pub(super) struct Login {
    url: WebhookUrl,
    audience: String,
    client_id: String,
    username: String,
    key: SigningKey,
}

/// A session: where the API is, and the token for it.
pub(super) struct Session {
    pub(super) instance: WebhookUrl,
    token: SecretBytes,
}

impl Login {
    pub(super) fn new(config: &SalesforceConfig) -> Result<Self, Error> {
        let path = &config.key_file;
        let text = read_private(path, MAX_KEY)?;
        let wrong = |why: &str| {
            let how = "openssl pkcs8 -topk8 -nocrypt -in OLD -out NEW makes PKCS#8 of another form";
            Error::config("key_file", format_args!("{}: {why}; {how}", path.display()))
        };
        let document = pem::decode_private_key(text.expose()).map_err(|error| wrong(&error.to_string()))?;
        let key = SigningKey::from_pkcs8(SignatureAlgorithm::RsaPkcs1Sha256, &document)
            .map_err(|_| wrong("it is not an RSA key of 2048, 3072 or 4096 bits"))?;
        let SalesforceConfig { login_url, audience, client_id, username, .. } = config.clone();
        Ok(Self { url: login_url, audience, client_id, username, key })
    }

    /// Logs in at Unix second `now`.
    pub(super) async fn go(&self, https: &Https, now: u64) -> Result<Session, Error> {
        let host = || self.url.authority().to_owned();
        let assertion = self.assertion(now)?;
        let grant = utf8_percent_encode(GRANT, NON_ALPHANUMERIC);
        // An assertion is of characters that a form has as they are (RFC 7515 §3).
        let form = format!("grant_type={grant}&assertion={assertion}");
        let request = Request::post(TOKEN)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))
            .body(Full::new(Bytes::from(form)))
            .map_err(|error| Error::Unreached { host: host(), why: error.to_string() })?;
        let answer = https.send(&self.url, request).await?;
        let answered = |why: String| Error::Login { host: host(), status: answer.status.as_u16(), why };
        if answer.status != StatusCode::OK {
            let said: Refused = serde_json::from_slice(&answer.body).unwrap_or_default();
            let (error, why) = (printable(&said.error), printable(&said.error_description));
            return Err(answered(format!("{error}: {why}")));
        }
        // Its words are not repeated: they have the token.
        let granted: Granted = serde_json::from_slice(&answer.body)
            .map_err(|_| answered("no session of the JWT bearer flow".to_owned()))?;
        let token = SecretBytes::from_vec(granted.access_token.into_bytes());
        if token.expose().is_empty() || !token.expose().iter().all(u8::is_ascii_graphic) {
            return Err(answered("a token that no header can have".to_owned()));
        }
        let instance = granted.instance_url.trim_end_matches('/').parse::<WebhookUrl>();
        let instance = instance.ok().filter(|instance| instance.path() == "/");
        let instance =
            instance.ok_or_else(|| answered("an instance_url that is not https://HOST".to_owned()))?;
        Ok(Session { instance, token })
    }

    fn assertion(&self, now: u64) -> Result<String, Error> {
        let claims = json!({
            "iss": self.client_id,
            "sub": self.username,
            "aud": self.audience,
            "exp": now.saturating_add(LIFETIME),
        });
        let message =
            format!("{}.{}", base64url(br#"{"alg":"RS256"}"#), base64url(claims.to_string().as_bytes()));
        let signature = self.key.sign(message.as_bytes());
        let signature = signature.map_err(|_| Error::config("key_file", "the key does not sign"))?;
        Ok(format!("{message}.{}", base64url(&signature)))
    }
}

impl Session {
    /// The header, which nothing prints.
    pub(super) fn authorization(&self) -> HeaderValue {
        let bearer = SecretBytes::from_vec([&b"Bearer "[..], self.token.expose()].concat());
        let mut value =
            HeaderValue::from_bytes(bearer.expose()).expect("the token is of printable characters");
        value.set_sensitive(true);
        value
    }
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    instance_url: String,
}

#[derive(Default, Deserialize)]
struct Refused {
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_description: String,
}

const TOKEN: &str = "/services/oauth2/token";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Seconds for which an assertion is good: Salesforce takes no more than a few minutes.
const LIFETIME: u64 = 180;

const MAX_KEY: usize = 16 * 1024;
