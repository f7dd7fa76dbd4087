//! Credentials, and the order in which they are looked for: that of AWS's own libraries.

mod container;
mod instance;
mod profile;
mod web_identity;

use crate::error::said;
use crate::http::{Address, Answer};
use crate::{Environment, KeyArn, KmsError};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde::Deserialize;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use wardein_crypto::SecretBytes;

/// An access key, and the token of its session where it is for a while. There is no `Debug`.
pub(crate) struct Credentials {
    pub(crate) id: String,
    pub(crate) secret: SecretBytes,
    pub(crate) token: Option<SecretBytes>,
}

impl Credentials {
    /// These, if they can be what they say: the id and the token go into headers.
    pub(crate) fn of(id: &str, secret: &[u8], token: Option<&[u8]>) -> Option<Self> {
        let is_id = (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let is_printable = |bytes: &[u8], most: usize| {
            (1..=most).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
        };
        if !is_id || !is_printable(secret, 256) || token.is_some_and(|token| !is_printable(token, 16 * 1024))
        {
            return None;
        }
        let copied = |bytes: &[u8]| {
            let mut copy = SecretBytes::with_capacity(bytes.len());
            copy.extend(bytes);
            copy
        };
        Some(Self { id: id.to_owned(), secret: copied(secret), token: token.map(copied) })
    }

    /// The first that are found: in the variables, in a file, by a web identity, of a container, of an instance. A web
    /// identity is exchanged in the region of the key.
    pub(crate) async fn find(environment: &Environment, key: &KeyArn) -> Result<Self, KmsError> {
        if let Some(found) = of_variables(environment)? {
            return Ok(found);
        }
        if let Some(found) = profile::read(environment)? {
            return Ok(found);
        }
        if let Some(found) = web_identity::exchange(environment, key).await? {
            return Ok(found);
        }
        if let Some(found) = container::ask(environment).await? {
            return Ok(found);
        }
        instance::ask(environment).await
    }
}

fn of_variables(environment: &Environment) -> Result<Option<Credentials>, KmsError> {
    let Some(id) = environment.get("AWS_ACCESS_KEY_ID") else { return Ok(None) };
    let secret = environment.get("AWS_SECRET_ACCESS_KEY").unwrap_or_default();
    let token = environment.get("AWS_SESSION_TOKEN").map(str::as_bytes);
    let found = Credentials::of(id, secret.as_bytes(), token);
    let none = || {
        no_credentials(
            "AWS_ACCESS_KEY_ID is set, and it, AWS_SECRET_ACCESS_KEY or AWS_SESSION_TOKEN is not what AWS gives out",
        )
    };
    found.map(Some).ok_or_else(none)
}

/// What a container's or an instance's role is given as (JSON).
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Given {
    /// `Success`; instances alone say it.
    code: Option<String>,
    access_key_id: Option<String>,
    secret_access_key: Option<String>,
    token: Option<String>,
}

/// The credentials in an answer of `address`.
fn given(address: &Address, answer: &Answer) -> Result<Credentials, KmsError> {
    let body = answer.body.expose();
    if !answer.status.is_success() {
        let text = said(&String::from_utf8_lossy(body));
        return Err(address.failed(format!("gives no credentials: {}: {text}", answer.status)));
    }
    let read: Option<Given> = serde_json::from_slice(body).ok();
    let found = read.and_then(|given| {
        let is_success = given.code.as_deref().is_none_or(|code| code == "Success");
        let (id, secret, token) = (given.access_key_id?, given.secret_access_key?, given.token?);
        let found = Credentials::of(&id, secret.as_bytes(), Some(token.as_bytes()));
        found.filter(|_| is_success)
    });
    found.ok_or_else(|| address.failed("gives no credentials: its answer has none".to_owned()))
}

/// A request without a body.
fn request(
    method: &str,
    path: &str,
    header: Option<(&str, &[u8])>,
) -> Result<Request<Full<Bytes>>, KmsError> {
    let mut request = Request::builder().method(method).uri(path);
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    request.body(Full::default()).map_err(|_| no_credentials("a path or token for them is not one"))
}

/// A file that a variable names, whole, of at most `most` bytes.
fn read(path: &Path, most: usize) -> Result<SecretBytes, KmsError> {
    let failed = |reason: String| KmsError::File { path: path.to_owned(), reason };
    let mut file = File::open(path).map_err(|error| failed(error.to_string()))?;
    let content = SecretBytes::try_filled(most + 1, |room| {
        let mut filled = 0;
        while filled < room.len() {
            match file.read(&mut room[filled..])? {
                0 => break,
                count => filled += count,
            }
        }
        Ok::<_, io::Error>(filled)
    });
    let content = content.map_err(|error| failed(error.to_string()))?;
    if content.expose().len() > most {
        return Err(failed(format!("it has more than {most} bytes")));
    }
    Ok(content)
}

fn no_credentials(reason: impl Into<String>) -> KmsError {
    KmsError::NoCredentials { reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_credentials_is_refused_before_it_is_sent() {
        assert!(Credentials::of("AKID", b"secret", Some(b"token")).is_some());
        for (id, secret, token) in [
            ("", &b"secret"[..], None),
            ("AK ID", b"secret", None),
            ("AKID\r\nhost: evil", b"secret", None),
            ("AKID", b"", None),
            ("AKID", b"sec ret", None),
            ("AKID", b"secret", Some(&b""[..])),
            ("AKID", b"secret", Some(&b"a\r\nb"[..])),
            ("AKID", &[b's'; 257], None),
        ] {
            assert!(Credentials::of(id, secret, token).is_none(), "{id:?}");
        }
        let half = Environment::of([("AWS_ACCESS_KEY_ID", "AKID")]);
        assert!(matches!(of_variables(&half), Err(KmsError::NoCredentials { .. })));
        assert!(of_variables(&Environment::default()).unwrap().is_none());
    }

    #[test]
    fn an_error_shows_no_credentials() {
        let address = Address::parse("A", "http://127.0.0.1:1").unwrap();
        let answer = |status: u16, body: &str| Answer {
            status: http::StatusCode::from_u16(status).unwrap(),
            body: SecretBytes::from_vec(body.as_bytes().to_vec()),
        };
        let whole = r#"{"Code":"Success","AccessKeyId":"AKID","SecretAccessKey":"sesame","Token":"t"}"#;
        assert_eq!(given(&address, &answer(200, whole)).ok().unwrap().secret.expose(), b"sesame");
        for body in [
            r#"{"AccessKeyId":"AKID","SecretAccessKey":"sesame"}"#,
            r#"{"Code":"Failed","AccessKeyId":"AKID","SecretAccessKey":"sesame","Token":"t"}"#,
            r#"{"AccessKeyId":"AKID","SecretAccessKey":"sesame","Token":"t""#,
        ] {
            let error = given(&address, &answer(200, body)).err().unwrap();
            let shown = format!("{error} {error:?}");
            assert!(error.is_passing() && !shown.contains("sesame") && !shown.contains("AKID"), "{shown}");
        }
    }
}
