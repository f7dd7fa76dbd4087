//! Restoring from a backup: all of it into an empty store, as an authority that takes nothing of keys from before but a `rekey`.

use crate::access::operators::MAX_VALIDITY;
use crate::issue::authority::{Authority, place};
use crate::issue::cas::published;
use crate::keep::backup::form::{Head, Item, Opener, damaged};
use crate::keep::clock::stored_clock;
use crate::keep::found::{Founded, NewAdministrator, Offline, commit};
use crate::keep::migrate::{migrate_under, require_format, require_known};
use crate::kernel::record::Recording;
use crate::kernel::{Draw, Error, Ports, record};
use crate::rows::audit::decode;
use crate::rows::seal::Keyring;
use crate::rows::{self, AUTHORITY, AuthorityRow, FORMAT_KEY};
use std::io::Read;
use wardein_crypto::Secret;
use wardein_domain::{ErrorCode, Event, FieldName, TrustDomain, UnixSeconds};
use wardein_port::{Change, RootKey, Table};

/// A backup whose front was read.
pub struct Restoring<R> {
    head: Head,
    from: R,
}

/// The files that restoring leaves outside of the store.
pub struct Restored {
    /// The files of the founding, except the administrator, who is a new one.
    pub founded: Founded,
    /// Rows of the backup.
    pub rows: u64,
    /// Audit entries of the backup.
    pub audit_entries: u64,
}

/// A backup that was read to its end, and would be restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The trust domain of its authority.
    pub trust_domain: TrustDomain,
    /// When it was taken, in Unix milliseconds.
    pub taken_ms: u64,
    /// The latest time in its audit log, in Unix seconds.
    pub latest: u64,
    /// Rows.
    pub rows: u64,
    /// Audit entries.
    pub audit_entries: u64,
}

impl<R: Read> Restoring<R> {
    /// Reads the head.
    pub fn begin(mut from: R) -> Result<Self, Error> {
        Ok(Self { head: Head::read(&mut from)?, from })
    }

    /// The custody file, wrapped for the passphrase or key file in force at backup time.
    pub fn custody(&self) -> &[u8] {
        &self.head.custody
    }

    /// When the backup was taken, in Unix milliseconds. It is sure only when all was applied.
    pub fn taken_ms(&self) -> u64 {
        self.head.taken_ms
    }

    /// Reads all of it as [`Self::apply`] does, and writes nothing: each part opens, no part is missing, each row is in bounds and in a table
    /// that this release knows, each audit entry can be read, and the authority's own keys open. `progress` hears of rows and audit entries
    /// so far.
    pub fn verify(
        self,
        root_keys: impl IntoIterator<Item = RootKey>,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<Verified, Error> {
        let root = Keyring::of(root_keys).ok_or_else(|| Error::internal("custody keeps no root key"))?;
        let Self { head, from } = self;
        let mut opener = Opener::new(&root, &head, from)?;
        let mut read = Applied::default();
        while let Some(plain) = opener.next()? {
            let mut rest = &plain[..];
            while !rest.is_empty() {
                let (item, behind) = Item::take(rest)?;
                read.add(item)?;
                rest = behind;
            }
            // What a restore would commit.
            read.change = Change::default();
            progress(read.rows, read.entries);
        }
        let Applied { rows, entries, latest, authority, .. } = read;
        let row = authority.ok_or_else(|| damaged("it holds no authority"))?;
        Authority::open(&root, &row)?;
        let (trust_domain, taken_ms) = (row.trust_domain, head.taken_ms);
        Ok(Verified { trust_domain, taken_ms, latest, rows, audit_entries: entries })
    }

    /// Applies all of it to a store that is empty. The authority's own row comes last: before it, the store holds no authority.
    /// `progress` hears of rows and audit entries so far.
    pub async fn apply(
        self,
        ports: &Ports,
        root_keys: impl IntoIterator<Item = RootKey>,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<Restored, Error> {
        let store = &*ports.store;
        if store.head().await?.revision != 0 {
            return Err(Error::new(ErrorCode::FoundedAlready, "the store is not empty"));
        }
        let root = Keyring::of(root_keys).ok_or_else(|| Error::internal("custody keeps no root key"))?;
        let Self { head, from } = self;
        let mut opener = Opener::new(&root, &head, from)?;
        let mut applied = Applied::default();
        while let Some(plain) = opener.next()? {
            let mut rest = &plain[..];
            while !rest.is_empty() {
                let (item, behind) = Item::take(rest)?;
                applied.add(item)?;
                rest = behind;
                if applied.weight >= FULL {
                    commit(store, std::mem::take(&mut applied.change)).await?;
                    applied.weight = 0;
                    progress(applied.rows, applied.entries);
                }
            }
        }
        commit(store, std::mem::take(&mut applied.change)).await?;
        progress(applied.rows, applied.entries);
        applied.end(ports, &root, head.taken_ms).await
    }
}

/// The progress so far.
#[derive(Default)]
struct Applied {
    change: Change,
    weight: usize,
    rows: u64,
    entries: u64,
    /// The latest time in the audit log, in Unix seconds.
    latest: u64,
    authority: Option<AuthorityRow>,
}

impl Applied {
    fn add(&mut self, item: Item<'_>) -> Result<(), Error> {
        match item {
            Item::Row { table, key, value } => {
                let table = Item::table(table)?;
                self.rows += 1;
                self.weight += ROW + key.len() + value.len();
                if (table, key) == (Table::Authority, FORMAT_KEY) {
                    require_known(value)?;
                }
                if (table, key) == (Table::Authority, AUTHORITY) {
                    self.authority = Some(authority_row(value)?);
                } else {
                    self.change.insert(table, key.to_vec(), value.to_vec());
                }
            }
            Item::Entry(entry) => {
                self.entries += 1;
                self.weight += ROW + entry.len();
                let decoded = decode(entry)?;
                self.latest = self.latest.max(decoded.time_ms / 1000);
                self.change.record_again(&decoded, entry.to_vec());
            }
        }
        Ok(())
    }

    /// Makes an authority of it: with another challenge key, so that no request that was recorded counts, with the mark that all
    /// keys from before are stale, and with an administrator, whose key can be in no backup.
    async fn end(self, ports: &Ports, root: &Keyring, taken_ms: u64) -> Result<Restored, Error> {
        let Self { authority, rows: count, entries: audit_entries, latest, .. } = self;
        let mut row = authority.ok_or_else(|| damaged("it holds no authority"))?;
        let mut draw = Draw::new(&*ports.entropy);
        // The time goes on from the backup's last entry, where the wall clock can be believed.
        let clock = stored_clock(ports).await?;
        let (now_ms, wall) = (clock.now_ms(), clock.reading().wall.seconds().get());
        let restored_at = begin_again(&mut row, root, &mut draw, (now_ms, latest))?;
        let authority = Authority::open(root, &row)?;
        let infrastructure = row.open_infrastructure(root, &*ports.signers)?;

        let mut change = Change::default();
        let mut offline = Offline::new(&*ports.store, now_ms / 1000, wall);
        let name = format!("restored-{restored_at}").parse().map_err(Error::internal)?;
        let administrator = NewAdministrator { name, lifetime: MAX_VALIDITY };
        let administrator =
            administrator.certify(&infrastructure, &mut draw, &mut offline, &mut change).await?;
        offline.end(&mut change);
        let (ders, published) =
            ([&row.root_der[..], &row.infrastructure_der], published(&*ports.store, &row).await?);
        let founded = Founded::new(ders, published, authority.identity.verifying_key().0, administrator)?;
        change.insert(Table::Authority, AUTHORITY.to_vec(), rows::encode(&row)?);
        let entry = record::of_system(now_ms, Event::Restored)
            .with(FieldName::TakenMs, taken_ms)
            .with(FieldName::Rows, count)
            .with(FieldName::AuditEntries, audit_entries)
            .with(FieldName::Administrator, founded.admin.serial);
        change.record(&entry)?;
        commit(&*ports.store, change).await?;
        // A backup of the release before brings its rows as they were.
        migrate_under(ports, root, |_| {}).await?;
        Ok(Restored { founded, rows: count, audit_entries })
    }
}

/// Makes a restore of a store that was put back to an earlier moment as it is, by whatever means: nothing of keys from before is taken but a
/// `rekey`, no challenge of before counts, and watchers begin again. Gives the Unix second that parts before and after.
pub async fn restore_in_place(
    ports: &Ports,
    root_keys: impl IntoIterator<Item = RootKey>,
) -> Result<UnixSeconds, Error> {
    require_format(ports).await?;
    let store = &*ports.store;
    let root = Keyring::of(root_keys).ok_or_else(|| Error::internal("custody keeps no root key"))?;
    let (version, mut row): (u64, AuthorityRow) =
        rows::load(store, Table::Authority, AUTHORITY).await?.ok_or_else(Error::not_founded)?;
    Authority::open(&root, &row)?;
    let last = store.head().await?.last_audit;
    let newest = store.audit(last, 1).await?.pop().map(|(_, entry)| decode(&entry)).transpose()?;
    let taken_ms = newest.map_or(0, |entry| entry.time_ms);
    let now_ms = stored_clock(ports).await?.now_ms();
    let mut draw = Draw::new(&*ports.entropy);
    let restored_at = begin_again(&mut row, &root, &mut draw, (now_ms, taken_ms / 1000))?;
    let mut change = Change::default();
    change.update(Table::Authority, AUTHORITY.to_vec(), version, rows::encode(&row)?);
    let entry = record::of_system(now_ms, Event::Restored)
        .with(FieldName::TakenMs, taken_ms)
        .with(FieldName::AuditEntries, last);
    change.record(&entry)?;
    commit(store, change).await?;
    Ok(UnixSeconds::new(restored_at))
}

/// Has an authority begin again after the Unix second `latest`, the last of what was restored; gives the second of the restore.
fn begin_again(
    row: &mut AuthorityRow,
    root: &Keyring,
    draw: &mut Draw,
    (now_ms, latest): (u64, u64),
) -> Result<u64, Error> {
    // Above the former one, and above every second in which a key was agreed, whatever the clock says now.
    let restored_at = (now_ms / 1000).max(latest).max(row.restored_at.get().saturating_add(1));
    row.restored_at = UnixSeconds::new(restored_at);
    let challenge: Secret<32> = draw.hidden()?;
    row.challenge_key = root.seal(draw.nonce()?, place("challenge"), challenge.expose())?;
    Ok(restored_at)
}

/// The authority's row, of this release or of the one before.
pub(crate) fn authority_row(value: &[u8]) -> Result<AuthorityRow, Error> {
    let table = Table::Authority;
    match value.first() {
        Some(1) => rows::decode(table, &rows::v1::renewed(table, value)?),
        _ => rows::decode(table, value),
    }
}

/// Bytes at which a change is full.
const FULL: usize = 2 << 20;

/// The overhead of a row beside its bytes, so that a change has at most some ten thousand.
const ROW: usize = 128;
