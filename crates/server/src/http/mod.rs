//! The HTTP port: metrics, health, readiness, the trust bundle, and what is revoked. It changes nothing.

mod crl;
mod file;
mod ocsp;
mod router;
mod status;
mod tuf;

use crate::edge::metrics::Metrics;
use crate::edge::rate::{Addresses, address_key};
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use ocsp::{Peer, SIGNATURES};
use router::{Served, router};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use wardein_engine::Engine;

/// Serves until the task is ended; it says that it is not ready from the stop on. Not by axum's own `serve`, which bounds neither
/// connections nor their time.
///
/// Nobody waits for a place, so that a probe is answered whatever others hold: the oldest connection makes room, of the same
/// address if that has its share.
pub(crate) async fn serve(
    listener: TcpListener,
    engine: Arc<Engine>,
    metrics: Arc<Metrics>,
    stopping: watch::Receiver<bool>,
) {
    let signatures = Arc::new(Addresses::new(SIGNATURES));
    let ocsp_faults = Arc::default();
    let router =
        TowerToHyperService::new(router(Served { engine, metrics, stopping, signatures, ocsp_faults }));
    let mut places = Places::default();
    loop {
        let Ok((stream, address)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let address = address_key(address.ip());
        places.make_room(address);
        let router = router.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer(address));
            router.call(request)
        });
        let connection = tokio::spawn(async move {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIME)
                .max_buf_size(16 * 1024)
                .serve_connection(TokioIo::new(stream), service);
            // A connection's failure concerns only its peer.
            drop(tokio::time::timeout(CONNECTION_TIME, connection).await);
        });
        places.0.push_back((address, connection.abort_handle()));
    }
}

/// The connections, oldest first.
#[derive(Default)]
struct Places(VecDeque<(IpAddr, AbortHandle)>);

impl Places {
    fn make_room(&mut self, address: IpAddr) {
        self.0.retain(|(_, connection)| !connection.is_finished());
        let of_address = self.0.iter().filter(|(of, _)| *of == address).count();
        let oldest = match of_address < CONNECTIONS_PER_ADDRESS {
            true if self.0.len() < CONNECTIONS => return,
            true => 0,
            false => self.0.iter().position(|(of, _)| *of == address).unwrap_or(0),
        };
        if let Some((_, connection)) = self.0.remove(oldest) {
            connection.abort();
        }
    }
}

/// The most connections.
pub(crate) const CONNECTIONS: usize = 64;
const CONNECTIONS_PER_ADDRESS: usize = 16;
/// For the head of a request, from the end of the last one: it bounds how long an idle connection is kept, too.
pub(super) const HEADER_TIME: Duration = Duration::from_secs(5);
/// For a list of some megabytes over a slow line. One that asks for nothing is closed after the time for a head.
const CONNECTION_TIME: Duration = Duration::from_secs(300);
