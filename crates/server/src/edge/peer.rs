//! The peer of a connection, as its handshake identified it.

use std::net::SocketAddr;
use std::sync::Arc;
use wardein_domain::{Origin, Principal};

/// The peer.
#[derive(Debug, Clone)]
pub(crate) struct Peer(pub(crate) Arc<PeerParts>);

impl Peer {
    /// Whether its certificate names an operator.
    pub(crate) fn is_operators(&self) -> bool {
        matches!(self.0.claim, Claim::Operator(_))
    }
}

#[derive(Debug)]
pub(crate) struct PeerParts {
    pub(crate) address: SocketAddr,
    /// SHA-256 of the certificate, DER, if there is one.
    pub(crate) certificate: Option<[u8; 32]>,
    pub(crate) claim: Claim,
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
    /// It presented a certificate that is not one of this authority's operators: a device's, a server's, another authority's.
    Other,
}
