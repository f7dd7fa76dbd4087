//! A connection after its handshake, and its peer.

use super::accept::Slot;
use crate::edge::peer::{Claim, Peer, PeerParts};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;
use wardein_crypto::Digest;
use wardein_domain::TrustDomain;

/// A connection to serve.
pub(crate) struct PeerStream {
    stream: TlsStream<TcpStream>,
    peer: Peer,
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
        Self { stream, peer: Peer(Arc::new(PeerParts { address, certificate, claim })), _slot: slot }
    }
}

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
