//! Enrollment at the factory (DDKG-1 section 4). No matter who relays it, the steps are these; a crash between any two is safe.

use crate::attribute::measure;
use crate::authority::{CallError, Station};
use crate::config::Config;
use crate::directory::Directory;
use crate::error::Error;
use std::path::Path;
use wardein_crypto::Entropy;
use wardein_ddkg::device::{DeviceState, Enrolling};
use wardein_ddkg::message::Confirmation;
use wardein_domain::ErrorCode;

/// An enrollment whose state is saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enrolled {
    /// The generation that was agreed on.
    pub generation: u64,
    /// Whether the authority is known to have the confirmation. Where it is not, the device sends it again by itself.
    pub is_confirmed: bool,
}

/// Enrolls the device of `config`, whose attributes lie below `root`, or brings an unfinished enrollment to its end.
/// With `again`, a state that is there already is replaced once the authority has agreed to another.
pub async fn enroll(
    directory: &Directory,
    config: &Config,
    root: &Path,
    again: bool,
    station: &mut impl Station,
    entropy: &mut impl Entropy,
) -> Result<Enrolled, Error> {
    let saved = if again { None } else { directory.files().state(config)? };
    if let Some(mut state) = saved {
        // An earlier run saved this and may not have been heard. A new request would be refused where it was.
        match confirm(directory, config, &mut state, station).await {
            Err(Error::Refused(refused)) if NOT_THE_LAST.iter().any(|code| refused.is(*code)) => {}
            done => return done,
        }
    }
    // Before the authority is asked: what it agrees to must find a place.
    directory.state_key_or_new(config)?;
    let attributes = measure(&config.attributes, root, |_| true)?;
    let enrolling =
        Enrolling::begin(config.identity_key, config.suite, config.device.clone(), attributes, entropy)?;
    let (tenant, reply) = station.enroll(enrolling.request()).await?;
    if tenant != config.device.tenant {
        let (found, expected) = (tenant.to_string(), config.device.tenant.to_string());
        return Err(Error::OtherTenant { found, expected });
    }
    let mut state = enrolling.finish(&reply, config.purposes)?;
    confirm(directory, config, &mut state, station).await
}

/// Saves the state, then sends its confirmation.
async fn confirm(
    directory: &Directory,
    config: &Config,
    state: &mut DeviceState,
    station: &mut impl Station,
) -> Result<Enrolled, Error> {
    let generation = state.generation();
    let Some(unsaved) = state.confirmation() else { return Err(Error::AlreadyEnrolled) };
    let confirmation: Confirmation = directory.save(config, unsaved)?;
    let is_confirmed = match station.confirm(&confirmation).await {
        Ok(()) => true,
        // A proof of this device was accepted since, which takes a confirmation before it.
        Err(CallError::Refused(refused)) if refused.is(ErrorCode::AlreadyEnrolled) => true,
        Err(CallError::Unreachable(_)) => false,
        Err(other) => return Err(other.into()),
    };
    Ok(Enrolled { generation, is_confirmed })
}

/// What the authority says to the confirmation of an enrollment that it does not know, or has replaced by a later one.
const NOT_THE_LAST: [ErrorCode; 2] = [ErrorCode::ConfirmationWrong, ErrorCode::DeviceUnknown];
