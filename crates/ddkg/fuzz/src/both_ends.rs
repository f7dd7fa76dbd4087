//! Both ends over a network that loses, repeats, reorders and changes messages, with crashes at both ends. The device goes over
//! from one of two tenants to the other, and back. The input is a list of orders.
//!
//! Whatever the orders: nothing panics; a changed message is refused; a refused message changes nothing; no key is used
//! twice; one honest device never looks like two; no tenant that it left accepts it; and at the end both ends agree again.

mod authority;
mod keys;

use super::world::{self, Counter, START};
use authority::Authority;
use std::collections::{BTreeMap, BTreeSet};
use wardein_ddkg::authority::{Refusal, Standing};
use wardein_ddkg::device::{ChallengeAsk, Clock, DeviceState, Enrolling, InFlight};
use wardein_ddkg::message::{
    AckedReply, ChallengeOffer, Confirmation, EnrollReply, FileStanza, ProofRequest,
};
use wardein_ddkg::{DecodeError, KeyName, Purposes, Suite};
use wardein_domain::Schedule;

/// The first two bytes choose the schedule and the suites, each further one or few are an order.
pub fn both_ends(data: &[u8]) {
    let mut orders = Orders(data);
    let (Some(schedule), Some(suites)) = (orders.next(), orders.next()) else { return };
    let mut ends = Ends::new(schedule, suites);
    for _ in 0..MAX_ORDERS {
        let Some(order) = orders.next() else { break };
        ends.obey(order, &mut orders);
    }
    ends.must_agree();
}

struct Orders<'a>(&'a [u8]);

impl Orders<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn byte(&mut self) -> u8 {
        self.next().unwrap_or(0)
    }
}

/// A proof on its way, with the body beside it and what the device remembers of it until it crashes.
struct Sent {
    request: Vec<u8>,
    body: Vec<u8>,
    in_flight: Option<InFlight>,
    reply: Option<Vec<u8>>,
    refusal: Option<Refusal>,
}

struct Ends {
    device: DeviceState,
    /// The device's flash.
    saved: Vec<u8>,
    authority: Authority,
    schedule: Schedule,
    suites: Vec<Suite>,
    now_ms: u64,
    entropy: Counter,
    /// Questions for a challenge with what came back, until the device restarts.
    asked: Vec<(ChallengeAsk, ChallengeOffer)>,
    sent: Vec<Sent>,
    tokens: Vec<Vec<u8>>,
    payloads: Vec<Vec<u8>>,
    stanzas: Vec<FileStanza>,
    used: BTreeSet<KeyName>,
    /// Which generation and number each proof took: both come in the clear.
    proved: BTreeMap<(u64, u64), Vec<u8>>,
}

impl Ends {
    fn new(schedule: u8, suites: u8) -> Self {
        let period = [0, 1, 60, 3_600][usize::from(schedule & 3)];
        let max_uses = [0, 1, 2, 5][usize::from(schedule >> 2 & 3)];
        let schedule = Schedule { period, max_uses, not_before: START };
        let suites = match suites & 3 {
            0 => world::suites().collect(),
            _ => vec![Suite::P256],
        };
        // The device is enrolled and not confirmed, and has something to restart from.
        let (record, saved) = world::enrolled(suites[0], schedule);
        let record = world::load(&record).expect("it was encoded there");
        Self {
            device: DeviceState::restore(&saved, 0).expect("it was saved there"),
            saved,
            authority: Authority::new(record, schedule),
            schedule,
            suites,
            now_ms: START * 1_000,
            entropy: Counter(11),
            asked: Vec::new(),
            sent: Vec::new(),
            tokens: Vec::new(),
            payloads: Vec::new(),
            stanzas: Vec::new(),
            used: BTreeSet::new(),
            proved: BTreeMap::new(),
        }
    }

    fn now(&self) -> u64 {
        self.now_ms / 1_000
    }

    fn obey(&mut self, order: u8, orders: &mut Orders<'_>) {
        match order % 16 {
            0 => self.now_ms += u64::from(orders.byte()) << (orders.byte() % 24),
            1 | 2 => self.ask(),
            3 => self.prove(orders),
            4 => self.rekey(orders, order & TRANSFER != 0),
            5 | 6 => self.deliver(orders),
            7 => self.acknowledge(orders),
            8 => self.refuse(orders),
            9 => self.restart(),
            10 => self.confirm(orders),
            11 => self.enroll_again(orders),
            12 => self.token(orders),
            13 => self.payload(orders),
            14 => self.file(orders),
            _ => self.authority.sweep(self.now()),
        }
    }

    fn ask(&mut self) {
        let ask = self.device.ask_challenge();
        let offer = self.offer();
        self.asked.push((ask, offer));
    }

    fn offer(&mut self) -> ChallengeOffer {
        let name = self.device.device();
        let (key, recipe) = (world::challenge_key(), self.authority.recipe(name));
        let challenge = key.issue(name, &recipe, self.now_ms, &mut self.entropy);
        ChallengeOffer { challenge: challenge.expect("there is entropy"), server_time: self.now(), recipe }
    }

    /// One of the questions that were asked, its server_time perhaps forged: nothing authenticates it.
    fn asked(&mut self, orders: &mut Orders<'_>) -> Option<(ChallengeAsk, ChallengeOffer)> {
        let which = pick(self.asked.len(), orders)?;
        let (ask, mut offer) = self.asked.swap_remove(which);
        let forged = orders.byte();
        if forged & 1 == 1 {
            offer.server_time = offer.server_time.wrapping_add(u64::from(forged) << (forged % 64));
        }
        Some((ask, offer))
    }

    fn prove(&mut self, orders: &mut Orders<'_>) {
        let Some((ask, offer)) = self.asked(orders) else { return };
        let body = vec![orders.byte(); usize::from(orders.byte() % 3)];
        let (before, measured) = (world::visible(&self.device), world::attributes().digests());
        let action = "certificate".parse().expect("an action");
        match self.device.prove(ask, &offer, &measured, action, &body, &mut self.entropy) {
            Ok(unsaved) => {
                let (request, in_flight) = world::save(unsaved, &mut self.saved);
                self.send(request, body, in_flight);
            }
            Err(_) => assert_eq!(world::visible(&self.device), before),
        }
    }

    /// Asks for other keys, in the same tenant or in the other one.
    fn rekey(&mut self, orders: &mut Orders<'_>, goes_over: bool) {
        let Some((ask, offer)) = self.asked(orders) else { return };
        let suite = self.suites[usize::from(orders.byte()) % self.suites.len()];
        let (before, measured) = (world::visible(&self.device), world::attributes().digests());
        let asked = match goes_over {
            true => self.device.transfer(ask, &offer, &measured, suite, &mut self.entropy),
            false => self.device.rekey(ask, &offer, &measured, suite, &mut self.entropy),
        };
        match asked {
            Ok(unsaved) => {
                let (request, rekey, in_flight) = world::save(unsaved, &mut self.saved);
                self.send(request, rekey.encode(), in_flight);
            }
            Err(_) => assert_eq!(world::visible(&self.device), before),
        }
    }

    fn send(&mut self, request: ProofRequest, body: Vec<u8>, in_flight: InFlight) {
        let (key, request) = ((request.generation, request.number), request.encode());
        assert_eq!(self.proved.insert(key, request.clone()), None, "a number was used twice");
        self.sent.push(Sent { request, body, in_flight: Some(in_flight), reply: None, refusal: None });
    }

    /// A proof reaches the authority: maybe late, again, or changed on the way. The authority may lose its power before the
    /// record is on disk; then no reply leaves.
    fn deliver(&mut self, orders: &mut Orders<'_>) {
        let Some(which) = pick(self.sent.len(), orders) else { return };
        let how = orders.byte();
        let mut request = self.sent[which].request.clone();
        let is_changed = how & 3 == 3 && change(&mut request, orders);
        let (body, server_time) = (self.sent[which].body.clone(), self.now());
        let before = self.authority.bytes();
        match self.authority.verify(&request, &body, self.now_ms) {
            Some((_, Ok(_))) if is_changed => unreachable!("a changed proof was accepted"),
            Some((_, Ok(_))) if how & 3 == 2 => {
                self.authority.load();
                assert!(self.authority.bytes() == before, "it was stored before");
            }
            Some((place, Ok(accepted))) => {
                let now = server_time;
                match self.authority.perform(place, &accepted, &body, now, &mut self.entropy) {
                    Some(reply_body) => {
                        self.authority.store();
                        self.sent[which].reply = Some(accepted.reply(server_time, reply_body).encode());
                    }
                    None => self.authority.load(),
                }
            }
            Some((_, Err(refusal))) => {
                assert!(self.authority.bytes() == before, "a refusal changed the record");
                self.sent[which].refusal = (!is_changed).then_some(refusal);
            }
            None => {}
        }
    }

    /// A reply reaches the device: maybe that to another request, or changed on the way.
    fn acknowledge(&mut self, orders: &mut Orders<'_>) {
        let (Some(to), Some(of)) = (pick(self.sent.len(), orders), pick(self.sent.len(), orders)) else {
            return;
        };
        let of = if orders.byte() & 3 == 0 { of } else { to };
        let Some(mut reply) = self.sent[of].reply.clone() else { return };
        let Some(in_flight) = self.sent[to].in_flight.take() else { return };
        let is_changed = orders.byte() & 3 == 3 && change(&mut reply, orders);
        let Ok(reply) = AckedReply::decode(&reply) else { return };
        let before = world::visible(&self.device);
        match self.device.acknowledge(in_flight, reply) {
            Ok(unsaved) => {
                assert!(!is_changed && to == of, "a reply was believed that answers something else");
                world::save(unsaved, &mut self.saved);
            }
            Err(_) => assert_eq!(world::visible(&self.device), before, "a refused reply changed the state"),
        }
    }

    /// A refusal reaches the device, a true one or a forged one: nothing authenticates it.
    fn refuse(&mut self, orders: &mut Orders<'_>) {
        let Some(which) = pick(self.sent.len(), orders) else { return };
        let request = ProofRequest::decode(&self.sent[which].request).expect("the device made it");
        let forged = u32::from(orders.byte()) << (orders.byte() % 32);
        let refusal = match orders.byte() & 3 {
            0 => Some(Refusal::EpochSpent { next: forged }),
            1 => Some(Refusal::EpochAhead { highest: forged }),
            _ => self.sent[which].refusal.clone(),
        };
        if let Some(refusal) = refusal {
            let before = world::visible(&self.device);
            self.device.refused(&request, &refusal);
            assert_eq!(world::visible(&self.device), before, "a refusal moved what lasts");
        }
    }

    /// The device loses its power; what was in flight and asked is forgotten, as it lived in memory.
    fn restart(&mut self) {
        let floor = self.device.writes();
        self.device = DeviceState::restore(&self.saved, floor).expect("what a device saves it restores");
        self.asked.clear();
        self.sent.iter_mut().for_each(|sent| sent.in_flight = None);
    }

    fn confirm(&mut self, orders: &mut Orders<'_>) {
        let Some(unsaved) = self.device.confirmation() else { return };
        let mut bytes = world::save(unsaved, &mut self.saved).encode();
        let is_changed = orders.byte() & 3 == 3 && change(&mut bytes, orders);
        let Ok(confirmation) = Confirmation::decode(&bytes) else { return };
        // A device that has proved anything keeps none.
        let home = &mut self.authority.home;
        let before = world::bytes(&home.record);
        match home.record.confirm(&confirmation) {
            Ok(_) => assert!(!is_changed, "a changed confirmation was accepted"),
            Err(_) => assert!(world::bytes(&home.record) == before),
        }
        home.store();
    }

    /// The station starts over: that replaces the pending enrollment, and touches nothing else.
    fn enroll_again(&mut self, orders: &mut Orders<'_>) {
        let (how, home) = (orders.byte(), &mut self.authority.home);
        // A station has nothing to do with a device that has gone.
        if *home.record.device() != world::name() {
            return;
        }
        let before = world::bytes(&home.record);
        let suite = self.suites[0];
        match world::enroll(Some(&home.record), suite, self.schedule, &mut self.entropy) {
            Err(refusal) => {
                assert_eq!((refusal, home.record.standing()), (Refusal::AlreadyEnrolled, Standing::Enrolled));
                assert!(world::bytes(&home.record) == before);
            }
            Ok((enrolling, reply, record)) => {
                home.record = record.expect("a fresh request");
                home.store();
                self.finish(enrolling, reply, how, orders);
            }
        }
    }

    fn finish(&mut self, enrolling: Enrolling, reply: EnrollReply, how: u8, orders: &mut Orders<'_>) {
        let mut bytes = reply.encode();
        let is_changed = how & 3 == 3 && change(&mut bytes, orders);
        let finished = EnrollReply::decode(&bytes).map(|reply| enrolling.finish(&reply, Purposes::ENROLLED));
        let device = match finished {
            Ok(Ok(device)) => {
                assert!(!is_changed, "a changed enrollment reply was believed");
                device
            }
            // The station asks a third time, and now nothing is in the way.
            _ => {
                assert!(is_changed, "an honest enrollment reply was refused");
                let home = &mut self.authority.home;
                let again =
                    world::enroll(Some(&home.record), self.suites[0], self.schedule, &mut self.entropy);
                let (enrolling, reply, record) = again.expect("it is still pending");
                home.record = record.expect("a fresh request");
                home.store();
                enrolling.finish(&reply, Purposes::ENROLLED).expect("the reply is right")
            }
        };
        // Another life: its keys hang below another root, though they bear the same names.
        self.device = device;
        let unsaved = self.device.confirmation().expect("it is unconfirmed");
        world::save(unsaved, &mut self.saved);
        self.asked.clear();
        self.sent.clear();
        self.tokens.clear();
        self.payloads.clear();
        self.stanzas.clear();
        self.used.clear();
        self.proved.clear();
    }

    fn clock(&self, orders: &mut Orders<'_>) -> Clock {
        let wall = orders.byte();
        let wrong = u64::from(wall) << (wall % 32);
        Clock { elapsed: u64::from(orders.byte()), wall: (wall & 1 == 1).then_some(self.now() + wrong) }
    }

    fn use_up(&mut self, name: KeyName) {
        assert!(self.used.insert(name), "a key was used twice");
    }

    /// Once the network is good, a device that follows the refusals it gets is heard within a few attempts.
    fn must_agree(&mut self) {
        if let Some(unsaved) = self.device.confirmation() {
            let confirmation = world::save(unsaved, &mut self.saved);
            let _ = self.authority.home.record.confirm(&confirmation);
        }
        let mut last = None;
        for _ in 0..6 {
            let ask = self.device.ask_challenge();
            let offer = self.offer();
            self.asked.push((ask, offer));
            let sent = self.sent.len();
            let which = self.asked.len() as u8 - 1;
            self.prove(&mut Orders(&[which, 0]));
            assert_eq!(self.sent.len(), sent + 1, "the device could not answer a challenge");
            let Sent { request, body, .. } = &self.sent[sent];
            let (request, body) = (request.clone(), body.clone());
            let now = self.now();
            let (place, verified) =
                self.authority.verify(&request, &body, self.now_ms).expect("a fresh challenge");
            match verified {
                Ok(accepted) => {
                    let answer = self.authority.perform(place, &accepted, &body, now, &mut self.entropy);
                    self.authority.store();
                    let reply = accepted.reply(now, answer.expect("it asks for nothing that is refused"));
                    let in_flight = self.sent[sent].in_flight.take().expect("just sent");
                    let unsaved = self.device.acknowledge(in_flight, reply).expect("an honest reply");
                    world::save(unsaved, &mut self.saved);
                    let home = &self.authority.home.record;
                    assert_eq!(
                        (self.device.device(), self.device.generation()),
                        (home.device(), home.active_generation())
                    );
                    return;
                }
                Err(refusal) => {
                    let request = ProofRequest::decode(&request).expect("the device made it");
                    self.device.refused(&request, &refusal);
                    last = Some(refusal);
                }
            }
        }
        unreachable!("the ends cannot agree again: {last:?}");
    }
}

fn pick(length: usize, orders: &mut Orders<'_>) -> Option<usize> {
    usize::from(orders.byte()).checked_rem(length)
}

/// Flips one bit; `true` when there was one.
fn change(bytes: &mut [u8], orders: &mut Orders<'_>) -> bool {
    let at = usize::from(u16::from_be_bytes([orders.byte(), orders.byte()]));
    let Some(which) = at.checked_rem(bytes.len()) else { return false };
    bytes[which] ^= 1 << (orders.byte() & 7);
    true
}

/// One of the messages that were sent, perhaps changed; `None` when there is none, or it is no message any more.
fn on_the_way<T>(
    messages: &[Vec<u8>],
    orders: &mut Orders<'_>,
    decode: impl Fn(&[u8]) -> Result<T, DecodeError>,
) -> Option<(T, bool)> {
    let mut bytes = messages[pick(messages.len(), orders)?].clone();
    let is_changed = orders.byte() & 3 == 3 && change(&mut bytes, orders);
    Some((decode(&bytes).ok()?, is_changed))
}

/// Set in an order to rekey: the device is to go over to the other tenant.
const TRANSFER: u8 = 0x80;

/// More orders in a row make a run slow and say little more.
const MAX_ORDERS: usize = 64;
