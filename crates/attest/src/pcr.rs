//! Platform configuration registers: what a TPM said of them, their values, and what they must be.

use crate::Refusal;
use std::collections::BTreeMap;
use wardein_crypto::tpm::{HashAlgorithm, HashValue};
use wardein_domain::{Bank, InvalidSelection, PcrSelection};

/// What a TPM said of its registers, with a nonce of ours: which, and the digest of their values. It is what an enrollment
/// remembers, for [`PcrState::same_as`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PcrState {
    pub(crate) selection: PcrSelection,
    pub(crate) digest: HashValue,
}

impl PcrState {
    /// A state that was quoted before and is on record. The caller vouches for it.
    pub fn assertion(selection: PcrSelection, digest: HashValue) -> Self {
        Self { selection, digest }
    }

    /// Which registers.
    pub fn selection(&self) -> PcrSelection {
        self.selection
    }

    /// The digest of their values, one after the other in order of number, by the hash of the attestation key's scheme.
    pub fn digest(&self) -> HashValue {
        self.digest
    }

    /// Whether nothing changed since `enrolled`.
    pub fn same_as(&self, enrolled: &Self) -> Result<(), Refusal> {
        ensure(self.selection == enrolled.selection, Refusal::PcrSelection)?;
        ensure(self.digest == enrolled.digest, Refusal::PcrChanged)
    }

    /// The values behind the digest: one for each register, in order of number, as the device gives them.
    pub fn values(&self, given: &[&[u8]]) -> Result<PcrValues, Refusal> {
        ensure(given.len() == self.selection.numbers().count(), Refusal::PcrDigest)?;
        ensure(self.digest.algorithm().digest(given) == self.digest, Refusal::PcrDigest)?;
        let bank = self.selection.bank();
        let mut values = BTreeMap::new();
        for (register, given) in self.selection.numbers().zip(given) {
            values.insert(register, pcr_value(bank, given).ok_or(Refusal::PcrDigest)?);
        }
        Ok(PcrValues(values))
    }
}

/// The value of a PCR of this bank; `None` unless the bytes are as many as the bank has.
pub fn pcr_value(bank: Bank, bytes: &[u8]) -> Option<HashValue> {
    HashValue::from_bytes(hash_of(bank), bytes)
}

fn hash_of(bank: Bank) -> HashAlgorithm {
    match bank {
        Bank::Sha256 => HashAlgorithm::Sha256,
        Bank::Sha384 => HashAlgorithm::Sha384,
    }
}

/// The values of registers, as a TPM has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PcrValues(BTreeMap<u8, HashValue>);

/// The values that registers of one bank may have: for each one or several, such as those of the firmware before and after an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoldenPcrs {
    selection: PcrSelection,
    allowed: BTreeMap<u8, Vec<HashValue>>,
}

impl GoldenPcrs {
    /// The most values of a register.
    pub const MAX_VALUES: usize = 16;

    /// What is allowed, by register: of each 1 to [`GoldenPcrs::MAX_VALUES`] values.
    pub fn new(bank: Bank, allowed: BTreeMap<u8, Vec<HashValue>>) -> Result<Self, InvalidGolden> {
        let registers: Vec<u8> = allowed.keys().copied().collect();
        let selection = PcrSelection::new(bank, &registers)?;
        for (&register, values) in &allowed {
            if !(1..=Self::MAX_VALUES).contains(&values.len()) {
                return Err(InvalidGolden::Count { register, count: values.len() });
            }
            if values.iter().any(|value| value.algorithm() != hash_of(bank)) {
                return Err(InvalidGolden::Bank { register });
            }
        }
        Ok(Self { selection, allowed })
    }

    /// Which registers they are of.
    pub fn selection(&self) -> PcrSelection {
        self.selection
    }

    /// What is allowed, by register.
    pub fn allowed(&self) -> &BTreeMap<u8, Vec<HashValue>> {
        &self.allowed
    }

    /// Whether the same registers are there and each has a value that it may have.
    pub fn judge(&self, found: &PcrValues) -> Result<(), Refusal> {
        ensure(self.allowed.keys().eq(found.0.keys()), Refusal::PcrSelection)?;
        for ((&register, allowed), value) in self.allowed.iter().zip(found.0.values()) {
            ensure(allowed.contains(value), Refusal::PcrValue { register })?;
        }
        Ok(())
    }
}

/// Why values are none that registers could be judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidGolden {
    /// There is none, or one has a number that no register has.
    #[error(transparent)]
    Selection(#[from] InvalidSelection),
    /// A register has no value, or too many.
    #[error("PCR {register} has {count} values; it takes 1 to {}", GoldenPcrs::MAX_VALUES)]
    Count {
        /// Its number.
        register: u8,
        /// How many.
        count: usize,
    },
    /// A value is not of the length that the bank has.
    #[error("PCR {register} has a value of another bank")]
    Bank {
        /// Its number.
        register: u8,
    },
}

fn ensure(holds: bool, refusal: Refusal) -> Result<(), Refusal> {
    holds.then_some(()).ok_or(refusal)
}
