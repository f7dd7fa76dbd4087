//! The peer of a connection, as its handshake identified it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use wardein_domain::{ErrorCode, Origin, Principal};
use wardein_engine::Error;

/// The peer.
#[derive(Debug, Clone)]
pub(crate) struct Peer(pub(crate) Arc<PeerParts>);

#[derive(Debug)]
pub(crate) struct PeerParts {
    pub(crate) address: SocketAddr,
    /// SHA-256 of the certificate, DER, if there is one.
    pub(crate) certificate: Option<[u8; 32]>,
    pub(crate) claim: Claim,
    /// Whether the connection is to be closed soon.
    is_leaving: AtomicBool,
}

impl Peer {
    pub(crate) fn new(address: SocketAddr, certificate: Option<[u8; 32]>, claim: Claim) -> Self {
        Self(Arc::new(PeerParts { address, certificate, claim, is_leaving: AtomicBool::new(false) }))
    }

    /// Has the connection closed if the call is refused because its operator has ended: no other call of it will be taken.
    pub(crate) fn leave_if_ended(&self, error: &Error) {
        if matches!(error.code, ErrorCode::OperatorExpired | ErrorCode::OperatorRevoked) {
            self.0.is_leaving.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.0.is_leaving.load(Ordering::Relaxed)
    }
}

impl PeerParts {
    /// Where a call over this connection comes from.
    pub(crate) fn origin(&self) -> Origin {
        Origin { address: self.address, certificate: self.certificate }
    }
}

/// Whom the certificate names. Whether that operator may still call is asked at each call.
#[derive(Debug)]
pub(crate) enum Claim {
    /// It presented no certificate.
    Nobody,
    /// An operator.
    Operator(Principal),
    /// The infrastructure CA issued it, and it does not belong to an operator of this authority, such as a server's.
    Other,
}
