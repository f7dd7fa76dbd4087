//! Connections: taken by one thread, bounded, and dealt out in turn to runtimes of one core each.
//!
//! Dealt out rather than each runtime listening by SO_REUSEPORT: the kernel chooses by a hash, and the few connections of a
//! platform that carry all the load may all fall to one core.

use super::places::{Place, Places};
use crate::edge::flood::{Floods, Kind};
use crate::edge::metrics::Metrics;
use std::net::{SocketAddr, TcpStream as StdStream};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// A connection that was taken, on its way to a runtime.
pub(crate) struct Taken {
    pub(crate) stream: StdStream,
    pub(crate) address: SocketAddr,
    pub(crate) place: Place,
}

/// Takes connections forever.
pub(crate) async fn take(
    listener: TcpListener,
    places: Arc<Places>,
    (metrics, floods): (&Metrics, &Floods),
    workers: Vec<mpsc::Sender<Taken>>,
) {
    for worker in workers.iter().cycle() {
        let taken = loop {
            match listener.accept().await {
                Ok((stream, address)) => match places.clone().enter(address.ip()) {
                    Ok(place) => match stream.into_std() {
                        Ok(stream) => break Taken { stream, address, place },
                        Err(error) => tracing::warn!(%error, "a connection was lost"),
                    },
                    Err(reason) => {
                        metrics.rejected(reason);
                        tracing::debug!(%address, reason, "connection refused");
                    }
                },
                Err(error) => {
                    // Out of file descriptors, mostly. Others may be closed in a moment; spinning would not help them.
                    if floods.is_first(Kind::Accept, || error.to_string()) {
                        tracing::warn!(%error, "no connection could be accepted");
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        };
        if let Err(mpsc::error::TrySendError::Full(_)) = worker.try_send(taken) {
            metrics.rejected("backlog");
        }
    }
}
