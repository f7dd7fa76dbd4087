//! The authority's time on this node. The machine's boot-time clock moves it on; what an administrator accepts of the wall clock
//! comes as a row, as everything does that decides.

use crate::rows::ClockRow;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use wardein_ddkg::AuthorityTime;
use wardein_domain::{Agreement, AuthorityClock, KeptTime, Reading, UnixMillis, UnixSeconds};
use wardein_port::Clock;

/// The authority's clock.
pub(crate) struct NodeClock {
    machine: Arc<dyn Clock>,
    state: RwLock<State>,
}

struct State {
    clock: AuthorityClock,
    acceptances: u32,
    /// When each era but the first began.
    eras: Vec<UnixMillis>,
}

impl NodeClock {
    /// The clock at a start, where `last` is the time of the last audit entry.
    pub(crate) fn started(machine: Arc<dyn Clock>, row: Option<ClockRow>, last: UnixMillis) -> Self {
        let row = row.unwrap_or_default();
        let at = row.at.max(last);
        // It is written so often that a longer gap is one in the wall clock.
        let is_recent = at.get() - row.at.get() <= AuthorityClock::NEAR;
        let kept = KeptTime { at, agreed_since: row.agreed_since.filter(|_| is_recent) };
        let clock = AuthorityClock::started(kept, reading(&*machine));
        let state = State { clock, acceptances: row.acceptances, eras: row.eras };
        Self { machine, state: RwLock::new(state) }
    }

    /// The authority's time, in Unix milliseconds.
    pub(crate) fn now_ms(&self) -> u64 {
        let boot = self.machine.boot_ms();
        self.state().clock.now(boot).get()
    }

    /// The same in seconds.
    pub(crate) fn now(&self) -> UnixSeconds {
        UnixMillis::new(self.now_ms()).seconds()
    }

    /// The later of the authority's time and the wall clock: what is valid then is valid by both, whichever is right.
    pub(crate) fn latest(&self) -> UnixSeconds {
        self.now().max(self.reading().wall.seconds())
    }

    /// The time `now_ms` as DDKG-1 takes it in (section 9.1).
    pub(crate) fn at(&self, now_ms: u64) -> AuthorityTime {
        let boot = self.machine.boot_ms();
        let state = self.state();
        let era_ms = state.eras.last().map_or(0, |began| began.get());
        AuthorityTime { now_ms, era_ms, may_erase: state.clock.may_erase(boot) }
    }

    /// Whether something may be erased because its time is over.
    pub(crate) fn may_erase(&self) -> bool {
        let boot = self.machine.boot_ms();
        self.state().clock.may_erase(boot)
    }

    /// The number of the present era; 0 for the first.
    pub(crate) fn era(&self) -> u32 {
        u32::try_from(self.state().eras.len()).unwrap_or(u32::MAX)
    }

    /// Where something was made at `at` in that era by a clock that ran ahead: when the first era began that was behind it.
    pub(crate) fn ran_ahead(&self, era: u32, at: UnixSeconds) -> Option<UnixSeconds> {
        let before = usize::try_from(era).unwrap_or(usize::MAX);
        self.state().eras.iter().skip(before).map(|began| began.seconds()).filter(|began| at > *began).min()
    }

    /// When the present era began; 1970 for the first.
    pub(crate) fn era_began(&self) -> UnixSeconds {
        self.state().eras.last().map_or_else(UnixSeconds::default, |began| began.seconds())
    }

    /// What the machine says now.
    pub(crate) fn reading(&self) -> Reading {
        reading(&*self.machine)
    }

    pub(crate) fn agreement(&self) -> Agreement {
        self.state().clock.agreement()
    }

    /// Compares it with the wall clock.
    pub(crate) fn look(&self) {
        let now = self.reading();
        self.state_mut().clock.look(now);
    }

    /// The row of it as it is now.
    pub(crate) fn row(&self) -> ClockRow {
        let boot = self.machine.boot_ms();
        let State { clock, acceptances, eras } = &*self.state();
        let KeptTime { at, agreed_since } = clock.kept(boot);
        ClockRow { at, agreed_since, acceptances: *acceptances, eras: eras.clone() }
    }

    /// The one way to move it: a row that says that the wall clock was accepted.
    pub(super) fn put(&self, row: &ClockRow) {
        let boot_ms = self.machine.boot_ms();
        let mut state = self.state_mut();
        if row.acceptances > state.acceptances {
            state.clock.accept(Reading { wall: row.at, boot_ms });
            (state.acceptances, state.eras) = (row.acceptances, row.eras.clone());
        }
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        // Nothing in it is ever half done.
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a machine says now.
pub(crate) fn reading(machine: &dyn Clock) -> Reading {
    Reading { wall: UnixMillis::new(machine.wall_ms()), boot_ms: machine.boot_ms() }
}
