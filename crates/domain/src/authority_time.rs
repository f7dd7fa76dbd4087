//! The authority's time: one clock for all decisions. It goes on by the machine's boot-time clock, which nobody sets, and is drawn
//! slowly to the wall clock while the two are near each other. A wall clock that jumps moves nothing; at a start, where the time
//! that the machine was off is unknown, a wall clock that cannot be believed leaves the time held.

use crate::UnixMillis;

/// What the machine's clocks say at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The wall clock.
    pub wall: UnixMillis,
    /// Milliseconds since the machine started, suspensions included.
    pub boot_ms: u64,
}

/// How the authority's time and the wall clock stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agreement {
    /// They have been near each other since this moment of the authority's time; since ever, where the wall clock was accepted.
    Since(UnixMillis),
    /// The wall clock jumped while this ran. The authority's time goes on as before.
    Apart,
    /// The wall clock could not be believed at the start, and still cannot.
    Held,
}

/// What is stored of the authority's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// The latest moment that is on record.
    pub at: UnixMillis,
    /// Since when it has agreed with the wall clock, where it did.
    pub agreed_since: Option<UnixMillis>,
}

/// The authority's time.
#[derive(Debug, Clone)]
pub struct AuthorityTime {
    at: u64,
    boot: u64,
    agreement: Agreement,
}

impl AuthorityTime {
    /// The time of an authority that is founded now.
    pub fn founded(now: Reading) -> Self {
        Self { at: now.wall.get(), boot: now.boot_ms, agreement: Agreement::Since(now.wall) }
    }

    /// The time at a start. The wall clock is believed where it is no earlier than what is on record, and at most
    /// [`AuthorityTime::BELIEVED`] later.
    pub fn started(stored: Stored, now: Reading) -> Self {
        let (at, boot) = (stored.at.get(), now.boot_ms);
        let Some(believed) = believed(at, now.wall.get()) else {
            return Self { at, boot, agreement: Agreement::Held };
        };
        // A longer gap than this says nothing for the wall clock.
        let since = match stored.agreed_since {
            Some(since) if believed - at <= Self::TRIAL => since,
            _ => UnixMillis::new(believed),
        };
        Self { at: believed, boot, agreement: Agreement::Since(since) }
    }

    /// The time now. It never goes back.
    pub fn look(&mut self, now: Reading) -> UnixMillis {
        let elapsed = now.boot_ms.saturating_sub(self.boot);
        self.boot = self.boot.max(now.boot_ms);
        let (wall, expected) = (now.wall.get(), self.at.saturating_add(elapsed));
        let is_near = wall.abs_diff(expected) <= Self::NEAR;
        self.at = match self.agreement {
            Agreement::Held => match believed(expected, wall) {
                Some(believed) => {
                    self.agreement = Agreement::Since(UnixMillis::new(believed));
                    believed
                }
                None => expected,
            },
            _ if !is_near => {
                self.agreement = Agreement::Apart;
                expected
            }
            _ => {
                if self.agreement == Agreement::Apart {
                    self.agreement = Agreement::Since(UnixMillis::new(expected));
                }
                let step = (elapsed / Self::SLEW).min(wall.abs_diff(expected));
                if wall >= expected { expected.saturating_add(step) } else { expected - step }
            }
        };
        UnixMillis::new(self.at)
    }

    /// Takes the wall clock's word, which an administrator vouches for. Gives the time before.
    pub fn accept(&mut self, now: Reading) -> UnixMillis {
        let before = self.look(now);
        (self.at, self.agreement) = (now.wall.get(), Agreement::Since(UnixMillis::default()));
        before
    }

    /// How it stands to the wall clock.
    pub fn agreement(&self) -> Agreement {
        self.agreement
    }

    /// Whether something may be erased because its time is over: that cannot be undone.
    pub fn may_erase(&self) -> bool {
        match self.agreement {
            Agreement::Since(since) => self.at.saturating_sub(since.get()) >= Self::TRIAL,
            Agreement::Apart | Agreement::Held => false,
        }
    }

    /// Milliseconds by which the two may differ, to be drawn to each other: 5 minutes.
    pub const NEAR: u64 = 5 * 60 * 1000;

    /// Milliseconds for which a machine may have been off, and its wall clock be believed: 40 days.
    pub const BELIEVED: u64 = 40 * 24 * 3600 * 1000;

    /// Milliseconds of agreement before anything is erased: 24 hours.
    pub const TRIAL: u64 = 24 * 3600 * 1000;

    /// It is drawn by at most one part in so many: 5 minutes take 8 hours.
    const SLEW: u64 = 100;
}

/// The time at a start that found `at` on record: the wall clock's, or `at` where that is a little earlier.
fn believed(at: u64, wall: u64) -> Option<u64> {
    let is_near = wall.abs_diff(at) <= AuthorityTime::NEAR;
    let is_after = (at..=at.saturating_add(AuthorityTime::BELIEVED)).contains(&wall);
    (is_near || is_after).then(|| wall.max(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: u64 = 1_790_000_000_000;
    const MINUTE: u64 = 60_000;
    const DAY: u64 = 24 * 60 * MINUTE;

    fn reading(wall: u64, boot_ms: u64) -> Reading {
        Reading { wall: UnixMillis::new(wall), boot_ms }
    }

    fn stored(at: u64) -> Stored {
        Stored { at: UnixMillis::new(at), agreed_since: Some(UnixMillis::new(at - 2 * DAY)) }
    }

    #[test]
    fn a_wall_clock_that_jumps_moves_nothing_and_stops_erasure() {
        for jump in [DAY, 2 * 365 * DAY, 12 * 365 * DAY] {
            for wall in [T + jump, T - jump, 0, u64::MAX] {
                let mut time = AuthorityTime::started(stored(T), reading(T, 0));
                assert!(time.may_erase());
                assert_eq!(time.look(reading(wall, 1000)).get(), T + 1000);
                assert_eq!((time.agreement(), time.may_erase()), (Agreement::Apart, false));
                // Back again: it has to agree for a day.
                assert_eq!(time.look(reading(T + 2000, 2000)).get(), T + 2000);
                assert!(!time.may_erase());
                time.look(reading(T + 2000 + DAY, 2000 + DAY));
                assert!(time.may_erase());
            }
        }
    }

    #[test]
    fn it_is_drawn_to_a_wall_clock_that_is_near_and_never_goes_back() {
        for wall_ahead in [true, false] {
            let wall = |boot: u64| if wall_ahead { T + boot + 4 * MINUTE } else { T + boot - 4 * MINUTE };
            let mut time = AuthorityTime::started(stored(T), reading(T, 0));
            let mut last = T;
            for boot in (0..=DAY).step_by(MINUTE as usize) {
                let now = time.look(reading(wall(boot), boot)).get();
                assert!(now >= last);
                last = now;
            }
            assert_eq!(last, wall(DAY), "it has come all the way");
            assert!(matches!(time.agreement(), Agreement::Since(_)));
        }
    }

    #[test]
    fn a_start_believes_what_is_plausible_and_is_held_otherwise() {
        let started = |wall| AuthorityTime::started(stored(T), reading(wall, 7));
        for (wall, at) in [(T, T), (T + 40 * DAY, T + 40 * DAY), (T - 5 * MINUTE, T)] {
            let mut time = started(wall);
            assert_eq!(time.look(reading(wall, 7)).get(), at);
            assert!(matches!(time.agreement(), Agreement::Since(_)));
        }
        for wall in [0, T - 6 * MINUTE, T + 41 * DAY, u64::MAX] {
            let mut time = started(wall);
            assert_eq!(time.look(reading(wall, 1007)).get(), T + 1000, "it goes on by boot time");
            assert_eq!((time.agreement(), time.may_erase()), (Agreement::Held, false));
            // NTP comes.
            assert_eq!(time.look(reading(T + 3 * DAY, 2007)).get(), T + 3 * DAY);
            assert!(!time.may_erase());
        }
        // After more than a day off, agreement begins again.
        assert!(started(T + DAY).may_erase());
        assert!(!started(T + DAY + 1).may_erase());
    }

    #[test]
    fn acceptance_moves_it_both_ways_and_allows_erasure() {
        for wall in [0, T - 365 * DAY, T + 365 * DAY] {
            let mut time = AuthorityTime::started(stored(T), reading(T, 0));
            time.look(reading(wall, 1000));
            assert_eq!(time.accept(reading(wall, 2000)).get(), T + 2000);
            assert_eq!(time.look(reading(wall + 1000, 3000)).get(), wall + 1000);
            assert_eq!(time.may_erase(), wall >= AuthorityTime::TRIAL);
        }
    }

    #[test]
    fn a_boot_clock_that_goes_back_and_extremes_are_survived() {
        let mut time = AuthorityTime::started(stored(T), reading(T, u64::MAX));
        assert_eq!(time.look(reading(T, 0)).get(), T);
        let mut time = AuthorityTime::founded(reading(u64::MAX, 0));
        assert_eq!(time.look(reading(u64::MAX, u64::MAX)).get(), u64::MAX);
    }
}
