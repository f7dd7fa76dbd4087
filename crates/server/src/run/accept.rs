//! Connections: taken by one thread, bounded, and dealt out in turn to runtimes of one thread each. Those that prove to be an
//! operator's are dealt out again, to runtimes that serve no others: what anybody may send at will (HTTP/2 bounds neither PING nor
//! SETTINGS nor streams that are reset) then takes turns with operators by the system's scheduler, which no peer can hold up.
//!
//! Dealt out rather than each runtime listening by SO_REUSEPORT: the kernel chooses by a hash, and the few connections of a
//! platform that carry all the load may all fall to one core.

use super::places::{Place, Places};
use crate::edge::flood::{Floods, Kind};
use crate::edge::metrics::Metrics;
use std::net::{SocketAddr, TcpStream as StdStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// A connection that was taken, on its way to a runtime.
pub(crate) struct Taken {
    pub(crate) stream: StdStream,
    pub(crate) address: SocketAddr,
    pub(crate) place: Place,
}

/// Runtimes that are dealt something in turn.
pub(crate) struct Turns<T>(Arc<Inner<T>>);

struct Inner<T> {
    next: AtomicUsize,
    workers: Vec<mpsc::Sender<T>>,
}

impl<T> Clone for Turns<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Turns<T> {
    pub(crate) fn new(workers: Vec<mpsc::Sender<T>>) -> Self {
        Self(Arc::new(Inner { next: AtomicUsize::new(0), workers }))
    }

    /// Deals it to the next one. An error where that one has too many that wait, or has ended.
    pub(crate) fn deal(&self, what: T) -> Result<(), mpsc::error::TrySendError<T>> {
        let Inner { next, workers } = &*self.0;
        workers[next.fetch_add(1, Ordering::Relaxed) % workers.len()].try_send(what)
    }
}

/// Takes connections forever.
pub(crate) async fn take(
    listener: TcpListener,
    places: Arc<Places>,
    (metrics, floods): (&Metrics, &Floods),
    workers: Turns<Taken>,
) {
    loop {
        let taken = match listener.accept().await {
            Ok((stream, address)) => match places.clone().enter(address.ip()) {
                Ok(place) => match stream.into_std() {
                    Ok(stream) => Taken { stream, address, place },
                    Err(error) => {
                        tracing::warn!(%error, "a connection was lost");
                        continue;
                    }
                },
                Err(reason) => {
                    metrics.rejected(reason);
                    tracing::debug!(%address, reason, "connection refused");
                    continue;
                }
            },
            Err(error) => {
                // Out of file descriptors, mostly. Others may be closed in a moment; spinning would not help them.
                if floods.is_first(Kind::Accept, || error.to_string()) {
                    tracing::warn!(%error, "no connection could be accepted");
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        if workers.deal(taken).is_err() {
            metrics.rejected("backlog");
        }
    }
}
