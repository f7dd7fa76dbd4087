//! The two constructions on which everything rests: `expand` and `transcript` (specification, section 1).

use crate::wire::{DecodeError, Problem, Sink};
use wardein_crypto::{Digest, Prk, Secret, Sha256};

/// The prefix of every label, so that no other protocol derives the same keys.
const PREFIX: &str = "ddkg1 ";

/// `expand(secret, label, context, out.len())` into `out`.
///
/// The label has at most 249 bytes, the context 255, the output 8160; an error names the one that is longer.
pub fn expand_into(
    secret: &Secret<32>,
    label: &str,
    context: &[u8],
    out: &mut [u8],
) -> Result<(), DecodeError> {
    expand_prk(&Prk::uniform(secret), label, context, out)
}

/// The 32 bytes that `secret` gives under a label and context of the protocol.
pub(crate) fn derive(secret: &Secret<32>, label: &'static str, context: &[u8]) -> Secret<32> {
    derive_prk(&Prk::uniform(secret), label, context)
}

/// The same from the output of HKDF-Extract.
pub(crate) fn derive_prk(prk: &Prk, label: &'static str, context: &[u8]) -> Secret<32> {
    Secret::filled(|out| {
        expand_prk(prk, label, context, out)
            .expect("labels are constants of the protocol; contexts are at most a digest or a purpose long");
    })
}

fn expand_prk(prk: &Prk, label: &str, context: &[u8], out: &mut [u8]) -> Result<(), DecodeError> {
    let length = bounded("output", out.len(), 255 * 32)?;
    let label_length = bounded("label", PREFIX.len() + label.len(), 255)?;
    let context_length = bounded("context", context.len(), 255)?;
    let info = [
        &length.to_be_bytes()[..],
        &label_length.to_be_bytes()[1..],
        PREFIX.as_bytes(),
        label.as_bytes(),
        &context_length.to_be_bytes()[1..],
        context,
    ];
    prk.expand_into(&info, out)
        .map_err(|_| Problem::Length { length: out.len(), min: 0, max: 8160 }.of("output"))
}

fn bounded(field: &'static str, length: usize, max: u16) -> Result<u16, DecodeError> {
    u16::try_from(length)
        .ok()
        .filter(|length| *length <= max)
        .ok_or_else(|| Problem::Length { length, min: 0, max: max.into() }.of(field))
}

/// A hash over labeled, framed fields, in which no two different lists of fields meet.
pub struct Transcript(Sha256);

impl Transcript {
    /// A transcript of its own kind.
    pub fn new(label: &str) -> Self {
        let mut hash = Sha256::new();
        hash.u32(u32::try_from(PREFIX.len() + label.len()).expect("a label is a constant of the protocol"));
        hash.put(PREFIX.as_bytes());
        hash.put(label.as_bytes());
        Self(hash)
    }

    /// Adds a field.
    pub fn field(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.frame(bytes.as_ref());
        self
    }

    /// Adds an integer field: its 8-byte big-endian form.
    pub fn integer(self, value: impl Into<u64>) -> Self {
        self.field(value.into().to_be_bytes())
    }

    /// The digest of label and fields.
    pub fn finish(self) -> Digest {
        self.0.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn bounds_are_those_of_the_specification() {
        let secret = Secret::copied_from(&[1; 32]);
        let (label, context) = ("l".repeat(249), [0; 255]);
        let mut out = [0; 255 * 32];
        assert_eq!(expand_into(&secret, &label, &context, &mut out), Ok(()));
        let error = expand_into(&secret, &"l".repeat(250), &context, &mut out).unwrap_err();
        assert_eq!(error.to_string(), "label: has 256 bytes; it takes 0 to 255");
        assert_eq!(expand_into(&secret, &label, &[0; 256], &mut out).unwrap_err().field, "context");
        assert_eq!(expand_into(&secret, "l", b"", &mut [0; 255 * 32 + 1]).unwrap_err().field, "output");
    }

    #[test]
    fn fields_that_join_alike_differ() {
        let joined = |a: &str, b: &str| Transcript::new("t").field(a).field(b).finish();
        assert_ne!(joined("ab", "c"), joined("a", "bc"));
        assert_ne!(joined("abc", ""), joined("", "abc"));
    }
}
