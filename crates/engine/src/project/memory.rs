//! All of it, and how it is fed.

use super::bearer_tokens::BearerTokens;
use super::cas::Cas;
use super::changes::{Changed, Changes, Cursor, Read, Subscription};
use super::devices::{Counted, Devices};
use super::operators::Operators;
use super::own::Own;
use super::revocations::Revocations;
use super::revoked::{Place, RevokedCertificates};
use super::rules::TenantRules;
use super::software::{Software, counted};
use super::status::StatusPlaces;
use super::tenants::TenantKeys;
use super::transfers::Transfers;
use super::verdict_keys::VerdictKeys;
use super::{
    KnownBearerToken, KnownCa, KnownDevice, KnownOperator, NodeClock, OperatorPlace, QuotaPlace,
    ReceiptCounts, Rules, TrustPolicies,
};
use crate::access::bearer_tokens::BearerTokenId;
use crate::kernel::{Error, Records};
use crate::rows::seal::{Keyring, RootRing};
use crate::rows::{
    self, AUTHORITY, AuthorityRow, CLOCK_KEY, DeviceRow, LineRow, OperatorRow, ProfileRow, Revocation,
    RuleRow, RuleScope, TenantRow, VERDICT_KEYS,
};
use crate::trust::policy::SetTrustPolicy;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::OnceCell;
use wardein_ddkg::{ChallengeKey, DeviceName};
use wardein_domain::{
    CaId, CaState, DeviceId, DeviceState, LineName, Principal, Profile, ProfileName, RepositoryName, Serial,
    TenantId, TrustPolicy, UnixSeconds,
};
use wardein_pki::{InfrastructureCa, RevocationUrl};
use wardein_port::{Committed, Projection, Signers, Store, Table};

/// The state that authentication, trust queries and decisions read.
pub(crate) struct Memory {
    root: Arc<RootRing>,
    records: Arc<Records>,
    tenants: TenantKeys,
    pub(super) rules: TenantRules,
    operators: Operators,
    bearer_tokens: BearerTokens,
    pub(super) devices: Devices,
    software: Software,
    revocations: Revocations,
    pub(super) revoked: RevokedCertificates,
    transfers: Transfers,
    cas: Cas,
    pub(super) verdict_keys: VerdictKeys,
    pub(super) status: StatusPlaces,
    pub(super) clock: Arc<NodeClock>,
    pub(super) changes: Changes,
    /// Whether somebody looks at when devices were last heard of, and whether all of it is here.
    pub(super) wants_signs: AtomicBool,
    pub(super) has_signs: OnceCell<()>,
    /// The highest revision that was taken in.
    revision: AtomicU64,
    /// Of the authority's row.
    own: Own,
    /// The CAs' keys that are in another process.
    signers: Arc<dyn Signers>,
}

/// How many rows are read at a time when memory is loaded.
pub(super) const LOAD_PAGE: usize = 1_000;

impl Memory {
    /// `signers` have the CAs' keys that are in another process. Certificates of devices say that verifiers find what is revoked at
    /// `revocation_url`; with none they do not say it.
    pub(crate) fn new(
        root: Arc<RootRing>,
        records: Arc<Records>,
        clock: Arc<NodeClock>,
        signers: Arc<dyn Signers>,
        revocation_url: Option<RevocationUrl>,
    ) -> Self {
        let (tenants, rules) = (TenantKeys::default(), TenantRules::default());
        let (operators, devices, revocations) =
            (Operators::default(), Devices::new(), Revocations::default());
        let (own, revision, cas) = (Own::default(), AtomicU64::default(), Cas::new(revocation_url));
        let (transfers, revoked, changes) =
            (Transfers::default(), RevokedCertificates::default(), Changes::by(clock.clone()));
        let (wants_signs, has_signs) = (AtomicBool::default(), OnceCell::new());
        Self {
            revision,
            wants_signs,
            has_signs,
            root,
            records,
            tenants,
            rules,
            operators,
            bearer_tokens: BearerTokens::default(),
            devices,
            software: Software::default(),
            revocations,
            transfers,
            revoked,
            cas,
            verdict_keys: VerdictKeys::default(),
            status: StatusPlaces::default(),
            clock,
            changes,
            own,
            signers,
        }
    }

    /// Applies everything that is stored, but for operators that have expired.
    pub(crate) async fn load(&self, store: &dyn Store, now: UnixSeconds) -> Result<(), Error> {
        // What was committed up to here is read below, and what comes later is projected.
        let head = store.head().await?.revision;
        let tables = [
            Table::Authority,
            Table::Tenant,
            Table::Profile,
            Table::TrustPolicy,
            Table::Operator,
            Table::BearerTokens,
            Table::ProductLine,
            Table::Device,
            Table::Revocation,
            Table::Transfer,
            Table::IssuingCa,
            Table::StatusEntry,
        ];
        for table in tables {
            let mut after = None;
            loop {
                let page = store.scan(table, b"", after.as_deref(), LOAD_PAGE).await?;
                for (key, row) in &page {
                    self.take_in(table, key, row.version, Some(&row.value))?;
                    self.revision.fetch_max(row.version, Ordering::Release);
                }
                match page.into_iter().last() {
                    Some((key, _)) => after = Some(key),
                    None => break,
                }
            }
        }
        if self.rules.looks_at_signs(None) {
            self.want_signs(store).await?;
        }
        self.operators.loaded(now);
        if self.clock.era() > 0 {
            self.revoked.look_at(Place::All);
        }
        self.changes.note(head, Vec::new());
        self.revision.fetch_max(head, Ordering::Release);
        Ok(())
    }

    /// Everything that it holds, a line each, in order.
    #[cfg(test)]
    pub(crate) fn dump(&self) -> Vec<String> {
        let Self { tenants, rules, operators, devices, revocations, transfers, revoked, cas, .. } = self;
        let lines = [tenants.dump(), rules.dump(), operators.dump(), devices.dump(), cas.dump()];
        let mut lines = [lines.concat(), revocations.dump(), transfers.dump(), revoked.dump()].concat();
        lines.extend(self.bearer_tokens.dump());
        lines.extend(self.software.dump());
        lines.extend(self.verdict_keys.dump());
        lines.extend(self.status.dump());
        lines.push(format!("authority at {}", self.authority_version()));
        lines.sort();
        lines
    }

    /// The one way in: a row as the commit of that revision left it. What those hear of it who watch.
    fn take_in(
        &self,
        table: Table,
        key: &[u8],
        revision: u64,
        value: Option<&[u8]>,
    ) -> Result<Vec<(TenantId, Changed)>, Error> {
        // Nothing that is kept here is ever deleted; of transfers, only what leads to them.
        let Some(value) = value else { return Ok(Vec::new()) };
        match table {
            Table::Authority => self.take_in_authority(key, revision, value)?,
            Table::Tenant => {
                let tenant: TenantId = rows::word("tenant", std::str::from_utf8(key).unwrap_or_default())?;
                let row: TenantRow = rows::decode(table, value)?;
                self.rules.put_tenant(tenant.clone(), revision, row.rotation.into());
                self.tenants.put(tenant, revision, &self.root.ring(), key, &row)?;
            }
            Table::Profile => {
                let (tenant, name) = rows::parse_profile_key(key)?;
                let row: ProfileRow = rows::decode(table, value)?;
                let changed = self.rules.put_profile(tenant.clone(), name, revision, &row)?;
                return Ok(changed
                    .into_iter()
                    .map(|name| (tenant.clone(), Changed::Profile(name)))
                    .collect());
            }
            Table::TrustPolicy => {
                let (tenant, profile) = rows::parse_trust_policy_key(key)?;
                let is_changed = self.rules.put_policy(key, revision, value)?;
                return Ok(is_changed.then_some((tenant, Changed::Policy(profile))).into_iter().collect());
            }
            Table::DeviceHot | Table::SignatureKey => {
                if self.wants_signs.load(Ordering::Acquire) {
                    return Ok(self.take_in_signs(table, key, revision, value)?.into_iter().collect());
                }
            }
            Table::Operator => {
                let serial = Serial::from_bytes(key).map_err(Error::internal)?;
                let row: OperatorRow = rows::decode(table, value)?;
                self.operators.put(serial, revision, &row);
                return Ok(row.tenant.map(|tenant| (tenant, Changed::Operator)).into_iter().collect());
            }
            Table::BearerTokens => self.bearer_tokens.put(key, revision, value)?,
            Table::Device => {
                let name = rows::parse_device_key(key)?;
                let row: DeviceRow = rows::decode(table, value)?;
                let before_state = self.devices.get(&name).map(|known| known.state);
                if let Some(Counted { places, software }) = self.devices.put(&name, revision, &row)? {
                    self.operators.count(&name, &places[0], &places[1]);
                    self.software.count(&software[0], &software[1]);
                    let revokes = |state: DeviceState| state.revokes().is_some();
                    let is_changed = before_state != Some(row.state);
                    if is_changed && (revokes(row.state) || before_state.is_some_and(revokes)) {
                        self.revoked.look_at(Place::Device(name.clone()));
                    }
                }
                return Ok(Vec::from([(name.tenant, Changed::Device(name.device))]));
            }
            Table::Revocation => self.take_in_revocation(key, revision, value)?,
            Table::Transfer => self.transfers.put(key, revision, value)?,
            Table::IssuingCa => self.cas.put(key, revision, (&self.root.ring(), &self.signers), value)?,
            Table::StatusEntry => self.status.put(key, value)?,
            Table::ProductLine => {
                let row: LineRow = rows::decode(table, value)?;
                let is_changed = self.software.put(rows::parse_update_key(key)?, revision, &row);
                let tenants = if is_changed { self.rules.tenants_with_software() } else { Vec::new() };
                return Ok(tenants.into_iter().map(|tenant| (tenant, Changed::Releases)).collect());
            }
            // Read where they are needed, from the store.
            Table::DeviceKeys
            | Table::Certificate
            | Table::Serial
            | Table::CertificateFingerprint
            | Table::OperatorName
            | Table::Spent
            | Table::Grant
            | Table::History
            | Table::Deed
            | Table::KeyPolicy
            | Table::EndorsementKey
            | Table::PcrPolicy
            | Table::Prepared
            | Table::DeviceClaim
            | Table::VendorRoot
            | Table::TenantOperator
            | Table::Invitation
            | Table::IdempotencyKey
            | Table::OperatorAnswer
            | Table::OpenInvitations
            | Table::Voucher
            | Table::PlatformPins
            | Table::ApprovalPolicy
            | Table::Proposal
            | Table::OpenProposals
            | Table::ServicePolicy
            | Table::Visit
            | Table::DeviceVisits
            | Table::ServiceCa
            | Table::EmergencyUses
            | Table::Webhook
            | Table::WebhookPosition
            | Table::UpdateRepository
            | Table::SiteUpdates
            | Table::Readers
            | Table::UpdateFile
            | Table::AuditSink => {}
        }
        Ok(Vec::new())
    }

    fn take_in_revocation(&self, key: &[u8], revision: u64, value: &[u8]) -> Result<(), Error> {
        match rows::parse_revocation_key(key)? {
            Revocation::Certificate(serial) => {
                self.revoked.put(serial, revision, &rows::decode(Table::Revocation, value)?);
            }
            Revocation::Rule(scope) => {
                let place = match &scope {
                    RuleScope::Device(name) => Place::Device(name.clone()),
                    RuleScope::Tenant(tenant) => Place::Tenant(tenant.clone()),
                    RuleScope::Ca(_) => Place::All,
                };
                let rule = rows::decode(Table::Revocation, value)?;
                self.revocations.put(key, scope, revision, rule);
                self.revoked.look_at(place);
            }
        }
        Ok(())
    }

    fn take_in_authority(&self, key: &[u8], revision: u64, value: &[u8]) -> Result<(), Error> {
        if key == CLOCK_KEY {
            let era = self.clock.era();
            self.clock.put(&rows::decode(Table::Authority, value)?);
            if self.clock.era() != era {
                self.revoked.look_at(Place::All);
            }
        } else if key == AUTHORITY {
            let row: AuthorityRow = rows::decode(Table::Authority, value)?;
            self.own.put(revision, &row, (&self.root.ring(), &*self.signers))?;
        } else if key == VERDICT_KEYS {
            self.verdict_keys.put(revision, &self.root.ring(), value)?;
        }
        Ok(())
    }

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

impl Projection for Memory {
    fn project(&self, committed: &Committed) -> Result<(), String> {
        // Nearly every commit is a proof, which changes what nearly nobody looks at.
        let is_of_signs = committed.rows.iter().all(|row| row.table.is_of_signs());
        if is_of_signs && !self.wants_signs.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut changed = Vec::new();
        for row in &committed.rows {
            let taken = self.take_in(row.table, &row.key, committed.revision, row.value.as_deref());
            changed.extend(taken.map_err(|error| error.to_string())?);
        }
        if is_of_signs && changed.is_empty() {
            return Ok(());
        }
        // Memory first: who hears of a change finds it there.
        self.changes.note(committed.revision, changed);
        self.revision.fetch_max(committed.revision, Ordering::Release);
        Ok(())
    }

    fn recovered(&self) {
        self.records.clear();
    }
}
