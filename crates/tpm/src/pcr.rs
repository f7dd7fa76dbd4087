//! Platform configuration registers: their values, and the policy that binds a secret to them.

use crate::Tpm;
use crate::error::{Doing, TpmError};
use tss_esapi::interface_types::algorithm::HashingAlgorithm;
use tss_esapi::structures::{PcrSelectSize, PcrSelectionList, PcrSlot};
use wardein_crypto::{Digest, Sha256};
use wardein_domain::{Bank, PcrSelection};

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
        let [mask_0, mask_1, mask_2, _] = self.selection.mask().to_le_bytes();
        let [bank_0, bank_1] = self.selection.bank().id().to_be_bytes();
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
        let registers: Vec<u8> = selection.numbers().collect();
        // A TPM gives at most eight at a time.
        for some in registers.chunks(8) {
            let some =
                PcrSelection::new(selection.bank(), some).map_err(|_| TpmError::NoRegisters { selection })?;
            let list = selection_list(some)?;
            let read = self.context.execute_without_session(|context| context.pcr_read(list));
            let (.., digests) = read.doing("read the registers")?;
            values.extend(digests.value().iter().map(|digest| digest.value().to_vec()));
        }
        let is_whole = values.len() == registers.len();
        if !is_whole || values.iter().any(|value| value.len() != selection.bank().value_len()) {
            return Err(TpmError::NoRegisters { selection });
        }
        Ok(PcrValues { selection, values })
    }
}

/// The selection as libtss2 takes it.
pub(crate) fn selection_list(selection: PcrSelection) -> Result<PcrSelectionList, TpmError> {
    let selecting = "select registers";
    let bank = match selection.bank() {
        Bank::Sha256 => HashingAlgorithm::Sha256,
        Bank::Sha384 => HashingAlgorithm::Sha384,
    };
    let slots: Result<Vec<_>, _> = selection.numbers().map(|number| PcrSlot::try_from(1 << number)).collect();
    PcrSelectionList::builder()
        .with_size_of_select(PcrSelectSize::ThreeOctets)
        .with_selection(bank, &slots.doing(selecting)?)
        .build()
        .doing(selecting)
}

/// TPM_CC_PolicyPCR.
const POLICY_PCR: [u8; 4] = [0, 0, 0x01, 0x7f];
