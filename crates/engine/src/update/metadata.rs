//! The files of metadata: drafted from what is on record, signed by custody as far as it may, published once enough have signed.

use crate::kernel::{Engine, Error, Stop, Tx};
use crate::rows::{
    self, FileColumn, KeyColumn, KeySetColumn, LineRow, OnlineColumn, ReleaseColumn, ReleaseStateColumn,
    RepositoryRow, ServedColumn, UpdateFileRow, update_key, update_place,
};
use crate::update::UpdateRole;
use std::collections::BTreeMap;
use wardein_crypto::{Digest, P256SigningKey, SecretBytes, hex};
use wardein_domain::{RepositoryName, UnixSeconds};
use wardein_port::{Change, Table};
use wardein_tuf::{
    Delegation, Delegations, Document, Envelope, FileMeta, Key, KeyId, Keyholders, Malformed, PathPattern,
    Plaintext, Release, RoleName, Root, Snapshot, TargetFile, TargetPath, Targets, Timestamp, Value, Version,
};

/// Seconds for which root is good: two years.
pub(super) const ROOT_LIFETIME: u64 = 730 * DAY;
/// Seconds for which the top-level targets and those of lines are good: a year.
pub(super) const TARGETS_LIFETIME: u64 = 365 * DAY;
/// Seconds for which a snapshot is good.
pub(super) const SNAPSHOT_LIFETIME: u64 = 14 * DAY;
/// Seconds for which a timestamp is good: as long as a device can be kept from hearing of a recall.
pub(super) const TIMESTAMP_LIFETIME: u64 = 7 * DAY;
const DAY: u64 = 86_400;

/// Who may sign, as TUF has it.
pub(super) struct Signers {
    pub(super) keys: BTreeMap<KeyId, Key>,
    pub(super) holders: Keyholders,
}

impl From<&KeySetColumn> for Signers {
    fn from(set: &KeySetColumn) -> Self {
        let keys: BTreeMap<_, _> =
            set.keys.iter().map(|key| Key::p256(&key.public)).map(|key| (key.id(), key)).collect();
        let holders = Keyholders { keys: keys.keys().copied().collect(), threshold: set.threshold.into() };
        Self { keys, holders }
    }
}

impl Signers {
    fn of(key: &KeyColumn) -> Self {
        Self::from(&KeySetColumn { keys: vec![key.clone()], threshold: 1 })
    }

    /// How many of them have signed.
    pub(super) fn count(&self, envelope: &Envelope) -> u64 {
        envelope.count(&self.keys, &self.holders)
    }

    pub(super) fn are_enough(&self, envelope: &Envelope) -> bool {
        self.count(envelope) >= self.holders.threshold
    }
}

/// A repository while a decision changes it.
pub(super) struct Work<'a, 'b> {
    pub(super) engine: &'a Engine,
    pub(super) tx: &'a Tx<'b>,
    pub(super) name: &'a RepositoryName,
    pub(super) row: RepositoryRow,
    pub(super) change: Change,
    /// Whether what the snapshot lists has changed.
    is_changed: bool,
}

impl<'a, 'b> Work<'a, 'b> {
    pub(super) fn new(
        engine: &'a Engine,
        tx: &'a Tx<'b>,
        name: &'a RepositoryName,
        row: RepositoryRow,
    ) -> Self {
        Self { engine, tx, name, row, change: Change::default(), is_changed: false }
    }

    /// Root and the top-level targets as they should be by what is on record, with `next` to sign them from then on.
    pub(super) fn draft_root(&mut self, next: KeySetColumn) -> Result<(), Stop> {
        let former = self.row.root_file.served.as_ref().map_or(0, |served| served.version);
        let maker = Signers::from(&next);
        let (snapshot, timestamp) = match &self.row.next_online {
            Some(next) => (Signers::of(&next.snapshot), Signers::of(&next.timestamp)),
            None => (Signers::of(&self.row.snapshot_key), Signers::of(&self.row.timestamp_key)),
        };
        let keys = [&maker, &snapshot, &timestamp];
        let document = Root {
            version: version(former + 1)?,
            expires: self.until(ROOT_LIFETIME),
            consistent_snapshot: true,
            keys: keys.into_iter().flat_map(|signers| signers.keys.clone()).collect(),
            root: maker.holders.clone(),
            timestamp: timestamp.holders,
            snapshot: snapshot.holders,
            targets: maker.holders,
        };
        self.row.next = Some(next);
        self.row.targets_file.draft = None;
        self.advance(&UpdateRole::Root, Envelope::new(&document))?;
        self.draft_targets()
    }

    /// The top-level targets likewise: nothing but the delegations to lines.
    pub(super) fn draft_targets(&mut self) -> Result<(), Stop> {
        let mut delegations = Delegations::default();
        for line in &self.row.lines {
            let signers = Signers::from(line.next.as_ref().unwrap_or(&line.keys));
            delegations.keys.extend(signers.keys);
            let paths = line.paths.iter().map(|path| PathPattern::new(path)).collect::<Result<_, _>>();
            delegations.roles.push(Delegation {
                name: role_name(line.name.as_str())?,
                holders: signers.holders,
                paths: paths.map_err(damaged)?,
                terminating: true,
            });
        }
        let document = Targets {
            version: self.risen(&self.row.targets_file)?,
            expires: self.until(TARGETS_LIFETIME),
            targets: BTreeMap::new(),
            delegations: Some(delegations),
        };
        self.advance(&UpdateRole::Targets, Envelope::new(&document))
    }

    /// The metadata of a line likewise: what was released and not recalled.
    pub(super) fn draft_line(&mut self, role: &UpdateRole, row: &LineRow) -> Result<(), Stop> {
        let file = self.file(role)?;
        let mut targets = BTreeMap::new();
        for release in row.releases.iter().filter(|release| is_listed(release.state)) {
            let path = TargetPath::new(&release.path).map_err(damaged)?;
            let file = TargetFile {
                length: release.length,
                sha256: Digest(release.sha256),
                custom: Some(custom(release, row.plaintext(release.version))),
            };
            targets.insert(path, file);
        }
        let document = Targets {
            version: self.risen(file)?,
            expires: self.until(TARGETS_LIFETIME),
            targets,
            delegations: None,
        };
        self.advance(role, Envelope::new(&document))
    }

    /// Signs what custody may, and publishes what enough have signed; anything else waits.
    fn advance(&mut self, role: &UpdateRole, mut envelope: Envelope) -> Result<(), Stop> {
        for set in self.signers(role)? {
            for key in set.keys.iter().filter(|key| !key.sealed.is_empty()) {
                self.sign(&mut envelope, key)?;
            }
        }
        self.settle(role, envelope)
    }

    /// Publishes a file that enough have signed; one that too few have is kept. Where other keys are to sign, what names them and what they sign
    /// are published together: with one alone no client would come further.
    pub(super) fn settle(&mut self, role: &UpdateRole, envelope: Envelope) -> Result<(), Stop> {
        self.file_mut(role)?.draft = Some(envelope.to_bytes());
        let together = self.together(role);
        let complete =
            together.iter().map(|role| self.complete(role)).collect::<Result<Option<Vec<_>>, _>>()?;
        let Some(complete) = complete else { return Ok(()) };
        for (role, envelope) in together.iter().zip(complete) {
            self.publish(role, &envelope)?;
        }
        if together.contains(&UpdateRole::Root) {
            if let Some(next) = self.row.next.take() {
                self.row.maker = next;
            }
            if let Some(OnlineColumn { snapshot, timestamp }) = self.row.next_online.take() {
                (self.row.snapshot_key, self.row.timestamp_key) = (snapshot, timestamp);
            }
        }
        for line in &mut self.row.lines {
            if together.contains(&UpdateRole::Line(line.name.clone()))
                && let Some(next) = line.next.take()
            {
                line.keys = next;
            }
        }
        Ok(())
    }

    /// The files that are published with that of `role`: it alone, unless it says or shows who signs from then on.
    fn together(&self, role: &UpdateRole) -> Vec<UpdateRole> {
        let moving = self.row.lines.iter().filter(|line| line.next.is_some());
        let moving: Vec<_> = moving.map(|line| UpdateRole::Line(line.name.clone())).collect();
        let root = self.row.next.is_some().then_some(UpdateRole::Root);
        let others = [UpdateRole::Targets].into_iter().chain(moving);
        let all: Vec<_> = root.into_iter().chain(others).collect();
        if all.contains(role) { all } else { vec![role.clone()] }
    }

    /// A draft that enough have signed.
    fn complete(&self, role: &UpdateRole) -> Result<Option<Envelope>, Stop> {
        let Some(draft) = &self.file(role)?.draft else { return Ok(None) };
        let envelope = read_draft(draft)?;
        let mut sets = self.signers(role)?.into_iter();
        Ok(sets.all(|set| Signers::from(set).are_enough(&envelope)).then_some(envelope))
    }

    fn publish(&mut self, role: &UpdateRole, envelope: &Envelope) -> Result<(), Stop> {
        let before = self.file(role)?.clone();
        let served = match role {
            // No root is ever taken away: a client follows them one by one.
            UpdateRole::Root => {
                self.write("root", &envelope.read::<Root>().map_err(damaged)?, envelope, &before, false)?
            }
            _ => {
                let document: Targets = envelope.read().map_err(damaged)?;
                self.write(stem(role), &document, envelope, &before, true)?
            }
        };
        *self.file_mut(role)? = FileColumn { served: Some(served), draft: None };
        self.is_changed = true;
        Ok(())
    }

    /// Makes the snapshot again, and the timestamp with it, where what they list has changed or they are due; nothing before root and the
    /// top-level targets are there. What is left is to be committed.
    pub(super) fn finish(mut self, found: Option<u64>) -> Result<(Change, RepositoryRow), Stop> {
        if let (Some(_), Some(targets)) = (&self.row.root_file.served, self.row.targets_file.served.clone()) {
            if self.is_changed || self.is_snapshot_due() {
                self.write_snapshot(&targets)?;
            }
            if self.is_changed || self.is_timestamp_due() {
                self.write_timestamp()?;
            }
        }
        let key = self.name.as_str().as_bytes().to_vec();
        self.change.put(Table::UpdateRepository, key, found, rows::encode(&self.row)?);
        Ok((self.change, self.row))
    }

    /// Whether the snapshot or the timestamp is to be made again although nothing has changed.
    pub(super) fn is_any_due(&self) -> bool {
        self.row.targets_file.served.is_some() && (self.is_snapshot_due() || self.is_timestamp_due())
    }

    fn is_snapshot_due(&self) -> bool {
        self.is_due(&self.row.snapshot_file, SNAPSHOT_LIFETIME / 2)
    }

    fn is_timestamp_due(&self) -> bool {
        self.is_due(&self.row.timestamp_file, TIMESTAMP_LIFETIME - DAY)
    }

    fn write_snapshot(&mut self, targets: &ServedColumn) -> Result<(), Stop> {
        let mut delegated = BTreeMap::new();
        for line in &self.row.lines {
            if let Some(served) = &line.file.served {
                delegated.insert(role_name(line.name.as_str())?, meta(served)?);
            }
        }
        let document = Snapshot {
            version: self.risen(&self.row.snapshot_file)?,
            expires: self.until(SNAPSHOT_LIFETIME),
            targets: meta(targets)?,
            delegated,
        };
        let mut envelope = Envelope::new(&document);
        self.sign(&mut envelope, &self.row.snapshot_key)?;
        let before = self.row.snapshot_file.clone();
        self.row.snapshot_file.served = Some(self.write("snapshot", &document, &envelope, &before, true)?);
        self.is_changed = true;
        Ok(())
    }

    fn write_timestamp(&mut self) -> Result<(), Stop> {
        let Some(snapshot) = &self.row.snapshot_file.served else { return Ok(()) };
        let document = Timestamp {
            version: self.risen(&self.row.timestamp_file)?,
            expires: self.until(TIMESTAMP_LIFETIME),
            snapshot: meta(snapshot)?,
        };
        let mut envelope = Envelope::new(&document);
        self.sign(&mut envelope, &self.row.timestamp_key)?;
        let bytes = envelope.to_bytes();
        self.row.timestamp_file.served = Some(served(&document, &bytes, None));
        self.put("timestamp.json", bytes)
    }

    /// Whether a file ends within so many seconds, or is not there yet.
    pub(super) fn is_due(&self, file: &FileColumn, within: u64) -> bool {
        let by = self.engine.time().get().saturating_add(within);
        file.served.as_ref().is_none_or(|served| served.expires.get() < by)
    }

    /// Who must sign a file. For root that is who signs it now, and who signs it from then on.
    pub(super) fn signers(&self, role: &UpdateRole) -> Result<Vec<&KeySetColumn>, Error> {
        let sets = signers_of(&self.row, role);
        if sets.is_empty() { Err(Error::internal("a line without a row")) } else { Ok(sets) }
    }

    pub(super) fn file(&self, role: &UpdateRole) -> Result<&FileColumn, Error> {
        file_of(&self.row, role).ok_or_else(|| Error::internal("a line without a row"))
    }

    fn file_mut(&mut self, role: &UpdateRole) -> Result<&mut FileColumn, Error> {
        Ok(match role {
            UpdateRole::Root => &mut self.row.root_file,
            UpdateRole::Targets => &mut self.row.targets_file,
            UpdateRole::Line(line) => {
                let line = self.row.lines.iter_mut().find(|other| other.name == *line);
                &mut line.ok_or_else(|| Error::internal("a line without a row"))?.file
            }
        })
    }

    /// A version above the last, and above what an authority that was restored since may have given: seconds do not come back.
    fn risen(&self, file: &FileColumn) -> Result<Version, Error> {
        let last = file.served.as_ref().map_or(0, |served| served.version);
        version(self.engine.time().get().max(last + 1))
    }

    fn until(&self, lifetime: u64) -> UnixSeconds {
        UnixSeconds::new(self.engine.time().get() + lifetime)
    }

    fn sign(&self, envelope: &mut Envelope, key: &KeyColumn) -> Result<(), Stop> {
        let document = self.engine.root.ring().open(update_place(&key.public), &key.sealed)?;
        let signs = |_| Error::internal("a key of updates does not sign");
        let key = P256SigningKey::from_pkcs8(&document).map_err(signs)?;
        envelope.sign(&key).map_err(signs)?;
        Ok(())
    }

    /// Puts a file on record under its version, and takes the one before the former away.
    fn write(
        &mut self,
        stem: &str,
        document: &impl Document,
        envelope: &Envelope,
        before: &FileColumn,
        forgets: bool,
    ) -> Result<ServedColumn, Stop> {
        let bytes = envelope.to_bytes();
        let former = before.served.as_ref();
        let served = served(document, &bytes, former.map(|served| served.version));
        self.put(&format!("{}.{stem}.json", served.version), bytes)?;
        if let (true, Some(gone)) = (forgets, former.and_then(|served| served.former)) {
            let key = update_key(self.name, &format!("{gone}.{stem}.json"));
            if let Some(row) = self.tx.get(Table::UpdateFile, &key)? {
                self.change.delete(Table::UpdateFile, key, row.version);
            }
        }
        Ok(served)
    }

    fn put(&mut self, file: &str, bytes: Vec<u8>) -> Result<(), Stop> {
        let key = update_key(self.name, file);
        let found = self.tx.get(Table::UpdateFile, &key)?.map(|row| row.version);
        let row = UpdateFileRow { bytes, made_at: self.engine.time() };
        self.change.put(Table::UpdateFile, key, found, rows::encode(&row)?);
        Ok(())
    }
}

impl Engine {
    /// A fresh key of custody's, to be sealed.
    pub(super) fn update_key(&self, tx: &Tx<'_>, document: &SecretBytes) -> Result<KeyColumn, Stop> {
        let damaged = |_| Error::internal("a key that was just made is damaged");
        let public = *P256SigningKey::from_pkcs8(document).map_err(damaged)?.verifying_key();
        let sealed = self.root.ring().seal(tx.nonce()?, update_place(&public), document.expose())?;
        Ok(KeyColumn { public, sealed })
    }
}

/// A role's file in a repository; none where it has no such line.
pub(super) fn file_of<'a>(row: &'a RepositoryRow, role: &UpdateRole) -> Option<&'a FileColumn> {
    match role {
        UpdateRole::Root => Some(&row.root_file),
        UpdateRole::Targets => Some(&row.targets_file),
        UpdateRole::Line(line) => row.lines.iter().find(|other| other.name == *line).map(|line| &line.file),
    }
}

/// The name of a role's files, without version.
pub(super) fn stem(role: &UpdateRole) -> &str {
    match role {
        UpdateRole::Root => "root",
        UpdateRole::Targets => "targets",
        UpdateRole::Line(line) => line.as_str(),
    }
}

/// Whether a release in that state is in the metadata: one that is paused stays, since devices that run it look for it there.
pub(super) fn is_listed(state: ReleaseStateColumn) -> bool {
    matches!(state, ReleaseStateColumn::Released | ReleaseStateColumn::Paused)
}

/// Who must sign a role's file; none where the repository has no such line.
pub(super) fn signers_of<'a>(row: &'a RepositoryRow, role: &UpdateRole) -> Vec<&'a KeySetColumn> {
    match role {
        UpdateRole::Root => {
            let former = row.root_file.served.is_some().then_some(&row.maker);
            let next = row.next.as_ref().unwrap_or(&row.maker);
            former.into_iter().chain([next]).collect()
        }
        UpdateRole::Targets => vec![row.next.as_ref().unwrap_or(&row.maker)],
        UpdateRole::Line(line) => {
            let of = row.lines.iter().filter(|other| other.name == *line);
            of.map(|line| line.next.as_ref().unwrap_or(&line.keys)).collect()
        }
    }
}

/// A draft on record.
pub(super) fn read_draft(bytes: &[u8]) -> Result<Envelope, Error> {
    Envelope::parse(bytes, wardein_tuf::MAX_TARGETS_LEN).map_err(damaged)
}

/// What TUF does not look at: the release as devices read it, and the PCRs that one which runs it quotes.
fn custom(release: &ReleaseColumn, plaintext: Option<Plaintext>) -> Value {
    let attributes = release.attributes.iter();
    let said = Release {
        version: release.version,
        label: release.label.as_str().to_owned(),
        models: release.models.iter().map(ToString::to_string).collect(),
        floor: release.floor,
        downgrade_from: release.downgrade_from,
        notes: release.notes.as_ref().map(ToString::to_string).unwrap_or_default(),
        attributes: attributes.map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        plaintext,
    };
    let mut banks: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
    for pcr in &release.pcrs {
        let values = banks.entry(pcr.bank.name().to_owned()).or_default();
        values.insert(pcr.number.to_string(), Value::text(hex::encode(&pcr.value)));
    }
    let mut custom = said.to_custom();
    if let (Value::Object(fields), false) = (&mut custom, banks.is_empty()) {
        let banks = banks.into_iter().map(|(bank, values)| (bank, Value::Object(values)));
        fields.insert("pcrs".to_owned(), Value::object(banks));
    }
    custom
}

fn served(document: &impl Document, bytes: &[u8], former: Option<u64>) -> ServedColumn {
    ServedColumn {
        version: document.version().get(),
        former,
        length: bytes.len() as u64,
        sha256: Digest::of(bytes).0,
        expires: document.expires(),
    }
}

fn meta(served: &ServedColumn) -> Result<FileMeta, Error> {
    let version = version(served.version)?;
    Ok(FileMeta { version, length: Some(served.length), sha256: Some(Digest(served.sha256)) })
}

fn version(number: u64) -> Result<Version, Error> {
    Version::new(number).ok_or_else(|| Error::internal("no more versions of metadata"))
}

fn role_name(name: &str) -> Result<RoleName, Error> {
    RoleName::new(name).map_err(damaged)
}

fn damaged(error: Malformed) -> Error {
    Error::internal(format_args!("metadata on record is damaged: {error}"))
}
