//! The keys of many files, released by one request: one reason, one decision, one change, one entry in the audit log.
//!
//! Each file is judged by itself, as it would be alone (`keys.rs` beside this). What is refused is an answer like any other; a
//! fault, or a row that changed meanwhile, concerns all of them. No record is held: a thousand devices would wait for each other.
//! What others changed in between is a conflict, and the decision is made again.

use crate::derive::spent::{self, Spending, Standing, idempotency_key_used};
use crate::kernel::record::{Recording, hex};
use crate::kernel::{Caller, Decision, Engine, Error, Held, Stop, Tx};
use crate::project::KnownDevice;
use crate::release::keys::{Unsealed, copied, key_twice};
use crate::rows;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use wardein_crypto::Digest;
use wardein_ddkg::DeviceName;
use wardein_ddkg::authority::Record;
use wardein_ddkg::message::FileStanza;
use wardein_domain::{
    ErrorCode, ErrorKind, Event, FieldName, Fields, Method, Outcome, Profile, Reason, Right, Target,
    UnixSeconds,
};
use wardein_port::{Change, RowKey, Table};

/// The stanzas of 1 to [`FileStanzas::MAX`] files, each with a key of its own.
#[derive(Debug, Clone)]
pub struct FileStanzas(Vec<FileStanza>);

impl FileStanzas {
    /// The most files of one request.
    pub const MAX: usize = 1_000;

    /// Refuses none, too many, and two that name one key: the error names the field `files`.
    pub fn new(stanzas: Vec<FileStanza>) -> Result<Self, Error> {
        let (count, max) = (stanzas.len(), Self::MAX);
        if !(1..=max).contains(&count) {
            return Err(Error::wrong("files", format_args!("has {count} stanzas; it takes 1 to {max}")));
        }
        let mut names = BTreeSet::new();
        for (place, stanza) in stanzas.iter().enumerate() {
            if !names.insert(stanza.name().to_string()) {
                let message = "names the same key as one before it; ask for each key once";
                return Err(Error::wrong(&format!("files[{place}]"), message));
            }
        }
        Ok(Self(stanzas))
    }
}

/// Keys of files to be released.
#[derive(Debug, Clone)]
pub struct FileKeysAsk {
    /// Which.
    pub stanzas: FileStanzas,
    /// Why.
    pub reason: Reason,
    /// The SHA-256 that distinguishes this request from every other.
    pub idempotency: Digest,
}

/// What a platform is given for many files.
pub struct FileKeys {
    /// For each stanza, in their order: its key, or why it is not released.
    pub results: Vec<Result<Unsealed, Error>>,
    /// The digest of the released keys' names, as it is on record; none where none was released.
    pub digest: Option<Digest>,
}

/// A decision in the making.
struct Release<'a> {
    caller: &'a Caller,
    ask: &'a FileKeysAsk,
    now: UnixSeconds,
    /// Whether the idempotency key came before: then nothing is spent for the first time.
    is_repeated: bool,
    change: Change,
    results: Vec<Option<Result<Unsealed, Error>>>,
    /// How many keys were given out in which way.
    deliveries: BTreeMap<&'static str, usize>,
}

/// The files of one device that may be released to the caller, by their places.
struct OfDevice<'a> {
    owner: &'a DeviceName,
    known: Arc<KnownDevice>,
    profile: Profile,
    places: Vec<usize>,
}

impl Engine {
    /// Releases the keys of many files, each as [`Engine::release_key`] does by itself.
    pub async fn release_file_keys(&self, caller: &Caller, ask: FileKeysAsk) -> Result<FileKeys, Error> {
        let keys = self.transact_by(caller, |tx| self.decide_file_keys(tx, caller, &ask)).await?;
        // An alarm has an entry of its own, and may quarantine the device: it is a decision of its own, before the answer.
        for (stanza, result) in ask.stanzas.0.iter().zip(&keys.results) {
            if result.as_ref().is_err_and(|error| error.code == ErrorCode::CloneSuspected) {
                self.alarm_key_twice(caller, stanza.name()).await?;
            }
        }
        Ok(keys)
    }

    fn decide_file_keys(
        &self,
        tx: &mut Tx<'_>,
        caller: &Caller,
        ask: &FileKeysAsk,
    ) -> Result<Decision<FileKeys>, Stop> {
        let stanzas = &ask.stanzas.0;
        let now = UnixSeconds::new(self.clock.now_ms() / 1000);
        let spending = Spending { caller, idempotency: ask.idempotency, message: None };
        let is_repeated = self.is_idempotency_key_used(tx, &spending, now)?;
        let mut release = Release {
            caller,
            ask,
            now,
            is_repeated,
            change: Change::default(),
            results: stanzas.iter().map(|_| None).collect(),
            deliveries: BTreeMap::new(),
        };
        // First what needs few rows, so that little is done again where one has to be loaded.
        let granted = self.granted_files(tx, &mut release)?;
        tx.need(rows_of(&granted, stanzas))?;
        for of_device in granted {
            self.release_of_device(tx, &mut release, of_device)?;
        }
        if release.deliveries.contains_key(FIRST) {
            self.use_idempotency_key(tx, &mut release.change, &spending, now)?;
        }
        self.record_file_keys(tx, release)
    }

    /// The files by device, but for those that the caller may not have released: these have their refusals.
    fn granted_files<'a>(&self, tx: &Tx<'_>, release: &mut Release<'a>) -> Result<Vec<OfDevice<'a>>, Stop> {
        let mut of_devices = BTreeMap::<_, (&DeviceName, Vec<usize>)>::new();
        let ask = release.ask;
        for (place, stanza) in ask.stanzas.0.iter().enumerate() {
            let owner = &stanza.name().owner;
            of_devices.entry(rows::device_key(owner)).or_insert_with(|| (owner, Vec::new())).1.push(place);
        }
        let mut granted = Vec::new();
        for (owner, places) in of_devices.into_values() {
            let may = self.require_tenant(release.caller, &owner.tenant).map_err(Stop::from);
            match may.and_then(|()| self.granted(tx, release.caller, owner, Right::File)) {
                Ok((known, profile)) => granted.push(OfDevice { owner, known, profile, places }),
                Err(stop) => release.refuse(&places, &refusal(stop)?),
            }
        }
        Ok(granted)
    }

    fn release_of_device(
        &self,
        tx: &mut Tx<'_>,
        release: &mut Release<'_>,
        OfDevice { owner, known, profile, places }: OfDevice<'_>,
    ) -> Result<(), Stop> {
        // Regardless of the device's state, as with one file.
        let Some(mut held) = self.open_keys(tx, owner)? else {
            release.refuse(&places, &Error::no_keys(owner));
            return Ok(());
        };
        let (mut is_any, mut is_first) = (false, false);
        for place in places {
            let delivered = match self.release_one(tx, release, (known.as_ref(), &profile), &mut held, place)
            {
                Ok(delivered) => delivered,
                Err(stop) => {
                    release.refuse(&[place], &refusal(stop)?);
                    continue;
                }
            };
            *release.deliveries.entry(delivered).or_default() += 1;
            (is_any, is_first) = (true, is_first || delivered == FIRST);
        }
        if is_any {
            release.change.check(Table::Device, rows::device_key(owner), known.version);
        }
        if is_first {
            // Its trees are moved forward by its next proof, or by the sweep: a thousand records would make a change of megabytes.
            let Held { cold, version, keys } = &mut held;
            self.put_keys(tx, &mut release.change, owner, (*cold, *version), keys)?;
        }
        Ok(())
    }

    /// One file; in which way its key is given out. What is refused leaves nothing in the change, and the keys as they were.
    fn release_one(
        &self,
        tx: &Tx<'_>,
        release: &mut Release<'_>,
        (known, profile): (&KnownDevice, &Profile),
        held: &mut Held,
        place: usize,
    ) -> Result<&'static str, Stop> {
        let Some(stanza) = release.ask.stanzas.0.get(place) else {
            return Err(Error::internal("a file that was not asked for").into());
        };
        let name = stanza.name();
        let message = Some(Digest::of(stanza.body()));
        let spending = Spending { caller: release.caller, idempotency: release.ask.idempotency, message };
        let (standing, _) = self.standing(tx, name, &spending, profile, release.now)?;
        if standing == Standing::First && release.is_repeated {
            return Err(idempotency_key_used().into());
        }
        let policy = self.policy_of(profile);
        let now = release.now.get();
        let take = |record: &mut Record| record.unwrap_file_key(stanza, now, &policy);
        let (key, spend) = self.take_key(&mut held.keys, name, profile, take)?;
        let delivery = match standing {
            // Both are right. The record has at most the epoch noted that the other one has shown.
            Standing::OtherMessage => return Err(key_twice().into()),
            Standing::First => {
                spent::spend(&mut release.change, &spend.0, &spending.row(release.now))?;
                FIRST
            }
            Standing::Repeated => "again",
            Standing::Spent => "archive",
        };
        let unsealed = Unsealed { secret: copied(key.expose()), key_name: spend.0, state: known.state };
        if let Some(result) = release.results.get_mut(place) {
            *result = Some(Ok(unsealed));
        }
        Ok(delivery)
    }

    /// The entry, which is one for all.
    fn record_file_keys(&self, tx: &Tx<'_>, release: Release<'_>) -> Result<Decision<FileKeys>, Stop> {
        let Release { caller, ask, mut change, results, deliveries, .. } = release;
        let tenant = caller.principal.tenant.as_ref();
        let tenant = tenant.ok_or_else(|| {
            Error::new(ErrorCode::RoleInsufficient, "only a platform of a tenant has keys released")
        })?;
        let missing = || Err(Error::internal("a file was not judged"));
        let results: Vec<_> = results.into_iter().map(|result| result.unwrap_or_else(missing)).collect();
        let mut refusals = results.iter().filter_map(|result| result.as_ref().err());
        // What another node acknowledged may not be known here yet. And one key for two requests is not a matter of a file.
        let misused = |error: &&Error| error.code == ErrorCode::IdempotencyKeyUsed && deliveries.is_empty();
        let stops = |error: &&Error| misused(error) || error.kind() == ErrorKind::Internal || !tx.is_final();
        if let Some(error) = refusals.clone().find(stops) {
            return Err(error.clone().into());
        }
        let mut refused = BTreeMap::<_, usize>::new();
        refusals.clone().for_each(|error| *refused.entry(error.code.as_str()).or_default() += 1);
        // Where nothing is released, it is a refusal like others: a flood of them is counted and not written.
        let refused_for = refusals.next().filter(|_| deliveries.is_empty()).map(|error| error.code);
        let is_recorded =
            refused_for.is_none_or(|code| self.records_refusal(caller, Method::ReleaseFileKeys, code));
        let outcome = refused_for.map_or(Outcome::Done, Outcome::refused);
        let names = results.iter().flatten().map(|unsealed| unsealed.key_name.to_string());
        let digest = digest_of(names.collect());
        let mut fields = Fields::default().with(FieldName::Keys, results.iter().flatten().count());
        if let Some(digest) = &digest {
            fields = fields.with(FieldName::KeysDigest, hex(&digest.0));
            fields = fields.with(FieldName::Delivery, counted(&deliveries));
        }
        if !refused.is_empty() {
            fields = fields.with(FieldName::RefusedKeys, counted(&refused));
        }
        let entry = self.entry(caller, Event::KeyReleased, Target::Tenant(tenant.clone()), outcome);
        let entry = entry.in_tenant(tenant).with_all(fields).with(FieldName::Reason, &ask.reason);
        if is_recorded {
            change.record(&entry)?;
        }
        Ok(Decision::new(change, FileKeys { results, digest }))
    }
}

impl Release<'_> {
    fn refuse(&mut self, places: &[usize], error: &Error) {
        for place in places {
            if let Some(result) = self.results.get_mut(*place) {
                *result = Some(Err(error.clone()));
            }
        }
    }
}

/// A refusal, which is that of one file or device. Everything else stops the decision.
fn refusal(stop: Stop) -> Result<Error, Stop> {
    let error = match stop {
        Stop::Refuse(error) => error,
        Stop::Need(keys) => return Err(Stop::Need(keys)),
    };
    match error.kind() {
        ErrorKind::Invalid | ErrorKind::NotFound | ErrorKind::Precondition | ErrorKind::Denied => Ok(error),
        ErrorKind::Exists
        | ErrorKind::Unauthenticated
        | ErrorKind::OutOfRange
        | ErrorKind::Exhausted
        | ErrorKind::Unimplemented
        | ErrorKind::Unavailable
        | ErrorKind::Internal => Err(error.into()),
    }
}

/// The rows that the files of devices are judged by.
fn rows_of(of_devices: &[OfDevice<'_>], stanzas: &[FileStanza]) -> Vec<RowKey> {
    let mut keys = Vec::new();
    for OfDevice { owner, places, .. } in of_devices {
        let key = rows::device_key(owner);
        keys.extend([Table::DeviceHot, Table::DeviceKeys].map(|table| RowKey { table, key: key.clone() }));
        keys.extend(
            places.iter().filter_map(|place| stanzas.get(*place)).map(FileStanza::name).map(spent::row_key),
        );
    }
    keys
}

/// SHA-256 over the names in byte order, each followed by a line feed: what `sort | sha256sum` says of a file with a name a line.
fn digest_of(mut names: Vec<String>) -> Option<Digest> {
    if names.is_empty() {
        return None;
    }
    names.sort_unstable();
    Some(Digest::of((names.join("\n") + "\n").as_bytes()))
}

/// Words with their numbers, as entries about many calls have them.
fn counted(numbers: &BTreeMap<&'static str, usize>) -> String {
    let counted: Vec<_> = numbers.iter().map(|(word, number)| format!("{word} {number}")).collect();
    counted.join(",")
}

/// The delivery of a key that is spent by it.
const FIRST: &str = "first";
