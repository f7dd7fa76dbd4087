//! SWUpdate, and other clients of hawkBit's Direct Device Integration API, as what installs.
//!
//! What: a server on the loopback interface that offers the one artifact that was downloaded and judged, and takes the client's
//! feedback as what came of it. Why: SWUpdate as distributions ship it polls such a server by itself and needs no change; what it
//! may install is decided before it hears of it. What it does not do: the rest of hawkBit. There is one action, no cancellation,
//! and no part of a file.

mod action;
mod content;
mod feedback;
mod server;
mod token;

pub use server::{Loopback, LoopbackAddress, NotLoopback};
pub use token::{HawkbitToken, HawkbitTokenError};

use super::error::UpdateError;
use super::install::{Begun, Start};
use super::progress::{Installed, Phase, Standing};
use super::updater::{Pick, Updater};
use crate::error::Error;
use action::{Action, Artifact};
use feedback::Feedback;
use hyper::StatusCode;
use server::{Desk, serve};
use wardein_crypto::DangerSha1;

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HawkbitEnd {
    /// It is installed, and waits for its first start.
    Installed(Installed),
    /// What was installed has started well.
    Confirmed(Installed),
    /// What was installed has not: the device runs what it ran before.
    RolledBack(Standing),
}

/// What the client is asked for.
enum Stage {
    /// To install.
    Offering(Box<Begun>),
    /// To say how the first start went: what it is not asked for a second time is to install.
    Closing,
}

impl Updater {
    /// Has a client of hawkBit's DDI install a release that was downloaded, under the conditions of [`Updater::install`]; or, where
    /// something waits for its first start, hears from it how that went. It ends once the client has said so, or has not asked for
    /// [`Loopback::PATIENCE`].
    pub async fn hawkbit(
        &self,
        pick: Pick,
        listener: Loopback,
        token: &HawkbitToken,
    ) -> Result<HawkbitEnd, Error> {
        let (stage, action) = match self.standing()?.pending {
            Some((Phase::Installed, installed)) => {
                let action = Action::closing(&self.config.device, &installed);
                (Stage::Closing, action.ok_or(Error::Fault("reading a digest"))?)
            }
            _ => {
                let mut sha1 = DangerSha1::new();
                match self.begin(pick, &mut |piece| sha1.update(piece)).await? {
                    Start::Already(installed) => return Ok(HawkbitEnd::Installed(installed)),
                    Start::Now(begun) => {
                        let artifact = Artifact::of(&begun.listed, &begun.path, sha1.finish());
                        let action = Action::offering(&self.config.device, &self.settings.line, artifact);
                        (Stage::Offering(begun), action)
                    }
                }
            }
        };
        let mut ended = None;
        let mut judge = |said: Feedback, was_fetched: bool| match ended {
            // What is said after the end changes nothing.
            Some(_) => Ok((StatusCode::OK, true)),
            None => match self.take(&stage, said, was_fetched) {
                Ok(Taken::GoesOn) => Ok((StatusCode::OK, false)),
                Ok(Taken::Refused) => Ok((StatusCode::CONFLICT, false)),
                Ok(Taken::Ended(end)) => {
                    ended = Some(*end);
                    Ok((StatusCode::OK, true))
                }
                Err(error) => Err(error),
            },
        };
        let address = listener.address();
        serve(listener, Desk::new(action, address, token.judge()?), &mut judge).await?;
        match ended {
            Some(end) => end,
            None => Err(UpdateError::NobodyInstalls { address }.into()),
        }
    }

    /// Puts on record what the client says. It is durable before the client has its answer.
    fn take(&self, stage: &Stage, said: Feedback, was_fetched: bool) -> Result<Taken, Error> {
        let taken = match (stage, said) {
            (_, Feedback::GoesOn) | (Stage::Closing, Feedback::Written) => Taken::GoesOn,
            (Stage::Offering(begun), Feedback::Failed) => {
                self.has_failed(begun)?;
                let how = "it said that the installation failed; see what it logged".to_owned();
                let command = "the client of hawkBit's DDI".to_owned();
                Taken::ended(Err(UpdateError::Install { command, how }.into()))
            }
            (Stage::Offering(begun), Feedback::Written | Feedback::Succeeded) if was_fetched => {
                self.has_ended(begun)?;
                Taken::ended(Ok(HawkbitEnd::Installed(begun.installed.clone())))
            }
            // It fetched the artifact before the power was cut, and nobody heard that it was done: it has started since.
            (Stage::Offering(begun), Feedback::Succeeded) if begun.is_begun_again() => {
                self.has_ended(begun)?;
                Taken::ended(Ok(HawkbitEnd::Confirmed(self.confirm()?)))
            }
            // What it never fetched it cannot have installed.
            (Stage::Offering(_), Feedback::Written | Feedback::Succeeded) => Taken::Refused,
            (Stage::Closing, Feedback::Succeeded) => Taken::ended(Ok(HawkbitEnd::Confirmed(self.confirm()?))),
            (Stage::Closing, Feedback::Failed) => {
                Taken::ended(Ok(HawkbitEnd::RolledBack(self.rolled_back()?)))
            }
        };
        Ok(taken)
    }
}

/// What a message of the client changed.
enum Taken {
    GoesOn,
    Refused,
    Ended(Box<Result<HawkbitEnd, Error>>),
}

impl Taken {
    fn ended(how: Result<HawkbitEnd, Error>) -> Self {
        Self::Ended(Box::new(how))
    }
}
