//! Custody of the root key in memory, whose process can be made to die over a call.

use std::sync::{Arc, Mutex};
use wardein_crypto::Secret;
use wardein_engine::port::{Custody, CustodyError, RootKey};
use wardein_testkit::CrashPoint;

#[derive(Clone)]
pub(crate) struct TestCustody(Arc<Mutex<Kept>>);

struct Kept {
    keys: Vec<(u32, [u8; 32])>,
    /// Where the process dies at the next call.
    plan: Option<CrashPoint>,
    has_died: bool,
}

impl TestCustody {
    /// Custody of the first version.
    pub(crate) fn of(key: [u8; 32]) -> Self {
        Self(Arc::new(Mutex::new(Kept { keys: vec![(1, key)], plan: None, has_died: false })))
    }

    /// Custody of the same keys elsewhere.
    pub(crate) fn copied(&self) -> Self {
        let keys = self.0.lock().unwrap().keys.clone();
        Self(Arc::new(Mutex::new(Kept { keys, plan: None, has_died: false })))
    }

    pub(crate) fn crash_at_next_call(&self, point: CrashPoint) {
        self.0.lock().unwrap().plan = Some(point);
    }

    pub(crate) fn has_died(&self) -> bool {
        self.0.lock().unwrap().has_died
    }

    pub(crate) fn restart(&self) {
        let mut kept = self.0.lock().unwrap();
        (kept.plan, kept.has_died) = (None, false);
    }

    pub(crate) fn root_keys(&self) -> Vec<RootKey> {
        let kept = self.0.lock().unwrap();
        let key = |(version, key): &(u32, _)| RootKey { version: *version, secret: Secret::copied_from(key) };
        kept.keys.iter().map(key).collect()
    }

    pub(crate) fn versions(&self) -> Vec<u32> {
        self.0.lock().unwrap().keys.iter().map(|(version, _)| *version).collect()
    }

    fn call(&self, apply: impl FnOnce(&mut Vec<(u32, [u8; 32])>)) -> Result<(), CustodyError> {
        let mut kept = self.0.lock().unwrap();
        let plan = kept.plan.take();
        kept.has_died |= plan.is_some();
        if plan != Some(CrashPoint::BeforeApply) {
            apply(&mut kept.keys);
        }
        if plan.is_some() { Err(CustodyError("died".into())) } else { Ok(()) }
    }
}

impl Custody for TestCustody {
    fn keep(&self, key: &RootKey) -> Result<(), CustodyError> {
        self.call(|keys| keys.push((key.version, *key.secret.expose())))
    }

    fn keep_only(&self, version: u32) -> Result<(), CustodyError> {
        self.call(|keys| keys.retain(|(kept, _)| *kept == version))
    }

    fn wrapped(&self) -> Result<Vec<u8>, CustodyError> {
        Ok(Vec::new())
    }
}
