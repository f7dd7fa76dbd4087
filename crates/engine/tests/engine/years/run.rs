//! The run: who speaks when.

use super::administration::meddle;
use super::authority::{Authority, PROFILES, START, tenants};
use super::contact::{Contact, Ended};
use super::device::Device;
use super::figures::Figures;
use super::gifts::{give, id};
use super::platform::visit;
use super::random::Random;
use super::upkeep::tend;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::time::Instant;
use tokio::runtime::Runtime;
use wardein_ddkg::DeviceName;

pub(crate) struct Run {
    authority: Authority,
    /// Each with the number of its device; copies follow the originals.
    holders: Vec<Holder>,
    /// By number: whether there is a copy, and whether that was found out or its keys are dead.
    copies: Vec<Copied>,
    next: BinaryHeap<Reverse<(u64, usize)>>,
    accepted: HashSet<(usize, u64, u64)>,
    figures: Figures,
    random: Random,
    is_clock_wrong: bool,
    /// Whether the authority is lost now and then, and goes on from an older copy.
    pub(crate) is_restored: bool,
}

struct Holder {
    number: usize,
    device: Device,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Copied {
    No,
    Yes,
    Settled,
}

impl Run {
    pub(crate) async fn new(devices: usize, seed: u64) -> Self {
        let (authority, mut random) = (Authority::new(devices).await, Random::new(seed));
        let (mut holders, mut next) = (Vec::new(), BinaryHeap::new());
        for number in 0..devices {
            let (profile, ..) = PROFILES[number % PROFILES.len()];
            let device =
                Device::enrolled(&authority, tenants().next().unwrap(), number, profile, &mut random).await;
            holders.push(Holder { number, device });
            next.push(Reverse((START + random.wait(BETWEEN_CONTACTS), number)));
        }
        Self {
            authority,
            holders,
            copies: vec![Copied::No; devices],
            next,
            accepted: HashSet::new(),
            figures: Figures { devices, ..Figures::default() },
            random,
            is_clock_wrong: false,
            is_restored: false,
        }
    }

    pub(crate) fn two_years(mut self, runtime: &Runtime) -> Figures {
        let started = Instant::now();
        runtime.block_on(self.live());
        runtime.block_on(self.authority.mend_clock(&mut self.figures));
        runtime.block_on(self.settle());
        self.figures.add("crashes of the authority", self.authority.crashes);
        self.figures.seconds = started.elapsed().as_secs_f64();
        self.figures
    }

    fn now(&self) -> u64 {
        self.authority.right()
    }

    async fn live(&mut self) {
        let devices = self.copies.len() as u64;
        let copies = (devices / 100).max(5);
        let (mut next_copy, mut next_meddling, mut next_gift) = (START, START, START);
        let (mut next_crash, mut next_upkeep, mut next_clock) = (START, START, START);
        let (mut next_backup, mut old, mut next_loss) = (START + BETWEEN_BACKUPS, None, 0);
        while let Some(Reverse((at, index))) = self.next.pop() {
            let now = self.now().max(at);
            if now > START + TWO_YEARS {
                break;
            }
            self.authority.clock.pass(now - self.now());
            self.authority.look_at_clock().await;
            if now >= next_clock {
                next_clock = now + self.random.wait(BETWEEN_CLOCKS);
                self.is_clock_wrong = !self.is_clock_wrong;
                match self.is_clock_wrong {
                    true => self.authority.disturb_clock(&mut self.figures, &mut self.random).await,
                    false => self.authority.mend_clock(&mut self.figures).await,
                }
            }
            if now >= next_meddling {
                next_meddling = now + self.random.wait(BETWEEN_MEDDLING);
                meddle(&mut self.authority, devices as usize, &mut self.figures, &mut self.random).await;
            }
            if now >= next_gift {
                next_gift = now + self.random.wait(TWO_YEARS / (devices * GIFTS));
                let number = self.random.below(devices) as usize;
                give(&mut self.authority, number, &mut self.figures, &mut self.random).await;
                let is_sole = self.copies[number] == Copied::No;
                self.authority.judge_trust(number, is_sole, &mut self.figures).await;
            }
            if now >= next_upkeep {
                next_upkeep = now + self.random.wait(BETWEEN_UPKEEP);
                tend(&mut self.authority, &mut self.figures, &mut self.random).await;
            }
            if self.is_restored && now >= next_backup {
                next_backup = now + BETWEEN_BACKUPS;
                next_loss = now + self.random.wait(DAYS_LOST);
                old = Some(self.authority.back_up().await);
                self.holders.iter_mut().for_each(|holder| holder.device.has_changed = false);
            }
            if now >= next_loss
                && let Some(old) = old.take()
            {
                // A clock that is beside the CAs' validity restores nothing.
                self.authority.mend_clock(&mut self.figures).await;
                self.is_clock_wrong = false;
                self.authority.restore(old, &mut self.figures).await;
                for Holder { device, .. } in &mut self.holders {
                    device.is_ahead |= std::mem::take(&mut device.has_changed);
                }
            }
            // However large the fleet is: a process that dies loads all of it again.
            if now >= next_crash {
                next_crash = now + self.random.wait(ONE_YEAR / CRASHES_A_YEAR);
                self.authority.crash_soon(4, &mut self.random);
            }
            if now >= next_copy && now < START + TWO_YEARS / 10 * 9 {
                next_copy = now + self.random.wait(TWO_YEARS / copies);
                self.copy_one();
            }
            self.meet(index).await;
        }
    }

    /// Somebody copies the flash of a device, and speaks from then on.
    fn copy_one(&mut self) {
        let number = self.random.below(self.copies.len() as u64) as usize;
        if self.copies[number] != Copied::No {
            return;
        }
        self.copies[number] = Copied::Yes;
        self.figures.clones_made += 1;
        let device = self.holders[number].device.copied();
        let at = self.now() + self.random.wait(BETWEEN_CONTACTS);
        self.next.push(Reverse((at, self.holders.len())));
        self.holders.push(Holder { number, device });
    }

    async fn meet(&mut self, index: usize) {
        let number = self.holders[index].number;
        if self.copies[number] == Copied::Settled {
            return;
        }
        let is_calm = self.random.chance(500) && !self.is_clock_wrong;
        let ended = self.contact(index, is_calm).await;
        let now = self.now();
        if ended == Ended::Done && self.copies[number] == Copied::No && self.random.chance(200) {
            let Self { authority, holders, figures, random, .. } = self;
            let device = &mut holders[index].device;
            if authority.is_due_by_wrong_clock(device).await {
                figures.count("visits put off, as a wrong clock had made a rekey due");
            } else if visit(authority, device, now, figures, random).await.is_err() {
                self.figures.count("power cuts at a device");
            }
        }
        let wait = match ended {
            Ended::Done if self.random.chance(20) => {
                self.figures.count("months switched off");
                30 * 86_400 + self.random.below(210 * 86_400)
            }
            Ended::Done => self.random.wait(BETWEEN_CONTACTS),
            Ended::Lost => self.random.wait(1_800),
            Ended::Refused("overtaken") if !is_calm => self.random.wait(1_800),
            Ended::Alarm => return self.alarm(number),
            Ended::GoneOver => unreachable!("it goes on"),
            Ended::Refused(code) => {
                self.refused(number, code, is_calm);
                self.random.wait(BETWEEN_CONTACTS)
            }
        };
        self.next.push(Reverse((now + wait, index)));
    }

    /// A contact, and another one where it takes enrolling again.
    async fn contact(&mut self, index: usize, is_calm: bool) -> Ended {
        let ended = self.contact_once(index, is_calm).await;
        let must_enroll = match ended {
            Ended::Refused("keys-after-backup") => true,
            // The authority expects what it measured before an update that came after the copy.
            Ended::Refused("mac-wrong") => self.holders[index].device.is_ahead,
            _ => false,
        };
        if !must_enroll || index >= self.copies.len() {
            return ended;
        }
        self.figures.count("devices enrolled again");
        let Self { authority, holders, random, .. } = self;
        authority.live_on().await;
        authority.has_enrolled_again = true;
        // Where the copy has it, which may be where it was before a transfer.
        let tenant = authority.home_of(index).await.unwrap_or_else(|| tenants().next().unwrap());
        let (name, reason) =
            (DeviceName { tenant: tenant.clone(), device: id(index) }, "restored".parse().unwrap());
        authority.engine.readmit_device(&authority.admin, name, true, reason).await.unwrap();
        let (profile, ..) = PROFILES[index % PROFILES.len()];
        holders[index].device = Device::enrolled(authority, tenant, index, profile, random).await;
        self.contact_once(index, is_calm).await
    }

    async fn contact_once(&mut self, index: usize, is_calm: bool) -> Ended {
        let Self { authority, holders, accepted, figures, random, .. } = self;
        let Holder { number, device } = &mut holders[index];
        Contact { authority, figures, random, is_calm, accepted, number: *number }.run(device).await
    }

    fn alarm(&mut self, number: usize) {
        match self.copies[number] {
            Copied::Yes => {
                self.figures.clones_found += 1;
                self.copies[number] = Copied::Settled;
            }
            Copied::Settled => {}
            Copied::No => {
                self.figures.wrong(format!("pump-{number} is honest, and was taken for a clone"));
                self.copies[number] = Copied::Settled;
            }
        }
    }

    /// A device that is refused for good while nothing comes between is locked out, unless it is one of two.
    fn refused(&mut self, number: usize, code: &'static str, is_calm: bool) {
        if self.copies[number] == Copied::No && is_calm {
            let now = self.now() - START;
            self.figures.wrong(format!("pump-{number} is locked out on day {}: {code}", now / 86_400));
        }
    }

    /// At the end everybody comes once more, with nothing between, and every holder of a copy speaks in turn with it.
    async fn settle(&mut self) {
        for index in 0..self.copies.len() {
            if self.copies[index] == Copied::No {
                self.authority.clock.pass(1);
                match self.contact(index, true).await {
                    Ended::Done => {
                        self.figures.count("devices that are in good standing at the end");
                        let trusting = self.authority.trusting(index).await;
                        if trusting != [self.holders[index].device.name().tenant.clone()] {
                            self.figures.wrong(format!("pump-{index} at the end is trusted by {trusting:?}"));
                        }
                    }
                    ended => self.figures.wrong(format!("pump-{index} at the end: {ended:?}")),
                }
            }
        }
        for index in self.copies.len()..self.holders.len() {
            let number = self.holders[index].number;
            let mut refused = [0; 2];
            for turn in 0..TURNS {
                if self.copies[number] == Copied::Settled {
                    break;
                }
                self.authority.clock.pass(60);
                let speaker = if turn % 2 == 0 { number } else { index };
                match self.contact(speaker, true).await {
                    Ended::Alarm => self.alarm(number),
                    Ended::Refused(_) => refused[turn % 2] += 1,
                    Ended::Done | Ended::Lost | Ended::GoneOver => {}
                }
            }
            if self.copies[number] == Copied::Settled {
                continue;
            }
            // Where every word of one of the two is refused, its keys are dead: there are no two any more.
            if refused.contains(&(TURNS / 2)) {
                self.figures.clones_found += 1;
                self.figures.count("clones whose keys had died");
            } else {
                self.figures.wrong(format!("the clone of pump-{number} was not found"));
            }
        }
    }
}

const ONE_YEAR: u64 = 365 * 86_400;
const TWO_YEARS: u64 = 2 * ONE_YEAR;
const BETWEEN_CONTACTS: u64 = 4 * 86_400;
const BETWEEN_CLOCKS: u64 = 5 * 86_400;
const BETWEEN_MEDDLING: u64 = 86_400;
const BETWEEN_UPKEEP: u64 = 5 * 86_400;
const BETWEEN_BACKUPS: u64 = 60 * 86_400;
const DAYS_LOST: u64 = 3 * 86_400;
const CRASHES_A_YEAR: u64 = 250;
const TURNS: usize = 40;
/// To each device in two years.
const GIFTS: u64 = 12;
