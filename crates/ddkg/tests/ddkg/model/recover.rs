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

/// Requests within which a proof is accepted and acknowledged (K).
pub(crate) const REQUESTS: usize = 3;

/// (I1), for each holder by itself.
pub(crate) fn agrees(world: &World, config: &Config) -> bool {
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
