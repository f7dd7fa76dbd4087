//! The action `transfer` (DDKG-1 §6.2): the device agrees on keys with the tenant that it goes over to. Until it proves something
//! with them it is the giving tenant's, so a lost reply is requested again.

use super::{Done, Performing, require_suite};
use crate::fleet::transfers::both;
use crate::kernel::record::{self, Recording, device_text, target};
use crate::kernel::{Engine, Error, Stop, Tx};
use crate::rows::{self, DeviceRow, KeysRow, TransferRow, transfer_key};
use wardein_ddkg::DeviceName;
use wardein_ddkg::authority::TransferTerms;
use wardein_ddkg::message::RekeyAsk;
use wardein_domain::{
    Actor, DeviceState, ErrorCode, Event, FieldName, Fields, Outcome, TransferState, UnixSeconds,
};
use wardein_port::Table;

impl Engine {
    pub(super) fn agree_transfer(
        &self,
        tx: &mut Tx<'_>,
        ask: &RekeyAsk,
        performing: Performing<'_>,
    ) -> Result<Done, Stop> {
        let Performing { name: from, now_ms, call, accepted, record, change, .. } = performing;
        let (version, mut row) = self.awaited_transfer(tx, from)?;
        let chosen =
            row.accepted.clone().ok_or_else(|| rows::damaged(Table::Transfer, "was accepted by nobody"))?;
        let to = DeviceName { tenant: row.to.clone(), device: chosen.device };
        let rules = self.memory.rules(&to.tenant, &chosen.profile).unwrap_or_default();
        require_suite(ask.share.suite().number(), &rules.profile)?;
        let key = rows::device_key(&to);
        let present: Option<(u64, DeviceRow)> = tx.row(Table::Device, &key)?;
        // The id is kept free for it since it was accepted: here is what it left when it went, or what it was answered before.
        let is_its = |row: &DeviceRow| matches!(row.state, DeviceState::Transferred | DeviceState::Pending);
        if present.as_ref().is_some_and(|(_, row)| !is_its(row)) {
            let message =
                "the receiving tenant has ended the device that was to arrive; have the transfer withdrawn";
            return Err(Error::new(ErrorCode::TransferUnknown, message).into());
        }
        let former = self.load_keys(tx, &to)?;
        let versions = former.as_ref().map(|held| (held.cold, held.version)).unzip();
        let (previous, agreed) = former.map(|held| held.keys.into_record()).unzip();
        let terms = TransferTerms {
            device: to.clone(),
            previous,
            least: self.least_generation(tx, &to)?,
            schedule: rules.profile.schedule(now_ms / 1000),
        };
        let (answer, arriving) = record.transfer(accepted, ask, terms, tx.draw())?;
        let (_, leaving) = self.device_row(tx, from)?;
        let device = DeviceRow {
            state: DeviceState::Pending,
            state_reason: None,
            profile: chosen.profile,
            enrolled_at: UnixSeconds::new(now_ms / 1000),
            enrolled_by: chosen.by,
            // Those that it took in this tenant, when it was enrolled here: a transfer takes none.
            places: present.as_ref().map(|(_, row)| row.places.clone()).unwrap_or_default(),
            replaced: 0,
            attributes: rows::attribute_names(&arriving),
            // Keys agreed now are newer than any rotation there was.
            rotation: rows::RotationRow::default(),
            state_since: UnixSeconds::new(now_ms / 1000),
            ..leaving
        };
        self.claim_arriving_udi(tx, change, &to, device.udi.as_ref())?;
        change.put(Table::Device, key.clone(), present.map(|(version, _)| version), rows::encode(&device)?);
        let mut keys = KeysRow::transferred(arriving, agreed, self.authority.restored_at);
        // A sweep that has passed its place does not see a new row: it must be under the newest version of its tenant's key.
        let ring = self.newest_tenant_keys(tx, &to.tenant, change)?;
        let cold = keys.seal_cold(tx.nonce()?, &ring, &key)?;
        change.put(Table::DeviceKeys, key.clone(), versions.0, cold);
        change.put(Table::DeviceHot, key, versions.1, keys.encode_hot());
        keys.mark_stored();
        row.state = TransferState::Agreed;
        row.last_generation = record.active_generation();
        change.update(Table::Transfer, transfer_key(from), version, rows::encode(&row)?);
        let generation = answer.keys.generation;
        let actor = Actor::Device(from.tenant.clone(), from.device.clone());
        let entry = record::entry(now_ms, actor, Event::TransferAgreed, target(&to), Outcome::Done, call);
        let entry = both(entry.in_tenant(&to.tenant), from, &to);
        change.record(&entry.with(FieldName::Generation, generation))?;
        let fields = Fields::default()
            .with(FieldName::From, device_text(&from.tenant, &from.device))
            .with(FieldName::To, device_text(&to.tenant, &to.device))
            .with(FieldName::Generation, generation);
        Ok(Done::new(Event::TransferAgreed, fields, answer.encode()))
    }

    /// One above every generation that may have been given under a name, whether or not its record is still there.
    fn least_generation(&self, tx: &Tx<'_>, name: &DeviceName) -> Result<u64, Stop> {
        let left: Option<(u64, TransferRow)> = tx.row(Table::Transfer, &transfer_key(name))?;
        let last = left.map_or(0, |(_, row)| row.last_generation);
        Ok(last.saturating_add(1).max(self.first_generation()))
    }
}
