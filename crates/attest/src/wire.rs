//! Reading a TPM's big-endian structures (TPM 2.0 Library, part 2), each byte once and none left over.

use wardein_domain::ErrorCode;

/// Why bytes are not the structure that they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{structure}: {field} {fault}")]
pub struct ParseError {
    /// The structure, as the TPM 2.0 Library names it.
    pub structure: &'static str,
    /// The field of it, or the whole.
    pub field: &'static str,
    /// What is wrong there.
    pub fault: Fault,
}

/// What is wrong with a structure's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// There are more bytes than such a structure or field can have.
    #[error("has more bytes than it can have")]
    TooLong,
    /// The bytes end within it.
    #[error("is cut short")]
    Truncated,
    /// Bytes follow it.
    #[error("is followed by further bytes")]
    TrailingBytes,
    /// It names an algorithm, a curve or a kind that is not taken.
    #[error("is of a kind that is not taken here")]
    Unsupported,
    /// Its value contradicts the rest or the specification.
    #[error("has a value that it cannot have")]
    Value,
}

impl ParseError {
    /// The stable code.
    pub fn code(self) -> ErrorCode {
        match self.fault {
            Fault::TooLong => ErrorCode::TpmTooLong,
            Fault::Truncated => ErrorCode::TpmTruncated,
            Fault::TrailingBytes => ErrorCode::TpmTrailingBytes,
            Fault::Unsupported => ErrorCode::TpmUnsupported,
            Fault::Value => ErrorCode::TpmValue,
        }
    }
}

/// What is left to read of one structure.
pub(crate) struct Reader<'a> {
    structure: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Begins to read `bytes`, of which there may be at most `max`.
    pub(crate) fn open(structure: &'static str, bytes: &'a [u8], max: usize) -> Result<Self, ParseError> {
        let reader = Self { structure, rest: bytes };
        if bytes.len() > max {
            return Err(reader.fault("the whole", Fault::TooLong));
        }
        Ok(reader)
    }

    pub(crate) fn u8(&mut self, field: &'static str) -> Result<u8, ParseError> {
        self.array::<1>(field).map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self, field: &'static str) -> Result<u16, ParseError> {
        self.array(field).map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self, field: &'static str) -> Result<u32, ParseError> {
        self.array(field).map(u32::from_be_bytes)
    }

    pub(crate) fn take(&mut self, field: &'static str, length: usize) -> Result<&'a [u8], ParseError> {
        let (taken, rest) =
            self.rest.split_at_checked(length).ok_or_else(|| self.fault(field, Fault::Truncated))?;
        self.rest = rest;
        Ok(taken)
    }

    /// The contents of a TPM2B: two bytes of length, and at most `max` bytes.
    pub(crate) fn sized(&mut self, field: &'static str, max: usize) -> Result<&'a [u8], ParseError> {
        let length = usize::from(self.u16(field)?);
        if length > max {
            return Err(self.fault(field, Fault::TooLong));
        }
        self.take(field, length)
    }

    /// Refuses what is left over.
    pub(crate) fn end(self) -> Result<(), ParseError> {
        if !self.rest.is_empty() {
            return Err(self.fault("the whole", Fault::TrailingBytes));
        }
        Ok(())
    }

    pub(crate) fn fault(&self, field: &'static str, fault: Fault) -> ParseError {
        ParseError { structure: self.structure, field, fault }
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], ParseError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(field, N)?);
        Ok(array)
    }
}
