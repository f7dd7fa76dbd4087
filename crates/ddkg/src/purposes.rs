//! A set of purposes.

use crate::wire::{DecodeError, Problem, Reader};
use wardein_domain::Purpose;

/// The purposes that trees are kept for. `proof` is always among them: without it a device could never speak again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purposes(u8);

impl Purposes {
    /// Those that an enrollment agrees on: `proof`, `token`, `data` and `file`. Others are named at a rekey.
    pub const ENROLLED: Self = Self(0b1111);

    /// All that this release knows.
    pub(crate) const KNOWN: Self = Self(0b1_1111);

    /// `proof` and the given ones.
    pub fn of(purposes: impl IntoIterator<Item = Purpose>) -> Self {
        Self(purposes.into_iter().fold(PROOF, |set, purpose| set | 1 << purpose as u8))
    }

    /// Those of them that an enrollment agrees on.
    pub(crate) fn at_enrollment(self) -> Self {
        Self(self.0 & Self::ENROLLED.0)
    }

    /// Whether `purpose` is among them.
    pub fn contains(self, purpose: Purpose) -> bool {
        self.0 & 1 << purpose as u8 != 0
    }

    /// Each of them, in order.
    pub fn iter(self) -> impl Iterator<Item = Purpose> {
        Purpose::ALL.into_iter().filter(move |purpose| self.contains(*purpose))
    }

    pub(crate) fn bits(self) -> u8 {
        self.0
    }

    /// The set as it is sent: bit i is the purpose of that place (specification, section 3).
    pub(crate) fn named(self) -> u32 {
        self.0.into()
    }

    /// Those of `named` that this release knows. A later one may name more, which count as not named.
    pub(crate) fn known(named: u32) -> Self {
        Self(named as u8 & Self::KNOWN.0)
    }

    /// Reads a set that the other end names.
    pub(crate) fn read_named(reader: &mut Reader<'_>) -> Result<u32, DecodeError> {
        let named = reader.u32("purposes")?;
        Self::known(named)
            .contains(Purpose::Proof)
            .then_some(named)
            .ok_or_else(|| Problem::NotCanonical("lacks proof").of("purposes"))
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let set = Self(reader.small("purposes", Self::KNOWN.0)?);
        set.contains(Purpose::Proof)
            .then_some(set)
            .ok_or_else(|| Problem::NotCanonical("lacks proof").of("purposes"))
    }
}

const PROOF: u8 = 1 << Purpose::Proof as u8;
