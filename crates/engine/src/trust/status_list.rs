//! Token Status Lists (draft-ietf-oauth-status-list): what became of the devices that receipts name, for those who cannot ask.
//!
//! A device gets its place when a receipt names it first: a random index that it keeps and that no other device ever has, so that who sees
//! a list learns of no device that was not shown to it. The lists follow the feed, as watchers do, and are signed by the keys of verdicts.

use crate::issue::apart::apart;
use crate::kernel::{Decision, Engine, Error};
use crate::project::{Changed, Cursor, Read, Subscription};
use crate::rows::{self, Link, StatusPlaceRow, device_key, status_device_key, status_place_key};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::Mutex;
use wardein_crypto::{Digest, hex};
use wardein_ddkg::DeviceName;
use wardein_domain::{DeviceId, DeviceState, ErrorKind, ProfileName, TenantId, Verdict};
use wardein_pki::{StatusBits, TokenStatus, gzip, jose};
use wardein_port::{Change, Table};

/// The lists, as they are served and as they are made.
#[derive(Default)]
pub(crate) struct StatusLists {
    served: RwLock<HashMap<u32, Arc<StatusListFile>>>,
    making: Mutex<Making>,
}

/// A signed list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusListFile {
    /// The token, a compact JWS.
    pub token: Vec<u8>,
    /// The same in the content coding `gzip`.
    pub gzip: Vec<u8>,
    /// It changes with the token.
    pub tag: String,
    /// Unix seconds at which it was made.
    pub made_at: u64,
    /// The name of the key that signed it.
    pub(crate) kid: String,
}

impl StatusListFile {
    /// Seconds after which it is to be fetched again.
    pub const TTL: u64 = 60;
}

#[derive(Default)]
struct Making {
    lists: HashMap<u32, List>,
    followed: HashMap<TenantId, Followed>,
    /// Devices that have a place and are on no list yet.
    fresh: Vec<DeviceName>,
    /// Unix seconds at which all devices were looked at last.
    swept_at: u64,
}

struct List {
    bits: StatusBits,
    is_changed: bool,
}

/// A tenant with devices on lists.
struct Followed {
    subscription: Subscription,
    /// Everything up to this place is on the lists.
    at: Cursor,
}

/// A place, as what is signed has it.
pub(super) struct StatusReference {
    pub(super) index: u32,
    pub(super) uri: String,
}

impl Engine {
    /// Where a device that is on record is on the lists; none where no address is configured at which they are found, or where it has no
    /// place and the store takes none now.
    pub(super) async fn status_reference(
        &self,
        device: &DeviceName,
    ) -> Result<Option<StatusReference>, Error> {
        let Some(base) = &self.status_base else { return Ok(None) };
        let place = match self.memory.status_place(device) {
            Some(place) => place,
            None => match self.place(device).await {
                Ok(place) => place,
                Err(error) if error.kind() == ErrorKind::Unavailable => return Ok(None),
                Err(error) => return Err(error),
            },
        };
        Ok(Some(StatusReference { index: place.index, uri: base.status_list(place.list) }))
    }

    async fn place(&self, device: &DeviceName) -> Result<StatusPlaceRow, Error> {
        let key = status_device_key(device);
        self.transact(|tx| {
            if let Some((_, place)) = tx.row::<StatusPlaceRow>(Table::StatusEntry, &key)? {
                return Ok(Decision::unchanged(place));
            }
            let list = self.memory.open_status_list(CAPACITY / 2);
            // Half of a list is free at least: the odds that so many draws find none are 1 in 2^64.
            for _ in 0..64 {
                let drawn = u32::from_be_bytes(tx.draw().public()?) % CAPACITY as u32;
                let place = StatusPlaceRow { list, index: drawn };
                if !self.memory.is_free_status_place(place) {
                    continue;
                }
                let mut change = Change::default();
                change.insert(Table::StatusEntry, key.clone(), rows::encode(&place)?);
                let to = Link::encode(&device_key(device));
                change.insert(Table::StatusEntry, status_place_key(place), to);
                return Ok(Decision::new(change, place));
            }
            Err(Error::internal("no free place on a status list was drawn").into())
        })
        .await
    }

    /// Puts on the lists what changed, and signs those that did, or were signed half an hour ago. To be called every second or sooner.
    pub async fn publish_status_lists(&self) -> Result<(), Error> {
        if self.status_base.is_none() {
            return Ok(());
        }
        self.current()?;
        let mut making = self.status_lists.making.lock().await;
        let making = &mut *making;
        // Looked at first: a device that gets its place while its tenant is gone over is looked at again.
        making.fresh.extend(self.memory.take_fresh_status_places());
        for tenant in making.fresh.iter().map(|device| &device.tenant).collect::<HashSet<_>>() {
            if !making.followed.contains_key(tenant) {
                let (subscription, at) = self.memory.watch(tenant)?;
                making.followed.insert(tenant.clone(), Followed { subscription, at });
            }
        }
        for device in making.fresh.drain(..) {
            self.look_at(&mut making.lists, &device);
        }
        let now = self.now();
        // Time alone changes some verdicts: of a device that time caught between two looks, at the latest by then.
        let is_due = !(making.swept_at..making.swept_at + StatusListFile::TTL).contains(&now);
        for (tenant, followed) in &mut making.followed {
            self.follow(&mut making.lists, tenant, followed);
            if is_due {
                self.look_at_all(&mut making.lists, tenant, |_| true);
            }
        }
        making.swept_at = if is_due { now } else { making.swept_at };
        // Of a key that was replaced nothing is served on.
        let signer = self.verdict_signer().await?;
        let is_due = |number: &u32, list: &List| {
            let served = self.status_list(*number);
            let is_fresh = |file: Arc<StatusListFile>| {
                file.kid == signer.kid && (file.made_at..file.made_at + RENEWED).contains(&now)
            };
            list.is_changed || !served.is_some_and(is_fresh)
        };
        let due: Vec<u32> = making
            .lists
            .iter()
            .filter(|(number, list)| is_due(number, list))
            .map(|(number, _)| *number)
            .collect();
        for number in due {
            let Some(list) = making.lists.get_mut(&number) else { continue };
            let file = self.sign_status_list(number, list.bits.clone(), now).await?;
            list.is_changed = false;
            let mut served = self.status_lists.served.write().unwrap_or_else(PoisonError::into_inner);
            served.insert(number, Arc::new(file));
        }
        Ok(())
    }

    fn follow(&self, lists: &mut HashMap<u32, List>, tenant: &TenantId, followed: &mut Followed) {
        followed.subscription.look();
        loop {
            match self.memory.changes(tenant, followed.at, PAGE, self.now()) {
                // It fell behind: all of the tenant is looked at, by what memory has now.
                Read::Behind(place) | Read::Late(place) => {
                    followed.at = place;
                    self.look_at_all(lists, tenant, |_| true);
                }
                Read::Since { changed, up_to, is_all, .. } => {
                    let (mut profiles, mut is_every) = (HashSet::new(), false);
                    for changed in changed {
                        match changed {
                            Changed::Device(device) => {
                                self.look_at(lists, &DeviceName { tenant: tenant.clone(), device });
                            }
                            Changed::Profile(name) | Changed::Policy(Some(name)) => {
                                profiles.insert(name);
                            }
                            Changed::Policy(None) | Changed::Releases => is_every = true,
                            Changed::Operator => {}
                        }
                    }
                    // Every other profile inherits from this one.
                    is_every |= profiles.iter().any(|name| name.as_str() == ProfileName::DEFAULT);
                    if is_every || !profiles.is_empty() {
                        self.look_at_all(lists, tenant, |name| is_every || profiles.contains(name));
                    }
                    followed.at = up_to;
                    if is_all {
                        return;
                    }
                }
            }
        }
    }

    fn look_at_all(
        &self,
        lists: &mut HashMap<u32, List>,
        tenant: &TenantId,
        is_meant: impl Fn(&ProfileName) -> bool,
    ) {
        for (device, place) in self.memory.status_places(tenant) {
            let name = DeviceName { tenant: tenant.clone(), device };
            let known = self.memory.device(&name);
            if known.as_ref().is_none_or(|known| is_meant(&known.profile)) {
                self.put_status(lists, tenant, name.device, place);
            }
        }
    }

    fn look_at(&self, lists: &mut HashMap<u32, List>, device: &DeviceName) {
        if let Some(place) = self.memory.status_place(device) {
            self.put_status(lists, &device.tenant, device.device.clone(), place);
        }
    }

    fn put_status(
        &self,
        lists: &mut HashMap<u32, List>,
        tenant: &TenantId,
        device: DeviceId,
        place: StatusPlaceRow,
    ) {
        let name = DeviceName { tenant: tenant.clone(), device };
        let known = self.memory.device(&name);
        let now = self.now();
        let of = self.device_verdict(tenant, name.device, known.as_deref(), now);
        self.hand_out(tenant, std::slice::from_ref(&of), now);
        let list = lists
            .entry(place.list)
            .or_insert_with(|| List { bits: StatusBits::new(CAPACITY), is_changed: true });
        list.is_changed |= list.bits.put(place.index as usize, status(of.verdict, of.state));
    }

    async fn sign_status_list(
        &self,
        number: u32,
        bits: StatusBits,
        now: u64,
    ) -> Result<StatusListFile, Error> {
        let base =
            self.status_base.as_ref().ok_or_else(|| Error::internal("status lists have no address"))?;
        let (uri, key) = (base.status_list(number), self.verdict_signer().await?);
        let signed = apart("wardein-status", move || {
            let (claim, until, ttl) = (bits.claim(), now.saturating_add(LIFETIME), StatusListFile::TTL);
            let claims = format!(
                "{{\"sub\":\"{uri}\",\"iat\":{now},\"exp\":{until},\"ttl\":{ttl},\"status_list\":{claim}}}"
            );
            let signer = key.signer.as_deref()?;
            let token = jose::sign_compact(signer, TYPE, &key.kid, &claims).ok()?.into_bytes();
            let tag = hex::encode(&Digest::of(&token).0[..16]);
            Some(StatusListFile { gzip: gzip(&token), token, tag, made_at: now, kid: key.kid.clone() })
        });
        signed.await?.ok_or_else(|| Error::internal("the key of verdicts did not sign"))
    }

    /// The list of that number.
    pub fn status_list(&self, number: u32) -> Option<Arc<StatusListFile>> {
        let served = self.status_lists.served.read().unwrap_or_else(PoisonError::into_inner);
        served.get(&number).cloned()
    }
}

/// What a verdict is on a list. One that may come back is suspended.
fn status(verdict: Verdict, state: Option<DeviceState>) -> TokenStatus {
    match (verdict, state) {
        (Verdict::Trusted, _) => TokenStatus::Valid,
        (
            Verdict::NotTrusted,
            Some(DeviceState::Revoked | DeviceState::Retired | DeviceState::Transferred),
        ) => TokenStatus::Invalid,
        (Verdict::Restricted | Verdict::NotTrusted, _) => TokenStatus::Suspended,
        (Verdict::Unknown, _) => TokenStatus::Invalid,
    }
}

/// The media type in the header (§5.1).
const TYPE: &str = "statuslist+jwt";

/// The places of a list: 256 KiB before it is compressed. Half of them are given out.
const CAPACITY: usize = 1 << 20;

/// Seconds for which a list is good: an hour, for which one that was kept hides what came after.
const LIFETIME: u64 = 3_600;

/// Seconds after which a list is signed again.
const RENEWED: u64 = 1_800;

/// Changes that are read at a time.
const PAGE: usize = 1_024;
