//! Proofs, acks, epochs and numbers; what a crash skips and how often flash is written.

use crate::common::{HOURLY, ONCE, Pair, Setup, TIMELESS, suites};
use wardein_ddkg::authority::Refusal;
use wardein_domain::Schedule;

#[test]
fn a_lost_request_and_a_lost_reply_cost_a_number_each() {
    for suite in suites() {
        let mut pair = Pair::new(Setup { suite, ..Setup::new(HOURLY) });
        pair.ask("authenticate", b"");
        let unanswered = pair.ask("authenticate", b"");
        assert!(pair.receive(&unanswered).is_ok());
        assert_eq!(pair.prove(), (0, 2));
        assert_eq!(pair.receive(&unanswered).err(), Some(Refusal::Replayed));
    }
}

#[test]
fn requests_may_overtake_each_other_and_each_counts_once() {
    let mut pair = Pair::new(Setup::new(HOURLY));
    let sent: Vec<_> = (0..5).map(|_| pair.ask("authenticate", b"")).collect();
    for order in [4, 0, 2, 1, 3] {
        assert!(pair.receive(&sent[order]).is_ok(), "number {order}");
    }
    for late in &sent {
        assert_eq!(
            pair.unchanged("a repeated proof", |pair| pair.receive(late).err()),
            Some(Refusal::Replayed)
        );
    }
    assert_eq!(pair.prove().1, 5);
}

#[test]
fn an_ack_that_comes_late_moves_nothing_back() {
    let mut pair = Pair::new(Setup::new(HOURLY));
    let early = pair.ask("authenticate", b"");
    let reply = pair.receive(&early).unwrap().reply(pair.now(), vec![]);
    pair.wait(2 * 3600);
    assert_eq!(pair.prove().0, 2);
    assert!(pair.acknowledge(early.in_flight, reply).is_ok());
    assert_eq!(pair.device.proof_epoch(), 2);
    assert_eq!(pair.prove().0, 2);
}

#[test]
fn the_epoch_follows_the_time_that_the_challenge_tells_and_only_an_ack_moves_it() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    pair.wait(50 * 3600);
    let sent = pair.ask("authenticate", b"");
    assert_eq!((sent.request.epoch, pair.device.proof_epoch()), (50, 0));
    let reply = pair.receive(&sent).unwrap().reply(pair.now(), b"body".to_vec());
    let acknowledged = pair.acknowledge(sent.in_flight, reply).unwrap();
    assert_eq!((acknowledged.server_time, acknowledged.body.as_slice()), (pair.now(), &b"body"[..]));
    assert_eq!((pair.device.proof_epoch(), pair.record.proof_epoch()), (50, 50));
}

#[test]
fn a_false_server_time_costs_a_refused_request_and_strands_nobody() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let (asked, mut offer) = pair.offer();
    offer.server_time = u64::MAX;
    let measured = crate::common::attributes().digests();
    let action = "authenticate".parse().unwrap();
    let unsaved = pair.device.prove(asked, &offer, &measured, action, b"", &mut pair.entropy).unwrap();
    let (request, _) = unsaved.save(|_| Ok::<(), ()>(())).unwrap();
    let refusal =
        pair.unchanged("a far epoch", |pair| pair.receive_as(&request, &offer.recipe, b"").err()).unwrap();
    assert_eq!(refusal, Refusal::EpochAhead { highest: 64 });
    pair.device.refused(&request, &refusal);
    assert_eq!(pair.prove().0, 0);
}

#[test]
fn flash_is_written_once_for_a_block_of_numbers() {
    let mut pair = Pair::new(Setup::new(HOURLY));
    let before = pair.saves;
    for number in 0..64 {
        assert_eq!(pair.prove(), (0, number));
    }
    assert_eq!(pair.saves - before, 2, "the block, and that the first ack ended the confirmation");
    pair.prove();
    assert_eq!(pair.saves - before, 3, "the next block");
    for _ in 0..64 {
        pair.seal(b"value");
    }
    assert_eq!(pair.saves - before, 4, "each purpose has blocks of its own");
    assert_eq!(pair.device.writes() as usize, pair.saves);
}

#[test]
fn a_crash_after_saving_and_before_sending_skips_numbers_and_repeats_none() {
    let mut pair = Pair::new(Setup::new(HOURLY));
    for next in [64, 192, 320] {
        pair.ask("authenticate", b"");
        pair.restart();
        assert_eq!(pair.prove(), (0, next));
        pair.restart();
    }
}

#[test]
fn a_failed_save_gives_no_message_and_the_next_one_saves_first() {
    let mut pair = Pair::new(Setup::new(HOURLY));
    let (asked, offer) = pair.offer();
    let (measured, action) = (crate::common::attributes().digests(), "authenticate".parse().unwrap());
    let unsaved = pair.device.prove(asked, &offer, &measured, action, b"", &mut pair.entropy).unwrap();
    assert!(unsaved.must_write());
    assert_eq!(unsaved.save(|_| Err("flash is worn out")).err(), Some("flash is worn out"));
    let before = pair.saves;
    assert_eq!(pair.prove(), (0, 1));
    assert_eq!(pair.saves, before + 2);
}

#[test]
fn every_proof_has_its_epoch_where_an_epoch_has_one_use() {
    for schedule in [ONCE, Schedule { max_uses: 1, ..HOURLY }] {
        let mut pair = Pair::new(Setup::new(schedule));
        for epoch in 0..70 {
            assert_eq!(pair.prove(), (epoch, u64::from(epoch)));
        }
        assert_eq!((pair.token(b"").epoch, pair.token(b"").epoch), (0, 1));
        assert_eq!(pair.seal(b"").name().epoch, 0);
        assert_eq!(pair.seal(b"").name().epoch, 1);
    }
}

#[test]
fn uses_that_a_crash_forgot_are_told_by_the_authority() {
    let mut pair = Pair::new(Setup::new(Schedule { max_uses: 3, ..TIMELESS }));
    (0..3).for_each(|_| assert_eq!(pair.prove().0, 0));
    // The acks in between were not worth a write.
    pair.restart();
    let sent = pair.ask("authenticate", b"");
    assert_eq!(sent.request.epoch, 0);
    let refusal = pair.unchanged("a full epoch", |pair| pair.receive(&sent).err()).unwrap();
    assert_eq!(refusal, Refusal::EpochSpent { next: 1 });
    pair.device.refused(&sent.request, &refusal);
    assert_eq!(pair.prove().0, 1);
}

#[test]
fn without_a_period_years_end_no_epoch() {
    let mut pair = Pair::proven(Setup::new(TIMELESS));
    pair.wait(10 * 365 * 86_400);
    assert_eq!(pair.prove().0, 0);
    assert!(!pair.sweep());
}
