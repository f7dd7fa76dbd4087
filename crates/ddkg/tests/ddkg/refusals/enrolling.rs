//! What the authority refuses of an enrollment, and of a device that has not confirmed it.

use crate::common::{Broken, Counter, HOURLY, NO_CLOCK, Pair, Setup, flipped, save, sign, suites};
use wardein_crypto::{Digest, SigningError, Tag};
use wardein_ddkg::authority::{Record, Refusal};
use wardein_ddkg::message::{Confirmation, EnrollRequest};
use wardein_ddkg::{DeviceShare, ShareInvalid, Suite};
use wardein_domain::Purpose;

fn request(suite: Suite) -> (Setup, EnrollRequest) {
    let setup = Setup { suite, ..Setup::new(HOURLY) };
    let request = setup.begin(&mut Counter(0)).request().clone();
    (setup, request)
}

/// A share whose point is off the curve; in suite 2 also one whose encapsulation key fails its modulus check.
pub(super) fn bad_shares(share: &DeviceShare) -> Vec<DeviceShare> {
    let bytes = share.as_bytes();
    let mut bad = vec![flipped(bytes, 8 * 64), vec![0; bytes.len()]];
    if bytes.len() > 65 {
        bad.push([&bytes[..65], &vec![0xff; bytes.len() - 65]].concat());
    }
    bad.iter().map(|bytes| DeviceShare::new(share.suite(), bytes).unwrap()).collect()
}

#[test]
fn a_share_that_is_no_key_is_refused() {
    for suite in suites() {
        let (setup, request) = request(suite);
        for share in bad_shares(&request.share) {
            let request = EnrollRequest { share, ..request.clone() };
            let refused =
                Record::enroll(None, &request, &setup.terms(), sign, &mut Counter(0)).err().unwrap();
            assert_eq!((&refused, refused.code().as_str()), (&Refusal::Share(ShareInvalid), "share-invalid"));
        }
    }
}

#[test]
fn a_fault_of_the_authority_is_its_own() {
    for suite in suites() {
        let (setup, request) = request(suite);
        let broken = |_: &Digest| Err(SigningError);
        let refused = Record::enroll(None, &request, &setup.terms(), broken, &mut Counter(0)).err().unwrap();
        assert_eq!((&refused, refused.code().as_str()), (&Refusal::Fault, "fault"));
        // P-256 draws from the operating system itself; ML-KEM from the port.
        let refused = Record::enroll(None, &request, &setup.terms(), sign, &mut Broken).err();
        assert_eq!(refused, (suite != Suite::P256).then_some(Refusal::Fault));
    }
}

#[test]
fn a_confirmation_of_another_device_or_secret_is_refused() {
    let mut pair = Pair::pending(Setup::new(HOURLY));
    let right = save(pair.device.confirmation().unwrap(), &mut pair.flash, &mut pair.saves);
    let other = Confirmation { device: crate::common::name("pump-0002"), tag: right.tag };
    let wrong = Confirmation { tag: Tag([0; 32]), ..right.clone() };
    for (confirmation, expected, code) in [
        (other, Refusal::WrongDevice, "wrong-device"),
        (wrong, Refusal::ConfirmationWrong, "confirmation-wrong"),
    ] {
        let refused = pair.unchanged(code, |pair| pair.record.confirm(&confirmation)).unwrap_err();
        assert_eq!((refused.code().as_str(), refused), (code, expected));
    }
    pair.record.confirm(&right).unwrap();
    pair.prove();
    assert_eq!(pair.unchanged("a late confirmation", |pair| pair.record.confirm(&right)), Ok(false));
    let wrong = Confirmation { tag: Tag([0; 32]), ..right };
    let refused = pair.unchanged("a late and wrong one", |pair| pair.record.confirm(&wrong)).unwrap_err();
    assert_eq!((&refused, refused.code().as_str()), (&Refusal::AlreadyEnrolled, "already-enrolled"));
}

#[test]
fn before_the_confirmation_nothing_is_accepted() {
    let mut pair = Pair::pending(Setup::new(HOURLY));
    // The device could speak already; the token is of a twin that was confirmed.
    let proof = pair.ask("authenticate", b"");
    let sealed = pair.seal(b"");
    let stanza = pair.device.wrap_file_key(NO_CLOCK, &wardein_crypto::Secret::copied_from(&[0; 16])).unwrap();
    let stanza = save(stanza, &mut pair.flash, &mut pair.saves);
    let token = Pair::proven(Setup::new(HOURLY)).token(b"");
    let (now, policy) = (pair.now(), pair.setup.policy.clone());
    type Act<'a> = Box<dyn FnOnce(&mut Pair) -> Option<Refusal> + 'a>;
    let acts: [(&str, Act<'_>); 7] = [
        ("a proof", Box::new(|pair| pair.receive(&proof).err())),
        ("a token", Box::new(|pair| pair.verify_token(&token, b"").err())),
        ("opening", Box::new(|pair| pair.open(&sealed).err())),
        ("unwrapping", Box::new(|pair| pair.record.unwrap_file_key(&stanza, now, &policy).err())),
        (
            "a payload's key",
            Box::new(|pair| pair.record.release_payload_key(sealed.name(), now, &policy).err()),
        ),
        ("a file's key", Box::new(|pair| pair.record.release_file_key(stanza.name(), now, &policy).err())),
        ("a delegation", Box::new(|pair| pair.record.delegate(Purpose::Data, 0, 1).err())),
    ];
    for (what, act) in acts {
        let refused = pair.unchanged(what, act).unwrap();
        assert_eq!(
            (&refused, refused.code().as_str()),
            (&Refusal::EnrollmentPending, "enrollment-pending"),
            "{what}"
        );
    }
}
