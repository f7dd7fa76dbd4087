//! A few sessions with a token, kept and used by one caller at a time each.
//!
//! PKCS#11 has traps here: the login is of the whole process and ends with its last session; a token that was unplugged, restarted or
//! timed out leaves sessions and handles behind that mean nothing; a wrong PIN that is tried again locks the token.

use crate::{Pkcs11Error, pin};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::RvError;
use cryptoki::object::ObjectHandle;
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The sessions with one token.
pub(crate) struct Sessions {
    context: Pkcs11,
    label: String,
    pin: AuthPin,
    pin_file: PathBuf,
    /// Whether the token refused the PIN. One login at a time, so that a wrong one is tried once.
    refused: Mutex<bool>,
    most: usize,
    /// How long a caller waits for one.
    patience: Duration,
    pool: Mutex<Pool>,
    freed: Condvar,
}

#[derive(Default)]
struct Pool {
    idle: Vec<Open>,
    in_use: usize,
}

/// A session that is logged in, and the handles of keys in it, by CKA_ID.
pub(crate) struct Open {
    pub(crate) session: Session,
    pub(crate) handles: HashMap<Vec<u8>, ObjectHandle>,
}

impl Sessions {
    /// Loads the library, finds the token and logs in once.
    pub(crate) fn open(
        module: &Path,
        label: &str,
        pin_file: &Path,
        most: usize,
    ) -> Result<Self, Pkcs11Error> {
        let pin = pin::read(pin_file)?;
        let context = Pkcs11::new(module).map_err(|error| {
            let reason = error.to_string();
            Pkcs11Error::Module { path: module.to_owned(), reason }
        })?;
        initialize(&context)?;
        // A library that has threads of its own must stay where it is: it is never unloaded.
        std::mem::forget(context.clone());
        let sessions = Self {
            context,
            label: label.to_owned(),
            pin,
            pin_file: pin_file.to_owned(),
            refused: Mutex::default(),
            most: most.max(1),
            patience: PATIENCE,
            pool: Mutex::default(),
            freed: Condvar::new(),
        };
        sessions.with(|_| Ok(()))?;
        Ok(sessions)
    }

    /// Does something in a session. Where the session turns out to have ended, it is done once more in a fresh one.
    pub(crate) fn with<T>(
        &self,
        mut act: impl FnMut(&mut Open) -> Result<T, Pkcs11Error>,
    ) -> Result<T, Pkcs11Error> {
        let again = match self.once(&mut act) {
            Err(error) if error.is_of_session() => {
                if error.is(RvError::CryptokiNotInitialized) {
                    initialize(&self.context)?;
                }
                // Those beside it ended with it.
                self.pool().idle.clear();
                self.once(&mut act)
            }
            done => return done,
        };
        // With its token gone, the reason is that, and not the code of some function.
        again.map_err(|error| match self.slot() {
            Err(absent @ Pkcs11Error::NoToken { .. }) if error.is_of_session() => absent,
            _ => error,
        })
    }

    /// Does something in a session that may write, of which there is one for this.
    pub(crate) fn with_writing<T>(
        &self,
        act: impl FnOnce(&Session) -> Result<T, Pkcs11Error>,
    ) -> Result<T, Pkcs11Error> {
        let (slot, facts) = self.slot()?;
        let session = self.context.open_rw_session(slot)?;
        self.log_in(&session, &facts)?;
        act(&session)
    }

    fn once<T>(&self, act: &mut impl FnMut(&mut Open) -> Result<T, Pkcs11Error>) -> Result<T, Pkcs11Error> {
        let mut taken = self.take()?;
        let mut open = match taken.open.take() {
            Some(open) => open,
            None => self.begin()?,
        };
        let done = act(&mut open)?;
        // One in which something failed is closed: whatever it was doing, it is not doing it for the next caller.
        taken.open = Some(open);
        Ok(done)
    }

    /// A place for a session, and the session if one is idle.
    fn take(&self) -> Result<Taken<'_>, Pkcs11Error> {
        let deadline = Instant::now() + self.patience;
        let mut pool = self.pool();
        loop {
            if pool.in_use < self.most {
                pool.in_use += 1;
                return Ok(Taken { sessions: self, open: pool.idle.pop() });
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Pkcs11Error::Busy { seconds: self.patience.as_secs() });
            }
            pool = self.freed.wait_timeout(pool, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn begin(&self) -> Result<Open, Pkcs11Error> {
        let (slot, facts) = self.slot()?;
        let session = self.context.open_ro_session(slot)?;
        self.log_in(&session, &facts)?;
        Ok(Open { session, handles: HashMap::new() })
    }

    /// The slot that has the token now: one that was unplugged may be in another.
    fn slot(&self) -> Result<(Slot, TokenInfo), Pkcs11Error> {
        let (mut found, mut present) = (Vec::new(), Vec::new());
        for slot in self.context.get_slots_with_token()? {
            // One that just left has no label.
            let Ok(facts) = self.context.get_token_info(slot) else { continue };
            match facts.label() == self.label {
                true => found.push((slot, facts)),
                false if facts.token_initialized() => present.push(format!("{:?}", facts.label())),
                false => {}
            }
        }
        match found.len() {
            1 => found.pop().ok_or(Pkcs11Error::NoToken { label: self.label.clone(), present }),
            0 => Err(Pkcs11Error::NoToken { label: self.label.clone(), present }),
            count => Err(Pkcs11Error::Ambiguous { label: self.label.clone(), count }),
        }
    }

    fn log_in(&self, session: &Session, facts: &TokenInfo) -> Result<(), Pkcs11Error> {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let is_refused = || Pkcs11Error::PinRefused { path: self.pin_file.clone() };
        if *refused {
            return Err(is_refused());
        }
        require_tries(facts.user_pin_locked(), facts.user_pin_final_try())?;
        match session.login(UserType::User, Some(&self.pin)).map_err(Pkcs11Error::from) {
            // Another session of this process is.
            Err(error) if error.is(RvError::UserAlreadyLoggedIn) => Ok(()),
            Err(error) if error.is(RvError::PinIncorrect) || error.is(RvError::PinLenRange) => {
                *refused = true;
                Err(is_refused())
            }
            Err(error) if error.is(RvError::PinLocked) => Err(Pkcs11Error::PinSpent { is_locked: true }),
            done => done,
        }
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(crate) fn context(&self) -> &Pkcs11 {
        &self.context
    }

    #[cfg(test)]
    pub(crate) fn be_patient_for(&mut self, patience: Duration) {
        self.patience = patience;
    }
}

/// A place among the sessions. What is in it at the end is kept for the next caller.
struct Taken<'a> {
    sessions: &'a Sessions,
    open: Option<Open>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut pool = self.sessions.pool();
        pool.in_use -= 1;
        pool.idle.extend(self.open.take());
        drop(pool);
        self.sessions.freed.notify_one();
    }
}

/// A supervisor that starts again and again would try a wrong PIN until the token is locked.
fn require_tries(is_locked: bool, is_final: bool) -> Result<(), Pkcs11Error> {
    (!is_locked && !is_final).then_some(()).ok_or(Pkcs11Error::PinSpent { is_locked })
}

fn initialize(context: &Pkcs11) -> Result<(), Pkcs11Error> {
    // Threads of ours call it at one time.
    let begun = context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK));
    match begun.map_err(Pkcs11Error::from) {
        Err(error) if error.is(RvError::CryptokiAlreadyInitialized) => Ok(()),
        done => done,
    }
}

/// A signature over a network takes some 30 ms.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_try_of_a_pin_is_not_made() {
        require_tries(false, false).unwrap();
        for (is_locked, is_final, word) in [(true, false, "is locked"), (false, true, "one try left")] {
            let refused = require_tries(is_locked, is_final).unwrap_err().to_string();
            assert!(refused.contains(word), "{refused}");
        }
    }
}
