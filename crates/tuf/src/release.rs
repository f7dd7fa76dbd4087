//! A release: what the maker says of an artifact beside its length and digest, in TUF's `custom` (TUF §4.5).

use crate::Malformed;
use crate::json::Value;
use crate::role::TargetFile;
use std::collections::BTreeMap;
use wardein_crypto::{Digest, hex};

/// What the maker says of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Rises from release to release of a product line. At most 53 bits, as all numbers in TUF's metadata.
    pub version: u64,
    /// What people call it, such as `1.4.2`: 1 to [`Release::MAX_LABEL`] bytes.
    pub label: String,
    /// Which models may install it: at least one.
    pub models: Vec<String>,
    /// The lowest version that a device may install once it runs this one: at most [`Release::version`].
    pub floor: u64,
    /// A device whose floor is above [`Release::version`], but not above this, may install it all the same: a downgrade that was signed as
    /// one.
    pub downgrade_from: Option<u64>,
    /// What people should know of it; at most [`Release::MAX_NOTES`] bytes.
    pub notes: String,
    /// The values of attributes that a device which runs it shows: a digest in lower-case hexadecimal, or text.
    pub attributes: BTreeMap<String, String>,
    /// Where the artifact is sealed, the file in it: what is installed. The artifact's own length and digest are those of the
    /// sealed file.
    pub plaintext: Option<Plaintext>,
}

/// The file in a sealed artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plaintext {
    /// Its length in bytes, at most 53 bits.
    pub length: u64,
    /// Its digest.
    pub sha256: Digest,
}

/// Why a device may not install a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotFor {
    /// It is for other models.
    #[error("it is for other models")]
    Model,
    /// It is below the device's floor.
    #[error("it is below version {floor}, the lowest that this device may go back to")]
    Floor {
        /// The floor.
        floor: u64,
    },
}

impl Release {
    /// The longest label, in bytes.
    pub const MAX_LABEL: usize = 64;
    /// The longest notes, in bytes.
    pub const MAX_NOTES: usize = 4_096;
    /// The most models of one release.
    pub const MAX_MODELS: usize = 64;
    /// The longest name of a model, in bytes.
    pub const MAX_MODEL: usize = 64;
    /// The most attributes of one release.
    pub const MAX_ATTRIBUTES: usize = 16;
    /// The longest name or value of an attribute, in bytes.
    pub const MAX_ATTRIBUTE: usize = 256;

    /// The release that `file` is; an error where its maker says too little of it, or something that contradicts itself.
    pub fn of(file: &TargetFile) -> Result<Self, Malformed> {
        let Some(Value::Object(fields)) = &file.custom else { return Err(Malformed::Field("custom")) };
        let wrong = Malformed::Field;
        let number = |name: &'static str| match fields.get(name) {
            None => Ok(None),
            Some(Value::Integer(number)) => u64::try_from(*number).map(Some).map_err(|_| wrong(name)),
            Some(_) => Err(wrong(name)),
        };
        let text = |name: &'static str, most: usize| match fields.get(name) {
            None => Ok(None),
            Some(Value::Text(text)) if text.len() <= most => Ok(Some(text.clone())),
            Some(_) => Err(wrong(name)),
        };
        let models = match fields.get("models") {
            Some(Value::Array(models)) if (1..=Self::MAX_MODELS).contains(&models.len()) => models,
            _ => return Err(wrong("models")),
        };
        let model = |model: &Value| match model {
            Value::Text(name) if (1..=Self::MAX_MODEL).contains(&name.len()) => Ok(name.clone()),
            _ => Err(wrong("models")),
        };
        let attributes = match fields.get("attributes") {
            None => BTreeMap::new(),
            Some(Value::Object(attributes)) if attributes.len() <= Self::MAX_ATTRIBUTES => {
                let attribute = |(name, value): (&String, &Value)| match value {
                    Value::Text(value) if name.len().max(value.len()) <= Self::MAX_ATTRIBUTE => {
                        Ok((name.clone(), value.clone()))
                    }
                    _ => Err(wrong("attributes")),
                };
                attributes.iter().map(attribute).collect::<Result<_, _>>()?
            }
            Some(_) => return Err(wrong("attributes")),
        };
        let version = number("version")?.ok_or(wrong("version"))?;
        let release = Self {
            version,
            label: text("label", Self::MAX_LABEL)?.filter(|label| !label.is_empty()).ok_or(wrong("label"))?,
            models: models.iter().map(model).collect::<Result<_, _>>()?,
            floor: number("floor")?.unwrap_or(0),
            downgrade_from: number("downgrade_from")?,
            notes: text("notes", Self::MAX_NOTES)?.unwrap_or_default(),
            attributes,
            plaintext: fields.get("plaintext").map(Plaintext::of).transpose()?,
        };
        if release.floor > version {
            return Err(wrong("floor"));
        }
        Ok(release)
    }

    /// The same as a target's `custom`.
    pub fn to_custom(&self) -> Value {
        let mut fields = BTreeMap::from([
            ("version".to_owned(), Value::number(self.version)),
            ("label".to_owned(), Value::text(&self.label)),
            ("models".to_owned(), Value::Array(self.models.iter().map(Value::text).collect())),
            ("floor".to_owned(), Value::number(self.floor)),
        ]);
        if let Some(from) = self.downgrade_from {
            fields.insert("downgrade_from".to_owned(), Value::number(from));
        }
        if !self.notes.is_empty() {
            fields.insert("notes".to_owned(), Value::text(&self.notes));
        }
        if !self.attributes.is_empty() {
            let attributes = self.attributes.iter().map(|(name, value)| (name, Value::text(value)));
            fields.insert("attributes".to_owned(), Value::object(attributes));
        }
        if let Some(Plaintext { length, sha256 }) = &self.plaintext {
            let file = [("length", Value::number(*length)), ("sha256", Value::text(hex::encode(&sha256.0)))];
            fields.insert("plaintext".to_owned(), Value::object(file));
        }
        Value::Object(fields)
    }

    /// Whether a device of `model`, which may not go below `floor`, may install it.
    pub fn judge(&self, model: &str, floor: u64) -> Result<(), NotFor> {
        if !self.models.iter().any(|of| of == model) {
            return Err(NotFor::Model);
        }
        let is_signed_downgrade = self.downgrade_from.is_some_and(|from| floor <= from);
        if self.version < floor && !is_signed_downgrade {
            return Err(NotFor::Floor { floor });
        }
        Ok(())
    }
}

impl Plaintext {
    /// That of a field: length and digest, and nothing besides. A device that overlooked a part of it would install something else.
    fn of(field: &Value) -> Result<Self, Malformed> {
        let wrong = Malformed::Field("plaintext");
        let Value::Object(fields) = field else { return Err(wrong) };
        match (fields.get("length"), fields.get("sha256"), fields.len()) {
            (Some(Value::Integer(length)), Some(Value::Text(digest)), 2) => Ok(Self {
                length: u64::try_from(*length).map_err(|_| wrong)?,
                sha256: Digest(hex::decode_array(digest).ok_or(wrong)?),
            }),
            _ => Err(wrong),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release() -> Release {
        Release {
            version: 7,
            label: "1.4.2".into(),
            models: vec!["pump-3".into(), "pump-3b".into()],
            floor: 5,
            downgrade_from: None,
            notes: "mends the alarm's volume".into(),
            attributes: BTreeMap::from([("firmware".into(), "ab".repeat(32))]),
            plaintext: None,
        }
    }

    fn file(custom: Option<Value>) -> TargetFile {
        TargetFile { length: 1, sha256: Digest::of(b"x"), custom }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let plain = Release { notes: String::new(), attributes: BTreeMap::new(), floor: 0, ..release() };
        let sealed = Plaintext { length: 3, sha256: Digest::of(b"abc") };
        let sealed = Release { plaintext: Some(sealed), ..release() };
        for release in [release(), plain, Release { downgrade_from: Some(9), ..release() }, sealed] {
            assert_eq!(Release::of(&file(Some(release.to_custom()))), Ok(release));
        }
    }

    #[test]
    fn a_field_that_is_missing_wrong_or_too_long_is_named() {
        assert_eq!(Release::of(&file(None)), Err(Malformed::Field("custom")));
        let long = || Value::text("x".repeat(5_000));
        let digest = || Value::text("ab".repeat(32));
        let cases: [(&str, Option<Value>); 25] = [
            ("version", None),
            ("version", Some(Value::Integer(-1))),
            ("version", Some(Value::text("7"))),
            ("label", None),
            ("label", Some(Value::text(""))),
            ("label", Some(long())),
            ("models", None),
            ("models", Some(Value::Array(Vec::new()))),
            ("models", Some(Value::Array(vec![Value::Integer(3)]))),
            ("models", Some(Value::Array(vec![Value::text("")]))),
            ("models", Some(Value::Array(vec![Value::text("m"); 65]))),
            ("floor", Some(Value::Integer(8))),
            ("floor", Some(Value::Null)),
            ("downgrade_from", Some(Value::Bool(true))),
            ("notes", Some(long())),
            ("attributes", Some(Value::Array(Vec::new()))),
            ("attributes", Some(Value::object([("firmware", long())]))),
            ("attributes", Some(Value::object((0..17).map(|n| (n.to_string(), Value::text("v")))))),
            ("plaintext", Some(Value::Null)),
            ("plaintext", Some(Value::object([("length", Value::number(3))]))),
            ("plaintext", Some(Value::object([("sha256", digest())]))),
            ("plaintext", Some(Value::object([("length", Value::Integer(-1)), ("sha256", digest())]))),
            ("plaintext", Some(Value::object([("length", Value::text("3")), ("sha256", digest())]))),
            ("plaintext", Some(Value::object([("length", Value::number(3)), ("sha256", Value::text("ab"))]))),
            (
                "plaintext",
                Some(Value::object([("length", Value::number(3)), ("sha256", digest()), ("x", digest())])),
            ),
        ];
        for (name, value) in cases {
            let Value::Object(mut fields) = release().to_custom() else { panic!("it is an object") };
            fields.remove(name);
            if let Some(value) = value {
                fields.insert(name.to_owned(), value);
            }
            assert_eq!(Release::of(&file(Some(Value::Object(fields)))), Err(Malformed::Field(name)));
        }
    }

    #[test]
    fn a_device_goes_below_its_floor_only_by_a_signed_downgrade() {
        let release = release();
        assert_eq!(release.judge("pump-3", 7), Ok(()));
        assert_eq!(release.judge("pump-4", 0), Err(NotFor::Model));
        assert_eq!(release.judge("pump-3", 8), Err(NotFor::Floor { floor: 8 }));
        let down = Release { downgrade_from: Some(9), ..release };
        assert_eq!(down.judge("pump-3b", 9), Ok(()));
        assert_eq!(down.judge("pump-3b", 10), Err(NotFor::Floor { floor: 10 }));
        assert_eq!(down.judge("monitor", 9), Err(NotFor::Model));
    }
}
