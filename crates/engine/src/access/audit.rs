//! The audit log: refusals of authenticated callers, and reading it.

use crate::kernel::record::device_text;
use crate::kernel::{Caller, Engine, Error, Page};
use crate::rows;
use crate::rows::audit::decode;
use wardein_ddkg::DeviceName;
use wardein_domain::{AuditEntry, DeviceId, ErrorKind, Event, FieldName, Method, Outcome, Target, TenantId};
use wardein_port::Entries;

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

    /// Entries that the caller may see and that the filter lets through, from number `from` on, and the number to continue from; 0 at the
    /// end. A page may have fewer than `limit`, or none, and still name a next one. Reading is recorded first.
    ///
    /// The entries of a tenant have numbers of their own, from 1 on without gaps, no matter who asks: the numbers of the whole log would
    /// tell a tenant how much the others do.
    pub async fn list_audit(
        &self,
        caller: &Caller,
        filter: AuditFilter,
        from: u64,
        limit: usize,
    ) -> Result<(Vec<(u64, AuditEntry)>, u64), Error> {
        let limit = Page { size: limit, after: None }.limit()?;
        let tenant = self.visible_tenant(caller, filter.tenant.clone())?;
        if filter.device.is_some() && tenant.is_none() {
            return Err(Error::wrong("tenant", "name the tenant of the device"));
        }
        let target = tenant.clone().map_or(Target::Audit, Target::AuditOf);
        self.record(self.entry(caller, Event::AuditRead, target, Outcome::Done)).await?;
        let key = tenant.as_ref().map(rows::log_key);
        let (mut next, mut scanned) = (from.max(1), 0);
        if let Some(since) = filter.since_ms {
            next = next.max(self.first_since(key.as_deref(), since).await?);
        }
        let mut entries = Vec::new();
        // One more than fit says whether there is a next page. Rare entries are looked for in large pages.
        let size = if filter.is_rare() { Page::MAX } else { limit + 1 };
        while scanned < SCANNED {
            let page = self.log(key.as_deref(), next, size).await?;
            let is_last = page.len() < size;
            for (number, value) in page {
                let entry = decode(&value)?;
                if filter.until_ms.is_some_and(|until| entry.time_ms >= until) {
                    return Ok((entries, 0));
                }
                if entries.len() == limit {
                    return Ok((entries, number));
                }
                if filter.lets_through(tenant.as_ref(), &entry) {
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

    async fn log(&self, key: Option<&[u8]>, from: u64, limit: usize) -> Result<Entries, Error> {
        Ok(match key {
            Some(key) => self.store.audit_of(key, from, limit).await?,
            None => self.store.audit(from, limit).await?,
        })
    }

    /// The number of the first entry at or after a Unix millisecond; the one behind the last where there is none. The authority's time
    /// rises from entry to entry, but for a clock that was set back (`wardein clock accept`): of what was written before that under later
    /// times, some may be left out.
    async fn first_since(&self, key: Option<&[u8]>, since: u64) -> Result<u64, Error> {
        let is_before = async |number: u64| {
            let found = self.log(key, number, 1).await?;
            let time = found.first().map(|(_, value)| decode(value)).transpose()?;
            Ok::<_, Error>(time.is_some_and(|entry| entry.time_ms < since))
        };
        // All up to `low` are before it; `high` is not, or there is no such entry.
        let (mut low, mut high) = (0, 1_u64);
        while is_before(high).await? {
            (low, high) = (high, high.saturating_mul(2));
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if is_before(middle).await? { low = middle } else { high = middle }
        }
        Ok(high)
    }
}

/// Which entries are asked for: those that all of it fits.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Those of one tenant; none for all that the caller may see.
    pub tenant: Option<TenantId>,
    /// Those of one device: what it did, what was done to it, and refused calls that named it.
    pub device: Option<DeviceId>,
    /// Not before this Unix millisecond.
    pub since_ms: Option<u64>,
    /// Before this Unix millisecond.
    pub until_ms: Option<u64>,
    /// By this actor, or those whose names begin with it and `/`: `station`, `station/klinik-nord`.
    pub actor: Option<String>,
    /// This event, or those whose names begin with it and `.`: `device`, `device.enroll`.
    pub event: Option<String>,
    /// How it ended.
    pub ended: Ended,
}

/// Which outcomes are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Ended {
    /// All.
    #[default]
    Either,
    /// What was refused.
    Refused,
    /// What ended in this: `ok`, or a code.
    In(String),
}

impl AuditFilter {
    fn is_rare(&self) -> bool {
        let Self { device, actor, event, ended, .. } = self;
        device.is_some() || actor.is_some() || event.is_some() || *ended != Ended::Either
    }

    fn lets_through(&self, tenant: Option<&TenantId>, entry: &AuditEntry) -> bool {
        let begins = |text: String, asked: &String, parted: char| {
            text.strip_prefix(asked.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(parted))
        };
        let Self { device, actor, event, ended, .. } = self;
        let is_about_device =
            || tenant.zip(device.as_ref()).is_none_or(|(tenant, device)| is_about(entry, tenant, device));
        let is_ended = || match ended {
            Ended::Either => true,
            Ended::Refused => entry.outcome != Outcome::Done,
            Ended::In(outcome) => entry.outcome.to_string() == *outcome,
        };
        actor.as_ref().is_none_or(|asked| begins(entry.actor.to_string(), asked, '/'))
            && event.as_ref().is_none_or(|asked| begins(entry.event.to_string(), asked, '.'))
            && is_ended()
            && is_about_device()
    }
}

/// Whether a device did it, it was done to the device, or it was refused when the device was named.
fn is_about(entry: &AuditEntry, tenant: &TenantId, device: &DeviceId) -> bool {
    entry.target.is_device(tenant, device)
        || entry.actor.is_device(tenant, device)
        || entry.field(FieldName::Device).is_some_and(|named| named == device_text(tenant, device))
}

/// How many entries are looked at for one page, so that a search for rare ones ends.
const SCANNED: usize = 10_000;
