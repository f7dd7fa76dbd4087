//! The client's workflow (TUF §5), sans-IO: it says which file it wants, is given its bytes, and trusts it or says why not.

mod line;
mod search;
mod target;

pub use search::Sought;
pub use target::TargetCheck;

use crate::envelope::Envelope;
use crate::role::{Document, FileMeta, Keyholders, Root, Snapshot, Targets, Timestamp, Version};
use crate::{
    Error, Key, KeyId, MAX_ROOT_LEN, MAX_ROOTS, MAX_SNAPSHOT_LEN, MAX_TARGETS_LEN, MAX_TIMESTAMP_LEN, Role,
    RoleName,
};
use std::collections::BTreeMap;
use wardein_crypto::Digest;
use wardein_domain::UnixSeconds;

/// A file to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Whose metadata it is.
    pub role: Role,
    /// Its name below the repository's address. There is no slash in it.
    pub file: String,
    /// How many bytes of it are read at most; a longer one is refused.
    pub limit: u64,
}

/// What the client trusted at the end of an earlier update, as the bytes that it kept. It guards against going back; whether it has expired
/// does not matter.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kept<'a> {
    /// The timestamp.
    pub timestamp: Option<&'a [u8]>,
    /// The snapshot.
    pub snapshot: Option<&'a [u8]>,
}

/// What a file that was given is trusted as. It is to be kept on durable storage before the next update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// It takes the place of what was kept for that role.
    New(Role),
    /// The version that was trusted before: what was kept stays.
    Same(Role),
}

/// The metadata that is trusted, one step of an update after the other.
pub struct TrustedSet {
    now: UnixSeconds,
    root: Root,
    roots_taken: u32,
    step: Step,
    kept_timestamp: Option<Vec<u8>>,
    kept_snapshot: Option<Vec<u8>>,
    timestamp: Option<Timestamp>,
    snapshot: Option<Snapshot>,
    targets: Option<Targets>,
    /// By the role that delegates, and the role's own name: what one delegates to is not trusted for another that does.
    delegated: BTreeMap<Place, Targets>,
}

/// A delegated role's place: the role that delegates, and its own name.
type Place = (Role, RoleName);

/// Which file is next.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Root,
    Timestamp,
    Snapshot,
    Targets,
    /// All of the top level is there.
    Done,
    /// The metadata of a delegated role is wanted, to which the role at this place delegates, or the top level.
    Delegated(Option<Place>, RoleName),
}

impl TrustedSet {
    /// Begins an update at `now`, which holds for all of it (TUF §5.1), with the root that the client trusts: the one that it was built
    /// with, or a later one that it kept (TUF §5.2).
    pub fn new(root: &[u8], kept: Kept<'_>, now: UnixSeconds) -> Result<Self, Error> {
        let envelope = parse(&Role::Root, root, MAX_ROOT_LEN)?;
        let root: Root = read(&Role::Root, &envelope)?;
        envelope.verify(&Role::Root, &root.keys, &root.root)?;
        Ok(Self {
            now,
            root,
            roots_taken: 0,
            step: Step::Root,
            kept_timestamp: kept.timestamp.map(<[u8]>::to_vec),
            kept_snapshot: kept.snapshot.map(<[u8]>::to_vec),
            timestamp: None,
            snapshot: None,
            targets: None,
            delegated: BTreeMap::new(),
        })
    }

    /// The file that is to be fetched next; `None` once the top level is trusted and [`TrustedSet::seek`] has asked for nothing.
    pub fn wanted(&self) -> Option<Wanted> {
        let (role, version, limit) = match &self.step {
            // Without a successor there is no further root.
            Step::Root => (Role::Root, self.root.version.next(), MAX_ROOT_LEN),
            Step::Timestamp => (Role::Timestamp, None, MAX_TIMESTAMP_LEN),
            Step::Snapshot => {
                let meta = self.timestamp.as_ref()?.snapshot;
                (Role::Snapshot, Some(meta.version), limit(meta, MAX_SNAPSHOT_LEN))
            }
            Step::Targets => {
                let meta = self.snapshot.as_ref()?.targets;
                (Role::Targets, Some(meta.version), limit(meta, MAX_TARGETS_LEN))
            }
            Step::Delegated(_, name) => {
                let meta = *self.snapshot.as_ref()?.delegated.get(name)?;
                (Role::Delegated(name.clone()), Some(meta.version), limit(meta, MAX_TARGETS_LEN))
            }
            Step::Done => return None,
        };
        // Roots have their version in the name in any repository (TUF §5.3.3).
        let version = version.filter(|_| role == Role::Root || self.root.consistent_snapshot);
        let file = match version {
            Some(version) => format!("{version}.{}.json", role.stem()),
            None => format!("{}.json", role.stem()),
        };
        Some(Wanted { role, file, limit })
    }

    /// Takes the bytes of the file that is wanted. After an error the set is as before, and the update is to end: what is offered is not
    /// trusted.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Accepted, Error> {
        let step = self.step.clone();
        match step {
            Step::Root => self.take_root(bytes),
            Step::Timestamp => self.take_timestamp(bytes),
            Step::Snapshot => self.take_snapshot(bytes),
            Step::Targets => {
                let meta = self.snapshot()?.targets;
                let (keys, holders) = (&self.root.keys, &self.root.targets);
                self.targets =
                    Some(self.listed(&Role::Targets, bytes, meta, MAX_TARGETS_LEN, keys, holders)?);
                self.step = Step::Done;
                Ok(Accepted::New(Role::Targets))
            }
            Step::Delegated(above, name) => self.take_delegated(bytes, above.as_ref(), name),
            Step::Done => Err(Error::Missing { role: Role::Targets }),
        }
    }

    /// Takes the answer that the wanted file does not exist. For the next root it means that the trusted one is the latest; for any other
    /// file it is an error.
    pub fn absent(&mut self) -> Result<(), Error> {
        match self.wanted() {
            Some(Wanted { role: Role::Root, .. }) => self.end_of_roots(),
            Some(Wanted { role, .. }) => Err(Error::Missing { role }),
            None => Err(Error::Missing { role: Role::Targets }),
        }
    }

    /// The trusted root.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The top-level targets, once they are trusted.
    pub fn targets(&self) -> Option<&Targets> {
        self.targets.as_ref()
    }

    /// TUF §5.3: each version is signed by the keys of the one before and by its own.
    fn take_root(&mut self, bytes: &[u8]) -> Result<Accepted, Error> {
        if self.roots_taken == MAX_ROOTS {
            return Err(Error::TooManyRoots { limit: MAX_ROOTS });
        }
        let envelope = parse(&Role::Root, bytes, MAX_ROOT_LEN)?;
        envelope.verify(&Role::Root, &self.root.keys, &self.root.root)?;
        let root: Root = read(&Role::Root, &envelope)?;
        envelope.verify(&Role::Root, &root.keys, &root.root)?;
        if Some(root.version) != self.root.version.next() {
            return Err(Error::RootChain { trusted: self.root.version, offered: root.version });
        }
        // That it has expired does not matter before the last one (§5.3.10).
        self.root = root;
        self.roots_taken += 1;
        Ok(Accepted::New(Role::Root))
    }

    /// TUF §5.3.10 and §5.3.11: what was kept counts only where the keys that have signed it still may, so that a repository whose
    /// timestamp was signed far ahead by a stolen key recovers with another key.
    fn end_of_roots(&mut self) -> Result<(), Error> {
        self.unexpired(&Role::Root, &self.root)?;
        let kept = self.kept_timestamp.take();
        self.timestamp = kept.and_then(|bytes| self.signed(&Role::Timestamp, &bytes, MAX_TIMESTAMP_LEN).ok());
        let kept = self.kept_snapshot.take();
        self.snapshot = kept.and_then(|bytes| self.signed(&Role::Snapshot, &bytes, MAX_SNAPSHOT_LEN).ok());
        self.step = Step::Timestamp;
        Ok(())
    }

    /// TUF §5.4.
    fn take_timestamp(&mut self, bytes: &[u8]) -> Result<Accepted, Error> {
        let offered: Timestamp = self.signed(&Role::Timestamp, bytes, MAX_TIMESTAMP_LEN)?;
        let mut accepted = Accepted::New(Role::Timestamp);
        if let Some(trusted) = &self.timestamp {
            not_older(Role::Timestamp, trusted.version, offered.version)?;
            not_older(Role::Snapshot, trusted.snapshot.version, offered.snapshot.version)?;
            // One version is one document: the one that was trusted first (§5.4.3).
            if trusted.version == offered.version {
                accepted = Accepted::Same(Role::Timestamp);
            }
        }
        let trusted = match (&accepted, &self.timestamp) {
            (Accepted::Same(_), Some(trusted)) => trusted.clone(),
            _ => offered,
        };
        self.unexpired(&Role::Timestamp, &trusted)?;
        self.timestamp = Some(trusted);
        self.step = Step::Snapshot;
        Ok(accepted)
    }

    /// TUF §5.5.
    fn take_snapshot(&mut self, bytes: &[u8]) -> Result<Accepted, Error> {
        let Some(Timestamp { snapshot: meta, .. }) = self.timestamp else {
            return Err(Error::Missing { role: Role::Timestamp });
        };
        let (keys, holders) = (&self.root.keys, &self.root.snapshot);
        let offered: Snapshot = self.listed(&Role::Snapshot, bytes, meta, MAX_SNAPSHOT_LEN, keys, holders)?;
        if let Some(trusted) = &self.snapshot {
            not_older(Role::Snapshot, trusted.version, offered.version)?;
            not_older(Role::Targets, trusted.targets.version, offered.targets.version)?;
            for (name, listed) in &trusted.delegated {
                let role = Role::Delegated(name.clone());
                let Some(now) = offered.delegated.get(name) else { return Err(Error::Unlisted { role }) };
                not_older(role, listed.version, now.version)?;
            }
        }
        self.snapshot = Some(offered);
        self.step = Step::Targets;
        Ok(Accepted::New(Role::Snapshot))
    }

    /// TUF §5.6, for a role that is delegated.
    fn take_delegated(
        &mut self,
        bytes: &[u8],
        above: Option<&Place>,
        name: RoleName,
    ) -> Result<Accepted, Error> {
        let role = Role::Delegated(name.clone());
        let snapshot = self.snapshot()?;
        let meta = *snapshot.delegated.get(&name).ok_or_else(|| Error::Unlisted { role: role.clone() })?;
        let missing = || Error::Missing { role: role.clone() };
        let delegations =
            self.at(above).and_then(|targets| targets.delegations.as_ref()).ok_or_else(missing)?;
        let delegation = delegations.roles.iter().find(|role| role.name == name).ok_or_else(missing)?;
        let targets =
            self.listed(&role, bytes, meta, MAX_TARGETS_LEN, &delegations.keys, &delegation.holders)?;
        self.delegated.insert((role_at(above), name), targets);
        self.step = Step::Done;
        Ok(Accepted::New(role))
    }

    /// The trusted targets at a place, or of the top level.
    fn at(&self, place: Option<&Place>) -> Option<&Targets> {
        place.map_or(self.targets.as_ref(), |place| self.delegated.get(place))
    }

    fn snapshot(&self) -> Result<&Snapshot, Error> {
        self.snapshot.as_ref().ok_or(Error::Missing { role: Role::Snapshot })
    }

    /// A top-level role's document that root's keys have signed. Neither its version nor its end has been looked at.
    fn signed<D: Document>(&self, role: &Role, bytes: &[u8], limit: u64) -> Result<D, Error> {
        let envelope = parse(role, bytes, limit)?;
        let holders = self.root.holders(role).ok_or_else(|| Error::Missing { role: role.clone() })?;
        envelope.verify(role, &self.root.keys, holders)?;
        read(role, &envelope)
    }

    /// A document that is the one that the metadata above it lists, signed, and not expired.
    fn listed<D: Document>(
        &self,
        role: &Role,
        bytes: &[u8],
        meta: FileMeta,
        most: u64,
        keys: &BTreeMap<KeyId, Key>,
        holders: &Keyholders,
    ) -> Result<D, Error> {
        let bound = limit(meta, most);
        if bytes.len() as u64 > bound {
            return Err(Error::TooLong { role: role.clone(), limit: bound });
        }
        if let Some(signed) = meta.length.filter(|signed| *signed != bytes.len() as u64) {
            return Err(Error::Length { role: role.clone(), signed, actual: bytes.len() as u64 });
        }
        if meta.sha256.is_some_and(|digest| digest != Digest::of(bytes)) {
            return Err(Error::Hash { role: role.clone() });
        }
        let envelope = parse(role, bytes, bound)?;
        envelope.verify(role, keys, holders)?;
        let document: D = read(role, &envelope)?;
        if document.version() != meta.version {
            return Err(Error::Mixed {
                role: role.clone(),
                listed: meta.version,
                offered: document.version(),
            });
        }
        self.unexpired(role, &document)?;
        Ok(document)
    }

    /// The end is the first moment at which it is not trusted (TUF §5.3.10).
    fn unexpired(&self, role: &Role, document: &impl Document) -> Result<(), Error> {
        if self.now < document.expires() {
            return Ok(());
        }
        Err(Error::Expired { role: role.clone(), at: document.expires() })
    }
}

/// The role at a place, or of the top level.
fn role_at(place: Option<&Place>) -> Role {
    place.map_or(Role::Targets, |(_, name)| Role::Delegated(name.clone()))
}

/// How many bytes a listed file may have: what is signed, but never more than files of its role may.
fn limit(meta: FileMeta, most: u64) -> u64 {
    meta.length.map_or(most, |length| length.min(most))
}

fn not_older(role: Role, trusted: Version, offered: Version) -> Result<(), Error> {
    if offered >= trusted { Ok(()) } else { Err(Error::Rollback { role, trusted, offered }) }
}

fn parse(role: &Role, bytes: &[u8], limit: u64) -> Result<Envelope, Error> {
    if bytes.len() as u64 > limit {
        return Err(Error::TooLong { role: role.clone(), limit });
    }
    Envelope::parse(bytes, limit).map_err(|what| Error::Malformed { role: role.clone(), what })
}

fn read<D: Document>(role: &Role, envelope: &Envelope) -> Result<D, Error> {
    envelope.read().map_err(|what| Error::Malformed { role: role.clone(), what })
}
