//! The verdicts on all devices of a platform, in its own memory.

use crate::calls::Platform;
use crate::refusal::Refusal;
use crate::v1;
use crate::watcher::{Moment, WatchEvent, Watcher};
use smol_str::SmolStr;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// The verdicts on all devices of a platform, kept true by [`TrustCache::follow`]. Clones share them.
///
/// It answers while the last bookmark of the authority is younger than its bound on silence and than the lifetime of the verdict, and
/// while time alone has not ended the verdict, and says [`Lookup::Stale`] otherwise: when it has not heard of the authority for too long it
/// trusts nobody, but for what the authority's trust policy lets stale verdicts be used for ([`TrustCache::lookup_for`]). A lookup waits for no network, and takes a read lock for as long as a hash map is looked into.
#[derive(Debug, Clone)]
pub struct TrustCache {
    shared: Arc<RwLock<State>>,
    most_silence: Duration,
}

#[derive(Debug, Default)]
struct State {
    devices: HashMap<Id, Kept>,
    /// The moment of the last bookmark.
    as_of: Option<AsOf>,
}

/// The id of a device. Nearly all are in place: a lookup among a million devices that follows one more pointer waits for memory again.
type Id = SmolStr;

/// A moment by this machine's clocks, or earlier, and by the authority's time in Unix seconds.
#[derive(Debug, Clone, Copy)]
struct AsOf {
    moment: Moment,
    time: u64,
}

/// Of a device. With its id it is 64 bytes, which is what a processor fetches at one time.
#[derive(Debug)]
struct Kept {
    verdict: Arc<v1::DeviceVerdict>,
    /// The second of the authority's time that ends it; the last one there is where time does not.
    valid_until: u64,
    /// Its lifetime in seconds.
    lifetime: u32,
    /// For how many seconds after it became stale it may be used for each.
    offline: [u32; USES.len()],
    is_trusted: bool,
}

/// It is not known whether what was heard last is still so.
struct Stale;

/// What a cache says of a device.
#[derive(Debug, Clone, PartialEq)]
pub enum Lookup {
    /// The verdict on it.
    Known(Arc<v1::DeviceVerdict>),
    /// The authority has no such device in this tenant.
    Unknown,
    /// It is not known whether what was heard last is still so: ask [`Platform::check`], or do not trust it.
    Stale,
}

impl Lookup {
    fn of(found: Result<Option<Arc<v1::DeviceVerdict>>, Stale>) -> Self {
        match found {
            Ok(Some(verdict)) => Self::Known(verdict),
            Ok(None) => Self::Unknown,
            Err(Stale) => Self::Stale,
        }
    }

    /// Whether the device is to be trusted now.
    pub fn is_trusted(&self) -> bool {
        matches!(self, Self::Known(known) if known.verdict() == v1::Verdict::Trusted)
    }
}

impl TrustCache {
    /// A cache that answers nothing before it follows. `most_silence` is the longest that it answers without having heard of the
    /// authority; a bookmark comes every 5 seconds.
    pub fn new(most_silence: Duration) -> Self {
        Self { shared: Arc::default(), most_silence }
    }

    /// What is known of the device of that id now.
    pub fn lookup(&self, device_id: &str) -> Lookup {
        Lookup::of(self.look(device_id, None, |kept| kept.verdict.clone()))
    }

    /// The same for something that the platform does on the word of it: also with a stale verdict, for as long as the tenant's trust policy
    /// has it for that use. A device that fell in the meantime is then taken for good, which is what that policy weighs. One that time has
    /// ended is used for nothing.
    pub fn lookup_for(&self, device_id: &str, of: v1::OfflineUse) -> Lookup {
        Lookup::of(self.look(device_id, Some(of), |kept| kept.verdict.clone()))
    }

    /// Whether the device is to be trusted now: [`Lookup::is_trusted`] of [`TrustCache::lookup`], in less time.
    pub fn is_trusted(&self, device_id: &str) -> bool {
        matches!(self.look(device_id, None, |kept| kept.is_trusted), Ok(Some(true)))
    }

    /// The same by [`TrustCache::lookup_for`].
    pub fn is_trusted_for(&self, device_id: &str, of: v1::OfflineUse) -> bool {
        matches!(self.look(device_id, Some(of), |kept| kept.is_trusted), Ok(Some(true)))
    }

    /// What `take` takes of a device; none where there is no such device.
    fn look<T>(
        &self,
        device_id: &str,
        of: Option<v1::OfflineUse>,
        take: impl FnOnce(&Kept) -> T,
    ) -> Result<Option<T>, Stale> {
        let state = self.shared.read().unwrap_or_else(PoisonError::into_inner);
        let Some(AsOf { moment, time }) = state.as_of else { return Err(Stale) };
        let age = moment.age();
        match state.devices.get(device_id) {
            Some(kept) if kept.is_over(time, age) => Err(Stale),
            Some(kept) => {
                let fresh = self.most_silence.min(seconds(kept.lifetime));
                let is_good = age <= fresh || age - fresh <= kept.offline(of);
                if is_good { Ok(Some(take(kept))) } else { Err(Stale) }
            }
            None if age > self.most_silence => Err(Stale),
            None => Ok(None),
        }
    }

    /// How long ago it last heard that everything is as it has it; none if it never did.
    pub fn age(&self) -> Option<Duration> {
        self.shared.read().unwrap_or_else(PoisonError::into_inner).as_of.map(|as_of| as_of.moment.age())
    }

    /// Keeps it true, over broken connections and restarts of the authority. `heard` hears of each interruption. It ends, with the
    /// reason, only where the platform may not watch any more: a task of its own does it.
    pub async fn follow(self, platform: Platform, mut heard: impl FnMut(&Refusal)) -> Refusal {
        let (mut watcher, mut coming) = (Watcher::new(platform), HashMap::new());
        loop {
            match watcher.next().await {
                Ok(WatchEvent::Interrupted(refusal)) => heard(&refusal),
                Ok(event) => self.apply(event, &mut coming),
                Err(refusal) => return refusal,
            }
        }
    }

    /// `coming` has the snapshot that is on its way: it takes the place of what is there when it is whole.
    fn apply(&self, event: WatchEvent, coming: &mut HashMap<Id, Kept>) {
        let state = || self.shared.write().unwrap_or_else(PoisonError::into_inner);
        match event {
            WatchEvent::SnapshotBegin => coming.clear(),
            WatchEvent::Snapshot(devices) => coming.extend(devices.into_iter().map(kept)),
            WatchEvent::SnapshotEnd => {
                let before = std::mem::replace(&mut state().devices, std::mem::take(coming));
                // Outside of the lock: it may be a million.
                drop(before);
            }
            WatchEvent::Change(devices) => state().devices.extend(devices.into_iter().map(kept)),
            WatchEvent::Bookmark { moment, time } => {
                let mut state = state();
                state.as_of = Some(match state.as_of {
                    // An earlier one takes nothing back.
                    Some(AsOf { moment: before, time }) if before.age() < moment.age() => {
                        AsOf { moment: before.max(moment), time }
                    }
                    Some(AsOf { moment: before, .. }) => AsOf { moment: before.max(moment), time },
                    None => AsOf { moment, time },
                });
            }
            WatchEvent::Interrupted(_) => {}
        }
    }
}

impl Kept {
    /// Whether time has ended it, where the authority's time was that second, or a part of one more, so long ago at the most.
    fn is_over(&self, time: u64, age: Duration) -> bool {
        Duration::from_secs(self.valid_until.saturating_sub(time)) <= age + Duration::from_secs(1)
    }

    fn offline(&self, of: Option<v1::OfflineUse>) -> Duration {
        let number = of.and_then(number_of);
        number.map_or(Duration::ZERO, |number| seconds(self.offline[number]))
    }
}

fn kept(verdict: v1::DeviceVerdict) -> (Id, Kept) {
    let short = |seconds: u64| u32::try_from(seconds).unwrap_or(u32::MAX);
    let mut offline = [0; USES.len()];
    for limit in &verdict.offline {
        if let Some(number) = number_of(limit.r#use()) {
            offline[number] = short(crate::time::span_seconds(limit.time));
        }
    }
    let kept = Kept {
        valid_until: verdict.valid_until.map_or(u64::MAX, |until| crate::time::seconds(Some(until))),
        lifetime: short(crate::time::span_seconds(verdict.lifetime)),
        offline,
        is_trusted: verdict.verdict() == v1::Verdict::Trusted,
        verdict: Arc::new(verdict),
    };
    (SmolStr::new(&kept.verdict.device_id), kept)
}

fn seconds(count: u32) -> Duration {
    Duration::from_secs(count.into())
}

fn number_of(of: v1::OfflineUse) -> Option<usize> {
    USES.iter().position(|each| *each == of)
}

/// What stale verdicts may be used for. A use that a later release has is none.
const USES: [v1::OfflineUse; 3] = [v1::OfflineUse::Data, v1::OfflineUse::Login, v1::OfflineUse::Control];

#[cfg(test)]
mod tests {
    use super::*;

    fn device(id: &str, verdict: v1::Verdict, lifetime: u64) -> v1::DeviceVerdict {
        let lifetime = crate::time::span(lifetime);
        v1::DeviceVerdict { device_id: id.into(), verdict: verdict.into(), lifetime, ..Default::default() }
    }

    fn told(cache: &TrustCache, events: Vec<WatchEvent>) {
        let mut coming = HashMap::new();
        events.into_iter().for_each(|event| cache.apply(event, &mut coming));
    }

    fn bookmark(moment: Moment) -> WatchEvent {
        WatchEvent::Bookmark { moment, time: 0 }
    }

    /// A moment by the wall clock, as after a sleep of the machine.
    fn ago(seconds: u64) -> Moment {
        let mut moment = Moment::now();
        moment.set_back(Duration::from_secs(seconds));
        moment
    }

    #[test]
    fn it_answers_for_as_long_as_the_last_bookmark_and_the_verdict_allow() {
        let cache = TrustCache::new(Duration::from_secs(15));
        assert_eq!(cache.lookup("pump-1"), Lookup::Stale);
        let (long, short) =
            (device("pump-1", v1::Verdict::Trusted, 300), device("pump-2", v1::Verdict::Trusted, 2));
        told(&cache, vec![WatchEvent::SnapshotBegin, WatchEvent::Snapshot(vec![long, short])]);
        assert_eq!(cache.lookup("pump-1"), Lookup::Stale, "it is not whole");
        let all =
            vec![device("pump-1", v1::Verdict::Trusted, 300), device("pump-2", v1::Verdict::Trusted, 2)];
        told(&cache, vec![WatchEvent::SnapshotBegin, WatchEvent::Snapshot(all), WatchEvent::SnapshotEnd]);
        assert_eq!(cache.lookup("pump-1"), Lookup::Stale, "there was no bookmark");
        told(&cache, vec![bookmark(ago(10))]);
        assert!(cache.lookup("pump-1").is_trusted());
        assert_eq!(cache.lookup("pump-2"), Lookup::Stale, "its lifetime is over");
        assert_eq!(cache.lookup("pump-3"), Lookup::Unknown);
        let cache = TrustCache::new(Duration::from_secs(5));
        let one = vec![device("pump-1", v1::Verdict::Trusted, 300)];
        told(&cache, vec![WatchEvent::Snapshot(one), WatchEvent::SnapshotEnd, bookmark(ago(10))]);
        assert_eq!(cache.lookup("pump-1"), Lookup::Stale);
        assert_eq!(cache.lookup("pump-3"), Lookup::Stale, "also of a device that was never there");
    }

    /// A message that was on its way for long makes nothing of before it younger.
    #[test]
    fn a_change_alone_proves_nothing_of_what_is_behind_it() {
        let cache = TrustCache::new(Duration::from_secs(15));
        told(&cache, vec![WatchEvent::SnapshotEnd, bookmark(ago(60))]);
        told(&cache, vec![WatchEvent::Change(vec![device("pump-1", v1::Verdict::Trusted, 300)])]);
        assert_eq!(cache.lookup("pump-1"), Lookup::Stale);
        told(&cache, vec![bookmark(Moment::now())]);
        assert!(cache.lookup("pump-1").is_trusted());
        told(&cache, vec![bookmark(ago(60))]);
        assert!(cache.lookup("pump-1").is_trusted(), "an earlier one takes nothing back");
        let change = WatchEvent::Change(vec![device("pump-1", v1::Verdict::NotTrusted, 300)]);
        told(&cache, vec![change]);
        assert!(!cache.lookup("pump-1").is_trusted() && !cache.is_trusted("pump-1"));
    }

    /// By the authority's time, which only bookmarks tell: this machine's clock may be wrong by years.
    #[test]
    fn a_verdict_that_time_ends_is_not_used_from_that_second_on() {
        let cache = TrustCache::new(Duration::from_secs(600));
        let until = |seconds| v1::DeviceVerdict {
            valid_until: crate::time::at(seconds),
            ..device("pump-1", v1::Verdict::Trusted, 600)
        };
        let at = |moment, time| WatchEvent::Bookmark { moment, time };
        told(&cache, vec![WatchEvent::Snapshot(vec![until(1_100)]), WatchEvent::SnapshotEnd]);
        told(&cache, vec![at(ago(10), 1_000)]);
        assert!(cache.lookup("pump-1").is_trusted());
        told(&cache, vec![at(ago(5), 1_094)]);
        assert_eq!(cache.lookup("pump-1"), Lookup::Stale, "it may be 1100 by now");
        told(&cache, vec![WatchEvent::Change(vec![until(1_200)])]);
        assert!(cache.lookup("pump-1").is_trusted(), "it was told in time");
        told(&cache, vec![at(Moment::now(), 1_199)]);
        assert_eq!(cache.lookup("pump-1"), Lookup::Stale);
        told(&cache, vec![at(ago(60), 1_000)]);
        assert_eq!(cache.lookup("pump-1"), Lookup::Stale, "an earlier bookmark takes nothing back");
    }

    /// The clock jumps, as after a sleep of the machine: no use goes on past what the policy has for it.
    #[test]
    fn a_stale_verdict_is_used_for_what_its_policy_says_and_no_longer() {
        use v1::OfflineUse::{Control, Data, Login, Unspecified};
        let limit = |of: v1::OfflineUse, seconds| v1::OfflineLimit {
            r#use: of.into(),
            time: crate::time::span(seconds),
        };
        let offline = vec![limit(Data, 3_600), limit(Login, 60)];
        let with = |id: &str, valid_until| v1::DeviceVerdict {
            offline: offline.clone(),
            valid_until,
            ..device(id, v1::Verdict::Trusted, 300)
        };
        let none = device("pump-3", v1::Verdict::Trusted, 300);
        let told_at = |moment| {
            let cache = TrustCache::new(Duration::from_secs(15));
            let all = vec![with("pump-1", None), with("pump-2", crate::time::at(1_100)), none.clone()];
            let bookmark = WatchEvent::Bookmark { moment, time: 1_000 };
            told(&cache, vec![WatchEvent::Snapshot(all), WatchEvent::SnapshotEnd, bookmark]);
            cache
        };
        for (seconds, good) in [
            (10, vec![Data, Login, Control]),
            (70, vec![Data, Login]),
            (80, vec![Data]),
            (3_610, vec![Data]),
            (3_620, vec![]),
        ] {
            let cache = told_at(ago(seconds));
            for of in [Data, Login, Control] {
                let is_good = good.contains(&of);
                assert_eq!(cache.lookup_for("pump-1", of).is_trusted(), is_good, "{seconds} {of:?}");
                assert_eq!(cache.is_trusted_for("pump-1", of), is_good, "{seconds} {of:?}");
            }
            let is_fresh = seconds <= 15;
            assert_eq!(cache.lookup("pump-1").is_trusted(), is_fresh, "{seconds}");
            assert_eq!(cache.is_trusted("pump-1"), is_fresh, "{seconds}");
            assert_eq!(cache.lookup_for("pump-1", Unspecified).is_trusted(), is_fresh, "{seconds}");
            assert_eq!(cache.lookup_for("pump-3", Data).is_trusted(), is_fresh, "{seconds}");
            assert!(!cache.lookup_for("pump-9", Data).is_trusted(), "{seconds}");
            assert_eq!(
                cache.lookup_for("pump-2", Data).is_trusted(),
                seconds < 99,
                "time ended it: {seconds}"
            );
        }
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn a_device_fits_into_what_a_processor_fetches_at_one_time() {
        assert_eq!(size_of::<(Id, Kept)>(), 64);
    }

    /// What a lookup costs among a million devices, which are asked about in no order:
    /// `cargo test --release -p wardein-client --all-features --lib cache::tests::cost -- --ignored --nocapture`.
    #[test]
    #[ignore = "a measurement"]
    fn cost() {
        const LOOKUPS: usize = 2_000_000;
        for count in [1_000_usize, 1_000_000] {
            let cache = TrustCache::new(Duration::from_secs(600));
            let id = |number: usize| format!("pump-{number:06}");
            let all = (0..count).map(|number| device(&id(number), v1::Verdict::Trusted, 600)).collect();
            let moment = Moment::now();
            told(&cache, vec![WatchEvent::Snapshot(all), WatchEvent::SnapshotEnd, bookmark(moment)]);
            let asked: Vec<_> = (0..count).map(|turn| id(turn * 7_919 % count)).collect();
            let measure = |is_trusted: &dyn Fn(&str) -> bool| {
                let started = std::time::Instant::now();
                let trusted = asked.iter().cycle().take(LOOKUPS).filter(|id| is_trusted(id)).count();
                assert_eq!(trusted, LOOKUPS);
                started.elapsed() / LOOKUPS as u32
            };
            let whole = measure(&|id| cache.lookup(id).is_trusted());
            let bare = measure(&|id| cache.is_trusted(id));
            let clocks = measure(&|_| moment.age() < Duration::from_secs(600));
            println!(
                "among {count} devices lookup takes {whole:?}, is_trusted {bare:?}; of it the clocks {clocks:?}"
            );
        }
    }

    #[test]
    fn a_snapshot_takes_the_place_of_what_was_there() {
        let cache = TrustCache::new(Duration::from_secs(15));
        let one = |id| WatchEvent::Snapshot(vec![device(id, v1::Verdict::Trusted, 300)]);
        told(&cache, vec![one("pump-1"), WatchEvent::SnapshotEnd, bookmark(Moment::now())]);
        told(&cache, vec![one("pump-3"), WatchEvent::SnapshotBegin, one("pump-2"), WatchEvent::SnapshotEnd]);
        assert_eq!(cache.lookup("pump-1"), Lookup::Unknown);
        assert_eq!(cache.lookup("pump-3"), Lookup::Unknown, "of one that was broken off");
        assert!(cache.lookup("pump-2").is_trusted());
    }
}
