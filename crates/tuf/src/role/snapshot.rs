//! Snapshot and timestamp: which versions belong together, and how recent they are (TUF §4.4, §4.6).

use super::{Document, Version, get, head, number, object, read_head, text, version};
use crate::json::Value;
use crate::{Malformed, RoleName};
use std::collections::BTreeMap;
use wardein_crypto::{Digest, hex};
use wardein_domain::UnixSeconds;

/// A metadata file as the metadata above it lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileMeta {
    /// Its version.
    pub version: Version,
    /// Its length in bytes, if it is said.
    pub length: Option<u64>,
    /// Its digest, if it is said.
    pub sha256: Option<Digest>,
}

impl FileMeta {
    /// The file that these bytes are.
    pub fn of(version: Version, bytes: &[u8]) -> Self {
        Self { version, length: Some(bytes.len() as u64), sha256: Some(Digest::of(bytes)) }
    }

    fn read(value: &Value) -> Result<Self, Malformed> {
        let fields = object(value, "meta")?;
        let length = fields.get("length").map(|length| number(length, "length")).transpose()?;
        let sha256 = fields.get("hashes").map(sha256).transpose()?;
        Ok(Self { version: version(get(fields, "version")?)?, length, sha256 })
    }

    fn write(&self) -> Value {
        let mut fields = BTreeMap::from([("version".to_owned(), Value::number(self.version.get()))]);
        if let Some(length) = self.length {
            fields.insert("length".to_owned(), Value::number(length));
        }
        if let Some(digest) = &self.sha256 {
            fields.insert("hashes".to_owned(), hashes(digest));
        }
        Value::Object(fields)
    }
}

/// `hashes` with SHA-256 among them; others are not looked at.
pub(super) fn sha256(value: &Value) -> Result<Digest, Malformed> {
    let digest = text(get(object(value, "hashes")?, "sha256")?, "sha256")?;
    hex::decode_array(digest).map(Digest).ok_or(Malformed::Field("sha256"))
}

/// As [`sha256`] reads it.
pub(super) fn hashes(digest: &Digest) -> Value {
    Value::object([("sha256", Value::text(hex::encode(&digest.0)))])
}

/// Which versions of the targets' metadata belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its version.
    pub version: Version,
    /// From when on it is not trusted any more.
    pub expires: UnixSeconds,
    /// The top-level targets.
    pub targets: FileMeta,
    /// The delegated ones.
    pub delegated: BTreeMap<RoleName, FileMeta>,
}

impl Document for Snapshot {
    fn read(signed: &Value) -> Result<Self, Malformed> {
        let (fields, version, expires) = read_head(signed, "snapshot")?;
        let mut delegated = BTreeMap::new();
        let mut targets = None;
        for (file, meta) in object(get(fields, "meta")?, "meta")? {
            let name = file.strip_suffix(".json").ok_or(Malformed::Name)?;
            let meta = FileMeta::read(meta)?;
            if name == "targets" {
                targets = Some(meta);
            } else {
                delegated.insert(RoleName::new(name)?, meta);
            }
        }
        Ok(Self { version, expires, targets: targets.ok_or(Malformed::Field("targets.json"))?, delegated })
    }

    fn to_value(&self) -> Value {
        let mut fields = head("snapshot", self.version, self.expires);
        let delegated = self.delegated.iter().map(|(name, meta)| (format!("{name}.json"), meta.write()));
        let meta = delegated.chain([("targets.json".to_owned(), self.targets.write())]);
        fields.insert("meta".to_owned(), Value::object(meta));
        Value::Object(fields)
    }

    fn version(&self) -> Version {
        self.version
    }

    fn expires(&self) -> UnixSeconds {
        self.expires
    }
}

/// Which snapshot is the latest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timestamp {
    /// Its version.
    pub version: Version,
    /// From when on it is not trusted any more: how long a client can be kept from hearing of something newer.
    pub expires: UnixSeconds,
    /// The latest snapshot.
    pub snapshot: FileMeta,
}

impl Document for Timestamp {
    fn read(signed: &Value) -> Result<Self, Malformed> {
        let (fields, version, expires) = read_head(signed, "timestamp")?;
        let meta = object(get(fields, "meta")?, "meta")?;
        // It lists the snapshot and nothing else (TUF §4.6).
        if meta.len() != 1 {
            return Err(Malformed::Field("meta"));
        }
        Ok(Self { version, expires, snapshot: FileMeta::read(get(meta, "snapshot.json")?)? })
    }

    fn to_value(&self) -> Value {
        let mut fields = head("timestamp", self.version, self.expires);
        fields.insert("meta".to_owned(), Value::object([("snapshot.json", self.snapshot.write())]));
        Value::Object(fields)
    }

    fn version(&self) -> Version {
        self.version
    }

    fn expires(&self) -> UnixSeconds {
        self.expires
    }
}
