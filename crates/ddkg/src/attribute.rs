//! A device's measurements of itself, and how they enter a proof (specification, sections 4 and 5).

use crate::wire::{DecodeError, Problem, Reader, Sink};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use wardein_crypto::{Digest, Sha256};
use wardein_domain::AttributeName;

/// The most attributes that a device has.
pub const MAX_ATTRIBUTES: usize = 64;

/// The most bytes of an attribute's value.
pub const MAX_ATTRIBUTE_LEN: usize = 4096;

/// Attributes with their values, as a device sends them: at most [`MAX_ATTRIBUTES`], in byte order of names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attributes(BTreeMap<AttributeName, Vec<u8>>);

impl Attributes {
    /// No attributes yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an attribute; a name can be given once.
    pub fn insert(&mut self, name: AttributeName, value: &[u8]) -> Result<(), DecodeError> {
        if value.len() > MAX_ATTRIBUTE_LEN {
            let (length, min, max) = (value.len(), 0, MAX_ATTRIBUTE_LEN);
            return Err(Problem::Length { length, min, max }.of("attribute value"));
        }
        if self.0.contains_key(&name) {
            return Err(Problem::NotCanonical("is given twice").of("attribute name"));
        }
        if self.0.len() == MAX_ATTRIBUTES {
            let (value, min, max) = (self.0.len() as u64 + 1, 0, MAX_ATTRIBUTES as u64);
            return Err(Problem::Range { value, min, max }.of("attributes"));
        }
        self.0.insert(name, value.to_vec());
        Ok(())
    }

    /// The attributes with their values, in byte order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&AttributeName, &[u8])> {
        self.0.iter().map(|(name, value)| (name, value.as_slice()))
    }

    /// The digest of each attribute: all that the protocol has the authority keep.
    pub fn digests(&self) -> AttributeDigests {
        AttributeDigests(
            self.0.iter().map(|(name, value)| (name.clone(), attribute_digest(name, value))).collect(),
        )
    }

    /// The body of the action `attributes` (section 8): for each, in byte order of names, `frame(name) ‖ frame(value)`.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, value) in &self.0 {
            out.frame(name.as_str().as_bytes());
            out.frame(value);
        }
        out
    }

    /// The inverse of [`Attributes::encode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let mut attributes = Self::new();
        while !reader.is_empty() {
            let name: AttributeName = reader.name("attribute name")?;
            if attributes.0.last_key_value().is_some_and(|(last, _)| *last >= name) {
                return Err(Problem::NotCanonical("is out of byte order or given twice").of("attribute name"));
            }
            attributes.insert(name, reader.frame("attribute value", 0, MAX_ATTRIBUTE_LEN)?)?;
        }
        Ok(attributes)
    }
}

/// `attribute_digest(name, value)` of section 4.
pub fn attribute_digest(name: &AttributeName, value: &[u8]) -> Digest {
    let mut hash = Sha256::new();
    hash.frame(name.as_str().as_bytes());
    hash.frame(value);
    hash.finish()
}

/// The digests of a device's attributes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AttributeDigests(BTreeMap<AttributeName, Digest>);

impl AttributeDigests {
    /// `attributes_digest` of section 4.
    pub fn digest(&self) -> Digest {
        let mut hash = Sha256::new();
        for (name, digest) in &self.0 {
            hash.frame(name.as_str().as_bytes());
            hash.put(digest.as_ref());
        }
        hash.finish()
    }

    /// How many attributes there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The digest of one attribute.
    pub fn get(&self, name: &AttributeName) -> Option<&Digest> {
        self.0.get(name)
    }

    /// The same with another value of an attribute that is there; one that is not stays away.
    pub fn with(mut self, name: &AttributeName, value: &[u8]) -> Self {
        if let Some(digest) = self.0.get_mut(name) {
            *digest = attribute_digest(name, value);
        }
        self
    }

    /// A recipe of all the names.
    pub fn names(&self) -> Recipe {
        Recipe(self.0.keys().cloned().collect())
    }

    /// `binding` of section 5: the challenge and the digest of each attribute of the recipe, in its order.
    pub fn binding(&self, challenge: &[u8], recipe: &Recipe) -> Result<Binding, NotMeasured> {
        let mut hash = Sha256::new();
        hash.frame(challenge);
        for name in &recipe.0 {
            hash.put(self.0.get(name).ok_or_else(|| NotMeasured(name.clone()))?.as_ref());
        }
        Ok(Binding(hash.finish()))
    }

    pub(crate) fn put(&self, out: &mut impl Sink) {
        out.put(&[self.0.len() as u8]);
        for (name, digest) in &self.0 {
            out.frame(name.as_str().as_bytes());
            out.put(digest.as_ref());
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = reader.small("attributes", MAX_ATTRIBUTES as u8)?;
        let mut digests = BTreeMap::new();
        for _ in 0..count {
            let name: AttributeName = reader.name("attribute name")?;
            if digests.last_key_value().is_some_and(|(last, _)| *last >= name) {
                return Err(Problem::NotCanonical("is out of byte order or given twice").of("attribute name"));
            }
            digests.insert(name, Digest(reader.array("attribute digest")?));
        }
        Ok(Self(digests))
    }
}

/// The attribute is required and was not measured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("attribute {0} is required and was not measured")]
pub struct NotMeasured(pub AttributeName);

/// The names of the attributes to measure, in order, each once (section 5). It may be empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recipe(Vec<AttributeName>);

impl Recipe {
    /// A recipe of at most [`MAX_ATTRIBUTES`] names, none twice.
    pub fn new(names: Vec<AttributeName>) -> Result<Self, DecodeError> {
        if names.len() > MAX_ATTRIBUTES {
            let (value, min, max) = (names.len() as u64, 0, MAX_ATTRIBUTES as u64);
            return Err(Problem::Range { value, min, max }.of("recipe"));
        }
        if names.iter().enumerate().any(|(i, name)| names.iter().take(i).any(|earlier| earlier == name)) {
            return Err(Problem::NotCanonical("names an attribute twice").of("recipe"));
        }
        Ok(Self(names))
    }

    /// The names.
    pub fn names(&self) -> &[AttributeName] {
        &self.0
    }

    pub(crate) fn put(&self, out: &mut impl Sink) {
        out.put(&[self.0.len() as u8]);
        for name in &self.0 {
            out.frame(name.as_str().as_bytes());
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = reader.small("recipe", MAX_ATTRIBUTES as u8)?;
        let names = (0..count).map(|_| reader.name("attribute name")).collect::<Result<_, _>>()?;
        Self::new(names)
    }
}

/// Binds a proof to a challenge and to the hardware as measured for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding(pub(crate) Digest);

impl AsRef<[u8]> for Binding {
    fn as_ref(&self) -> &[u8] {
        self.0.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn bounds_of_attributes() {
        let mut attributes = Attributes::new();
        for i in 0..MAX_ATTRIBUTES {
            attributes.insert(format!("a{i}").parse().unwrap(), &[0; MAX_ATTRIBUTE_LEN]).unwrap();
        }
        assert_eq!(attributes.insert("b".parse().unwrap(), b"").unwrap_err().field, "attributes");
        assert_eq!(attributes.insert("a0".parse().unwrap(), b"").unwrap_err().field, "attribute name");
        let long = Attributes::new().insert("b".parse().unwrap(), &[0; MAX_ATTRIBUTE_LEN + 1]);
        assert_eq!(long.unwrap_err().field, "attribute value");
        assert_eq!(Attributes::decode(&attributes.encode()).unwrap(), attributes);
    }

    #[test]
    fn attributes_out_of_order_are_refused() {
        let mut body = Vec::new();
        for name in ["b", "a"] {
            body.frame(name.as_bytes());
            body.frame(b"");
        }
        assert_eq!(Attributes::decode(&body).unwrap_err().field, "attribute name");
    }

    #[test]
    fn a_recipe_names_an_attribute_once() {
        let names = ["a", "b", "a"].map(|name| name.parse().unwrap()).to_vec();
        assert_eq!(Recipe::new(names).unwrap_err().field, "recipe");
        assert!(
            AttributeDigests::default()
                .binding(b"c", &Recipe::new(alloc::vec!["a".parse().unwrap()]).unwrap())
                .is_err()
        );
    }
}
