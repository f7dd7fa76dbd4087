//! A connection to the listener of EST. It is served as one of devices is, by HTTP/1.1 alone.

use super::accept::Taken;
use super::connection::{serve, shake};
use crate::edge::peer::{Claim, Peer, PeerParts};
use crate::edge::{Behind, Edge, EdgeParts, Shared};
use crate::est::EstPeer;
use rustls::pki_types::CertificateDer;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use wardein_crypto::Digest;
use wardein_pki::est::Lines;

/// What a thread takes connections in with.
#[derive(Clone)]
pub(crate) struct EstDoor {
    pub(crate) shared: Arc<Shared>,
    pub(crate) tls: TlsAcceptor,
    pub(crate) lines: Lines,
}

impl EstDoor {
    /// Serves a connection until it ends.
    pub(crate) async fn serve(self, Taken { stream, address, place }: Taken) {
        let Self { shared, tls, lines } = self;
        let line = place.line.clone();
        let Some(stream) = shake(&shared, &tls, (stream, address), &line).await else { return };
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let certificate = certificate.cloned().map(CertificateDer::into_owned);
        let claim = if certificate.is_some() { Claim::Other } else { Claim::Nobody };
        let digest = certificate.as_ref().map(|certificate| Digest::of(certificate).0);
        let peer = Peer(Arc::new(PeerParts { address, certificate: digest, claim }));
        let behind = Behind::Est(EstPeer { certificate, lines });
        let parts =
            EdgeParts { shared: shared.clone(), behind, peer, line: line.clone(), is_operators: false };
        if let Some(reason) = serve(stream, Edge::new(parts), &shared.limits, &line, false).await {
            shared.metrics.rejected(reason);
        }
    }
}
