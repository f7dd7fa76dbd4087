//! A maker who writes a repository: two product lines, each with a key of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use wardein_crypto::{Digest, P256SigningKey};
use wardein_domain::UnixSeconds;
use wardein_tuf::{
    Delegation, Delegations, Document, Envelope, FileMeta, Key, Keyholders, PathPattern, RoleName, Root,
    Snapshot, TargetFile, TargetPath, Targets, Timestamp, Value, Version,
};

/// The artifact that clients ask for.
pub(crate) const WANTED: &str = "infusion/pump-3/2.img";
/// The line that it is of, and another one.
pub(crate) const INFUSION: &str = "infusion";
pub(crate) const MONITORS: &str = "monitors";

pub(crate) struct Maker {
    pub root: Root,
    pub timestamp: Timestamp,
    pub snapshot: Snapshot,
    pub targets: Targets,
    pub lines: BTreeMap<RoleName, Targets>,
    pub root_keys: Vec<P256SigningKey>,
    pub timestamp_key: P256SigningKey,
    pub snapshot_key: P256SigningKey,
    pub targets_key: P256SigningKey,
    pub line_keys: BTreeMap<RoleName, Vec<P256SigningKey>>,
    /// As a share has them.
    pub files: BTreeMap<String, Vec<u8>>,
    pub artifacts: BTreeMap<String, Vec<u8>>,
}

/// The moment of the test: others have no clock but the machine's.
#[allow(clippy::disallowed_methods, reason = "the other clients read the machine's clock")]
pub(crate) fn now() -> UnixSeconds {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    UnixSeconds::new(since.as_secs())
}

pub(crate) fn key() -> P256SigningKey {
    P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap()
}

pub(crate) fn name(text: &str) -> RoleName {
    RoleName::new(text).unwrap()
}

pub(crate) fn path(text: &str) -> TargetPath {
    TargetPath::new(text).unwrap()
}

pub(crate) fn holders(keys: &[&P256SigningKey], threshold: u64) -> Keyholders {
    Keyholders { keys: keys.iter().map(|key| Key::p256(key.verifying_key()).id()).collect(), threshold }
}

pub(crate) fn listed(keys: &[&P256SigningKey]) -> BTreeMap<wardein_tuf::KeyId, Key> {
    keys.iter().map(|key| Key::p256(key.verifying_key())).map(|key| (key.id(), key)).collect()
}

pub(crate) fn signed(document: &impl Document, keys: &[&P256SigningKey]) -> Vec<u8> {
    let mut envelope = Envelope::new(document);
    for key in keys {
        envelope.sign(*key).unwrap();
    }
    envelope.to_bytes()
}

pub(crate) fn file(bytes: &[u8]) -> TargetFile {
    let custom = Value::object([
        ("version", Value::Integer(2)),
        ("models", Value::Array(vec![Value::text("pump-3")])),
    ]);
    TargetFile { length: bytes.len() as u64, sha256: Digest::of(bytes), custom: Some(custom) }
}

impl Maker {
    /// A repository with an artifact, whose root needs two of three keys.
    pub(crate) fn new(expires: UnixSeconds) -> Self {
        let root_keys = vec![key(), key(), key()];
        let (timestamp_key, snapshot_key, targets_key) = (key(), key(), key());
        let line_keys = BTreeMap::from([(name(INFUSION), vec![key(), key()]), (name(MONITORS), vec![key()])]);
        let top = [&timestamp_key, &snapshot_key, &targets_key];
        let all: Vec<&P256SigningKey> = root_keys.iter().chain(top).collect();
        let root = Root {
            version: Version::FIRST,
            expires,
            consistent_snapshot: true,
            keys: listed(&all),
            root: holders(&root_keys.iter().collect::<Vec<_>>(), 2),
            timestamp: holders(&[&timestamp_key], 1),
            snapshot: holders(&[&snapshot_key], 1),
            targets: holders(&[&targets_key], 1),
        };
        let delegations = Delegations {
            keys: listed(&line_keys.values().flatten().collect::<Vec<_>>()),
            roles: line_keys
                .iter()
                .map(|(name, keys)| Delegation {
                    name: name.clone(),
                    holders: holders(&keys.iter().collect::<Vec<_>>(), keys.len() as u64),
                    paths: vec![PathPattern::new(&format!("{name}/*/*")).unwrap()],
                    terminating: true,
                })
                .collect(),
        };
        let meta = FileMeta { version: Version::FIRST, length: None, sha256: None };
        let empty = Targets { version: Version::FIRST, expires, targets: BTreeMap::new(), delegations: None };
        let mut maker = Self {
            root,
            timestamp: Timestamp { version: Version::FIRST, expires, snapshot: meta },
            snapshot: Snapshot {
                version: Version::FIRST,
                expires,
                targets: meta,
                delegated: BTreeMap::new(),
            },
            targets: Targets { delegations: Some(delegations), ..empty.clone() },
            lines: line_keys.keys().map(|name| (name.clone(), empty.clone())).collect(),
            root_keys,
            timestamp_key,
            snapshot_key,
            targets_key,
            line_keys,
            files: BTreeMap::new(),
            artifacts: BTreeMap::new(),
        };
        let signers = maker.root_keys[..2].iter().collect::<Vec<_>>();
        let root = signed(&maker.root, &signers);
        maker.files.insert("1.root.json".into(), root);
        maker.add(INFUSION, WANTED, b"firmware, the second");
        maker.add(MONITORS, "monitors/ecg-1/1.img", b"firmware of a monitor");
        maker.publish();
        maker
    }

    /// Puts an artifact into a line's metadata, which is to be written.
    pub(crate) fn add(&mut self, line: &str, at: &str, bytes: &[u8]) {
        let line = self.lines.get_mut(&name(line)).unwrap();
        line.targets.insert(path(at), file(bytes));
        self.artifacts.insert(path(at).consistent(&Digest::of(bytes)), bytes.to_vec());
    }

    /// The next version of everything below root, signed as it must be.
    pub(crate) fn publish(&mut self) {
        for line in self.lines.keys().cloned().collect::<Vec<_>>() {
            self.write_line(line.as_str());
        }
        self.write_targets();
        self.write_snapshot();
        self.write_timestamp();
    }

    pub(crate) fn write_line(&mut self, line: &str) {
        let keys = self.line_keys.remove(&name(line)).unwrap();
        self.write_line_by(line, &keys.iter().collect::<Vec<_>>());
        self.line_keys.insert(name(line), keys);
    }

    pub(crate) fn write_line_by(&mut self, line: &str, keys: &[&P256SigningKey]) {
        let document = self.lines.get_mut(&name(line)).unwrap();
        let bytes = signed(document, keys);
        self.snapshot.delegated.insert(name(line), FileMeta::of(document.version, &bytes));
        self.files.insert(format!("{}.{line}.json", document.version), bytes);
        document.version = document.version.next().unwrap();
    }

    pub(crate) fn write_targets(&mut self) {
        let bytes = signed(&self.targets, &[&self.targets_key]);
        self.snapshot.targets = FileMeta::of(self.targets.version, &bytes);
        self.files.insert(format!("{}.targets.json", self.targets.version), bytes);
        self.targets.version = self.targets.version.next().unwrap();
    }

    pub(crate) fn write_snapshot(&mut self) {
        let bytes = signed(&self.snapshot, &[&self.snapshot_key]);
        self.timestamp.snapshot = FileMeta::of(self.snapshot.version, &bytes);
        self.files.insert(format!("{}.snapshot.json", self.snapshot.version), bytes);
        self.snapshot.version = self.snapshot.version.next().unwrap();
    }

    pub(crate) fn write_timestamp(&mut self) {
        let bytes = signed(&self.timestamp, &[&self.timestamp_key]);
        self.files.insert("timestamp.json".into(), bytes);
        self.timestamp.version = self.timestamp.version.next().unwrap();
    }

    /// The next root with new root keys, signed by two of the old and two of the new.
    pub(crate) fn rotate_root(&mut self) {
        let old = self.replace_root_keys();
        let signers: Vec<&P256SigningKey> = old[1..].iter().chain(&self.root_keys[1..]).collect();
        let root = signed(&self.root, &signers);
        self.files.insert(format!("{}.root.json", self.root.version), root);
    }

    /// New root keys in the next version, which is to be signed; the old ones.
    pub(crate) fn replace_root_keys(&mut self) -> Vec<P256SigningKey> {
        let new = vec![key(), key(), key()];
        let gone: BTreeSet<_> = self.root.root.keys.clone();
        self.root.keys.retain(|id, _| !gone.contains(id));
        self.root.keys.extend(listed(&new.iter().collect::<Vec<_>>()));
        self.root.root = holders(&new.iter().collect::<Vec<_>>(), 2);
        self.root.version = self.root.version.next().unwrap();
        std::mem::replace(&mut self.root_keys, new)
    }

    /// Writes all into a directory: `metadata` and `targets`.
    pub(crate) fn write(&self, to: &Path) {
        for (folder, files) in [("metadata", &self.files), ("targets", &self.artifacts)] {
            for (name, bytes) in files {
                let file = to.join(folder).join(name);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, bytes).unwrap();
                // tough has the digest before the whole path, where TUF §6.2 and python-tuf have it before the last segment.
                if let Some((folder, file)) = name.rsplit_once('/') {
                    let (digest, file) = file.split_once('.').unwrap();
                    let file = to.join("targets").join(format!("{digest}.{folder}/{file}"));
                    fs::create_dir_all(file.parent().unwrap()).unwrap();
                    fs::write(file, bytes).unwrap();
                }
            }
        }
    }
}
