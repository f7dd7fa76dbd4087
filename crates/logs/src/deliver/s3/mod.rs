//! Delivery to a store of objects that speaks S3: a conditional PUT of the statement, then of the batch.
//!
//! Nothing that is there is written over. Where the store has an object of the name already, the digest that was put with it
//! tells whether it is the same file, whose acknowledgement was lost, or another one.

mod credentials;

use super::transport::plain;
use super::{Answer, Connection, Content, Parcel, Request, Target, Transport, Undelivered};
use credentials::Credentials;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;
use wardein_crypto::{Digest, hex};
use wardein_sigv4::{Scope, authorization, date};

/// A store of objects that takes batches.
pub struct S3Target<T> {
    transport: T,
    at: S3Place,
    /// The wall clock, in Unix seconds. It may be wrong.
    now: fn() -> u64,
    /// How far it is behind the store's.
    behind: i64,
}

/// Where in which store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Place {
    /// The header `Host` of requests: `HOST[:PORT]`, as it is in the URL.
    pub host: String,
    /// The path below which objects go, without a slash at its end: unreserved characters, colons and slashes alone.
    pub path: String,
    /// The region.
    pub region: String,
    /// The file with the credentials, read again for each batch.
    pub credentials: PathBuf,
}

impl<T> S3Target<T> {
    /// The store that `transport` reaches.
    pub fn new(transport: T, at: S3Place, now: fn() -> u64) -> Self {
        // The one character of a device's id that is reserved; signed and sent in the same form.
        let at = S3Place { path: at.path.replace(':', "%3A"), ..at };
        Self { transport, at, now, behind: 0 }
    }
}

impl<T: Transport> Target for S3Target<T> {
    async fn deliver(&mut self, parcel: &Parcel) -> Result<(), Undelivered> {
        let credentials = Credentials::read(&self.at.credentials).map_err(|error| {
            Undelivered::Again(format!("the credentials in {}: {error}", self.at.credentials.display()))
        })?;
        let mut connection = self.transport.connect().await.map_err(Undelivered::Again)?;
        for (name, content) in
            [(parcel.name.statement(), &parcel.statement), (parcel.name.sealed(), &parcel.sealed)]
        {
            self.put(&mut connection, &credentials, &name, content).await?;
        }
        Ok(())
    }
}

impl<T: Transport> S3Target<T> {
    async fn put(
        &mut self,
        connection: &mut T::Connection,
        credentials: &Credentials,
        name: &str,
        content: &Content,
    ) -> Result<(), Undelivered> {
        let path = format!("{}/{name}", self.at.path);
        let mut put = self.send(connection, credentials, &path, Some(content)).await?;
        if self.learned_time(&put) {
            put = self.send(connection, credentials, &path, Some(content)).await?;
        }
        match put.status {
            _ if put.is_taken() => Ok(()),
            THERE => {
                let there = self.send(connection, credentials, &path, None).await?;
                judge(&there, name, content)
            }
            // Rights, names of buckets and the store itself may be put right; the batch is not what is refused.
            _ => Err(Undelivered::Again(said(&put))),
        }
    }

    /// A PUT of `content`, or a HEAD.
    async fn send(
        &self,
        connection: &mut T::Connection,
        credentials: &Credentials,
        path: &str,
        content: Option<&Content>,
    ) -> Result<Answer, Undelivered> {
        let payload = content.map_or_else(|| Digest::of(b""), Content::sha256);
        let (digest, at) = (hex::encode(&payload.0), date((self.now)().saturating_add_signed(self.behind)));
        let method = if content.is_some() { "PUT" } else { "HEAD" };
        // In the order of their names, as they are signed.
        let mut headers = vec![("host", self.at.host.clone())];
        if content.is_some() {
            headers.push(("if-none-match", "*".to_owned()));
        }
        headers.extend([("x-amz-content-sha256", digest.clone()), ("x-amz-date", at.clone())]);
        if content.is_some() {
            headers.push((Answer::DIGEST, digest));
        }
        if let Some(token) = &credentials.token {
            headers.push(("x-amz-security-token", token.clone()));
        }
        let signed: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let scope = Scope { date: &at, region: &self.at.region, service: "s3" };
        let to_sign = wardein_sigv4::Request { method, path, headers: &signed, payload: &payload };
        let authorization = authorization(&credentials.id, &credentials.secret, &scope, &to_sign);
        // The transport says which host it is.
        headers.remove(0);
        headers.push(("authorization", authorization));
        connection
            .send(Request { method, path, headers: &headers, content })
            .await
            .map_err(Undelivered::Again)
    }

    /// Whether the store refused the time of the request, and said what time it is: a clock that is wrong holds up no batch. The
    /// server was judged, and what a wrong time would allow is that a request is repeated to it.
    fn learned_time(&mut self, answer: &Answer) -> bool {
        if answer.status != FORBIDDEN || code(answer) != Some("RequestTimeTooSkewed") {
            return false;
        }
        let date = answer.header("date").and_then(|date| httpdate::parse_http_date(date).ok());
        let Some(date) = date.and_then(|date| date.duration_since(UNIX_EPOCH).ok()) else { return false };
        let behind = i128::from(date.as_secs()) - i128::from((self.now)());
        self.behind = i64::try_from(behind).unwrap_or_default();
        true
    }
}

/// Whether the object that is there is the one that was to be put.
fn judge(there: &Answer, name: &str, content: &Content) -> Result<(), Undelivered> {
    match (there.status, there.header(Answer::DIGEST)) {
        (200, Some(digest)) if digest == hex::encode(&content.sha256().0) => Ok(()),
        (200, _) => {
            Err(Undelivered::Refused(format!("there is another object already under the name {name}")))
        }
        (FORBIDDEN, _) => Err(Undelivered::Again(format!(
            "there is an object already under the name {name}, and the credentials may not read it: allow s3:GetObject"
        ))),
        _ => Err(Undelivered::Again(said(there))),
    }
}

/// The code of an error, which is XML.
fn code(answer: &Answer) -> Option<&str> {
    let text = std::str::from_utf8(&answer.body).ok()?;
    let (_, rest) = text.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    Some(code)
}

fn said(answer: &Answer) -> String {
    let status = answer.status;
    match code(answer) {
        Some(code) => format!("the store answered {} (status {status})", plain(code)),
        None => format!("the store answered with status {status}"),
    }
}

const FORBIDDEN: u16 = 403;

/// The condition does not hold (RFC 9110 section 13.1.2): there is an object of the name.
const THERE: u16 = 412;

#[cfg(test)]
mod tests;
