//! Where devices are on the status lists.

use super::memory::Memory;
use crate::kernel::Error;
use crate::rows::{self, StatusPlaceRow};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{PoisonError, RwLock};
use wardein_ddkg::DeviceName;
use wardein_domain::{DeviceId, TenantId};
use wardein_port::Table;

/// The places. Only devices that were named in something signed have one, and none ever loses it.
#[derive(Default)]
pub(super) struct StatusPlaces(RwLock<Places>);

#[derive(Default)]
struct Places {
    devices: HashMap<TenantId, HashMap<DeviceId, StatusPlaceRow>>,
    /// The indices that are taken of each list.
    taken: BTreeMap<u32, HashSet<u32>>,
    /// Devices that got a place since this was asked for last.
    fresh: Vec<DeviceName>,
}

impl StatusPlaces {
    pub(super) fn get(&self, device: &DeviceName) -> Option<StatusPlaceRow> {
        let places = self.0.read().unwrap_or_else(PoisonError::into_inner);
        places.devices.get(&device.tenant)?.get(&device.device).copied()
    }

    /// All of a tenant.
    pub(super) fn of_tenant(&self, tenant: &TenantId) -> Vec<(DeviceId, StatusPlaceRow)> {
        let places = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let of = places.devices.get(tenant).into_iter().flatten();
        of.map(|(device, place)| (device.clone(), *place)).collect()
    }

    pub(super) fn is_free(&self, place: StatusPlaceRow) -> bool {
        let places = self.0.read().unwrap_or_else(PoisonError::into_inner);
        places.taken.get(&place.list).is_none_or(|taken| !taken.contains(&place.index))
    }

    /// The first list of which fewer than `most` places are taken.
    pub(super) fn open_list(&self, most: usize) -> u32 {
        let places = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let is_open = |list: &u32| places.taken.get(list).is_none_or(|taken| taken.len() < most);
        (0..=u32::MAX).find(is_open).unwrap_or(u32::MAX)
    }

    /// The devices that got a place since this was called last.
    pub(super) fn take_fresh(&self) -> Vec<DeviceName> {
        std::mem::take(&mut self.0.write().unwrap_or_else(PoisonError::into_inner).fresh)
    }

    #[cfg(test)]
    pub(super) fn dump(&self) -> Vec<String> {
        let places = self.0.read().unwrap();
        let mut lines = Vec::new();
        for (tenant, devices) in &places.devices {
            lines.extend(devices.iter().map(|(device, place)| format!("{tenant}/{device} is at {place:?}")));
        }
        lines
    }

    /// Applies a row of the table. A place that comes again is the same.
    pub(super) fn put(&self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let Some(device) = rows::parse_status_key(key)? else { return Ok(()) };
        let place: StatusPlaceRow = rows::decode(Table::StatusEntry, value)?;
        let mut places = self.0.write().unwrap_or_else(PoisonError::into_inner);
        places.taken.entry(place.list).or_default().insert(place.index);
        let of = places.devices.entry(device.tenant.clone()).or_default();
        if of.insert(device.device.clone(), place).is_none() {
            places.fresh.push(device);
        }
        Ok(())
    }
}

impl Memory {
    /// Where a device is on the status lists.
    pub(crate) fn status_place(&self, device: &DeviceName) -> Option<StatusPlaceRow> {
        self.status.get(device)
    }

    /// All places of a tenant's devices.
    pub(crate) fn status_places(&self, tenant: &TenantId) -> Vec<(DeviceId, StatusPlaceRow)> {
        self.status.of_tenant(tenant)
    }

    pub(crate) fn is_free_status_place(&self, place: StatusPlaceRow) -> bool {
        self.status.is_free(place)
    }

    /// The first list of which fewer than `most` places are taken.
    pub(crate) fn open_status_list(&self, most: usize) -> u32 {
        self.status.open_list(most)
    }

    /// The devices that got a place since this was called last.
    pub(crate) fn take_fresh_status_places(&self) -> Vec<DeviceName> {
        self.status.take_fresh()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{encode, status_device_key, status_place_key};

    fn put(places: &StatusPlaces, id: &str, list: u32, index: u32) {
        let device = DeviceName { tenant: "t".parse().unwrap(), device: id.parse().unwrap() };
        let place = StatusPlaceRow { list, index };
        places.put(&status_device_key(&device), &encode(&place).unwrap()).unwrap();
        // The row by the place says nothing that the other does not.
        places.put(&status_place_key(place), b"").unwrap();
    }

    #[test]
    fn a_place_that_was_given_out_is_free_for_nobody_and_a_list_fills_to_its_bound() {
        let places = StatusPlaces::default();
        let place = |list, index| StatusPlaceRow { list, index };
        assert!(places.is_free(place(0, 7)) && places.open_list(2) == 0);
        put(&places, "a", 0, 7);
        assert!(!places.is_free(place(0, 7)) && places.is_free(place(0, 8)) && places.is_free(place(1, 7)));
        assert_eq!(places.open_list(2), 0);
        put(&places, "b", 0, 8);
        assert_eq!(places.open_list(2), 1);
        // One that comes again, as after a recovery, is not new.
        put(&places, "b", 0, 8);
        assert_eq!((places.take_fresh().len(), places.take_fresh().len()), (2, 0));
        assert_eq!(places.of_tenant(&"t".parse().unwrap()).len(), 2);
        assert_eq!(places.of_tenant(&"other".parse().unwrap()), []);
    }
}
