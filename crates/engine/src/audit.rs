//! The audit log: entries in every change, refusals of authenticated callers, and reading it.

use crate::api::{Caller, Page};
use crate::history;
use crate::kernel::{Decision, Draw, Engine, Error, Kind};
use crate::rows;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use wardein_ddkg::DeviceName;
use wardein_domain::{Actor, AuditEntry, DeviceId, Event, Method, Outcome, TenantId};
use wardein_port::{Change, Table};

/// How many entries are looked at for one page, so that a search for a rare device ends.
const SCANNED: usize = 10_000;

impl Engine {
    /// Records that a call of an authenticated caller was refused. A failure to record it is returned: the edge then answers
    /// that it is unavailable, since no refusal may go unseen.
    pub async fn record_refusal(&self, caller: &Caller, method: Method, error: &Error) -> Result<(), Error> {
        let entry = self.entry(caller, Event::CallRefused, method.path(), Outcome::Refused(error.code));
        let entry = if error.kind == Kind::Internal { entry } else { entry.with(&error.message) };
        self.record(entry).await
    }

    /// Records something that alters no record, such as the start of the service.
    pub async fn record_system(&self, event: Event, detail: &str) -> Result<(), Error> {
        let now = self.clock.now_ms();
        self.record(AuditEntry::new(now, &Actor::System, event, "authority", Outcome::Done, "").with(detail))
            .await
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
        let target = tenant.as_ref().map_or_else(|| "audit".to_string(), |tenant| format!("audit/{tenant}"));
        self.record(self.entry(caller, Event::AuditRead, target, Outcome::Done)).await?;
        let wanted = device.and_then(|device| Some(format!("device/{}/{device}", tenant.as_ref()?)));
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
                let on_device =
                    wanted.as_ref().is_none_or(|wanted| entry.target == *wanted || entry.actor == *wanted);
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
        target: impl std::fmt::Display,
        outcome: Outcome,
    ) -> AuditEntry {
        let actor = Actor::Operator(caller.principal.clone());
        AuditEntry::new(self.clock.now_ms(), &actor, event, target, outcome, &caller.request_id)
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

#[derive(Serialize, Deserialize)]
struct AuditRow<'a> {
    time_ms: u64,
    tenant: Option<Cow<'a, str>>,
    actor: Cow<'a, str>,
    event: Cow<'a, str>,
    target: Cow<'a, str>,
    outcome: Cow<'a, str>,
    detail: Cow<'a, str>,
    request_id: Cow<'a, str>,
}

pub(crate) fn encode(entry: &AuditEntry) -> Result<Vec<u8>, Error> {
    let row = AuditRow {
        time_ms: entry.time_ms,
        tenant: entry.tenant.as_ref().map(|tenant| tenant.as_str().into()),
        actor: entry.actor.as_str().into(),
        event: entry.event.as_str().into(),
        target: entry.target.as_str().into(),
        outcome: entry.outcome.as_str().into(),
        detail: entry.detail.as_str().into(),
        request_id: entry.request_id.as_str().into(),
    };
    let mut value = Vec::with_capacity(256);
    value.push(1);
    postcard::to_extend(&row, value)
        .map_err(|error| Error::internal(format_args!("an entry does not encode: {error}")))
}

/// Unix milliseconds of a stored entry.
pub(crate) fn time_of(value: &[u8]) -> Result<u64, Error> {
    Ok(decode(value)?.time_ms)
}

pub(crate) fn decode(value: &[u8]) -> Result<AuditEntry, Error> {
    let row: AuditRow<'_> =
        postcard::from_bytes(rows::body(Table::History, value, 1)?).map_err(Error::internal)?;
    Ok(AuditEntry {
        time_ms: row.time_ms,
        tenant: row.tenant.map(|tenant| rows::word("tenant", &tenant)).transpose()?,
        actor: row.actor.into_owned(),
        event: row.event.into_owned(),
        target: row.target.into_owned(),
        outcome: row.outcome.into_owned(),
        detail: row.detail.into_owned(),
        request_id: row.request_id.into_owned(),
    })
}
