//! The certificates that are revoked, by the CA that issued them: what revocation lists and answers about single certificates are made
//! from.
//!
//! A certificate that is revoked by itself is here as soon as its change is projected, at the same cost however many there are. Rules,
//! the states of devices and eras of the clock revoke certificates that only the store knows: who projects such a change notes where
//! to look, and [`super::Memory::expand_revocations`] looks there, off the path of every request.

use crate::rows::RevokedRow;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use wardein_ddkg::DeviceName;
use wardein_domain::{Reason, RevocationReason, Serial, TenantId, UnixSeconds};
use wardein_pki::RevokedCertificate;

/// When and why a certificate counts as revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// Unix seconds.
    pub at: u64,
    /// Why, by the word of RFC 5280. A hold may be released.
    pub code: RevocationReason,
    /// Why, in the words of who did it.
    pub reason: Reason,
}

/// The index.
#[derive(Default)]
pub(super) struct RevokedCertificates(RwLock<Index>);

#[derive(Default)]
struct Index {
    /// By the key identifiers of the CAs.
    cas: HashMap<[u8; 20], OfCa>,
    /// Where certificates are to be looked at, from which time on.
    due: HashMap<Place, UnixSeconds>,
}

#[derive(Default)]
struct OfCa {
    /// Those that are revoked by themselves.
    single: BTreeMap<Serial, Known>,
    /// Those that a rule, the state of their device or an era of the clock revokes.
    derived: BTreeMap<Serial, Entry>,
    /// Rises when either changes.
    changes: u64,
}

struct Known {
    /// The version of the row.
    version: u64,
    entry: Entry,
    is_released: bool,
}

/// A certificate that is revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) at: UnixSeconds,
    pub(crate) code: RevocationReason,
    pub(super) not_after: UnixSeconds,
}

/// A part of the certificates on record.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Place {
    Device(DeviceName),
    Tenant(TenantId),
    All,
}

impl RevokedCertificates {
    /// Applies the row of one certificate, unless a later version is known.
    pub(super) fn put(&self, serial: Serial, version: u64, row: &RevokedRow) {
        let entry = Entry { at: row.at, code: row.code, not_after: row.not_after };
        let known = Known { version, entry, is_released: row.is_released };
        let mut index = self.write();
        let of_ca = index.cas.entry(row.ca).or_default();
        if of_ca.single.get(&serial).is_none_or(|present| present.version < version) {
            of_ca.single.insert(serial, known);
            of_ca.changes += 1;
        }
    }

    /// Notes that the certificates there are to be looked at.
    pub(super) fn look_at(&self, place: Place) {
        self.write().due.insert(place, UnixSeconds::default());
    }

    /// Where to look now. A certificate may be about to go on record while its rule is made, by a decision that knew nothing of it: it is
    /// looked for a second time.
    pub(super) fn take_due(&self, now: UnixSeconds) -> Vec<Place> {
        let mut index = self.write();
        let due: Vec<_> =
            index.due.iter().filter(|(_, at)| **at <= now).map(|(place, _)| place.clone()).collect();
        for place in &due {
            let is_first = index.due.remove(place) == Some(UnixSeconds::default());
            if is_first {
                index.due.insert(place.clone(), now.plus(wardein_domain::Seconds::new(LOOKED_AT_AGAIN)));
            }
        }
        due
    }

    pub(super) fn derive(&self, ca: [u8; 20], serial: Serial, entry: Option<Entry>) {
        let mut index = self.write();
        let of_ca = index.cas.entry(ca).or_default();
        let before = match entry {
            Some(entry) => of_ca.derived.insert(serial, entry),
            None => of_ca.derived.remove(&serial),
        };
        if before != entry {
            of_ca.changes += 1;
        }
    }

    pub(super) fn find(&self, ca: &[u8; 20], serial: &Serial) -> Option<Entry> {
        let index = self.read();
        let of_ca = index.cas.get(ca)?;
        stricter(of_ca.single(serial), of_ca.derived.get(serial).copied())
    }

    /// The next of a CA's revoked certificates after `after`, in order of their serials, and where they end. A part at a time, so that
    /// nobody who revokes waits for a long list.
    pub(super) fn some(
        &self,
        ca: &[u8; 20],
        after: Option<Serial>,
        now: UnixSeconds,
    ) -> (Vec<RevokedCertificate>, Option<Serial>) {
        let index = self.read();
        let Some(of_ca) = index.cas.get(ca) else { return (Vec::new(), None) };
        let from = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let single = of_ca.single.range(from).take(CHUNK).map(|(serial, _)| *serial);
        let derived = of_ca.derived.range(from).take(CHUNK).map(|(serial, _)| *serial);
        let mut serials: Vec<_> = single.chain(derived).collect();
        serials.sort_unstable();
        serials.dedup();
        serials.truncate(CHUNK);
        let last = serials.last().copied();
        let listed = serials.into_iter().filter_map(|serial| {
            let derived = of_ca.derived.get(&serial).copied();
            let entry = stricter(of_ca.single(&serial), derived).filter(|entry| entry.is_listed(now))?;
            // One that a clock that ran ahead revoked is revoked now: verifiers pass over a date to come.
            Some(RevokedCertificate { serial, at: entry.at.min(now).get(), reason: entry.code })
        });
        (listed.collect(), last)
    }

    pub(super) fn forget_expired(&self, now: UnixSeconds) {
        for of_ca in self.write().cas.values_mut() {
            of_ca.single.retain(|_, known| known.entry.is_listed(now));
            of_ca.derived.retain(|_, entry| entry.is_listed(now));
        }
    }

    #[cfg(test)]
    pub(super) fn dump(&self) -> Vec<String> {
        let index = self.0.read().unwrap();
        let mut lines = Vec::new();
        for (ca, of_ca) in &index.cas {
            for (serial, Known { version, entry, is_released }) in &of_ca.single {
                lines.push(format!("revoked {ca:02x?} {serial} at {version}: {entry:?} {is_released}"));
            }
        }
        lines
    }

    /// Rises when the list of that CA's revoked certificates changes.
    pub(super) fn changes(&self, ca: &[u8; 20]) -> u64 {
        self.read().cas.get(ca).map_or(0, |of_ca| of_ca.changes)
    }

    fn read(&self) -> RwLockReadGuard<'_, Index> {
        // Each change of it is one step.
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn is_listed(&self, now: UnixSeconds) -> bool {
        self.not_after.get().saturating_add(LISTED_AFTER_END) > now.get()
    }
}

impl OfCa {
    fn single(&self, serial: &Serial) -> Option<Entry> {
        self.single.get(serial).filter(|known| !known.is_released).map(|known| known.entry)
    }
}

/// What cannot be released counts before what can.
fn stricter(one: Option<Entry>, other: Option<Entry>) -> Option<Entry> {
    match (one, other) {
        (Some(one), Some(other)) if one.code.is_hold() && !other.code.is_hold() => Some(other),
        (one, other) => one.or(other),
    }
}

/// Seconds after which a place is looked at again: longer than a certificate waits for a signer in another process.
const LOOKED_AT_AGAIN: u64 = 660;

/// Seconds: two days, twice as long as the longest time between two lists.
pub(super) const LISTED_AFTER_END: u64 = 2 * 86_400;

/// Entries that are taken of the index at a time.
const CHUNK: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    const CA: [u8; 20] = [9; 20];

    fn serial(number: u32) -> Serial {
        let mut bytes = [0; 16];
        bytes[1..5].copy_from_slice(&number.to_be_bytes());
        Serial::from_random(bytes)
    }

    fn row(code: RevocationReason, is_released: bool) -> RevokedRow {
        let (at, not_after) = (UnixSeconds::new(100), UnixSeconds::new(1_000));
        RevokedRow { at, reason: "lost".parse().unwrap(), code, ca: CA, not_after, is_released }
    }

    fn all(index: &RevokedCertificates) -> Vec<(Serial, RevocationReason)> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let (some, last) = index.some(&CA, after, UnixSeconds::new(500));
            all.extend(some.into_iter().map(|one| (one.serial, one.reason)));
            match last {
                Some(last) => after = Some(last),
                None => return all,
            }
        }
    }

    /// A list is read in parts: none is left out or comes twice, of either kind.
    #[test]
    fn a_list_of_many_parts_is_whole_and_in_order() {
        let index = RevokedCertificates::default();
        let entry = Entry {
            at: UnixSeconds::new(7),
            code: RevocationReason::Superseded,
            not_after: UnixSeconds::new(1_000),
        };
        let count = 3 * CHUNK as u32 + 17;
        for number in 0..count {
            // By themselves, by a rule, by both.
            if number % 3 != 0 {
                index.put(serial(number), 1, &row(RevocationReason::CertificateHold, false));
            }
            if number % 3 != 1 {
                index.derive(CA, serial(number), Some(entry));
            }
        }
        let expected = |number| match number % 3 {
            1 => RevocationReason::CertificateHold,
            _ => RevocationReason::Superseded,
        };
        let expected: Vec<_> = (0..count).map(|number| (serial(number), expected(number))).collect();
        assert_eq!(all(&index), expected);
    }

    #[test]
    fn the_later_version_of_a_row_counts_in_whatever_order_they_come() {
        for versions in [[1, 2], [2, 1]] {
            let index = RevokedCertificates::default();
            for version in versions {
                index.put(serial(1), version, &row(RevocationReason::CertificateHold, version == 2));
            }
            assert_eq!(all(&index), [], "{versions:?}");
            assert_eq!(index.find(&CA, &serial(1)), None);
        }
    }

    #[test]
    fn places_are_looked_at_twice() {
        let index = RevokedCertificates::default();
        let at = UnixSeconds::new;
        assert_eq!(index.take_due(at(10_000)), []);
        index.look_at(Place::All);
        assert_eq!(index.take_due(at(10_000)), [Place::All]);
        assert_eq!(index.take_due(at(10_000 + LOOKED_AT_AGAIN - 1)), []);
        assert_eq!(index.take_due(at(10_000 + LOOKED_AT_AGAIN)), [Place::All]);
        assert_eq!(index.take_due(at(u64::MAX)), []);
    }

    /// What one more costs where so many are revoked:
    /// `cargo test --release -p wardein-engine --lib revoked::tests::cost -- --ignored --nocapture`.
    #[test]
    #[ignore = "a measurement"]
    fn cost() {
        let index = RevokedCertificates::default();
        let row = row(RevocationReason::KeyCompromise, false);
        let mut next = 0_u32;
        for count in [0_u32, 100_000, 1_000_000] {
            while next < count {
                index.put(serial(next.wrapping_mul(0x9e37_79b1)), 1, &row);
                next += 1;
            }
            let started = Instant::now();
            for _ in 0..1_000 {
                index.put(serial(next.wrapping_mul(0x9e37_79b1)), 1, &row);
                next += 1;
            }
            let one = started.elapsed() / 1_000;
            let started = Instant::now();
            let listed = all(&index).len();
            eprintln!(
                "{count} revoked: one more takes {one:?}; a list of {listed} is read in {:?}",
                started.elapsed()
            );
        }
    }
}
