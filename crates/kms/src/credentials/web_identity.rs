//! A web identity, such as the one that EKS gives to a pod, exchanged for credentials by STS
//! (docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html).

use super::{Credentials, no_credentials, read};
use crate::error::said;
use crate::http::Address;
use crate::{Environment, KeyArn, KmsError};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::path::Path;

/// The credentials of the role; none where no variable names a token.
pub(super) async fn exchange(
    environment: &Environment,
    key: &KeyArn,
) -> Result<Option<Credentials>, KmsError> {
    let Some(path) = environment.get("AWS_WEB_IDENTITY_TOKEN_FILE") else { return Ok(None) };
    let Some(role) = environment.get("AWS_ROLE_ARN") else {
        return Err(no_credentials("AWS_WEB_IDENTITY_TOKEN_FILE is set, and AWS_ROLE_ARN is not"));
    };
    let token = read(Path::new(path), MOST_OF_TOKEN)?;
    let token = std::str::from_utf8(token.expose().trim_ascii())
        .map_err(|_| no_credentials(format!("{path} has no token")))?;
    let session = environment.get("AWS_ROLE_SESSION_NAME").unwrap_or("wardein");
    let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
    let form = format!(
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn={}&RoleSessionName={}&WebIdentityToken={}",
        encoded(role),
        encoded(session),
        encoded(token)
    );
    let address = match environment.get("AWS_ENDPOINT_URL_STS").or(environment.get("AWS_ENDPOINT_URL")) {
        Some(url) => Address::parse("AWS_ENDPOINT_URL_STS", url)?,
        None => Address::of_service("sts", key),
    };
    let request = Request::post("/")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::new(Bytes::from(form)))
        .map_err(|_| no_credentials("a form for STS cannot be made"))?;
    let answer = address.send(environment, request).await?;
    let body = answer.body.expose();
    let text = std::str::from_utf8(body).unwrap_or_default();
    if answer.status.is_server_error() {
        return Err(address.failed(format!("gives no credentials: {}", answer.status)));
    }
    if !answer.status.is_success() {
        let words = element(text, "Message").unwrap_or("its answer says no more");
        return Err(KmsError::Credentials { said: said(&format!("STS: {}: {words}", answer.status)) });
    }
    let found = element(text, "AccessKeyId").zip(element(text, "SecretAccessKey"));
    let found = found.and_then(|(id, secret)| {
        Credentials::of(id, secret.as_bytes(), Some(element(text, "SessionToken")?.as_bytes()))
    });
    found.map(Some).ok_or_else(|| address.failed("gives no credentials: its answer has none".to_owned()))
}

/// The text of the first element of that name. The elements that are read hold no others, and values of base64 alone, which XML
/// does not escape; what does not look so is refused as credentials.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text.trim())
}

/// Bytes of a token.
const MOST_OF_TOKEN: usize = 20_000;
