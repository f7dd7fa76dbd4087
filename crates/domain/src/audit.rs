//! The audit log: who did what to whom, with what result and what consequences, each fact in a field of its own.

mod actor;
mod event;
mod field;
mod target;
mod word;

pub use actor::Actor;
pub use event::Event;
pub use field::{Field, FieldName, FieldValue, Fields};
pub use target::Target;
pub use word::{Code, Word};

use crate::code::ErrorCode;
use crate::name::{DeviceId, TenantId};
use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt;
use core::net::SocketAddr;

/// One entry. The store gives it its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Unix milliseconds.
    pub time_ms: u64,
    /// The tenant that it concerns, if one.
    pub tenant: Option<TenantId>,
    /// Who.
    pub actor: Actor,
    /// The event.
    pub event: Word<Event>,
    /// On whom.
    pub target: Target,
    /// How it ended.
    pub outcome: Outcome,
    /// Further details, a fact each. None of them is a secret.
    pub fields: Fields,
    /// The id of the request; empty where there was none.
    pub request_id: String,
    /// Where the request came from; none if there was none, and in entries of versions before 0.2.
    pub origin: Option<Origin>,
    /// The version of the software that wrote it; empty in entries of versions before 0.2.
    pub software: Cow<'static, str>,
}

/// A call, as an entry names it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Call {
    /// The id of the request, for log and audit; empty if the authority acts by itself.
    pub request_id: String,
    /// Where the request came from.
    pub origin: Option<Origin>,
    /// The id of the bearer token that the caller showed, if it showed no certificate of its own.
    pub bearer_token: Option<[u8; 8]>,
    /// The batch that it belongs to, by its digest, where a change of many devices is made by calls for one each.
    pub batch: Option<[u8; 32]>,
}

/// Where a request came from, as the transport saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The other end of the connection: the caller, or a proxy in front of it.
    pub address: SocketAddr,
    /// SHA-256 of the TLS client certificate, DER; none if the caller showed none.
    pub certificate: Option<[u8; 32]>,
}

/// How it ended: done, or refused with a stable code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was refused.
    Refused(Cow<'static, str>),
}

impl AuditEntry {
    /// An entry without fields, written by version `software`.
    pub fn new(
        software: &'static str,
        time_ms: u64,
        actor: Actor,
        event: Event,
        target: Target,
        outcome: Outcome,
        call: &Call,
    ) -> Self {
        Self {
            time_ms,
            tenant: actor.tenant().cloned(),
            actor,
            event: event.into(),
            target,
            outcome,
            fields: Fields::default(),
            request_id: call.request_id.clone(),
            origin: call.origin,
            software: Cow::Borrowed(software),
        }
    }

    /// The same with the tenant that it concerns.
    pub fn in_tenant(self, tenant: &TenantId) -> Self {
        Self { tenant: Some(tenant.clone()), ..self }
    }

    /// The same with one more fact.
    pub fn with(self, name: FieldName, value: impl FieldValue) -> Self {
        Self { fields: self.fields.with(name, value), ..self }
    }

    /// The same with the changes, by their former and present values.
    pub fn changed(self, name: FieldName, before: impl FieldValue, value: impl FieldValue) -> Self {
        Self { fields: self.fields.changed(name, before, value), ..self }
    }

    /// The same with all of `fields`.
    pub fn with_all(self, fields: Fields) -> Self {
        Self { fields: self.fields.and(fields), ..self }
    }

    /// The device in whose history it is: one on which something was done, or that came under suspicion. Signs of life are nearly all
    /// of the log, and the time of the last one is in the device's keys. Refusals, and alarms on a device that is out of trust
    /// already, change nothing, and a holder of its keys could make its history grow without end.
    pub fn of_history(&self) -> Option<(&TenantId, &DeviceId)> {
        let Target::Device(tenant, device) = &self.target else { return None };
        let is_left_out = match &self.event {
            Word::Known(event) if event.is_sign_of_life() => true,
            Word::Known(Event::CloneSuspected) => {
                self.fields.get(FieldName::State).is_some_and(|state| state.before.is_none())
            }
            _ => self.outcome != Outcome::Done,
        };
        (!is_left_out).then_some((tenant, device))
    }

    /// The value of the first field of that name.
    pub fn field(&self, name: FieldName) -> Option<&str> {
        self.fields.get(name).map(|field| field.value.as_str())
    }
}

impl Call {
    /// One of which nothing is known but its id.
    pub fn new(request_id: &str) -> Self {
        Self { request_id: request_id.into(), ..Self::default() }
    }
}

impl Outcome {
    /// It was refused with `code`.
    pub const fn refused(code: ErrorCode) -> Self {
        Self::Refused(Cow::Borrowed(code.as_str()))
    }

    /// The text that [`Outcome::code`] wrote.
    pub fn from_text(text: &str) -> Self {
        if text == DONE { Self::Done } else { Self::Refused(Cow::Owned(text.into())) }
    }

    /// `ok`, or the code of the refusal.
    pub fn code(&self) -> &str {
        match self {
            Self::Done => DONE,
            Self::Refused(code) => code,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

const DONE: &str = "ok";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_of_its_actors_tenant_until_another_is_named() {
        let (klinik, lab): (TenantId, TenantId) = ("klinik".parse().unwrap(), "lab".parse().unwrap());
        let actor = Actor::Device(klinik.clone(), "pump-1".parse().unwrap());
        let call = Call::new("id-1");
        let target = Target::Authority;
        let entry =
            AuditEntry::new("0.2.0", 7, actor, Event::DeviceAuthenticated, target, Outcome::Done, &call);
        assert_eq!((entry.tenant.as_ref(), entry.request_id.as_str()), (Some(&klinik), "id-1"));
        assert_eq!(entry.in_tenant(&lab).tenant, Some(lab));
    }

    #[test]
    fn fields_stand_in_the_order_in_which_they_were_added() {
        let entry = AuditEntry::new(
            "0.2.0",
            7,
            Actor::System,
            Event::DeviceStateSet,
            Target::Authority,
            Outcome::refused(ErrorCode::DeviceSuspended),
            &Call::default(),
        );
        let entry = entry
            .changed(FieldName::State, "active", "revoked")
            .with_all(Fields::default().with(FieldName::Generation, 2_u64))
            .with(FieldName::Reason, "stolen");
        let said: alloc::vec::Vec<_> = entry
            .fields
            .iter()
            .map(|field| (field.name.as_str(), field.before.as_deref(), field.value.as_str()))
            .collect();
        let expected =
            [("state", Some("active"), "revoked"), ("generation", None, "2"), ("reason", None, "stolen")];
        assert_eq!(said, expected);
        assert_eq!((entry.field(FieldName::Reason), entry.field(FieldName::Serial)), (Some("stolen"), None));
    }

    #[test]
    fn a_history_has_what_was_done_and_the_first_alarm() {
        let (klinik, pump): (TenantId, DeviceId) = ("klinik".parse().unwrap(), "pump-1".parse().unwrap());
        let device = Target::Device(klinik.clone(), pump.clone());
        let entry = |event, target: &Target, outcome| {
            AuditEntry::new("0.2.0", 7, Actor::System, event, target.clone(), outcome, &Call::default())
        };
        let suspected = || Outcome::refused(ErrorCode::CloneSuspected);
        let done = entry(Event::DeviceEnrolled, &device, Outcome::Done);
        let alarm = entry(Event::CloneSuspected, &device, suspected());
        let first = alarm.clone().changed(FieldName::State, "active", "quarantined");
        for of_it in [&done, &alarm, &first] {
            assert_eq!(of_it.of_history(), Some((&klinik, &pump)));
        }
        let further = alarm.with(FieldName::State, "quarantined");
        let sign_of_life = entry(Event::DeviceAuthenticated, &device, Outcome::Done);
        let refused = entry(Event::DeviceConfirmed, &device, Outcome::refused(ErrorCode::MacWrong));
        let elsewhere = entry(Event::TenantCreated, &Target::Tenant(klinik.clone()), Outcome::Done);
        for not_of_it in [further, sign_of_life, refused, elsewhere] {
            assert_eq!(not_of_it.of_history(), None);
        }
    }

    #[test]
    fn an_outcome_is_read_as_it_was_written() {
        for outcome in [Outcome::Done, Outcome::refused(ErrorCode::QuotaExhausted)] {
            assert_eq!(Outcome::from_text(outcome.code()), outcome);
        }
    }
}
