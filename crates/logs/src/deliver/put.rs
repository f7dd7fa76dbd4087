//! Delivery by HTTP PUT (RFC 9110 section 9.3.4): the statement, then the batch, each to its own name below the target's path.

use super::transport::plain;
use super::{Answer, Connection, Content, Parcel, Request, Target, Transport, Undelivered};
use serde::Deserialize;
use wardein_crypto::hex;

/// A server that takes batches.
pub struct PutTarget<T> {
    transport: T,
    path: String,
}

impl<T> PutTarget<T> {
    /// The server that `transport` reaches, which takes files below `path`, without a slash at its end.
    pub fn new(transport: T, path: String) -> Self {
        Self { transport, path }
    }
}

impl<T: Transport> Target for PutTarget<T> {
    async fn deliver(&mut self, parcel: &Parcel) -> Result<(), Undelivered> {
        // One connection for both, and one a batch: whom the transport trusts may have changed since the last one.
        let mut connection = self.transport.connect().await.map_err(Undelivered::Again)?;
        let octets = [("content-type", "application/octet-stream".to_owned())];
        let mut put = async |name: String, content: &Content| {
            let path = format!("{}/{name}", self.path);
            let request = Request { method: "PUT", path: &path, headers: &octets, content: Some(content) };
            let answer = connection.send(request).await.map_err(Undelivered::Again)?;
            judge(&answer).map(|()| answer)
        };
        put(parcel.name.statement(), &parcel.statement).await?;
        let answer = put(parcel.name.sealed(), &parcel.sealed).await?;
        // It has this file and misses the other one, which was taken before: nothing is acknowledged yet (RFC 9110 section 15.3.3).
        if answer.status == ACCEPTED {
            return Err(Undelivered::Again("the receiver waits for the other file of the batch".to_owned()));
        }
        let digest = hex::encode(&parcel.sealed.sha256().0);
        if taken(&answer).is_some_and(|taken| taken != digest) {
            return Err(Undelivered::Again("the receiver acknowledged another file".to_owned()));
        }
        Ok(())
    }
}

/// What a receiver says of a file that it took.
#[derive(Deserialize)]
struct Taken {
    sha256: String,
}

/// What it says of one that it did not take.
#[derive(Deserialize)]
struct Refused {
    code: String,
    #[serde(default)]
    message: String,
}

fn judge(answer: &Answer) -> Result<(), Undelivered> {
    match answer.status {
        _ if answer.is_taken() => Ok(()),
        // It conflicts with what the receiver has, or is not what it takes: sending it again changes neither (RFC 9110 sections 15.5.10
        // and 15.5.21). Everything else may be a matter of time, of rights, or of a machine in between.
        409 | 422 => Err(Undelivered::Refused(said(answer))),
        _ => Err(Undelivered::Again(said(answer))),
    }
}

fn taken(answer: &Answer) -> Option<String> {
    serde_json::from_slice(&answer.body).ok().map(|Taken { sha256 }| sha256)
}

/// The answer in words.
fn said(answer: &Answer) -> String {
    let status = answer.status;
    let Ok(Refused { code, message }) = serde_json::from_slice(&answer.body) else {
        return format!("the receiver answered with status {status}");
    };
    format!("{} ({}, status {status})", plain(&message), plain(&code))
}

const ACCEPTED: u16 = 202;

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, body: body.as_bytes().to_vec(), ..Answer::default() }
    }

    #[test]
    fn only_what_the_receiver_says_of_the_file_itself_is_final() {
        let body = r#"{"code":"batch-order","message":"the number was\ntaken"}"#;
        for status in [409, 422] {
            let refused = judge(&answer(status, body)).unwrap_err();
            let words = format!("the number was taken (batch-order, status {status})");
            assert_eq!(refused, Undelivered::Refused(words));
        }
        for status in [100, 301, 307, 400, 401, 403, 404, 407, 413, 429, 500, 502, 503, 507] {
            assert!(matches!(judge(&answer(status, body)), Err(Undelivered::Again(_))), "{status}");
        }
        for status in [200, 201, 202, 204] {
            assert_eq!(judge(&answer(status, "")), Ok(()));
        }
        let long = format!(r#"{{"code":"{}"}}"#, "x".repeat(10_000));
        assert!(judge(&answer(500, &long)).unwrap_err().to_string().len() < 300);
        let portal = judge(&answer(503, "<html>")).unwrap_err();
        assert_eq!(portal.to_string(), "the receiver answered with status 503");
    }
}
