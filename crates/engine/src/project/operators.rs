//! Operators that may call, and how many places of its quota each station took.
//!
//! One that was revoked is not kept, nor one that expired once its tenant issues another: their number grows without bound. Who
//! is not here is judged by its row ([`crate::access::operators`]).

use super::Memory;
use crate::kernel::{Detail, Error};
use crate::rows::{OperatorRow, PlaceRow};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use wardein_ddkg::DeviceName;
use wardein_domain::{ErrorCode, Principal, Role, Serial, TenantId, UnixSeconds};

/// The most operators of a tenant that are neither revoked nor expired, and of those without a tenant.
pub(crate) const MAX_OPERATORS: usize = 10_000;

/// The most certificates of one operator that are valid at a time, when it renews itself: a stolen one fills no more places.
const MAX_OF_ONE: usize = 8;

/// An operator that was not revoked, as its row has it.
#[derive(Clone)]
pub(crate) struct KnownOperator {
    /// The version of the row.
    pub(crate) version: u64,
    pub(crate) principal: Principal,
    pub(crate) not_after: UnixSeconds,
    pub(crate) quota: u64,
}

pub(super) struct Operators(RwLock<State>);

struct State {
    known: HashMap<Serial, KnownOperator>,
    by_tenant: HashMap<Option<TenantId>, OfTenant>,
    /// The certificates of an operator, by its role, tenant and name.
    by_name: HashMap<String, BTreeSet<(UnixSeconds, Serial)>>,
    stations: HashMap<Serial, Station>,
    /// Those that were revoked while memory is loaded: a page that was read before comes after, and must not bring one back. A
    /// revocation is never withdrawn, and the feed brings no rows of before it.
    revoked: Option<HashSet<Serial>>,
}

#[derive(Default)]
struct OfTenant {
    /// Those that are known, the first to expire first.
    ends: BTreeSet<(UnixSeconds, Serial)>,
    /// How many are being issued.
    issuing: usize,
}

#[derive(Default)]
struct Station {
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

/// A place among the operators of a tenant, reserved for one that is being issued. It is free again when this is dropped; the
/// operator is known by then, if it is on record.
pub(crate) struct OperatorPlace {
    memory: Arc<Memory>,
    tenant: Option<TenantId>,
}

impl KnownOperator {
    /// The operator of a row; none if it was revoked.
    pub(crate) fn of(serial: Serial, version: u64, row: &OperatorRow) -> Option<Self> {
        let (principal, OperatorRow { not_after, revoked, quota, .. }) = (row.principal(serial), row);
        let known = Self { version, principal, not_after: *not_after, quota: *quota };
        revoked.is_none().then_some(known)
    }
}

impl Default for Operators {
    fn default() -> Self {
        Self(RwLock::new(State {
            known: HashMap::new(),
            by_tenant: HashMap::new(),
            by_name: HashMap::new(),
            stations: HashMap::new(),
            revoked: Some(HashSet::new()),
        }))
    }
}

impl Operators {
    pub(super) fn get(&self, serial: &Serial) -> Option<KnownOperator> {
        self.with(serial, KnownOperator::clone)
    }

    pub(super) fn with<T>(&self, serial: &Serial, look: impl FnOnce(&KnownOperator) -> T) -> Option<T> {
        self.read().known.get(serial).map(look)
    }

    #[cfg(test)]
    pub(super) fn dump(&self) -> Vec<String> {
        let state = self.read();
        let line = |known: &KnownOperator| {
            let KnownOperator { version, principal, not_after, quota } = known;
            format!("operator {principal} at {version}: {not_after:?}, quota {quota}")
        };
        let station = |(serial, Station { used, reserved }): (&Serial, &Station)| {
            format!("station {serial}: {used} and {}", reserved.len())
        };
        let of_tenant = |(tenant, OfTenant { ends, issuing }): (&Option<TenantId>, &OfTenant)| {
            format!("operators of {:?}: {ends:?} and {issuing}", tenant.as_ref().map(TenantId::as_str))
        };
        let known = state.known.values().map(line);
        known.chain(state.stations.iter().map(station)).chain(state.by_tenant.iter().map(of_tenant)).collect()
    }

    pub(super) fn used(&self, serial: &Serial) -> u64 {
        self.read().stations.get(serial).map_or(0, |station| station.used)
    }

    /// Administrators that are valid at least until then, the last to expire first.
    pub(super) fn administrators(&self, until: UnixSeconds) -> Vec<Serial> {
        let state = self.read();
        let Some(OfTenant { ends, .. }) = state.by_tenant.get(&None) else { return Vec::new() };
        let is_admin = |serial: &Serial| {
            state.known.get(serial).is_some_and(|known| known.principal.role == Role::Admin)
        };
        let valid = ends.iter().rev().take_while(|(not_after, _)| *not_after >= until);
        valid.map(|(_, serial)| *serial).filter(is_admin).collect()
    }

    /// How many persons there are among the valid operators of a tenant and of the authority that `is_it` takes: names, whatever their case.
    pub(super) fn persons(
        &self,
        tenant: Option<&TenantId>,
        now: UnixSeconds,
        is_it: impl Fn(&Principal) -> bool,
    ) -> usize {
        let state = self.read();
        let mut persons = HashSet::new();
        let places = [None, tenant.cloned()];
        for place in &places[..if tenant.is_some() { 2 } else { 1 }] {
            let Some(OfTenant { ends, .. }) = state.by_tenant.get(place) else { continue };
            let valid = ends.iter().rev().take_while(|(not_after, _)| *not_after >= now);
            let known = valid.filter_map(|(_, serial)| state.known.get(serial));
            let names = known.filter(|known| is_it(&known.principal));
            persons.extend(names.map(|known| known.principal.name.as_str().to_ascii_lowercase()));
        }
        persons.len()
    }

    /// Applies an operator's row, unless a later version of it is known.
    pub(super) fn put(&self, serial: Serial, version: u64, row: &OperatorRow) {
        let mut state = self.write();
        let Some(known) = KnownOperator::of(serial, version, row) else {
            state.forget(&serial);
            if let Some(revoked) = &mut state.revoked {
                revoked.insert(serial);
            }
            return;
        };
        let is_late = state.known.get(&serial).is_some_and(|known| known.version >= version);
        if is_late || state.revoked.as_ref().is_some_and(|revoked| revoked.contains(&serial)) {
            return;
        }
        state.forget(&serial);
        let of_tenant = state.by_tenant.entry(known.principal.tenant.clone()).or_default();
        of_tenant.ends.insert((known.not_after, serial));
        state.by_name.entry(known.principal.to_string()).or_default().insert((known.not_after, serial));
        state.known.insert(serial, known);
    }

    /// Memory is loaded. Those that have expired go.
    pub(super) fn loaded(&self, now: UnixSeconds) {
        let mut state = self.write();
        state.revoked = None;
        let tenants: Vec<_> = state.by_tenant.keys().cloned().collect();
        tenants.iter().for_each(|tenant| state.forget_expired(tenant, now));
    }

    /// Reserves a place for an operator that is being issued. Those of its tenant that have expired go.
    pub(super) fn reserve_operator(&self, tenant: &Option<TenantId>, now: UnixSeconds) -> Result<(), Error> {
        let mut state = self.write();
        state.forget_expired(tenant, now);
        let of_tenant = state.by_tenant.entry(tenant.clone()).or_default();
        if of_tenant.ends.len() + of_tenant.issuing >= MAX_OPERATORS {
            let message = format_args!(
                "there are {MAX_OPERATORS} operators already that are neither revoked nor expired; revoke some, or wait until \
                 some expire"
            );
            let whose =
                tenant.as_ref().map_or_else(|| "authority".to_owned(), |tenant| format!("tenant {tenant}"));
            return Err(Error::new(ErrorCode::OperatorQuota, message).with(Detail::Quota(whose)));
        }
        of_tenant.issuing += 1;
        Ok(())
    }

    /// Refuses one more certificate of an operator that has many.
    pub(super) fn may_renew(&self, principal: &Principal, now: UnixSeconds) -> Result<(), Error> {
        let state = self.read();
        let of_one = state.by_name.get(&principal.to_string());
        let valid =
            of_one.map_or(0, |of_one| of_one.iter().filter(|(not_after, _)| *not_after >= now).count());
        if valid < MAX_OF_ONE {
            return Ok(());
        }
        let message = format_args!(
            "{principal} has {valid} valid certificates already; revoke some, or wait until some expire"
        );
        Err(Error::new(ErrorCode::OperatorQuota, message).with(Detail::Quota(principal.to_string())))
    }

    /// How many places of a station's quota are taken, by devices on record and by those that are being enrolled.
    pub(super) fn taken(&self, serial: &Serial) -> u64 {
        let state = self.read();
        state.stations.get(serial).map_or(0, |station| station.used + station.reserved.len() as u64)
    }

    pub(super) fn release_operator(&self, tenant: &Option<TenantId>) {
        let mut state = self.write();
        if let Some(of_tenant) = state.by_tenant.get_mut(tenant) {
            of_tenant.issuing = of_tenant.issuing.saturating_sub(1);
        }
        state.tidy(tenant);
    }

    /// Counts the places that a device took, in the place of those that it had taken before.
    pub(super) fn count(&self, device: &DeviceName, before: &[PlaceRow], after: &[PlaceRow]) {
        let of = |places: &[PlaceRow], station: &Serial| {
            let places = places.iter().filter(|place| place.station == *station);
            places.map(|place| u64::from(place.count)).sum::<u64>()
        };
        let mut state = self.write();
        for PlaceRow { station, .. } in after {
            let (was, is) = (of(before, station), of(after, station));
            if was != is {
                let station = state.stations.entry(*station).or_default();
                station.reserved.remove(device);
                station.used = (station.used + is).saturating_sub(was);
            }
        }
    }

    pub(super) fn reserve(&self, station: &Serial, quota: u64, device: &DeviceName) -> Result<(), Error> {
        let mut state = self.write();
        let Station { used, reserved } = state.stations.entry(*station).or_default();
        let taken = *used + reserved.len() as u64;
        // The same device twice at a time takes one place.
        if taken >= quota && !reserved.contains(device) {
            return Err(Error::quota_exhausted(quota));
        }
        reserved.insert(device.clone());
        Ok(())
    }

    pub(super) fn release(&self, station: &Serial, device: &DeviceName) {
        let mut state = self.write();
        let Some(Station { used, reserved }) = state.stations.get_mut(station) else { return };
        reserved.remove(device);
        if *used == 0 && reserved.is_empty() {
            state.stations.remove(station);
        }
    }

    /// A panic elsewhere cannot leave the state half-changed: nothing in it panics.
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget(&mut self, serial: &Serial) {
        let Some(known) = self.known.remove(serial) else { return };
        if let Some(of_tenant) = self.by_tenant.get_mut(&known.principal.tenant) {
            of_tenant.ends.remove(&(known.not_after, *serial));
        }
        self.forget_name(&known);
        self.tidy(&known.principal.tenant);
    }

    fn forget_expired(&mut self, tenant: &Option<TenantId>, now: UnixSeconds) {
        let Some(OfTenant { ends, .. }) = self.by_tenant.get_mut(tenant) else { return };
        let mut expired = Vec::new();
        while let Some((_, serial)) = ends.first().filter(|(not_after, _)| *not_after < now) {
            expired.extend(self.known.remove(serial));
            ends.pop_first();
        }
        expired.iter().for_each(|known| self.forget_name(known));
        self.tidy(tenant);
    }

    fn forget_name(&mut self, known: &KnownOperator) {
        let name = known.principal.to_string();
        let Some(of_one) = self.by_name.get_mut(&name) else { return };
        of_one.remove(&(known.not_after, known.principal.serial));
        if of_one.is_empty() {
            self.by_name.remove(&name);
        }
    }

    fn tidy(&mut self, tenant: &Option<TenantId>) {
        if self.by_tenant.get(tenant).is_some_and(|known| known.ends.is_empty() && known.issuing == 0) {
            self.by_tenant.remove(tenant);
        }
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

impl OperatorPlace {
    pub(super) fn new(memory: Arc<Memory>, tenant: Option<TenantId>) -> Self {
        Self { memory, tenant }
    }
}

impl Drop for OperatorPlace {
    fn drop(&mut self) {
        self.memory.release_operator(&self.tenant);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = UnixSeconds::new(1_000);

    fn serial(number: usize) -> Serial {
        let mut bytes = [7; 16];
        bytes[8..].copy_from_slice(&number.to_be_bytes());
        Serial::from_random(bytes)
    }

    fn row(role: Role, not_after: u64) -> OperatorRow {
        OperatorRow {
            role,
            tenant: None,
            name: "one".parse().unwrap(),
            not_before: UnixSeconds::new(1),
            not_after: UnixSeconds::new(not_after),
            revoked: None,
            quota: 0,
            issued_by: None,
        }
    }

    fn revoked(row: OperatorRow) -> OperatorRow {
        OperatorRow { revoked: Some((NOW, "lost".parse().unwrap())), ..row }
    }

    /// A page that was read before a revocation comes after it.
    #[test]
    fn an_older_version_does_not_undo_a_revocation() {
        let (operators, one) = (Operators::default(), serial(1));
        operators.put(one, 1, &row(Role::Admin, 9_000));
        assert!(operators.get(&one).is_some());
        operators.put(one, 3, &revoked(row(Role::Admin, 9_000)));
        operators.put(one, 1, &row(Role::Admin, 9_000));
        assert!(operators.get(&one).is_none());
    }

    #[test]
    fn those_that_have_ended_leave_memory() {
        let operators = Operators::default();
        for number in 0..100 {
            operators.put(serial(number), 1, &row(Role::Auditor, 900));
            operators.put(serial(200 + number), 1, &revoked(row(Role::Auditor, 9_000)));
        }
        operators.loaded(UnixSeconds::new(500));
        assert_eq!(operators.read().known.len(), 100);
        operators.reserve_operator(&None, NOW).unwrap();
        operators.release_operator(&None);
        let state = operators.read();
        assert!(state.known.is_empty() && state.by_tenant.is_empty() && state.revoked.is_none());
    }

    #[test]
    fn those_that_may_call_are_bounded_and_those_that_have_ended_do_not_count() {
        let operators = Operators::default();
        operators.loaded(NOW);
        operators.put(serial(0), 1, &row(Role::Auditor, 1_999));
        for number in 1..MAX_OPERATORS - 1 {
            operators.put(serial(number), 1, &row(Role::Auditor, 9_000));
        }
        operators.reserve_operator(&None, NOW).unwrap();
        let refused = || operators.reserve_operator(&None, NOW).unwrap_err().code;
        assert_eq!(refused(), ErrorCode::OperatorQuota, "one is on its way");
        operators.put(serial(MAX_OPERATORS), 2, &row(Role::Auditor, 9_000));
        operators.release_operator(&None);
        assert_eq!(refused(), ErrorCode::OperatorQuota);
        operators.reserve_operator(&Some("t".parse().unwrap()), NOW).unwrap();
        operators.reserve_operator(&None, UnixSeconds::new(2_000)).unwrap();
        assert_eq!(refused(), ErrorCode::OperatorQuota);
        operators.put(serial(5), 3, &revoked(row(Role::Auditor, 9_000)));
        operators.reserve_operator(&None, NOW).unwrap();
    }

    #[test]
    fn administrators_come_by_their_end() {
        let operators = Operators::default();
        for (number, role, not_after) in [
            (1, Role::Admin, 2_000),
            (2, Role::Auditor, 8_000),
            (3, Role::Admin, 9_000),
            (4, Role::Admin, 1_500),
        ] {
            operators.put(serial(number), 1, &row(role, not_after));
        }
        assert_eq!(operators.administrators(UnixSeconds::new(2_000)), [serial(3), serial(1)]);
    }
}
