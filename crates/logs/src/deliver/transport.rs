//! What carries requests to a server.

use super::Content;

/// What connects to a server.
#[allow(async_fn_in_trait, reason = "the agent runs on one thread; no caller needs the futures to be Send")]
pub trait Transport {
    /// A connection.
    type Connection: Connection;

    /// Connects, and judges the server: no byte of a request leaves before. Why there is no connection, otherwise.
    async fn connect(&mut self) -> Result<Self::Connection, String>;
}

/// A connection to a server that was judged.
#[allow(async_fn_in_trait, reason = "the agent runs on one thread; no caller needs the futures to be Send")]
pub trait Connection {
    /// Sends a request. The answer, or why none came.
    async fn send(&mut self, request: Request<'_>) -> Result<Answer, String>;
}

/// A request of HTTP. The transport adds `Host` and what frames the content.
pub struct Request<'a> {
    /// PUT or HEAD.
    pub method: &'static str,
    /// The path, from its first slash.
    pub path: &'a str,
    /// Headers, with their names in lower case.
    pub headers: &'a [(&'static str, String)],
    /// What is put.
    pub content: Option<&'a Content>,
}

/// What a server answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers `date` and [`Answer::DIGEST`], where they are there.
    pub headers: Vec<(&'static str, String)>,
    /// The body, which the transport bounds.
    pub body: Vec<u8>,
}

impl Answer {
    /// The header in which a store of objects keeps what was said of an object when it was put.
    pub const DIGEST: &str = "x-amz-meta-sha256";

    /// The headers that are asked for.
    pub const HEADERS: [&str; 2] = ["date", Self::DIGEST];

    /// Whether the file was taken.
    pub fn is_taken(&self) -> bool {
        (200..=299).contains(&self.status)
    }

    /// One of its headers.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }
}

/// What a stranger says goes into logs: one line, and not a long one.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_SAID).collect()
}

const MAX_SAID: usize = 200;
