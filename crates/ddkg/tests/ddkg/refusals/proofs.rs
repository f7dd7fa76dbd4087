//! What the authority refuses of a proof and of a rekey, at the edge of each bound.

use super::enrolling::bad_shares;
use crate::common::{HOURLY, Pair, START, Sent, Setup, attributes, name, suites};
use wardein_ddkg::authority::Refusal;
use wardein_ddkg::message::{ProofRequest, RekeyAsk};
use wardein_ddkg::{Attributes, AuthorityTime, NotMeasured, Recipe, ShareInvalid};
use wardein_domain::Schedule;

/// The refusal of a proof, which leaves the record alone.
fn refused(pair: &mut Pair, sent: &Sent) -> Refusal {
    pair.unchanged("a refused proof", |pair| pair.receive(sent).err()).unwrap()
}

#[test]
fn each_field_that_is_wrong_has_its_refusal() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let sent = pair.ask("certificate", b"request");
    let good = sent.request.clone();
    let cases: [(ProofRequest, &[u8], Refusal, &str); 5] = [
        (
            ProofRequest { device: name("pump-0002"), ..good.clone() },
            b"request",
            Refusal::WrongDevice,
            "wrong-device",
        ),
        (good.clone(), b"Request", Refusal::BodyWrong, "body-wrong"),
        (
            ProofRequest { generation: 2, ..good.clone() },
            b"request",
            Refusal::GenerationUnknown { claimed: 2, active: 1 },
            "generation-unknown",
        ),
        (
            ProofRequest { number: good.number + 1, ..good.clone() },
            b"request",
            Refusal::MacWrong,
            "mac-wrong",
        ),
        (
            ProofRequest { epoch: 65, ..good.clone() },
            b"request",
            Refusal::EpochAhead { highest: 64 },
            "epoch-ahead",
        ),
    ];
    // The challenge is checked for the record's device whatever the request says of itself.
    let checked = pair.check(&good, &sent.recipe).unwrap();
    let (time, policy) = (pair.time(), pair.setup.policy.clone());
    for (request, body, expected, code) in cases {
        let refused = pair.unchanged(code, |pair| {
            pair.record.verify(&request, checked, &sent.recipe, body, time, &policy).err().unwrap()
        });
        assert_eq!((refused.code().as_str(), refused), (code, expected));
    }
    assert!(pair.receive(&sent).is_ok());
    let refused = refused(&mut pair, &sent);
    assert_eq!((&refused, refused.code().as_str()), (&Refusal::Replayed, "replayed"));
}

#[test]
fn attributes_that_are_not_on_record_are_refused() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let mut other = Attributes::new();
    other.insert("firmware".parse().unwrap(), b"sha256:0000").unwrap();
    other.insert("mac".parse().unwrap(), b"02:00:5e:10:00:01").unwrap();
    let sent = pair.ask_showing(&other, "authenticate", b"");
    assert_eq!(refused(&mut pair, &sent), Refusal::MacWrong);
    let sent = pair.ask("authenticate", b"");
    let checked = pair.check(&sent.request, &sent.recipe).unwrap();
    let asked: wardein_domain::AttributeName = "serial".parse().unwrap();
    let recipe = Recipe::new(vec![asked.clone()]).unwrap();
    let (time, policy) = (pair.time(), pair.setup.policy.clone());
    let refused = pair.unchanged("an unknown attribute", |pair| {
        pair.record.verify(&sent.request, checked, &recipe, b"", time, &policy).err().unwrap()
    });
    assert_eq!(
        (refused.code().as_str(), refused),
        ("attribute-unknown", Refusal::NotMeasured(NotMeasured(asked)))
    );
    assert!(pair.receive(&sent).is_ok());
}

#[test]
fn an_epoch_is_accepted_from_its_due_less_grace_to_its_lead() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let sent = pair.ask("authenticate", b"");
    // Within the grace after the end of epoch 0; the challenge is checked when it came.
    let checked = pair.check(&sent.request, &sent.recipe).unwrap();
    let policy = pair.setup.policy.clone();
    let verify = |pair: &mut Pair, now| {
        pair.record.verify(&sent.request, checked, &sent.recipe, b"", AuthorityTime::sure(now), &policy).err()
    };
    let over = START + 3600 + 300;
    let refused = pair.unchanged("an epoch that is over", |pair| verify(pair, over)).unwrap();
    assert_eq!((&refused, refused.code().as_str()), (&Refusal::EpochSpent { next: 1 }, "epoch-spent"));
    assert_eq!(verify(&mut pair, over - 1), None);

    // 64 ahead of what is due within the grace, and one more.
    let mut ahead = |server_time: u64| {
        let (asked, mut offer) = pair.offer();
        offer.server_time = server_time;
        let (measured, action) = (attributes().digests(), "authenticate".parse().unwrap());
        let proof = pair.device.prove(asked, &offer, &measured, action, b"", &mut pair.entropy).unwrap();
        let (request, _) = proof.save(|_| Ok::<(), ()>(())).unwrap();
        pair.receive_as(&request, &offer.recipe, b"").err()
    };
    assert_eq!(ahead(START + 65 * 3600), Some(Refusal::EpochAhead { highest: 64 }));
    assert_eq!(ahead(START + 64 * 3600), None);
    assert_eq!(ahead(START + 129 * 3600), Some(Refusal::EpochAhead { highest: 128 }));
}

#[test]
fn the_grace_and_the_lead_count_from_what_is_due() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    pair.wait(3600 - 300);
    let ahead = |pair: &mut Pair, epoch: u64| {
        let (asked, mut offer) = pair.offer();
        offer.server_time = START + epoch * 3600;
        let (measured, action) = (attributes().digests(), "authenticate".parse().unwrap());
        let proof = pair.device.prove(asked, &offer, &measured, action, b"", &mut pair.entropy).unwrap();
        let (request, _) = proof.save(|_| Ok::<(), ()>(())).unwrap();
        pair.unchanged("too far", |pair| pair.receive_as(&request, &offer.recipe, b"").err())
    };
    assert_eq!(ahead(&mut pair, 66), Some(Refusal::EpochAhead { highest: 65 }));
    pair.now_ms -= 1000;
    assert_eq!(ahead(&mut pair, 66), Some(Refusal::EpochAhead { highest: 64 }));
}

#[test]
fn the_window_is_127_numbers_deep_and_never_takes_a_rekey() {
    let mut pair = Pair::new(Setup::new(HOURLY));
    let sent: Vec<_> = (0..128).map(|_| pair.ask("authenticate", b"")).collect();
    let rekey = pair.ask_rekey();
    let above = pair.ask("authenticate", b"");
    assert!(pair.receive(&above).is_ok());
    // 129 was accepted: 128 is a rekey, 2 is the lowest that is watched, 1 and 0 are behind the window.
    assert_eq!(refused(&mut pair, &rekey), Refusal::Replayed);
    assert_eq!(refused(&mut pair, &sent[1]), Refusal::Replayed);
    assert!(pair.receive(&sent[2]).is_ok());
    assert_eq!(refused(&mut pair, &sent[2]), Refusal::Replayed);
    assert!(pair.receive(&sent[127]).is_ok());
}

#[test]
fn a_full_epoch_is_spent() {
    let mut pair = Pair::new(Setup::new(Schedule { max_uses: 2, ..HOURLY }));
    let sent: Vec<_> = (0..3).map(|_| pair.ask("authenticate", b"")).collect();
    assert!(pair.receive(&sent[0]).is_ok() && pair.receive(&sent[1]).is_ok());
    assert_eq!(refused(&mut pair, &sent[2]), Refusal::EpochSpent { next: 1 });
}

#[test]
fn a_rekey_is_answered_for_a_proof_of_a_rekey_in_the_active_generation_only() {
    for suite in suites() {
        let mut pair = Pair::proven(Setup { suite, ..Setup::new(HOURLY) });
        let other = pair.ask("authenticate", b"");
        let not_rekey = pair.receive(&other).unwrap();
        let sent = pair.ask_rekey();
        let accepted = pair.receive(&sent).unwrap();
        let ask = RekeyAsk::decode(&sent.body).unwrap();
        let rekey = |pair: &mut Pair, accepted: &_, ask: &RekeyAsk| {
            let schedule = pair.setup.schedule;
            pair.unchanged("a refused rekey", |pair| {
                pair.record.rekey(accepted, ask, schedule, &mut pair.entropy).err()
            })
        };
        let unknown = Some(Refusal::GenerationUnknown { claimed: 1, active: 1 });
        assert_eq!(rekey(&mut pair, &not_rekey, &ask), unknown);
        for share in bad_shares(&ask.share) {
            let refused = rekey(&mut pair, &accepted, &RekeyAsk { share, purposes: None });
            assert_eq!(refused, Some(Refusal::Share(ShareInvalid)));
        }
        pair.rekey();
        pair.prove();
        let unknown = Some(Refusal::GenerationUnknown { claimed: 1, active: 2 });
        assert_eq!(rekey(&mut pair, &accepted, &ask), unknown);
    }
}
