//! Makers' repositories: made, shown, given another root; what waits in them is signed by keys that are offline.

use super::metadata::{Signers, Work, file_of, read_draft, signers_of, stem};
use super::views::{self, UpdateFile, UpdateRepository};
use super::{MAX_KEYS, MAX_REPOSITORIES, UpdateRole, line_of, no_repository, sees_all};
use crate::approve::Ask;
use crate::kernel::record::Recording;
use crate::kernel::{Caller, Decision, Engine, Error, Stop, Tx};
use crate::rows::{
    self, FileColumn, IssuerRow, KeyColumn, KeySetColumn, OnlineColumn, RepositoryRow, UpdateFileRow,
    update_key,
};
use wardein_crypto::{P256SigningKey, P256VerifyingKey, SecretBytes};
use wardein_domain::{ErrorCode, Event, FieldName, GuardedDeed, Outcome, Reason, RepositoryName, Target};
use wardein_port::Table;
use wardein_tuf::{Key, Signature};

/// Who is to sign.
#[derive(Debug, Clone)]
pub enum UpdateKeys {
    /// A key that custody makes.
    InCustody,
    /// Keys that are offline, and how many of them must sign.
    Offline {
        /// Their public halves, 1 to 16, each once.
        keys: Vec<P256VerifyingKey>,
        /// At least one and at most all.
        threshold: u32,
    },
}

impl UpdateKeys {
    /// Offline keys, if they and the threshold are within their bounds.
    pub fn offline(keys: Vec<P256VerifyingKey>, threshold: u32) -> Result<Self, Error> {
        let mut seen: Vec<&P256VerifyingKey> = Vec::new();
        if !(1..=MAX_KEYS).contains(&keys.len()) {
            return Err(Error::wrong("keys", format_args!("are {}; it takes 1 to {MAX_KEYS}", keys.len())));
        }
        for key in &keys {
            if seen.contains(&key) {
                return Err(Error::wrong("keys", "has a key twice"));
            }
            seen.push(key);
        }
        if threshold == 0 || threshold as usize > keys.len() {
            let why = format_args!("is {threshold}; it takes 1 to {}, as there are keys", keys.len());
            return Err(Error::wrong("threshold", why));
        }
        Ok(Self::Offline { keys, threshold })
    }

    /// What the other person sees of them.
    pub(super) fn said_in(&self, ask: Ask) -> Ask {
        match self {
            Self::InCustody => ask.with("keys", "in custody"),
            Self::Offline { keys, threshold } => ask
                .with_each("key_sha256", keys.iter().map(|key| Key::p256(key).id()))
                .with("threshold", threshold),
        }
    }

    /// Whether what is on record was made of this order.
    pub(super) fn are(&self, set: &KeySetColumn) -> bool {
        match self {
            Self::InCustody => set.keys.iter().all(|key| !key.sealed.is_empty()),
            Self::Offline { keys, threshold } => {
                let is_there = |key: &P256VerifyingKey| set.keys.iter().any(|one| one.public == *key);
                *threshold == set.threshold && keys.len() == set.keys.len() && keys.iter().all(is_there)
            }
        }
    }
}

impl Engine {
    /// Makes a repository. Where its keys are in custody it is there at once; else root and the top-level targets wait for signatures. The
    /// same order again changes nothing.
    pub async fn create_update_repository(
        &self,
        caller: &Caller,
        name: RepositoryName,
        keys: UpdateKeys,
    ) -> Result<UpdateRepository, Error> {
        let made = [fresh()?, fresh()?, fresh()?];
        let others = self.each_repository().await?;
        if others.len() >= MAX_REPOSITORIES && !others.iter().any(|(other, _)| *other == name) {
            let message = format_args!("there are {MAX_REPOSITORIES} repositories already");
            return Err(Error::new(ErrorCode::UpdateQuota, message));
        }
        self.transact_by(caller, |tx| {
            if let Some((_, row)) = repository(tx, &name)? {
                if keys.are(row.next.as_ref().unwrap_or(&row.maker)) {
                    return Ok(Decision::unchanged(views::repository(&name, &row)?));
                }
                let message = format_args!("repository {name} exists, with other keys");
                return Err(Error::new(ErrorCode::RepositoryExists, message).into());
            }
            let [maker, snapshot, timestamp] = &made;
            let maker = self.key_set(tx, &keys, maker)?;
            let row = RepositoryRow {
                made_at: self.time(),
                by: IssuerRow { serial: caller.principal.serial, name: caller.principal.to_string() },
                maker: maker.clone(),
                next: None,
                snapshot_key: self.update_key(tx, snapshot)?,
                timestamp_key: self.update_key(tx, timestamp)?,
                root_file: FileColumn::default(),
                targets_file: FileColumn::default(),
                snapshot_file: FileColumn::default(),
                timestamp_file: FileColumn::default(),
                lines: Vec::new(),
                next_online: None,
            };
            let mut work = Work::new(self, tx, &name, row);
            self.rest_on_authority(tx, &mut work.change)?;
            work.draft_root(maker)?;
            let entry = self.entry(caller, Event::UpdateRepositoryMade, Target::Authority, Outcome::Done);
            work.change.record(&entry.with(FieldName::Repository, name.as_str()))?;
            let (change, row) = work.finish(None)?;
            Ok(Decision::new(change, views::repository(&name, &row)?))
        })
        .await
    }

    /// The repositories.
    pub async fn list_update_repositories(&self, caller: &Caller) -> Result<Vec<UpdateRepository>, Error> {
        if !sees_all(caller) {
            return Ok(Vec::new());
        }
        self.each_repository().await?.iter().map(|(name, row)| views::repository(name, row)).collect()
    }

    /// Drafts the next root, which other keys sign from then on, and the top-level targets with it. Custody's own keys for the snapshot and
    /// the timestamp are replaced with it. What waited for the former ones is drafted again.
    pub async fn rotate_update_root(
        &self,
        caller: &Caller,
        name: RepositoryName,
        keys: UpdateKeys,
        reason: Reason,
    ) -> Result<UpdateRepository, Error> {
        let [made, snapshot, timestamp] = [fresh()?, fresh()?, fresh()?];
        let ask = Ask::new(GuardedDeed::RotateUpdateRoot, None).with("repository", &name);
        let ask = keys.said_in(ask).with("reason", &reason);
        self.transact_by(caller, |tx| {
            let (version, row) = repository(tx, &name)?.ok_or_else(|| no_repository(&name))?;
            let mut work = Work::new(self, tx, &name, row);
            self.rest_on_authority(tx, &mut work.change)?;
            let next = self.key_set(tx, &keys, &made)?;
            let (snapshot, timestamp) = (self.update_key(tx, &snapshot)?, self.update_key(tx, &timestamp)?);
            work.row.next_online = Some(OnlineColumn { snapshot, timestamp });
            work.draft_root(next)?;
            let entry = self.entry(caller, Event::UpdateRootRotated, Target::Authority, Outcome::Done);
            let entry = entry.with(FieldName::Repository, name.as_str()).with(FieldName::Reason, &reason);
            work.change.record(&entry)?;
            let (change, row) = work.finish(Some(version))?;
            let decision = Decision::new(change, views::repository(&name, &row)?);
            self.approved(caller, tx, &ask, decision)
        })
        .await
    }

    /// What waits to be signed: the file as far as it is signed.
    pub async fn update_draft(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        role: &UpdateRole,
    ) -> Result<(UpdateFile, Vec<u8>), Error> {
        self.look(|tx| {
            let row = seen(tx, caller, name, role)?.1;
            let draft = file_of(&row, role).and_then(|file| file.draft.clone());
            let draft = draft.ok_or_else(|| no_draft(name, role))?;
            Ok((views::file(stem(role), &row, role)?, draft))
        })
        .await
    }

    /// Adds the signature of an offline key to what waits, which is published once there are enough. One that is there already changes
    /// nothing.
    pub async fn sign_update_draft(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        role: &UpdateRole,
        signature: &Signature,
    ) -> Result<UpdateFile, Error> {
        self.transact_by(caller, |tx| {
            let (version, row) = seen(tx, caller, name, role)?;
            let draft = file_of(&row, role).and_then(|file| file.draft.clone());
            let mut envelope = read_draft(&draft.ok_or_else(|| no_draft(name, role))?)?;
            if envelope.signatures().contains(signature) {
                return Ok(Decision::unchanged(views::file(stem(role), &row, role)?));
            }
            let mut keys = std::collections::BTreeMap::new();
            for set in signers_of(&row, role) {
                keys.extend(Signers::from(set).keys);
            }
            if !envelope.add(signature.clone(), &keys) {
                let message = format_args!(
                    "key {} has not signed what waits in {name} as {}, or may not",
                    signature.key,
                    stem(role)
                );
                return Err(Error::new(ErrorCode::SignatureRefused, message).into());
            }
            let mut work = Work::new(self, tx, name, row);
            work.settle(role, envelope)?;
            let entry = self.entry(caller, Event::UpdateSigned, Target::Authority, Outcome::Done);
            let entry = entry
                .with(FieldName::Repository, name.as_str())
                .with(FieldName::Metadata, stem(role))
                .with(FieldName::Key, signature.key.to_string());
            work.change.record(&entry)?;
            let (change, row) = work.finish(Some(version))?;
            Ok(Decision::new(change, views::file(stem(role), &row, role)?))
        })
        .await
    }

    /// The names of the files that are served of a repository.
    pub async fn list_update_metadata(&self, name: &RepositoryName) -> Result<Vec<String>, Error> {
        let prefix = update_key(name, "");
        let (mut names, mut after): (Vec<String>, Option<Vec<u8>>) = (Vec::new(), None);
        loop {
            let page = self.store.scan(Table::UpdateFile, &prefix, after.as_deref(), 64).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            names.extend(
                page.iter().map(|(key, _)| String::from_utf8_lossy(&key[prefix.len()..]).into_owned()),
            );
        }
        if names.is_empty() && !self.look(|tx| Ok(repository(tx, name)?.is_some())).await? {
            return Err(no_repository(name));
        }
        Ok(names)
    }

    /// A file that is served, and the Unix second at which it was made. It is signed, and nothing in it is secret.
    pub async fn update_metadata(
        &self,
        name: &RepositoryName,
        file: &str,
    ) -> Result<Option<(Vec<u8>, u64)>, Error> {
        let row: Option<(u64, UpdateFileRow)> =
            rows::load(&*self.store, Table::UpdateFile, &update_key(name, file)).await?;
        Ok(row.map(|(_, row)| (row.bytes, row.made_at.get())))
    }

    /// Seals the keys of updates under the newest version of the root key.
    pub(crate) async fn renew_update_keys(&self) -> Result<(), Error> {
        for (name, _) in self.each_repository().await? {
            self.transact(|tx| {
                let Some((version, mut row)) = repository(tx, &name)? else {
                    return Ok(Decision::unchanged(()));
                };
                let mut is_renewed = false;
                for key in keys_of(&mut row).filter(|key| !key.sealed.is_empty()) {
                    let place = rows::update_place(&key.public);
                    if let Some(sealed) = self.root.ring().renew(tx.nonce()?, place, &key.sealed)? {
                        key.sealed = sealed;
                        is_renewed = true;
                    }
                }
                let mut change = wardein_port::Change::default();
                if is_renewed {
                    let key = name.as_str().as_bytes().to_vec();
                    change.update(Table::UpdateRepository, key, version, rows::encode(&row)?);
                }
                Ok(Decision::new(change, ()))
            })
            .await?;
        }
        Ok(())
    }

    /// The keys of an order, with one that was made where custody is to have it.
    pub(super) fn key_set(
        &self,
        tx: &Tx<'_>,
        keys: &UpdateKeys,
        made: &SecretBytes,
    ) -> Result<KeySetColumn, Stop> {
        Ok(match keys {
            UpdateKeys::InCustody => KeySetColumn { keys: vec![self.update_key(tx, made)?], threshold: 1 },
            UpdateKeys::Offline { keys, threshold } => {
                let offline = |public: &P256VerifyingKey| KeyColumn { public: *public, sealed: Vec::new() };
                KeySetColumn { keys: keys.iter().map(offline).collect(), threshold: *threshold }
            }
        })
    }
}

/// All keys of a repository.
fn keys_of(row: &mut RepositoryRow) -> impl Iterator<Item = &mut KeyColumn> {
    let sets = row.lines.iter_mut().flat_map(|line| [&mut line.keys].into_iter().chain(&mut line.next));
    let lines = sets.flat_map(|set| &mut set.keys);
    let maker = row.maker.keys.iter_mut().chain(row.next.iter_mut().flat_map(|next| &mut next.keys));
    let next = row.next_online.iter_mut().flat_map(|next| [&mut next.snapshot, &mut next.timestamp]);
    maker.chain([&mut row.snapshot_key, &mut row.timestamp_key]).chain(next).chain(lines)
}

pub(super) fn repository(tx: &Tx<'_>, name: &RepositoryName) -> Result<Option<(u64, RepositoryRow)>, Stop> {
    tx.row(Table::UpdateRepository, name.as_str().as_bytes())
}

/// The repository, of which the caller may see that role's file.
fn seen(
    tx: &Tx<'_>,
    caller: &Caller,
    name: &RepositoryName,
    role: &UpdateRole,
) -> Result<(u64, RepositoryRow), Stop> {
    let found = repository(tx, name)?.ok_or_else(|| no_repository(name))?;
    match role {
        UpdateRole::Line(line) => drop(line_of(caller, name, &found.1, line)?),
        _ if !sees_all(caller) => return Err(no_repository(name).into()),
        _ => {}
    }
    Ok(found)
}

fn no_draft(name: &RepositoryName, role: &UpdateRole) -> Error {
    let message = format_args!("nothing waits in repository {name} to be signed as {}", stem(role));
    Error::new(ErrorCode::DraftUnknown, message)
}

pub(super) fn fresh() -> Result<SecretBytes, Error> {
    P256SigningKey::generate_pkcs8().map_err(|_| Error::internal("no entropy for keys"))
}
