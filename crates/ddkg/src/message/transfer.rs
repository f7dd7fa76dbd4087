//! The reply body of the action `transfer` (specification, section 6.2). Its request has the body of a rekey that names no purposes.

use super::{RekeyAnswer, RekeyAsk, put_device, read_device};
use crate::derive::Transcript;
use crate::key::DeviceName;
use crate::suite::Suite;
use crate::wire::{DecodeError, Problem, Reader};
use alloc::vec::Vec;
use wardein_crypto::Digest;

/// The answer to a device that goes over to another tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferAnswer {
    /// Who the device is from its next proof on.
    pub device: DeviceName,
    /// The agreement that its keys there come from. It has no purposes: the device keeps those that it has.
    pub keys: RekeyAnswer,
}

impl TransferAnswer {
    /// The body: `frame(tenant′) ‖ frame(device id′)`, then the reply body of a rekey that named no purposes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_device(&mut out, &self.device);
        out.extend_from_slice(&self.keys.encode());
        out
    }

    /// The inverse of [`TransferAnswer::encode`], for the requested suite.
    pub fn decode(suite: Suite, bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let device = read_device(&mut reader)?;
        let keys = RekeyAnswer::decode(suite, reader.rest())?;
        if keys.purposes.is_some() {
            return Err(Problem::NotCanonical("are given in a transfer").of("purposes"));
        }
        Ok(Self { device, keys })
    }
}

/// T′ of section 6.2. `proof`, which is T, names the device as it was until then.
pub(crate) fn transfer_transcript(proof: &Digest, ask: &RekeyAsk, answer: &TransferAnswer) -> Digest {
    let TransferAnswer { device, keys } = answer;
    Transcript::new("transfer")
        .field(proof)
        .field(device.tenant.as_str())
        .field(device.device.as_str())
        .integer(ask.share.suite().number())
        .field(&ask.share)
        .field(&keys.share)
        .integer(keys.generation)
        .integer(keys.schedule.period)
        .integer(keys.schedule.max_uses)
        .integer(keys.schedule.not_before)
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::{AuthorityShare, DeviceShare};
    use wardein_domain::Schedule;

    fn answer() -> TransferAnswer {
        let share = AuthorityShare::new(Suite::P256, &[4; 65]).unwrap();
        let schedule = Schedule { period: 3600, max_uses: 0, not_before: 7 };
        let device = DeviceName { tenant: "lab".parse().unwrap(), device: "pump-1".parse().unwrap() };
        TransferAnswer { device, keys: RekeyAnswer { share, generation: 9, schedule, purposes: None } }
    }

    #[test]
    fn it_comes_back_and_nothing_else_is_taken() {
        let bytes = answer().encode();
        assert_eq!(TransferAnswer::decode(Suite::P256, &bytes), Ok(answer()));
        for cut in 0..bytes.len() {
            assert!(TransferAnswer::decode(Suite::P256, &bytes[..cut]).is_err(), "{cut} bytes");
        }
        let with_purposes = [&bytes[..], &[0, 0, 0, 15]].concat();
        assert_eq!(TransferAnswer::decode(Suite::P256, &with_purposes).unwrap_err().field, "purposes");
        let longer = [&bytes[..], &[0]].concat();
        assert!(TransferAnswer::decode(Suite::P256, &longer).is_err());
    }

    /// Each field is bound: what changes in it changes the transcript.
    #[test]
    fn every_field_is_in_the_transcript() {
        let share = DeviceShare::new(Suite::P256, &[4; 65]).unwrap();
        let ask = RekeyAsk { share, purposes: None };
        let right = transfer_transcript(&Digest([1; 32]), &ask, &answer());
        let other = |change: fn(&mut TransferAnswer)| {
            let mut answer = answer();
            change(&mut answer);
            transfer_transcript(&Digest([1; 32]), &ask, &answer)
        };
        for changed in [
            transfer_transcript(&Digest([2; 32]), &ask, &answer()),
            other(|answer| answer.device.tenant = "lab-2".parse().unwrap()),
            other(|answer| answer.device.device = "pump-2".parse().unwrap()),
            other(|answer| answer.keys.share = AuthorityShare::new(Suite::P256, &[5; 65]).unwrap()),
            other(|answer| answer.keys.generation = 10),
            other(|answer| answer.keys.schedule.period = 1),
            other(|answer| answer.keys.schedule.max_uses = 1),
            other(|answer| answer.keys.schedule.not_before = 1),
        ] {
            assert_ne!(changed, right);
        }
    }
}
