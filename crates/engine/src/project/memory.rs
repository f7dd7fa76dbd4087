//! All of it, and how it is fed.

use super::NodeClock;
use super::bearer_tokens::BearerTokens;
use super::cas::Cas;
use super::changes::{Changed, Changes};
use super::devices::{Counted, Devices};
use super::operators::Operators;
use super::own::Own;
use super::revocations::Revocations;
use super::revoked::{Place, RevokedCertificates};
use super::rules::TenantRules;
use super::software::Software;
use super::status::StatusPlaces;
use super::tenants::TenantKeys;
use super::transfers::Transfers;
use super::verdict_keys::VerdictKeys;
use crate::kernel::{Error, Records};
use crate::rows::seal::RootRing;
use crate::rows::{
    self, AUTHORITY, AuthorityRow, CLOCK_KEY, DeviceRow, LineRow, OperatorRow, ProfileRow, Revocation,
    RuleScope, TenantRow, VERDICT_KEYS,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::OnceCell;
use wardein_domain::{DeviceState, Serial, TenantId, UnixSeconds};
use wardein_pki::RevocationUrl;
use wardein_port::{Committed, Projection, Signers, Store, Table};

/// The state that authentication, trust queries and decisions read.
pub(crate) struct Memory {
    root: Arc<RootRing>,
    records: Arc<Records>,
    pub(super) tenants: TenantKeys,
    pub(super) rules: TenantRules,
    pub(super) operators: Operators,
    pub(super) bearer_tokens: BearerTokens,
    pub(super) devices: Devices,
    pub(super) software: Software,
    pub(super) revocations: Revocations,
    pub(super) revoked: RevokedCertificates,
    pub(super) transfers: Transfers,
    pub(super) cas: Cas,
    pub(super) verdict_keys: VerdictKeys,
    pub(super) status: StatusPlaces,
    pub(super) clock: Arc<NodeClock>,
    pub(super) changes: Changes,
    /// Whether somebody looks at when devices were last heard of, and whether all of it is here.
    pub(super) wants_signs: AtomicBool,
    pub(super) has_signs: OnceCell<()>,
    /// The highest revision that was taken in.
    pub(super) revision: AtomicU64,
    /// Of the authority's row.
    pub(super) own: Own,
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
