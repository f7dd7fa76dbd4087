//! The view of a decision.

use crate::kernel::{Draw, Error, Guard, Held, Stop};
use crate::project::Memory;
use crate::rows::{self, OperatorRow};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::sync::Arc;
use wardein_crypto::AES_256_GCM_NONCE_LEN;
use wardein_ddkg::DeviceName;
use wardein_domain::{Serial, TenantId, UnixSeconds};
use wardein_port::{EntropySource, Others, Peek, Row, RowKey, Store, Table};

/// The rows, the random bytes and the record of one decision. A decision awaits nothing: where a row is not at hand it stops with
/// [`Stop::Need`], and is made again once the row is loaded.
pub(crate) struct Tx<'a> {
    store: &'a dyn Store,
    /// Rows that had to be loaded; none with an embedded store.
    loaded: BTreeMap<RowKey, Option<Row>>,
    draw: Draw<'a>,
    /// That no other decision of this node is made on the record of this device.
    pub(super) guard: Option<Guard>,
    /// A reservation of a place for what is being made.
    pub(super) place: Option<Box<dyn Send>>,
    /// What its change rests on that other nodes may make wrong.
    pub(super) others: Option<Others>,
    /// Whether other nodes were heard since it began.
    pub(super) has_heard: bool,
}

impl<'a> Tx<'a> {
    pub(super) fn new(store: &'a dyn Store, entropy: &'a dyn EntropySource, guard: Option<Guard>) -> Self {
        let draw = Draw::new(entropy);
        Self { store, loaded: BTreeMap::new(), draw, guard, place: None, others: None, has_heard: false }
    }

    /// The row at `key`.
    pub(crate) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Row>, Stop> {
        if !self.loaded.is_empty() {
            let key = RowKey { table, key: key.to_vec() };
            if let Some(row) = self.loaded.get(&key) {
                return Ok(row.clone());
            }
        }
        match self.store.peek(table, key)? {
            Peek::Found(row) => Ok(row),
            Peek::Later => Err(Stop::Need(vec![RowKey { table, key: key.to_vec() }])),
        }
    }

    /// Sees to it that all these rows are at hand. Those that are not are loaded together: a decision on many rows would otherwise be
    /// made again for each.
    pub(crate) fn need(&self, keys: Vec<RowKey>) -> Result<(), Stop> {
        let mut missing = Vec::new();
        for key in keys {
            let is_loaded = self.loaded.contains_key(&key);
            if !is_loaded && matches!(self.store.peek(key.table, &key.key)?, Peek::Later) {
                missing.push(key);
            }
        }
        if missing.is_empty() { Ok(()) } else { Err(Stop::Need(missing)) }
    }

    /// The decoded row at `key` with its version.
    pub(crate) fn row<T: DeserializeOwned>(
        &self,
        table: Table,
        key: &[u8],
    ) -> Result<Option<(u64, T)>, Stop> {
        match self.get(table, key)? {
            Some(Row { version, value }) => Ok(Some((version, rows::decode(table, &value)?))),
            None => Ok(None),
        }
    }

    /// Random bytes for keys, serials and nonces of protocols.
    pub(crate) fn draw(&mut self) -> &mut Draw<'a> {
        &mut self.draw
    }

    /// A nonce to seal with.
    pub(crate) fn nonce(&self) -> Result<[u8; AES_256_GCM_NONCE_LEN], Error> {
        self.draw.nonce()
    }

    /// The opened keys of `device`, if its record is held and they are in memory.
    pub(crate) fn take_keys(&mut self, device: &DeviceName) -> Option<Held> {
        self.guard.as_mut().filter(|guard| guard.device() == device).and_then(Guard::take)
    }

    /// Puts back keys that were looked at and not changed.
    pub(crate) fn put_back(&mut self, keys: Held) {
        if let Some(guard) = &mut self.guard {
            guard.put(keys);
        }
    }

    /// Reserves a place of a station's quota, once. It is kept until the commit is projected, or the decision comes to nothing.
    pub(crate) fn reserve_quota(
        &mut self,
        memory: &Arc<Memory>,
        station: &Serial,
        device: &DeviceName,
    ) -> Result<(), Stop> {
        // First: what memory hears of in between is counted as not heard of.
        let heard = self.store.others();
        let quota = match memory.operator(station) {
            Some(known) => known.quota,
            // It is left out of memory where the clock said at the start that it has expired.
            None => {
                let row = self.row::<OperatorRow>(Table::Operator, station.as_bytes())?;
                row.ok_or_else(Error::not_on_record)?.1.quota
            }
        };
        if self.place.is_none() {
            self.place = Some(Box::new(memory.reserve_quota(station, quota, device)?));
        }
        // Other nodes reserve places too: as long as they cannot have taken all that are left, this one is free.
        let most = quota
            .checked_sub(memory.taken_by(station))
            .ok_or_else(|| Stop::from(Error::quota_exhausted(quota)))?;
        let row = RowKey { table: Table::Operator, key: station.as_bytes().to_vec() };
        self.others = Some(Others { heard, most, row });
        Ok(())
    }

    /// Reserves a place among the operators of a tenant likewise.
    pub(crate) fn reserve_operator(
        &mut self,
        memory: &Arc<Memory>,
        tenant: &Option<TenantId>,
        now: UnixSeconds,
    ) -> Result<(), Error> {
        if self.place.is_none() {
            self.place = Some(Box::new(memory.reserve_operator(tenant, now)?));
        }
        Ok(())
    }

    /// Whether a refusal would be the answer. One that another node may have made wrong is decided once more, and leaves no trace before.
    pub(crate) fn is_final(&self) -> bool {
        self.has_heard || self.store.is_alone()
    }

    /// Adds the missing rows, and starts over.
    pub(super) fn take_in(&mut self, key: RowKey, row: Option<Row>) {
        self.loaded.insert(key, row);
        self.others = None;
        self.draw.rewind();
    }

    /// Forgets what it has read: some of it has changed since.
    pub(super) fn forget(&mut self) {
        self.loaded.clear();
        self.others = None;
        self.draw.renew();
        if let Some(guard) = &mut self.guard {
            drop(guard.take());
        }
    }
}
