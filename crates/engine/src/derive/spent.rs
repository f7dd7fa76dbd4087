//! Keys that are spent: one row each, inserted with the record that the key came from, and never before or after it.

use crate::kernel::{Caller, Engine, Error, Stop, Tx};
use crate::rows::{self, OperatorRow, SpentRow};
use wardein_crypto::Digest;
use wardein_ddkg::{DeviceName, KeyName};
use wardein_domain::{ErrorCode, Principal, UnixSeconds};
use wardein_port::{Change, RowKey, Table};

/// Seconds within which a platform whose reply was lost may ask the same again. Long enough for a retry after a time-out, and
/// short beside the time for which anybody could make use of a captured request.
pub const REPEAT_WINDOW: u64 = 300;

/// Who spends a key, and on what.
pub(crate) struct Spending<'a> {
    pub(crate) caller: &'a Caller,
    /// The SHA-256 of the idempotency key.
    pub(crate) idempotency: Digest,
    /// The SHA-256 of the message that shows the key; none if its name alone is known.
    pub(crate) message: Option<Digest>,
}

/// How an attempt to spend a key relates to the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The key is not spent.
    First,
    /// The one who spent it asks the same again, in time: its reply was lost.
    Repeated,
    /// It is spent, on the same message as far as that can be told.
    Spent,
    /// It is spent on another message. If this one is right too, two holders of the device's state speak.
    OtherMessage,
}

impl Spending<'_> {
    pub(crate) fn row(&self, now: UnixSeconds) -> SpentRow {
        SpentRow {
            at: now,
            by: self.caller.principal.serial,
            idempotency: self.idempotency.0,
            message: self.message.map(|digest| digest.0),
        }
    }

    /// `is_of_caller`: whether the operator that spent the key is the caller, by whichever of its certificates.
    pub(crate) fn standing(
        &self,
        present: Option<&SpentRow>,
        is_of_caller: bool,
        now: UnixSeconds,
    ) -> Standing {
        let Some(row) = present else { return Standing::First };
        let asked = self.row(row.at);
        if asked.message.is_some() && row.message.is_some() && asked.message != row.message {
            return Standing::OtherMessage;
        }
        let is_same = is_of_caller && (asked.idempotency, asked.message) == (row.idempotency, row.message);
        // A clock that was set back since must not make the window longer.
        let is_in_time = now.get().abs_diff(row.at.get()) <= REPEAT_WINDOW;
        if is_same && is_in_time { Standing::Repeated } else { Standing::Spent }
    }
}

impl Engine {
    /// The record of a spent key, with its version; none while it is not spent.
    pub(crate) fn spent(&self, tx: &Tx<'_>, name: &KeyName) -> Result<Option<(u64, SpentRow)>, Stop> {
        tx.row(Table::Spent, &key(name))
    }

    /// Whether a key was spent by this operator, perhaps with a certificate that it has renewed since. One that was revoked since
    /// may have been another's.
    pub(crate) fn is_spent_by(
        &self,
        tx: &Tx<'_>,
        row: Option<&SpentRow>,
        caller: &Caller,
    ) -> Result<bool, Stop> {
        let Some(row) = row else { return Ok(false) };
        if row.by == caller.principal.serial {
            return Ok(true);
        }
        let of_spender: Option<(u64, OperatorRow)> = tx.row(Table::Operator, row.by.as_bytes())?;
        let is_same = |(_, row): (u64, OperatorRow)| {
            row.revoked.is_none() && row.principal(caller.principal.serial) == caller.principal
        };
        Ok(of_spender.is_some_and(is_same))
    }

    /// Has `change` remember what the caller's idempotency key is used for; refuses one that it used for something else while that may
    /// be repeated. A platform that has one key for all its requests gives away what the key is for, and would not notice.
    pub(crate) fn use_idempotency_key(
        &self,
        tx: &Tx<'_>,
        change: &mut Change,
        spending: &Spending<'_>,
        now: UnixSeconds,
    ) -> Result<(), Stop> {
        if self.is_idempotency_key_used(tx, spending, now)? {
            return Err(idempotency_key_used().into());
        }
        change.insert(Table::IdempotencyKey, idempotency_key(window(now), spending), rows::encode(&())?);
        Ok(())
    }

    /// Whether the caller's idempotency key was used for a request that may still be repeated.
    pub(crate) fn is_idempotency_key_used(
        &self,
        tx: &Tx<'_>,
        spending: &Spending<'_>,
        now: UnixSeconds,
    ) -> Result<bool, Stop> {
        let window = window(now);
        for window in [window.saturating_sub(1), window] {
            if tx.get(Table::IdempotencyKey, &idempotency_key(window, spending))?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Forgets up to so many idempotency keys that nobody may repeat any more; whether there are more.
    pub(crate) async fn forget_idempotency_keys(&self, limit: usize) -> Result<bool, Error> {
        let over = window(self.time()).saturating_sub(1).to_be_bytes();
        let page = self.store.scan(Table::IdempotencyKey, b"", None, limit).await?;
        let mut change = Change::default();
        for (key, row) in page {
            if key.get(..over.len()).is_none_or(|window| window < &over[..]) {
                change.delete(Table::IdempotencyKey, key, row.version);
            }
        }
        let is_all = change.writes.len() == limit;
        if !change.is_empty() {
            self.commit_alone(change).await?;
        }
        Ok(is_all)
    }

    /// Forgets the spent keys of a device that can be derived no more, which is all that is needed to refuse them: the sweep's
    /// step after the record is moved forward, or erased. Gives how many there were.
    ///
    /// The record is read after the rows: it yielded their keys when they were spent, and what it does not yield since, it never
    /// will. Read before them, it would not know the keys of a rekey in between, and a token of those could be used twice.
    pub async fn forget_spent(&self, device: &DeviceName) -> Result<u64, Error> {
        let prefix = prefix(device);
        let (mut after, mut forgotten) = (None, 0);
        loop {
            let page = self.store.scan(Table::Spent, &prefix, after.as_deref(), PAGE).await?;
            if page.is_empty() {
                return Ok(forgotten);
            }
            let record = self.look(|tx| self.load_keys(tx, device)).await?.map(|held| held.keys.record);
            let mut change = Change::default();
            for (key, row) in page {
                let name = parse(device, &prefix, &key)?;
                if record.as_ref().is_some_and(|record| record.yields(&name)) {
                    // So are all later epochs of that generation and purpose: on behind them.
                    let group = key.get(..prefix.len() + GROUP).unwrap_or(&key);
                    after = Some([group, &[0xff; LEAF + 1]].concat());
                    break;
                }
                change.delete(Table::Spent, key.clone(), row.version);
                after = Some(key);
            }
            forgotten += change.writes.len() as u64;
            if !change.is_empty() {
                self.commit_alone(change).await?;
            }
        }
    }
}

/// A platform's idempotency key comes with a second request.
pub(crate) fn idempotency_key_used() -> Error {
    let message = "idempotency_key: it was used for another request; draw one at random for each";
    Error::new(ErrorCode::IdempotencyKeyUsed, message)
}

/// The row that says whether a key is spent.
pub(crate) fn row_key(name: &KeyName) -> RowKey {
    RowKey { table: Table::Spent, key: key(name) }
}

/// Adds to `change` that a key is spent. The row must not exist.
pub(crate) fn spend(change: &mut Change, name: &KeyName, row: &SpentRow) -> Result<(), Error> {
    change.insert(Table::Spent, key(name), rows::encode(row)?);
    Ok(())
}

/// Adds to `change` that a key that was shown in a message is out now: its holder can make another message.
pub(crate) fn forget_message(
    change: &mut Change,
    name: &KeyName,
    version: u64,
    row: SpentRow,
) -> Result<(), Error> {
    change.update(Table::Spent, key(name), version, rows::encode(&SpentRow { message: None, ..row })?);
    Ok(())
}

/// Which span of [`REPEAT_WINDOW`] seconds it is: what was used within the last so many is in this one or the one before.
fn window(now: UnixSeconds) -> u32 {
    u32::try_from(now.get() / REPEAT_WINDOW).unwrap_or(u32::MAX)
}

/// `u32(window) ‖ SHA-256(operator ‖ idempotency key)`, so that rows of one time are beside each other, and go together.
fn idempotency_key(window: u32, spending: &Spending<'_>) -> Vec<u8> {
    let Principal { role, tenant, name, .. } = &spending.caller.principal;
    let operator = rows::operator_name_key(*role, tenant.as_ref(), name);
    let digest = Digest::of(&[&operator[..], &[0], &spending.idempotency.0].concat());
    [&window.to_be_bytes()[..], &digest.0].concat()
}

/// How many rows are looked at, and erased, in one change.
const PAGE: usize = 256;

/// Generation and purpose, then epoch and number.
const GROUP: usize = 8 + 1;
const LEAF: usize = 4 + 8;

/// `tenant ‖ 0 ‖ device ‖ 0`.
fn prefix(device: &DeviceName) -> Vec<u8> {
    rows::certificate_prefix(&device.tenant, &device.device)
}

/// `tenant ‖ 0 ‖ device ‖ 0 ‖ u64(g) ‖ u8(purpose) ‖ u32(e) ‖ u64(n)`, so that keys are in the order of their epochs.
fn key(name: &KeyName) -> Vec<u8> {
    let mut key = prefix(&name.owner);
    key.extend_from_slice(&name.generation.to_be_bytes());
    key.push(name.purpose as u8);
    key.extend_from_slice(&name.epoch.to_be_bytes());
    key.extend_from_slice(&name.number.to_be_bytes());
    key
}

fn parse(owner: &DeviceName, prefix: &[u8], key: &[u8]) -> Result<KeyName, Error> {
    let damaged = || Error::internal("the key of a spent key is damaged");
    let rest = key.strip_prefix(prefix).ok_or_else(damaged)?;
    let (generation, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
    let (purpose, rest) = rest.split_first().ok_or_else(damaged)?;
    let (epoch, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
    let number = rest.try_into().map_err(|_| damaged())?;
    let purposes = wardein_domain::Purpose::ALL;
    Ok(KeyName {
        owner: owner.clone(),
        generation: u64::from_be_bytes(*generation),
        purpose: purposes.into_iter().find(|known| *known as u8 == *purpose).ok_or_else(damaged)?,
        epoch: u32::from_be_bytes(*epoch),
        number: u64::from_be_bytes(number),
    })
}
