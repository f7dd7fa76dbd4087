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

/// What is kept of the authority's time from one start to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptTime {
    /// The latest moment that is on record.
    pub at: UnixMillis,
    /// Since when it has agreed with the wall clock, where it did.
    pub agreed_since: Option<UnixMillis>,
}

/// The authority's clock.
#[derive(Debug, Clone)]
pub struct AuthorityClock {
    /// The time at the last look, and what the boot-time clock said then.
    at: u64,
    boot: u64,
    /// How far the wall clock was ahead then, or behind, where the time is drawn to it.
    gap: i64,
    agreement: Agreement,
}

impl AuthorityClock {
    /// The clock of an authority that is founded now: its founder has seen the wall clock.
    pub fn founded(now: Reading) -> Self {
        let agreement = Agreement::Since(UnixMillis::default());
        Self { at: now.wall.get(), boot: now.boot_ms, gap: 0, agreement }
    }

    /// The clock at a start. The wall clock is believed where it is at most a little earlier than what is on record, and at most
    /// [`AuthorityClock::BELIEVED`] later.
    pub fn started(kept: KeptTime, now: Reading) -> Self {
        let (at, boot) = (kept.at.get(), now.boot_ms);
        let Some(believed) = believed(at, now.wall.get()) else {
            return Self { at, boot, gap: 0, agreement: Agreement::Held };
        };
        // A wall clock that jumped while this did not run looks like a machine that was off: a longer gap is no agreement.
        let since = match kept.agreed_since {
            Some(since) if believed - at <= Self::NEAR => since,
            _ => UnixMillis::new(believed),
        };
        Self { at: believed, boot, gap: 0, agreement: Agreement::Since(since) }
    }

    /// The time, when the boot-time clock says `boot_ms`. It never goes back.
    pub fn now(&self, boot_ms: u64) -> UnixMillis {
        let elapsed = boot_ms.saturating_sub(self.boot);
        let drawn = (elapsed / Self::SLEW).min(self.gap.unsigned_abs());
        let expected = self.at.saturating_add(elapsed);
        let now = if self.gap < 0 { expected.saturating_sub(drawn) } else { expected.saturating_add(drawn) };
        UnixMillis::new(now)
    }

    /// Compares it with the wall clock; to be done every second or so.
    pub fn look(&mut self, now: Reading) {
        let wall = now.wall.get();
        self.at = self.now(now.boot_ms).get();
        self.boot = self.boot.max(now.boot_ms);
        self.gap = 0;
        match self.agreement {
            Agreement::Held => {
                if let Some(believed) = believed(self.at, wall) {
                    (self.at, self.agreement) = (believed, Agreement::Since(UnixMillis::new(believed)));
                }
            }
            _ if wall.abs_diff(self.at) > Self::NEAR => self.agreement = Agreement::Apart,
            agreement => {
                if agreement == Agreement::Apart {
                    self.agreement = Agreement::Since(UnixMillis::new(self.at));
                }
                // At most five minutes.
                self.gap = wall.wrapping_sub(self.at).cast_signed();
            }
        }
    }

    /// Takes the wall clock's word, which an administrator vouches for.
    pub fn accept(&mut self, now: Reading) {
        let agreement = Agreement::Since(UnixMillis::default());
        *self = Self { at: now.wall.get(), boot: now.boot_ms, gap: 0, agreement };
    }

    /// How it compares with the wall clock.
    pub fn agreement(&self) -> Agreement {
        self.agreement
    }

    /// Whether something may be erased because its time is over, which cannot be undone.
    pub fn may_erase(&self, boot_ms: u64) -> bool {
        match self.agreement {
            Agreement::Since(since) => self.now(boot_ms).get().saturating_sub(since.get()) >= Self::TRIAL,
            Agreement::Apart | Agreement::Held => false,
        }
    }

    /// What is to be kept of it.
    pub fn kept(&self, boot_ms: u64) -> KeptTime {
        let agreed_since = match self.agreement {
            Agreement::Since(since) => Some(since),
            Agreement::Apart | Agreement::Held => None,
        };
        KeptTime { at: self.now(boot_ms), agreed_since }
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
    let is_near = wall.abs_diff(at) <= AuthorityClock::NEAR;
    let is_after = (at..=at.saturating_add(AuthorityClock::BELIEVED)).contains(&wall);
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

    fn stored(at: u64) -> KeptTime {
        KeptTime { at: UnixMillis::new(at), agreed_since: Some(UnixMillis::new(at - 2 * DAY)) }
    }

    /// Looks, and gives the time.
    fn look(clock: &mut AuthorityClock, wall: u64, boot_ms: u64) -> u64 {
        clock.look(reading(wall, boot_ms));
        clock.now(boot_ms).get()
    }

    #[test]
    fn a_wall_clock_that_jumps_moves_nothing_and_stops_erasure() {
        for jump in [DAY, 2 * 365 * DAY, 12 * 365 * DAY] {
            for wall in [T + jump, T - jump, 0, u64::MAX] {
                let mut clock = AuthorityClock::started(stored(T), reading(T, 0));
                assert!(clock.may_erase(0));
                assert_eq!(look(&mut clock, wall, 1000), T + 1000);
                assert_eq!((clock.agreement(), clock.may_erase(1000)), (Agreement::Apart, false));
                // Back again: it has to agree for a day.
                assert_eq!(look(&mut clock, T + 2000, 2000), T + 2000);
                assert!(!clock.may_erase(2000));
                assert!(!clock.may_erase(1999 + DAY));
                assert!(clock.may_erase(2000 + DAY));
            }
        }
    }

    #[test]
    fn it_is_drawn_to_a_wall_clock_that_is_near_and_never_goes_back() {
        for ahead in [true, false] {
            let wall = |boot: u64| if ahead { T + boot + 4 * MINUTE } else { T + boot - 4 * MINUTE };
            // However often it is looked at.
            for every in [7_u64, 1_000, MINUTE] {
                let mut clock = AuthorityClock::started(stored(T), reading(T, 0));
                let mut last = T;
                for boot in (0..=8 * 60 * MINUTE).step_by(every as usize) {
                    if boot % (every * 3) == 0 || every > 7 {
                        clock.look(reading(wall(boot), boot));
                    }
                    let now = clock.now(boot).get();
                    assert!(now >= last);
                    last = now;
                }
                if every > 7 {
                    assert!(last.abs_diff(wall(8 * 60 * MINUTE)) <= every, "it has come all the way");
                }
                assert!(matches!(clock.agreement(), Agreement::Since(_)));
            }
        }
    }

    #[test]
    fn a_start_believes_what_is_plausible_and_is_held_otherwise() {
        let started = |wall| AuthorityClock::started(stored(T), reading(wall, 7));
        for (wall, at) in [(T, T), (T + 40 * DAY, T + 40 * DAY), (T - 5 * MINUTE, T)] {
            let mut clock = started(wall);
            assert_eq!(look(&mut clock, wall, 7), at);
            assert!(matches!(clock.agreement(), Agreement::Since(_)));
        }
        for wall in [0, T - 6 * MINUTE, T + 41 * DAY, u64::MAX] {
            let mut clock = started(wall);
            assert_eq!(look(&mut clock, wall, 1007), T + 1000, "it goes on by boot time");
            assert_eq!((clock.agreement(), clock.may_erase(1007)), (Agreement::Held, false));
            // NTP comes.
            assert_eq!(look(&mut clock, T + 3 * DAY, 2007), T + 3 * DAY);
            assert!(!clock.may_erase(2007));
        }
        // After more than some minutes off, agreement begins again.
        assert!(started(T + 5 * MINUTE).may_erase(7));
        assert!(!started(T + 5 * MINUTE + 1).may_erase(7));
    }

    #[test]
    fn what_is_kept_says_whether_it_agreed() {
        let mut clock = AuthorityClock::started(stored(T), reading(T, 0));
        assert_eq!(clock.kept(5), KeptTime { at: UnixMillis::new(T + 5), ..stored(T) });
        clock.look(reading(T + DAY, 1000));
        let kept = clock.kept(1000);
        assert_eq!(kept, KeptTime { at: UnixMillis::new(T + 1000), agreed_since: None });
        // The next start believes the wall clock, and nothing is erased for a day.
        let clock = AuthorityClock::started(kept, reading(T + 2000, 0));
        assert!(!clock.may_erase(DAY - 1) && clock.may_erase(DAY));
    }

    #[test]
    fn acceptance_moves_it_both_ways_and_allows_erasure() {
        for wall in [0, T - 365 * DAY, T + 365 * DAY] {
            let mut clock = AuthorityClock::started(stored(T), reading(T, 0));
            clock.look(reading(wall, 1000));
            clock.accept(reading(wall, 2000));
            assert_eq!(look(&mut clock, wall + 1000, 3000), wall + 1000);
            assert_eq!(clock.may_erase(3000), wall >= AuthorityClock::TRIAL);
        }
    }

    #[test]
    fn a_boot_clock_that_goes_back_and_extremes_are_survived() {
        let mut clock = AuthorityClock::started(stored(T), reading(T, u64::MAX));
        assert_eq!(look(&mut clock, T, 0), T);
        let mut clock = AuthorityClock::founded(reading(u64::MAX, 0));
        assert_eq!(look(&mut clock, u64::MAX, u64::MAX), u64::MAX);
        let mut clock = AuthorityClock::founded(reading(0, 0));
        assert_eq!(look(&mut clock, 0, MINUTE), MINUTE);
        assert_eq!(clock.now(3 * MINUTE).get(), 3 * MINUTE - 2 * MINUTE / 100);
    }
}
