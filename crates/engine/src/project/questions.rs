//! What memory is asked.

use super::changes::{Cursor, Read, Subscription};
use super::software::counted;
use super::{
    KnownBearerToken, KnownCa, KnownDevice, KnownOperator, Memory, OperatorPlace, QuotaPlace, ReceiptCounts,
    Rules, TrustPolicies,
};
use crate::access::bearer_tokens::BearerTokenId;
use crate::kernel::Error;
use crate::rows::seal::Keyring;
use crate::rows::{DeviceRow, RuleRow};
use crate::trust::policy::SetTrustPolicy;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use wardein_ddkg::{ChallengeKey, DeviceName};
use wardein_domain::{
    CaId, CaState, DeviceId, DeviceState, LineName, Principal, Profile, ProfileName, RepositoryName, Serial,
    TenantId, TrustPolicy, UnixSeconds,
};
use wardein_pki::InfrastructureCa;

impl Memory {
    /// The key that challenges are made and checked with in the present era.
    pub(crate) fn challenges(&self) -> Result<Arc<ChallengeKey>, Error> {
        self.own.challenges()
    }

    /// The CA that certifies operators and servers.
    pub(crate) fn infrastructure(&self) -> Result<Arc<InfrastructureCa>, Error> {
        self.own.infrastructure()
    }

    /// The version of the authority's row that was taken in.
    pub(crate) fn authority_version(&self) -> u64 {
        self.own.version()
    }

    /// The CA that certifies devices of a tenant: its own, or the authority's.
    pub(crate) fn issuer(&self, tenant: &TenantId) -> Option<Arc<KnownCa>> {
        let of = |tenant| self.cas.of(tenant, CaState::Active);
        of(Some(tenant)).or_else(|| of(None))
    }

    /// The issuing CA of that key identifier.
    pub(crate) fn ca(&self, id: &CaId) -> Option<Arc<KnownCa>> {
        self.cas.get(id)
    }

    /// The one in a state of exactly this tenant, or of no tenant.
    pub(crate) fn ca_of(&self, tenant: Option<&TenantId>, state: CaState) -> Option<Arc<KnownCa>> {
        self.cas.of(tenant, state)
    }

    /// All issuing CAs, the oldest first.
    pub(crate) fn cas(&self) -> Vec<Arc<KnownCa>> {
        self.cas.all()
    }

    pub(crate) fn tenant_key(&self, tenant: &TenantId) -> Result<Arc<Keyring>, Error> {
        self.tenants.ring(tenant).ok_or_else(|| Error::no_tenant(tenant))
    }

    pub(crate) fn has_tenant(&self, tenant: &TenantId) -> bool {
        self.tenants.ring(tenant).is_some()
    }

    /// All tenants, in order of their names.
    pub(crate) fn tenants(&self) -> Vec<TenantId> {
        self.tenants.all()
    }

    /// The rules for the devices of a profile; `None` if there is no such profile.
    pub(crate) fn rules(&self, tenant: &TenantId, name: &ProfileName) -> Option<Rules> {
        self.rules.rules(tenant, name)
    }

    pub(crate) fn profile(&self, tenant: &TenantId, name: &ProfileName) -> Option<Profile> {
        self.rules(tenant, name).map(|rules| rules.profile)
    }

    /// An operator that was not revoked. One that is not here may be on record all the same.
    pub(crate) fn operator(&self, serial: &Serial) -> Option<KnownOperator> {
        self.operators.get(serial)
    }

    /// What `look` makes of such an operator; none where it is not here.
    pub(crate) fn with_operator<T>(
        &self,
        serial: &Serial,
        look: impl FnOnce(&KnownOperator) -> T,
    ) -> Option<T> {
        self.operators.with(serial, look)
    }

    /// A bearer token, by its id. One that is over may be here all the same.
    pub(crate) fn bearer_token(&self, id: &BearerTokenId) -> Option<KnownBearerToken> {
        self.bearer_tokens.get(id)
    }

    /// Administrators that are valid at least until then, the last to expire first.
    pub(crate) fn administrators(&self, until: UnixSeconds) -> Vec<Serial> {
        self.operators.administrators(until)
    }

    /// How many persons there are among the valid operators of a tenant and of the authority that `is_it` takes.
    pub(crate) fn persons(
        &self,
        tenant: Option<&TenantId>,
        now: UnixSeconds,
        is_it: impl Fn(&Principal) -> bool,
    ) -> usize {
        self.operators.persons(tenant, now, is_it)
    }

    /// Reserves a place for an operator that is being issued, until the reservation is dropped.
    pub(crate) fn reserve_operator(
        self: &Arc<Self>,
        tenant: &Option<TenantId>,
        now: UnixSeconds,
    ) -> Result<OperatorPlace, Error> {
        self.operators.reserve_operator(tenant, now)?;
        Ok(OperatorPlace::new(self.clone(), tenant.clone()))
    }

    pub(super) fn release_operator(&self, tenant: &Option<TenantId>) {
        self.operators.release_operator(tenant);
    }

    /// Refuses one more certificate of an operator that has many.
    pub(crate) fn may_renew(&self, principal: &Principal, now: UnixSeconds) -> Result<(), Error> {
        self.operators.may_renew(principal, now)
    }

    /// How many places of a station's quota are taken, by those that are being enrolled as well.
    pub(crate) fn taken_by(&self, serial: &Serial) -> u64 {
        self.operators.taken(serial)
    }

    /// How many places of a station's quota are taken.
    pub(crate) fn enrolled_by(&self, serial: &Serial) -> u64 {
        self.operators.used(serial)
    }

    /// Reserves a place of a station's quota for an enrollment, until the reservation is dropped or the place is on record.
    pub(crate) fn reserve_quota(
        self: &Arc<Self>,
        station: &Serial,
        quota: u64,
        device: &DeviceName,
    ) -> Result<QuotaPlace, Error> {
        self.operators.reserve(station, quota, device)?;
        Ok(QuotaPlace::new(self.clone(), *station, device.clone()))
    }

    pub(super) fn release_quota(&self, station: &Serial, device: &DeviceName) {
        self.operators.release(station, device);
    }

    /// The highest revision that was taken in. What is read after it was asked for is at least as new.
    pub(crate) fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    pub(crate) fn device(&self, name: &DeviceName) -> Option<Arc<KnownDevice>> {
        self.devices.get(name)
    }

    /// What `look` makes of a device; it is quick, and looks at no other one.
    pub(crate) fn with_device<T>(
        &self,
        name: &DeviceName,
        look: impl FnOnce(Option<&KnownDevice>) -> T,
    ) -> T {
        self.devices.with(name, |known| look(known.map(|known| &**known)))
    }

    /// Of how many devices what is known of each release of a line, by their receipts.
    pub(crate) fn receipts(
        &self,
        repository: &RepositoryName,
        line: &LineName,
    ) -> BTreeMap<u64, ReceiptCounts> {
        self.software.of(repository, line)
    }

    /// Whether all that a device runs, by its receipts, are releases that their makers approve; as good as so where the policy does not ask.
    pub(crate) fn approves(&self, known: &KnownDevice, policy: &TrustPolicy) -> bool {
        !policy.looks_at_software() || self.software.approves(&known.software())
    }

    /// The same for a device of that row.
    pub(crate) fn approves_row(&self, row: &DeviceRow) -> bool {
        self.software.approves(counted(row))
    }

    /// The counts of all releases together.
    pub(crate) fn all_receipts(&self) -> ReceiptCounts {
        self.software.total()
    }

    /// Whether a device is to carry out a transfer to another tenant.
    pub(crate) fn awaits_transfer(&self, name: &DeviceName) -> bool {
        self.transfers.awaits(name)
    }

    /// A part of a tenant's devices, by its number from 0 on; none behind the last.
    pub(crate) fn devices(
        &self,
        tenant: &TenantId,
        part: usize,
    ) -> Option<Vec<(DeviceId, Arc<KnownDevice>)>> {
        self.devices.of_tenant(tenant, part)
    }

    /// How many devices are in each state.
    pub(crate) fn devices_by_state(&self) -> [(DeviceState, u64); DeviceState::ALL.len()] {
        self.devices.by_state()
    }

    /// For how long a verdict on a device of that profile may be kept, in seconds, and the trust policy that holds for it, if any.
    pub(crate) fn trust(
        &self,
        tenant: &TenantId,
        profile: &ProfileName,
    ) -> (u64, Option<Arc<SetTrustPolicy>>) {
        self.rules.trust(tenant, profile)
    }

    /// The trust policies of a tenant.
    pub(crate) fn trust_policies(&self, tenant: &TenantId) -> TrustPolicies {
        self.rules.policies(tenant)
    }

    /// Whether a policy of the tenant looks at when its devices were last heard of.
    pub(crate) fn looks_at_signs(&self, tenant: &TenantId) -> bool {
        self.rules.looks_at_signs(Some(tenant))
    }

    /// Has those who watch a tenant look at devices again at these Unix seconds.
    pub(crate) fn expect(&self, tenant: &TenantId, times: Vec<(u64, DeviceId)>) {
        self.changes.expect(tenant, times);
    }

    /// Watches a tenant's devices from now on; the place up to which memory has taken everything in.
    pub(crate) fn watch(&self, tenant: &TenantId) -> Result<(Subscription, Cursor), Error> {
        self.changes.subscribe(tenant).map_err(Error::internal)
    }

    /// What changed of a tenant that is watched after that place, by Unix second `now`, some `limit` changes at a time.
    pub(crate) fn changes(&self, tenant: &TenantId, after: Cursor, limit: usize, now: u64) -> Read {
        self.changes.read(tenant, after, limit, now)
    }

    /// The rule that revokes the certificates that the CA of that key identifier issued at that time to a device, or to the platform of a
    /// tenant, if any.
    pub(crate) fn revocation_rule(
        &self,
        holder: (&TenantId, Option<&DeviceName>),
        ca: &[u8; 20],
        issued_at: UnixSeconds,
    ) -> Option<RuleRow> {
        self.revocations.rule(holder, ca, issued_at, &self.clock)
    }
}
