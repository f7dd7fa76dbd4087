//! The sealed row of a device's keys.

use crate::kernel::Error;
use crate::seal::{self, Keyring, Nonce, Place};
use wardein_ddkg::authority::Record;
use wardein_port::{MAX_VALUE, Table};

/// A device's record, with what the engine knows beside it.
pub(crate) struct KeysRow {
    /// Unix seconds of the last accepted proof; 0 for none.
    pub(crate) last_seen: u64,
    /// Which restoring of the authority the newest generations were agreed after: its `restored_at` of then.
    restored_at: u64,
    /// The first generation that was agreed after it.
    fresh_from: u64,
    pub(crate) record: Record,
}

impl KeysRow {
    /// Of an enrollment, at an authority that was restored at `restored_at`.
    pub(crate) fn new(record: Record, restored_at: u64) -> Self {
        Self { last_seen: 0, restored_at, fresh_from: 0, record }
    }

    /// Whether that generation was agreed before the authority was last restored: what was spent of it since the backup is not known.
    ///
    /// It goes by what was written, and by no clock: one that was wrong then, or is now, lets nothing in and locks nobody out.
    pub(crate) fn is_stale(&self, generation: u64, restored_at: u64) -> bool {
        self.restored_at != restored_at || generation < self.fresh_from
    }

    /// Takes in that the device agreed on the generation that is pending now.
    pub(crate) fn agreed_anew(&mut self, restored_at: u64) {
        if self.restored_at != restored_at {
            self.restored_at = restored_at;
            self.fresh_from = self.record.pending_generation().unwrap_or(u64::MAX);
        }
    }

    /// The row under the newest version of its tenant's key.
    pub(crate) fn seal(&self, nonce: Nonce, ring: &Keyring, key: &[u8]) -> Result<Vec<u8>, Error> {
        ring.seal_with(nonce, keys_place(key), |out| {
            for number in [self.last_seen, self.restored_at, self.fresh_from] {
                out.extend(&number.to_be_bytes());
            }
            self.record.encode_to(out);
        })
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let (last_seen, rest) = number(bytes)?;
        let (restored_at, rest) = number(rest)?;
        let (fresh_from, record) = number(rest)?;
        let record = Record::decode(record).map_err(Error::internal)?;
        Ok(Self { last_seen, restored_at, fresh_from, record })
    }
}

/// Where the row at `key` belongs.
pub(crate) fn keys_place(key: &[u8]) -> Place<'_> {
    Place { table: Table::DeviceKeys, key, column: "keys" }
}

fn number(bytes: &[u8]) -> Result<(u64, &[u8]), Error> {
    let (number, rest) =
        bytes.split_first_chunk().ok_or_else(|| Error::internal("a device's keys are cut off"))?;
    Ok((u64::from_be_bytes(*number), rest))
}

/// In front of the record.
const HEADER: usize = 3 * 8;

// A device whose keys could not be stored would be locked out.
const _: () = assert!(HEADER + Record::MAX_LEN + seal::OVERHEAD <= MAX_VALUE);
