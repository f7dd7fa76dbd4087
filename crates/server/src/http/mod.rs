//! The HTTP port: metrics, health, readiness and the trust bundle. It takes GET and HEAD, and changes nothing.

mod router;

use crate::edge::metrics::Metrics;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use router::{Served, router};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use wardein_engine::Engine;

/// Serves until the task is ended; it says that it is not ready from the stop on. Not by axum's own `serve`, which bounds neither
/// connections nor their time.
pub(crate) async fn serve(
    listener: TcpListener,
    engine: Arc<Engine>,
    metrics: Arc<Metrics>,
    stopping: watch::Receiver<bool>,
) {
    let router = TowerToHyperService::new(router(Served { engine, metrics, stopping }));
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let router = router.clone();
        tokio::spawn(async move {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIME)
                .max_buf_size(16 * 1024)
                .serve_connection(TokioIo::new(stream), router);
            // A connection's failure concerns only its peer.
            drop(tokio::time::timeout(CONNECTION_TIME, connection).await);
            drop(place);
        });
    }
}

const CONNECTIONS: usize = 64;
const HEADER_TIME: Duration = Duration::from_secs(5);
const CONNECTION_TIME: Duration = Duration::from_secs(300);
