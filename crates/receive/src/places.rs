//! The places for connections: some for strangers in their handshake, so many for one address, and the others for devices that have
//! shown their certificates, so many for each. So a stranger takes nothing from a device that delivers.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use wardein_ddkg::DeviceName;

/// Places of one kind, so many in all and so many for each that takes some.
pub(crate) struct Places<K> {
    all: usize,
    each: usize,
    taken: Mutex<(usize, HashMap<K, usize>)>,
}

/// Handshakes under way.
pub(crate) type Handshakes = Places<IpAddr>;

/// Connections of devices.
pub(crate) type Devices = Places<DeviceName>;

/// One place, free again when this is dropped.
pub(crate) struct Place<K: Hash + Eq> {
    places: Arc<Places<K>>,
    of: K,
}

impl<K: Hash + Eq + Clone> Places<K> {
    pub(crate) fn new(all: usize, each: usize) -> Arc<Self> {
        Arc::new(Self { all, each, taken: Mutex::default() })
    }

    /// A place, if there is one.
    pub(crate) fn enter(self: &Arc<Self>, of: K) -> Option<Place<K>> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, each) = &mut *taken;
        if *all >= self.all || each.get(&of).is_some_and(|count| *count >= self.each) {
            return None;
        }
        *all += 1;
        *each.entry(of.clone()).or_default() += 1;
        Some(Place { places: self.clone(), of })
    }
}

impl<K: Hash + Eq> Drop for Place<K> {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, each) = &mut *taken;
        *all -= 1;
        if let Some(count) = each.get_mut(&self.of) {
            *count -= 1;
            if *count == 0 {
                each.remove(&self.of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_so_many_and_all_together_so_many_and_they_come_back() {
        let places = Handshakes::new(3, 2);
        let of = |last: u8| IpAddr::from([192, 0, 2, last]);
        let (first, _second) = (places.enter(of(1)).unwrap(), places.enter(of(1)).unwrap());
        assert!(places.enter(of(1)).is_none(), "one has two");
        let third = places.enter(of(2)).unwrap();
        assert!(places.enter(of(3)).is_none(), "all have three");
        drop(first);
        assert!(places.enter(of(1)).is_some());
        drop(third);
        assert_eq!(places.taken.lock().unwrap().1.len(), 1, "nothing is kept of who has gone");
    }
}
