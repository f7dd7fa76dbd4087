//! Platform configuration registers: which, their values, and the policy that binds a secret to them.

use crate::Tpm;
use crate::error::{Doing, TpmError};
use std::fmt;
use tss_esapi::interface_types::algorithm::HashingAlgorithm;
use tss_esapi::structures::{PcrSelectSize, PcrSelectionList, PcrSlot};
use wardein_crypto::{Digest, Sha256};
use wardein_domain::PCRS;

/// The hash by which registers are extended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bank {
    /// What every TPM 2.0 of a PC has.
    Sha256,
    /// What some have besides.
    Sha384,
}

impl Bank {
    /// The bytes of a register.
    pub fn register_len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
        }
    }

    fn algorithm(self) -> HashingAlgorithm {
        match self {
            Self::Sha256 => HashingAlgorithm::Sha256,
            Self::Sha384 => HashingAlgorithm::Sha384,
        }
    }

    /// TPM_ALG_ID (part 2, §6.3).
    pub(crate) fn id(self) -> u16 {
        match self {
            Self::Sha256 => 0x000b,
            Self::Sha384 => 0x000c,
        }
    }
}

/// Registers of one bank, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PcrSelection {
    bank: Bank,
    /// Bit n is register n; those from [`PCRS`] on are 0.
    mask: u32,
}

/// No register is selected, or one that no TPM of a PC has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a selection has at least one PCR, and only PCRs 0 to {last}", last = PCRS - 1)]
pub struct InvalidSelection;

impl PcrSelection {
    /// The registers of these numbers, each below [`PCRS`].
    pub fn new(bank: Bank, registers: &[u8]) -> Result<Self, InvalidSelection> {
        let bit = |&register: &u8| 1_u32.checked_shl(register.into());
        let mask = registers.iter().map(bit).try_fold(0, |mask, bit| Some(mask | bit?));
        Self::from_mask(bank, mask.ok_or(InvalidSelection)?)
    }

    pub(crate) fn from_mask(bank: Bank, mask: u32) -> Result<Self, InvalidSelection> {
        (mask != 0 && mask >> PCRS == 0).then_some(Self { bank, mask }).ok_or(InvalidSelection)
    }

    /// The bank.
    pub fn bank(&self) -> Bank {
        self.bank
    }

    /// Their numbers, in order.
    pub fn registers(&self) -> impl Iterator<Item = u8> + use<> {
        let mask = self.mask;
        (0..PCRS).filter(move |register| mask >> register & 1 == 1)
    }

    pub(crate) fn mask(&self) -> u32 {
        self.mask
    }

    pub(crate) fn list(&self) -> Result<PcrSelectionList, TpmError> {
        let selecting = "select registers";
        let slots: Result<Vec<_>, _> =
            self.registers().map(|register| PcrSlot::try_from(1 << register)).collect();
        PcrSelectionList::builder()
            .with_size_of_select(PcrSelectSize::ThreeOctets)
            .with_selection(self.bank.algorithm(), &slots.doing(selecting)?)
            .build()
            .doing(selecting)
    }
}

/// As tpm2-tools write it: `sha256:0,7`.
impl fmt::Display for PcrSelection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.bank)?;
        for (index, register) in self.registers().enumerate() {
            write!(f, "{}{register}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

/// Registers and their values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PcrValues {
    selection: PcrSelection,
    values: Vec<Vec<u8>>,
}

impl PcrValues {
    /// Which registers.
    pub fn selection(&self) -> PcrSelection {
        self.selection
    }

    /// Their values, in order of number.
    pub fn values(&self) -> &[Vec<u8>] {
        &self.values
    }

    /// The digest of a policy that holds while the registers have these values: PolicyPCR from a fresh session (part 3, §23.7).
    pub(crate) fn policy_digest(&self) -> Digest {
        let mut values = Sha256::new();
        self.values.iter().for_each(|value| values.update(value));
        let [mask_0, mask_1, mask_2, _] = self.selection.mask.to_le_bytes();
        let [bank_0, bank_1] = self.selection.bank.id().to_be_bytes();
        // TPML_PCR_SELECTION of one TPMS_PCR_SELECTION (part 2, §10.6.2).
        let selection = [0, 0, 0, 1, bank_0, bank_1, 3, mask_0, mask_1, mask_2];
        let mut policy = Sha256::new();
        policy.update(&[0; 32]);
        policy.update(&POLICY_PCR);
        policy.update(&selection);
        policy.update(&values.finish().0);
        policy.finish()
    }
}

impl Tpm {
    /// The values of registers as of now.
    ///
    /// # Errors
    ///
    /// [`TpmError::NoRegisters`] if the TPM does not have them all.
    pub fn read_pcrs(&mut self, selection: PcrSelection) -> Result<PcrValues, TpmError> {
        let mut values = Vec::new();
        let registers: Vec<u8> = selection.registers().collect();
        // A TPM gives at most eight at a time.
        for some in registers.chunks(8) {
            let some =
                PcrSelection::new(selection.bank, some).map_err(|_| TpmError::NoRegisters { selection })?;
            let list = some.list()?;
            let read = self.context.execute_without_session(|context| context.pcr_read(list));
            let (.., digests) = read.doing("read the registers")?;
            values.extend(digests.value().iter().map(|digest| digest.value().to_vec()));
        }
        let is_whole = values.len() == registers.len();
        if !is_whole || values.iter().any(|value| value.len() != selection.bank.register_len()) {
            return Err(TpmError::NoRegisters { selection });
        }
        Ok(PcrValues { selection, values })
    }
}

/// TPM_CC_PolicyPCR.
const POLICY_PCR: [u8; 4] = [0, 0, 0x01, 0x7f];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_has_registers_that_there_are() {
        let selection = PcrSelection::new(Bank::Sha256, &[7, 0, 23, 7]).unwrap();
        assert_eq!(selection.to_string(), "sha256:0,7,23");
        for wrong in [&[][..], &[24], &[0, 32], &[255]] {
            assert_eq!(PcrSelection::new(Bank::Sha256, wrong), Err(InvalidSelection), "{wrong:?}");
        }
    }
}
