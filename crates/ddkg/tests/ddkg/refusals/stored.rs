//! What either end stored, changed on its disk in a way that a checksum or seal does not tell: by one who can make them.

use super::decoding::{cut, find, length, range, with};
use crate::common::{HOURLY, NO_CLOCK, Pair, Setup, TIMELESS, audience};
use crate::properties::records;
use wardein_crypto::{Digest, SecretBytes};
use wardein_ddkg::authority::{Record, Refusal};
use wardein_ddkg::device::{DeviceError, DeviceState};
use wardein_ddkg::{DecodeError, MAX_NUMBER, Problem, Purposes, Suite};
use wardein_domain::{Purpose, Schedule};

/// A state's body with the checksum that belongs to it.
fn summed(body: &[u8]) -> Vec<u8> {
    [body, &Digest::of(body).0[..16]].concat()
}

fn decode(body: &[u8]) -> Option<DecodeError> {
    match DeviceState::restore(&summed(body), 0).err() {
        Some(DeviceError::Decode(error)) => Some(error),
        None => None,
        other => panic!("{other:?}"),
    }
}

/// Where the fields of a state stand, for this device's name.
const SUITE: usize = 1 + 8 + 4 + 11 + 4 + 9 + 65;
const STANDING: usize = SUITE + 2 + 8 + 24;
const ACKED: usize = STANDING + 1 + 32 + 8;
const PURPOSES: usize = ACKED + 4 + 8;
const PROOF: usize = PURPOSES + 1;

fn body(pair: &Pair) -> Vec<u8> {
    pair.flash[..pair.flash.len() - 16].to_vec()
}

#[test]
fn a_state_cut_anywhere_names_the_field() {
    let body = body(&Pair::proven(Setup::new(HOURLY)));
    let head = ["format version", "writes", "tenant", "device id", "identity key", "suite", "generation"];
    let middle = ["period", "max_uses", "not_before", "standing", "confirmation", "known time"];
    let tree = ["reserved numbers", "taken numbers", "first epoch", "last epoch", "node secret"];
    let acks = ["acknowledged epoch", "acks", "purposes"];
    let expected = [&head[..], &middle, &acks, &tree, &tree, &tree, &tree].concat();
    assert_eq!(cut(&body, decode), expected);
}

#[test]
fn a_state_has_its_bounds() {
    let pair = Pair::proven(Setup::new(HOURLY));
    let body = body(&pair);
    let suites = crate::common::suites().len() as u64;
    for (at, value, error) in [
        (0, vec![2], range(2, 1, 1).of("format version")),
        (SUITE, vec![0, 3], range(3, 1, suites).of("suite")),
        (SUITE + 2, vec![0; 8], range(0, 1, u64::MAX).of("generation")),
        (STANDING, vec![3], range(3, 0, 2).of("standing")),
        (
            ACKED,
            vec![0, 0, 0, 1],
            Problem::NotCanonical("is not where the proof tree starts").of("acknowledged epoch"),
        ),
        (PURPOSES, vec![32], range(32, 0, 31).of("purposes")),
        (PURPOSES, vec![14], Problem::NotCanonical("lacks proof").of("purposes")),
        (PROOF + 16, [1, 0].map(u32::to_be_bytes).concat(), range(1, 0, 0).of("first epoch")),
        // Still one node, but of one epoch.
        (
            PROOF + 16,
            [0, 0].map(u32::to_be_bytes).concat(),
            Problem::NotCanonical("is not a frontier").of("tree"),
        ),
    ] {
        assert_eq!(decode(&with(&body, at, &value)), Some(error));
    }
    assert_eq!(decode(&[&body[..], &[0]].concat()), Some(Problem::Trailing { count: 1 }.of("state")));
    for given in [0, 15, DeviceState::MAX_LEN + 1] {
        let refused = DeviceState::restore(&vec![0; given], 0).err();
        let error = length(given, 16, DeviceState::MAX_LEN).of("state");
        assert_eq!(refused, Some(DeviceError::Decode(error)));
    }
    let refused = DeviceState::restore(&vec![0; DeviceState::MAX_LEN], 0).err();
    assert_eq!(refused, Some(DeviceError::Decode(Problem::Checksum.of("state"))));
}

#[test]
fn no_epoch_takes_more_tokens_than_the_schedule_says() {
    let mut pair = Pair::proven(Setup::new(Schedule { max_uses: 2, ..TIMELESS }));
    // A holder of the state that does not count what it takes.
    let uncounted = |pair: &mut Pair| {
        let forgetful = with(&body(pair), PROOF + 56 + 8, &0_u64.to_be_bytes());
        pair.device = DeviceState::restore(&summed(&forgetful), 0).unwrap();
        let token = pair.token(b"");
        assert_eq!(token.epoch, 0);
        token
    };
    let tokens = [(); 3].map(|()| uncounted(&mut pair));
    for token in &tokens[..2] {
        assert!(!pair.record.is_cold_changed());
        assert!(pair.verify_token(token, b"").is_ok());
        pair.store();
    }
    let refused = pair.unchanged("a third", |pair| pair.verify_token(&tokens[2], b"").err());
    assert_eq!(refused, Some(Refusal::EpochSpent { next: 1 }));
    // Another generation has epochs of its own.
    pair.rekey();
    pair.prove();
    let tokens = [(); 3].map(|()| pair.token(b""));
    assert_eq!(tokens.each_ref().map(|token| token.epoch), [0, 0, 1]);
    for token in &tokens {
        assert!(pair.verify_token(token, b"").is_ok());
    }
}

#[test]
fn numbers_end_before_they_repeat() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let mut spent = body(&pair);
    for tree in 0..4 {
        spent = with(&spent, PROOF + 56 * tree, &MAX_NUMBER.to_be_bytes());
    }
    pair.device = DeviceState::restore(&summed(&spent), 0).unwrap();
    let last = pair.ask("authenticate", b"");
    assert_eq!(last.request.number, MAX_NUMBER);
    assert_eq!((pair.token(b"").number, pair.seal(b"").name().number), (MAX_NUMBER, MAX_NUMBER));
    let (measured, action) = (crate::common::attributes().digests(), "authenticate".parse().unwrap());
    pair.unchanged("an exhausted purpose", |pair| {
        let (asked, offer) = pair.offer();
        let proof = pair.device.prove(asked, &offer, &measured, action, b"", &mut pair.entropy);
        assert_eq!(proof.err(), Some(DeviceError::Exhausted(Purpose::Proof)));
        let token = pair.device.token(NO_CLOCK, audience("p"), b"");
        assert_eq!(token.err(), Some(DeviceError::Exhausted(Purpose::Token)));
        let sealed = pair.device.seal(NO_CLOCK, b"", b"", &mut pair.entropy);
        assert_eq!(sealed.err(), Some(DeviceError::Exhausted(Purpose::Data)));
    });
}

#[test]
fn the_last_number_in_the_hands_of_a_thief_keeps_no_device_from_its_rekey() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let mut thief =
        DeviceState::restore(&summed(&with(&body(&pair), PROOF, &MAX_NUMBER.to_be_bytes())), 0).unwrap();
    pair.wait(10);
    pair.swap(&mut thief);
    let taken = pair.ask("authenticate", b"");
    assert_eq!(taken.request.number, MAX_NUMBER);
    assert!(pair.receive(&taken).is_ok());
    pair.swap(&mut thief);
    let alarm = |pair: &mut Pair| {
        let sent = pair.ask("authenticate", b"");
        matches!(pair.receive(&sent).err(), Some(Refusal::CloneSuspected(_)))
    };
    pair.wait(10);
    assert!(alarm(&mut pair));
    let late = pair.ask_rekey();
    pair.now_ms += 1;
    pair.record.readmit(pair.time(), &pair.setup.policy);
    assert!(!pair.record.is_cold_changed());
    pair.store();
    // What came before counts no more, no matter who sent it.
    for before in [&taken, &late] {
        assert_eq!(
            pair.unchanged("a message of before", |pair| pair.receive(before).err()),
            Some(Refusal::Replayed)
        );
    }
    pair.now_ms += 1;
    let sent = pair.ask_rekey();
    let accepted = pair.receive(&sent).unwrap();
    // The reply is lost, and what the thief has said is repeated.
    pair.answer_rekey(&sent, &accepted);
    assert_eq!(pair.receive(&taken).err(), Some(Refusal::Replayed));
    pair.rekey();
    pair.prove();
}

/// Where the hot part ends in what a test has of a record.
const HOT: usize = Record::MAX_HOT_LEN;

#[test]
fn a_record_cut_anywhere_names_the_field() {
    let stored = records(Suite::P256);
    let mut seen: Vec<&str> = stored
        .iter()
        .map(|bytes| bytes.split_at(HOT))
        .flat_map(|(hot, cold)| cut(cold, |cold| Record::decode(cold, hot).err()))
        .collect();
    seen.sort_unstable();
    seen.dedup();
    let mut expected = [
        &["format version", "cold sequence", "tenant", "device id"][..],
        &["attributes", "attribute name", "attribute digest", "has announced attributes"],
        &[
            "enrollment",
            "request digest",
            "enrollment reply",
            "confirmation secret",
            "enrollment transcript",
            "confirmation digest",
        ],
        &["generation", "suite", "period", "max_uses", "not_before"],
        &["purposes", "first epoch", "last epoch", "node secret", "has pending", "retired generations"],
        &["has proof tree", "has end", "end", "replaced generations"],
        // Of the pending generation.
        &LEDGER,
        &["readmitted", "highest epoch"],
    ]
    .concat();
    expected.sort_unstable();
    assert_eq!(seen, expected);
    let (hot, cold) = stored[0].split_at(HOT);
    let seen = cut(hot, |hot| Record::decode(cold, hot).err());
    let tie = ["format version", "hot sequence", "hot generation"];
    assert_eq!(seen, [&tie[..], &LEDGER, &["readmitted", "highest epoch"]].concat());
}

const LEDGER: [&str; 7] =
    ["current epoch", "uses", "has a highest number", "highest number", "mark", "window", "latest challenge"];

#[test]
fn a_record_has_its_bounds() {
    let pair = Pair::proven(Setup::new(HOURLY));
    let (hot, cold) = (pair.record.encode_hot(), pair.record.encode_cold().expose().to_vec());
    let decode = |cold: &[u8]| Record::decode(cold, &hot).err();
    let attributes = 1 + 8 + 4 + 11 + 4 + 9;
    let announced = attributes + 1 + 4 + 8 + 32 + 4 + 3 + 32;
    let enrollment = announced + 1;
    // Of the confirmation a digest is left.
    let generation = enrollment + 1 + 32;
    let purposes = generation + 8 + 2 + 24;
    let end = cold.len();
    for (at, value, error) in [
        (0, vec![1], range(1, 2, 2).of("format version")),
        (attributes, vec![65], range(65, 0, 64).of("attributes")),
        (announced, vec![2], range(2, 0, 1).of("has announced attributes")),
        (enrollment, vec![4], range(4, 0, 3).of("enrollment")),
        (generation, vec![0; 8], range(0, 1, u64::MAX).of("generation")),
        (purposes, vec![32], range(32, 0, 31).of("purposes")),
        (end - 4, vec![2], range(2, 0, 1).of("has pending")),
        (end - 1, vec![9], range(9, 0, 8).of("replaced generations")),
    ] {
        assert_eq!(decode(&with(&cold, at, &value)), Some(error));
    }
    let none = canonical("counted epochs", "are none, and said to be");
    assert_eq!(decode(&[&cold[..], &[0]].concat()), Some(none));
    let counted = [&cold[..], &[1], &[0; 11], &[1]].concat();
    assert_eq!(decode(&counted), None);
    assert_eq!(decode(&[&counted[..], &[0]].concat()), Some(Problem::Trailing { count: 1 }.of("record")));
    // The proof tree is the first of four; without it the other three are read well, and it is missed.
    let tree = 8 + 32;
    let without = [&cold[..purposes], &[14], &cold[purposes + 1 + tree..]].concat();
    assert_eq!(decode(&without), Some(canonical("trees", "lacks proof")));
    let first = find(&cold, b"firmware");
    let order = canonical("attribute name", "is out of byte order or given twice");
    assert_eq!(decode(&with(&cold, first, b"z")), Some(order));
}

#[test]
fn the_hot_part_of_a_record_has_its_bounds() {
    let setup = Setup { purposes: Purposes::of([Purpose::File]), ..Setup::new(HOURLY) };
    let pair = Pair::proven(setup);
    let (hot, cold) = (pair.record.encode_hot(), pair.record.encode_cold());
    let decode = |hot: &[u8]| Record::decode(cold.expose(), hot).err();
    let ledger = 1 + 8 + 8;
    let window = ledger + 4 + 8 + 1 + 8 + 8;
    let token = window + 16 + 8 + 8;
    let outside = canonical("window", "has bits outside of what it watches");
    let unused = [&[0][..], &hot[ledger + 13..ledger + 29]].concat();
    let treeless = canonical("highest epoch", "is given without a tree");
    for (at, value, error) in [
        (0, vec![1], range(1, 2, 2).of("format version")),
        (ledger + 12, vec![2], range(2, 0, 1).of("has a highest number")),
        (ledger + 12, unused, outside.clone()),
        (window, vec![0x80], outside),
        (token + 3, vec![1], treeless.clone()),
        (token + 7, vec![1], treeless),
    ] {
        assert_eq!(decode(&with(&hot, at, &value)), Some(error));
    }
    assert_eq!(decode(&with(&hot, token + 11, &[1])), None, "files have a tree");
    assert_eq!(decode(&[&hot[..], &[0]].concat()), Some(Problem::Trailing { count: 1 }.of("hot part")));
}

#[test]
fn parts_of_two_states_of_a_record_are_refused() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let parts = |pair: &Pair| (pair.record.encode_hot(), pair.record.encode_cold());
    let before = parts(&pair);
    // In the next epoch the trees move.
    pair.wait(2 * 3600);
    pair.prove();
    let after = parts(&pair);
    let sequence = |hot: &[u8]| u64::from_be_bytes(hot[1..9].try_into().unwrap());
    let (old, new) = (sequence(&before.0), sequence(&after.0));
    let apart = |found, expected, field| Some(Problem::Apart { found, expected }.of(field));
    let decode = |cold: &SecretBytes, hot: &[u8]| Record::decode(cold.expose(), hot).err();
    assert_eq!(decode(&after.1, &before.0), apart(old, new, "hot sequence"));
    assert_eq!(decode(&before.1, &after.0), apart(new, old, "hot sequence"));
    let other = with(&after.0, 9, &2_u64.to_be_bytes());
    assert_eq!(decode(&after.1, &other), apart(2, 1, "hot generation"));
    assert_eq!(decode(&after.1, &after.0), None);
}

fn canonical(field: &'static str, why: &'static str) -> DecodeError {
    Problem::NotCanonical(why).of(field)
}

#[test]
fn a_record_of_retired_generations_has_its_bounds() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    pair.setup.policy.data_retention = 1000;
    for _ in 0..5 {
        pair.rekey();
        pair.prove();
    }
    let (hot, cold) = (pair.record.encode_hot(), pair.record.encode_cold().expose().to_vec());
    let decode = |cold: &[u8]| Record::decode(cold, &hot).err();
    assert_eq!(decode(&cold), None);
    // The oldest is at the end: number, schedule, no proof tree, two trees, an end; then no replaced generation.
    let (tree, until) = (8 + 32, cold.len() - 1 - 9);
    let has_proof = until - 1 - 2 * tree - 1;
    assert_eq!((cold[has_proof], cold[until]), (0, 1));
    let given = canonical("end", "is given where there is none");
    assert_eq!(decode(&with(&cold, until, &[0])), Some(given));
    assert_eq!(decode(&with(&cold, until, &[2])), Some(range(2, 0, 1).of("has end")));
    let cover = [&[1][..], &[0; 4], &[0; 4], &[7; 32]].concat();
    let fifth = [&cold[..has_proof], &cover, &cold[has_proof + 1..]].concat();
    let more = canonical("retired generations", "has more proof trees than are kept");
    assert_eq!(decode(&fifth), Some(more));
}
