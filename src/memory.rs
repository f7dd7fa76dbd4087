//! The process's memory, which holds keys: it is not dumped, not read by other programs of the same user, and not swapped out where
//! that is allowed.

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use std::fmt;
use std::sync::OnceLock;

/// What was had.
pub(crate) struct Guarded {
    /// Why the process can still be dumped, or read by others.
    pub(crate) dumps: Option<String>,
    pub(crate) lock: Lock,
}

/// Whether memory may be swapped out.
pub(crate) enum Lock {
    Locked,
    /// The system allows so many bytes of locked memory, and the process may need more.
    Limited(u64),
    Failed(String),
}

/// Guards this process's memory, once.
pub(crate) fn guard() -> &'static Guarded {
    static GUARDED: OnceLock<Guarded> = OnceLock::new();
    GUARDED
        .get_or_init(|| Guarded { dumps: forbid_dumps().err().map(|error| error.to_string()), lock: lock() })
}

/// Both: a limit of 0 does not hold back a dump that goes to a program, as with systemd-coredump (core(5)); and the other setting also
/// keeps other processes of the user from reading the memory (ptrace(2)).
fn forbid_dumps() -> rustix::io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
}

/// Keys are wherever the process has memory: all of it is locked, or none. Only where there is no limit, as memory beyond one could not
/// be had at all; that is also the administrator's choice, since locked memory is not given back to the system after a peak (madvise(2),
/// MADV_DONTNEED).
fn lock() -> Lock {
    if let Some(bytes) = getrlimit(Resource::Memlock).current {
        return Lock::Limited(bytes);
    }
    // As it is used: the allocator reserves far more than that.
    match mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT) {
        Ok(()) => Lock::Locked,
        Err(error) => Lock::Failed(error.to_string()),
    }
}

impl fmt::Display for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.dumps {
            None => f.write_str("no core dumps; ")?,
            Some(why) => write!(f, "core dumps are not prevented: {why}; ")?,
        }
        match &self.lock {
            Lock::Locked => f.write_str("locked"),
            Lock::Limited(bytes) => {
                write!(f, "not locked, as RLIMIT_MEMLOCK is {} KiB and not unlimited", bytes / 1024)
            }
            Lock::Failed(why) => write!(f, "not locked: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::dumpable_behavior;

    #[test]
    fn the_process_leaves_no_dump() {
        let guarded = guard();
        assert_eq!(guarded.dumps, None);
        assert_eq!(dumpable_behavior(), Ok(DumpableBehavior::NotDumpable));
        assert_eq!(getrlimit(Resource::Core), Rlimit { current: Some(0), maximum: Some(0) });
    }
}
