//! What the device does in one step, with a crash before and after every durable write.

use super::authority::{Enrollment, Key};
use super::config::Config;
use super::device::{Offer, Standing};
use super::mutant::Mutant;
use super::world::{Crash, Request, World};

/// What became of a reply at the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Got {
    /// Believed.
    Acked,
    /// It was to a rekey that another had overtaken.
    RekeyOvertaken,
    /// There was no reply, or nobody waited for it.
    Nothing,
}

impl World {
    /// The device asks `node` for a challenge and gets it.
    pub(crate) fn ask(&mut self, holder: usize, node: usize, config: &Config) {
        let (server_time, era) = (self.clock(node), self.era.number);
        self.holders[holder].ask(Offer { issued_ms: server_time * 1_000, server_time, era }, config);
    }

    /// The device answers a challenge: its message is on the network unless it crashed. `DeviceState::prove` and `rekey`.
    pub(crate) fn prove(
        &mut self,
        at: usize,
        question: usize,
        is_rekey: bool,
        crash: Crash,
        config: &Config,
    ) -> Option<Request> {
        let holder = &mut self.holders[at];
        let key = holder.ram.key?;
        let schedule = self.agreements[usize::from(key)].schedule;
        let (offer, epoch, number) = holder.prove(question, &schedule);
        let id = u8::try_from(self.sent.len()).expect("a run sends few requests");
        holder.ram.awaited.push(id);
        if is_rekey {
            holder.ram.last_rekey = Some(id);
        }
        let Offer { issued_ms, era, .. } = offer;
        let request = Request { holder: at as u8, key, epoch, number, issued_ms, era, is_rekey };
        let is_sent = match crash {
            Crash::None => true,
            _ => config.is(Mutant::UsesBeforeStoring),
        };
        if crash != Crash::BeforeSave {
            holder.save();
        }
        if crash != Crash::None {
            holder.crash();
        }
        if !is_sent {
            return None;
        }
        self.sent.push(request);
        self.replies.push(None);
        Some(request)
    }

    /// The reply to request `id` reaches the device. `DeviceState::acknowledge`.
    pub(crate) fn receive(&mut self, at: usize, id: usize, crash: Crash, config: &Config) -> Got {
        let (request, holder) = (self.sent[id], &mut self.holders[at]);
        let Some(reply) = self.replies[id].filter(|_| holder.ram.awaited.contains(&(id as u8))) else {
            return Got::Nothing;
        };
        holder.ram.awaited.retain(|awaited| usize::from(*awaited) != id);
        let is_present = holder.ram.key == Some(request.key);
        if request.is_rekey {
            let is_last = holder.ram.last_rekey == Some(id as u8) || config.is(Mutant::BelievesEarlierRekey);
            let Some(next) = reply.next.filter(|_| is_present && is_last) else { return Got::RekeyOvertaken };
            holder.adopt(next, Standing::Unproven);
            if crash == Crash::BeforeSave && config.is(Mutant::ErasesBeforeStoring) {
                holder.image = None;
            }
        } else if is_present {
            holder.acknowledged(request.epoch);
        }
        if crash != Crash::BeforeSave {
            holder.save();
        }
        if crash != Crash::None {
            holder.crash();
        }
        Got::Acked
    }

    /// The device begins an enrollment, for the first time or because its confirmation was refused.
    pub(crate) fn begin_enrollment(&mut self, at: usize) {
        self.holders[at].ram.enrolling = Some(self.enrolls.len() as u8);
        self.enrolls.push(Vec::new());
    }

    /// The authority takes in an enrollment request. `Record::enroll`.
    pub(crate) fn answer_enrollment(&mut self, id: usize, node: usize, config: &Config) {
        match self.record.as_ref().map(|record| record.enrollment) {
            // Answered alike: the reply is on the network already.
            Some(Enrollment::Pending(request)) if usize::from(request) == id => return,
            Some(Enrollment::Confirmed | Enrollment::Done) if !config.is(Mutant::ConfirmedReplaced) => return,
            _ => {}
        }
        let key = self.record_of(id as u8, node, config);
        self.enrolls[id].push(key);
    }

    /// A reply to the enrollment reaches the device. `Enrolling::finish`.
    pub(crate) fn finish_enrollment(&mut self, at: usize, id: usize, key: Key) {
        let holder = &mut self.holders[at];
        if holder.ram.enrolling == Some(id as u8) {
            holder.ram.enrolling = None;
            holder.adopt(key, Standing::Unconfirmed);
        }
    }

    /// The device saves and confirms. `DeviceState::confirmation`.
    pub(crate) fn confirm(&mut self, at: usize, crash: Crash, config: &Config) -> Option<Key> {
        let key = self.holders[at].ram.key.filter(|_| self.is_unconfirmed(at))?;
        let holder = &mut self.holders[at];
        if crash != Crash::BeforeSave {
            holder.save();
        }
        if crash != Crash::None {
            holder.crash();
        }
        if crash == Crash::None || config.is(Mutant::ConfirmsBeforeStoring) {
            self.confirmations.insert(key);
            return Some(key);
        }
        None
    }

    /// The authority takes in a confirmation. `Record::confirm`. True where it counts.
    pub(crate) fn take_confirmation(&mut self, key: Key) -> bool {
        let Some(record) = &mut self.record else { return false };
        let is_right = record.active.key == key;
        if is_right && matches!(record.enrollment, Enrollment::Pending(_)) {
            record.enrollment = Enrollment::Confirmed;
        }
        is_right
    }
}
