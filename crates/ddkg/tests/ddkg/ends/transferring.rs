//! A device that goes over to another tenant: what binds it, what becomes of both records, and what a copy gives away.

use crate::common::{HOURLY, Pair, Sent, Setup, TIMELESS, attributes, bytes, flipped, save, suites};
use wardein_ddkg::DeviceName;
use wardein_ddkg::authority::{Accepted, Record, Refusal, TransferTerms};
use wardein_ddkg::device::DeviceError;
use wardein_ddkg::message::{AckedReply, RekeyAsk, TransferAnswer};
use wardein_domain::Schedule;

fn to() -> DeviceName {
    DeviceName { tenant: "labor-sued".parse().unwrap(), device: "pump-7".parse().unwrap() }
}

impl Pair {
    fn ask_transfer(&mut self) -> Sent {
        let (asked, offer) = self.offer();
        let (digests, suite) = (attributes().digests(), self.setup.suite);
        let proof = self.device.transfer(asked, &offer, &digests, suite, &mut self.entropy);
        let (request, ask, in_flight) = save(proof.unwrap(), &mut self.flash, &mut self.saves);
        Sent { request, in_flight, recipe: offer.recipe, body: ask.encode() }
    }

    fn answer_transfer(
        &mut self,
        sent: &Sent,
        accepted: &Accepted,
        previous: Option<Record>,
    ) -> Result<(TransferAnswer, Record), Refusal> {
        self.answer_transfer_to(to(), sent, accepted, previous)
    }

    fn answer_transfer_to(
        &mut self,
        device: DeviceName,
        sent: &Sent,
        accepted: &Accepted,
        previous: Option<Record>,
    ) -> Result<(TransferAnswer, Record), Refusal> {
        let ask = RekeyAsk::decode(&sent.body).unwrap();
        let schedule = Schedule { not_before: self.now(), ..self.setup.schedule };
        let terms = TransferTerms { device, previous, least: 1, schedule };
        self.record.transfer(accepted, &ask, terms, &mut self.entropy)
    }

    /// A transfer that arrives, and the reply too; the record that awaits the device.
    fn transfer(&mut self, previous: Option<Record>) -> Record {
        let sent = self.ask_transfer();
        let accepted = self.receive(&sent).unwrap();
        let (answer, arriving) = self.answer_transfer(&sent, &accepted, previous).unwrap();
        let reply = accepted.reply(self.now(), answer.encode());
        self.acknowledge(sent.in_flight, reply).unwrap();
        arriving
    }

    /// The authority looks at the other record from here on.
    fn turn_to(&mut self, record: Record) -> Record {
        let other = std::mem::replace(&mut self.record, record);
        self.store_anew();
        other
    }

    fn store_anew(&mut self) {
        self.record = Record::decode(self.record.encode_cold().expose(), &self.record.encode_hot()).unwrap();
        let cold = self.record.encode_cold().expose().to_vec();
        self.put_on_disk(cold);
    }
}

#[test]
fn a_device_has_its_new_name_and_keys_in_one_write_and_the_former_record_ends() {
    for suite in suites() {
        let mut pair = Pair::proven(Setup { suite, ..Setup::new(HOURLY) });
        let sealed = pair.seal(b"before");
        let former = pair.device.device().clone();
        let saves = pair.saves;
        let arriving = pair.transfer(None);
        assert_eq!(pair.saves, saves + 1, "numbers were reserved before");
        assert_eq!((pair.device.device(), pair.device.generation()), (&to(), 2));
        pair.restart();
        assert_eq!(pair.device.device(), &to());
        assert_eq!((arriving.device(), arriving.active_generation(), arriving.suite()), (&to(), 2, suite));
        let mut left = pair.turn_to(arriving);
        pair.prove();
        let (time, policy) = (pair.time(), pair.setup.policy.clone());
        left.hand_over(&pair.record, time, &policy, &mut pair.entropy).unwrap();
        assert_eq!((left.device(), left.active_generation(), left.last_generation()), (&former, 2, 2));
        // What was sealed before opens by the former record alone.
        let there = pair.turn_to(left);
        assert_eq!(pair.open(&sealed).unwrap(), b"before");
        assert!(Record::decode(pair.record.encode_cold().expose(), &pair.record.encode_hot()).is_ok());
        pair.turn_to(there);
        let sealed = pair.seal(b"after");
        assert_eq!(sealed.name().owner, to());
        assert_eq!(pair.open(&sealed).unwrap(), b"after");
    }
}

/// One bit of the reply, whichever: the device believes nothing of it and is who it was.
#[test]
fn each_bit_of_the_reply_is_bound() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let length = {
        let sent = pair.ask_transfer();
        let accepted = pair.receive(&sent).unwrap();
        let (answer, _) = pair.answer_transfer(&sent, &accepted, None).unwrap();
        accepted.reply(pair.now(), answer.encode()).encode().len()
    };
    for bit in 0..8 * length {
        let sent = pair.ask_transfer();
        let accepted = pair.receive(&sent).unwrap();
        let (answer, _) = pair.answer_transfer(&sent, &accepted, None).unwrap();
        let reply = accepted.reply(pair.now(), answer.encode()).encode();
        let Ok(changed) = AckedReply::decode(&flipped(&reply, bit)) else { continue };
        let refused = pair.unchanged("a changed reply", |pair| pair.acknowledge(sent.in_flight, changed));
        assert!(refused.is_err(), "bit {bit}");
    }
    pair.prove();
}

#[test]
fn only_a_transfer_is_answered_with_one_and_a_rekey_with_a_rekey() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let sent = pair.ask_rekey();
    let accepted = pair.receive(&sent).unwrap();
    assert!(matches!(
        pair.answer_transfer(&sent, &accepted, None),
        Err(Refusal::GenerationUnknown { claimed: 1, active: 1 })
    ));
    let sent = pair.ask_transfer();
    let accepted = pair.receive(&sent).unwrap();
    assert!(accepted.is_transfer() && !accepted.is_rekey());
    let ask = RekeyAsk::decode(&sent.body).unwrap();
    assert!(pair.record.rekey(&accepted, &ask, HOURLY, &mut pair.entropy).is_err());
    // The body of the one is not the body of the other, though its request is.
    let (answer, _) = pair.answer_transfer(&sent, &accepted, None).unwrap();
    let reply = accepted.reply(pair.now(), answer.keys.encode());
    assert!(matches!(pair.acknowledge(sent.in_flight, reply), Err(DeviceError::Decode(_))));
}

#[test]
fn a_generation_that_is_not_above_the_present_one_is_not_taken() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let sent = pair.ask_transfer();
    let accepted = pair.receive(&sent).unwrap();
    let (mut answer, _) = pair.answer_transfer(&sent, &accepted, None).unwrap();
    // RekeyAnswer takes 2 and above: 1 is not even a message.
    pair.rekey();
    pair.prove();
    let sent_later = pair.ask_transfer();
    let accepted_later = pair.receive(&sent_later).unwrap();
    answer.keys.generation = 2;
    let reply = accepted_later.reply(pair.now(), answer.encode());
    let refused = pair.acknowledge(sent_later.in_flight, reply).err();
    assert_eq!(refused, Some(DeviceError::GenerationUnexpected { offered: 2, expected: 3 }));
}

#[test]
fn asked_again_it_is_another_agreement_and_the_former_one_gives_a_copy_away() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let mut copy = pair.copy();
    let first = pair.transfer(None);
    assert_eq!(first.last_generation(), 2);
    // An older copy asks, too.
    pair.wait(10);
    pair.swap(&mut copy);
    let second = loop {
        let sent = pair.ask_transfer();
        if let Ok(accepted) = pair.receive(&sent) {
            let (answer, record) = pair.answer_transfer(&sent, &accepted, Some(first)).unwrap();
            let reply = accepted.reply(pair.now(), answer.encode());
            pair.acknowledge(sent.in_flight, reply).unwrap();
            break record;
        }
    };
    assert_eq!((second.active_generation(), second.last_generation()), (3, 3), "no number is given twice");
    pair.turn_to(second);
    pair.swap(&mut copy);
    let sent = pair.ask("authenticate", b"");
    assert!(matches!(pair.receive(&sent).err(), Some(Refusal::CloneSuspected(_))));
}

/// The honest device answers no challenge under its former name that is later than the one that it answered under its new name.
#[test]
fn who_speaks_under_the_former_name_later_is_a_copy_and_who_was_overtaken_is_none() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let mut copy = pair.copy();
    let late = pair.ask("authenticate", b"");
    pair.wait(5);
    let arriving = pair.transfer(None);
    let mut left = pair.turn_to(arriving);
    pair.wait(10);
    // A challenge from before its first proof there says nothing: it is judged by that one (section 6.2).
    let there = pair.turn_to(left);
    pair.swap(&mut copy);
    let between = pair.ask("authenticate", b"");
    pair.swap(&mut copy);
    left = pair.turn_to(there);
    pair.wait(10);
    pair.prove();
    let (time, policy) = (pair.time(), pair.setup.policy.clone());
    left.hand_over(&pair.record, time, &policy, &mut pair.entropy).unwrap();
    pair.turn_to(left);
    let retired = Some(Refusal::GenerationRetired { claimed: 1, active: 2 });
    assert_eq!(pair.receive(&late).err(), retired);
    assert_eq!(pair.receive(&between).err(), retired);
    pair.wait(10);
    pair.swap(&mut copy);
    let sent = pair.ask("authenticate", b"");
    assert!(matches!(pair.receive(&sent).err(), Some(Refusal::CloneSuspected(_))));
}

#[test]
fn a_device_that_comes_back_gets_a_higher_generation_and_its_former_record_goes_on() {
    let mut pair = Pair::proven(Setup::new(TIMELESS));
    let sealed = pair.seal(b"before");
    let arriving = pair.transfer(None);
    let mut left = pair.turn_to(arriving);
    pair.prove();
    let (time, policy) = (pair.time(), pair.setup.policy.clone());
    left.hand_over(&pair.record, time, &policy, &mut pair.entropy).unwrap();
    let (last, former) = (left.last_generation(), left.device().clone());
    let sent = pair.ask_transfer();
    let accepted = pair.receive(&sent).unwrap();
    let (answer, back) = pair.answer_transfer_to(former.clone(), &sent, &accepted, Some(left)).unwrap();
    assert!(answer.keys.generation > last);
    let reply = accepted.reply(pair.now(), answer.encode());
    pair.acknowledge(sent.in_flight, reply).unwrap();
    pair.turn_to(back);
    pair.prove();
    assert_eq!(pair.device.device(), &former);
    // Without a period, what was sealed there before opens until another generation retires.
    assert_eq!(pair.open(&sealed).unwrap(), b"before");
    let again = pair.seal(b"again");
    assert_eq!(pair.open(&again).unwrap(), b"again");
}

#[test]
fn no_record_takes_more_generations_than_it_may_hold() {
    let mut setup = Setup::new(HOURLY);
    setup.policy.data_retention = 10_000;
    let mut pair = Pair::proven(setup);
    while pair.record.can_rekey() {
        pair.rekey();
        pair.prove();
    }
    let sent = pair.ask_transfer();
    let accepted = pair.receive(&sent).unwrap();
    assert!(matches!(pair.answer_transfer(&sent, &accepted, None), Err(Refusal::RetentionFull { .. })));
    let other = Pair::proven(Setup::new(HOURLY));
    let (time, policy) = (pair.time(), pair.setup.policy.clone());
    let before = bytes(&pair.record);
    let refused = pair.record.hand_over(&other.record, time, &policy, &mut pair.entropy);
    assert!(matches!(refused, Err(Refusal::RetentionFull { .. })));
    assert!(bytes(&pair.record) == before);
}

#[test]
fn a_generation_is_above_all_that_the_authority_may_have_given_and_not_know_of() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let sent = pair.ask_transfer();
    let accepted = pair.receive(&sent).unwrap();
    let ask = RekeyAsk::decode(&sent.body).unwrap();
    let terms = TransferTerms { device: to(), previous: None, least: 40, schedule: HOURLY };
    let (answer, arriving) = pair.record.transfer(&accepted, &ask, terms, &mut pair.entropy).unwrap();
    assert_eq!((answer.keys.generation, arriving.active_generation()), (40, 40));
}

#[test]
fn a_proof_under_keys_that_are_no_longer_in_force_agrees_on_none() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let sent = pair.ask_transfer();
    let accepted = pair.receive(&sent).unwrap();
    pair.rekey();
    pair.prove();
    let refused = pair.answer_transfer(&sent, &accepted, None).err();
    assert_eq!(refused, Some(Refusal::GenerationUnknown { claimed: 1, active: 2 }));
}

#[test]
fn a_record_that_it_left_must_have_room_for_what_it_comes_back_with() {
    let mut setup = Setup::new(HOURLY);
    setup.policy.data_retention = 10_000;
    let mut full = Pair::proven(setup);
    while full.record.can_rekey() {
        full.rekey();
        full.prove();
    }
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let sent = pair.ask_transfer();
    let accepted = pair.receive(&sent).unwrap();
    let refused = pair.answer_transfer(&sent, &accepted, Some(full.record)).err();
    assert!(matches!(refused, Some(Refusal::RetentionFull { .. })), "{refused:?}");
}

/// It answered no challenge there that is later than that of its request to come back.
#[test]
fn a_message_of_an_earlier_stay_is_no_sign_of_a_copy_before_the_device_is_back() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let home = pair.device.device().clone();
    let late = pair.ask("authenticate", b"");
    pair.wait(5);
    let arriving = pair.transfer(None);
    let mut left = pair.turn_to(arriving);
    pair.prove();
    let (time, policy) = (pair.time(), pair.setup.policy.clone());
    left.hand_over(&pair.record, time, &policy, &mut pair.entropy).unwrap();
    pair.wait(5);
    let sent = pair.ask_transfer();
    let accepted = pair.receive(&sent).unwrap();
    let (_, back) = pair.answer_transfer_to(home, &sent, &accepted, Some(left)).unwrap();
    let active = back.active_generation();
    pair.turn_to(back);
    assert_eq!(pair.receive(&late).err(), Some(Refusal::GenerationRetired { claimed: 1, active }));
}
