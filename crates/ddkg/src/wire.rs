//! Reading and writing bytes: one bounded reader, one sink. Every error names the field and the bound.

use alloc::vec::Vec;
use core::str::FromStr;
use wardein_crypto::{Secret, SecretBytes, Sha256};
use wardein_domain::NameError;

/// Where, and why, bytes are malformed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct DecodeError {
    /// The field at fault.
    pub field: &'static str,
    /// The fault.
    pub problem: Problem,
}

/// The fault of a field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The input ends within the field.
    #[error("needs {needed} bytes where {left} are left")]
    Truncated {
        /// Bytes that the field needs.
        needed: usize,
        /// Bytes that are left.
        left: usize,
    },
    /// The field has fewer or more bytes than it may.
    #[error("has {length} bytes; it takes {min} to {max}")]
    Length {
        /// Bytes that it has.
        length: usize,
        /// The fewest it may have.
        min: usize,
        /// The most it may have.
        max: usize,
    },
    /// The number is out of its range.
    #[error("is {value}; it takes {min} to {max}")]
    Range {
        /// The number.
        value: u64,
        /// The least it may be.
        min: u64,
        /// The greatest it may be.
        max: u64,
    },
    /// Bytes follow the last field.
    #[error("{count} bytes follow the end")]
    Trailing {
        /// How many.
        count: usize,
    },
    /// The text is not a name of its kind.
    #[error("{0}")]
    Name(NameError),
    /// The value could be written in a second way, and this is it.
    #[error("{0}")]
    NotCanonical(&'static str),
    /// Two parts of one value are of different states of it: one is older, or was changed.
    #[error("is {found} where the other part has {expected}")]
    Apart {
        /// The value of this part.
        found: u64,
        /// The value of the other part.
        expected: u64,
    },
    /// The bytes were changed since they were written.
    #[error("the checksum does not match")]
    Checksum,
}

impl Problem {
    /// The error that this is in `field`.
    pub fn of(self, field: &'static str) -> DecodeError {
        DecodeError { field, problem: self }
    }
}

/// Takes fields from the front of bytes; takes nothing that is not there and allocates nothing.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn take(&mut self, field: &'static str, needed: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self
            .0
            .split_at_checked(needed)
            .ok_or_else(|| Problem::Truncated { needed, left: self.0.len() }.of(field))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(field, N)?);
        Ok(out)
    }

    /// `N` bytes in place, so that no copy of a secret is made.
    pub(crate) fn chunk<const N: usize>(&mut self, field: &'static str) -> Result<&'a [u8; N], DecodeError> {
        let bytes = self.take(field, N)?;
        bytes.first_chunk().ok_or(Problem::Length { length: bytes.len(), min: N, max: N }.of(field))
    }

    pub(crate) fn secret<const N: usize>(&mut self, field: &'static str) -> Result<Secret<N>, DecodeError> {
        let bytes = self.take(field, N)?;
        Ok(Secret::filled(|out| out.copy_from_slice(bytes)))
    }

    pub(crate) fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        self.array(field).map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        self.array(field).map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        self.array(field).map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        self.array(field).map(u64::from_be_bytes)
    }

    pub(crate) fn u128(&mut self, field: &'static str) -> Result<u128, DecodeError> {
        self.array(field).map(u128::from_be_bytes)
    }

    /// A count or flag of one byte, at most `max`.
    pub(crate) fn small(&mut self, field: &'static str, max: u8) -> Result<u8, DecodeError> {
        let value = self.u8(field)?;
        (value <= max)
            .then_some(value)
            .ok_or_else(|| Problem::Range { value: value.into(), min: 0, max: max.into() }.of(field))
    }

    pub(crate) fn frame(
        &mut self,
        field: &'static str,
        min: usize,
        max: usize,
    ) -> Result<&'a [u8], DecodeError> {
        let length = self.u32(field)? as usize;
        if !(min..=max).contains(&length) {
            return Err(Problem::Length { length, min, max }.of(field));
        }
        self.take(field, length)
    }

    /// A framed name.
    pub(crate) fn name<T: FromStr<Err = NameError>>(
        &mut self,
        field: &'static str,
    ) -> Result<T, DecodeError> {
        parse_name(field, self.frame(field, 1, MAX_NAME)?)
    }

    /// All that is left, for a field that reaches to the end.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn finish(self, field: &'static str) -> Result<(), DecodeError> {
        match self.0.len() {
            0 => Ok(()),
            count => Err(Problem::Trailing { count }.of(field)),
        }
    }
}

pub(crate) fn parse_name<T: FromStr<Err = NameError>>(
    field: &'static str,
    bytes: &[u8],
) -> Result<T, DecodeError> {
    let text = core::str::from_utf8(bytes).map_err(|_| Problem::NotCanonical("is not UTF-8").of(field))?;
    text.parse().map_err(|error| Problem::Name(error).of(field))
}

/// Takes bytes in: a buffer, a buffer that wipes itself, or a hash.
pub(crate) trait Sink {
    fn put(&mut self, bytes: &[u8]);

    fn u16(&mut self, value: u16) {
        self.put(&value.to_be_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.put(&value.to_be_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.put(&value.to_be_bytes());
    }

    /// `u32(length) ‖ bytes`; no caller holds 4 GiB, each field is bounded where it enters.
    fn frame(&mut self, bytes: &[u8]) {
        self.u32(u32::try_from(bytes.len()).expect("each field is bounded far below 4 GiB"));
        self.put(bytes);
    }
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl Sink for SecretBytes {
    fn put(&mut self, bytes: &[u8]) {
        self.extend(bytes);
    }
}

impl Sink for Sha256 {
    fn put(&mut self, bytes: &[u8]) {
        self.update(bytes);
    }
}

/// No name of the protocol is longer, so that a longer one is refused before it is read.
const MAX_NAME: usize = 255;
