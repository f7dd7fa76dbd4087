//! Time since the machine was started: no clock that a person sets, and it goes on while the machine sleeps.

use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

/// A second of one run of the machine. It says nothing of any other run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moment {
    boot: String,
    second: u64,
}

impl Moment {
    /// Now, as Linux tells it: `boot_id`, and `uptime`, which is `CLOCK_BOOTTIME`.
    pub fn now() -> Result<Self, Error> {
        let read =
            |path: &'static str| fs::read_to_string(path).map_err(Error::file("read", Path::new(path)));
        let (boot, uptime) = (read("/proc/sys/kernel/random/boot_id")?, read("/proc/uptime")?);
        let second = uptime.split('.').next().and_then(|second| second.parse().ok());
        Ok(Self { boot: boot.trim().to_owned(), second: second.ok_or(Error::Fault("reading the uptime"))? })
    }

    /// Second `second` of the run `boot`.
    pub fn of(boot: &str, second: u64) -> Self {
        Self { boot: boot.to_owned(), second }
    }

    /// Seconds since the machine was started.
    pub(super) fn second(&self) -> u64 {
        self.second
    }

    /// Seconds since `earlier`; none where the machine was started again in between.
    pub(super) fn since(&self, earlier: &Self) -> Option<u64> {
        if self.boot == earlier.boot { self.second.checked_sub(earlier.second) } else { None }
    }

    /// So many seconds later.
    pub(super) fn after(&self, seconds: u64) -> Self {
        Self { boot: self.boot.clone(), second: self.second.saturating_add(seconds) }
    }

    /// Whether `now` is at this moment or behind it, or of another run.
    pub(super) fn is_over(&self, now: &Self) -> bool {
        self.boot != now.boot || now.second >= self.second
    }
}
