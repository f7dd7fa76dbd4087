//! Custody in memory, whose process can be made to die at a chosen call.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wardein_crypto::Secret;
use wardein_port::{Custody, CustodyError, Pending, RootKey};

use crate::CrashPoint;

/// Custody that remembers its keys. A clone is another handle to the same keys.
#[derive(Clone, Default)]
pub struct MemoryCustody(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    keys: Vec<RootKey>,
    calls: u64,
    plan: Option<(u64, CrashPoint)>,
    crashed: bool,
}

impl MemoryCustody {
    /// Custody of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Custody of the first version.
    pub fn of(key: [u8; 32]) -> Self {
        let custody = Self::default();
        custody.kept().keys.push(RootKey { version: 1, secret: Secret::copied_from(&key) });
        custody
    }

    /// Custody of the same keys elsewhere.
    pub fn copied(&self) -> Self {
        let copy = Self::default();
        copy.kept().keys = self.root_keys();
        copy
    }

    /// Lets the process die at the call number `nth` from now that alters something, the next one being 0. At
    /// [`CrashPoint::BeforeApply`] the call alters nothing, else everything. From then on nothing works until
    /// [`MemoryCustody::restart`].
    pub fn crash_at(&self, nth: u64, point: CrashPoint) {
        let mut kept = self.kept();
        kept.plan = Some((kept.calls + nth, point));
    }

    /// Whether the planned crash has happened.
    pub fn crashed(&self) -> bool {
        self.kept().crashed
    }

    /// Custody as the next process finds it; a crash that has not happened is called off.
    pub fn restart(&self) -> Self {
        let mut kept = self.kept();
        (kept.plan, kept.crashed) = (None, false);
        drop(kept);
        self.clone()
    }

    /// The keys, as the next process opens them.
    pub fn root_keys(&self) -> Vec<RootKey> {
        let duplicate = |key: &RootKey| RootKey { version: key.version, secret: key.secret.duplicate() };
        self.kept().keys.iter().map(duplicate).collect()
    }

    /// The versions, as they came.
    pub fn versions(&self) -> Vec<u32> {
        self.kept().keys.iter().map(|key| key.version).collect()
    }

    fn alter(&self, apply: impl FnOnce(&mut Vec<RootKey>)) -> Result<(), CustodyError> {
        let mut kept = self.kept();
        if kept.crashed {
            return Err(CustodyError(CRASHED.into()));
        }
        let now = kept.plan.filter(|(nth, _)| *nth == kept.calls).map(|(_, point)| point);
        kept.calls += 1;
        if now != Some(CrashPoint::BeforeApply) {
            apply(&mut kept.keys);
        }
        kept.crashed = now.is_some();
        if kept.crashed { Err(CustodyError(CRASHED.into())) } else { Ok(()) }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing below panics halfway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Custody for MemoryCustody {
    fn keep(&self, key: RootKey) -> Pending<'_, Result<(), CustodyError>> {
        Box::pin(async {
            self.alter(|keys| {
                keys.retain(|kept| kept.version != key.version);
                keys.push(key);
            })
        })
    }

    fn keep_only(&self, version: u32) -> Pending<'_, Result<(), CustodyError>> {
        Box::pin(async move { self.alter(|keys| keys.retain(|kept| kept.version == version)) })
    }

    /// The versions, since there is no passphrase to wrap the keys under.
    fn wrapped(&self) -> Pending<'_, Result<Vec<u8>, CustodyError>> {
        Box::pin(async {
            let crashed = self.crashed();
            let wrapped = || format!("wrapped versions {:?}", self.versions()).into_bytes();
            if crashed { Err(CustodyError(CRASHED.into())) } else { Ok(wrapped()) }
        })
    }
}

const CRASHED: &str = "the process has died";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block_on;

    #[test]
    fn it_keeps_what_it_is_given_once() {
        let custody = MemoryCustody::of([1; 32]);
        let key = || RootKey { version: 2, secret: Secret::copied_from(&[2; 32]) };
        block_on(custody.keep(key())).unwrap();
        block_on(custody.keep(key())).unwrap();
        assert_eq!(custody.versions(), [1, 2]);
        assert_eq!(block_on(custody.wrapped()), Ok(b"wrapped versions [1, 2]".to_vec()));
        block_on(custody.keep_only(2)).unwrap();
        let keys = custody.root_keys();
        assert_eq!((keys.len(), keys[0].version, keys[0].secret.expose()), (1, 2, &[2; 32]));
    }

    #[test]
    fn a_crash_before_applying_leaves_nothing_and_after_applying_everything() {
        for (point, there) in [(CrashPoint::BeforeApply, vec![1]), (CrashPoint::AfterApply, vec![1, 2])] {
            let custody = MemoryCustody::of([1; 32]);
            custody.crash_at(1, point);
            block_on(custody.keep_only(1)).unwrap();
            let key = RootKey { version: 2, secret: Secret::copied_from(&[2; 32]) };
            assert!(block_on(custody.keep(key)).is_err());
            assert!(custody.crashed() && block_on(custody.keep_only(1)).is_err());
            assert!(block_on(custody.wrapped()).is_err());
            assert_eq!(custody.versions(), there);
            block_on(custody.restart().keep_only(1)).unwrap();
        }
    }
}
