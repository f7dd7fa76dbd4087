//! Devices on record.

use super::software::counted;
use crate::kernel::Error;
use crate::rows::{DeviceRow, PlaceRow, SoftwareColumn, VersionRow};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use wardein_ddkg::{DeviceName, Recipe};
use wardein_domain::{
    Assurance, AttributeName, DeviceFacts, DeviceId, DeviceState, FirmwareVersion, ProfileName, Rotation,
    Signs, TenantId, TrustPolicy, UnixSeconds,
};

/// A device as its row has it.
#[derive(Clone)]
pub(crate) struct KnownDevice {
    /// The version of the row.
    pub(crate) version: u64,
    pub(crate) state: DeviceState,
    pub(crate) state_since: UnixSeconds,
    pub(crate) profile: ProfileName,
    pub(crate) recipe: Arc<Recipe>,
    /// Of its keys alone.
    pub(crate) rotation: Rotation,
    /// Of the key that it signs with, if it has one.
    pub(crate) assurance: Option<Assurance>,
    /// Whether another device was enrolled with its key or its TPM.
    pub(crate) is_shared: bool,
    places: Arc<Vec<PlaceRow>>,
    /// Those of its attributes that are versions; none where there are none.
    versions: Option<Arc<Vec<Version>>>,
    /// What it runs, by its receipts; none where it has given none, or is not in service.
    software: Option<Arc<Vec<SoftwareColumn>>>,
    signs: KnownSigns,
}

/// Versions as they are written: lists are shared where these are the same.
type VersionTexts = Vec<(AttributeName, String)>;

/// An attribute that is a version.
type Version = (AttributeName, FirmwareVersion);

/// When a device was last heard of, in Unix seconds, as its row of that version has it; all 0 where no policy asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct KnownSigns {
    pub(crate) version: u64,
    pub(crate) seen: u64,
    pub(crate) agreed: u64,
    pub(crate) quoted: u64,
}

/// What is counted of a device, before a row was applied and now.
pub(super) struct Counted {
    /// The places of stations' quotas that it took.
    pub(super) places: [Arc<Vec<PlaceRow>>; 2],
    /// What it runs.
    pub(super) software: [Arc<Vec<SoftwareColumn>>; 2],
}

impl KnownDevice {
    /// Whether the key that it signs with is in a TPM.
    pub(crate) fn is_in_tpm(&self) -> bool {
        self.assurance.is_some_and(Assurance::is_tpm)
    }

    /// What it runs, by its receipts.
    pub(super) fn software(&self) -> Arc<Vec<SoftwareColumn>> {
        self.software.clone().unwrap_or_default()
    }

    /// The same device with those signs of life.
    pub(crate) fn with_signs(&self, signs: KnownSigns) -> Self {
        Self { signs, ..self.clone() }
    }

    /// What a verdict on it rests on.
    pub(crate) fn facts<'a>(
        &'a self,
        verdict_lifetime: u64,
        policy: &'a TrustPolicy,
        is_software_approved: bool,
    ) -> DeviceFacts<'a> {
        let KnownSigns { seen, agreed, quoted, .. } = self.signs;
        DeviceFacts {
            state: self.state,
            verdict_lifetime,
            policy,
            signs: Signs { seen, agreed, quoted, since: self.state_since.get() },
            assurance: self.assurance,
            is_shared: self.is_shared,
            versions: self.versions.as_ref().map_or(&[], |versions| versions.as_slice()),
            is_software_approved,
        }
    }
}

/// Devices in shards, so that readers of one do not wait for a writer of another.
pub(super) struct Devices {
    hasher: RandomState,
    shards: Vec<RwLock<Shard>>,
    /// How many are in each state, in the order of [`DeviceState::ALL`].
    counts: [AtomicU64; DeviceState::ALL.len()],
    recipes: Mutex<Shared<Vec<AttributeName>, Recipe>>,
    places: Mutex<Shared<Vec<PlaceRow>, Vec<PlaceRow>>>,
    versions: Mutex<Shared<VersionTexts, Vec<Version>>>,
}

/// Devices by the hash of their names, which chooses the shard too: it is worked out once for both.
///
/// Each device is behind a count of its own: a copy would touch the counts of what the fleet shares, over which all threads would contend.
type Shard = HashTable<(DeviceName, Arc<KnownDevice>)>;

/// Values that are the same across a fleet: each is kept once, and for as long as a device has it.
struct Shared<K, V> {
    known: HashMap<K, Weak<V>>,
    /// At how many the unused ones are dropped.
    limit: usize,
}

impl Devices {
    pub(super) fn new() -> Self {
        let shards = (0..SHARDS).map(|_| RwLock::default()).collect();
        let (recipes, places) = (Mutex::new(Shared::new()), Mutex::new(Shared::new()));
        let versions = Mutex::new(Shared::new());
        Self { hasher: RandomState::new(), shards, counts: Default::default(), recipes, places, versions }
    }

    pub(super) fn get(&self, name: &DeviceName) -> Option<Arc<KnownDevice>> {
        self.with(name, |known| known.cloned())
    }

    /// What `look` makes of a device. It has the lock of the shard, so it is quick and takes none of another.
    ///
    /// Cheaper than [`Devices::get`], which counts up and down: processors that read one device would hand its memory to and fro.
    pub(super) fn with<T>(&self, name: &DeviceName, look: impl FnOnce(Option<&Arc<KnownDevice>>) -> T) -> T {
        let (hash, shard) = self.shard(name);
        let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
        look(shard.find(hash, |(of, _)| of == name).map(|(_, known)| known))
    }

    /// The devices of a tenant in one shard; none where there is no such shard. Its lock is held for as long as it takes to look at
    /// some thousandth of all devices.
    pub(super) fn of_tenant(
        &self,
        tenant: &TenantId,
        shard: usize,
    ) -> Option<Vec<(DeviceId, Arc<KnownDevice>)>> {
        let shard = self.shards.get(shard)?.read().unwrap_or_else(PoisonError::into_inner);
        let own = shard.iter().filter(|(name, _)| name.tenant == *tenant);
        Some(own.map(|(name, known)| (name.device.clone(), known.clone())).collect())
    }

    /// How many devices are in each state.
    pub(super) fn by_state(&self) -> [(DeviceState, u64); DeviceState::ALL.len()] {
        DeviceState::ALL.map(|state| (state, self.counts[state as usize].load(Ordering::Relaxed)))
    }

    /// Counts a device in its state, and no longer in the one before.
    fn count(&self, before: Option<DeviceState>, now: DeviceState) {
        self.counts[now as usize].fetch_add(1, Ordering::Relaxed);
        if let Some(before) = before {
            self.counts[before as usize].fetch_sub(1, Ordering::Relaxed);
        }
    }

    #[cfg(test)]
    pub(super) fn dump(&self) -> Vec<String> {
        let line = |(name, known): &(DeviceName, Arc<KnownDevice>)| {
            let KnownDevice {
                version,
                state,
                profile,
                recipe,
                rotation,
                assurance,
                is_shared,
                places,
                versions,
                software,
                ..
            } = &**known;
            let (name, profile) = (format!("{}/{}", name.tenant, name.device), profile.as_str());
            let names: Vec<_> = recipe.names().iter().map(|name| name.as_str()).collect();
            format!(
                "device {name} at {version}: {state} {profile} {names:?} {rotation:?} {assurance:?} {is_shared} {places:?} {versions:?} {software:?}"
            )
        };
        let shards =
            self.shards.iter().map(|shard| shard.read().unwrap().iter().map(line).collect::<Vec<_>>());
        let counts = format!("devices by state {:?}", self.by_state());
        shards.flatten().chain([counts]).collect()
    }

    /// Applies a device's row, unless a later version is known; what is counted of it before and now, if it was applied.
    pub(super) fn put(
        &self,
        name: &DeviceName,
        version: u64,
        row: &DeviceRow,
    ) -> Result<Option<Counted>, Error> {
        let places = lock(&self.places).of(&row.places, || Ok(row.places.clone()))?;
        let recipe = || Recipe::new(row.attributes.clone()).map_err(Error::internal);
        let known = KnownDevice {
            version,
            state: row.state,
            state_since: row.state_since,
            profile: row.profile.clone(),
            recipe: lock(&self.recipes).of(&row.attributes, recipe)?,
            rotation: row.rotation.into(),
            assurance: row.assurance,
            is_shared: row.is_shared,
            places: places.clone(),
            versions: self.versions_of(&row.versions)?,
            software: Some(counted(row)).filter(|of| !of.is_empty()).map(|of| Arc::new(of.to_vec())),
            signs: KnownSigns::default(),
        };
        let (hash, shard) = self.shard(name);
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        match shard.entry(hash, |(of, _)| of == name, |(of, _)| self.hasher.hash_one(of)) {
            Entry::Occupied(present) => {
                let (_, present) = present.into_mut();
                if present.version >= version {
                    return Ok(None);
                }
                let known = KnownDevice { signs: present.signs, ..known };
                let software = known.software();
                let before = std::mem::replace(present, Arc::new(known));
                self.count(Some(before.state), row.state);
                let (places, software) = ([before.places.clone(), places], [before.software(), software]);
                Ok(Some(Counted { places, software }))
            }
            Entry::Vacant(place) => {
                let software = [Arc::default(), known.software()];
                place.insert((name.clone(), Arc::new(known)));
                self.count(None, row.state);
                Ok(Some(Counted { places: [Arc::default(), places], software }))
            }
        }
    }

    /// Applies when a device was last heard of, unless a later version of that row is known; the device before, if it was applied.
    pub(super) fn put_signs(&self, name: &DeviceName, signs: KnownSigns) -> Option<Arc<KnownDevice>> {
        let (hash, shard) = self.shard(name);
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        let (_, present) = shard.find_mut(hash, |(of, _)| of == name)?;
        if present.signs.version >= signs.version {
            return None;
        }
        let later = Arc::new(present.with_signs(signs));
        Some(std::mem::replace(present, later))
    }

    fn versions_of(&self, row: &[VersionRow]) -> Result<Option<Arc<Vec<Version>>>, Error> {
        if row.is_empty() {
            return Ok(None);
        }
        let key = row.iter().map(|of| (of.attribute.clone(), of.version.as_str().to_owned())).collect();
        let make = || Ok(row.iter().map(|of| (of.attribute.clone(), of.version.clone())).collect());
        lock(&self.versions).of(&key, make).map(Some)
    }

    /// The hash of a name, and the shard that it is in. A table places by the lowest and the highest bits: the shard is of those between.
    fn shard(&self, name: &DeviceName) -> (u64, &RwLock<Shard>) {
        let hash = self.hasher.hash_one(name);
        (hash, &self.shards[(hash >> 32) as usize % SHARDS])
    }
}

impl<K: Hash + Eq + Clone, V> Shared<K, V> {
    fn new() -> Self {
        Self { known: HashMap::new(), limit: FEW }
    }

    fn of(&mut self, key: &K, make: impl FnOnce() -> Result<V, Error>) -> Result<Arc<V>, Error> {
        if let Some(value) = self.known.get(key).and_then(Weak::upgrade) {
            return Ok(value);
        }
        let value = Arc::new(make()?);
        if self.known.len() >= self.limit {
            self.known.retain(|_, value| value.strong_count() > 0);
            self.limit = FEW.max(2 * self.known.len());
        }
        self.known.insert(key.clone(), Arc::downgrade(&value));
        Ok(value)
    }
}

/// A panic elsewhere cannot leave it half-changed: each step is one insertion or removal.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// So many that one of a million devices is read in a fraction of a millisecond.
const SHARDS: usize = 1024;

/// So many values may be unused before they are looked through.
const FEW: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use wardein_domain::Serial;

    /// A device that is enrolled again and again, with other attributes each time, leaves nothing behind.
    #[test]
    fn what_no_device_has_any_more_is_dropped() {
        let (devices, station) = (Devices::new(), Serial::from_random([7; 16]));
        let row = |number: u32| DeviceRow {
            state: DeviceState::Pending,
            state_reason: None,
            state_since: UnixSeconds::new(1),
            profile: "default".parse().unwrap(),
            model: None,
            udi: None,
            enrolled_at: UnixSeconds::new(1),
            enrolled_by: "station".into(),
            places: vec![PlaceRow { station, count: number }],
            replaced: 0,
            attributes: vec![format!("attribute-{number}").parse().unwrap()],
            rotation: crate::rows::RotationRow::default(),
            assurance: None,
            is_shared: false,
            versions: Vec::new(),
            announced: Vec::new(),
            software: Vec::new(),
        };
        let name = DeviceName { tenant: "klinik".parse().unwrap(), device: "pump-1".parse().unwrap() };
        for version in 1..=10_000 {
            devices.put(&name, u64::from(version), &row(version)).unwrap();
        }
        assert!(lock(&devices.recipes).known.len() <= FEW);
        assert!(lock(&devices.places).known.len() <= FEW);
        assert_eq!(devices.get(&name).unwrap().recipe.names().len(), 1);
        let counted = devices.by_state().map(|(_, count)| count);
        assert_eq!(counted, [1, 0, 0, 0, 0, 0, 0]);
        // Another state, and once: a row that comes again changes nothing.
        for _ in 0..2 {
            for state in DeviceState::ALL {
                let version = 20_000 + state as u64;
                devices.put(&name, version, &DeviceRow { state, ..row(1) }).unwrap();
            }
        }
        assert_eq!(devices.by_state()[DeviceState::Transferred as usize], (DeviceState::Transferred, 1));
        assert_eq!(devices.by_state().iter().map(|(_, count)| count).sum::<u64>(), 1);
    }
}
