//! One receiver: HTTPS to the address that an administrator gave, believing the CAs that it gave, and signed as Standard Webhooks has it.
//!
//! What is on its way is bounded in time and size, no redirection is followed, and no proxy is asked.

use crate::run::receiver_configuration;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use wardein_crypto::{Ed25519SigningKey, MacKey};
use wardein_ddkg::message::to_text;
use wardein_domain::WebhookUrl;
use wardein_engine::{Engine, Receiver, Webhook};

/// The way to a receiver. It is connected to when there is something to post.
pub(crate) struct Post {
    url: WebhookUrl,
    name: ServerName<'static>,
    tls: TlsConnector,
    key: MacKey,
    signing: Ed25519SigningKey,
    connection: Option<SendRequest<Full<Bytes>>>,
}

/// Why something was not taken.
#[derive(Debug)]
pub(crate) enum Failure {
    /// No connection could be set up to it.
    Url(&'static str),
    /// Its name has no address.
    Name(std::io::Error),
    /// It has none that is called.
    Address(IpAddr),
    /// It cannot be reached, or showed no certificate that is believed.
    Reach(std::io::Error),
    /// The connection broke.
    Broken(hyper::Error),
    /// It answered otherwise than with 2xx.
    Answered(StatusCode),
    /// It did not answer in time.
    Late,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(why) => f.write_str(why),
            Self::Name(error) => write!(f, "its name has no address: {error}"),
            Self::Address(address) => write!(f, "{address} is not an address of a receiver"),
            Self::Reach(error) => write!(f, "not reached: {error}"),
            Self::Broken(error) => write!(f, "the connection broke: {error}"),
            Self::Answered(status) => write!(f, "it answered {}", status.as_u16()),
            Self::Late => write!(f, "it did not answer within {} s", TIME.as_secs()),
        }
    }
}

/// Whether these certificates can be believed: each is one of a CA.
pub(crate) fn trusts(cas: &[Vec<u8>], engine: &Arc<Engine>) -> bool {
    receiver_configuration(cas, engine).is_ok()
}

impl Post {
    pub(crate) fn new(receiver: Receiver, engine: &Arc<Engine>) -> Result<Self, Failure> {
        let Receiver { webhook: Webhook { url, .. }, cas, key, signing, .. } = receiver;
        let tls =
            receiver_configuration(&cas, engine).map_err(|_| Failure::Url("its CAs cannot be believed"))?;
        let name =
            ServerName::try_from(url.host().to_owned()).map_err(|_| Failure::Url("its host has no name"))?;
        Ok(Self { url, name, tls: TlsConnector::from(Arc::new(tls)), key, signing, connection: None })
    }

    /// Posts once. It is taken if the answer is 2xx.
    pub(crate) async fn send(&mut self, id: &str, now: u64, body: Bytes) -> Result<(), Failure> {
        match timeout(TIME, self.post(id, now, body)).await {
            Ok(sent) => sent,
            Err(_) => Err(Failure::Late),
        }
    }

    async fn post(&mut self, id: &str, now: u64, body: Bytes) -> Result<(), Failure> {
        if let Some(kept) = self.connection.take().filter(|kept| !kept.is_closed()) {
            // A server may close a kept connection at any time (RFC 9112 §9.3.1), and a message may come twice.
            match self.over(kept, id, now, body.clone()).await {
                Err(Failure::Broken(_)) => {}
                answered => return answered,
            }
        }
        let fresh = self.connect().await?;
        self.over(fresh, id, now, body).await
    }

    async fn over(
        &mut self,
        mut connection: SendRequest<Full<Bytes>>,
        id: &str,
        now: u64,
        body: Bytes,
    ) -> Result<(), Failure> {
        let request = Request::post(self.url.path())
            .header(HOST, self.url.authority())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", now)
            .header("webhook-signature", signatures((&self.key, &self.signing), id, now, &body))
            .body(Full::new(body))
            .map_err(|_| Failure::Url("it cannot be posted to"))?;
        let answer = connection.send_request(request).await.map_err(Failure::Broken)?;
        let status = answer.status();
        // What it says is of no account, and not waited for; a connection with the rest of it is not used again.
        let rest = Limited::new(answer.into_body(), MOST_OF_ANSWER).collect();
        if let Ok(Ok(_)) = timeout(TIME_OF_REST, rest).await {
            self.connection = Some(connection);
        }
        if status.is_success() { Ok(()) } else { Err(Failure::Answered(status)) }
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Failure> {
        let found = lookup_host((self.url.host(), self.url.port())).await.map_err(Failure::Name)?;
        let found: Vec<SocketAddr> = found.take(ADDRESSES).collect();
        let mut failure = Failure::Name(std::io::ErrorKind::NotFound.into());
        for address in found {
            if !is_called(address.ip()) {
                failure = Failure::Address(address.ip());
                continue;
            }
            let reached = async {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                self.tls.connect(self.name.clone(), stream).await
            };
            match reached.await {
                Ok(stream) => {
                    let mut http = Builder::new();
                    http.max_buf_size(MOST_OF_HEAD);
                    let (sender, connection) =
                        http.handshake(TokioIo::new(stream)).await.map_err(Failure::Broken)?;
                    drop(tokio::spawn(connection));
                    return Ok(sender);
                }
                Err(error) => failure = Failure::Reach(error),
            }
        }
        Err(failure)
    }
}

/// Whether there may be a receiver: not what is everybody's or nobody's, and not the services that clouds have for their machines alone
/// (RFC 3927, RFC 4291 §2.5.6).
fn is_called(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            !(v4.is_unspecified() || v4.is_broadcast() || v4.is_multicast() || v4.is_link_local())
        }
        IpAddr::V6(v6) => {
            let is_link_local = v6.segments()[0] & 0xffc0 == 0xfe80;
            // Amazon's, by IPv6.
            let is_of_cloud = v6.segments()[..2] == [0xfd00, 0x0ec2];
            !(v6.is_unspecified() || v6.is_multicast() || is_link_local || is_of_cloud)
        }
    }
}

/// Standard Webhooks: a symmetric signature, and an asymmetric one, for receivers on whose disks there is to be nothing that signs.
fn signatures((key, signing): (&MacKey, &Ed25519SigningKey), id: &str, now: u64, body: &[u8]) -> String {
    let signed = [id.as_bytes(), b".", now.to_string().as_bytes(), b".", body].concat();
    format!("v1,{} v1a,{}", to_text(&key.tag(&signed).0), to_text(&signing.sign(&signed)))
}

/// For a whole attempt.
const TIME: Duration = Duration::from_secs(10);

/// For the rest of an answer behind its head.
const TIME_OF_REST: Duration = Duration::from_secs(1);

/// Addresses of a name that are tried.
const ADDRESSES: usize = 4;

/// Bytes of an answer that are read.
const MOST_OF_ANSWER: usize = 4 * 1024;

const MOST_OF_HEAD: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use wardein_crypto::Secret;

    #[test]
    fn the_signatures_are_those_of_standard_webhooks() {
        let (key, seed) = (MacKey::new(Secret::copied_from(&[7; 32])), Secret::copied_from(&[9; 32]));
        let keys = (&key, &Ed25519SigningKey::from_seed(&seed));
        let both = signatures(keys, "msg_1", 1_614_265_330, b"{\"test\": 2432232314}");
        assert_eq!(both, format!("{MAC} {SIGNED}"));
    }

    #[test]
    fn addresses_that_are_not_called() {
        for refused in [
            "0.0.0.0",
            "169.254.169.254",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::ffff:169.254.169.254",
            "fe80::1",
            "ff02::1",
            "fd00:ec2::254",
        ] {
            assert!(!is_called(refused.parse().unwrap()), "{refused}");
        }
        for called in ["192.0.2.7", "10.0.0.7", "127.0.0.1", "2001:db8::7", "fd12::7", "::1"] {
            assert!(is_called(called.parse().unwrap()), "{called}");
        }
    }

    // As standardwebhooks 1.1.0 of PyPI signs it, and:
    // printf 'msg_1.1614265330.{"test": 2432232314}' | openssl dgst -sha256 -mac HMAC -macopt hexkey:(32 times 07) -binary | base64
    const MAC: &str = "v1,4tb+MnkCTqymlrGQQ6f66PPeMjMas7AHx6XI40qL5MA=";

    // By `openssl pkeyutl -sign -rawin` of the same text, with a key whose seed is 32 times 09.
    const SIGNED: &str =
        "v1a,dO6S07nfHnOKTMgf2pOpdev3hd3O6zFFKJO+28srIRNuEd4MIT6NmF8TMeKRH1pNbvK7PfgM+RNCE7+rC5lTCw==";
}
