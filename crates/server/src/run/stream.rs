//! A connection after its handshake, and its peer.

use super::accept::Slot;
use crate::edge::peer::{Claim, Peer};
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;
use wardein_crypto::Digest;
use wardein_domain::TrustDomain;

/// A connection to serve.
pub(crate) struct PeerStream {
    stream: TlsStream<TcpStream>,
    peer: Peer,
    /// The time that its last answers have to leave, once it is to be closed.
    leaving: Option<Pin<Box<Sleep>>>,
    // Its place among the connections is free again when it is closed.
    _slot: Slot,
}

impl PeerStream {
    pub(crate) fn new(
        stream: TlsStream<TcpStream>,
        address: SocketAddr,
        slot: Slot,
        domain: &TrustDomain,
    ) -> Self {
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let claim = match certificate {
            None => Claim::Nobody,
            Some(certificate) => match wardein_pki::parse_operator(domain, certificate) {
                Ok(operator) => Claim::Operator(operator.principal),
                Err(_) => Claim::Other,
            },
        };
        let certificate = certificate.map(|certificate| Digest::of(certificate).0);
        Self { stream, peer: Peer::new(address, certificate, claim), leaving: None, _slot: slot }
    }
}

/// The time that the answer to an operator that has ended has to leave before its connection is closed.
const LEAVING: Duration = Duration::from_secs(1);

impl Connected for PeerStream {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for PeerStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // The answer that says so comes over this connection: it is polled again after the flag is set.
        if self.peer.is_leaving() {
            let leaving = self.leaving.get_or_insert_with(|| Box::pin(sleep(LEAVING)));
            if leaving.as_mut().poll(cx).is_ready() {
                // Nothing read is the end of the input, at which HTTP/2 closes in order.
                return Poll::Ready(Ok(()));
            }
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for PeerStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
