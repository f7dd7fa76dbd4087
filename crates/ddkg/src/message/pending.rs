//! Release at the device (specification, section 8.9): the visits that wait for it, and the visit that a person there releases.

use crate::wire::{DecodeError, Problem, Reader, Sink};
use alloc::vec::Vec;
use wardein_domain::{OperatorName, Role, ServiceScope, WorkOrder};

/// A visit of the device that waits for its release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingVisit {
    /// Its id within the tenant.
    pub visit: [u8; 8],
    /// Who is to come.
    pub technician: OperatorName,
    /// What for.
    pub work_order: WorkOrder,
    /// What it may do.
    pub scope: ServiceScope,
    /// Unix second from which it may be.
    pub from: u64,
    /// Unix second at which it is over.
    pub until: u64,
    /// The role of who asked for it.
    pub role: Role,
    /// The name of who asked for it.
    pub by: OperatorName,
    /// Unix second at which that was.
    pub asked: u64,
    /// How many devices it is of, 1 to [`PendingVisit::MAX_DEVICES`]; one of several is not released at the device.
    pub devices: u8,
}

impl PendingVisit {
    /// The most visits of a device that wait.
    pub const MAX: usize = 16;

    /// The most devices of a visit.
    pub const MAX_DEVICES: u8 = 32;

    /// The reply body of the action `pending-visits`. Of more than [`PendingVisit::MAX`] it has the first.
    pub fn encode_all(visits: &[Self]) -> Vec<u8> {
        let visits = visits.get(..Self::MAX).unwrap_or(visits);
        let mut out = Vec::new();
        out.put(&[FORM, visits.len() as u8]);
        for of in visits {
            out.put(&of.visit);
            out.frame(of.technician.as_str().as_bytes());
            out.frame(of.work_order.as_str().as_bytes());
            out.frame(of.scope.as_str().as_bytes());
            out.u64(of.from);
            out.u64(of.until);
            out.frame(of.role.as_str().as_bytes());
            out.frame(of.by.as_str().as_bytes());
            out.u64(of.asked);
            out.put(&[of.devices]);
        }
        out
    }

    /// The inverse of [`PendingVisit::encode_all`].
    pub fn decode_all(bytes: &[u8]) -> Result<Vec<Self>, DecodeError> {
        let mut reader = Reader::new(bytes);
        read_form(&mut reader)?;
        let count = reader.small("visits", Self::MAX as u8)?;
        let visits = (0..count).map(|_| Self::read(&mut reader)).collect::<Result<Vec<_>, _>>()?;
        reader.finish("pending visits")?;
        Ok(visits)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let visit = Self {
            visit: reader.array("visit")?,
            technician: reader.name("technician")?,
            work_order: reader.name("work order")?,
            scope: reader.name("scope")?,
            from: reader.u64("from")?,
            until: reader.u64("until")?,
            role: reader.name("role")?,
            by: reader.name("name")?,
            asked: reader.u64("asked")?,
            devices: reader.small("devices", Self::MAX_DEVICES)?,
        };
        if visit.until <= visit.from {
            let range = Problem::Range { value: visit.until, min: visit.from, max: u64::MAX };
            return Err(range.of("until"));
        }
        if visit.devices == 0 {
            let range = Problem::Range { value: 0, min: 1, max: Self::MAX_DEVICES.into() };
            return Err(range.of("devices"));
        }
        Ok(visit)
    }
}

/// The body of the action `visit-release`: the visit that a person at the device releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VisitRelease(pub [u8; 8]);

impl VisitRelease {
    /// The body of the action.
    pub fn encode(self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put(&[FORM]);
        out.put(&self.0);
        out
    }

    /// The inverse of [`VisitRelease::encode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        read_form(&mut reader)?;
        let visit = reader.array("visit")?;
        reader.finish("visit release")?;
        Ok(Self(visit))
    }
}

fn read_form(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let value = reader.u8("form")?.into();
    let (min, max) = (FORM.into(), FORM.into());
    (value == min).then_some(()).ok_or_else(|| Problem::Range { value, min, max }.of("form"))
}

/// The one form that there is.
const FORM: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn pending(visit: u8) -> PendingVisit {
        PendingVisit {
            visit: [visit; 8],
            technician: "eva".parse().unwrap(),
            work_order: "WO-12".parse().unwrap(),
            scope: "view".parse().unwrap(),
            from: 1_000,
            until: 4_600,
            role: Role::ServiceCoordinator,
            by: "carla".parse().unwrap(),
            asked: 900,
            devices: 1,
        }
    }

    #[test]
    fn visits_are_read_back_and_what_is_cut_longer_or_out_of_bounds_is_refused() {
        assert_eq!(PendingVisit::decode_all(&[1, 0]), Ok(Vec::new()));
        let visits = vec![pending(1), PendingVisit { devices: 32, ..pending(2) }];
        let bytes = PendingVisit::encode_all(&visits);
        assert_eq!(PendingVisit::decode_all(&bytes).unwrap(), visits);
        for at in 0..bytes.len() {
            assert!(PendingVisit::decode_all(&bytes[..at]).is_err(), "{at} bytes");
        }
        assert!(PendingVisit::decode_all(&[&bytes[..], &[0]].concat()).is_err());
        for (at, byte) in
            [(0, 0), (0, 2), (1, 1), (1, 3), (1, 17), (bytes.len() - 1, 0), (bytes.len() - 1, 33)]
        {
            let mut changed = bytes.clone();
            changed[at] = byte;
            assert!(PendingVisit::decode_all(&changed).is_err(), "byte {at} is {byte}");
        }
        let backwards = PendingVisit { until: 1_000, ..pending(1) };
        assert!(PendingVisit::decode_all(&PendingVisit::encode_all(&[backwards])).is_err());
        let many: Vec<_> = (0..17).map(pending).collect();
        let read = PendingVisit::decode_all(&PendingVisit::encode_all(&many)).unwrap();
        assert_eq!(read, many[..16]);
    }

    #[test]
    fn a_release_is_of_one_visit() {
        let bytes = VisitRelease([7; 8]).encode();
        assert_eq!(VisitRelease::decode(&bytes), Ok(VisitRelease([7; 8])));
        for at in 0..bytes.len() {
            assert!(VisitRelease::decode(&bytes[..at]).is_err(), "{at} bytes");
        }
        assert!(VisitRelease::decode(&[&bytes[..], &[7]].concat()).is_err());
        assert!(VisitRelease::decode(&[2, 7, 7, 7, 7, 7, 7, 7, 7]).is_err());
    }
}
