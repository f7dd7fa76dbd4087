//! The roles' documents: what is signed of each, as types.

mod root;
mod snapshot;
mod targets;

pub use root::{Keyholders, Root};
pub use snapshot::{FileMeta, Snapshot, Timestamp};
pub use targets::{Delegation, Delegations, TargetFile, Targets};

use crate::json::{MAX_INTEGER, Value};
use crate::time::{format_utc, parse_utc};
use crate::{Malformed, SPEC_VERSION};
use std::collections::BTreeMap;
use std::fmt;
use wardein_domain::UnixSeconds;

/// The version of a metadata file: 1 to 2⁵³ - 1, so that every reader of JSON has the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u64);

impl Version {
    /// The first.
    pub const FIRST: Self = Self(1);

    /// The version of that number; `None` for 0 and beyond 2⁵³ - 1.
    pub fn new(number: u64) -> Option<Self> {
        (1..=MAX_INTEGER.unsigned_abs()).contains(&number).then_some(Self(number))
    }

    /// The number.
    pub fn get(self) -> u64 {
        self.0
    }

    /// The next one; `None` after the last.
    pub fn next(self) -> Option<Self> {
        Self::new(self.0 + 1)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What is signed of a role.
pub trait Document: Sized {
    /// As it is read out of a file.
    fn read(signed: &Value) -> Result<Self, Malformed>;

    /// As it is written into a file.
    fn to_value(&self) -> Value;

    /// Its version.
    fn version(&self) -> Version;

    /// From when on it is not trusted any more.
    fn expires(&self) -> UnixSeconds;
}

/// The fields that every role has, as an object to which the role adds its own.
fn head(kind: &str, version: Version, expires: UnixSeconds) -> BTreeMap<String, Value> {
    BTreeMap::from([
        ("_type".to_owned(), Value::text(kind)),
        ("expires".to_owned(), Value::text(format_utc(expires))),
        ("spec_version".to_owned(), Value::text(SPEC_VERSION)),
        ("version".to_owned(), Value::number(version.get())),
    ])
}

/// The fields of `signed`, which is of that role and of version 1 of the specification, and those that every role has.
fn read_head<'a>(
    signed: &'a Value,
    kind: &str,
) -> Result<(&'a BTreeMap<String, Value>, Version, UnixSeconds), Malformed> {
    let fields = object(signed, "signed")?;
    if text(get(fields, "_type")?, "_type")? != kind {
        return Err(Malformed::Type);
    }
    // TUF §5.1: a client supports one major version. Older writers leave out the third number.
    let parts: Vec<&str> = text(get(fields, "spec_version")?, "spec_version")?.split('.').collect();
    let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|digit| digit.is_ascii_digit());
    if !matches!(parts.len(), 2 | 3) || parts[0] != "1" || !parts.iter().all(is_number) {
        return Err(Malformed::SpecVersion);
    }
    let expires = parse_utc(text(get(fields, "expires")?, "expires")?).ok_or(Malformed::Field("expires"))?;
    Ok((fields, version(get(fields, "version")?)?, expires))
}

fn version(value: &Value) -> Result<Version, Malformed> {
    Version::new(number(value, "version")?).ok_or(Malformed::Field("version"))
}

pub(crate) fn get<'a>(
    fields: &'a BTreeMap<String, Value>,
    name: &'static str,
) -> Result<&'a Value, Malformed> {
    fields.get(name).ok_or(Malformed::Field(name))
}

pub(crate) fn object<'a>(
    value: &'a Value,
    name: &'static str,
) -> Result<&'a BTreeMap<String, Value>, Malformed> {
    if let Value::Object(fields) = value { Ok(fields) } else { Err(Malformed::Field(name)) }
}

pub(crate) fn array<'a>(value: &'a Value, name: &'static str) -> Result<&'a [Value], Malformed> {
    if let Value::Array(values) = value { Ok(values) } else { Err(Malformed::Field(name)) }
}

pub(crate) fn text<'a>(value: &'a Value, name: &'static str) -> Result<&'a str, Malformed> {
    if let Value::Text(text) = value { Ok(text) } else { Err(Malformed::Field(name)) }
}

fn number(value: &Value, name: &'static str) -> Result<u64, Malformed> {
    let Value::Integer(number) = value else { return Err(Malformed::Field(name)) };
    u64::try_from(*number).map_err(|_| Malformed::Field(name))
}

fn boolean(value: &Value, name: &'static str) -> Result<bool, Malformed> {
    if let Value::Bool(is_true) = value { Ok(*is_true) } else { Err(Malformed::Field(name)) }
}
