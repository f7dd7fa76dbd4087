//! The two rows of a device's keys, at tenant and id.
//!
//! The cold one is sealed under the tenant's key: the trees and everything else that changes when an epoch moves, or more rarely.
//! The hot one is in the clear, and every proof writes it; it holds no key. They are written together where both change, and the
//! record refuses a hot part that belongs to another cold one.

use super::damaged;
use crate::kernel::Error;
use crate::rows::seal::{self, Keyring, Nonce, Place};
use wardein_crypto::SecretBytes;
use wardein_ddkg::EmergencyCode;
use wardein_ddkg::authority::Record;
use wardein_ddkg::message::ServiceKey;
use wardein_domain::UnixSeconds;
use wardein_port::{MAX_VALUE, Table};

/// A device's record, with the engine's own facts about it.
pub(crate) struct KeysRow {
    /// The last accepted proof; 0 for none.
    pub(crate) last_seen: UnixSeconds,
    /// Which restoring of the authority the newest generations were agreed after: its `restored_at` at that time.
    restored_at: UnixSeconds,
    /// The first generation that was agreed after it.
    fresh_from: u64,
    /// Whether one of these two has changed since they were stored.
    is_head_changed: bool,
    /// The device's code for emergencies, where it has said one.
    emergency: Option<Emergency>,
    pub(crate) record: Record,
}

/// A device's code for emergencies (DDKG-1 §7.2).
pub(crate) struct Emergency {
    pub(crate) key: ServiceKey,
    pub(crate) code: EmergencyCode,
    pub(crate) stored: UnixSeconds,
    /// Whether anybody was shown it, so that the device is to make another.
    pub(crate) is_shown: bool,
}

impl KeysRow {
    /// Of an enrollment, at an authority that was restored at `restored_at`.
    pub(crate) fn new(record: Record, restored_at: UnixSeconds) -> Self {
        let last_seen = UnixSeconds::default();
        Self { last_seen, restored_at, fresh_from: 0, is_head_changed: true, emergency: None, record }
    }

    /// Of a device that comes from another tenant. `former` has what was agreed on under its name before.
    pub(crate) fn transferred(record: Record, former: Option<Agreed>, restored_at: UnixSeconds) -> Self {
        let fresh_from = match former {
            None => 0,
            Some(Agreed { restored_at: of_then, fresh_from }) if of_then == restored_at => fresh_from,
            Some(_) => record.active_generation(),
        };
        Self { fresh_from, ..Self::new(record, restored_at) }
    }

    /// The record, and which of its generations were agreed when.
    pub(crate) fn into_record(self) -> (Record, Agreed) {
        (self.record, Agreed { restored_at: self.restored_at, fresh_from: self.fresh_from })
    }

    /// Whether that generation was agreed before the authority was last restored: its keys spent since the backup are unknown.
    ///
    /// It rests on stored facts, not on a clock: one that was wrong then, or is now, lets nothing in and locks nobody out.
    pub(crate) fn is_stale(&self, generation: u64, restored_at: UnixSeconds) -> bool {
        self.restored_at != restored_at || generation < self.fresh_from
    }

    /// Records that the device rekeyed to the generation that is pending now.
    pub(crate) fn rekeyed(&mut self, restored_at: UnixSeconds) {
        if self.restored_at != restored_at {
            self.restored_at = restored_at;
            self.fresh_from = self.record.pending_generation().unwrap_or(u64::MAX);
            self.is_head_changed = true;
        }
    }

    /// The device's code for emergencies.
    pub(crate) fn emergency(&self) -> Option<&Emergency> {
        self.emergency.as_ref()
    }

    /// The record, and the place of that code beside it.
    pub(crate) fn parts(&mut self) -> (&mut Record, EmergencyPlace<'_>) {
        let Self { record, emergency: held, is_head_changed: is_changed, .. } = self;
        (record, EmergencyPlace { held, is_changed })
    }

    /// Notes that somebody was shown it.
    pub(crate) fn show_emergency(&mut self) {
        if let Some(emergency) = self.emergency.as_mut().filter(|emergency| !emergency.is_shown) {
            emergency.is_shown = true;
            self.is_head_changed = true;
        }
    }

    /// Whether the cold row has to be written.
    pub(crate) fn is_cold_changed(&self) -> bool {
        self.is_head_changed || self.record.is_cold_changed()
    }

    /// Both rows are in a change.
    pub(crate) fn mark_stored(&mut self) {
        self.is_head_changed = false;
        self.record.mark_stored();
    }

    /// The cold row under the newest version of its tenant's key.
    pub(crate) fn seal_cold(&self, nonce: Nonce, ring: &Keyring, key: &[u8]) -> Result<Vec<u8>, Error> {
        ring.seal_with(nonce, cold_place(key), |out| {
            if let Some(emergency) = &self.emergency {
                emergency.put(out);
            }
            for number in [self.restored_at.get(), self.fresh_from] {
                out.extend(&number.to_be_bytes());
            }
            self.record.encode_cold_to(out);
        })
    }

    /// The hot row: the format, the last accepted proof, when the active generation was agreed, and the record's hot part.
    pub(crate) fn encode_hot(&self) -> Vec<u8> {
        let mut value = Vec::with_capacity(256);
        value.push(super::FORMAT);
        value.extend_from_slice(&self.last_seen.get().to_be_bytes());
        value.extend_from_slice(&self.record.schedule().not_before.to_be_bytes());
        value.extend_from_slice(&self.record.encode_hot());
        value
    }

    /// Out of the opened cold row and the hot one.
    pub(crate) fn decode(cold: &[u8], hot: &[u8]) -> Result<Self, Error> {
        let (emergency, cold) = Emergency::read(cold)?;
        let (restored_at, rest) = number(Table::DeviceKeys, cold)?;
        let (fresh_from, cold) = number(Table::DeviceKeys, rest)?;
        let (last_seen, _, hot) = Self::opened_hot(hot)?;
        let record = Record::decode(cold, hot).map_err(|error| damaged(Table::DeviceKeys, error))?;
        let (last_seen, restored_at) = (UnixSeconds::new(last_seen), UnixSeconds::new(restored_at));
        Ok(Self { last_seen, restored_at, fresh_from, is_head_changed: false, emergency, record })
    }

    /// The last accepted proof, which a hot row shows without the keys; `None` if there was none.
    pub(crate) fn last_seen(hot: &[u8]) -> Result<Option<UnixSeconds>, Error> {
        let (last_seen, ..) = Self::opened_hot(hot)?;
        Ok(Some(UnixSeconds::new(last_seen)).filter(|seen| seen.get() != 0))
    }

    /// The last accepted proof, 0 if there was none, and when the active generation was agreed: in Unix seconds.
    pub(crate) fn seen_and_agreed(hot: &[u8]) -> Result<(u64, u64), Error> {
        Self::opened_hot(hot).map(|(last_seen, agreed, _)| (last_seen, agreed))
    }

    fn opened_hot(hot: &[u8]) -> Result<(u64, u64, &[u8]), Error> {
        let (last_seen, rest) = number(Table::DeviceHot, super::body(Table::DeviceHot, hot, super::FORMAT)?)?;
        let (agreed, record) = number(Table::DeviceHot, rest)?;
        Ok((last_seen, agreed, record))
    }

    /// Of the row of format 1, opened: last seen, restored at, fresh from, and the record in one piece.
    pub(super) fn decode_v1(bytes: &[u8]) -> Result<Self, Error> {
        let (last_seen, rest) = number(Table::DeviceKeys, bytes)?;
        let (restored_at, rest) = number(Table::DeviceKeys, rest)?;
        let (fresh_from, record) = number(Table::DeviceKeys, rest)?;
        let record = Record::decode_v1(record).map_err(|error| damaged(Table::DeviceKeys, error))?;
        let (last_seen, restored_at) = (UnixSeconds::new(last_seen), UnixSeconds::new(restored_at));
        Ok(Self { last_seen, restored_at, fresh_from, is_head_changed: true, emergency: None, record })
    }
}

/// Where a device's code for emergencies is kept.
pub(crate) struct EmergencyPlace<'a> {
    held: &'a mut Option<Emergency>,
    is_changed: &'a mut bool,
}

impl EmergencyPlace<'_> {
    pub(crate) fn get(&self) -> Option<&Emergency> {
        self.held.as_ref()
    }

    /// Puts another in its place.
    pub(crate) fn set(&mut self, emergency: Emergency) {
        *self.held = Some(emergency);
        *self.is_changed = true;
    }
}

impl Emergency {
    /// The marker, then the key, when it was stored, whether it was shown, and the digits of the code.
    fn put(&self, out: &mut SecretBytes) {
        let Self { key: ServiceKey { generation, epoch, number }, code, stored, is_shown } = self;
        out.extend(&EMERGENCY.to_be_bytes());
        out.extend(&generation.to_be_bytes());
        out.extend(&epoch.to_be_bytes());
        out.extend(&number.to_be_bytes());
        out.extend(&stored.get().to_be_bytes());
        out.extend(&[u8::from(*is_shown)]);
        out.extend(code.to_text().expose());
    }

    /// The inverse of [`Emergency::put`], with what follows; none where the marker is not there.
    fn read(bytes: &[u8]) -> Result<(Option<Self>, &[u8]), Error> {
        let Some(rest) = bytes.strip_prefix(&EMERGENCY.to_be_bytes()) else { return Ok((None, bytes)) };
        let cut = || damaged(Table::DeviceKeys, "is cut off");
        let (generation, rest) = number(Table::DeviceKeys, rest)?;
        let (epoch, rest) = rest.split_first_chunk().ok_or_else(cut)?;
        let (of_key, rest) = number(Table::DeviceKeys, rest)?;
        let (stored, rest) = number(Table::DeviceKeys, rest)?;
        let (is_shown, rest) = rest.split_first().ok_or_else(cut)?;
        let (text, rest) = rest.split_at_checked(EMERGENCY_TEXT).ok_or_else(cut)?;
        let code = EmergencyCode::parse(text).map_err(|error| damaged(Table::DeviceKeys, error))?;
        let key = ServiceKey { generation, epoch: u32::from_be_bytes(*epoch), number: of_key };
        let stored = UnixSeconds::new(stored);
        Ok((Some(Self { key, code, stored, is_shown: *is_shown != 0 }), rest))
    }
}

/// Which generations of a record were agreed after which restoring of the authority.
#[derive(Clone, Copy)]
pub(crate) struct Agreed {
    restored_at: UnixSeconds,
    fresh_from: u64,
}

/// Where the cold row at `key` belongs.
pub(crate) fn cold_place(key: &[u8]) -> Place<'_> {
    Place { table: Table::DeviceKeys, key, column: "cold" }
}

fn number(table: Table, bytes: &[u8]) -> Result<(u64, &[u8]), Error> {
    let (number, rest) = bytes.split_first_chunk().ok_or_else(|| damaged(table, "is cut off"))?;
    Ok((u64::from_be_bytes(*number), rest))
}

/// What a cold row with a code for emergencies begins with: a time that no other begins with.
const EMERGENCY: u64 = u64::MAX;

/// The characters of such a code.
const EMERGENCY_TEXT: usize = 19;

/// In front of the cold record.
const COLD_HEADER: usize = 2 * 8 + (8 + 8 + 4 + 8 + 8 + 1 + EMERGENCY_TEXT);

/// In front of the hot one.
const HOT_HEADER: usize = 1 + 2 * 8;

// A device whose keys could not be stored would be locked out.
const _: () = assert!(COLD_HEADER + Record::MAX_COLD_LEN + seal::OVERHEAD <= MAX_VALUE);
const _: () = assert!(HOT_HEADER + Record::MAX_HOT_LEN <= MAX_VALUE);
