//! One connection of a client: its handshake, and from then on messages for one source.

use super::Senders;
use crate::polled::GapReason;
use crate::source::frames::{Frame, Frames};
use crate::source::queue::Queue;
use rustls::{CertificateError, OtherError, ServerConfig, ServerConnection};
use std::io::{self, ErrorKind, Read};
use std::net::{IpAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wardein_crypto::Digest;

/// A connection.
pub(super) struct Connection {
    pub(super) socket: TcpStream,
    pub(super) peer: IpAddr,
    tls: ServerConnection,
    begun: Instant,
    /// When something came last.
    pub(super) heard: Instant,
    stage: Stage,
}

enum Stage {
    Handshake,
    /// It brings the messages of a source.
    Open {
        source: usize,
        queue: Arc<Queue>,
        frames: Frames,
    },
}

/// What became of a connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Went {
    /// It goes on.
    On,
    /// Its handshake is over, and it is this source's.
    Opened(usize),
    /// It has ended, in order or with a gap.
    Over,
    /// It was nobody's, and has ended.
    Refused(String),
}

impl Connection {
    pub(super) fn new(
        socket: TcpStream,
        peer: IpAddr,
        configuration: Arc<ServerConfig>,
        now: Instant,
    ) -> Result<Self, io::Error> {
        socket.set_nonblocking(true)?;
        let tls = ServerConnection::new(configuration).map_err(io::Error::other)?;
        Ok(Self { socket, peer, tls, begun: now, heard: now, stage: Stage::Handshake })
    }

    /// One whose handshake is over.
    #[cfg(test)]
    pub(super) fn opened(mut self, queue: Arc<Queue>) -> Self {
        self.stage = Stage::Open { source: 0, queue, frames: Frames::new(10) };
        self
    }

    /// The source whose messages it brings; none while it shakes hands.
    pub(super) fn source(&self) -> Option<usize> {
        match self.stage {
            Stage::Handshake => None,
            Stage::Open { source, .. } => Some(source),
        }
    }

    /// Whether it is to be read. Where its source's messages wait for a poll, they wait at the client from then on.
    pub(super) fn is_to_be_read(&self) -> bool {
        match &self.stage {
            Stage::Handshake => true,
            Stage::Open { queue, .. } => queue.has_room(),
        }
    }

    /// Whether it has something to send.
    pub(super) fn is_to_be_written(&self) -> bool {
        self.tls.wants_write()
    }

    /// Whether its handshake takes too long.
    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        self.source().is_none() && now.saturating_duration_since(self.begun) > HANDSHAKE
    }

    /// Reads once, unless it is held, and sends what there is to send.
    pub(super) fn step(&mut self, now: Instant, senders: &Senders) -> Went {
        let went = if self.is_to_be_read() { self.read(now, senders) } else { Went::On };
        let written = self.write();
        match (went, written) {
            (Went::On | Went::Opened(_), Err(error)) => self.broken(&error.to_string()),
            (went, _) => went,
        }
    }

    /// Ends it, because the agent does.
    pub(super) fn end(mut self) {
        self.tls.send_close_notify();
        // A peer that takes nothing hears it from TCP.
        drop(self.write());
    }

    /// Ends it, because another one takes its place. What its peer would still have sent is missing.
    pub(super) fn give_way(self) {
        self.broken("another connection takes its place");
        self.end();
    }

    fn read(&mut self, now: Instant, senders: &Senders) -> Went {
        let is_end = match self.tls.read_tls(&mut self.socket) {
            Ok(length) => length == 0,
            Err(error) if is_to_be_tried_again(&error) => return Went::On,
            Err(error) => return self.broken(&error.to_string()),
        };
        self.heard = now;
        if let Err(error) = self.tls.process_new_packets() {
            return self.broken(&words(&error));
        }
        let mut went = Went::On;
        if matches!(self.stage, Stage::Handshake) {
            if self.tls.is_handshaking() {
                return if is_end { self.broken("it ended within the handshake") } else { Went::On };
            }
            let shown = self.tls.peer_certificates().and_then(|chain| chain.first());
            let Some((source, sender)) = senders.of(shown.map(|leaf| Digest::of(leaf)), self.peer) else {
                return Went::Refused("it shows no certificate, and no source names its address".to_owned());
            };
            let frames = Frames::new(sender.max_message);
            self.stage = Stage::Open { source, queue: Arc::clone(&sender.queue), frames };
            went = Went::Opened(source);
        }
        match self.messages() {
            Ok(true) => went,
            // It said that it ends (RFC 5425 section 4.4).
            Ok(false) => {
                self.tls.send_close_notify();
                self.note_unfinished();
                Went::Over
            }
            Err(why) => self.broken(&why),
        }
    }

    /// Takes the messages that have come; whether more may come.
    fn messages(&mut self) -> Result<bool, String> {
        let Stage::Open { queue, frames, .. } = &mut self.stage else { return Ok(true) };
        let mut buffer = [0; PIECE];
        loop {
            match self.tls.reader().read(&mut buffer) {
                Ok(0) => return Ok(false),
                Ok(length) => {
                    let taken =
                        frames.take(buffer.get(..length).unwrap_or_default(), &mut |frame| match frame {
                            Frame::Message(message) => queue.push(message),
                            Frame::TooLong(bytes) => queue.miss(GapReason::TooLong, Some(1), bytes),
                        });
                    taken.map_err(|error| error.to_string())?;
                }
                Err(error) if is_to_be_tried_again(&error) => return Ok(true),
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    fn write(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut self.socket) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if is_to_be_tried_again(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// It has ended otherwise than in order. Of a client that is known, that is a gap: what else it would have sent nobody knows.
    fn broken(&self, why: &str) -> Went {
        match &self.stage {
            Stage::Handshake => Went::Refused(why.to_owned()),
            Stage::Open { queue, frames, .. } => {
                queue.miss(GapReason::ConnectionBroken, None, frames.unfinished().unwrap_or_default());
                Went::Over
            }
        }
    }

    /// Half a message that ends is a gap.
    fn note_unfinished(&self) {
        if let Stage::Open { queue, frames, .. } = &self.stage
            && let Some(bytes) = frames.unfinished()
        {
            queue.miss(GapReason::ConnectionBroken, Some(1), bytes);
        }
    }
}

fn is_to_be_tried_again(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// What rustls says; of a certificate that is not pinned, what [`super::tls`] says of it.
fn words(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(why))) => why.to_string(),
        error => error.to_string(),
    }
}

/// The time for a handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// What is read at a time.
const PIECE: usize = 4 << 10;
