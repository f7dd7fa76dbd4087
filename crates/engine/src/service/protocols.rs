//! Protocols of visits: what a device says came of a technician's session. Those that are awaited and did not come stay open.

use super::code::visit_of;
use super::visits::{VisitId, VisitState};
use crate::kernel::record::hex;
use crate::kernel::{Engine, Error, Stop, Tx};
use crate::rows::{
    self, ActionColumn, MAX_PROTOCOLS, ProtocolColumn, VisitEndColumn, VisitReleaseColumn, VisitRow,
};
use wardein_ddkg::message::{Admitted, ServiceKey, VisitEnd, VisitProtocol};
use wardein_ddkg::{DeviceName, ServiceCode};
use wardein_domain::{ActionCategory, Call, DeviceId, ErrorCode, Event, FieldName, Fields, UnixSeconds};
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

/// How a protocol came.
pub(super) enum Came<'a> {
    /// By a proof of the device.
    Proved,
    /// As a file that the device authenticated: it says as well that a code for emergencies was used.
    Carried(&'a Call),
}

/// A protocol that was taken.
pub(super) struct Taken {
    pub(super) visit: Option<VisitId>,
    /// Whether it is not the same again.
    pub(super) is_news: bool,
    /// For the audit entry.
    pub(super) event: Event,
    pub(super) fields: Fields,
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
        let Taken { event, fields, .. } = self.take_protocol(tx, protocol, Came::Proved, change)?;
        Ok((event, fields))
    }

    /// The same once it is known to be the device's.
    pub(super) fn take_protocol(
        &self,
        tx: &Tx<'_>,
        protocol: &VisitProtocol,
        came: Came<'_>,
        change: &mut Change,
    ) -> Result<Taken, Stop> {
        let id = match &protocol.by {
            Admitted::Emergency(used) => {
                return self.take_emergency_protocol(tx, protocol, *used, came, change);
            }
            Admitted::Visit { visit, .. } => *visit,
            Admitted::Code(key) => self.visit_of_code(tx, &protocol.device, *key)?,
        };
        let key = rows::visit_key(&protocol.device.tenant, &id);
        let found: Option<(u64, VisitRow)> = tx.row(Table::Visit, &key)?;
        let (version, mut row) = found.ok_or_else(|| {
            Error::new(ErrorCode::VisitUnknown, format_args!("there is no visit {}", hex(&id)))
        })?;
        judge(&row, &id, protocol)?;
        let told = column(protocol, self.time());
        let fields = Fields::default()
            .with(FieldName::Visit, hex(&id))
            .with(FieldName::Technician, &row.technician)
            .with(FieldName::WorkOrder, &row.work_order);
        let is_news = is_news(&row.protocols, &told)?;
        if is_news {
            if row.protocols.len() >= MAX_PROTOCOLS {
                let message = format_args!("visit {} has {MAX_PROTOCOLS} protocols already", hex(&id));
                return Err(Error::new(ErrorCode::VisitQuota, message).into());
            }
            row.protocols.push(told);
            change.update(Table::Visit, key, version, rows::encode(&row)?);
        }
        Ok(taken(Some(id), is_news, with_session(fields, protocol)))
    }

    /// For which visit the challenge of that key was answered.
    fn visit_of_code(&self, tx: &Tx<'_>, device: &DeviceName, key: ServiceKey) -> Result<VisitId, Stop> {
        let name = key.name(device.clone());
        let spent = self.spent(tx, &name)?;
        Ok(spent.and_then(|(_, row)| visit_of(&row)).ok_or_else(|| {
            let message = format_args!("no challenge of key {name} was answered for a visit");
            Error::new(ErrorCode::VisitUnknown, message)
        })?)
    }

    fn take_emergency_protocol(
        &self,
        tx: &Tx<'_>,
        protocol: &VisitProtocol,
        used: ServiceKey,
        came: Came<'_>,
        change: &mut Change,
    ) -> Result<Taken, Stop> {
        let device = &protocol.device;
        if protocol.scope.as_str() != EMERGENCY {
            let message = format_args!("a code for emergencies has the scope {EMERGENCY}");
            return Err(Error::new(ErrorCode::ProtocolOtherVisit, message).into());
        }
        require_length(protocol, EMERGENCY_LENGTH)?;
        let mut uses = self.emergency_uses(tx, device)?;
        if let Came::Carried(call) = came {
            uses.note(device, used, self.clock.now_ms(), call, change)?;
        }
        let is_news = uses.tell(used, column(protocol, self.time()))?;
        uses.put(change)?;
        let fields = Fields::default().with(FieldName::Key, used.name(device.clone()).to_string());
        Ok(taken(None, is_news, with_session(fields, protocol)))
    }
}

fn taken(visit: Option<VisitId>, is_news: bool, fields: Fields) -> Taken {
    let event = if is_news { Event::VisitProtocolGiven } else { Event::VisitProtocolRepeated };
    Taken { visit, is_news, event, fields }
}

/// Whether a session is on record already; refuses one that is there with other words.
pub(super) fn is_news(known: &[ProtocolColumn], told: &ProtocolColumn) -> Result<bool, Error> {
    let Some(known) = known.iter().find(|known| known.session == told.session) else { return Ok(true) };
    if *known == (ProtocolColumn { given: known.given, ..told.clone() }) {
        return Ok(false);
    }
    let message = format_args!("another protocol of session {} is on record", hex(&told.session));
    Err(Error::new(ErrorCode::ProtocolContradicts, message))
}

/// Refuses a protocol that is not of that visit. What the technician could have altered is compared with what was released.
fn judge(row: &VisitRow, id: &VisitId, protocol: &VisitProtocol) -> Result<(), Error> {
    let id = hex(id);
    let is_named = match &protocol.by {
        Admitted::Visit { technician, work_order, .. } => {
            (technician, work_order) == (&row.technician, &row.work_order)
        }
        // They name none.
        Admitted::Code(_) | Admitted::Emergency(_) => true,
    };
    if !is_named || !row.devices.contains(&protocol.device.device) || protocol.scope != row.scope {
        let message =
            format_args!("the protocol names another technician, order, scope or device than visit {id}");
        return Err(Error::new(ErrorCode::ProtocolOtherVisit, message));
    }
    if matches!(row.released, VisitReleaseColumn::Waiting) {
        return Err(Error::new(ErrorCode::VisitNotReleased, format_args!("visit {id} was never released")));
    }
    if !matches!(protocol.by, Admitted::Visit { .. }) {
        // No wall clock let the technician in, and that of the device may be wrong by years.
        return require_length(protocol, u64::from(ServiceCode::MAX_UNITS).saturating_mul(ServiceCode::UNIT));
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

/// Refuses a session that is longer than its code admits.
fn require_length(protocol: &VisitProtocol, most: u64) -> Result<(), Error> {
    let length = protocol.ended.saturating_sub(protocol.began);
    if length > most.saturating_add(LATE) {
        let message =
            format_args!("the session is said to be of {length} seconds, and its code admits for {most}");
        return Err(Error::new(ErrorCode::ProtocolWindow, message));
    }
    Ok(())
}

/// Those of the visit's devices that let the technician in, and of which no protocol has come once it is over; none once it is
/// closed.
pub(super) fn awaited(row: &VisitRow, state: VisitState) -> Vec<DeviceId> {
    if row.closed.is_some() || !matches!(state, VisitState::Ended | VisitState::Over) {
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

fn with_session(fields: Fields, of: &VisitProtocol) -> Fields {
    let fields = fields
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

/// The scope of a session that a code for emergencies opened (DDKG-1 §7.2), and for how many seconds it does.
const EMERGENCY: &str = "emergency";
const EMERGENCY_LENGTH: u64 = 4 * 3_600;
