//! Clone alarms: every sign of two holders of one device's state has the same consequence.

use crate::kernel::record::{self, Recording, device_text, target};
use crate::kernel::{Engine, Error, Stop, Tx};
use crate::rows;
use wardein_ddkg::DeviceName;
use wardein_domain::{
    Actor, Call, DeviceState, ErrorCode, Event, FieldName, Fields, Outcome, Profile, UnixMillis,
};
use wardein_port::{Change, Table};

impl Engine {
    /// An entry with the evidence, and quarantine for a device that was trusted, where its profile says so. A device that went over
    /// to another tenant is quarantined there.
    pub(crate) fn clone_alarm(
        &self,
        tx: &mut Tx<'_>,
        call: &Call,
        name: &DeviceName,
        now_ms: u64,
        sign: &'static str,
        evidence: Fields,
    ) -> Result<Change, Stop> {
        let (said, name) = (name, &self.suspect(tx, name)?);
        let key = rows::device_key(name);
        let (version, mut row) = self.device_row(tx, name)?;
        let profile = self.memory.profile(&name.tenant, &row.profile);
        let quarantines = profile.unwrap_or(Profile::DEFAULT).quarantines_clones();
        let mut change = Change::default();
        let is_trusted = row.state == DeviceState::Active;
        let mut fields = Fields::default().with(FieldName::Sign, sign);
        if said != name {
            fields = fields.with(FieldName::Device, device_text(&said.tenant, &said.device));
        }
        if quarantines && is_trusted {
            // Once for each device until a human takes it in again.
            change.may_use_reserve = true;
            row.state = DeviceState::Quarantined;
            row.state_since = UnixMillis::new(now_ms).seconds();
            row.state_reason = Some(format!("clone suspected: {sign}").parse().map_err(Error::internal)?);
            change.update(Table::Device, key, version, rows::encode(&row)?);
            self.touch_keys(tx, &mut change, name)?;
            fields = fields.changed(FieldName::State, DeviceState::Active, DeviceState::Quarantined);
        }
        let outcome = Outcome::refused(ErrorCode::CloneSuspected);
        let entry = record::entry(now_ms, Actor::System, Event::CloneSuspected, target(name), outcome, call);
        if !is_trusted {
            // A further alarm changes nothing, and says so: it is in the log alone.
            fields = fields.with(FieldName::State, row.state);
        }
        change.record(&entry.in_tenant(&name.tenant).with_all(fields.and(evidence)))?;
        Ok(change)
    }
}
