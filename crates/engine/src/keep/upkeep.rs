//! Upkeep of stored keys: one at a time, regardless of the caller.

use crate::keep::deeds::Deeds;
use crate::kernel::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Mutex;
use wardein_domain::ErrorCode;
use wardein_port::RootKey;

/// The deeds in progress; whether a sweep is in progress, and whether a backup is.
#[derive(Default)]
pub(crate) struct Upkeep {
    pub(crate) deeds: Deeds,
    /// Held while custody and the data sealed under its keys change, or must be consistent. Inside: a new version that custody
    /// was asked to keep. Where it is unknown whether custody has it, it must be asked again with the same key.
    pub(crate) root: Mutex<Option<RootKey>>,
    pub(crate) sweep: Arc<AtomicBool>,
    pub(crate) backup: Arc<AtomicBool>,
}

/// The place of the one who does it; free again when this is dropped.
pub(crate) struct Busy(Arc<AtomicBool>);

impl Busy {
    pub(crate) fn take(flag: &Arc<AtomicBool>, what: &str) -> Result<Self, Error> {
        if flag.swap(true, Ordering::AcqRel) {
            let message = format_args!("{what} is already in progress; wait until it has ended");
            return Err(Error::new(ErrorCode::UnderWay, message));
        }
        Ok(Self(flag.clone()))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
