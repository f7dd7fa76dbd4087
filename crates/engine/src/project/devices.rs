//! Devices on record.

use crate::kernel::Error;
use crate::rows::DeviceRow;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use wardein_ddkg::{DeviceName, Recipe};
use wardein_domain::{Assurance, AttributeName, DeviceState, ProfileName, Rotation};

/// A device as its row has it.
#[derive(Clone)]
pub(crate) struct KnownDevice {
    /// The version of the row.
    pub(crate) version: u64,
    pub(crate) state: DeviceState,
    pub(crate) profile: ProfileName,
    pub(crate) recipe: Arc<Recipe>,
    /// Of its keys alone.
    pub(crate) rotation: Rotation,
    /// Of the key that it signs with, if it has one.
    pub(crate) assurance: Option<Assurance>,
}

impl KnownDevice {
    /// Whether the key that it signs with is in a TPM.
    pub(crate) fn is_in_tpm(&self) -> bool {
        self.assurance.is_some_and(Assurance::is_tpm)
    }
}

/// Devices in shards, so that readers of one do not wait for a writer of another.
pub(super) struct Devices {
    hasher: RandomState,
    shards: Vec<RwLock<HashMap<DeviceName, KnownDevice>>>,
    recipes: Mutex<Recipes>,
}

/// Recipes are the same across a fleet: each is kept once, and for as long as a device has it.
#[derive(Default)]
struct Recipes {
    known: HashMap<Vec<AttributeName>, Weak<Recipe>>,
    /// At how many the unused ones are dropped.
    limit: usize,
}

impl Devices {
    pub(super) fn new() -> Self {
        let shards = (0..SHARDS).map(|_| RwLock::default()).collect();
        Self { hasher: RandomState::new(), shards, recipes: Mutex::default() }
    }

    pub(super) fn get(&self, name: &DeviceName) -> Option<KnownDevice> {
        self.shard(name).read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    #[cfg(test)]
    pub(super) fn dump(&self) -> Vec<String> {
        let line = |(name, known): (&DeviceName, &KnownDevice)| {
            let KnownDevice { version, state, profile, recipe, rotation, assurance } = known;
            let (name, profile) = (format!("{}/{}", name.tenant, name.device), profile.as_str());
            let names: Vec<_> = recipe.names().iter().map(|name| name.as_str()).collect();
            format!("device {name} at {version}: {state} {profile} {names:?} {rotation:?} {assurance:?}")
        };
        let shards =
            self.shards.iter().map(|shard| shard.read().unwrap().iter().map(line).collect::<Vec<_>>());
        shards.flatten().collect()
    }

    /// Applies a device's row, unless a later version is known; whether the device was not known before.
    pub(super) fn put(&self, name: &DeviceName, version: u64, row: &DeviceRow) -> Result<bool, Error> {
        let known = KnownDevice {
            version,
            state: row.state,
            profile: row.profile.clone(),
            recipe: self.recipes.lock().unwrap_or_else(PoisonError::into_inner).of(&row.attributes)?,
            rotation: row.rotation.into(),
            assurance: row.assurance,
        };
        let mut shard = self.shard(name).write().unwrap_or_else(PoisonError::into_inner);
        match shard.get_mut(name) {
            Some(present) => {
                if present.version < version {
                    *present = known;
                }
                Ok(false)
            }
            None => {
                shard.insert(name.clone(), known);
                Ok(true)
            }
        }
    }

    fn shard(&self, name: &DeviceName) -> &RwLock<HashMap<DeviceName, KnownDevice>> {
        &self.shards[self.hasher.hash_one(name) as usize % SHARDS]
    }
}

impl Recipes {
    fn of(&mut self, names: &[AttributeName]) -> Result<Arc<Recipe>, Error> {
        if let Some(recipe) = self.known.get(names).and_then(Weak::upgrade) {
            return Ok(recipe);
        }
        let recipe = Arc::new(Recipe::new(names.to_vec()).map_err(Error::internal)?);
        if self.known.len() >= self.limit {
            self.known.retain(|_, recipe| recipe.strong_count() > 0);
            self.limit = FEW_RECIPES.max(2 * self.known.len());
        }
        self.known.insert(names.to_vec(), Arc::downgrade(&recipe));
        Ok(recipe)
    }
}

const SHARDS: usize = 64;

/// So many recipes may be unused before they are looked through.
const FEW_RECIPES: usize = 64;
