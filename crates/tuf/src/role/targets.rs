//! Targets: what there is to install, and to whom which paths are delegated (TUF §4.5).

use super::snapshot::{hashes, sha256};
use super::{Document, Keyholders, Version, array, boolean, get, head, number, object, read_head, text};
use crate::json::Value;
use crate::key::{Key, KeyId, read_keys, write_keys};
use crate::{Malformed, PathPattern, RoleName, TargetPath};
use std::collections::{BTreeMap, BTreeSet};
use wardein_crypto::Digest;
use wardein_domain::UnixSeconds;

/// An artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetFile {
    /// Its length in bytes.
    pub length: u64,
    /// Its digest.
    pub sha256: Digest,
    /// What the maker says of it, which TUF does not look at.
    pub custom: Option<Value>,
}

impl TargetFile {
    fn read(value: &Value) -> Result<Self, Malformed> {
        let fields = object(value, "targets")?;
        let custom = fields.get("custom").cloned();
        if let Some(custom) = &custom {
            object(custom, "custom")?;
        }
        Ok(Self {
            length: number(get(fields, "length")?, "length")?,
            sha256: sha256(get(fields, "hashes")?)?,
            custom,
        })
    }

    fn write(&self) -> Value {
        let mut fields = BTreeMap::from([
            ("hashes".to_owned(), hashes(&self.sha256)),
            ("length".to_owned(), Value::number(self.length)),
        ]);
        if let Some(custom) = &self.custom {
            fields.insert("custom".to_owned(), custom.clone());
        }
        Value::Object(fields)
    }
}

/// A role to which paths are delegated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegation {
    /// Its name.
    pub name: RoleName,
    /// Who signs for it.
    pub holders: Keyholders,
    /// Which paths it may have targets at.
    pub paths: Vec<PathPattern>,
    /// Whether no later role is asked for a path that matches.
    pub terminating: bool,
}

/// To whom paths are delegated, the most trusted role first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Delegations {
    /// Their keys.
    pub keys: BTreeMap<KeyId, Key>,
    /// The roles.
    pub roles: Vec<Delegation>,
}

impl Delegations {
    fn read(value: &Value) -> Result<Self, Malformed> {
        let fields = object(value, "delegations")?;
        let keys = read_keys(get(fields, "keys")?)?;
        let mut names = BTreeSet::new();
        let mut roles = Vec::new();
        for role in array(get(fields, "roles")?, "roles")? {
            let role = object(role, "roles")?;
            let name = RoleName::new(text(get(role, "name")?, "name")?)?;
            if !names.insert(name.clone()) {
                return Err(Malformed::Name);
            }
            // Delegation by prefixes of a path's digest is not taken: product lines have patterns.
            let paths = array(get(role, "paths")?, "paths")?;
            let paths =
                paths.iter().map(|path| PathPattern::new(text(path, "paths")?)).collect::<Result<_, _>>()?;
            let terminating = boolean(get(role, "terminating")?, "terminating")?;
            roles.push(Delegation { name, holders: Keyholders::read(role)?, paths, terminating });
        }
        Ok(Self { keys, roles })
    }

    fn write(&self) -> Value {
        let roles = self.roles.iter().map(|role| {
            let paths = role.paths.iter().map(|path| Value::text(path.as_str()));
            let own = [
                ("name".to_owned(), Value::text(role.name.as_str())),
                ("paths".to_owned(), Value::Array(paths.collect())),
                ("terminating".to_owned(), Value::Bool(role.terminating)),
            ];
            Value::object(own.into_iter().chain(role.holders.write()))
        });
        Value::object([("keys", write_keys(&self.keys)), ("roles", Value::Array(roles.collect()))])
    }
}

/// What there is to install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Targets {
    /// Its version.
    pub version: Version,
    /// From when on it is not trusted any more.
    pub expires: UnixSeconds,
    /// The artifacts, by their paths.
    pub targets: BTreeMap<TargetPath, TargetFile>,
    /// To whom paths are delegated, if to anybody.
    pub delegations: Option<Delegations>,
}

impl Document for Targets {
    fn read(signed: &Value) -> Result<Self, Malformed> {
        let (fields, version, expires) = read_head(signed, "targets")?;
        let mut targets = BTreeMap::new();
        for (path, file) in object(get(fields, "targets")?, "targets")? {
            targets.insert(TargetPath::new(path)?, TargetFile::read(file)?);
        }
        Ok(Self {
            version,
            expires,
            targets,
            delegations: fields.get("delegations").map(Delegations::read).transpose()?,
        })
    }

    fn to_value(&self) -> Value {
        let mut fields = head("targets", self.version, self.expires);
        let targets = self.targets.iter().map(|(path, file)| (path.as_str(), file.write()));
        fields.insert("targets".to_owned(), Value::object(targets));
        if let Some(delegations) = &self.delegations {
            fields.insert("delegations".to_owned(), delegations.write());
        }
        Value::Object(fields)
    }

    fn version(&self) -> Version {
        self.version
    }

    fn expires(&self) -> UnixSeconds {
        self.expires
    }
}
