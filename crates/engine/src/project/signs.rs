//! When devices were last heard of: for the trust policies that ask.

use super::KnownDevice;
use super::changes::Changed;
use super::devices::KnownSigns;
use super::memory::{LOAD_PAGE, Memory};
use crate::kernel::Error;
use crate::rows::{self, KeysRow, SignatureKeyRow};
use std::sync::atomic::Ordering;
use wardein_domain::{TenantId, UnixSeconds, Verdict};
use wardein_port::{Store, Table};

impl Memory {
    /// Reads when each device was last heard of, and follows it from then on: the first policy that asks has all of it read. Of a commit
    /// whose outcome was unknown it hears with the device's next proof.
    pub(crate) async fn want_signs(&self, store: &dyn Store) -> Result<(), Error> {
        // First, so that what comes while it is read is not missed.
        self.wants_signs.store(true, Ordering::Release);
        self.has_signs.get_or_try_init(|| self.load_signs(store)).await.map(|_| ())
    }

    /// Reads it all again, where a policy asks: the feed has nothing of the devices that spoke to other nodes.
    pub(crate) async fn look_at_signs_again(&self, store: &dyn Store) -> Result<(), Error> {
        if !self.rules.looks_at_signs(None) {
            return Ok(());
        }
        if self.has_signs.initialized() { self.load_signs(store).await } else { self.want_signs(store).await }
    }

    async fn load_signs(&self, store: &dyn Store) -> Result<(), Error> {
        for table in [Table::DeviceHot, Table::SignatureKey] {
            let mut after = None;
            loop {
                let page = store.scan(table, b"", after.as_deref(), LOAD_PAGE).await?;
                for (key, row) in &page {
                    if let Some((tenant, Changed::Device(device))) =
                        self.take_in_signs(table, key, row.version, &row.value)?
                    {
                        // No commit is projected that would say so.
                        self.expect(&tenant, Vec::from([(self.clock.now().get(), device)]));
                    }
                }
                match page.into_iter().last() {
                    Some((key, _)) => after = Some(key),
                    None => break,
                }
            }
        }
        Ok(())
    }

    /// When a device was last heard of; whom it changes, if anybody.
    pub(super) fn take_in_signs(
        &self,
        table: Table,
        key: &[u8],
        version: u64,
        value: &[u8],
    ) -> Result<Option<(TenantId, Changed)>, Error> {
        let (seen, agreed, quoted) = match table {
            Table::DeviceHot => {
                let (seen, agreed) = KeysRow::seen_and_agreed(value)?;
                (seen, agreed, 0)
            }
            _ => {
                let row: SignatureKeyRow = rows::decode(table, value)?;
                let quoted = row.last_quote().map_or(0, |(_, at)| at);
                (row.last_seen.map_or(0, UnixSeconds::get), 0, quoted)
            }
        };
        let name = rows::parse_device_key(key)?;
        let signs = KnownSigns { version, seen, agreed, quoted };
        let Some(before) = self.devices.put_signs(&name, signs) else { return Ok(None) };
        if !self.changes.is_watched(&name.tenant) {
            return Ok(None);
        }
        let (lifetime, set) = self.rules.trust(&name.tenant, &before.profile);
        let Some(set) = set.filter(|set| set.policy.looks_at_signs()) else { return Ok(None) };
        let (after, now) = (before.with_signs(signs), self.clock.now().get());
        let is_approved = self.approves(&before, &set.policy);
        let judge = |known: &KnownDevice| {
            let judgment = Verdict::on_device(Some(&known.facts(lifetime, &set.policy, is_approved)), now);
            (judgment.verdict, judgment.reasons)
        };
        let is_changed = judge(&before) != judge(&after);
        Ok(is_changed.then_some((name.tenant, Changed::Device(name.device))))
    }
}
