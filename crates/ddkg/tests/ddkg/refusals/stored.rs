//! What either end stored, changed on its disk in a way that a checksum or seal does not tell: by one who can make them.

use super::decoding::{cut, find, length, range, with};
use crate::common::{HOURLY, NO_CLOCK, Pair, Setup, audience};
use crate::properties::records;
use wardein_crypto::Digest;
use wardein_ddkg::authority::Record;
use wardein_ddkg::device::{DeviceError, DeviceState};
use wardein_ddkg::{DecodeError, Problem, Suite};
use wardein_domain::Purpose;

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
        (PURPOSES, vec![16], range(16, 0, 15).of("purposes")),
        (PURPOSES, vec![14], Problem::NotCanonical("lacks proof").of("purposes")),
        (PROOF + 16, [1, 0].map(u32::to_be_bytes).concat(), range(1, 0, 0).of("first epoch")),
        // Still one node, but of one epoch.
        (
            PROOF + 16,
            [0, 0].map(u32::to_be_bytes).concat(),
            Problem::NotCanonical("is no frontier").of("tree"),
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
fn numbers_end_before_they_repeat() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let mut spent = body(&pair);
    for tree in 0..4 {
        spent = with(&spent, PROOF + 56 * tree, &(u64::MAX - 1).to_be_bytes());
    }
    pair.device = DeviceState::restore(&summed(&spent), 0).unwrap();
    let last = pair.ask("authenticate", b"");
    assert_eq!(last.request.number, u64::MAX - 1);
    assert_eq!((pair.token(b"").number, pair.seal(b"").name().number), (u64::MAX - 1, u64::MAX - 1));
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
fn a_record_cut_anywhere_names_the_field() {
    let mut seen: Vec<&str> = records(Suite::P256)
        .iter()
        .flat_map(|bytes| cut(bytes, |bytes| Record::decode(bytes).err()))
        .collect();
    seen.sort_unstable();
    seen.dedup();
    let mut expected = [
        ["format version", "tenant", "device id", "attributes", "attribute name", "attribute digest"],
        [
            "enrollment",
            "request digest",
            "enrollment reply",
            "confirmation secret",
            "enrollment transcript",
            "generation",
        ],
        ["suite", "period", "max_uses", "not_before", "current epoch", "uses"],
        ["has a highest number", "highest number", "mark", "window", "latest challenge", "purposes"],
        ["highest epoch", "first epoch", "last epoch", "node secret", "has pending", "retired generations"],
        ["has proof tree", "has end", "end", "replaced generations", "has announced attributes", ""],
    ]
    .concat();
    expected.retain(|field| !field.is_empty());
    expected.sort_unstable();
    assert_eq!(seen, expected);
}

#[test]
fn a_record_has_its_bounds() {
    let pair = Pair::proven(Setup::new(HOURLY));
    let bytes = pair.record.encode().expose().to_vec();
    let attributes = 1 + 4 + 11 + 4 + 9;
    let announced = attributes + 1 + 4 + 8 + 32 + 4 + 3 + 32;
    let enrollment = announced + 1;
    let generation = enrollment + 1;
    let ledger = generation + 8 + 2 + 24;
    let window = ledger + 4 + 8 + 1 + 8 + 8;
    let purposes = window + 16 + 8;
    let end = bytes.len();
    let canonical = |field, why| Problem::NotCanonical(why).of(field);
    let outside = canonical("window", "has bits outside of what it watches");
    let unused = [&[0][..], &bytes[ledger + 13..ledger + 29]].concat();
    for (at, value, error) in [
        (0, vec![2], range(2, 1, 1).of("format version")),
        (attributes, vec![65], range(65, 0, 64).of("attributes")),
        (announced, vec![2], range(2, 0, 1).of("has announced attributes")),
        (enrollment, vec![3], range(3, 0, 2).of("enrollment")),
        (generation, vec![0; 8], range(0, 1, u64::MAX).of("generation")),
        (ledger + 12, vec![2], range(2, 0, 1).of("has a highest number")),
        (ledger + 12, unused, outside.clone()),
        (window, vec![0x80], outside),
        (purposes, vec![16], range(16, 0, 15).of("purposes")),
        (end - 4, vec![2], range(2, 0, 1).of("has pending")),
        (end - 1, vec![9], range(9, 0, 8).of("replaced generations")),
    ] {
        assert_eq!(Record::decode(&with(&bytes, at, &value)).err(), Some(error));
    }
    assert_eq!(
        Record::decode(&[&bytes[..], &[0]].concat()).err(),
        Some(Problem::Trailing { count: 1 }.of("record"))
    );
    // The proof tree is the first of four; without it the other three are read well, and it is missed.
    let tree = 4 + 8 + 32;
    let without = [&bytes[..purposes], &[14], &bytes[purposes + 1 + tree..]].concat();
    assert_eq!(Record::decode(&without).err(), Some(canonical("trees", "lacks proof")));
    let first = find(&bytes, b"firmware");
    let swapped = with(&bytes, first, b"z");
    let order = canonical("attribute name", "is out of byte order or given twice");
    assert_eq!(Record::decode(&swapped).err(), Some(order));
}

#[test]
fn a_record_of_retired_generations_has_its_bounds() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    pair.setup.policy.data_retention = 1000;
    for _ in 0..5 {
        pair.rekey();
        pair.prove();
    }
    let bytes = pair.record.encode().expose().to_vec();
    assert!(Record::decode(&bytes).is_ok());
    // The oldest stands last: number, schedule, no proof tree, two trees, an end; then no replaced generation.
    let (tree, until) = (4 + 8 + 32, bytes.len() - 1 - 9);
    let has_proof = until - 1 - 2 * tree - 1;
    assert_eq!((bytes[has_proof], bytes[until]), (0, 1));
    let endless = with(&bytes, until, &[0]);
    let given = Problem::NotCanonical("is given where there is none").of("end");
    assert_eq!(Record::decode(&endless).err(), Some(given));
    assert_eq!(Record::decode(&with(&bytes, until, &[2])).err(), Some(range(2, 0, 1).of("has end")));
    let cover = [&[1][..], &[0; 4], &[0; 4], &[7; 32]].concat();
    let fifth = [&bytes[..has_proof], &cover, &bytes[has_proof + 1..]].concat();
    let more = Problem::NotCanonical("has more proof trees than are kept").of("retired generations");
    assert_eq!(Record::decode(&fifth).err(), Some(more));
}
