//! The history of one device. The audit log is in the order of time alone, and a device's few entries are spread over millions of
//! others; so each is written a second time under its device, in the same change. Signs of life are left out: they are nearly all
//! of the log, and the time of the last one is in the device's keys. So are refusals, and alarms on a device that is out of trust
//! already: they change nothing, and a holder of its keys could make its history grow without end.

use crate::kernel::{Caller, Engine, Error, Page, Paged};
use crate::rows;
use crate::rows::audit::decode;
use wardein_ddkg::DeviceName;
use wardein_domain::{AuditEntry, Event, Outcome, Target};
use wardein_port::Table;

impl Engine {
    /// A page of a device's history, oldest first. Reading is recorded first.
    pub async fn device_history(
        &self,
        caller: &Caller,
        name: &DeviceName,
        page: Page,
    ) -> Result<Paged<AuditEntry>, Error> {
        page.limit()?;
        self.require_tenant(caller, &name.tenant)?;
        self.look(|tx| self.device_row(tx, name)).await?;
        let target = Target::History(name.tenant.clone(), name.device.clone());
        let entry = self.entry(caller, Event::AuditRead, target, Outcome::Done);
        self.record(entry.in_tenant(&name.tenant)).await?;
        let prefix = rows::certificate_prefix(&name.tenant, &name.device);
        self.page(Table::History, &prefix, &page, |_, value| decode(value).map(Some)).await
    }
}
