//! The root key is changed while the authority serves: custody keeps the new version beside the old one, everything sealed under
//! the root key is sealed again (the authority's own keys, those of issuing CAs, of verdicts, of webhooks, of updates, of sealed
//! artifacts and of tenants, and nothing below), and custody destroys the old one.
//!
//! Until the last step both versions open, so that a crash at any point loses nothing. These are the steps of a deed
//! ([`crate::keep::deeds`]), of one that changes the root key alone or of one that shreds a device. Which rows are done is shown
//! by the version in front of each sealed value.

use crate::keep::deeds::{self, DeedWatch, ROOT_KEY, Underway};
use crate::keep::tenant_keys;
use crate::kernel::record::{BEGUN, CHOSEN, COMPLETE, FOUND, Recording, SEALED, listed};
use crate::kernel::{Caller, Decision, Draw, Engine, Error, Stop, Tx};
use crate::rows::{
    self, AUTHORITY, AuthorityRow, CaKeyColumn, DeedRow, IssuingCaRow, Step, TenantRow, VERDICT_KEYS,
    VerdictKeysRow, What, ca_place, verdict_key_place,
};
use wardein_domain::{Actor, AuditEntry, ErrorCode, Event, FieldName, Outcome, Target, UnixMillis};
use wardein_port::{Change, Custody, CustodyError, RootKey, Table};

/// How many rows are looked at at a time.
const PAGE: usize = 1_000;

impl Engine {
    /// Changes the root key, and gives the number of the new version once the older ones are destroyed. Calls continue in the
    /// meantime. One that was begun before, and not finished, is finished instead. Where this is dropped, or fails, the task that
    /// performs deeds continues.
    pub async fn rotate_root_key(&self, caller: &Caller) -> Result<u32, Error> {
        let mut watch = self.begin_root_key(caller).await?;
        loop {
            let progress = watch.now();
            if progress.is_done() {
                return Ok(progress.root_key);
            }
            if self.deed_step().await?.is_none() && !watch.now().is_done() {
                return Err(Error::internal("the row of a change of the root key is gone"));
            }
        }
    }

    async fn begin_root_key(&self, caller: &Caller) -> Result<DeedWatch, Error> {
        self.custody()?;
        self.look_for_nodes().await?;
        let actor = Actor::from(&caller.principal);
        let watch = self
            .transact_by(caller, |tx| {
                if let Some((_, begun)) = tx.row::<DeedRow>(Table::Deed, ROOT_KEY)? {
                    return Ok(Decision::unchanged(self.watch_deed(&begun)));
                }
                self.alone()?;
                let now_ms = self.clock.now_ms();
                let row = DeedRow::new(
                    deeds::number(tx.draw())?,
                    What::RootKey,
                    &actor,
                    &caller.call.request_id,
                    UnixMillis::new(now_ms),
                );
                let mut change = Change::default();
                change.insert(Table::Deed, ROOT_KEY.to_vec(), rows::encode(&row)?);
                let entry = self.entry(caller, Event::StorageKeyRotated, Target::Authority, Outcome::Done);
                change.record(&entry.with(FieldName::Step, BEGUN))?;
                Ok(Decision::new(change, self.watch_deed(&row)))
            })
            .await?;
        self.wake_deeds();
        Ok(watch)
    }

    /// Puts a change of the root key on record that custody shows to have been begun, and that is on none.
    pub(crate) async fn adopt_root_key(&self, begun: Option<&Underway>) -> Result<(), Error> {
        self.custody()?;
        let (now_ms, root_key) = (self.clock.now_ms(), self.root.ring().newest());
        let mut change = Change::default();
        if let Some(deed) = begun {
            let next = DeedRow { root_key, ..deed.row.at(Step::Keeping) };
            change.record(&root_entry(&next, now_ms, FOUND).with(FieldName::KeyVersion, root_key))?;
            return self.advance(change, deed, &next).await;
        }
        let id = deeds::number(&mut Draw::new(&*self.entropy))?;
        let row = DeedRow::new(id, What::RootKey, &Actor::System, "", UnixMillis::new(now_ms));
        let row = DeedRow { root_key, ..row.at(Step::Keeping) };
        change.insert(Table::Deed, ROOT_KEY.to_vec(), rows::encode(&row)?);
        change.record(&root_entry(&row, now_ms, FOUND).with(FieldName::KeyVersion, root_key))?;
        self.commit_alone(change).await?;
        Ok(())
    }

    /// Puts the number of the next version on record, before custody is asked to keep one.
    pub(crate) async fn choose_root_key(&self, deed: &Underway) -> Result<(), Error> {
        let newest = self.root.ring().newest();
        let root_key = newest.checked_add(1).ok_or_else(|| Error::internal("no more versions"))?;
        let next = DeedRow { root_key, ..deed.row.at(Step::Keeping) };
        let mut change = Change::default();
        let entry = root_entry(&next, self.clock.now_ms(), CHOSEN);
        change.record(&entry.changed(FieldName::KeyVersion, newest, root_key))?;
        self.advance(change, deed, &next).await
    }

    /// Has custody keep the new version, and seals everything under it.
    pub(crate) async fn keep_root_key(&self, deed: &Underway) -> Result<(), Error> {
        let custody = self.custody()?;
        let mut asked = self.upkeep.root.lock().await;
        // Custody may be ahead of a store that was put back.
        let version = deed.row.root_key.max(self.root.ring().newest());
        if self.root.ring().newest() < version {
            let secret = match asked.take().filter(|asked| asked.version == version) {
                Some(asked) => asked.secret,
                None => Draw::new(&*self.entropy).hidden()?,
            };
            *asked = Some(RootKey { version, secret: secret.duplicate() });
            custody.keep(RootKey { version, secret: secret.duplicate() }).await?;
            self.root.set(self.root.ring().with(version, secret));
            *asked = None;
        }
        self.renew_authority().await?;
        self.renew_cas().await?;
        self.renew_verdict_keys().await?;
        self.renew_webhooks().await?;
        self.renew_update_keys().await?;
        self.renew_artifact_keys().await?;
        self.renew_service_cas().await?;
        let mut tenants = 0;
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.store.scan(Table::Tenant, b"", after.as_deref(), PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            for (key, _) in &page {
                tenants += u64::from(self.renew_tenant(key).await?);
            }
        }
        let next = deed.row.at(Step::Destroying { older: self.root.ring().older() });
        let next = DeedRow { root_key: version, ..next };
        let mut change = Change::default();
        let entry = root_entry(&next, self.clock.now_ms(), SEALED).with(FieldName::KeyVersion, version);
        change.record(&entry.with(FieldName::Tenants, tenants))?;
        self.advance(change, deed, &next).await
    }

    /// Has custody destroy the older versions, under which nothing is any more, and puts that on record. It ends a deed that
    /// changes the root key alone.
    pub(crate) async fn destroy_root_keys(&self, deed: &Underway, older: &[u32]) -> Result<(), Error> {
        let custody = self.custody()?;
        let _root = self.upkeep.root.lock().await;
        let version = deed.row.root_key;
        if self.root.ring().newest() != version {
            return Err(Error::internal(format_args!(
                "version {version} is not custody's newest version of the root key"
            )));
        }
        custody.keep_only(version).await?;
        self.root.set(self.root.ring().since(version));
        let mut change = Change::default();
        let entry = root_entry(&deed.row, self.clock.now_ms(), COMPLETE);
        let entry = entry.with(FieldName::KeyVersion, version).with(FieldName::Destroyed, listed(older));
        change.record(&entry)?;
        match deed.row.what {
            What::Shred { .. } => self.advance(change, deed, &deed.row.at(Step::Destroyed)).await,
            What::RootKey => {
                change.writes.push(deed.ended());
                self.commit_alone(change).await?;
                self.tell_done(&deed.row, 0, version);
                Ok(())
            }
        }
    }

    pub(crate) fn custody(&self) -> Result<&dyn Custody, Error> {
        self.custody.as_deref().ok_or_else(|| {
            let message = "this authority keeps its root key where it cannot be changed";
            Error::new(ErrorCode::CustodyFixed, message)
        })
    }

    /// Seals the authority's own keys under the newest version. Its row is written in any case: a tenant that is created under
    /// the version in force earlier rests on the earlier row, and is refused from here on, so that a scan of all tenants
    /// afterward misses none.
    async fn renew_authority(&self) -> Result<(), Error> {
        self.transact(|tx| {
            let root = self.root.ring();
            let (version, mut row): (u64, AuthorityRow) =
                tx.row(Table::Authority, AUTHORITY)?.ok_or_else(Error::not_founded)?;
            for (column, sealed) in row.sealed_columns() {
                if let Some(renewed) =
                    root.renew(tx.nonce()?, crate::issue::authority::place(column), sealed)?
                {
                    *sealed = renewed;
                }
            }
            let mut change = Change::default();
            change.update(Table::Authority, AUTHORITY.to_vec(), version, rows::encode(&row)?);
            Ok(Decision::new(change, ()))
        })
        .await
    }

    /// Seals the keys of the CAs that certify devices under the newest version. It follows [`Engine::renew_authority`]: one that is made
    /// meanwhile rests on the authority's row, and is under the newest version already.
    async fn renew_cas(&self) -> Result<(), Error> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.store.scan(Table::IssuingCa, b"", after.as_deref(), PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            for (key, _) in &page {
                self.transact(|tx| self.renew_ca(tx, key)).await?;
            }
        }
    }

    fn renew_ca(&self, tx: &Tx<'_>, key: &[u8]) -> Result<Decision<()>, Stop> {
        let gone = || rows::damaged(Table::IssuingCa, "is gone");
        let (version, mut row): (u64, IssuingCaRow) = tx.row(Table::IssuingCa, key)?.ok_or_else(gone)?;
        let mut change = Change::default();
        if let CaKeyColumn::Sealed(sealed) = &mut row.key {
            let id = rows::parse_ca_key(key)?;
            if let Some(renewed) = self.root.ring().renew(tx.nonce()?, ca_place(&id), sealed)? {
                *sealed = renewed;
                change.update(Table::IssuingCa, key.to_vec(), version, rows::encode(&row)?);
            }
        }
        Ok(Decision::new(change, ()))
    }

    /// Seals the keys that sign verdicts under the newest version. As for CAs, one that is made meanwhile is under it already.
    async fn renew_verdict_keys(&self) -> Result<(), Error> {
        self.transact(|tx| {
            let mut change = Change::default();
            let found: Option<(u64, VerdictKeysRow)> = tx.row(Table::Authority, VERDICT_KEYS)?;
            let Some((version, mut row)) = found else { return Ok(Decision::unchanged(())) };
            for key in row.keys.iter_mut().filter(|key| !key.sealed.is_empty()) {
                let place = verdict_key_place(&key.public);
                if let Some(renewed) = self.root.ring().renew(tx.nonce()?, place, &key.sealed)? {
                    key.sealed = renewed;
                }
            }
            change.update(Table::Authority, VERDICT_KEYS.to_vec(), version, rows::encode(&row)?);
            Ok(Decision::new(change, ()))
        })
        .await
    }

    /// Whether it was under an older version.
    async fn renew_tenant(&self, key: &[u8]) -> Result<bool, Error> {
        self.transact(|tx| {
            let root = self.root.ring();
            let (version, mut row): (u64, TenantRow) =
                tx.row(Table::Tenant, key)?.ok_or_else(|| Error::internal("a tenant is gone"))?;
            let mut change = Change::default();
            let mut is_renewed = false;
            for sealed in &mut row.keys {
                if let Some(renewed) = root.renew(tx.nonce()?, tenant_keys::place(key), sealed)? {
                    *sealed = renewed;
                    is_renewed = true;
                }
            }
            if is_renewed {
                change.update(Table::Tenant, key.to_vec(), version, rows::encode(&row)?);
            }
            Ok(Decision::new(change, is_renewed))
        })
        .await
    }
}

fn root_entry(row: &DeedRow, now_ms: u64, step: &str) -> AuditEntry {
    row.entry(now_ms, Event::StorageKeyRotated, Target::Authority).with(FieldName::Step, step)
}

impl From<CustodyError> for Error {
    fn from(error: CustodyError) -> Self {
        // A caller that may change the root key learns why it cannot be kept: a full disk, a replaced file.
        let message =
            format_args!("custody: {error}; fix this: the change is on record, and resumes by itself");
        Self::new(ErrorCode::CustodyUnavailable, message)
    }
}
