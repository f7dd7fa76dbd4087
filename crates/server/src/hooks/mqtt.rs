//! What MQTT brokers ask: whether a client may log in, and whether it may publish or subscribe.

use super::{Decision, allowed, judged};
use crate::edge::Shared;
use crate::edge::context::Context;
use crate::grpc::wrong;
use serde::Deserialize;
use wardein_crypto::{Digest, Entropy, SystemEntropy};
use wardein_ddkg::message::{Token, from_text};
use wardein_domain::{DeviceId, Verdict};
use wardein_engine::{Answer, Error, Subject, TokenAsk};

/// A client that logs in.
pub(super) struct Login {
    /// The common name in its certificate, which the broker has verified.
    certified: Option<DeviceId>,
    username: Option<DeviceId>,
    /// A token of the device, in base64.
    password: Option<String>,
    /// The MQTT client id; none where the broker does not say it.
    client: Option<DeviceId>,
}

/// What a client that is logged in wants.
pub(super) struct Act {
    /// By what the broker knows it.
    name: DeviceId,
    topic: String,
    /// Whether others judge what this does not allow.
    has_others: bool,
}

/// The body that EMQX is configured to send (see deploy/integrations). What it has no value for is empty or `undefined`.
#[derive(Deserialize)]
struct EmqxBody {
    clientid: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    cert_common_name: String,
    #[serde(default)]
    topic: String,
    #[serde(default)]
    action: String,
}

/// The bodies of mosquitto-go-auth.
#[derive(Deserialize)]
struct MosquittoBody {
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    clientid: String,
    #[serde(default)]
    topic: String,
    #[serde(default)]
    acc: u8,
}

pub(super) fn emqx_login(body: &[u8]) -> Result<Login, Error> {
    let body: EmqxBody = read(body)?;
    Ok(Login {
        certified: device("cert_common_name", &body.cert_common_name)?,
        username: device("username", &body.username)?,
        password: given(&body.password).map(str::to_owned),
        client: Some(device("clientid", &body.clientid)?.ok_or_else(|| wrong("clientid", "is missing"))?),
    })
}

pub(super) fn emqx_act(body: &[u8]) -> Result<Act, Error> {
    let body: EmqxBody = read(body)?;
    if !matches!(body.action.as_str(), "publish" | "subscribe") {
        return Err(wrong("action", "is neither publish nor subscribe"));
    }
    // At the login the client's id was that of the device.
    let certified = device("cert_common_name", &body.cert_common_name)?;
    let client = device("clientid", &body.clientid)?;
    if certified.is_some() && certified != client {
        return Err(wrong("clientid", "is not the name in the certificate"));
    }
    let name = client.ok_or_else(|| wrong("clientid", "is missing"))?;
    Ok(Act { name, topic: topic(body.topic)?, has_others: true })
}

pub(super) fn mosquitto_login(body: &[u8]) -> Result<Login, Error> {
    let body: MosquittoBody = read(body)?;
    let client = device("clientid", &body.clientid)?;
    let password = given(&body.password).map(str::to_owned);
    Ok(Login { certified: None, username: device("username", &body.username)?, password, client })
}

pub(super) fn mosquitto_act(body: &[u8]) -> Result<Act, Error> {
    let body: MosquittoBody = read(body)?;
    // Read, write, both, subscribe.
    if !(1..=4).contains(&body.acc) {
        return Err(wrong("acc", "is none of 1 to 4"));
    }
    let name = device("username", &body.username)?.ok_or_else(|| wrong("username", "is missing"))?;
    Ok(Act { name, topic: topic(body.topic)?, has_others: false })
}

/// A login is by a certificate that the broker verified, or by a token, which it uses up. The user and the client are named as the device
/// is, so that no device takes over another's session.
pub(super) async fn login(shared: &Shared, context: &Context, login: Login) -> Result<Decision, Error> {
    let Login { certified, username, password, client } = login;
    match (certified, password) {
        (Some(name), _) => {
            let is_its_own = [&username, &client].into_iter().flatten().all(|other| *other == name);
            match named(shared, context, &name).await? {
                Some((_, answer)) if is_its_own => Ok(allowed(answer)),
                _ => Ok(Decision::Deny),
            }
        }
        (None, Some(password)) => {
            let token = from_text(&password, MAX_TOKEN).map_err(|error| wrong("password", error))?;
            let token = Token::decode(&token).map_err(|error| wrong("password", error))?;
            let device = token.device.device.clone();
            let is_own = |name: &DeviceId| *name == device;
            // Judged before the token is used up.
            if !username.as_ref().is_some_and(is_own) || !client.as_ref().is_none_or(is_own) {
                return Ok(Decision::Deny);
            }
            let drawn: [u8; 16] =
                SystemEntropy::default().array().map_err(|_| Error::internal("no random bytes"))?;
            let ask = TokenAsk { token, platform_nonce: Vec::new(), idempotency: Digest::of(&drawn) };
            context.is_about(&ask.token.device);
            Ok(allowed(shared.engine.verify_token(context.caller()?, ask).await?.answer))
        }
        // A name alone proves nothing.
        (None, None) => Ok(Decision::Deny),
    }
}

/// A trusted device may use the topics of which one level is its name.
pub(super) async fn act(shared: &Shared, context: &Context, act: Act) -> Result<Decision, Error> {
    let Act { name, topic, has_others } = act;
    let Some((device, answer)) = named(shared, context, &name).await? else { return Ok(Decision::Deny) };
    let is_own = topic.split('/').any(|level| level == device.as_str() || level == name.as_str());
    Ok(match (answer.verdict, is_own) {
        (Verdict::Trusted, false) if has_others => Decision::Ignore,
        (Verdict::Trusted, false) => Decision::Deny,
        (_, _) => allowed(answer),
    })
}

/// The device of that name, and the verdict on it. A name is a device's id, or as certificates may have it `DEVICE.TENANT`; one that could
/// be of two devices is of none.
async fn named(
    shared: &Shared,
    context: &Context,
    name: &DeviceId,
) -> Result<Option<(DeviceId, Answer)>, Error> {
    let tenant = context.caller()?.principal.tenant.as_ref().map_or("", |tenant| tenant.as_str());
    let short = name.as_str().strip_suffix(tenant).and_then(|rest| rest.strip_suffix('.'));
    let mut found = None;
    for device in [Some(name.clone()), short.and_then(|short| short.parse().ok())].into_iter().flatten() {
        let answer = judged(shared, context, Subject::Device(device.clone())).await?;
        if answer.verdict != Verdict::Unknown && found.replace((device, answer)).is_some() {
            return Ok(None);
        }
    }
    Ok(found)
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|error| {
        // Where, and not what: a password may be in it.
        let (line, column) = (error.line(), error.column());
        wrong("body", format_args!("is not the JSON of this hook, at line {line}, column {column}"))
    })
}

fn given(text: &str) -> Option<&str> {
    (!matches!(text, "" | "undefined")).then_some(text)
}

fn device(field: &str, text: &str) -> Result<Option<DeviceId>, Error> {
    given(text).map(|text| text.parse().map_err(|error| wrong(field, error))).transpose()
}

fn topic(text: String) -> Result<String, Error> {
    // MQTT 5 §1.5.4.
    match text.len() {
        1..=65_535 => Ok(text),
        length => Err(wrong("topic", format_args!("has {length} bytes; it takes 1 to 65535"))),
    }
}

/// More than the longest token has.
const MAX_TOKEN: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_broker_has_no_value_for_is_not_there() {
        let login = |text: &str| emqx_login(text.as_bytes());
        let of =
            login(r#"{"clientid":"pump-1","username":"undefined","cert_common_name":"pump-1","more":7}"#);
        let of = of.unwrap();
        assert_eq!((of.username, of.password), (None, None));
        assert_eq!(of.certified.unwrap().as_str(), "pump-1");
        for bad in ["", "{}", "[]", r#"{"clientid":7}"#, r#"{"clientid":"a","username":"../a"}"#] {
            assert!(login(bad).is_err(), "{bad}");
        }
        let act = |topic: &str, action: &str| {
            emqx_act(format!(r#"{{"clientid":"a","topic":"{topic}","action":"{action}"}}"#).as_bytes())
        };
        assert!(act("t", "publish").is_ok() && act("t", "subscribe").is_ok());
        assert!(act("", "publish").is_err() && act("t", "all").is_err() && act("t", "").is_err());
        for acc in [0, 5, 255] {
            let body = format!(r#"{{"username":"a","topic":"t","acc":{acc}}}"#);
            assert!(mosquitto_act(body.as_bytes()).is_err());
        }
    }

    #[test]
    fn an_error_shows_nothing_of_a_password() {
        let error = mosquitto_login(br#"{"username":"a","password":"secret""#).err().unwrap();
        assert!(!error.message.contains("secret"), "{}", error.message);
        let of = r#"{"username":"a","password":{"secret":1}}"#;
        assert!(!mosquitto_login(of.as_bytes()).err().unwrap().message.contains("secret"));
    }
}
