//! A device in a decision: its row, and its keys: opened, put into a change, and touched where its state changes.

use crate::kernel::{Engine, Error, Held, Stop, Tx};
use crate::rows::{self, DeviceRow, KeysRow, cold_place};
use wardein_ddkg::DeviceName;
use wardein_domain::UnixSeconds;
use wardein_port::{Change, Row, Table, Write};

impl Engine {
    /// The row of a device that is there, with its version.
    pub(crate) fn device_row(&self, tx: &Tx<'_>, name: &DeviceName) -> Result<(u64, DeviceRow), Stop> {
        Ok(tx.row(Table::Device, &rows::device_key(name))?.ok_or_else(|| Error::no_device(name))?)
    }

    /// Alters the row of a device that is there, also one that the change writes already.
    pub(crate) fn alter_device(
        &self,
        tx: &Tx<'_>,
        change: &mut Change,
        name: &DeviceName,
        alter: impl FnOnce(&mut DeviceRow),
    ) -> Result<(), Stop> {
        let key = rows::device_key(name);
        let written = change.writes.iter_mut().find(|write| write.table == Table::Device && write.key == key);
        if let Some(Write { value: Some(value), .. }) = written {
            let mut row: DeviceRow = rows::decode(Table::Device, value)?;
            alter(&mut row);
            *value = rows::encode(&row)?;
            return Ok(());
        }
        let (version, mut row) = self.device_row(tx, name)?;
        let before = rows::encode(&row)?;
        alter(&mut row);
        let value = rows::encode(&row)?;
        if value != before {
            change.update(Table::Device, key, version, value);
        }
        Ok(())
    }

    /// The stored keys of a device, opened.
    pub(crate) fn load_keys(&self, tx: &Tx<'_>, name: &DeviceName) -> Result<Option<Held>, Stop> {
        let key = rows::device_key(name);
        let mut found = tx.get(Table::DeviceKeys, &key)?;
        while let Some(cold) = found {
            let hot = tx.get(Table::DeviceHot, &key)?;
            // A sweep or a shredding may have written both, or erased them, between the two reads.
            found = tx.get(Table::DeviceKeys, &key)?;
            if found.as_ref().is_some_and(|again| again.version == cold.version) {
                let hot = hot.ok_or_else(|| rows::damaged(Table::DeviceHot, "is missing"))?;
                return self.unseal(name, &key, &cold, &hot).map(Some);
            }
        }
        Ok(None)
    }

    /// The same, without opening them where they are in memory.
    pub(crate) fn open_keys(&self, tx: &mut Tx<'_>, name: &DeviceName) -> Result<Option<Held>, Stop> {
        let version = tx.get(Table::DeviceHot, &rows::device_key(name))?.map(|hot| hot.version);
        match tx.take_keys(name) {
            Some(held) if Some(held.version) == version => Ok(Some(held)),
            _ => self.load_keys(tx, name),
        }
    }

    /// When, in Unix seconds, a device last proved or signed something. No key is opened for it.
    pub(crate) fn last_seen(&self, tx: &Tx<'_>, name: &DeviceName) -> Result<Option<UnixSeconds>, Stop> {
        match tx.get(Table::DeviceHot, &rows::device_key(name))? {
            Some(hot) => Ok(KeysRow::last_seen(&hot.value)?),
            None => Ok(self.signature_key(tx, name)?.and_then(|(_, row)| row.last_seen)),
        }
    }

    fn unseal(&self, name: &DeviceName, key: &[u8], cold: &Row, hot: &Row) -> Result<Held, Stop> {
        let opened = self.memory.tenant_key(&name.tenant)?.open(cold_place(key), &cold.value)?;
        let keys = Box::new(KeysRow::decode(opened.expose(), &hot.value)?);
        Ok(Held { cold: cold.version, version: hot.version, keys })
    }

    /// Adds the next version of a device's keys to `change`: the hot row, and the cold one where it changed. The version of the cold one
    /// where it stays.
    pub(crate) fn put_keys(
        &self,
        tx: &Tx<'_>,
        change: &mut Change,
        name: &DeviceName,
        (cold, hot): (u64, u64),
        keys: &mut KeysRow,
    ) -> Result<Option<u64>, Error> {
        let key = rows::device_key(name);
        let is_cold_written = keys.is_cold_changed();
        if is_cold_written {
            let sealed = keys.seal_cold(tx.nonce()?, &*self.memory.tenant_key(&name.tenant)?, &key)?;
            change.update(Table::DeviceKeys, key.clone(), cold, sealed);
            keys.mark_stored();
        }
        change.update(Table::DeviceHot, key, hot, keys.encode_hot());
        Ok((!is_cold_written).then_some(cold))
    }

    /// Has a proof of the device that is in flight fail, so that it is judged again: a change of a device's state also rewrites the
    /// row that its proofs update.
    pub(crate) fn touch_keys(&self, tx: &Tx<'_>, change: &mut Change, name: &DeviceName) -> Result<(), Stop> {
        let key = rows::device_key(name);
        for table in [Table::DeviceHot, Table::SignatureKey] {
            if let Some(row) = tx.get(table, &key)? {
                change.update(table, key.clone(), row.version, row.value);
            }
        }
        Ok(())
    }
}
