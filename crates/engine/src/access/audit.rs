//! The audit log: refusals of authenticated callers, and reading it.

use crate::kernel::record::device_text;
use crate::kernel::{Caller, Engine, Error, Page};
use crate::rows;
use crate::rows::audit::decode;
use wardein_ddkg::DeviceName;
use wardein_domain::{AuditEntry, DeviceId, ErrorKind, Event, FieldName, Method, Outcome, Target, TenantId};

impl Engine {
    /// Records that a call of an authenticated caller was refused, and which device it named. A failure to record it is returned:
    /// the edge then answers that it is unavailable, since no refusal may go unseen.
    pub async fn record_refusal(
        &self,
        caller: &Caller,
        method: Method,
        device: Option<&DeviceName>,
        error: &Error,
    ) -> Result<(), Error> {
        let mut entry =
            self.entry(caller, Event::CallRefused, Target::Method(method), Outcome::refused(error.code));
        if let Some(DeviceName { tenant, device }) = device {
            // An actor of a tenant is only in its tenant's log, whichever tenant it names.
            if caller.principal.tenant.is_none() {
                entry = entry.in_tenant(tenant);
            }
            entry = entry.with(FieldName::Device, device_text(tenant, device));
        }
        if error.kind() != ErrorKind::Internal {
            entry = entry.with(FieldName::Message, &error.message);
        }
        self.record(entry).await
    }

    /// Entries that the caller may see, from number `from` on, and the number to continue from; 0 at the end. Reading is recorded
    /// first.
    ///
    /// The entries of a tenant have numbers of their own, from 1 on without gaps, no matter who asks: the numbers of the whole log would
    /// tell a tenant how much the others do.
    pub async fn list_audit(
        &self,
        caller: &Caller,
        tenant: Option<TenantId>,
        device: Option<DeviceId>,
        from: u64,
        limit: usize,
    ) -> Result<(Vec<(u64, AuditEntry)>, u64), Error> {
        let limit = Page { size: limit, after: None }.limit()?;
        let tenant = self.visible_tenant(caller, tenant)?;
        if device.is_some() && tenant.is_none() {
            return Err(Error::wrong("tenant", "name the tenant of the device"));
        }
        let target = tenant.clone().map_or(Target::Audit, Target::AuditOf);
        self.record(self.entry(caller, Event::AuditRead, target, Outcome::Done)).await?;
        let key = tenant.as_ref().map(rows::log_key);
        let wanted = tenant.as_ref().zip(device.as_ref());
        let (mut next, mut scanned) = (from.max(1), 0);
        let mut entries = Vec::new();
        // One more than fit says whether there is a next page. A rare device is looked for in large pages.
        let size = if wanted.is_some() { Page::MAX } else { limit + 1 };
        while scanned < SCANNED {
            let page = match &key {
                Some(key) => self.store.audit_of(key, next, size).await?,
                None => self.store.audit(next, size).await?,
            };
            let is_last = page.len() < size;
            for (number, value) in page {
                if entries.len() == limit {
                    return Ok((entries, number));
                }
                let entry = decode(&value)?;
                if wanted.is_none_or(|(tenant, device)| is_about(&entry, tenant, device)) {
                    entries.push((number, entry));
                }
                (next, scanned) = (number + 1, scanned + 1);
            }
            if is_last {
                return Ok((entries, 0));
            }
        }
        Ok((entries, next))
    }
}

/// Whether a device did it, it was done to the device, or it was refused when the device was named.
fn is_about(entry: &AuditEntry, tenant: &TenantId, device: &DeviceId) -> bool {
    entry.target.is_device(tenant, device)
        || entry.actor.is_device(tenant, device)
        || entry.field(FieldName::Device).is_some_and(|named| named == device_text(tenant, device))
}

/// How many entries are looked at for one page, so that a search for a rare device ends.
const SCANNED: usize = 10_000;
