//! Protocols of visits as a file, where there is no network (DDKG-1 §7.3).

use super::codes::CodeRefused;
use super::protocol::{read, sessions};
use crate::authority::{Authority, SigningAuthority};
use crate::error::Error;
use crate::session::Session;
use crate::signing::SigningSession;
use std::path::Path;
use wardein_crypto::Entropy;
use wardein_ddkg::DeviceName;
use wardein_ddkg::device::DeviceError;
use wardein_ddkg::message::{Admitted, CarriedProtocol, VisitProtocol};

/// A device that vouches for protocols without asking the authority.
pub trait Carrier {
    /// The device.
    fn device(&self) -> &DeviceName;
    /// The protocol as it goes into a file; none where it is not one that the device vouches for.
    fn carry(&mut self, protocol: VisitProtocol) -> Result<Option<CarriedProtocol>, Error>;
}

/// The protocols of sessions that are over, as the text of a file, and how many. They are kept: whether the file arrives, nobody
/// knows here.
pub fn carry_protocols(spool: &Path, carrier: &mut impl Carrier) -> Result<(String, usize), Error> {
    let device = carrier.device().clone();
    let mut carried = Vec::new();
    for path in sessions(spool)? {
        match read(&path, &device) {
            Ok(None) => {}
            Ok(Some(protocol)) => match carrier.carry(protocol)? {
                Some(protocol) => carried.push(protocol),
                None => {
                    tracing::warn!(path = %path.display(), "no code for emergencies was used that is not told yet; it is left out")
                }
            },
            // It is kept aside at the next contact.
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "not the protocol of a visit; it is left out");
            }
        }
    }
    Ok((CarriedProtocol::to_file(&carried), carried.len()))
}

impl<A: Authority, E: Entropy> Carrier for Session<A, E> {
    fn device(&self) -> &DeviceName {
        self.name()
    }

    fn carry(&mut self, protocol: VisitProtocol) -> Result<Option<CarriedProtocol>, Error> {
        let (directory, config, state, clock, _) = self.keys();
        // The spool is others' to write, and the authority takes the file's word that the code was used: the state knows.
        if let Admitted::Emergency(key) = &protocol.by
            && !directory.files().codes()?.used.contains(&(*key).into())
        {
            return Ok(None);
        }
        let carrying = match state.carry_protocol(clock, protocol) {
            Err(DeviceError::PurposeNotKept(_)) => return Err(CodeRefused::NotAgreed.into()),
            carrying => carrying?,
        };
        directory.save(config, carrying).map(Some)
    }
}

impl<A: SigningAuthority, E: Entropy> Carrier for SigningSession<A, E> {
    fn device(&self) -> &DeviceName {
        self.name()
    }

    /// Such a device admits nobody by a code.
    fn carry(&mut self, protocol: VisitProtocol) -> Result<Option<CarriedProtocol>, Error> {
        if !matches!(protocol.by, Admitted::Visit { .. }) {
            return Ok(None);
        }
        let signature = self.sign(&CarriedProtocol::to_sign(&protocol, &self.key_id()))?;
        Ok(Some(CarriedProtocol::signed(protocol, signature)))
    }
}
