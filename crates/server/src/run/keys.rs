//! Keys of RSA for devices that cannot make one, made ahead by a thread of their own: one takes from some tenths of a second to seconds.
//! So many of each size are ready, and not more; when they are used up, who asks hears to come again.

use crate::edge::metrics::Metrics;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::{io, thread};
use wardein_domain::KeyKind;
use wardein_engine::{Error, ErrorCode, KeySource, MadeKey};

/// The keys that are ready.
pub(crate) struct ReadyKeys {
    most: usize,
    metrics: Arc<Metrics>,
    ready: Mutex<Ready>,
    taken: Condvar,
}

#[derive(Default)]
struct Ready {
    keys: [VecDeque<MadeKey>; KINDS.len()],
    is_over: bool,
}

/// Made ahead: others are made when they are asked for, in less than a millisecond.
const KINDS: [KeyKind; 2] = [KeyKind::Rsa2048, KeyKind::Rsa3072];

impl ReadyKeys {
    /// Begins to make `most` of each size.
    pub(crate) fn begin(most: usize, metrics: Arc<Metrics>) -> io::Result<Arc<Self>> {
        let (ready, taken) = (Mutex::default(), Condvar::new());
        let keys = Arc::new(Self { most, metrics, ready, taken });
        let making = keys.clone();
        thread::Builder::new().name("rsa-keys".to_owned()).spawn(move || making.make())?;
        Ok(keys)
    }

    /// Makes no more once the key in hand is made.
    pub(crate) fn stop(&self) {
        self.lock().is_over = true;
        self.taken.notify_all();
    }

    fn make(&self) {
        while let Some(at) = self.missing() {
            let kind = KINDS[at];
            match MadeKey::make(kind) {
                Ok(key) => {
                    let mut ready = self.lock();
                    ready.keys[at].push_back(key);
                    self.metrics.keys_ready(kind, ready.keys[at].len());
                }
                Err(error) => return tracing::error!(%error, "no more keys are made for devices"),
            }
        }
    }

    /// Waits until one is missing; `None` when no more are to be made.
    fn missing(&self) -> Option<usize> {
        let mut ready = self.lock();
        loop {
            if ready.is_over {
                return None;
            }
            // The size of which the fewest are ready.
            let fewest = (0..KINDS.len()).min_by_key(|at| ready.keys[*at].len())?;
            if ready.keys[fewest].len() < self.most {
                return Some(fewest);
            }
            ready = self.taken.wait(ready).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A poisoned queue is whole: each is changed in one step.
    fn lock(&self) -> MutexGuard<'_, Ready> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeySource for ReadyKeys {
    fn take(&self, kind: KeyKind) -> Result<MadeKey, Error> {
        let Some(at) = KINDS.iter().position(|one| *one == kind) else { return MadeKey::make(kind) };
        let (key, left) = {
            let mut ready = self.lock();
            (ready.keys[at].pop_front(), ready.keys[at].len())
        };
        self.metrics.keys_ready(kind, left);
        self.taken.notify_all();
        key.ok_or_else(|| Error::new(ErrorCode::Overloaded, "no key is ready; one is being made"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn so_many_are_made_ahead_and_the_next_caller_waits() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let keys = ReadyKeys::begin(1, metrics.clone()).unwrap();
        let begun = Instant::now();
        let is_full = || KINDS.iter().enumerate().all(|(at, _)| keys.lock().keys[at].len() == 1);
        while !is_full() {
            assert!(begun.elapsed() < Duration::from_secs(120));
            thread::sleep(Duration::from_millis(20));
        }
        let text = String::from_utf8(metrics.render().unwrap()).unwrap();
        assert!(text.contains("wardein_keys_ready{kind=\"rsa-3072\"} 1"), "{text}");
        keys.stop();
        for kind in KINDS {
            assert_eq!(keys.take(kind).unwrap().key.kind(), kind);
            assert_eq!(keys.take(kind).err().unwrap().code, ErrorCode::Overloaded);
        }
        assert_eq!(keys.take(KeyKind::P256).unwrap().key.kind(), KeyKind::P256);
    }
}
