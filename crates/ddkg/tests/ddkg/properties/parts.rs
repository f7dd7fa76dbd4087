//! The two parts that a record is stored in: whether the cold one must be written is told by what is in it.

use super::records;
use crate::common::{
    HOURLY, NO_CLOCK, ONCE, Pair, Sent, Setup, TIMELESS, attributes, audience, bytes, load, save, sign,
};
use proptest::prelude::*;
use std::fmt::{self, Debug, Formatter};
use wardein_crypto::{Secret, Tag};
use wardein_ddkg::authority::{Accepted, Expected, Record, Spend};
use wardein_ddkg::message::{AckedReply, RekeyAsk};
use wardein_ddkg::{Attributes, Problem, Suite};
use wardein_domain::Schedule;

/// A record that is stored and loaded now and then, beside one that stays in memory: both must go the same way.
struct Twins {
    pair: Pair,
    kept: Record,
    /// The cold part as it is stored, and whether it was another one at any time since.
    stored: Vec<u8>,
    has_changed: bool,
    measured: Attributes,
    last: Option<Sent>,
    /// How many accepted proofs left the cold part as it was, and how many did not.
    proofs: [usize; 2],
}

impl Twins {
    fn new(schedule: Schedule) -> Self {
        let pair = Pair::pending(Setup::new(schedule));
        let kept = load(&bytes(&pair.record)).unwrap();
        let mut twins = Self {
            pair,
            kept,
            stored: Vec::new(),
            has_changed: true,
            measured: attributes(),
            last: None,
            proofs: [0; 2],
        };
        assert!(twins.pair.record.is_cold_changed(), "it was never stored");
        twins.store();
        twins
    }

    /// What both say to `act`, which must be the same, and what is said of the cold part must be true.
    fn both<T: Debug>(&mut self, act: impl Fn(&mut Record) -> T) -> T {
        let before = content(&self.pair.record);
        let (seen, other) = (act(&mut self.pair.record), act(&mut self.kept));
        assert_eq!(format!("{seen:?}"), format!("{other:?}"));
        assert!(bytes(&self.pair.record) == bytes(&self.kept));
        self.must_be_true(&before);
        assert_eq!(self.kept.is_cold_changed(), self.has_changed, "after {seen:?}");
        seen
    }

    /// Whether the record says of its cold part, which was `before`, what is so.
    fn must_be_true(&mut self, before: &[u8]) {
        self.has_changed |= content(&self.pair.record) != before;
        assert_eq!(self.pair.record.is_cold_changed(), self.has_changed);
        let whole = load(&bytes(&self.pair.record)).unwrap();
        assert!(bytes(&whole) == bytes(&self.pair.record) && !whole.is_cold_changed());
    }

    /// One record goes through the store, the other one is only marked.
    fn store(&mut self) {
        if self.pair.record.is_cold_changed() {
            self.stored = self.pair.record.encode_cold().expose().to_vec();
        }
        let before = bytes(&self.pair.record);
        self.pair.record = Record::decode(&self.stored, &self.pair.record.encode_hot()).unwrap();
        self.kept.mark_stored();
        self.has_changed = false;
        assert!(bytes(&self.pair.record) == before, "what was not stored is lost");
        assert!(!self.pair.record.is_cold_changed() && !self.kept.is_cold_changed());
    }

    /// What the authority makes of a request: its reply, or the refusal.
    fn verify(&mut self, sent: &Sent, answer: Answer) -> Option<AckedReply> {
        let Ok(checked) = self.pair.check(&sent.request, &sent.recipe) else { return None };
        let (time, policy) = (self.pair.time(), self.pair.setup.policy.clone());
        let was_changed = self.has_changed;
        let verified = self.both(|record| {
            let accepted = record.verify(&sent.request, checked, &sent.recipe, &sent.body, time, &policy)?;
            if let Answer::Announce = answer {
                let announced = Attributes::decode(&sent.body).unwrap().digests();
                assert_eq!(record.announce(&accepted, announced), Ok(()));
            }
            Ok(Shown(accepted))
        });
        match verified {
            Ok(Shown(accepted)) => {
                if !was_changed {
                    self.proofs[usize::from(self.has_changed)] += 1;
                }
                let answer = if let Answer::Rekey = answer { self.rekey(sent, &accepted) } else { vec![] };
                Some(accepted.reply(time.now(), answer))
            }
            Err(refusal) => {
                self.pair.device.refused(&sent.request, &refusal);
                None
            }
        }
    }

    /// An agreement draws from the system, so that the twins would part: they are made alike again.
    fn rekey(&mut self, sent: &Sent, accepted: &Accepted) -> Vec<u8> {
        let ask = RekeyAsk::decode(&sent.body).unwrap();
        let schedule = Schedule { not_before: self.pair.now(), ..self.pair.setup.schedule };
        let before = content(&self.pair.record);
        let answer = self.pair.record.rekey(accepted, &ask, schedule, &mut self.pair.entropy);
        self.must_be_true(&before);
        self.kept = load(&bytes(&self.pair.record)).unwrap();
        self.store();
        answer.map_or(vec![], |answer| answer.encode())
    }

    fn prove(&mut self, answer: Answer, body: &[u8], is_reply_lost: bool) {
        let measured = self.measured.clone();
        let sent = match answer {
            Answer::Rekey => self.pair.ask_rekey(),
            Answer::Announce => self.pair.ask_showing(&measured, "attributes", body),
            Answer::Nothing => self.pair.ask_showing(&measured, "authenticate", body),
        };
        let reply = self.verify(&sent, answer);
        let Sent { request, in_flight, recipe, body } = sent;
        if let Some(reply) = reply.filter(|_| !is_reply_lost) {
            // A rekey that another one overtook is refused by the device; its state is as it was.
            let _ = self.pair.acknowledge(in_flight, reply).is_ok();
            let (asked, offer) = self.pair.offer();
            let measured = measured.digests();
            let action = "authenticate".parse().unwrap();
            let unsaved =
                self.pair.device.prove(asked, &offer, &measured, action, b"", &mut self.pair.entropy);
            let in_flight = save(unsaved.unwrap(), &mut self.pair.flash, &mut self.pair.saves).1;
            self.last = Some(Sent { request, in_flight, recipe, body });
        }
    }

    fn obey(&mut self, order: u8, amount: u16) {
        let (now, time) = (self.pair.now(), self.pair.time());
        let policy = self.pair.setup.policy.clone();
        let is_odd = amount & 1 == 1;
        match order {
            0 => self.pair.wait(u64::from(amount)),
            1 => self.prove(Answer::Nothing, b"", is_odd),
            2 => self.prove(Answer::Nothing, b"", false),
            3 => self.prove(Answer::Rekey, b"", is_odd),
            4 => {
                let announced = if amount & 2 == 0 { attributes() } else { updated() };
                self.prove(Answer::Announce, &announced.encode(), false);
            }
            5 => self.measured = if is_odd { updated() } else { attributes() },
            6 => {
                let Some(unsaved) = self.pair.device.confirmation() else { return };
                let mut confirmation = save(unsaved, &mut self.pair.flash, &mut self.pair.saves);
                if is_odd && amount & 2 == 2 {
                    confirmation.tag = Tag([0; 32]);
                }
                let _ = self.both(|record| record.confirm(&confirmation)).is_ok();
            }
            7 => {
                let token = self.pair.device.token(NO_CLOCK, audience("platform.example"), b"");
                let Ok(unsaved) = token else { return };
                let token = save(unsaved, &mut self.pair.flash, &mut self.pair.saves);
                let audience = audience("platform.example");
                let expected = Expected { audience: &audience, platform_nonce: b"" };
                let _ = self.both(|record| record.verify_token(&token, expected, time, &policy)).is_ok();
            }
            8 => {
                let sealed = self.pair.device.seal(NO_CLOCK, b"", b"37.2", &mut self.pair.entropy);
                let Ok(unsaved) = sealed else { return };
                let sealed = save(unsaved, &mut self.pair.flash, &mut self.pair.saves);
                let opened = |record: &mut Record| {
                    record
                        .open(&sealed, b"", now, &policy)
                        .map(|(plain, spend)| (plain.expose().to_vec(), spend))
                };
                let _ = self.both(opened).is_ok();
                let released = |record: &mut Record| -> Result<Spend, _> {
                    record.release_payload_key(sealed.name(), now, &policy).map(|(_, spend)| spend)
                };
                let _ = self.both(released).is_ok();
            }
            9 => {
                let stanza = self.pair.device.wrap_file_key(NO_CLOCK, &Secret::copied_from(&[3; 16]));
                let Ok(unsaved) = stanza else { return };
                let stanza = save(unsaved, &mut self.pair.flash, &mut self.pair.saves);
                let unwrapped = |record: &mut Record| {
                    record.unwrap_file_key(&stanza, now, &policy).map(|(key, spend)| (*key.expose(), spend))
                };
                let _ = self.both(unwrapped).is_ok();
            }
            10 => {
                let before = self.has_changed;
                let has_erased = self.both(|record| record.sweep(time, &policy));
                assert!(before || has_erased == self.has_changed);
            }
            11 => {
                let Some(mut sent) = self.last.take() else { return };
                if is_odd {
                    sent.request.mac = Tag([0; 32]);
                }
                assert!(self.verify(&sent, Answer::Nothing).is_none(), "it was accepted before");
            }
            _ => self.store(),
        }
    }
}

#[derive(Clone, Copy)]
enum Answer {
    Nothing,
    Rekey,
    Announce,
}

/// An accepted proof, told by the reply to it.
struct Shown(Accepted);

impl Debug for Shown {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.reply(0, vec![]).encode().fmt(f)
    }
}

/// The cold part without its format and sequence: what it says.
fn content(record: &Record) -> Vec<u8> {
    record.encode_cold().expose()[9..].to_vec()
}

/// What the device measures after an update.
fn updated() -> Attributes {
    let mut attributes = Attributes::new();
    attributes.insert("firmware".parse().unwrap(), b"sha256:77aa").unwrap();
    attributes.insert("mac".parse().unwrap(), b"02:00:5e:10:00:01").unwrap();
    attributes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_cold_part_counts_as_changed_exactly_when_it_is(
        schedule in prop::sample::select(vec![HOURLY, TIMELESS, ONCE]),
        retention in 0..3_u32,
        orders in prop::collection::vec((0..16_u8, any::<u16>()), 1..60),
    ) {
        let mut twins = Twins::new(schedule);
        twins.pair.setup.policy.data_retention = retention;
        twins.obey(6, 0);
        for (order, amount) in orders {
            twins.obey(order, amount);
        }
    }
}

#[test]
fn a_proof_writes_the_cold_part_where_a_tree_moves() {
    let mut twins = Twins::new(HOURLY);
    twins.obey(6, 0);
    let mut written = Vec::new();
    for epoch in 0..4 {
        for seconds in [0, 299, 1, 1] {
            twins.pair.wait(seconds);
            twins.store();
            let before = twins.proofs;
            twins.prove(Answer::Nothing, b"", false);
            let [hot, cold] = [0, 1].map(|at| twins.proofs[at] - before[at]);
            assert_eq!(hot + cold, 1, "it was accepted");
            written.push((epoch, cold));
        }
        twins.pair.wait(3600 - 301);
    }
    // The first proof of all ends the enrollment. Proofs are kept for an epoch; the other trees move when the grace is over.
    let expected = [[1, 0, 0, 0], [0, 0, 1, 0], [1, 0, 1, 0], [1, 0, 1, 0]];
    let expected: Vec<_> = (0..4).flat_map(|epoch| expected[epoch].map(|cold| (epoch, cold))).collect();
    assert_eq!(written, expected);
}

#[test]
fn what_is_opened_writes_the_hot_part_alone_and_a_token_the_cold_one_once_an_epoch() {
    let mut twins = Twins::new(HOURLY);
    twins.obey(6, 0);
    twins.pair.wait(2 * 3600);
    twins.prove(Answer::Nothing, b"", false);
    for (order, is_hot, is_cold) in
        [(8, true, false), (8, false, false), (9, true, false), (7, true, true), (7, false, false)]
    {
        twins.store();
        let hot = twins.pair.record.encode_hot();
        twins.obey(order, 0);
        assert_eq!(twins.pair.record.is_cold_changed(), is_cold, "order {order}");
        assert_eq!(twins.pair.record.encode_hot() != hot, is_hot, "order {order}");
    }
}

#[test]
fn a_payload_opened_under_a_pending_generation_is_remembered() {
    let mut pair = Pair::proven(Setup::new(ONCE));
    pair.rekey();
    let sealed: Vec<_> = (0..3).map(|n| pair.seal(&[n])).collect();
    assert_eq!(sealed[2].name().generation, 2);
    assert!(pair.open(&sealed[2]).is_ok());
    assert!(pair.record.is_cold_changed());
    pair.store();
    assert!(pair.open(&sealed[1]).is_ok());
    assert!(!pair.record.is_cold_changed(), "no higher epoch");
    assert!(pair.sweep(), "the tree is moved by what was opened");
    assert!(pair.open(&sealed[1]).is_err());
}

#[test]
fn the_hot_part_of_a_replaced_enrollment_does_not_fit_the_new_one() {
    let mut pair = Pair::pending(Setup::new(HOURLY));
    let request = pair.setup.begin(&mut pair.entropy);
    let (previous, terms) = (Some(&pair.record), pair.setup.terms());
    let enrolled = Record::enroll(previous, request.request(), &terms, sign, &mut pair.entropy).unwrap();
    let cold = enrolled.record.unwrap().encode_cold();
    let refused = Record::decode(cold.expose(), &pair.record.encode_hot()).err();
    assert_eq!(refused, Some(Problem::Apart { found: 1, expected: 2 }.of("hot sequence")));
}

#[test]
fn no_secret_is_in_the_hot_part() {
    for stored in records(Suite::P256) {
        let (hot, cold) = stored.split_at(Record::MAX_HOT_LEN);
        // All that is 8 bytes long in both, but for numbers, most of whose bytes are zeros.
        let is_number = |window: &[u8]| window.iter().filter(|byte| **byte == 0).count() >= 3;
        let is_shared = |window: &[u8]| cold.windows(8).any(|part| part == window);
        let found: Vec<_> = hot.windows(8).filter(|window| !is_number(window) && is_shared(window)).collect();
        assert!(found.is_empty(), "{found:02x?}");
    }
}
