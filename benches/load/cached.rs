//! The platform's own memory of verdicts, as its library keeps it.

use crate::authority::{Authority, Operator};
use crate::clients::{FAR, runtime};
use std::thread;
use std::time::{Duration, Instant};
use wardein_client::{Settings, TrustCache, connect, v1};

/// A cache that follows the authority until the process ends.
pub(crate) struct Cached {
    cache: TrustCache,
    /// All devices, which follow one another in no order of memory.
    ids: Vec<String>,
}

impl Cached {
    /// Returns when the cache has all devices of `checks`. It has a connection of its own: those of the clients rest while nobody calls.
    pub(crate) fn follow(authority: &Authority, platform: &Operator, checks: &[v1::CheckRequest]) -> Self {
        // A bookmark comes every five seconds.
        let cache = TrustCache::new(Duration::from_secs(60));
        let mut settings = Settings::new(format!("https://{}", authority.addresses[0]), authority.roots());
        settings.identity = Some(platform.identity());
        let followed = cache.clone();
        thread::spawn(move || {
            let end = runtime().block_on(async {
                followed.follow(connect(&settings).await.unwrap().platform(), |_| ()).await
            });
            panic!("the cache does not follow: {end:?}");
        });
        let id = |check: &v1::CheckRequest| match &check.subject {
            Some(v1::check_request::Subject::DeviceId(id)) => id.clone(),
            other => panic!("{other:?} is not a device id"),
        };
        let count = checks.len();
        let ids: Vec<_> = (0..count).map(|turn| id(&checks[turn * FAR % count])).collect();
        let cached = Self { cache, ids };
        while !cached.ids.iter().all(|id| cached.cache.is_trusted(id)) {
            thread::sleep(Duration::from_millis(10));
        }
        cached
    }

    /// Lookups a second on one thread, for `time`.
    pub(crate) fn lookups(&self, time: Duration) -> f64 {
        let (started, mut count) = (Instant::now(), 0_usize);
        while started.elapsed() < time {
            let trusted = self.ids.iter().filter(|id| self.cache.is_trusted(id)).count();
            assert_eq!(trusted, self.ids.len());
            count += trusted;
        }
        count as f64 / started.elapsed().as_secs_f64()
    }
}
