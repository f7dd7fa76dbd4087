//! Readers: who opens the files of a profile's devices with keys of their own, which the authority has not. Devices seal for those alone that
//! are on the list which the authority has signed for their profile.

use crate::kernel::record::Recording;
use crate::kernel::{Caller, Decision, Engine, Error, Stop, Tx};
use crate::rows::{self, ReaderColumn, ReadersRow};
use wardein_domain::{
    AuditEntry, ErrorCode, Event, FieldName, Outcome, ProfileName, ReaderName, Reason, Target, TenantId,
    UnixSeconds,
};
use wardein_files::{ListedReader, Reader, ReaderList, SealFor};
use wardein_port::{Change, Table};

/// A reader to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaderOrder {
    /// Its name.
    pub name: ReaderName,
    /// Its key.
    pub key: Reader,
    /// From when files are sealed for it; from now on where it is none.
    pub from: Option<UnixSeconds>,
    /// Until when.
    pub until: Option<UnixSeconds>,
}

/// The profile whose devices seal files.
#[derive(Debug, Clone, Copy)]
pub struct Sealing<'a> {
    /// Its tenant.
    pub tenant: &'a TenantId,
    /// Its name.
    pub profile: &'a ProfileName,
}

impl Engine {
    /// The readers of a profile, as its devices get them.
    pub async fn list_readers(&self, caller: &Caller, of: Sealing<'_>) -> Result<ReaderList, Error> {
        self.require_sealing(caller, of)?;
        self.look(|tx| Ok(list(of, &row_of(tx, of)?.1))).await
    }

    /// Adds a reader. The same again changes nothing.
    pub async fn add_reader(
        &self,
        caller: &Caller,
        of: Sealing<'_>,
        order: ReaderOrder,
        reason: Reason,
    ) -> Result<ReaderList, Error> {
        self.require_sealing(caller, of)?;
        self.transact_by(caller, |tx| {
            let (version, mut row) = row_of(tx, of)?;
            let ReaderOrder { name, key, from, until } = order.clone();
            let place = row.readers.binary_search_by(|reader| reader.name.cmp(&name));
            let from = match (from, place) {
                (Some(from), _) => from,
                (None, Ok(at)) => row.readers[at].from,
                (None, Err(_)) => self.time(),
            };
            if until.is_some_and(|until| until <= from) {
                return Err(Error::wrong("until", "is not after the reader's first second").into());
            }
            let made = ReaderColumn { name, key, from, until };
            match place {
                Ok(at) if row.readers[at] == made => return Ok(Decision::unchanged(list(of, &row))),
                Ok(_) => {
                    let message = format_args!("profile {} has another reader {}", of.profile, made.name);
                    return Err(Error::new(ErrorCode::ReaderExists, message).into());
                }
                Err(_) if row.readers.len() >= ReaderList::MAX_READERS => {
                    let message =
                        format_args!("profile {} has {} readers", of.profile, ReaderList::MAX_READERS);
                    return Err(Error::new(ErrorCode::ReaderQuota, message).into());
                }
                Err(at) => row.readers.insert(at, made.clone()),
            }
            let entry = self.readers_entry(caller, Event::ReaderAdded, of);
            let entry = entry
                .with(FieldName::Reader, made.name.as_str())
                .with(FieldName::ReaderKey, made.key.to_string())
                .with(FieldName::Starts, made.from.get());
            let entry = match made.until {
                Some(until) => entry.with(FieldName::Ends, until.get()),
                None => entry,
            };
            self.decide_readers(of, version, row, entry.with(FieldName::Reason, &reason))
        })
        .await
    }

    /// Removes a reader, also the last one: then nobody can open what devices would seal, and they seal nothing.
    pub async fn remove_reader(
        &self,
        caller: &Caller,
        of: Sealing<'_>,
        name: &ReaderName,
        reason: Reason,
    ) -> Result<ReaderList, Error> {
        self.require_sealing(caller, of)?;
        self.transact_by(caller, |tx| {
            let (version, mut row) = row_of(tx, of)?;
            let Ok(at) = row.readers.binary_search_by(|reader| reader.name.cmp(name)) else {
                let message = format_args!("profile {} has no reader {name}", of.profile);
                return Err(Error::new(ErrorCode::ReaderUnknown, message).into());
            };
            let removed = row.readers.remove(at);
            let entry = self.readers_entry(caller, Event::ReaderRemoved, of);
            let entry = entry
                .with(FieldName::Reader, removed.name.as_str())
                .with(FieldName::ReaderKey, removed.key.to_string());
            self.decide_readers(of, version, row, entry.with(FieldName::Reason, &reason))
        })
        .await
    }

    /// Sets for whom the devices of a profile seal their files. The same again changes nothing.
    pub async fn put_sealing(
        &self,
        caller: &Caller,
        of: Sealing<'_>,
        seal_for: SealFor,
        reason: Reason,
    ) -> Result<ReaderList, Error> {
        self.require_sealing(caller, of)?;
        self.transact_by(caller, |tx| {
            let (version, mut row) = row_of(tx, of)?;
            let before = list(of, &row).seal_for;
            if before == seal_for {
                return Ok(Decision::unchanged(list(of, &row)));
            }
            if seal_for == SealFor::Readers && row.readers.is_empty() {
                let message = format_args!("profile {} has no reader", of.profile);
                return Err(Error::new(ErrorCode::ReadersMissing, message).into());
            }
            row.is_end_to_end = seal_for == SealFor::Readers;
            let entry = self.readers_entry(caller, Event::SealingPut, of);
            let entry = entry.changed(FieldName::SealFor, before.as_str(), seal_for.as_str());
            self.decide_readers(of, version, row, entry.with(FieldName::Reason, &reason))
        })
        .await
    }

    /// The list that a device of that profile gets, signed.
    pub(crate) fn signed_readers(&self, tx: &Tx<'_>, of: Sealing<'_>) -> Result<Vec<u8>, Stop> {
        let signed = list(of, &row_of(tx, of)?.1).sign(&self.authority.identity);
        Ok(signed.map_err(|_| Error::internal("the identity key does not sign"))?.into_bytes())
    }

    fn require_sealing(&self, caller: &Caller, of: Sealing<'_>) -> Result<(), Error> {
        self.require_tenant(caller, of.tenant)?;
        self.rules_of(of.tenant, of.profile).map(|_| ())
    }

    fn readers_entry(&self, caller: &Caller, event: Event, of: Sealing<'_>) -> AuditEntry {
        let target = Target::Profile(of.tenant.clone(), of.profile.clone());
        self.entry(caller, event, target, Outcome::Done).in_tenant(of.tenant)
    }

    fn decide_readers(
        &self,
        of: Sealing<'_>,
        version: Option<u64>,
        row: ReadersRow,
        entry: AuditEntry,
    ) -> Result<Decision<ReaderList>, Stop> {
        // By the time, so that it rises also where a backup was restored that knew nothing of the last ones.
        let row = ReadersRow { number: (row.number + 1).max(self.time().get()), ..row };
        let mut change = Change::default();
        change.put(Table::Readers, key(of), version, rows::encode(&row)?);
        change.record(&entry)?;
        Ok(Decision::new(change, list(of, &row)))
    }
}

fn row_of(tx: &Tx<'_>, of: Sealing<'_>) -> Result<(Option<u64>, ReadersRow), Stop> {
    let found: Option<(u64, ReadersRow)> = tx.row(Table::Readers, &key(of))?;
    let (version, row) = found.unzip();
    Ok((version, row.unwrap_or_default()))
}

fn list(of: Sealing<'_>, row: &ReadersRow) -> ReaderList {
    let listed = |reader: &ReaderColumn| ListedReader {
        name: reader.name.clone(),
        key: reader.key.clone(),
        from: reader.from.get(),
        until: reader.until.map(UnixSeconds::get),
    };
    ReaderList {
        tenant: of.tenant.clone(),
        profile: of.profile.clone(),
        number: row.number,
        seal_for: if row.is_end_to_end { SealFor::Readers } else { SealFor::Authority },
        readers: row.readers.iter().map(listed).collect(),
    }
}

fn key(of: Sealing<'_>) -> Vec<u8> {
    rows::profile_key(of.tenant, of.profile)
}
