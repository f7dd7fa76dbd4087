//! The audit log: entries in every change, refusals of authenticated callers, and reading it.

use crate::api::{Caller, Page};
use crate::history;
use crate::kernel::{Decision, Draw, Engine, Error, Kind};
use crate::rows_audit::{decode, encode};
use wardein_ddkg::DeviceName;
use wardein_domain::{
    Actor, AuditEntry, Call, DeviceId, Event, FieldName, Method, Outcome, Target, TenantId,
};
use wardein_port::{Change, Table};

/// How many entries are looked at for one page, so that a search for a rare device ends.
const SCANNED: usize = 10_000;

impl Engine {
    /// Records that a call of an authenticated caller was refused, and which device it named. A failure to record it is returned: the
    /// edge then answers that it is unavailable, since no refusal may go unseen.
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
            // Who belongs to a tenant is in its tenant's log alone, whichever tenant it names.
            if caller.principal.tenant.is_none() {
                entry = entry.in_tenant(tenant);
            }
            entry = entry.with(FieldName::Device, device_text(tenant, device));
        }
        if error.kind != Kind::Internal {
            entry = entry.with(FieldName::Message, &error.message);
        }
        self.record(entry).await
    }

    /// Records something that alters no record, such as the start of the service.
    pub async fn record_system(&self, event: Event) -> Result<(), Error> {
        self.record(of_system(self.clock.now_ms(), event)).await
    }

    /// Entries that the caller may see, from number `from` on, and the number to go on from; 0 at the end. Reading is recorded
    /// first.
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
            return Err(Error::invalid("tenant: name the tenant of the device"));
        }
        let target = tenant.clone().map_or(Target::Audit, Target::AuditOf);
        self.record(self.entry(caller, Event::AuditRead, target, Outcome::Done)).await?;
        let wanted = tenant.as_ref().zip(device.as_ref());
        let (mut next, mut scanned) = (from.max(1), 0);
        let mut entries = Vec::new();
        while scanned < SCANNED {
            let page = self.store.audit(next, Page::MAX).await?;
            if page.is_empty() {
                return Ok((entries, 0));
            }
            for (sequence, value) in page {
                if entries.len() == limit {
                    return Ok((entries, sequence));
                }
                let entry = decode(&value)?;
                let in_tenant = tenant.is_none() || entry.tenant == tenant;
                let on_device = wanted.is_none_or(|(tenant, device)| is_about(&entry, tenant, device));
                if in_tenant && on_device {
                    entries.push((sequence, entry));
                }
                (next, scanned) = (sequence + 1, scanned + 1);
            }
        }
        Ok((entries, next))
    }

    /// An entry by an operator.
    pub(crate) fn entry(
        &self,
        caller: &Caller,
        event: Event,
        target: Target,
        outcome: Outcome,
    ) -> AuditEntry {
        let actor = Actor::from(&caller.principal);
        entry(self.clock.now_ms(), actor, event, target, outcome, &caller.call)
    }

    /// The tenant that the caller asks about, or its own. None stands for all, for those who see all.
    pub(crate) fn visible_tenant(
        &self,
        caller: &Caller,
        asked: Option<TenantId>,
    ) -> Result<Option<TenantId>, Error> {
        match asked {
            Some(tenant) => self.require_tenant(caller, &tenant).map(|()| Some(tenant)),
            None => Ok(caller.principal.tenant.clone()),
        }
    }

    /// Refuses a tenant that is not there, or not the caller's to see: the two look alike.
    pub(crate) fn require_tenant(&self, caller: &Caller, tenant: &TenantId) -> Result<(), Error> {
        let is_seen = caller.principal.may_see(tenant) && self.memory.has_tenant(tenant);
        is_seen.then_some(()).ok_or_else(|| Error::no_tenant(tenant))
    }

    pub(crate) async fn record(&self, entry: AuditEntry) -> Result<(), Error> {
        self.transact(|_| {
            let mut change = Change::default();
            change.record(&entry)?;
            Ok(Decision::new(change, ()))
        })
        .await
    }
}

/// An entry by this software.
pub(crate) fn entry(
    now_ms: u64,
    actor: Actor,
    event: Event,
    target: Target,
    outcome: Outcome,
    call: &Call,
) -> AuditEntry {
    AuditEntry::new(SOFTWARE, now_ms, actor, event, target, outcome, call)
}

/// An entry about what the authority did by itself.
pub(crate) fn of_system(now_ms: u64, event: Event) -> AuditEntry {
    entry(now_ms, Actor::System, event, Target::Authority, Outcome::Done, &Call::default())
}

/// Whether a device did it, it was done to the device, or it was refused when the device was named.
fn is_about(entry: &AuditEntry, tenant: &TenantId, device: &DeviceId) -> bool {
    entry.target.is_device(tenant, device)
        || entry.actor.is_device(tenant, device)
        || entry.field(FieldName::Device).is_some_and(|named| named == device_text(tenant, device))
}

/// A device as the field [`FieldName::Device`] has it.
pub(crate) fn device_text(tenant: &TenantId, device: &DeviceId) -> String {
    format!("{tenant}/{device}")
}

/// A list as fields have it.
pub(crate) fn listed(items: &[impl ToString]) -> String {
    match items {
        [] => "none".to_owned(),
        items => items.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
    }
}

/// Bytes as fields have them.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // A String takes whatever it is given.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// What puts a decision on record.
pub(crate) trait Recording {
    /// Adds an audit entry.
    fn record(&mut self, entry: &AuditEntry) -> Result<(), Error>;

    /// Adds an audit entry about a device, to the log and to the device's history.
    fn record_on(
        &mut self,
        draw: &mut Draw<'_>,
        device: &DeviceName,
        entry: &AuditEntry,
    ) -> Result<(), Error>;
}

impl Recording for Change {
    fn record(&mut self, entry: &AuditEntry) -> Result<(), Error> {
        self.audit.push(encode(entry)?);
        Ok(())
    }

    fn record_on(
        &mut self,
        draw: &mut Draw<'_>,
        device: &DeviceName,
        entry: &AuditEntry,
    ) -> Result<(), Error> {
        let value = encode(entry)?;
        self.insert(Table::History, history::key(draw, device, entry)?, value.clone());
        self.audit.push(value);
        Ok(())
    }
}

/// Unix milliseconds of a stored entry.
pub(crate) fn time_of(value: &[u8]) -> Result<u64, Error> {
    Ok(decode(value)?.time_ms)
}

/// The first step of a deed of several.
pub(crate) const BEGUN: &str = "begun";

/// A new version of the root key was found in custody, and on no record.
pub(crate) const FOUND: &str = "found-in-custody";

/// The version of a new root key is chosen; custody is asked next.
pub(crate) const CHOSEN: &str = "chosen";

/// Everything that was under older versions is sealed under the new one.
pub(crate) const SEALED: &str = "sealed-again";

/// Its last step.
pub(crate) const COMPLETE: &str = "complete";

/// The value of a setting that is not set.
pub(crate) const INHERITED: &str = "inherited";

const SOFTWARE: &str = env!("CARGO_PKG_VERSION");

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    /// Files whose faults name what is stored as Rust does, and tests. Of a fault no entry has the message.
    const LEFT_OUT: [&str; 3] = ["rows", "seal", "tests"];

    #[test]
    fn no_debug_text_reaches_an_entry() {
        let mut seen = 0;
        look(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut seen);
        assert!(seen > 40, "{seen} files");
    }

    fn look(folder: &Path, seen: &mut usize) {
        for file in fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            if LEFT_OUT.contains(&name) {
                continue;
            }
            if path.is_dir() {
                look(&path, seen);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let shipped = text.split("#[cfg(test)]").next().unwrap();
            assert!(!shipped.contains(concat!(":", "?}")), "{}", path.display());
            assert!(!shipped.contains(concat!(":#", "?}")), "{}", path.display());
            *seen += 1;
        }
    }
}
