//! Rules of an authority that was restored from a backup: it does not know which keys were spent since the backup, so with
//! earlier keys it accepts nothing but a `rekey`.
//!
//! The challenge key is another one, so that no recorded request can be replayed to it. What remains are new requests of devices
//! and platforms with earlier keys, which are judged here.

use crate::kernel::{Engine, Error};
use crate::rows::KeysRow;
use wardein_domain::ErrorCode;

use wardein_ddkg::authority::{Record, Refusal};
use wardein_ddkg::{KeyName, Policy};

impl Engine {
    /// A refusal under `generation`, which says so if the device agreed on keys after the backup, which are unknown here.
    pub(crate) fn refusal(&self, refusal: Refusal, keys: &KeysRow, generation: u64) -> Error {
        let could_be = matches!(refusal, Refusal::GenerationUnknown { .. } | Refusal::MacWrong);
        if could_be && self.is_lost(keys, generation) { keys_lost(generation) } else { refusal.into() }
    }

    /// The policy for a device with earlier keys: it may be further ahead than any that lost a reply or two.
    pub(crate) fn policy_towards(&self, keys: &KeysRow, policy: Policy) -> Policy {
        match keys.is_stale(keys.record.active_generation(), self.authority.restored_at) {
            true => Policy { proof_lead: LEAD, ..policy },
            false => policy,
        }
    }

    /// Judges the use of a key that was used before: only keys that may be given out again anyway are given out.
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

    /// The first generation that an enrollment gets here. Those that were given out after the backup are not known, and no name
    /// of a key may ever mean two keys; nobody rekeys once a second from 1970 on.
    pub(crate) fn first_generation(&self) -> u64 {
        self.authority.restored_at.get().saturating_add(1)
    }

    /// Whether the device may have agreed on that generation after the backup.
    fn is_lost(&self, keys: &KeysRow, generation: u64) -> bool {
        let active = keys.record.active_generation();
        generation > active && keys.is_stale(active, self.authority.restored_at)
    }
}

/// Epochs that a device may have gone on since the backup: with a period of an hour seven years, if the clock is wrong by as
/// much.
const LEAD: u32 = 65_536;

fn is_known(record: &Record, generation: u64) -> bool {
    record.pending_generation() == Some(generation)
}

fn keys_lost(generation: u64) -> Error {
    let message = format_args!(
        "generation {generation} was agreed after the backup that this authority was restored from, and is unknown here; have an \
         administrator run `wardein device readmit --reenroll`, and enroll the device at a station"
    );
    Error::new(ErrorCode::KeysAfterBackup, message)
}
