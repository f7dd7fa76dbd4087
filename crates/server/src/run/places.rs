//! The places for connections: so many in all, so many for one address, and a quarter for operators alone.
//!
//! Who is an operator is known after the handshake only. So nobody waits at the door: when the places are full, the oldest
//! connection that is no operator's makes room, and an operator's keeps its place from its handshake on.

use crate::config::{LEAVING, Limits};
use crate::edge::line::{Line, Used};
use crate::edge::metrics::Metrics;
use crate::edge::rate::{SITE, address_key, site_key};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A network, or a site, with how many networks' worth it has: a site's address is also that of its first network.
type Network = (IpAddr, usize);

/// The places.
pub(crate) struct Places {
    all: usize,
    per_address: usize,
    metrics: Arc<Metrics>,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    /// Each connection has a number; a lower one is older.
    next: u64,
    anybodys: BTreeMap<u64, Arc<Line>>,
    operators: BTreeMap<u64, Arc<Line>>,
    /// Connections, those included that are to end and have not yet.
    all: usize,
    by_network: HashMap<Network, (usize, Arc<Used>)>,
    is_stopping: bool,
}

impl Places {
    pub(crate) fn new(limits: &Limits, metrics: Arc<Metrics>) -> Arc<Self> {
        let (all, per_address) = (limits.connections, limits.connections_per_address);
        Arc::new(Self { all, per_address, metrics, taken: Mutex::default() })
    }

    /// A place for a connection from `address`, or why there is none.
    pub(crate) fn enter(self: Arc<Self>, address: IpAddr) -> Result<Place, &'static str> {
        let network = Some((address_key(address), 1));
        let site = site_key(address).map(|site| (site, SITE));
        let networks: Vec<Network> = [network, site].into_iter().flatten().collect();
        let (number, line) = {
            let mut taken = self.taken();
            let is_full = |network: &Network| {
                let most = self.per_address * network.1;
                taken.by_network.get(network).is_some_and(|(count, _)| *count >= most)
            };
            if networks.iter().any(is_full) {
                return Err("connections-of-address");
            }
            if taken.is_stopping || taken.all >= self.all + LEAVING {
                return Err("connections");
            }
            let most =
                Limits::open_share(self.all).min(self.all.saturating_sub(taken.operators.len())).max(1);
            if taken.anybodys.len() >= most
                && let Some((_, oldest)) = taken.anybodys.pop_first()
            {
                oldest.cut();
                self.metrics.rejected("shed");
            }
            let used = networks.iter().map(|network| {
                let (count, used) = taken
                    .by_network
                    .entry(*network)
                    .or_insert_with(|| (0, Arc::new(Used { share: network.1, ..Used::default() })));
                *count += 1;
                used.clone()
            });
            let line = Arc::new(Line::new(used.collect()));
            taken.all += 1;
            let number = taken.next;
            taken.next += 1;
            taken.anybodys.insert(number, line.clone());
            (number, line)
        };
        self.metrics.opened();
        Ok(Place { places: self, number, networks, line })
    }

    /// Asks every connection to finish its calls and end, and takes no more.
    pub(crate) fn stop(&self) {
        let mut taken = self.taken();
        taken.is_stopping = true;
        taken.anybodys.values().chain(taken.operators.values()).for_each(|line| line.go());
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        // Nothing in it is ever half done.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection's place, free again when this is dropped.
pub(crate) struct Place {
    places: Arc<Places>,
    number: u64,
    networks: Vec<Network>,
    pub(crate) line: Arc<Line>,
}

impl Place {
    /// It is an operator's from now on: it makes room for nobody.
    pub(crate) fn is_operators(&self) {
        let mut taken = self.places.taken();
        if let Some(line) = taken.anybodys.remove(&self.number) {
            taken.operators.insert(self.number, line);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all -= 1;
        taken.anybodys.remove(&self.number);
        taken.operators.remove(&self.number);
        for network in &self.networks {
            if let Some((count, _)) = taken.by_network.get_mut(network) {
                *count -= 1;
                if *count == 0 {
                    taken.by_network.remove(network);
                }
            }
        }
        self.places.metrics.closed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::line::Asked;
    use futures_util::FutureExt;

    fn places(
        connections: usize,
        connections_per_address: usize,
    ) -> impl Fn(&str) -> Result<Place, &'static str> {
        let limits = Limits { connections, connections_per_address, ..Limits::default() };
        let places = Places::new(&limits, Arc::new(Metrics::new().unwrap()));
        move |address| places.clone().enter(address.parse().unwrap())
    }

    fn is_cut(place: &Place) -> bool {
        place.line.asked().now_or_never() == Some(Asked::Cut)
    }

    #[test]
    fn an_address_has_so_many_and_they_come_back() {
        let enter = places(100, 2);
        let (first, _second) = (enter("192.0.2.1").ok().unwrap(), enter("192.0.2.1").ok().unwrap());
        assert_eq!(enter("192.0.2.1").err(), Some("connections-of-address"));
        let _third = enter("192.0.2.2").ok().unwrap();
        drop(first);
        assert!(enter("192.0.2.1").is_ok());
    }

    #[test]
    fn the_networks_of_a_site_have_twice_as_many_as_one_of_them() {
        let enter = places(100, 2);
        let held: Vec<_> =
            (0..9).flat_map(|net| (0..3).map(move |_| format!("2001:db8:0:10{net}::1"))).collect();
        let held: Vec<_> = held.iter().filter_map(|address| enter(address).ok()).collect();
        assert_eq!(held.len(), 4);
        assert!(enter("2001:db8:0:200::1").is_ok());
    }

    #[test]
    fn the_oldest_that_is_no_operators_makes_room_and_a_quarter_is_operators_alone() {
        let enter = places(8, 100);
        let held: Vec<_> = (0..6).map(|_| enter("192.0.2.1").ok().unwrap()).collect();
        held[0].is_operators();
        let _one_more = enter("192.0.2.1").ok().unwrap();
        assert!(!held.iter().any(is_cut));
        let _another = enter("192.0.2.1").ok().unwrap();
        assert_eq!(held.iter().map(is_cut).collect::<Vec<_>>(), [false, true, false, false, false, false]);
        for place in &held[2..5] {
            place.is_operators();
        }
        // Four are operators', four are anybody's.
        let _last: Vec<_> = (0..2).map(|_| enter("192.0.2.1").ok().unwrap()).collect();
        assert_eq!(held.iter().map(is_cut).collect::<Vec<_>>(), [false, false, false, false, false, true]);
    }
}
