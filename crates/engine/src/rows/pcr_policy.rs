//! The row of a PCR policy, at tenant and profile.

use super::column;
use crate::kernel::Error;
use serde::{Deserialize, Serialize};
use wardein_domain::{Bank, InvalidSelection, PcrSelection};

#[derive(Serialize, Deserialize)]
pub(crate) enum PcrPolicyRow {
    Any,
    Golden {
        #[serde(with = "column")]
        bank: Bank,
        /// Each PCR with its allowed values.
        allowed: Vec<(u8, Vec<Vec<u8>>)>,
    },
    AsEnrolled(SelectionRow),
}

/// A [`PcrSelection`].
#[derive(Serialize, Deserialize)]
pub(crate) struct SelectionRow {
    #[serde(with = "column")]
    pub(super) bank: Bank,
    pub(super) pcrs: Vec<u8>,
}

impl From<PcrSelection> for SelectionRow {
    fn from(selection: PcrSelection) -> Self {
        Self { bank: selection.bank(), pcrs: selection.numbers().collect() }
    }
}

impl SelectionRow {
    pub(crate) fn parse(&self) -> Result<PcrSelection, Error> {
        // One that only an earlier release took.
        let stale = |error: InvalidSelection| {
            Error::internal(format_args!("{error}; set the policy again with those"))
        };
        PcrSelection::new(self.bank, &self.pcrs).map_err(stale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The log says what an administrator does about a policy that only 0.1 took.
    #[test]
    fn a_policy_of_pcrs_that_no_tpm_quotes_is_to_be_set_again() {
        let row = SelectionRow { bank: Bank::Sha256, pcrs: vec![0, 24] };
        let refused = row.parse().unwrap_err();
        assert!(refused.message.contains("set the policy again"), "{refused}");
    }
}
