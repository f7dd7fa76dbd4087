//! Root: the keys of all top-level roles (TUF §4.3).

use super::{Document, Version, array, boolean, get, head, number, object, read_head, text};
use crate::json::Value;
use crate::key::{Key, KeyId, read_keys, write_keys};
use crate::{Malformed, Role};
use std::collections::{BTreeMap, BTreeSet};
use wardein_domain::UnixSeconds;

/// Who may sign for a role, and how many of them must.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyholders {
    /// The ids of their keys.
    pub keys: BTreeSet<KeyId>,
    /// How many must sign, at least one.
    pub threshold: u64,
}

impl Keyholders {
    /// `keyids` and `threshold` of an object. One that could never be met is refused, as is a key that is listed twice.
    pub(super) fn read(fields: &BTreeMap<String, Value>) -> Result<Self, Malformed> {
        let mut keys = BTreeSet::new();
        for id in array(get(fields, "keyids")?, "keyids")? {
            if !keys.insert(KeyId::parse(text(id, "keyids")?)?) {
                return Err(Malformed::Field("keyids"));
            }
        }
        let threshold = number(get(fields, "threshold")?, "threshold")?;
        if threshold == 0 || threshold > keys.len() as u64 {
            return Err(Malformed::Threshold);
        }
        Ok(Self { keys, threshold })
    }

    /// As [`Keyholders::read`] reads them.
    pub(super) fn write(&self) -> [(String, Value); 2] {
        let ids = self.keys.iter().map(|id| Value::text(id.to_string()));
        [
            ("keyids".to_owned(), Value::Array(ids.collect())),
            ("threshold".to_owned(), Value::number(self.threshold)),
        ]
    }
}

/// The keys of all top-level roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// Its version; a client follows them one by one.
    pub version: Version,
    /// From when on it is not trusted any more.
    pub expires: UnixSeconds,
    /// Whether versions are in the names of files, and digests in those of targets (TUF §6.2).
    pub consistent_snapshot: bool,
    /// All keys.
    pub keys: BTreeMap<KeyId, Key>,
    /// Who signs root.
    pub root: Keyholders,
    /// Who signs the timestamp.
    pub timestamp: Keyholders,
    /// Who signs the snapshot.
    pub snapshot: Keyholders,
    /// Who signs the top-level targets.
    pub targets: Keyholders,
}

impl Root {
    /// Who may sign for a top-level role; `None` for one that is delegated.
    pub fn holders(&self, role: &Role) -> Option<&Keyholders> {
        match role {
            Role::Root => Some(&self.root),
            Role::Timestamp => Some(&self.timestamp),
            Role::Snapshot => Some(&self.snapshot),
            Role::Targets => Some(&self.targets),
            Role::Delegated(_) | Role::Artifact(_) => None,
        }
    }
}

impl Document for Root {
    fn read(signed: &Value) -> Result<Self, Malformed> {
        let (fields, version, expires) = read_head(signed, "root")?;
        let roles = object(get(fields, "roles")?, "roles")?;
        let role = |name| Keyholders::read(object(get(roles, name)?, name)?);
        Ok(Self {
            version,
            expires,
            consistent_snapshot: boolean(get(fields, "consistent_snapshot")?, "consistent_snapshot")?,
            keys: read_keys(get(fields, "keys")?)?,
            root: role("root")?,
            timestamp: role("timestamp")?,
            snapshot: role("snapshot")?,
            targets: role("targets")?,
        })
    }

    fn to_value(&self) -> Value {
        let mut fields = head("root", self.version, self.expires);
        let roles = [
            ("root", &self.root),
            ("timestamp", &self.timestamp),
            ("snapshot", &self.snapshot),
            ("targets", &self.targets),
        ];
        let roles = roles.map(|(name, holders)| (name, Value::object(holders.write())));
        fields.insert("consistent_snapshot".to_owned(), Value::Bool(self.consistent_snapshot));
        fields.insert("keys".to_owned(), write_keys(&self.keys));
        fields.insert("roles".to_owned(), Value::object(roles));
        Value::Object(fields)
    }

    fn version(&self) -> Version {
        self.version
    }

    fn expires(&self) -> UnixSeconds {
        self.expires
    }
}
