//! The engine: what all use cases share.

use crate::api::{Page, Status, TrustBundle};
use crate::authority::Authority;
use crate::directory::Directory;
use crate::error::Error;
use crate::port::{Change, Clock, CommitError, Custody, RootKey, Store};
use crate::recent::RecentKeys;
use crate::rows::{AUTHORITY, AuthorityRow};
use crate::seal::Keyring;
use crate::upkeep::Upkeep;
use crate::{port::Table, rows};
use std::sync::{Arc, PoisonError, RwLock};
use wardein_crypto::Secret;
use wardein_ddkg::Policy;

/// The authority at work over a store and a clock.
pub struct Engine<S, C> {
    pub(crate) store: S,
    pub(crate) clock: C,
    root: RwLock<Arc<Keyring>>,
    pub(crate) custody: Option<Box<dyn Custody>>,
    pub(crate) upkeep: Upkeep,
    pub(crate) authority: Authority,
    pub(crate) directory: Directory,
    pub(crate) recent: RecentKeys,
    pub(crate) policy: Policy,
    started_at: u64,
}

/// What a decision came to: what it alters, and what it answers.
pub(crate) struct Decision<T> {
    pub(crate) change: Change,
    pub(crate) answer: T,
}

/// How often a decision is made anew when others changed its records meanwhile.
const ATTEMPTS: usize = 16;

impl<S: Store, C: Clock> Engine<S, C> {
    /// Opens an authority that was founded, whose root key was never changed. A wrong one is told by the first value that does not
    /// open.
    pub fn open(store: S, clock: C, root_key: Secret<32>) -> Result<Self, Error> {
        Self::open_under(store, clock, [RootKey { version: 1, secret: root_key }])
    }

    /// The same under the versions of the root key that custody keeps.
    pub fn open_under(
        store: S,
        clock: C,
        root_keys: impl IntoIterator<Item = RootKey>,
    ) -> Result<Self, Error> {
        let root = Keyring::of(root_keys).ok_or_else(|| Error::internal("custody keeps no root key"))?;
        let (_, row): (_, AuthorityRow) =
            rows::load(&store, Table::Authority, AUTHORITY)?.ok_or_else(Error::not_founded)?;
        let authority = Authority::open(&root, &row)?;
        let directory = Directory::load(&store, &root)?;
        let started_at = clock.now_ms() / 1000;
        let recent = RecentKeys::new();
        let root = RwLock::new(Arc::new(root));
        let (custody, upkeep, policy) = (None, Upkeep::default(), Policy::default());
        Ok(Self { store, clock, root, custody, upkeep, authority, directory, recent, policy, started_at })
    }

    /// The same with the custody that its root key is from, so that the root key can be changed.
    pub fn with_custody(self, custody: impl Custody) -> Self {
        Self { custody: Some(Box::new(custody)), ..self }
    }

    pub(crate) fn root(&self) -> Arc<Keyring> {
        self.root.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_root(&self, ring: Keyring) {
        *self.root.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
    }

    /// What the authority says of itself.
    pub fn status(&self) -> Result<Status, Error> {
        Ok(Status {
            trust_domain: self.authority.trust_domain.clone(),
            time: self.now(),
            started_at: self.started_at,
            audit_entries: self.store.last_audit()?,
            root_key: self.root().standing(),
        })
    }

    /// What devices and platforms verify with.
    pub fn trust_bundle(&self) -> &TrustBundle {
        &self.authority.bundle
    }

    /// The authority's time, in Unix seconds.
    pub fn now(&self) -> u64 {
        self.clock.now_ms() / 1000
    }

    /// Decides and commits, and decides anew when a record has changed in between. The answer is given only when the change
    /// is durable. A decision that alters nothing is answered at once.
    pub(crate) async fn transact<T: Send>(
        &self,
        mut decide: impl FnMut() -> Result<Decision<T>, Error> + Send,
    ) -> Result<T, Error> {
        let mut conflict = None;
        for _ in 0..ATTEMPTS {
            let Decision { change, answer } = decide()?;
            if change == Change::default() {
                return Ok(answer);
            }
            match self.store.commit(change).await {
                Ok(()) => return Ok(answer),
                Err(error @ CommitError::Conflict { .. }) => conflict = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        Err(conflict.map_or_else(|| Error::internal("no attempt was made"), Error::from))
    }
}

impl Page {
    /// The size within its bounds.
    pub(crate) fn limit(&self) -> Result<usize, Error> {
        match self.size {
            size @ 1..=Self::MAX => Ok(size),
            size => Err(Error::invalid(format_args!("page_size is {size}; it takes 1 to {}", Self::MAX))),
        }
    }
}
