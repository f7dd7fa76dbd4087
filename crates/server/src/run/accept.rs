//! Connections: taken by one thread, bounded, dealt out in turn to runtimes of one core each, and shaken hands with there.
//!
//! Dealt out rather than each runtime listening by SO_REUSEPORT: the kernel chooses by a hash, and the few connections of a
//! platform that carry all the load may all fall to one core.

use super::stream::PeerStream;
use crate::config::Limits;
use crate::edge::flood::{Floods, Kind};
use crate::edge::metrics::Metrics;
use crate::edge::rate::address_key;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream as StdStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use wardein_domain::TrustDomain;

/// A connection that was taken, on its way to a runtime.
pub(crate) struct Taken {
    stream: StdStream,
    address: SocketAddr,
    slot: Slot,
}

/// Takes connections forever.
pub(crate) async fn take(
    listener: TcpListener,
    slots: Arc<Slots>,
    floods: Arc<Floods>,
    workers: Vec<mpsc::Sender<Taken>>,
) {
    for worker in workers.iter().cycle() {
        let taken = loop {
            match listener.accept().await {
                Ok((stream, address)) => match slots.clone().enter(address.ip()) {
                    Ok(slot) => match stream.into_std() {
                        Ok(stream) => break Taken { stream, address, slot },
                        Err(error) => tracing::warn!(%error, "a connection was lost"),
                    },
                    Err(reason) => {
                        slots.metrics.rejected(reason);
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
            slots.metrics.rejected("backlog");
        }
    }
}

/// Makes the handshakes of accepted connections, many at a time, and passes on those ready to serve.
pub(crate) async fn shake_hands(
    mut taken: mpsc::Receiver<Taken>,
    ready: mpsc::Sender<io::Result<PeerStream>>,
    tls: TlsAcceptor,
    domain: Arc<TrustDomain>,
    limits: Limits,
    (metrics, floods): (Arc<Metrics>, Arc<Floods>),
) {
    while let Some(Taken { stream, address, slot }) = taken.recv().await {
        let (ready, tls, domain) = (ready.clone(), tls.clone(), domain.clone());
        let (metrics, floods) = (metrics.clone(), floods.clone());
        tokio::spawn(async move {
            let handshake = async {
                let stream = TcpStream::from_std(stream)?;
                stream.set_nodelay(true)?;
                tls.accept(stream).await
            };
            match tokio::time::timeout(limits.handshake_time, handshake).await {
                // A closed channel means that the server stops.
                Ok(Ok(stream)) => drop(ready.send(Ok(PeerStream::new(stream, address, slot, &domain))).await),
                Ok(Err(error)) => {
                    metrics.rejected("handshake");
                    if floods.is_first(Kind::Handshake, || format!("{address}: {error}")) {
                        tracing::info!(peer = %address, %error, "handshake refused");
                    } else {
                        tracing::debug!(peer = %address, %error, "handshake refused");
                    }
                }
                Err(_) => metrics.rejected("handshake-timeout"),
            }
        });
    }
}

/// The places for connections: so many in all, and so many for one address.
pub(crate) struct Slots {
    all: usize,
    per_address: usize,
    metrics: Arc<Metrics>,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

impl Slots {
    pub(crate) fn new(limits: &Limits, metrics: Arc<Metrics>) -> Arc<Self> {
        let (all, per_address) = (limits.connections, limits.connections_per_address);
        Arc::new(Self { all, per_address, metrics, open: Mutex::default() })
    }

    fn enter(self: Arc<Self>, address: IpAddr) -> Result<Slot, &'static str> {
        let address = address_key(address);
        {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            if open.all >= self.all {
                return Err("connections");
            }
            let of_address = open.by_address.entry(address).or_insert(0);
            if *of_address >= self.per_address {
                return Err("connections-of-address");
            }
            *of_address += 1;
            open.all += 1;
        }
        self.metrics.opened();
        Ok(Slot { slots: self, address })
    }
}

/// One connection's place, free again when this is dropped.
pub(crate) struct Slot {
    slots: Arc<Slots>,
    address: IpAddr,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.slots.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all -= 1;
        if let Some(of_address) = open.by_address.get_mut(&self.address) {
            *of_address -= 1;
            if *of_address == 0 {
                open.by_address.remove(&self.address);
            }
        }
        self.slots.metrics.closed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_in_all_and_by_address_and_come_back() {
        let limits = Limits { connections: 3, connections_per_address: 2, ..Limits::default() };
        let slots = Slots::new(&limits, Arc::new(Metrics::new().unwrap()));
        let enter = |text: &str| slots.clone().enter(text.parse().unwrap());
        let (first, _second) = (enter("192.0.2.1").ok(), enter("192.0.2.1").ok().unwrap());
        assert_eq!(enter("192.0.2.1").err(), Some("connections-of-address"));
        let _third = enter("192.0.2.2").ok().unwrap();
        assert_eq!(enter("192.0.2.3").err(), Some("connections"));
        drop(first);
        assert!(enter("192.0.2.1").is_ok());
    }
}
