//! Going over to another tenant: asked for like a rekey, and saved so that the device is who it was, or who it is to be, and never
//! neither.

use super::{Asking, Session};
use crate::authority::Authority;
use crate::error::Error;
use wardein_crypto::Entropy;
use wardein_ddkg::{DeviceName, Suite};
use wardein_domain::{DeviceAction, ErrorCode};

/// A device that went over to another tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transferred {
    /// Who it is now.
    pub device: DeviceName,
    /// Whether a proof there was acknowledged. Until one is, the authority has it as the former tenant's, and the next request
    /// tries again.
    pub is_complete: bool,
}

impl<A: Authority, E: Entropy> Session<A, E> {
    /// Goes over to the tenant that the device's own has given it to, and that has accepted it (DDKG-1 §6.2). Where it fails
    /// anywhere, or its reply is lost, the device is who it was, and may ask again; from when the new state is on disk, it is the
    /// other's.
    pub async fn transfer(&mut self) -> Result<Transferred, Error> {
        let suite = self.config.suite;
        let done = match self.request(&Asking::Transfer(suite)).await {
            // Nothing else is taken before that.
            Err(Error::Refused(refused)) if refused.action() == DeviceAction::Rekey => {
                self.rekey().await?;
                self.request(&Asking::Transfer(suite)).await
            }
            done => done,
        };
        match (done, Suite::from_number(2)) {
            (Err(Error::Refused(refused)), Ok(hybrid))
                if refused.action() == DeviceAction::TakeSuite && suite != hybrid =>
            {
                tracing::warn!("the other tenant does not allow suite 1; suite 2 is agreed on");
                self.request(&Asking::Transfer(hybrid)).await?
            }
            (done, _) => done.inspect_err(|error| {
                // It was withdrawn since, or somebody between said so.
                if matches!(error, Error::Refused(refused) if refused.is(ErrorCode::TransferUnknown)) {
                    self.is_transfer_asked = false;
                }
            })?,
        };
        let is_complete = match self.authenticate().await {
            Ok(_) => true,
            Err(error) => {
                tracing::warn!(%error, "the transfer is not complete yet; the next request tries again");
                false
            }
        };
        Ok(Transferred { device: self.config.device.clone(), is_complete })
    }

    /// Whether the last reply said that the device is to go over to another tenant.
    pub fn is_transfer_due(&self) -> bool {
        self.is_transfer_asked
    }

    /// The state that a transfer has made is not surely on disk: this goes on from what is there, whichever it is.
    pub(super) fn go_back<T>(&mut self, error: Error) -> Result<T, Error> {
        match self.read() {
            // It is there, and saved again, durably, before it speaks.
            Ok((device, _)) if device == *self.state.device() => self.config.device = device,
            Ok((device, state)) => (self.config.device, self.state) = (device, state),
            // Nothing is sent from a state that is not the one on disk.
            Err(_) => self.directory.rest_unread(),
        }
        Err(error)
    }
}
