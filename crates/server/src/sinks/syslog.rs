//! Syslog: the form of a message (RFC 5424), by datagram to a socket of this machine or by UDP (RFC 5426), and over TLS with octet
//! counting (RFC 5425).
//!
//! Syslog has no acknowledgment. What was written over TLS counts as taken once the connection has lived on for [`SETTLED`]: when
//! it breaks before that, it is sent again. A datagram counts as taken by the socket that took it; over a network by UDP, it may be
//! lost.

use super::{Failure, Line, Tls};
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket, UnixDatagram, lookup_host};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

/// Where the datagrams go.
pub(super) enum Datagrams {
    Unix(UnixDatagram),
    Udp(UdpSocket),
}

impl Datagrams {
    pub(super) fn unix(path: &Path) -> Result<Self, Failure> {
        let socket = UnixDatagram::unbound().map_err(Failure::Reach)?;
        socket.connect(path).map_err(Failure::Reach)?;
        Ok(Self::Unix(socket))
    }

    pub(super) async fn udp(to: &str) -> Result<Self, Failure> {
        let address = lookup_host(to).await.map_err(Failure::Name)?.next();
        let address = address.ok_or_else(|| Failure::Name(std::io::ErrorKind::NotFound.into()))?;
        let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any).await.map_err(Failure::Reach)?;
        socket.connect(address).await.map_err(Failure::Reach)?;
        Ok(Self::Udp(socket))
    }

    pub(super) async fn send(&self, lines: &[Line], host: &str) -> Result<(), Failure> {
        for line in lines {
            let message = message(line, host);
            match self {
                Self::Unix(socket) => socket.send(message.as_bytes()).await,
                Self::Udp(socket) => socket.send(message.as_bytes()).await,
            }
            .map_err(Failure::Reach)?;
        }
        Ok(())
    }
}

/// Syslog over TLS.
pub(super) struct Stream(TlsStream<TcpStream>);

impl Stream {
    pub(super) async fn open(host: &str, port: u16, tls: &Tls) -> Result<Self, Failure> {
        tls.connect(host, port, &[]).await.map(Self)
    }

    pub(super) async fn send(&mut self, lines: &[Line], host: &str) -> Result<(), Failure> {
        if self.is_gone().await {
            return Err(Failure::Closed);
        }
        let mut frames = String::new();
        for line in lines {
            let message = message(line, host);
            // SYSLOG-FRAME = MSG-LEN SP SYSLOG-MSG, in octets (RFC 5425 §4.3).
            frames.push_str(&format!("{} {message}", message.len()));
        }
        self.0.write_all(frames.as_bytes()).await.map_err(Failure::Broken)?;
        self.0.flush().await.map_err(Failure::Broken)
    }

    /// Whether the receiver has ended the connection. It says nothing otherwise, and what it says is of no account.
    pub(super) async fn is_gone(&mut self) -> bool {
        let mut said = [0; 256];
        match timeout(Duration::ZERO, self.0.read(&mut said)).await {
            Ok(Ok(0) | Err(_)) => true,
            Ok(Ok(_)) | Err(_) => false,
        }
    }
}

/// A message, in the facility of what concerns security and authorization (10) and with its severity: *warning* for what was
/// refused, otherwise *notice*.
fn message(line: &Line, host: &str) -> String {
    const FACILITY: u8 = 10;
    let severity = if line.is_refused { 4 } else { 5 };
    let priority = FACILITY * 8 + severity;
    let Line { time, json, .. } = line;
    let (host, id) = (word(host, 255), word(&line.event, 32));
    // No BOM before UTF-8: JSON has none (RFC 8259 §8.1), and the receiver takes any octets (MSG-ANY).
    format!("<{priority}>1 {time} {host} wardein {} {id} - {json}", std::process::id())
}

/// A field of the header: printable ASCII, so long at most, `-` for none (RFC 5424 §6).
fn word(text: &str, most: usize) -> String {
    let word: String = text.chars().filter(char::is_ascii_graphic).take(most).collect();
    if word.is_empty() { "-".to_owned() } else { word }
}

/// How long a connection has to live on for what was written to it to count as taken.
pub(super) const SETTLED: Duration = Duration::from_secs(5);

/// The most bytes of a message's text. Receivers should take 8,192 octets over TLS (RFC 5425 §4.3.1), and datagrams that long are
/// taken everywhere on one machine; the rest is for the header.
pub(super) const MOST: usize = 8_192 - 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn line(event: &str, is_refused: bool) -> Line {
        let (json, time) = ("{\"sequence\":7}".to_owned(), "2023-11-14T22:13:20.042Z".to_owned());
        Line { number: 7, json, time, event: event.to_owned(), is_refused }
    }

    #[test]
    fn a_message_has_the_form_of_rfc_5424() {
        let id = std::process::id();
        assert_eq!(
            message(&line("device.enroll", false), "ka-1"),
            format!("<85>1 2023-11-14T22:13:20.042Z ka-1 wardein {id} device.enroll - {{\"sequence\":7}}")
        );
        assert!(message(&line("call.refuse", true), "ka-1").starts_with("<84>1 "));
    }

    #[test]
    fn no_header_field_ends_early_or_is_too_long() {
        let said = message(&line("a b\n<13>1", false), "");
        assert!(said.contains(" - wardein ") && said.contains(" ab<13>1 - {"), "{said}");
        assert_eq!(word(&"x".repeat(300), 255).len(), 255);
    }

    #[tokio::test]
    async fn a_socket_of_this_machine_gets_a_datagram_an_entry() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("log");
        let receiver = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
        let sink = Datagrams::unix(&path).unwrap();
        sink.send(&[line("device.enroll", false), line("call.refuse", true)], "ka-1").await.unwrap();
        let mut said = [0; 512];
        for expected in ["<85>1 ", "<84>1 "] {
            let length = receiver.recv(&mut said).unwrap();
            assert!(said[..length].starts_with(expected.as_bytes()));
        }
        drop(receiver);
        assert!(matches!(sink.send(&[line("a", false)], "ka-1").await, Err(Failure::Reach(_))));
    }

    #[tokio::test]
    async fn a_receiver_by_udp_gets_them_too() {
        let receiver = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let sink = Datagrams::udp(&receiver.local_addr().unwrap().to_string()).await.unwrap();
        sink.send(&[line("device.enroll", false)], "ka-1").await.unwrap();
        let mut said = [0; 512];
        let length = receiver.recv(&mut said).unwrap();
        assert!(said[..length].ends_with(b"{\"sequence\":7}"));
    }
}
