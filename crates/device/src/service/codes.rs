//! Letting a technician in where there is no network (DDKG-1 §7.1): the challenge that is open, and the lockout against guessing. What is
//! kept of them is replaced whole, before anything rests on it: a power cut makes no code good twice, and gives nobody a further guess.

use super::emergency::Held;
use super::moment::Moment;
use crate::authority::Authority;
use crate::directory::Directory;
use crate::error::Error;
use crate::session::Session;
use serde::{Deserialize, Serialize};
use wardein_crypto::Entropy;
use wardein_ddkg::device::DeviceError;
use wardein_ddkg::message::Admitted;
use wardein_ddkg::{ServiceChallenge, ServiceCode};
use wardein_domain::ServiceScope;

/// A technician who is let in by a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// The name of the code's key, as `g.e.n`: what distinguishes this session from every other.
    pub id: String,
    /// By which code.
    pub by: Admitted,
    /// What the technician may do.
    pub scope: ServiceScope,
    /// When it is over.
    pub until: Moment,
}

/// Why a code lets nobody in, or no challenge is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodeRefused {
    /// There are no keys for it.
    #[error(
        "the device has agreed on no keys for codes and protocols as files: add \"service\" to purposes in device.toml, and run: wardein-device rekey \
         (service-codes-not-agreed)"
    )]
    NotAgreed,
    /// Too many were wrong.
    #[error(
        "too many codes were wrong: wait {seconds} seconds with the device switched on, or have it reach the authority \
         (service-locked)"
    )]
    Locked {
        /// For how long.
        seconds: u64,
    },
    /// None was shown, or it was used.
    #[error("no challenge is open; run: wardein-device service challenge (service-challenge-missing)")]
    NoChallenge,
    /// It is too late.
    #[error(
        "the challenge is over: it was shown more than 15 minutes ago, or before the device was restarted or agreed on new keys; show \
         another (service-challenge-over)"
    )]
    ChallengeOver,
    /// The text is not a code.
    #[error("that is not a code: ten characters; look at it again (service-code-malformed)")]
    Malformed,
    /// The code does not answer the challenge.
    #[error("the code is wrong; {left} more may be tried before the device waits (service-code-wrong)")]
    Wrong {
        /// How many.
        left: u32,
    },
    /// There is no code for emergencies.
    #[error(
        "the device has no code for emergencies: none was made, or it was used and the authority not reached since \
         (emergency-code-missing)"
    )]
    NoEmergencyCode,
    /// What the code allows is over already.
    #[error("the visit is over (service-code-over)")]
    Over,
}

/// What is kept of challenges, codes for emergencies and wrong codes. It holds no secret: of a code, a salted digest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Codes {
    /// The open challenge; there is one at a time.
    shown: Option<Shown>,
    /// Codes that were tried since the last right one, or the last contact.
    tried: u32,
    /// Since when the device waits, where it does.
    locked: Option<Moment>,
    /// The codes for emergencies: one, or while the authority may not have heard of it, the one before as well.
    #[serde(default)]
    pub(super) emergency: Vec<Held>,
    /// The keys of those that were used, until they are on record.
    #[serde(default)]
    pub(super) used: Vec<Key>,
}

/// A key of the purpose `service`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Key {
    pub(super) generation: u64,
    pub(super) epoch: u32,
    pub(super) number: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shown {
    challenge: String,
    scope: String,
    at: Moment,
}

impl Codes {
    pub(super) fn require_unlocked(&self, now: &Moment) -> Result<(), CodeRefused> {
        let Some(since) = &self.locked else { return Ok(()) };
        // After a restart it begins again: nobody knows how long the device was off.
        let waited = now.since(since).unwrap_or(now.second());
        match wait_after(self.tried).saturating_sub(waited) {
            0 => Ok(()),
            seconds => Err(CodeRefused::Locked { seconds }),
        }
    }

    /// The open challenge with its scope, and when it was shown.
    fn open(&self, now: &Moment) -> Result<(ServiceChallenge, ServiceScope, &Moment), CodeRefused> {
        let Shown { challenge, scope, at } = self.shown.as_ref().ok_or(CodeRefused::NoChallenge)?;
        let is_open = now.since(at).is_some_and(|passed| passed < ServiceChallenge::LIFETIME);
        let challenge = challenge.parse().ok().filter(|_| is_open).ok_or(CodeRefused::ChallengeOver)?;
        Ok((challenge, scope.parse().map_err(|_| CodeRefused::ChallengeOver)?, at))
    }

    /// Takes one more try, before it is known whether it is right.
    pub(super) fn take_try(&mut self, now: &Moment) {
        self.tried = self.tried.saturating_add(1);
        if self.tried.is_multiple_of(TRIES) {
            (self.shown, self.locked) = (None, Some(now.clone()));
        }
    }

    /// Somebody was let in: what is open is closed, and tries count from none.
    pub(super) fn end(&mut self) {
        (self.shown, self.tried, self.locked) = (None, 0, None);
    }

    /// How many tries are left before the device waits.
    pub(super) fn left(&self) -> u32 {
        match self.tried % TRIES {
            0 => 0,
            taken => TRIES - taken,
        }
    }
}

impl<A: Authority, E: Entropy> Session<A, E> {
    /// A challenge for a technician who is to be let in for `scope`, in the place of the one before. Its key is spent before it is shown.
    pub fn service_challenge(
        &mut self,
        scope: &ServiceScope,
        now: Moment,
    ) -> Result<ServiceChallenge, Error> {
        let (directory, config, state, clock, _) = self.keys();
        let mut codes = directory.files().codes()?;
        codes.require_unlocked(&now)?;
        let challenge = match state.service_challenge(clock, scope) {
            Ok(challenge) => directory.save(config, challenge)?,
            Err(DeviceError::PurposeNotKept(_)) => return Err(CodeRefused::NotAgreed.into()),
            Err(error) => return Err(error.into()),
        };
        codes.shown = Some(Shown { challenge: challenge.to_string(), scope: scope.to_string(), at: now });
        directory.save_codes(&codes)?;
        Ok(challenge)
    }

    /// Lets in who has the code that answers the open challenge, once.
    pub fn admit(&mut self, code: &str, now: &Moment) -> Result<Admission, Error> {
        let (directory, _, state, _, _) = self.keys();
        let mut codes = directory.files().codes()?;
        codes.require_unlocked(now)?;
        let (challenge, scope, at) = codes.open(now)?;
        let (challenge, scope, at) = (challenge, scope, at.clone());
        let code: ServiceCode = code.parse().map_err(|_| CodeRefused::Malformed)?;
        codes.take_try(now);
        directory.save_codes(&codes)?;
        match state.check_service_code(&challenge, &scope, &code) {
            Ok(()) => {}
            Err(DeviceError::CodeWrong) => return Err(CodeRefused::Wrong { left: codes.left() }.into()),
            // The device has agreed on other keys since.
            Err(_) => return Err(CodeRefused::ChallengeOver.into()),
        }
        codes.end();
        directory.save_codes(&codes)?;
        let until = at.after(code.length());
        if until.is_over(now) {
            return Err(CodeRefused::Over.into());
        }
        let name = challenge.key_name(state.device().clone());
        let id = format!("{}.{}.{}", name.generation, name.epoch, name.number);
        Ok(Admission { id, by: Admitted::Code((&name).into()), scope, until })
    }
}

impl Directory {
    /// Ends the wait after wrong codes: the authority was reached, which a thief of the device has to avoid.
    pub(crate) fn end_lockout(&self) -> Result<(), Error> {
        let codes = self.files().codes()?;
        if codes.tried == 0 && codes.locked.is_none() {
            return Ok(());
        }
        self.save_codes(&Codes { tried: 0, locked: None, ..codes })
    }
}

/// Seconds for which the device waits once so many codes were wrong.
fn wait_after(tried: u32) -> u64 {
    let rounds = (tried / TRIES).saturating_sub(1);
    FIRST_WAIT.saturating_mul(2_u64.saturating_pow(rounds)).min(LONGEST_WAIT)
}

/// Wrong codes before the device waits.
const TRIES: u32 = 5;

/// Seconds for which it waits the first time; each further time twice as long.
const FIRST_WAIT: u64 = 60;

/// And the longest: a day.
const LONGEST_WAIT: u64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_wait_is_shorter_than_the_one_before() {
        let waits: Vec<u64> = (1..=200).map(|rounds| wait_after(rounds * TRIES)).collect();
        assert_eq!(waits[..3], [60, 120, 240]);
        assert!(waits.is_sorted() && waits[199] == LONGEST_WAIT);
        assert_eq!(wait_after(u32::MAX), LONGEST_WAIT);
    }
}
