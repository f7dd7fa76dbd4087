//! The history of one device: the entries of the audit log that are found under it ([`wardein_domain::AuditEntry::of_history`]).

use crate::kernel::{Caller, Engine, Error, Page, Paged};
use crate::rows;
use crate::rows::audit::decode;
use wardein_ddkg::DeviceName;
use wardein_domain::{AuditEntry, Event, Outcome, Target};

impl Engine {
    /// A page of a device's history, oldest first. Reading is recorded first.
    pub async fn device_history(
        &self,
        caller: &Caller,
        name: &DeviceName,
        page: Page,
    ) -> Result<Paged<AuditEntry>, Error> {
        let limit = page.limit()?;
        let from = match page.after.as_deref().map(<[u8; 8]>::try_from) {
            None => 1,
            Some(Ok(next)) => u64::from_be_bytes(next),
            Some(Err(_)) => return Err(Error::wrong("page_token", "is not from this list")),
        };
        self.require_tenant(caller, &name.tenant)?;
        self.look(|tx| self.device_row(tx, name)).await?;
        let target = Target::History(name.tenant.clone(), name.device.clone());
        let entry = self.entry(caller, Event::AuditRead, target, Outcome::Done);
        self.record(entry.in_tenant(&name.tenant)).await?;
        let key = rows::history_key(&name.tenant, &name.device);
        // One more says whether there is a next page.
        let mut entries = self.store.audit_of(&key, from, limit + 1).await?;
        let next = entries.get(limit).map(|(n, _)| n.to_be_bytes().to_vec());
        entries.truncate(limit);
        let items: Result<_, _> = entries.iter().map(|(_, value)| decode(value)).collect();
        Ok(Paged { items: items?, next })
    }
}
