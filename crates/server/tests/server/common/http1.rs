//! A client of HTTP/1.1 that does what ours never would: byte by byte.

use super::Served;
use super::raw::{PATIENCE, tls_for};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

/// An HTTP/1.1 connection.
pub(crate) struct Http1 {
    stream: TlsStream<TcpStream>,
    read: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The value of a header; empty where it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.find(|(field, _)| *field == name).map_or("", |(_, value)| value)
    }

    /// How many bytes its head has.
    pub(crate) fn head_len(&self) -> usize {
        self.head.len()
    }

    /// The status and the stable code.
    pub(crate) fn said(&self) -> (u16, &str) {
        (self.status, self.header("wardein-code"))
    }
}

impl Http1 {
    pub(crate) async fn connect(served: &Served, source: &str) -> Self {
        Self::over(tls_for(served, source, None, &["http/1.1"]).await)
    }

    pub(crate) fn over(stream: TlsStream<TcpStream>) -> Self {
        Self { stream, read: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// What is answered to more than is taken: it may be refused, and the connection closed, before all of it is sent.
    pub(crate) async fn answer_to_too_much(&mut self, bytes: impl AsRef<[u8]>) -> Option<Answer> {
        self.stream.write_all(bytes.as_ref()).await.ok()?;
        self.stream.flush().await.ok()?;
        timeout(PATIENCE, self.next(true)).await.expect("there is no answer")
    }

    /// The next answer.
    pub(crate) async fn answer(&mut self) -> Answer {
        timeout(PATIENCE, self.next(true)).await.expect("there is no answer").expect("it was closed")
    }

    /// The next answer, which has no body, as one to HEAD.
    pub(crate) async fn head(&mut self) -> Answer {
        timeout(PATIENCE, self.next(false)).await.expect("there is no answer").expect("it was closed")
    }

    async fn next(&mut self, has_body: bool) -> Option<Answer> {
        let end = loop {
            match self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                Some(end) => break end,
                None => self.more().await?,
            }
        };
        let head = String::from_utf8(self.read.drain(..end + 4).collect()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer { status, head, body: Vec::new() };
        let length = if has_body { answer.header("content-length").parse().unwrap_or(0) } else { 0 };
        while self.read.len() < length {
            self.more().await?;
        }
        answer.body = self.read.drain(..length).collect();
        Some(answer)
    }

    async fn more(&mut self) -> Option<()> {
        let mut bytes = [0; 4096];
        match self.stream.read(&mut bytes).await {
            Ok(0) | Err(_) => None,
            Ok(count) => {
                self.read.extend_from_slice(&bytes[..count]);
                Some(())
            }
        }
    }

    /// Waits until the server has closed the connection.
    pub(crate) async fn is_closed(&mut self) {
        let read = async { while self.more().await.is_some() {} };
        timeout(PATIENCE, read).await.expect("the connection stays open");
    }

    pub(crate) async fn post(&mut self, path: &str, body: &[u8]) -> Answer {
        self.send(request(path, body)).await;
        self.answer().await
    }
}

/// A whole request.
pub(crate) fn request(path: &str, body: &[u8]) -> Vec<u8> {
    let length = format!("content-length: {}\r\n", body.len());
    [head(path, &[OCTETS, length.trim_end()]).as_bytes(), body].concat()
}

/// The head of a POST with these lines.
pub(crate) fn head(path: &str, lines: &[&str]) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: localhost\r\n{}\r\n\r\n", lines.join("\r\n"))
}

pub(crate) const OCTETS: &str = "content-type: application/octet-stream";

pub(crate) const CHALLENGE: &str = "/v1/device/challenge";
pub(crate) const PROVE: &str = "/v1/device/prove";
pub(crate) const SIGNED: &str = "/v1/device/prove-by-signature";
pub(crate) const CONFIRM: &str = "/v1/device/confirm";
