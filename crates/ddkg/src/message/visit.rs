//! The body of the action `visit-protocol` (specification, section 8.7): what came of a technician's session, in the device's own words.

use super::{ServiceKey, put_device, read_device};
use crate::key::DeviceName;
use crate::wire::{DecodeError, Problem, Reader, Sink};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use wardein_domain::{ActionCategory, OperatorName, ServiceScope, WorkOrder};

/// A session of a technician at a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisitProtocol {
    /// The device.
    pub device: DeviceName,
    /// What let the technician in.
    pub by: Admitted,
    /// Which session: random.
    pub session: [u8; 16],
    /// What the session could do.
    pub scope: ServiceScope,
    /// Unix second at which it began, by the device's clock.
    pub began: u64,
    /// Unix second at which it had ended.
    pub ended: u64,
    /// How it ended.
    pub end: VisitEnd,
    /// How often something was done, by what the device calls it.
    pub actions: BTreeMap<ActionCategory, u32>,
}

/// What let somebody in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admitted {
    /// The certificate of a visit, with what it says of the visit.
    Visit {
        /// The visit.
        visit: [u8; 8],
        /// Who came.
        technician: OperatorName,
        /// What for.
        work_order: WorkOrder,
    },
    /// The code that answered the challenge of that key (section 7.1): the authority knows for which visit it gave it.
    Code(ServiceKey),
    /// The code for emergencies of that key (section 7.2).
    Emergency(ServiceKey),
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VisitEnd {
    /// The technician left.
    Left,
    /// The window of the visit was over.
    Over,
    /// The visit was ended.
    Ended,
    /// It broke off, as by a power cut; its end is the last that the device has of it.
    BrokeOff,
}

impl VisitEnd {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Left, Self::Over, Self::Ended, Self::BrokeOff];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Over => "over",
            Self::Ended => "ended",
            Self::BrokeOff => "broke-off",
        }
    }

    const fn byte(self) -> u8 {
        match self {
            Self::Left => 1,
            Self::Over => 2,
            Self::Ended => 3,
            Self::BrokeOff => 4,
        }
    }
}

impl VisitProtocol {
    /// The most categories of actions.
    pub const MAX_CATEGORIES: usize = 16;

    /// The body of the action.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let form = if matches!(self.by, Admitted::Visit { .. }) { OF_VISIT } else { OF_CODE };
        out.put(&[form, self.end.byte()]);
        put_device(&mut out, &self.device);
        match &self.by {
            Admitted::Visit { visit, .. } => out.put(visit),
            Admitted::Code(key) => {
                out.put(&[CODE]);
                key.put(&mut out);
            }
            Admitted::Emergency(key) => {
                out.put(&[EMERGENCY]);
                key.put(&mut out);
            }
        }
        out.put(&self.session);
        if let Admitted::Visit { technician, work_order, .. } = &self.by {
            out.frame(technician.as_str().as_bytes());
            out.frame(work_order.as_str().as_bytes());
        }
        out.frame(self.scope.as_str().as_bytes());
        out.u64(self.began);
        out.u64(self.ended);
        out.put(&[self.actions.len() as u8]);
        for (category, times) in &self.actions {
            out.frame(category.as_str().as_bytes());
            out.u32(*times);
        }
        out
    }

    /// The inverse of [`VisitProtocol::encode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let form = reader.u8("form")?;
        if form != OF_VISIT && form != OF_CODE {
            let (min, max) = (OF_VISIT.into(), OF_CODE.into());
            return Err(Problem::Range { value: form.into(), min, max }.of("form"));
        }
        let byte = reader.u8("end")?;
        let range = Problem::Range { value: byte.into(), min: 1, max: VisitEnd::ALL.len() as u64 };
        let end = VisitEnd::ALL.into_iter().find(|end| end.byte() == byte).ok_or_else(|| range.of("end"))?;
        let device = read_device(&mut reader)?;
        let (by, session) = if form == OF_VISIT {
            let (visit, session) = (reader.array("visit")?, reader.array("session")?);
            let (technician, work_order) = (reader.name("technician")?, reader.name("work order")?);
            (Admitted::Visit { visit, technician, work_order }, session)
        } else {
            let by = match reader.u8("kind of code")? {
                CODE => Admitted::Code(ServiceKey::read(&mut reader)?),
                EMERGENCY => Admitted::Emergency(ServiceKey::read(&mut reader)?),
                value => {
                    let (value, min, max) = (value.into(), CODE.into(), EMERGENCY.into());
                    return Err(Problem::Range { value, min, max }.of("kind of code"));
                }
            };
            (by, reader.array("session")?)
        };
        let scope = reader.name("scope")?;
        let (began, ended) = (reader.u64("began")?, reader.u64("ended")?);
        if ended < began {
            return Err(Problem::Range { value: ended, min: began, max: u64::MAX }.of("ended"));
        }
        let mut actions = BTreeMap::new();
        for _ in 0..reader.small("actions", Self::MAX_CATEGORIES as u8)? {
            let category: ActionCategory = reader.name("category")?;
            if actions.last_key_value().is_some_and(|(last, _)| *last >= category) {
                return Err(Problem::NotCanonical("is out of byte order or given twice").of("category"));
            }
            let times = reader.u32("times")?;
            if times == 0 {
                return Err(Problem::Range { value: 0, min: 1, max: u32::MAX.into() }.of("times"));
            }
            actions.insert(category, times);
        }
        reader.finish("visit protocol")?;
        Ok(Self { device, by, session, scope, began, ended, end, actions })
    }
}

/// The form of a session by a certificate, and that of one by a code.
const OF_VISIT: u8 = 1;
const OF_CODE: u8 = 2;

/// The kinds of codes.
const CODE: u8 = 1;
const EMERGENCY: u8 = 2;

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use alloc::vec;

    pub(in crate::message) fn protocol(end: VisitEnd) -> VisitProtocol {
        VisitProtocol {
            device: DeviceName { tenant: "klinik".parse().unwrap(), device: "pump-1".parse().unwrap() },
            by: Admitted::Visit {
                visit: [7; 8],
                technician: "eva".parse().unwrap(),
                work_order: "WO-12".parse().unwrap(),
            },
            session: [9; 16],
            scope: "view".parse().unwrap(),
            began: 1_000,
            ended: 1_060,
            end,
            actions: BTreeMap::from([("calibration".parse().unwrap(), 2), ("command".parse().unwrap(), 1)]),
        }
    }

    #[test]
    fn a_protocol_is_read_back_and_what_is_cut_longer_or_out_of_order_is_none() {
        for end in VisitEnd::ALL {
            let bytes = protocol(end).encode();
            assert_eq!(VisitProtocol::decode(&bytes).unwrap(), protocol(end));
            for at in 0..bytes.len() {
                assert!(VisitProtocol::decode(&bytes[..at]).is_err(), "{at} bytes");
            }
            assert!(VisitProtocol::decode(&[&bytes[..], &[0]].concat()).is_err());
        }
        for (at, byte) in [(0, 0), (0, 2), (0, 3), (1, 0), (1, 5)] {
            let mut changed = protocol(VisitEnd::Left).encode();
            changed[at] = byte;
            assert!(VisitProtocol::decode(&changed).is_err(), "byte {at}");
        }
        let backwards = VisitProtocol { ended: 999, ..protocol(VisitEnd::Left) };
        assert!(VisitProtocol::decode(&backwards.encode()).is_err());
        let mut none = protocol(VisitEnd::Left);
        none.actions.insert("command".parse().unwrap(), 0);
        assert!(VisitProtocol::decode(&none.encode()).is_err());
        let many = (0..17).map(|n| (alloc::format!("a{n:02}").parse().unwrap(), 1)).collect();
        let many = VisitProtocol { actions: many, ..protocol(VisitEnd::Left) };
        assert!(VisitProtocol::decode(&many.encode()).is_err());
        // The same two categories the other way round.
        let bytes = protocol(VisitEnd::Left).encode();
        let (one, other) = (4 + 11 + 4, 4 + 7 + 4);
        let at = bytes.len() - one - other;
        let swapped = [&bytes[..at], &bytes[at + one..], &bytes[at..at + one]].concat();
        assert!(VisitProtocol::decode(&swapped).is_err());
        assert_eq!(vec![swapped.len()], [bytes.len()]);
    }

    #[test]
    fn a_session_by_a_code_names_its_key_in_the_place_of_a_visit() {
        let key = ServiceKey { generation: 2, epoch: 3, number: 4 };
        for by in [Admitted::Code(key), Admitted::Emergency(key)] {
            let protocol = VisitProtocol { by, ..protocol(VisitEnd::Over) };
            let bytes = protocol.encode();
            assert_eq!(VisitProtocol::decode(&bytes).unwrap(), protocol);
            for at in 0..bytes.len() {
                assert!(VisitProtocol::decode(&bytes[..at]).is_err(), "{at} bytes");
            }
            // Behind form, end, tenant and device.
            let at = 2 + 4 + 6 + 4 + 6;
            for kind in [0, 3] {
                let mut changed = bytes.clone();
                changed[at] = kind;
                assert!(VisitProtocol::decode(&changed).is_err(), "kind {kind}");
            }
        }
    }
}
