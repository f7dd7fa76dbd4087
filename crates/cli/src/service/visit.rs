//! A visit, as it is printed.

use crate::{Column, Record, time};
use serde::Serialize;
use std::collections::BTreeMap;
use wardein_client::{time as wire, v1, word};

#[derive(Debug, Serialize)]
pub(super) struct Visit {
    pub(super) id: String,
    tenant: String,
    technician: String,
    ssh_key: String,
    ssh_key_fingerprint: String,
    device_ids: Vec<String>,
    work_order: String,
    scope: String,
    starts_at: u64,
    ends_at: u64,
    source_addresses: Vec<String>,
    verification_required: bool,
    pub(super) state: String,
    invited_by: String,
    invited_at: u64,
    released_by: String,
    released_at: u64,
    ended_by: String,
    ended_at: u64,
    end_reason: String,
    protocols: Vec<Protocol>,
    pub(super) awaited_protocols: Vec<String>,
    closing: Option<Closing>,
}

/// That it was closed without protocols.
#[derive(Debug, Serialize)]
struct Closing {
    closed_by: String,
    closed_at: u64,
    reason: String,
    device_ids: Vec<String>,
}

/// What a device says of a session.
#[derive(Debug, Serialize)]
pub(super) struct Protocol {
    device_id: String,
    session: String,
    began_at: u64,
    ended_at: u64,
    end: String,
    actions: BTreeMap<String, u32>,
    given_at: u64,
}

impl From<v1::VisitProtocol> for Protocol {
    fn from(of: v1::VisitProtocol) -> Self {
        Self {
            device_id: of.device_id,
            session: of.session,
            began_at: wire::seconds(of.began_at),
            ended_at: wire::seconds(of.ended_at),
            end: word::<v1::SessionEnd>(of.end),
            actions: of.actions.into_iter().map(|action| (action.category, action.times)).collect(),
            given_at: wire::seconds(of.given_at),
        }
    }
}

impl From<Option<v1::Visit>> for Visit {
    fn from(visit: Option<v1::Visit>) -> Self {
        let visit = visit.unwrap_or_default();
        Self {
            id: visit.id,
            tenant: visit.tenant,
            technician: visit.technician,
            ssh_key: visit.ssh_key,
            ssh_key_fingerprint: visit.ssh_key_fingerprint,
            device_ids: visit.device_ids,
            work_order: visit.work_order,
            scope: visit.scope,
            starts_at: wire::seconds(visit.starts_at),
            ends_at: wire::seconds(visit.ends_at),
            source_addresses: visit.source_addresses,
            verification_required: visit.verification_required,
            state: word::<v1::VisitState>(visit.state),
            invited_by: visit.invited_by,
            invited_at: wire::seconds(visit.invited_at),
            released_by: visit.released_by,
            released_at: wire::seconds(visit.released_at),
            ended_by: visit.ended_by,
            ended_at: wire::seconds(visit.ended_at),
            end_reason: visit.end_reason,
            protocols: visit.protocols.into_iter().map(Protocol::from).collect(),
            awaited_protocols: visit.awaited_protocols,
            closing: visit.closing.map(|of| Closing {
                closed_by: of.closed_by,
                closed_at: wire::seconds(of.closed_at),
                reason: of.reason,
                device_ids: of.device_ids,
            }),
        }
    }
}

impl Record for Visit {
    const COLUMNS: &'static [Column<Self>] = &[
        ("id", |visit| visit.id.clone()),
        ("tenant", |visit| visit.tenant.clone()),
        ("state", |visit| visit.state.clone()),
        ("technician", |visit| visit.technician.clone()),
        ("devices", |visit| visit.device_ids.join(",")),
        ("work order", |visit| visit.work_order.clone()),
        ("scope", |visit| visit.scope.clone()),
        ("from", |visit| time::at(visit.starts_at)),
        ("until", |visit| time::at(visit.ends_at)),
        ("invited by", |visit| visit.invited_by.clone()),
        ("released by", |visit| visit.released_by.clone()),
        ("ended by", |visit| visit.ended_by.clone()),
        ("protocols", |visit| match (visit.awaited_protocols.as_slice(), &visit.closing) {
            ([], None) => visit.protocols.len().to_string(),
            ([], Some(closing)) => format!("closed-without-protocol of {}", closing.device_ids.join(",")),
            (missing, _) => format!("missing of {}", missing.join(",")),
        }),
    ];
}

impl Visit {
    /// All of it, a line each.
    pub(super) fn words(&self) -> String {
        let mut lines = vec![
            format!("visit {} in {} ({})", self.id, self.tenant, self.state),
            format!("  technician {}, key {}", self.technician, self.ssh_key_fingerprint),
            format!("  devices {}", self.device_ids.join(", ")),
            format!("  work order {}, scope {}", self.work_order, self.scope),
            format!("  from {} until {}", time::at(self.starts_at), time::at(self.ends_at)),
        ];
        if !self.source_addresses.is_empty() {
            lines.push(format!("  from the networks {}", self.source_addresses.join(", ")));
        }
        if self.verification_required {
            lines.push("  with the PIN of the token".to_owned());
        }
        lines.push(format!("  invited by {} at {}", self.invited_by, time::at(self.invited_at)));
        if !self.released_by.is_empty() {
            lines.push(format!("  released by {} at {}", self.released_by, time::at(self.released_at)));
        }
        if !self.ended_by.is_empty() {
            let (by, at) = (&self.ended_by, time::at(self.ended_at));
            lines.push(format!("  ended by {by} at {at}: {}", self.end_reason));
        }
        for of in &self.protocols {
            let actions: Vec<_> = of.actions.iter().map(|(word, times)| format!("{word} {times}")).collect();
            let (began, ended) = (time::at(of.began_at), time::at(of.ended_at));
            lines.push(format!(
                "  in {} from {began} to {ended} ({}): {}",
                of.device_id,
                of.end,
                actions.join(", ")
            ));
        }
        if !self.awaited_protocols.is_empty() {
            lines.push(format!("  no protocol has come of {}", self.awaited_protocols.join(", ")));
        }
        if let Some(Closing { closed_by, closed_at, reason, device_ids }) = &self.closing {
            let (devices, at) = (device_ids.join(", "), time::at(*closed_at));
            lines.push(format!("  closed without a protocol of {devices} by {closed_by} at {at}: {reason}"));
        }
        lines.join("\n")
    }
}
