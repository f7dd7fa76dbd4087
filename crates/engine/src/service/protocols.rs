//! Protocols of visits: what a device says came of a technician's session. Those that are awaited and did not come stay open.

use super::visits::{VisitId, VisitState};
use crate::kernel::record::hex;
use crate::kernel::{Engine, Error, Stop, Tx};
use crate::rows::{self, ActionColumn, MAX_PROTOCOLS, ProtocolColumn, VisitEndColumn, VisitRow};
use wardein_ddkg::DeviceName;
use wardein_ddkg::message::{VisitEnd, VisitProtocol};
use wardein_domain::{ActionCategory, DeviceId, ErrorCode, Event, FieldName, Fields, UnixSeconds};
use wardein_port::{Change, Table};

/// A session of a visit, as its device told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionProtocol {
    /// The device.
    pub device: DeviceId,
    /// Which session.
    pub session: [u8; 16],
    /// Unix second at which it began, by the device's clock.
    pub began: u64,
    /// Unix second at which it had ended.
    pub ended: u64,
    /// How it ended.
    pub end: VisitEnd,
    /// What was done, and how often.
    pub actions: Vec<(ActionCategory, u32)>,
    /// Unix second at which the device gave it.
    pub given: u64,
}

impl Engine {
    /// Takes the protocol of a device that has proved who it is: event and fields of the entry. The same again changes nothing.
    pub(crate) fn visit_protocol(
        &self,
        tx: &Tx<'_>,
        device: &DeviceName,
        protocol: &VisitProtocol,
        change: &mut Change,
    ) -> Result<(Event, Fields), Stop> {
        if protocol.device != *device {
            let of = &protocol.device;
            let message = format_args!("the protocol is of {}/{}", of.tenant, of.device);
            return Err(Error::new(ErrorCode::ProtocolOtherDevice, message).into());
        }
        let key = rows::visit_key(&device.tenant, &protocol.visit);
        let found: Option<(u64, VisitRow)> = tx.row(Table::Visit, &key)?;
        let (version, mut row) = found.ok_or_else(|| {
            let message = format_args!("there is no visit {}", hex(&protocol.visit));
            Error::new(ErrorCode::VisitUnknown, message)
        })?;
        judge(&row, device, protocol)?;
        let given = self.time();
        let column = column(protocol, given);
        let fields = fields(protocol);
        if let Some(known) = row.protocols.iter().find(|known| known.session == protocol.session) {
            if *known == (ProtocolColumn { given: known.given, ..column }) {
                return Ok((Event::VisitProtocolRepeated, fields));
            }
            let message = format_args!("another protocol of session {} is on record", hex(&protocol.session));
            return Err(Error::new(ErrorCode::ProtocolContradicts, message).into());
        }
        if row.protocols.len() >= MAX_PROTOCOLS {
            let message =
                format_args!("visit {} has {MAX_PROTOCOLS} protocols already", hex(&protocol.visit));
            return Err(Error::new(ErrorCode::VisitQuota, message).into());
        }
        row.protocols.push(column);
        change.update(Table::Visit, key, version, rows::encode(&row)?);
        Ok((Event::VisitProtocolGiven, fields))
    }
}

/// Refuses a protocol that is not of that visit. What the technician could have altered is compared with what was released.
fn judge(row: &VisitRow, device: &DeviceName, protocol: &VisitProtocol) -> Result<(), Error> {
    let id = hex(&protocol.visit);
    let is_of = row.devices.contains(&device.device)
        && (&protocol.technician, &protocol.work_order, &protocol.scope)
            == (&row.technician, &row.work_order, &row.scope);
    if !is_of {
        let message =
            format_args!("the protocol names another technician, order, scope or device than visit {id}");
        return Err(Error::new(ErrorCode::ProtocolOtherVisit, message));
    }
    if row.released.is_none() {
        return Err(Error::new(ErrorCode::VisitNotReleased, format_args!("visit {id} was never released")));
    }
    let (from, until) = (row.window().from().get(), row.window().until().get());
    let is_within = protocol.began.saturating_add(SKEW) >= from && protocol.began < until;
    if !is_within || protocol.ended > until.saturating_add(LATE) {
        let message = format_args!(
            "the session is said to be from {} to {}, and the window of visit {id} is from {from} to {until}",
            protocol.began, protocol.ended
        );
        return Err(Error::new(ErrorCode::ProtocolWindow, message));
    }
    Ok(())
}

/// Those of the visit's devices that let the technician in, and of which no protocol has come once it is over.
pub(super) fn awaited(row: &VisitRow, state: VisitState) -> Vec<DeviceId> {
    if !matches!(state, VisitState::Ended | VisitState::Over) {
        return Vec::new();
    }
    let is_missing = |device: &&DeviceId| !row.protocols.iter().any(|given| given.device == **device);
    row.certified.iter().filter(is_missing).cloned().collect()
}

pub(super) fn protocol(of: &ProtocolColumn) -> SessionProtocol {
    SessionProtocol {
        device: of.device.clone(),
        session: of.session,
        began: of.began.get(),
        ended: of.ended.get(),
        end: match of.end {
            VisitEndColumn::Left => VisitEnd::Left,
            VisitEndColumn::Over => VisitEnd::Over,
            VisitEndColumn::Ended => VisitEnd::Ended,
            VisitEndColumn::BrokeOff => VisitEnd::BrokeOff,
        },
        actions: of.actions.iter().map(|action| (action.category.clone(), action.times)).collect(),
        given: of.given.get(),
    }
}

fn column(of: &VisitProtocol, given: UnixSeconds) -> ProtocolColumn {
    let action = |(category, times): (&ActionCategory, &u32)| ActionColumn {
        category: category.clone(),
        times: *times,
    };
    ProtocolColumn {
        device: of.device.device.clone(),
        session: of.session,
        began: UnixSeconds::new(of.began),
        ended: UnixSeconds::new(of.ended),
        end: match of.end {
            VisitEnd::Left => VisitEndColumn::Left,
            VisitEnd::Over => VisitEndColumn::Over,
            VisitEnd::Ended => VisitEndColumn::Ended,
            VisitEnd::BrokeOff => VisitEndColumn::BrokeOff,
        },
        actions: of.actions.iter().map(action).collect(),
        given,
    }
}

fn fields(of: &VisitProtocol) -> Fields {
    let id: &VisitId = &of.visit;
    let fields = Fields::default()
        .with(FieldName::Visit, hex(id))
        .with(FieldName::Technician, &of.technician)
        .with(FieldName::WorkOrder, &of.work_order)
        .with(FieldName::VisitSession, hex(&of.session))
        .with(FieldName::Began, of.began)
        .with(FieldName::SessionEnded, of.ended)
        .with(FieldName::SessionEnd, of.end.as_str());
    let add = |fields: Fields, (category, times): (&ActionCategory, &u32)| {
        fields.with(FieldName::Action, format!("{category}={times}"))
    };
    of.actions.iter().fold(fields, add)
}

/// Seconds by which a device's clock may be behind: as much as a certificate allows for.
const SKEW: u64 = 60;

/// Seconds by which a session may end after its window: until everything of it was ended, and a little for a clock that was corrected.
const LATE: u64 = 3_600;
