//! How often a peer may call: a token bucket for each, as GCRA (ITU-T I.371): one number a peer.
//!
//! Own code rather than the crate `governor`: its keyed limiter forgets peers only when asked to, so that addresses that call
//! once would fill the memory; here the number of peers is bounded, and the whole is a map and a comparison.

use crate::config::Rate;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Buckets of one rate, by peer.
pub(crate) struct Buckets<K> {
    rate: Rate,
    start: Instant,
    hasher: RandomState,
    shards: Vec<Mutex<Shard<K>>>,
}

/// A part of the peers: when each is due, in nanoseconds.
struct Shard<K> {
    due: HashMap<K, u64>,
    swept: Option<u64>,
}

impl<K: Hash + Eq> Buckets<K> {
    pub(crate) fn new(rate: Rate) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::new(Shard { due: HashMap::new(), swept: None })).collect();
        Self { rate, start: Instant::now(), hasher: RandomState::new(), shards }
    }

    /// Takes one call of `peer`, if it has one left.
    pub(crate) fn take(&self, peer: K) -> bool {
        self.reserve(peer, 1, Duration::ZERO).is_some()
    }

    /// Takes a call of `peer` that counts for `cost`, if it has one left or will have one within `patience`; how long that is. What it costs
    /// beyond one is paid by the calls behind it, so that a burst that is smaller keeps nobody out.
    pub(crate) fn reserve(&self, peer: K, cost: u32, patience: Duration) -> Option<Duration> {
        if self.rate.per_second == 0 {
            return Some(Duration::ZERO);
        }
        self.reserve_at(peer, cost, patience, self.start.elapsed())
    }

    fn reserve_at(&self, peer: K, cost: u32, patience: Duration, now: Duration) -> Option<Duration> {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let interval = 1_000_000_000 / u64::from(self.rate.per_second.max(1));
        let tolerance = interval * u64::from(self.rate.burst.max(1) - 1);
        let shard = self.hasher.hash_one(&peer) as usize % SHARDS;
        let shard = self.shards.get(shard)?;
        // A poisoned map still has nothing but numbers in it.
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if shard.due.len() >= MAX_PEERS / SHARDS && !shard.due.contains_key(&peer) && !shard.sweep(now) {
            return None;
        }
        let due = shard.due.entry(peer).or_insert(now);
        let from = (*due).max(now);
        let wait = (from - now).saturating_sub(tolerance);
        let wait = Duration::from_nanos(wait);
        if wait > patience {
            return None;
        }
        *due = from.saturating_add(interval.saturating_mul(u64::from(cost)));
        Some(wait)
    }
}

impl<K: Hash + Eq> Shard<K> {
    /// Forgets callers with a full bucket, as if they had never called; at most once a second, so that a flood of new peers does
    /// not turn each of its calls into a walk over all. Whether there is room then.
    fn sweep(&mut self, now: u64) -> bool {
        if self.swept.is_none_or(|swept| now >= swept + SWEEP_INTERVAL) {
            self.swept = Some(now);
            self.due.retain(|_, due| *due > now);
        }
        self.due.len() < MAX_PEERS / SHARDS
    }
}

/// Buckets by address: one for its network, and one of [`SITE`] times as much for the site that this belongs to.
pub(crate) struct Addresses {
    networks: Buckets<IpAddr>,
    sites: Buckets<IpAddr>,
}

impl Addresses {
    pub(crate) fn new(rate: Rate) -> Self {
        let times = |count: u32| count.saturating_mul(SITE as u32);
        let of_site = Rate { per_second: times(rate.per_second), burst: times(rate.burst) };
        Self { networks: Buckets::new(rate), sites: Buckets::new(of_site) }
    }

    /// Takes one call from `address`, if its network and its site have one left.
    pub(crate) fn take(&self, address: IpAddr) -> bool {
        self.networks.take(address_key(address)) && site_key(address).is_none_or(|site| self.sites.take(site))
    }
}

/// How many networks' worth a site has: /56 is what a subscriber is given, 256 networks to use as it likes (RFC 6177 §2).
pub(crate) const SITE: usize = 2;

/// The site of an IPv6 address, its first 56 bits. An IPv4 address is all that its peer has.
pub(crate) fn site_key(address: IpAddr) -> Option<IpAddr> {
    match address.to_canonical() {
        IpAddr::V6(v6) => Some(IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 72 << 72))),
        IpAddr::V4(_) => None,
    }
}

/// The key of a peer: of an IPv6 address its first 64 bits, for the rest is the peer's to choose (RFC 4291 §2.5.4).
pub(crate) fn address_key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

const SHARDS: usize = 16;
const SWEEP_INTERVAL: u64 = 1_000_000_000;
const MAX_PEERS: usize = 1 << 18;

#[cfg(test)]
mod tests {
    use super::*;

    impl<K: Hash + Eq> Buckets<K> {
        fn take_at(&self, peer: K, now: Duration) -> bool {
            self.reserve_at(peer, 1, Duration::ZERO, now).is_some()
        }
    }

    #[test]
    fn what_comes_too_early_may_wait_for_its_turn() {
        let buckets = Buckets::new(Rate { per_second: 10, burst: 2 });
        let reserve = |patience| {
            let wait = buckets.reserve_at("peer", 1, Duration::from_millis(patience), Duration::ZERO);
            wait.map(|wait| wait.as_millis())
        };
        assert_eq!([reserve(0), reserve(0)], [Some(0), Some(0)]);
        assert_eq!([reserve(0), reserve(99)], [None, None], "the third is due in 100 ms");
        assert_eq!([reserve(100), reserve(200)], [Some(100), Some(200)], "each behind the one before");
        assert_eq!(reserve(200), None, "those that were refused took no turn");
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let buckets = Buckets::new(Rate { per_second: 10, burst: 3 });
        let at = |ms| buckets.take_at("peer", Duration::from_millis(ms));
        assert_eq!([at(0), at(0), at(0), at(0)], [true, true, true, false]);
        assert_eq!([at(99), at(100), at(100), at(200)], [false, true, false, true]);
        assert!(buckets.take_at("another", Duration::ZERO));
        assert_eq!([at(10_000), at(10_000), at(10_000), at(10_000)], [true, true, true, false]);
    }

    #[test]
    fn what_costs_more_is_paid_by_the_calls_behind_it() {
        let buckets = Buckets::new(Rate { per_second: 10, burst: 1 });
        let take =
            |cost, ms| buckets.reserve_at("peer", cost, Duration::ZERO, Duration::from_millis(ms)).is_some();
        assert_eq!(
            [take(6, 0), take(1, 599), take(6, 600), take(6, 1_199), take(1, 1_200)],
            [true, false, true, false, true]
        );
    }

    #[test]
    fn without_a_rate_there_is_no_bound() {
        let buckets = Buckets::new(Rate { per_second: 0, burst: 1 });
        assert!((0..100).all(|_| buckets.take("peer")));
    }

    #[test]
    fn peers_are_bounded_and_forgotten_when_their_bucket_is_full_again() {
        let buckets = Buckets::new(Rate { per_second: 1, burst: 1 });
        let taken = (0..2 * MAX_PEERS).filter(|peer| buckets.take_at(*peer, Duration::ZERO)).count();
        assert_eq!(taken, MAX_PEERS);
        assert!(!buckets.take_at(usize::MAX, Duration::ZERO));
        assert!(buckets.take_at(usize::MAX, Duration::from_secs(2)));
    }

    #[test]
    fn an_ipv6_peer_is_its_network_and_a_mapped_one_its_ipv4_address() {
        let key = |text: &str| address_key(text.parse().unwrap());
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:2"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
    }

    #[test]
    fn the_networks_of_a_site_share_twice_what_one_has() {
        let addresses = Addresses::new(Rate { per_second: 1, burst: 3 });
        let take = |text: &str| (0..9).filter(|_| addresses.take(text.parse().unwrap())).count();
        assert_eq!(take("2001:db8:0:100::1"), 3);
        assert_eq!(take("2001:db8:0:1ff::1"), 3);
        assert_eq!(take("2001:db8:0:180::1"), 0);
        assert_eq!(take("2001:db8:0:200::1"), 3);
        assert_eq!([take("192.0.2.1"), take("192.0.2.2"), take("192.0.2.3")], [3, 3, 3]);
    }
}
