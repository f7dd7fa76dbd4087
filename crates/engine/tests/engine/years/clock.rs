//! The clock of the authority's machine, which is set wrong now and then: while the process runs, or before it starts. Some days later it is
//! right again. Where the authority's time was drawn away, since a start believed the wrong clock, somebody accepts the right one.

use super::authority::{Authority, START, caller, ports};
use super::device::Device;
use super::figures::Figures;
use super::random::Random;
use wardein_domain::{Agreement, AuthorityClock, RekeyGate};
use wardein_engine::{REPEAT_WINDOW, Recovery};
use wardein_port::Clock;
use wardein_testkit::TestClock;

impl Authority {
    /// The right time, in Unix seconds.
    pub(crate) fn right(&self) -> u64 {
        START + (self.clock.boot_ms() - TestClock::UP_MS) / 1000
    }

    /// What the service does every second.
    pub(crate) async fn look_at_clock(&mut self) {
        // It is asked again; a process that dies of it is revived as always.
        let _ = self.engine.look_at_clock().await;
    }

    /// Sets the machine's clock wrong, and starts the process again in half of the cases.
    pub(crate) async fn disturb_clock(&mut self, figures: &mut Figures, random: &mut Random) {
        let by = [600, 86_400, 30 * 86_400, 2 * 31_557_600, 9 * 31_557_600, 60 * 31_557_600];
        let by = by[random.below(by.len() as u64) as usize];
        let right = self.right();
        self.clock.set(if random.chance(500) { right + by } else { right.saturating_sub(by) });
        figures.count("clocks set wrong");
        if random.chance(500) {
            self.live_on().await;
        }
        self.look_at_clock().await;
        match self.engine.clock_status().agreement {
            Agreement::Since(_) => figures.count("wrong clocks that a start believed"),
            Agreement::Apart => figures.count("wrong clocks that moved nothing"),
            Agreement::Held => figures.count("wrong clocks that held the time"),
        }
    }

    /// Whether a device has to rekey before what it makes is taken, since a clock that was believed for days has erased keys.
    pub(crate) async fn is_due_by_wrong_clock(&self, device: &Device) -> bool {
        let name = device.name().clone();
        let status = self.engine.key_status(&self.admin, name.tenant, None, Some(name.device)).await;
        let gate = status.ok().and_then(|status| status.device).map(|device| device.gate);
        self.engine.clock_status().acceptances > 0 && gate != Some(RekeyGate::Free)
    }

    /// Whether a process died meanwhile and the next one believed a clock that was days ahead: one who asks again is late by then.
    pub(crate) fn has_jumped_since(&self, before: u64) -> bool {
        self.engine.now() > before + REPEAT_WINDOW
    }

    /// Sets it right. Where the time was drawn away, an administrator accepts that.
    pub(crate) async fn mend_clock(&mut self, figures: &mut Figures) {
        self.live_on().await;
        self.clock.set(self.right());
        self.look_at_clock().await;
        if self.engine.now().abs_diff(self.right()) * 1000 <= AuthorityClock::NEAR {
            return;
        }
        let ports = ports(&self.store, &self.clock, &self.custody);
        let recovery = Recovery::begin(&ports, self.custody.root_keys(), 365 * 86_400).await.unwrap();
        self.admin = caller(recovery.files.admin.clone());
        recovery.finish(&ports).await.unwrap();
        let accepted = self.engine.accept_clock(&self.admin, self.clock.wall_ms()).await.unwrap();
        if accepted.is_new_era {
            figures.count("new eras");
        }
        if self.engine.now().abs_diff(self.right()) > 1 {
            figures.wrong(format!("the time is {} where {} was accepted", self.engine.now(), self.right()));
        }
    }
}
