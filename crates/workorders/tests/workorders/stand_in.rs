//! A stand-in of Salesforce's REST API: what the adapter calls, in the form that Salesforce documents. It keeps records of one
//! object, reads as much of SOQL as the adapter writes, and refuses what Salesforce would.

use crate::authority::{now, write_private};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use wardein_crypto::{SecretBytes, SignatureAlgorithm, Signer, SigningKey};
use wardein_pki::pem;

/// A server, and what it knows.
pub(crate) struct StandIn {
    pub(crate) address: SocketAddr,
    pub(crate) ca_pem: String,
    pub(crate) known: Arc<Mutex<Known>>,
}

/// What it knows.
pub(crate) struct Known {
    /// Records of `Work__c`, by id.
    pub(crate) records: BTreeMap<String, Map<String, Value>>,
    /// Records of `Note__c`, by external id.
    pub(crate) notes: BTreeMap<String, Map<String, Value>>,
    key: SigningKey,
    sessions: Vec<String>,
    pub(crate) logins: usize,
    /// What was asked for: method and path without its query.
    pub(crate) calls: Vec<String>,
    /// To the next call that begins so: a status and a body instead of the answer; or, for 0, no answer to what was done.
    instead: VecDeque<(&'static str, u16, String)>,
    pub(crate) page: usize,
    /// Results of queries that were not fetched yet.
    waiting: BTreeMap<String, Vec<Value>>,
}

impl StandIn {
    /// Its CA, and the key of an app that it knows, are written to `directory`.
    pub(crate) async fn start(directory: &Path) -> Self {
        let document = SigningKey::generate_rsa_2048_pkcs8().unwrap();
        let app = pem::encode_private_key(document.expose()).unwrap();
        write_private(&directory.join("salesforce.key"), app.expose());
        let key = SigningKey::from_pkcs8(SignatureAlgorithm::RsaPkcs1Sha256, &document).unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let chain = vec![CertificateDer::from(made.cert.der().to_vec())];
        let secret = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
        let tls =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let tls = tls.with_no_client_auth().with_single_cert(chain, secret).unwrap();
        let tls = TlsAcceptor::from(Arc::new(tls));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let known = Arc::new(Mutex::new(Known {
            records: BTreeMap::new(),
            notes: BTreeMap::new(),
            key,
            sessions: Vec::new(),
            logins: 0,
            calls: Vec::new(),
            instead: VecDeque::new(),
            page: 2,
            waiting: BTreeMap::new(),
        }));
        let shared = known.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, known) = (tls.clone(), shared.clone());
                tokio::spawn(async move {
                    let Ok(mut stream) = tls.accept(stream).await else { return };
                    while let Some(request) = Request::read(&mut stream).await {
                        let (status, body) = known.lock().unwrap().answer(&request, address);
                        if status == 0 {
                            return;
                        }
                        let text = if body.is_null() { String::new() } else { body.to_string() };
                        let head = format!(
                            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                            text.len()
                        );
                        if stream.write_all((head + &text).as_bytes()).await.is_err() {
                            return;
                        }
                        stream.flush().await.ok();
                    }
                });
            }
        });
        let stand_in = Self { address, ca_pem: made.cert.pem(), known };
        write_private(&directory.join("ca.pem"), stand_in.ca_pem.as_bytes());
        stand_in
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap()
    }

    /// Puts an order there, or changes it, as somebody who works with it does.
    pub(crate) fn put(&self, id: &str, fields: Value) {
        let mut known = self.lock();
        let record = known.records.entry(id.to_owned()).or_default();
        record.insert("Id".into(), id.into());
        record.entry("IsDeleted").or_insert(json!(false));
        for (name, value) in fields.as_object().unwrap() {
            record.insert(name.clone(), value.clone());
        }
        known.touch(id);
    }

    /// An order that is dispatched to Eva for `pump-1`, from now for an hour.
    pub(crate) fn dispatch(&self, id: &str, number: &str) {
        self.put(
            id,
            json!({
                "Name": number,
                "Status__c": "Dispatched",
                "Device__r": { "Serial__c": "pump-1" },
                "Technician__r": { "Name": "Eva Example" },
                "Starts__c": salesforce_time(now()),
                "Ends__c": salesforce_time(now() + 3_600),
            }),
        );
    }

    pub(crate) fn report(&self, id: &str) -> String {
        let known = self.lock();
        known.records[id].get("Report__c").and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// How often something was written to an order.
    pub(crate) fn written(&self, id: &str) -> usize {
        let ending = format!("/{id}");
        self.lock().calls.iter().filter(|call| call.starts_with("PATCH") && call.ends_with(&ending)).count()
    }

    pub(crate) fn instead(&self, begin: &'static str, status: u16, body: impl Into<String>) {
        self.lock().instead.push_back((begin, status, body.into()));
    }

    pub(crate) fn end_sessions(&self) {
        self.lock().sessions.clear();
    }
}

pub(crate) fn salesforce_time(second: u64) -> String {
    let days = second / 86_400;
    let (year, month, day) = civil(days);
    let rest = second % 86_400;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.000+0000",
        rest / 3_600,
        rest / 60 % 60,
        rest % 60
    )
}

/// The date of a day since 1970, by counting.
fn civil(mut days: u64) -> (u64, u64, u64) {
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let months = [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while days >= months[month] {
        days -= months[month];
        month += 1;
    }
    (year, month as u64 + 1, days + 1)
}

pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Self> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.ok()?);
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.lines();
        let mut words = lines.next()?.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let fields = lines.filter_map(|line| line.split_once(": "));
        let headers: BTreeMap<_, _> =
            fields.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.ok()?;
        Some(Self { method, target, headers, body })
    }
}

impl Known {
    fn touch(&mut self, id: &str) {
        let changed = salesforce_time(now());
        let record = self.records.get_mut(id).unwrap();
        record.insert("SystemModstamp".into(), changed.into());
    }

    fn answer(&mut self, request: &Request, address: SocketAddr) -> (u16, Value) {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        self.calls.push(format!("{} {path}", request.method));
        let call = format!("{} {path}", request.method);
        let is_next = self.instead.front().is_some_and(|(begin, ..)| call.starts_with(begin));
        let instead = if is_next { self.instead.pop_front() } else { None };
        if let Some((_, status @ 1.., body)) = &instead {
            return (*status, serde_json::from_str(body).unwrap_or(Value::Null));
        }
        let answer = match path {
            "/services/oauth2/token" => self.log_in(&request.body, address),
            _ if !self.is_session(request) => fault(401, "INVALID_SESSION_ID", "Session expired or invalid"),
            _ => self.api(request, path, query),
        };
        // What was asked for is done, and its answer lost.
        if instead.is_some() { (0, Value::Null) } else { answer }
    }

    fn is_session(&self, request: &Request) -> bool {
        let token = request.headers.get("authorization").and_then(|value| value.strip_prefix("Bearer "));
        token.is_some_and(|token| self.sessions.iter().any(|session| session == token))
    }

    /// The JWT bearer flow: signature, issuer, subject, audience and expiry are looked at.
    fn log_in(&mut self, body: &[u8], address: SocketAddr) -> (u16, Value) {
        let refused = |why: &str| (400, json!({ "error": "invalid_grant", "error_description": why }));
        let body = String::from_utf8(body.to_vec()).unwrap();
        let fields: BTreeMap<_, _> =
            body.split('&').filter_map(|field| field.split_once('=')).map(|(n, v)| (n, decoded(v))).collect();
        if fields.get("grant_type").map(String::as_str) != Some("urn:ietf:params:oauth:grant-type:jwt-bearer")
        {
            return (
                400,
                json!({ "error": "unsupported_grant_type", "error_description": "grant type not supported" }),
            );
        }
        let Some((message, signature)) = fields.get("assertion").and_then(|text| text.rsplit_once('.'))
        else {
            return refused("invalid assertion");
        };
        let signature = from_base64url(signature);
        let verified = self.key.verifying_key().verify(
            SignatureAlgorithm::RsaPkcs1Sha256,
            message.as_bytes(),
            &signature,
        );
        if verified.is_err() {
            return refused("invalid assertion");
        }
        let (header, claims) = message.split_once('.').unwrap();
        let header: Value = serde_json::from_slice(&from_base64url(header)).unwrap();
        let claims: Value = serde_json::from_slice(&from_base64url(claims)).unwrap();
        // The documents have the expiry as a text, and clients send a number.
        let ends = claims["exp"].as_u64().or_else(|| claims["exp"].as_str()?.parse().ok()).unwrap_or(0);
        match () {
            () if header["alg"] != "RS256" => refused("invalid assertion"),
            () if claims["iss"] != CLIENT => (
                400,
                json!({ "error": "invalid_client_id", "error_description": "client identifier invalid" }),
            ),
            () if claims["sub"] != USER => refused("user hasn't approved this consumer"),
            () if claims["aud"] != AUDIENCE => refused("audience is invalid"),
            () if !(now()..=now() + 300).contains(&ends) => refused("expired authorization code"),
            () => {
                self.logins += 1;
                let token = format!("00Dxx!{:032x}", self.logins);
                self.sessions.push(token.clone());
                let url = format!("https://localhost:{}", address.port());
                let id = "https://login.salesforce.com/id/00Dxx/005xx";
                let granted = json!({ "access_token": token, "scope": "api", "instance_url": url, "id": id, "token_type": "Bearer" });
                (200, granted)
            }
        }
    }

    fn api(&mut self, request: &Request, path: &str, query: &str) -> (u16, Value) {
        let rest = path.strip_prefix("/services/data/v62.0/").unwrap_or("none");
        let parts: Vec<_> = rest.trim_end_matches('/').split('/').collect();
        let body = || serde_json::from_slice::<Map<String, Value>>(&request.body).unwrap();
        let missing = || fault(404, "NOT_FOUND", "The requested resource does not exist");
        match (request.method.as_str(), &parts[..]) {
            ("GET", ["query" | "queryAll"]) => {
                let soql = query.split('&').find_map(|field| field.strip_prefix("q=")).map(decoded);
                match self.select(&soql.unwrap_or_default()) {
                    Some(found) => (200, self.page_of(found)),
                    None => fault(400, "MALFORMED_QUERY", "unexpected token"),
                }
            }
            ("GET", ["query" | "queryAll", locator]) => match self.waiting.remove(*locator) {
                Some(rest) => (200, self.page_of(rest)),
                None => fault(400, "INVALID_QUERY_LOCATOR", "invalid query locator"),
            },
            ("GET", ["sobjects", "Work__c", id]) => {
                self.records.get(*id).map_or_else(missing, |record| (200, Value::Object(record.clone())))
            }
            ("PATCH", ["sobjects", "Work__c", id]) => {
                let Some(record) = self.records.get_mut(*id) else { return missing() };
                record.extend(body());
                self.touch(id);
                (204, Value::Null)
            }
            ("PATCH", ["sobjects", "Note__c", "Key__c", key]) => {
                let is_new = self.notes.insert((*key).to_owned(), body()).is_none();
                let made =
                    json!({ "id": "a1B000000000001AAA", "success": true, "errors": [], "created": is_new });
                (if is_new { 201 } else { 200 }, made)
            }
            _ => missing(),
        }
    }

    /// As much of SOQL as is asked for: fields, a least time of change, statuses, and an order.
    fn select(&self, soql: &str) -> Option<Vec<Value>> {
        let (fields, rest) =
            soql.strip_prefix("SELECT ")?.split_once(" FROM Work__c WHERE SystemModstamp >= ")?;
        let (since, rest) = rest.split_once(" AND (Status__c IN (")?;
        let (statuses, rest) = rest.split_once(") OR IsDeleted = TRUE) ")?;
        if rest != "ORDER BY SystemModstamp, Id" {
            return None;
        }
        let statuses: Vec<_> = statuses.split(", ").map(|of| of.trim_matches('\'')).collect();
        let since = since.replace('Z', "+0000");
        let is_found = |record: &&Map<String, Value>| {
            let is_deleted = record["IsDeleted"].as_bool().unwrap();
            let status = record["Status__c"].as_str().unwrap_or_default();
            record["SystemModstamp"].as_str().unwrap() >= since.as_str()
                && (is_deleted || statuses.contains(&status))
        };
        let mut found: Vec<_> = self.records.values().filter(is_found).collect();
        found.sort_by_key(|record| (record["SystemModstamp"].to_string(), record["Id"].to_string()));
        let of = |record: &Map<String, Value>| {
            let mut selected = json!({ "attributes": { "type": "Work__c" } });
            for field in fields.split(", ") {
                let top = field.split('.').next().unwrap();
                selected[top] = record.get(top).cloned().unwrap_or(Value::Null);
            }
            selected
        };
        Some(found.into_iter().map(of).collect())
    }

    fn page_of(&mut self, mut found: Vec<Value>) -> Value {
        let rest = found.split_off(found.len().min(self.page));
        let mut page =
            json!({ "totalSize": found.len() + rest.len(), "done": rest.is_empty(), "records": found });
        if !rest.is_empty() {
            let locator = format!("01g{:015}-{}", self.waiting.len(), self.page);
            page["nextRecordsUrl"] = format!("/services/data/v62.0/query/{locator}").into();
            self.waiting.insert(locator, rest);
        }
        page
    }
}

/// An error as Salesforce has it.
fn fault(status: u16, code: &str, message: &str) -> (u16, Value) {
    (status, json!([{ "message": message, "errorCode": code }]))
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8().unwrap().into_owned()
}

fn from_base64url(text: &str) -> Vec<u8> {
    let mut padded = text.replace('-', "+").replace('_', "/");
    while !padded.len().is_multiple_of(4) {
        padded.push('=');
    }
    wardein_ddkg::message::from_text(&padded, 8_192).unwrap()
}

/// A key that no app has.
pub(crate) fn other_key() -> SecretBytes {
    let document = SigningKey::generate_rsa_2048_pkcs8().unwrap();
    pem::encode_private_key(document.expose()).unwrap()
}

pub(crate) const CLIENT: &str = "3MVG9client";
pub(crate) const USER: &str = "wardein@klinik.example.org";
pub(crate) const AUDIENCE: &str = "https://login.salesforce.com";
