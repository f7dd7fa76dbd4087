//! Operators on record, and how many places of its quota each station took.

use super::Memory;
use crate::kernel::Error;
use crate::rows::{OperatorRow, PlaceRow};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use wardein_ddkg::DeviceName;
use wardein_domain::{Principal, Serial, UnixSeconds};

/// An operator as its row has it.
#[derive(Clone)]
pub(crate) struct KnownOperator {
    /// The version of the row.
    pub(crate) version: u64,
    pub(crate) principal: Principal,
    pub(crate) not_after: UnixSeconds,
    pub(crate) is_revoked: bool,
    pub(crate) quota: u64,
}

#[derive(Default)]
pub(super) struct Operators(RwLock<HashMap<Serial, Entry>>);

struct Entry {
    known: KnownOperator,
    /// Places of its quota that devices on record took. They are counted in memory, and again at the start: one row that every
    /// enrollment wrote would make enrollments wait for each other.
    used: u64,
    /// Devices that are being enrolled.
    reserved: HashSet<DeviceName>,
}

/// A place of a station's quota, reserved for a device that is being enrolled. It is free again when this is dropped, unless it is on
/// record by then.
pub(crate) struct QuotaPlace {
    memory: Arc<Memory>,
    station: Serial,
    device: DeviceName,
}

impl KnownOperator {
    pub(super) fn new(serial: Serial, version: u64, row: OperatorRow) -> Self {
        let principal = row.principal(serial);
        let OperatorRow { not_after, revoked, quota, .. } = row;
        Self { version, principal, not_after, is_revoked: revoked.is_some(), quota }
    }
}

impl Operators {
    pub(super) fn get(&self, serial: &Serial) -> Option<KnownOperator> {
        self.read().get(serial).map(|entry| entry.known.clone())
    }

    #[cfg(test)]
    pub(super) fn dump(&self) -> Vec<String> {
        let line = |entry: &Entry| {
            let KnownOperator { version, principal, not_after, is_revoked, quota } = &entry.known;
            let (used, reserved) = (entry.used, entry.reserved.len());
            format!(
                "operator {principal} at {version}: {not_after:?} revoked {is_revoked}, quota {quota}: {used} and {reserved}"
            )
        };
        self.read().values().map(line).collect()
    }

    pub(super) fn used(&self, serial: &Serial) -> u64 {
        self.read().get(serial).map_or(0, |entry| entry.used)
    }

    /// Applies an operator, unless a later version is known.
    pub(super) fn put(&self, known: KnownOperator) {
        let mut all = self.write();
        match all.get_mut(&known.principal.serial) {
            Some(entry) if entry.known.version < known.version => entry.known = known,
            Some(_) => {}
            None => {
                let entry = Entry { used: 0, reserved: HashSet::new(), known };
                all.insert(entry.known.principal.serial, entry);
            }
        }
    }

    /// Counts the places that a device took, in the place of those that it had taken before.
    pub(super) fn count(&self, device: &DeviceName, before: &[PlaceRow], after: &[PlaceRow]) {
        let of = |places: &[PlaceRow], station: &Serial| {
            let places = places.iter().filter(|place| place.station == *station);
            places.map(|place| u64::from(place.count)).sum::<u64>()
        };
        let mut all = self.write();
        for PlaceRow { station, .. } in after {
            let (was, is) = (of(before, station), of(after, station));
            if was != is
                && let Some(entry) = all.get_mut(station)
            {
                entry.reserved.remove(device);
                entry.used = (entry.used + is).saturating_sub(was);
            }
        }
    }

    pub(super) fn reserve(&self, station: &Serial, device: &DeviceName) -> Result<(), Error> {
        let mut all = self.write();
        let entry = all.get_mut(station).ok_or_else(Error::not_on_record)?;
        let taken = entry.used + entry.reserved.len() as u64;
        // The same device twice at a time takes one place.
        if taken >= entry.known.quota && !entry.reserved.contains(device) {
            return Err(Error::quota_exhausted(entry.known.quota));
        }
        entry.reserved.insert(device.clone());
        Ok(())
    }

    pub(super) fn release(&self, station: &Serial, device: &DeviceName) {
        if let Some(entry) = self.write().get_mut(station) {
            entry.reserved.remove(device);
        }
    }

    /// A panic elsewhere cannot leave the map half-changed: each change is one step.
    fn read(&self) -> RwLockReadGuard<'_, HashMap<Serial, Entry>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<Serial, Entry>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QuotaPlace {
    pub(super) fn new(memory: Arc<Memory>, station: Serial, device: DeviceName) -> Self {
        Self { memory, station, device }
    }
}

impl Drop for QuotaPlace {
    fn drop(&mut self) {
        self.memory.release_quota(&self.station, &self.device);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wardein_domain::Role;

    /// A feed that is replayed after a failure brings older versions again.
    #[test]
    fn an_older_version_does_not_undo_a_revocation() {
        let serial = Serial::from_random([7; 16]);
        let principal = Principal { role: Role::Admin, tenant: None, name: "admin".parse().unwrap(), serial };
        let known = |version, is_revoked| KnownOperator {
            version,
            principal: principal.clone(),
            not_after: UnixSeconds::new(9),
            is_revoked,
            quota: 0,
        };
        let operators = Operators::default();
        operators.put(known(1, false));
        operators.put(known(3, true));
        operators.put(known(1, false));
        assert!(operators.get(&serial).is_some_and(|known| known.is_revoked && known.version == 3));
    }
}
