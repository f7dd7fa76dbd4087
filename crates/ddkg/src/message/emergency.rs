//! The body of the action `emergency-code` (specification, section 8.8): which code a device has now, and which were used.

use super::{read_generation, read_number};
use crate::key::{DeviceName, KeyName};
use crate::wire::{DecodeError, Problem, Reader, Sink};
use alloc::vec::Vec;
use wardein_domain::Purpose;

/// What a device says of its codes for emergencies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmergencyReport {
    /// The key that its code comes from.
    pub current: ServiceKey,
    /// Those whose code let somebody in, and of which it has not heard that they are on record: at most [`EmergencyReport::MAX_USED`].
    pub used: Vec<ServiceKey>,
}

/// A key of the purpose `service`, without its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceKey {
    /// The generation.
    pub generation: u64,
    /// The epoch.
    pub epoch: u32,
    /// The number.
    pub number: u64,
}

impl ServiceKey {
    /// The name of the key as one of `owner`.
    pub fn name(self, owner: DeviceName) -> KeyName {
        let Self { generation, epoch, number } = self;
        KeyName { owner, generation, purpose: Purpose::Service, epoch, number }
    }

    pub(super) fn put(self, out: &mut impl Sink) {
        out.u64(self.generation);
        out.u32(self.epoch);
        out.u64(self.number);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (generation, epoch) = (read_generation(reader)?, reader.u32("epoch")?);
        Ok(Self { generation, epoch, number: read_number(reader)? })
    }
}

impl From<&KeyName> for ServiceKey {
    fn from(name: &KeyName) -> Self {
        let &KeyName { generation, epoch, number, .. } = name;
        Self { generation, epoch, number }
    }
}

impl EmergencyReport {
    /// The most codes that are reported as used at one time.
    pub const MAX_USED: usize = 8;

    /// The body.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put(&[1, u8::try_from(self.used.len()).unwrap_or(u8::MAX)]);
        self.current.put(&mut out);
        self.used.iter().for_each(|used| used.put(&mut out));
        out
    }

    /// The inverse of [`EmergencyReport::encode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let form = reader.u8("form")?;
        if form != 1 {
            return Err(Problem::Range { value: form.into(), min: 1, max: 1 }.of("form"));
        }
        let count = reader.small("used codes", Self::MAX_USED as u8)?;
        let current = ServiceKey::read(&mut reader)?;
        let used = (0..count).map(|_| ServiceKey::read(&mut reader)).collect::<Result<_, _>>()?;
        reader.finish("emergency report")?;
        Ok(Self { current, used })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_comes_back_and_nothing_else_is_read() {
        let key = |number| ServiceKey { generation: 2, epoch: 3, number };
        for count in [0, 1, 8] {
            let report = EmergencyReport { current: key(9), used: (0..count).map(key).collect() };
            let bytes = report.encode();
            assert_eq!(EmergencyReport::decode(&bytes), Ok(report));
            for cut in 0..bytes.len() {
                assert!(EmergencyReport::decode(&bytes[..cut]).is_err(), "{cut}");
            }
            assert!(EmergencyReport::decode(&[&bytes[..], &[0]].concat()).is_err());
        }
        let nine = EmergencyReport { current: key(0), used: (0..9).map(key).collect() };
        assert_eq!(EmergencyReport::decode(&nine.encode()).unwrap_err().field, "used codes");
        let mut other = EmergencyReport { current: key(0), used: Vec::new() }.encode();
        other[0] = 2;
        assert_eq!(EmergencyReport::decode(&other).unwrap_err().field, "form");
    }
}
