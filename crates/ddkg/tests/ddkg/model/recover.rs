//! (I1) and (I3): from every state, what an honest device does next brings both ends together again, without a human.
//!
//! From here on the network is reliable and the clocks are right. The device makes at most [`REQUESTS`] requests; for each
//! it asks for a challenge, proves, and takes in the refusal or the ack. While its enrollment is not known to be confirmed
//! it confirms first, and enrolls again where the authority awaits another confirmation. Then it rekeys, and proves a
//! request under the new generation, each within as many. After a fork an alarm will do instead, since that is for a human.

use super::config::{Budget, Clock, Config, TICK};
use super::ends::Got;
use super::step::Seen;
use super::world::{Crash, World};
use wardein_ddkg::model::CloneSign;

/// Requests within which a proof is accepted and acknowledged (K).
pub(crate) const REQUESTS: usize = 3;

/// (I1), for each holder by itself. Where the authority's time is ahead, both with it and after a human has set it right.
pub(crate) fn agrees(world: &World, config: &Config) -> bool {
    if world.ahead == 0 {
        return agrees_now(world, config);
    }
    let mut right = world.clone();
    right.begin_era();
    agrees_now(world, config) && agrees_now(&right, config)
}

fn agrees_now(world: &World, config: &Config) -> bool {
    let may_alarm = world.fork.is_some();
    world.alarm.is_some()
        || (0..world.holders.len()).all(|holder| {
            let mut world = world.clone();
            world.clocks = [Clock::Off(0); 2];
            world.loads = [None, None];
            let left = &mut world.left;
            *left = Budget { proofs: u8::MAX, rekeys: u8::MAX, ..Budget::default() };
            let all = [false, true, false];
            let is_done = all.into_iter().all(|is_rekey| {
                (0..REQUESTS).any(|_| {
                    if world.alarm.is_some() {
                        return may_alarm;
                    }
                    if may_alarm {
                        // Apart by more than skew of whatever was answered before.
                        world.now += 2 * TICK;
                    }
                    is_acked(&mut world, holder, is_rekey, config)
                })
            });
            is_done || (may_alarm && world.alarm.is_some())
        })
}

/// (I6): after an alarm for a number a human readmits the device. Whichever holder is the genuine one: its rekey succeeds within
/// [`REQUESTS`], and the first proof under the new generation puts the other out, whatever numbers either has used. (A holder whose
/// generation has retired can only enroll again.)
pub(crate) fn is_readmitted(world: &World, config: &Config) -> bool {
    let is_about_a_number = matches!(world.alarm, Some(CloneSign::NumberTwice | CloneSign::NumberTooLow));
    if !is_about_a_number || world.fork.is_none() || !config.keeps_skew() {
        return true;
    }
    (0..world.holders.len()).all(|holder| {
        let mut world = world.clone();
        (world.clocks, world.loads, world.alarm) = ([Clock::Off(0); 2], [None, None], None);
        world.left = Budget { proofs: u8::MAX, rekeys: u8::MAX, ..Budget::default() };
        let time = world.time(0);
        let Some(record) = &mut world.record else { return true };
        if world.holders[holder].ram.key != Some(record.active.key) {
            return true;
        }
        record.readmit(time, config);
        let has_agreed = [true, false].into_iter().all(|is_rekey| {
            (0..REQUESTS).any(|_| {
                world.now += 2 * TICK;
                world.alarm.is_none() && is_acked(&mut world, holder, is_rekey, config)
            })
        });
        let is_out = |other: usize| {
            let mut world = world.clone();
            (0..REQUESTS).all(|_| {
                world.now += 2 * TICK;
                !is_acked(&mut world, other, false, config)
            })
        };
        has_agreed && (0..world.holders.len()).filter(|other| *other != holder).all(is_out)
    })
}

fn is_acked(world: &mut World, holder: usize, is_rekey: bool, config: &Config) -> bool {
    if !is_enrolled(world, holder, config) {
        return false;
    }
    // A question that is open still is overtaken by the new one.
    world.holders[holder].ram.questions.clear();
    matches!(world.request(holder, 0, is_rekey, true, config), Seen::Whole(_, _, Got::Acked))
}

/// Confirms, or enrolls again, where that is needed.
fn is_enrolled(world: &mut World, holder: usize, config: &Config) -> bool {
    if world.holders[holder].ram.key.is_none() {
        enroll(world, holder, config);
    }
    if world.is_unconfirmed(holder) {
        let Some(key) = world.confirm(holder, Crash::None, config) else { return false };
        if !world.take_confirmation(key) {
            // Refused as already enrolled, it stays as it is; refused as another's, it starts over.
            enroll(world, holder, config);
            if let Some(key) = world.confirm(holder, Crash::None, config) {
                world.take_confirmation(key);
            }
        }
    }
    world.holders[holder].ram.key.is_some()
}

fn enroll(world: &mut World, holder: usize, config: &Config) {
    world.begin_enrollment(holder);
    let id = world.enrolls.len() - 1;
    world.answer_enrollment(id, 0, config);
    if let Some(key) = world.enrolls[id].last().copied() {
        world.finish_enrollment(holder, id, key);
    }
}

/// (I3), stronger than "not lost": at every moment the generation that the device has stored is one under which the
/// authority accepts proofs. Once the device has adopted g+1 it is, and it was made from g by a rekey that was acknowledged.
pub(crate) fn has_rekey(world: &World) -> bool {
    let Some(record) = world.record.as_ref().filter(|_| world.fork.is_none() && world.alarm.is_none()) else {
        return true;
    };
    let is_pending = matches!(record.enrollment, super::authority::Enrollment::Pending(_));
    if is_pending {
        return true;
    }
    world.holders[0].image.is_some_and(|image| record.is_live(image.key))
}
