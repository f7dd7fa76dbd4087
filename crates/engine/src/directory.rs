//! What trust queries and authentication look at: memory, loaded at the start and kept in step with every commit.

use crate::error::Error;
use crate::port::{Store, Table};
use crate::rows::{self, DeviceRow, OperatorRow, ProfileRow, TenantRow};
use crate::rules;
use crate::seal::Keyring;
use crate::tenant_keys::open_tenant_keys;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use wardein_ddkg::{DeviceName, Recipe};
use wardein_domain::{Assurance, DeviceState, Principal, Profile, ProfileName, Rotation, Serial, TenantId};

pub(crate) struct Directory {
    tenants: RwLock<HashMap<TenantId, Arc<Keyring>>>,
    pub(crate) rules: rules::Tenants,
    operators: RwLock<HashMap<Serial, KnownOperator>>,
    devices: Devices,
}

#[derive(Clone)]
pub(crate) struct KnownOperator {
    pub(crate) principal: Principal,
    pub(crate) not_after: u64,
    pub(crate) is_revoked: bool,
    pub(crate) quota: u64,
    /// How many devices it enrolled, or is enrolling.
    pub(crate) used: u64,
}

#[derive(Clone)]
pub(crate) struct KnownDevice {
    /// The version of the row that this was read from.
    pub(crate) version: u64,
    pub(crate) state: DeviceState,
    pub(crate) profile: ProfileName,
    pub(crate) recipe: Arc<Recipe>,
    /// Of its keys alone.
    pub(crate) rotation: Rotation,
    /// Unix second; what was certified until then counts as revoked.
    pub(crate) readmitted_at: u64,
    /// Of the key that it signs with, if it has one.
    pub(crate) assurance: Option<Assurance>,
}

/// Devices in shards, so that readers of one do not wait for a writer of another.
struct Devices {
    hasher: RandomState,
    shards: Vec<RwLock<HashMap<DeviceName, KnownDevice>>>,
    /// Recipes are alike across a fleet; each is kept once.
    recipes: Mutex<HashMap<Vec<String>, Arc<Recipe>>>,
}

const SHARDS: usize = 64;

/// How many rows are read at a time when the directory is loaded.
const LOAD_PAGE: usize = 1_000;

impl Directory {
    pub(crate) fn load(store: &impl Store, root: &Keyring) -> Result<Self, Error> {
        let directory = Self {
            tenants: RwLock::default(),
            rules: rules::Tenants::default(),
            operators: RwLock::default(),
            devices: Devices {
                hasher: RandomState::new(),
                shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
                recipes: Mutex::default(),
            },
        };
        for_each(store, Table::Tenant, |key, version, row: TenantRow| {
            let tenant: TenantId = rows::word("tenant", std::str::from_utf8(key).unwrap_or_default())?;
            directory.rules.put_tenant(tenant.clone(), version, row.rotation.into());
            directory.put_tenant(tenant, open_tenant_keys(root, key, &row)?);
            Ok(())
        })?;
        for_each(store, Table::Profile, |key, version, row: ProfileRow| {
            let text = std::str::from_utf8(key).unwrap_or_default();
            let (tenant, name) = text.split_once('\0').unwrap_or_default();
            let (tenant, name) = (rows::word("tenant", tenant)?, rows::word("profile", name)?);
            directory.rules.put_profile(tenant, name, version, &row)
        })?;
        for_each(store, Table::Operator, |key, _, row: OperatorRow| {
            let serial = Serial::from_bytes(key).map_err(Error::internal)?;
            directory.put_operator(row.parse(serial)?);
            Ok(())
        })?;
        for_each(store, Table::Device, |key, version, row: DeviceRow| {
            let name =
                rows::parse_device_key(key).ok_or_else(|| Error::internal("a device's key is damaged"))?;
            directory.put_device(&name, version, &row)?;
            if let Ok(station) = Serial::from_bytes(&row.station)
                && let Some(operator) = write(&directory.operators).get_mut(&station)
            {
                operator.used += 1;
            }
            Ok(())
        })?;
        Ok(directory)
    }

    pub(crate) fn tenant_key(&self, tenant: &TenantId) -> Result<Arc<Keyring>, Error> {
        read(&self.tenants).get(tenant).cloned().ok_or_else(|| Error::no_tenant(tenant))
    }

    pub(crate) fn has_tenant(&self, tenant: &TenantId) -> bool {
        read(&self.tenants).contains_key(tenant)
    }

    /// Takes in a tenant's key, unless a newer version was taken in already.
    pub(crate) fn put_tenant(&self, tenant: TenantId, ring: Keyring) {
        let mut tenants = write(&self.tenants);
        if tenants.get(&tenant).is_none_or(|present| present.newest() <= ring.newest()) {
            tenants.insert(tenant, Arc::new(ring));
        }
    }

    pub(crate) fn tenants(&self) -> Vec<TenantId> {
        let mut tenants: Vec<_> = read(&self.tenants).keys().cloned().collect();
        tenants.sort();
        tenants
    }

    pub(crate) fn profile(&self, tenant: &TenantId, name: &ProfileName) -> Option<Profile> {
        self.rules.rules(tenant, name).map(|rules| rules.profile)
    }

    pub(crate) fn operator(&self, serial: &Serial) -> Option<KnownOperator> {
        read(&self.operators).get(serial).cloned()
    }

    pub(crate) fn put_operator(&self, operator: KnownOperator) {
        write(&self.operators).insert(operator.principal.serial, operator);
    }

    pub(crate) fn revoke_operator(&self, serial: &Serial) {
        if let Some(operator) = write(&self.operators).get_mut(serial) {
            operator.is_revoked = true;
        }
    }

    /// Takes one place of a station's quota, to be given back by [`Directory::release_quota`] when no device came of it.
    ///
    /// The count is in memory and is made anew from the devices at the start: one row that every enrollment wrote would
    /// make them wait for each other.
    pub(crate) fn take_quota(&self, station: &Serial) -> Result<(), Error> {
        let mut operators = write(&self.operators);
        let operator = operators.get_mut(station).ok_or_else(Error::not_on_record)?;
        if operator.used >= operator.quota {
            return Err(Error::quota_exhausted(operator.quota));
        }
        operator.used += 1;
        Ok(())
    }

    pub(crate) fn release_quota(&self, station: &Serial) {
        if let Some(operator) = write(&self.operators).get_mut(station) {
            operator.used = operator.used.saturating_sub(1);
        }
    }

    pub(crate) fn device(&self, name: &DeviceName) -> Option<KnownDevice> {
        read(self.devices.shard(name)).get(name).cloned()
    }

    /// Takes in a device's row, unless a later version was taken in already.
    pub(crate) fn put_device(&self, name: &DeviceName, version: u64, row: &DeviceRow) -> Result<(), Error> {
        let known = KnownDevice {
            version,
            state: rows::word("device state", &row.state)?,
            profile: rows::word("profile", &row.profile)?,
            recipe: self.devices.recipe(&row.attributes)?,
            rotation: row.rotation.into(),
            readmitted_at: row.readmitted_at,
            assurance: row
                .assurance
                .as_deref()
                .map(|level| rows::word("assurance level", level))
                .transpose()?,
        };
        let mut shard = write(self.devices.shard(name));
        if shard.get(name).is_none_or(|present| present.version < version) {
            shard.insert(name.clone(), known);
        }
        Ok(())
    }
}

impl Devices {
    fn shard(&self, name: &DeviceName) -> &RwLock<HashMap<DeviceName, KnownDevice>> {
        let hash = self.hasher.hash_one(name) as usize;
        &self.shards[hash % SHARDS]
    }

    fn recipe(&self, names: &[String]) -> Result<Arc<Recipe>, Error> {
        let mut recipes = self.recipes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(recipe) = recipes.get(names) {
            return Ok(recipe.clone());
        }
        let parsed = names.iter().map(|name| rows::word("attribute name", name)).collect::<Result<_, _>>()?;
        let recipe = Arc::new(Recipe::new(parsed).map_err(Error::internal)?);
        recipes.insert(names.to_vec(), recipe.clone());
        Ok(recipe)
    }
}

fn for_each<T: serde::de::DeserializeOwned>(
    store: &impl Store,
    table: Table,
    mut each: impl FnMut(&[u8], u64, T) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut after = None;
    loop {
        let page = store.scan(table, b"", after.as_deref(), LOAD_PAGE)?;
        for (key, row) in &page {
            each(key, row.version, rows::decode(table, &row.value)?)?;
        }
        match page.into_iter().last() {
            Some((key, _)) => after = Some(key),
            None => return Ok(()),
        }
    }
}

/// A panic elsewhere cannot leave these maps half-changed: each is changed by one insertion.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
