//! The row of a PCR policy, at tenant and profile.

use super::column;
use crate::kernel::Error;
use serde::{Deserialize, Serialize};
use wardein_attest::PcrSelection;
use wardein_crypto::tpm::HashAlgorithm;

#[derive(Serialize, Deserialize)]
pub(crate) enum PcrPolicyRow {
    Any,
    Golden {
        #[serde(with = "column")]
        bank: HashAlgorithm,
        /// Each PCR with its allowed values.
        allowed: Vec<(u8, Vec<Vec<u8>>)>,
    },
    AsEnrolled(SelectionRow),
}

/// A [`PcrSelection`].
#[derive(Serialize, Deserialize)]
pub(crate) struct SelectionRow {
    #[serde(with = "column")]
    pub(super) bank: HashAlgorithm,
    pub(super) pcrs: Vec<u8>,
}

impl From<PcrSelection> for SelectionRow {
    fn from(selection: PcrSelection) -> Self {
        Self { bank: selection.bank(), pcrs: selection.registers().collect() }
    }
}

impl SelectionRow {
    pub(crate) fn parse(&self) -> Result<PcrSelection, Error> {
        PcrSelection::new(self.bank, &self.pcrs).map_err(Error::internal)
    }
}
