//! What holds at an authority that was restored from a backup: it does not know what was spent since the backup was taken, so it takes
//! nothing of keys from before but a `rekey`.
//!
//! The challenge key is another one, so that no recorded request can be shown to it; what is left is what a device or platform makes
//! anew with keys from before, and is judged here.

use crate::kernel::{Engine, Error};
use crate::rows::KeysRow;
use wardein_domain::ErrorCode;

use wardein_ddkg::authority::{Record, Refusal};
use wardein_ddkg::{KeyName, Policy};

impl Engine {
    /// A refusal under `generation`, told as what it is where the device agreed on keys after the backup, which are not known here.
    pub(crate) fn refusal(&self, refusal: Refusal, keys: &KeysRow, generation: u64) -> Error {
        let could_be = matches!(refusal, Refusal::GenerationUnknown { .. } | Refusal::MacWrong);
        if could_be && self.is_lost(keys, generation) { keys_lost(generation) } else { refusal.into() }
    }

    /// What a device with keys from before is judged by: it may be further ahead than any that lost a reply or two.
    pub(crate) fn policy_towards(&self, keys: &KeysRow, policy: Policy) -> Policy {
        match keys.is_stale(keys.record.active_generation(), self.authority.restored_at) {
            true => Policy { proof_lead: LEAD, ..policy },
            false => policy,
        }
    }

    /// Judges the use of a key that was sealed with before: only what may be given out again anyway is given out.
    pub(crate) fn judge_stale(
        &self,
        keys: &KeysRow,
        key_name: &KeyName,
        is_archived: bool,
    ) -> Result<(), Error> {
        if self.is_lost(keys, key_name.generation) && !is_known(&keys.record, key_name.generation) {
            return Err(keys_lost(key_name.generation));
        }
        if is_archived {
            return Ok(());
        }
        let message = format_args!(
            "{key_name} dates from before the authority was restored from a backup; whether it was spent since is unknown. If it may be \
             given out again, have an administrator set `archive` in the device's profile"
        );
        Err(Error::new(ErrorCode::KeyFromBeforeRestore, message))
    }

    /// The first generation that an enrollment gets here. Those that were given out after the backup are not known, and no name of a
    /// key may ever stand for two keys; nobody rekeys once a second from 1970 on.
    pub(crate) fn first_generation(&self) -> u64 {
        self.authority.restored_at.get().saturating_add(1)
    }

    /// Whether the device may have agreed on that generation after the backup.
    fn is_lost(&self, keys: &KeysRow, generation: u64) -> bool {
        let active = keys.record.active_generation();
        generation > active && keys.is_stale(active, self.authority.restored_at)
    }
}

/// Epochs that a device may have gone on since the backup: with a period of an hour seven years, if the clock is wrong by as much.
const LEAD: u32 = 65_536;

fn is_known(record: &Record, generation: u64) -> bool {
    record.pending_generation() == Some(generation)
}

fn keys_lost(generation: u64) -> Error {
    let message = format_args!(
        "generation {generation} was agreed after the backup that this authority was restored from, and is unknown here; have an \
         administrator run `wardein device readmit --enroll-anew`, and enroll the device at a station"
    );
    Error::new(ErrorCode::KeysAfterBackup, message)
}
