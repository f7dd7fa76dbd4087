//! The revocation lists: one complete list for each CA that certifies devices, and one of the root.
//!
//! They are made from the index (`project/revoked.rs`), on a thread of their own, and only when something has changed or they are a day
//! old. Who revokes waits for none of it.

use crate::issue::apart::apart;
use crate::issue::authority::place;
use crate::issue::ca_keys::signer_of;
use crate::issue::cas::revoked_ca;
use crate::issue::prepared::refused;
use crate::kernel::{Decision, Engine, Error};
use crate::project::KnownCa;
use crate::rows::{self, AUTHORITY, AuthorityRow, CRL_KEY, CrlRow, ROOT_CRL_KEY, RootCrlRow};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use tokio::sync::Mutex;
use wardein_crypto::{Signer, SigningKey, hex};
use wardein_domain::{CaState, UnixSeconds};
use wardein_pki::{
    CLOCK_SKEW, CaCertificate, CaKey, CaRole, Crl, CrlNumber, CrlOrder, RevokedCertificate, Root, RootCa, pem,
};
use wardein_port::{Change, Table};

/// The published lists.
#[derive(Default)]
pub(crate) struct Crls {
    lists: RwLock<Lists>,
    numbers: Mutex<Numbers>,
}

#[derive(Default)]
struct Lists {
    /// By the key identifiers of the CAs.
    issuing: HashMap<[u8; 20], Published>,
    root: Option<Published>,
    /// All of them in PEM.
    bundle: Option<Arc<CrlFile>>,
    /// Unix seconds at which expired entries were last dropped.
    swept_at: u64,
}

struct Published {
    file: Arc<CrlFile>,
    /// Unix seconds at which it was made, and by which state of the index.
    made_at: u64,
    changes: u64,
    /// Whether it was signed when the root's key was exported, and is good for long.
    is_of_export: bool,
}

/// A list, or all of them, as a file to be downloaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrlFile {
    /// DER of one list, or PEM of all.
    pub bytes: Vec<u8>,
    /// It changes with the bytes: the number of the list, in hex, or of all of them.
    pub tag: String,
    /// Unix seconds from which it is good.
    pub this_update: u64,
    /// Unix seconds until which it is; of several, of the first that ends.
    pub next_update: u64,
    /// How many certificates are on it.
    pub entries: usize,
}

/// The standing of the lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrlStatus {
    /// The least number of seconds until a list ends, by the authority's clock; less than none where one has. `None` before there is one.
    pub ends_in: Option<i64>,
    /// Certificates on all lists.
    pub entries: usize,
}

impl CrlStatus {
    /// Whether a list will end soon, because none could be made for days.
    pub fn is_overdue(&self) -> bool {
        self.ends_in.is_some_and(|seconds| seconds < (CRL_LIFETIME / 2) as i64)
    }
}

/// The numbers that lists have. A list has the time in nanoseconds, or one more than the last if the clock is behind that; in front of it
/// is the time of the last restore, which rises from one to the next. So a number rises across restarts and restores, and where the
/// clock is set back.
#[derive(Default)]
struct Numbers {
    last: u64,
    /// No number above it may be given before a higher one is on record. `None` before it was read.
    limit: Option<u64>,
}

impl Engine {
    /// The CAs whose certificates devices may have, as they say what of these is revoked. One that is distrusted goes on saying that all of
    /// it is; of one that has retired, or whose own time is over, all has expired.
    pub(crate) fn revoking_cas(&self) -> Vec<Arc<KnownCa>> {
        let now = self.now();
        let mut cas = self.memory.cas();
        cas.retain(|ca| ca.has_key() && ca.certificate.validity().not_after() >= now);
        cas
    }

    /// The CAs that are on the root's list. A backup may still have the key of one that retired.
    fn distrusted_cas(&self, now: u64) -> Vec<Arc<KnownCa>> {
        let mut cas = self.memory.cas();
        cas.retain(|ca| ca.state == CaState::Distrusted && ca.certificate.validity().not_after() >= now);
        cas
    }

    /// Looks at what was revoked since, publishes the lists that have changed or are a day old, and renews who answers OCSP requests; to
    /// be called every second. It goes on with the rest where a part fails, and names the first failure.
    pub async fn publish_crls(&self) -> Result<CrlStatus, Error> {
        self.current()?;
        let mut outcome = self.memory.expand_revocations(&*self.store).await;
        // A list that lacks some of the revoked is worse than none, but not worse than the same list, ended.
        if outcome.is_ok() || self.lists(|lists| lists.bundle.is_some()) {
            outcome = outcome.and(self.publish_due().await);
        }
        outcome = outcome.and(self.renew_responders().await);
        outcome.map(|()| self.crl_status())
    }

    async fn publish_due(&self) -> Result<(), Error> {
        let now = self.now();
        if self.lists(|lists| !(lists.swept_at..lists.swept_at + CRL_MAX_AGE).contains(&now)) {
            self.memory.forget_expired_revocations();
            self.crls.write().swept_at = now;
        }
        let mut outcome = Ok(());
        let cas = self.revoking_cas();
        self.crls.keep(&cas);
        for ca in &cas {
            let id = *ca.id.as_bytes();
            let changes = self.memory.revocation_changes(&id);
            if self.lists(|lists| lists.issuing.get(&id).is_some_and(|list| list.is_good(now, changes))) {
                continue;
            }
            match self.publish_issuing(ca, now, changes).await {
                Ok(published) => {
                    self.crls.write().issuing.insert(id, published);
                }
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        let distrusted = self.distrusted_cas(now);
        let changes = distrusted.len() as u64;
        if !self.lists(|lists| lists.root.as_ref().is_some_and(|list| list.is_good(now, changes))) {
            match self.publish_root(now, &distrusted).await {
                Ok(published) => self.crls.write().root = published,
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        // One without the list of a CA would have a broker refuse all that the CA certified.
        let is_whole = |lists: &Lists| cas.iter().all(|ca| lists.issuing.contains_key(ca.id.as_bytes()));
        let (is_whole, files, tag) = self.lists(|lists| {
            (is_whole(lists), lists.files(), lists.bundle.as_ref().map(|file| file.tag.clone()))
        });
        let former = self.authority.former.as_ref().map(|former| former.crl.clone());
        let files: Vec<_> = files.into_iter().chain(former).collect();
        if is_whole && tag != Some(tag_of(&files)) {
            let bundle = apart("wardein-crl", move || bundle(&files)).await??;
            self.crls.write().bundle = Some(Arc::new(bundle));
        }
        outcome
    }

    async fn publish_issuing(&self, ca: &KnownCa, now: u64, changes: u64) -> Result<Published, Error> {
        let (memory, id) = (self.memory.clone(), ca.id);
        self.publish(ca.key()?.clone(), now, changes, move || memory.revoked_of(id.as_bytes())).await
    }

    /// The root's list, with the CAs that are distrusted: what their keys sign elsewhere is on no record, and on no list of theirs. Where the
    /// root's key is out of reach it is the one that was signed when the key was exported; none where it was not.
    async fn publish_root(&self, now: u64, distrusted: &[Arc<KnownCa>]) -> Result<Option<Published>, Error> {
        let changes = distrusted.len() as u64;
        let Some(root) = self.root_ca().await? else { return self.exported_root_crl(now, changes).await };
        let mut revoked: Vec<_> =
            distrusted.iter().map(|ca| revoked_ca(&ca.certificate, ca.since.get(), now)).collect();
        revoked.sort_unstable_by_key(|revoked| revoked.serial);
        self.publish(root, now, changes, move || revoked).await.map(Some)
    }

    async fn exported_root_crl(&self, now: u64, changes: u64) -> Result<Option<Published>, Error> {
        let row: Option<(u64, RootCrlRow)> = rows::load(&*self.store, Table::Authority, ROOT_CRL_KEY).await?;
        let Some((_, RootCrlRow { der })) = row else { return Ok(None) };
        Ok(Some(Published { file: Arc::new(CrlFile::read(der)?), made_at: now, changes, is_of_export: true }))
    }

    /// Until which Unix second the root's list is good, where it is the one that was signed when the root's key was exported.
    pub(crate) fn exported_crl_until(&self) -> Option<u64> {
        self.lists(|lists| {
            lists.root.as_ref().filter(|list| list.is_of_export).map(|list| list.file.next_update)
        })
    }

    /// The root, whose key is opened for this; none where no signer has it.
    async fn root_ca(&self) -> Result<Option<RootCa>, Error> {
        let (_, row): (_, AuthorityRow) =
            rows::load(&*self.store, Table::Authority, AUTHORITY).await?.ok_or_else(Error::not_founded)?;
        let certificate = CaCertificate::<Root>::parse(&row.root_der).map_err(Error::internal)?;
        let key = certificate.verifying_key();
        let signer: Arc<dyn Signer> = match &row.root_key[..] {
            [] => match signer_of(&*self.signers, key) {
                Ok(signer) => signer,
                Err(_) => return Ok(None),
            },
            sealed => {
                let document = self.root.ring().open(place("root"), sealed)?;
                let opened = SigningKey::from_pkcs8(key.algorithm(), &document);
                Arc::new(opened.map_err(|_| Error::internal("the root's key is damaged"))?)
            }
        };
        CaKey::load(signer, &row.root_der).map(Some).map_err(Error::internal)
    }

    /// Makes the list of a CA. The number of changes was read before: what is revoked meanwhile makes another.
    async fn publish<R: CaRole>(
        &self,
        ca: CaKey<R>,
        now: u64,
        changes: u64,
        revoked: impl FnOnce() -> Vec<RevokedCertificate> + Send + 'static,
    ) -> Result<Published, Error> {
        let number = self.crl_number().await?;
        let made = apart("wardein-crl", move || {
            let order = CrlOrder {
                number,
                this_update: now.saturating_sub(CLOCK_SKEW),
                next_update: now.saturating_add(CRL_LIFETIME),
                revoked: revoked(),
            };
            ca.sign_crl(&order)
        });
        let file = Arc::new(CrlFile::from(made.await?.map_err(refused)?));
        Ok(Published { file, made_at: now, changes, is_of_export: false })
    }

    /// The next number, which no later one is below, whatever becomes of this process.
    async fn crl_number(&self) -> Result<CrlNumber, Error> {
        let mut numbers = self.crls.numbers.lock().await;
        let limit = match numbers.limit {
            Some(limit) => limit,
            None => {
                let row: Option<(u64, CrlRow)> = rows::load(&*self.store, Table::Authority, CRL_KEY).await?;
                let limit = row.map_or(0, |(_, row)| row.limit);
                // Whatever of it was given.
                (numbers.last, numbers.limit) = (limit, Some(limit));
                limit
            }
        };
        let nanoseconds = self.clock.now_ms().saturating_mul(1_000_000);
        let low = nanoseconds.max(numbers.last.saturating_add(1));
        if low > limit {
            let limit = low.saturating_add(NUMBERS_AT_A_TIME);
            self.transact(|tx| {
                let version = tx.get(Table::Authority, CRL_KEY)?.map(|row| row.version);
                // Once an hour, and on a full disk too: a list that has ended locks every device out.
                let mut change = Change { may_use_reserve: true, ..Change::default() };
                change.put(Table::Authority, CRL_KEY.to_vec(), version, rows::encode(&CrlRow { limit })?);
                Ok(Decision::new(change, ()))
            })
            .await?;
            numbers.limit = Some(limit);
        }
        numbers.last = low;
        Ok(crl_number(self.authority.restored_at, low))
    }

    /// Whether a CA of that key identifier has a list here: one that certifies devices, or the former root.
    pub fn has_crl(&self, ca: &[u8; 20]) -> bool {
        self.former_crl(ca).is_some() || self.revoking_cas().iter().any(|found| found.id.as_bytes() == ca)
    }

    /// The last list of the former root, if that is its key identifier.
    fn former_crl(&self, ca: &[u8; 20]) -> Option<Arc<CrlFile>> {
        let former = self.authority.former.as_ref().filter(|former| former.certificate.key_id() == ca)?;
        Some(former.crl.clone())
    }

    /// The list of a CA by its key identifier.
    pub fn crl(&self, ca: &[u8; 20]) -> Option<Arc<CrlFile>> {
        if let Some(former) = self.former_crl(ca) {
            return Some(former);
        }
        self.lists(|lists| lists.issuing.get(ca).map(|list| list.file.clone()))
    }

    /// The list of the root.
    pub fn root_crl(&self) -> Option<Arc<CrlFile>> {
        self.lists(|lists| lists.root.as_ref().map(|list| list.file.clone()))
    }

    /// All lists in PEM, the root's first: what Mosquitto, nginx and HAProxy take.
    pub fn crl_bundle(&self) -> Option<Arc<CrlFile>> {
        self.lists(|lists| lists.bundle.clone())
    }

    /// How the lists are.
    pub fn crl_status(&self) -> CrlStatus {
        let now = i64::try_from(self.now()).unwrap_or(i64::MAX);
        self.lists(|lists| CrlStatus {
            ends_in: lists.bundle.as_ref().map(|file| file.next_update as i64 - now),
            entries: lists.bundle.as_ref().map_or(0, |file| file.entries),
        })
    }

    fn lists<T>(&self, read: impl FnOnce(&Lists) -> T) -> T {
        read(&self.crls.lists.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Crls {
    /// Drops the lists of other CAs than these.
    fn keep(&self, cas: &[Arc<KnownCa>]) {
        let is_kept = |id: &[u8; 20]| cas.iter().any(|ca| ca.id.as_bytes() == id);
        self.write().issuing.retain(|id, _| is_kept(id));
    }

    fn write(&self) -> RwLockWriteGuard<'_, Lists> {
        // A list is put in in one step.
        self.lists.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lists {
    /// All of them, the root's first.
    fn files(&self) -> Vec<Arc<CrlFile>> {
        let mut issuing: Vec<_> = self.issuing.iter().map(|(id, list)| (*id, list.file.clone())).collect();
        issuing.sort_unstable_by_key(|(id, _)| *id);
        let root = self.root.iter().map(|list| list.file.clone());
        root.chain(issuing.into_iter().map(|(_, file)| file)).collect()
    }
}

/// The number of a list, of which `rising` is the part that is in [`CrlRow`].
pub(crate) fn crl_number(restored_at: UnixSeconds, rising: u64) -> CrlNumber {
    CrlNumber(u128::from(restored_at.get()) << 64 | u128::from(rising))
}

/// It changes with any of them.
fn tag_of(files: &[Arc<CrlFile>]) -> String {
    files.iter().map(|file| file.tag.as_str()).collect::<Vec<_>>().join("-")
}

/// Lists in PEM, one after the other.
fn bundle(files: &[Arc<CrlFile>]) -> Result<CrlFile, Error> {
    let text = pem::encode_crls(files.iter().map(|file| &file.bytes[..])).map_err(Error::internal)?;
    Ok(CrlFile {
        bytes: text.into_bytes(),
        tag: tag_of(files),
        this_update: files.iter().map(|file| file.this_update).max().unwrap_or_default(),
        next_update: files.iter().map(|file| file.next_update).min().unwrap_or_default(),
        entries: files.iter().map(|file| file.entries).sum(),
    })
}

impl Published {
    /// Whether there is nothing new, and it is not old; nor of a time to come, as after a clock that was set back.
    fn is_good(&self, now: u64, changes: u64) -> bool {
        self.changes == changes && (self.made_at..self.made_at + CRL_MAX_AGE).contains(&now)
    }
}

impl CrlFile {
    /// A list that was signed before, DER.
    pub(crate) fn read(der: Vec<u8>) -> Result<Self, Error> {
        let CrlOrder { number, this_update, next_update, revoked } =
            CrlOrder::read(&der).ok_or_else(|| Error::internal("a root's revocation list is damaged"))?;
        Ok(Crl { der, number, this_update, next_update, entries: revoked.len() }.into())
    }
}

impl From<Crl> for CrlFile {
    fn from(crl: Crl) -> Self {
        let Crl { der, number, this_update, next_update, entries } = crl;
        let tag = hex::encode(&number.0.to_be_bytes());
        Self { bytes: der, tag, this_update, next_update, entries }
    }
}

/// Seconds for which a list is good: seven days, so that a broker that cannot fetch the next one over a long weekend locks nobody out.
pub const CRL_LIFETIME: u64 = 7 * 86_400;

/// Seconds after which a list is made again though nothing has changed: a day, well below half of its lifetime.
const CRL_MAX_AGE: u64 = 86_400;

/// Nanoseconds: an hour. A start goes on above what may have been given before.
const NUMBERS_AT_A_TIME: u64 = 3_600_000_000_000;
