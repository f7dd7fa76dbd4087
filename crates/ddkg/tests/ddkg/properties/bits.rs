//! No bit of an enrollment, a proof, a reply or a rekey can change unnoticed, and a refusal changes nothing.

use crate::common::{Counter, HOURLY, Pair, Setup, flipped, save, sign, suites};
use wardein_ddkg::authority::{Record, Refusal};
use wardein_ddkg::device::{DeviceError, DeviceState};
use wardein_ddkg::message::{AckedReply, Confirmation, EnrollReply, EnrollRequest, ProofRequest, RekeyAsk};
use wardein_ddkg::{DecodeError, Purposes};

/// All bits of a message; of the long shares of suite 2, whose bits are alike, every eleventh beyond the first 512 bytes.
pub(super) fn bits(length: usize) -> impl Iterator<Item = usize> {
    (0..8 * length).filter(|bit| *bit < 8 * 512 || bit % 11 == 0)
}

#[test]
fn of_an_enrollment_request() {
    for suite in suites() {
        let (setup, mut entropy) = (Setup { suite, ..Setup::new(HOURLY) }, Counter(0));
        let length = setup.begin(&mut entropy).request().encode().len();
        for bit in bits(length) {
            let enrolling = setup.begin(&mut entropy);
            let Ok(request) = EnrollRequest::decode(&flipped(&enrolling.request().encode(), bit)) else {
                continue;
            };
            match Record::enroll(None, &request, &setup.terms(), sign, &mut entropy) {
                Ok(enrolled) => {
                    let refused = enrolling.finish(&enrolled.reply, Purposes::ENROLLED).err();
                    assert_eq!(refused, Some(DeviceError::SignatureWrong), "bit {bit}");
                }
                Err(refusal) => assert!(matches!(refusal, Refusal::Share(_)), "bit {bit}: {refusal:?}"),
            }
        }
    }
}

#[test]
fn of_an_enrollment_reply() {
    for suite in suites() {
        let (setup, mut entropy) = (Setup { suite, ..Setup::new(HOURLY) }, Counter(0));
        let mut enrolling = setup.begin(&mut entropy);
        let mut reply = setup.answer(enrolling.request(), &mut entropy).1.encode();
        for bit in bits(reply.len() + 2) {
            if bit / 8 >= reply.len() {
                // Signatures differ by a byte or two in length.
                continue;
            }
            let Ok(changed) = EnrollReply::decode(&flipped(&reply, bit)) else { continue };
            let refused = enrolling.finish(&changed, Purposes::ENROLLED).err();
            // The confirmation is behind the signature; all else is under it.
            let behind = bit / 8 >= reply.len() - 32;
            let expected = if behind { DeviceError::ConfirmationWrong } else { DeviceError::SignatureWrong };
            assert_eq!(refused, Some(expected), "bit {bit}");
            enrolling = setup.begin(&mut entropy);
            reply = setup.answer(enrolling.request(), &mut entropy).1.encode();
        }
    }
}

#[test]
fn of_a_confirmation() {
    let mut pair = Pair::pending(Setup::new(HOURLY));
    let confirmation = save(pair.device.confirmation().unwrap(), &mut pair.flash, &mut pair.saves).encode();
    for bit in bits(confirmation.len()) {
        let Ok(changed) = Confirmation::decode(&flipped(&confirmation, bit)) else { continue };
        let refused = pair.unchanged("a changed confirmation", |pair| pair.record.confirm(&changed));
        assert!(matches!(refused, Err(Refusal::WrongDevice | Refusal::ConfirmationWrong)), "bit {bit}");
    }
    assert_eq!(pair.record.confirm(&Confirmation::decode(&confirmation).unwrap()), Ok(true));
}

#[test]
fn of_a_proof_and_its_body() {
    for suite in suites() {
        let mut pair = Pair::new(Setup { suite, ..Setup::new(HOURLY) });
        for sent in [pair.ask("certificate", b"request"), pair.ask_rekey()] {
            let request = sent.request.encode();
            for bit in bits(request.len()) {
                let Ok(changed) = ProofRequest::decode(&flipped(&request, bit)) else { continue };
                if pair.check(&changed, &sent.recipe).is_err() {
                    continue;
                }
                let refused = pair.unchanged("a changed proof", |pair| {
                    pair.receive_as(&changed, &sent.recipe, &sent.body).err()
                });
                assert!(refused.is_some(), "bit {bit}");
            }
            for bit in bits(sent.body.len()) {
                let body = flipped(&sent.body, bit);
                let refused = pair.unchanged("a changed body", |pair| {
                    pair.receive_as(&sent.request, &sent.recipe, &body).err()
                });
                assert_eq!(refused, Some(Refusal::BodyWrong), "bit {bit}");
            }
            assert!(pair.receive(&sent).is_ok());
        }
    }
}

#[test]
fn of_a_reply() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    for bit in bits(1 + 8 + 32 + 4 + 5) {
        let sent = pair.ask("certificate", b"request");
        let reply = pair.receive(&sent).unwrap().reply(pair.now(), b"chain".to_vec());
        assert_refused(&mut pair, sent.in_flight, AckedReply::decode(&flipped(&reply.encode(), bit)), bit);
    }
}

#[test]
fn of_a_rekey_reply() {
    for suite in suites() {
        let mut pair = Pair::proven(Setup { suite, ..Setup::new(HOURLY) });
        let length = 1 + 8 + 32 + 4 + 4 + [65, 65 + 1088][usize::from(suite.number()) - 1] + 4 * 8;
        for bit in bits(length) {
            let sent = pair.ask_rekey();
            let accepted = pair.receive(&sent).unwrap();
            let reply = pair.answer_rekey(&sent, &accepted).encode();
            assert_eq!(reply.len(), length);
            assert_refused(&mut pair, sent.in_flight, AckedReply::decode(&flipped(&reply, bit)), bit);
        }
        pair.prove();
        assert_eq!(pair.device.generation(), 1);
    }
}

fn assert_refused(
    pair: &mut Pair,
    in_flight: wardein_ddkg::device::InFlight,
    reply: Result<AckedReply, DecodeError>,
    bit: usize,
) {
    if let Ok(reply) = reply {
        let refused = pair.unchanged("a changed reply", |pair| pair.acknowledge(in_flight, reply).err());
        assert_eq!(refused, Some(DeviceError::AckWrong), "bit {bit}");
    }
}

#[test]
fn of_a_rekey_body_that_names_another_suite() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let sent = pair.ask_rekey();
    for bit in 0..16 {
        assert!(RekeyAsk::decode(&flipped(&sent.body, bit)).is_err(), "bit {bit}");
    }
}

#[test]
fn of_a_saved_state() {
    for suite in suites() {
        let pair = Pair::proven(Setup { suite, ..Setup::new(HOURLY) });
        for bit in bits(pair.flash.len()) {
            match DeviceState::restore(&flipped(&pair.flash, bit), 0).err() {
                Some(DeviceError::Decode(error)) => {
                    assert_eq!(error.to_string(), "state: the checksum does not match")
                }
                other => panic!("bit {bit}: {other:?}"),
            }
        }
    }
}
