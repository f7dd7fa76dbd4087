//! The engine: an authority at work over its ports.

use crate::access::refusals::Refusals;
use crate::issue::authority::{Authority, TrustBundle};
use crate::issue::crl::Crls;
use crate::issue::made_key::MadeKeys;
use crate::issue::ocsp::Responders;
use crate::issue::server_names::ServerNames;
use crate::keep::clock::{ClockRecord, stored_clock};
use crate::keep::migrate::require_format;
use crate::keep::upkeep::Upkeep;
use crate::kernel::turns::Turns;
use crate::kernel::{Error, KEPT, Records};
use crate::project::{Memory, NodeClock};
use crate::rows::seal::{Keyring, RootRing, StorageKey};
use crate::rows::{self, AUTHORITY, AuthorityRow, LAST_BACKUP_KEY, LastBackupRow};
use crate::trust::revision::Incarnation;
use crate::trust::status_list::StatusLists;
use std::sync::Arc;
use std::time::Duration;
use wardein_ddkg::{AuthorityTime, Policy};
use wardein_domain::{DeviceState, ErrorCode, TrustDomain, UnixSeconds};
use wardein_pki::RevocationUrl;
use wardein_port::{
    Clock, CommitError, Custody, EntropySource, Projection, RootKey, Signers, Store, SystemSource, Table,
};

/// The authority's description of itself.
#[derive(Debug, Clone)]
pub struct Status {
    /// The trust domain of its SPIFFE ids.
    pub trust_domain: TrustDomain,
    /// Unix seconds.
    pub time: u64,
    /// Unix seconds at which the engine was opened.
    pub started_at: u64,
    /// How many audit entries there are.
    pub audit_entries: u64,
    /// The root key.
    pub root_key: StorageKey,
    /// Unix seconds at which the last complete backup was taken; none before the first.
    pub last_backup: Option<u64>,
}

/// The authority at work.
pub struct Engine {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<NodeClock>,
    pub(crate) clock_record: ClockRecord,
    pub(crate) entropy: Arc<dyn EntropySource>,
    pub(crate) custody: Option<Arc<dyn Custody>>,
    pub(crate) root: Arc<RootRing>,
    pub(crate) upkeep: Upkeep,
    pub(crate) authority: Authority,
    pub(crate) server_names: ServerNames,
    pub(crate) made_keys: MadeKeys,
    pub(crate) incarnation: Incarnation,
    /// The memory that authorizes. Only the store's feed writes it.
    pub(crate) memory: Arc<Memory>,
    pub(crate) records: Arc<Records>,
    /// The CAs' keys that are in another process.
    pub(crate) signers: Arc<dyn Signers>,
    pub(crate) crls: Crls,
    pub(crate) responders: Responders,
    pub(crate) status_lists: StatusLists,
    /// Under which address verifiers find status lists; none where there are none.
    pub(crate) status_base: Option<RevocationUrl>,
    pub(super) turns: Turns,
    pub(crate) policy: Policy,
    /// Refusals of authenticated callers that came too often for an entry each.
    pub(crate) refusals: Refusals,
    pub(super) meter: Option<Meter>,
    started_at: u64,
}

/// The ports of an engine.
#[derive(Clone)]
pub struct Ports {
    /// Where rows live.
    pub store: Arc<dyn Store>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Where random bytes come from.
    pub entropy: Arc<dyn EntropySource>,
    /// Where the root key is kept; without it the root key cannot be changed.
    pub custody: Option<Arc<dyn Custody>>,
    /// The CAs' keys that are in another process; none where all are sealed in the store.
    pub signers: Arc<dyn Signers>,
    /// Hears of each commit.
    pub meter: Option<Meter>,
    /// Where the certificates of devices say that verifiers find what is revoked, and receipts that they find status lists; none where they do
    /// not say it.
    pub revocation_url: Option<RevocationUrl>,
}

/// Hears how long a commit took, from the decision to the answer, and whether it was applied.
pub type Meter = Arc<dyn Fn(Duration, bool) + Send + Sync>;

impl Ports {
    /// A store and a clock, random bytes of the operating system, and no custody.
    pub fn new(store: Arc<dyn Store>, clock: impl Clock) -> Self {
        let (clock, entropy) = (Arc::new(clock), Arc::new(SystemSource));
        let signers: Arc<dyn Signers> = Arc::new(Vec::new());
        Self { store, clock, entropy, custody: None, signers, meter: None, revocation_url: None }
    }
}

impl Engine {
    /// Opens an authority that was founded, under the versions of the root key that custody keeps. A wrong key shows at the first
    /// value that does not open.
    pub async fn open(ports: Ports, root_keys: impl IntoIterator<Item = RootKey>) -> Result<Self, Error> {
        let ring = Keyring::of(root_keys).ok_or_else(|| Error::internal("custody keeps no root key"))?;
        require_format(&ports).await?;
        let clock = Arc::new(stored_clock(&ports).await?);
        let Ports { store, entropy, custody, signers, meter, revocation_url, .. } = ports;
        let (_, row): (_, AuthorityRow) =
            rows::load(&*store, Table::Authority, AUTHORITY).await?.ok_or_else(Error::not_founded)?;
        let mut authority = Authority::open(&ring, &row)?;
        authority.complete(&*store).await?;
        let incarnation = Incarnation::of(&row);
        let root = Arc::new(RootRing::new(ring));
        let records = Records::new(KEPT);
        let memory = Arc::new(Memory::new(
            root.clone(),
            records.clone(),
            clock.clone(),
            signers.clone(),
            revocation_url.clone(),
        ));
        // Followed before it is loaded: changes in between come twice, and the second time has no effect.
        store.follow(&(memory.clone() as Arc<dyn Projection>));
        memory.load(&*store, clock.now()).await?;
        let started_at = clock.now().get();
        let (upkeep, policy) = (Upkeep::default(), Policy::default());
        Ok(Self {
            store,
            clock,
            clock_record: ClockRecord::default(),
            entropy,
            custody,
            root,
            upkeep,
            authority,
            server_names: ServerNames::default(),
            made_keys: MadeKeys::default(),
            incarnation,
            memory,
            records,
            signers,
            crls: Crls::default(),
            responders: Responders::default(),
            status_lists: StatusLists::default(),
            status_base: revocation_url,
            turns: Turns::new(),
            policy,
            refusals: Refusals::default(),
            meter,
            started_at,
        })
    }

    /// The authority's description of itself.
    pub async fn status(&self) -> Result<Status, Error> {
        Ok(Status {
            trust_domain: self.authority.trust_domain.clone(),
            time: self.now(),
            started_at: self.started_at,
            audit_entries: self.store.head().await?.last_audit,
            root_key: self.root.ring().standing(),
            last_backup: self.last_backup().await?,
        })
    }

    /// The Unix second in which the last complete backup was taken; none since the founding or a restore is `None`.
    pub async fn last_backup(&self) -> Result<Option<u64>, Error> {
        let last: Option<(u64, LastBackupRow)> =
            rows::load(&*self.store, Table::Authority, LAST_BACKUP_KEY).await?;
        Ok(last.map(|(_, row)| row.taken.get() / 1000))
    }

    /// How many devices of all tenants are in each state.
    pub fn devices_by_state(&self) -> [(DeviceState, u64); DeviceState::ALL.len()] {
        self.memory.devices_by_state()
    }

    /// Whether changes are accepted now; if not, why, and what to do.
    pub fn writable(&self) -> Result<(), String> {
        self.store.current().and_then(|()| self.store.writable())
    }

    /// Whether memory knows all that other nodes decided longer ago than some seconds. While it does not, nothing is answered from it.
    pub fn current(&self) -> Result<(), Error> {
        self.store.current().map_err(|why| CommitError::Unavailable(why).into())
    }

    /// Whether the upkeep of what all nodes share is this process's.
    pub fn keeps(&self) -> bool {
        self.store.keeps()
    }

    /// Refuses what needs one process to be the only one that uses the store.
    pub(crate) fn alone(&self) -> Result<(), Error> {
        if self.store.is_alone() {
            return Ok(());
        }
        let message = "other nodes use this database, and have the root key too; stop them first";
        Err(Error::new(ErrorCode::NodesRunning, message))
    }

    /// The certificates and keys with which devices and platforms verify.
    pub fn trust_bundle(&self) -> TrustBundle {
        TrustBundle {
            pem: self.bundle_pem(|_| true),
            identity_key: self.authority.identity.verifying_key().0,
        }
    }

    /// The roots as SPIFFE's bundle has them, JSON, to be taken again after an hour.
    pub fn spiffe_bundle(&self) -> String {
        let former = self.authority.former.as_ref().map(|former| &former.certificate);
        let roots = [&self.authority.root].into_iter().chain(former);
        wardein_pki::spiffe_bundle(roots, self.authority.roots_sequence, 3_600)
    }

    /// The authority's time.
    pub(crate) fn time(&self) -> UnixSeconds {
        self.clock.now()
    }

    /// The authority's time at Unix millisecond `now_ms`, as DDKG-1 takes it in (section 9.1).
    pub(crate) fn authority_time(&self, now_ms: u64) -> AuthorityTime {
        self.clock.at(now_ms)
    }

    /// The authority's time, in Unix seconds.
    pub fn now(&self) -> u64 {
        self.time().get()
    }
}
