//! The body of the action `visit-protocol` (specification, section 8.7): what came of a technician's session, in the device's own words.

use super::{put_device, read_device};
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
    /// The visit that let the technician in.
    pub visit: [u8; 8],
    /// Which of its sessions: random.
    pub session: [u8; 16],
    /// Who came.
    pub technician: OperatorName,
    /// What for.
    pub work_order: WorkOrder,
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
        out.put(&[VERSION, self.end.byte()]);
        put_device(&mut out, &self.device);
        out.put(&self.visit);
        out.put(&self.session);
        for text in [self.technician.as_str(), self.work_order.as_str(), self.scope.as_str()] {
            out.frame(text.as_bytes());
        }
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
        let version = u64::from(reader.u8("version")?);
        let known = u64::from(VERSION);
        if version != known {
            return Err(Problem::Range { value: version, min: known, max: known }.of("version"));
        }
        let byte = reader.u8("end")?;
        let range = Problem::Range { value: byte.into(), min: 1, max: VisitEnd::ALL.len() as u64 };
        let end = VisitEnd::ALL.into_iter().find(|end| end.byte() == byte).ok_or_else(|| range.of("end"))?;
        let device = read_device(&mut reader)?;
        let (visit, session) = (reader.array("visit")?, reader.array("session")?);
        let technician = reader.name("technician")?;
        let (work_order, scope) = (reader.name("work order")?, reader.name("scope")?);
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
        Ok(Self { device, visit, session, technician, work_order, scope, began, ended, end, actions })
    }
}

/// The version of the form.
const VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn protocol(end: VisitEnd) -> VisitProtocol {
        VisitProtocol {
            device: DeviceName { tenant: "klinik".parse().unwrap(), device: "pump-1".parse().unwrap() },
            visit: [7; 8],
            session: [9; 16],
            technician: "eva".parse().unwrap(),
            work_order: "WO-12".parse().unwrap(),
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
        for (at, byte) in [(0, 2), (1, 0), (1, 5)] {
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
}
