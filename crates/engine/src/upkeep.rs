//! Upkeep of stored keys: one at a time, whoever asks.

use crate::kernel::{Error, Kind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the root key is being changed, whether a sweep is under way, and whether a backup is.
#[derive(Default)]
pub(crate) struct Upkeep {
    pub(crate) root: Arc<AtomicBool>,
    pub(crate) sweep: Arc<AtomicBool>,
    pub(crate) backup: Arc<AtomicBool>,
}

/// The place of the one who does it; free again when this is dropped.
pub(crate) struct Busy(Arc<AtomicBool>);

impl Busy {
    pub(crate) fn take(flag: &Arc<AtomicBool>, what: &str) -> Result<Self, Error> {
        if flag.swap(true, Ordering::AcqRel) {
            let message = format_args!("{what} is under way already; wait until it has ended");
            return Err(Error::new(Kind::Unavailable, "under-way", message));
        }
        Ok(Self(flag.clone()))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
