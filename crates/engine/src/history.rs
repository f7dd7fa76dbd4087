//! What happened to one device. The audit log is in the order of time alone, and a device's few entries are spread over millions of
//! others; so each is written a second time under its device, in the same change. Signs of life are left out: they are nearly all of
//! the log, and the time of the last one stands in the device's keys. So are refusals, and alarms on a device that is out of trust already:
//! they change nothing, and whoever holds its keys could make its history grow without end.

use crate::api::{Caller, Page, Paged};
use crate::audit::{decode, encode};
use crate::engine::Engine;
use crate::error::Error;
use crate::port::{Change, Clock, Store, Table};
use crate::provisioning::target;
use crate::rows;
use wardein_crypto::{Entropy, SystemEntropy};
use wardein_ddkg::DeviceName;
use wardein_domain::{AuditEntry, Event, Outcome};

impl<S: Store, C: Clock> Engine<S, C> {
    /// A page of a device's history, oldest first. Reading is recorded first.
    pub async fn device_history(
        &self,
        caller: &Caller,
        name: &DeviceName,
        page: Page,
    ) -> Result<Paged<AuditEntry>, Error> {
        page.limit()?;
        self.require_tenant(caller, &name.tenant)?;
        self.device_row(name)?;
        let entry =
            self.entry(caller, Event::AuditRead, format_args!("audit/{}", target(name)), Outcome::Done);
        self.record(entry.in_tenant(&name.tenant)).await?;
        let prefix = rows::certificate_prefix(&name.tenant, &name.device);
        self.page(Table::History, &prefix, &page, |_, value| decode(value).map(Some))
    }
}

impl Change {
    /// Adds an audit entry about a device, to the log and to the device's history.
    pub(crate) fn record_on(&mut self, name: &DeviceName, entry: &AuditEntry) -> Result<(), Error> {
        // Several may come in one millisecond.
        let tie: [u8; 8] =
            SystemEntropy::default().array().map_err(|_| Error::internal("no entropy for a key"))?;
        let mut key = rows::certificate_prefix(&name.tenant, &name.device);
        key.extend_from_slice(&entry.time_ms.to_be_bytes());
        key.extend_from_slice(&tie);
        let value = encode(entry)?;
        self.insert(Table::History, key, value.clone());
        self.audit.push(value);
        Ok(())
    }
}
