//! A device's life, and the order that a caller must keep.

use crate::authority::{Authority, START};
use crate::common::{Dev, attribute, chars, suites};
use std::ffi::{c_int, c_void};
use wardein::Status::*;
use wardein::*;

#[test]
fn a_device_lives_in_either_suite() {
    for &suite in suites() {
        let mut authority = Authority::new();
        let mut dev = Dev::enrolled(&mut authority, suite);
        assert_eq!(dev.flash.writes, 1, "the confirmation waited for the state");
        dev.authenticate(&mut authority);
        authority.now += 24 * 3600;
        dev.authenticate(&mut authority);
        assert_eq!((dev.get(WARDEIN_KNOWN_TIME), dev.get(WARDEIN_EPOCH)), (Ok(START + 86_400), Ok(24)));

        assert_eq!(dev.ask(), WARDEIN_OK);
        let (proof, body) = dev.rekey(&authority.offer(), suite).unwrap();
        let reply = authority.prove(&proof, &body).unwrap();
        assert!(!dev.acknowledge(&reply).unwrap().is_empty());
        assert_eq!((dev.get(WARDEIN_GENERATION), dev.get(WARDEIN_SUITE)), (Ok(2), Ok(suite.into())));
        assert_eq!(dev.get(WARDEIN_AGREED_AT), Ok(authority.now));
        assert_eq!(dev.token(0, "platform.example", b"nonce"), Err(WARDEIN_ERR_PROVE_FIRST));
        dev.authenticate(&mut authority);

        let token = dev.token(0, "platform.example", b"nonce").unwrap();
        assert_eq!(authority.verify_token(&token, "platform.example", b"nonce"), Ok(()));
        assert_eq!(authority.verify_token(&token, "platform", b"nonce").unwrap_err().code, "audience-wrong");
        for plaintext in [&b""[..], b"37.2", &[9; 100_000]] {
            let sealed = dev.seal(b"ward 3", plaintext).unwrap();
            assert_eq!(dev.open(b"ward 3", &sealed).unwrap(), plaintext);
            assert_eq!(dev.open(b"ward 4", &sealed), Err(WARDEIN_ERR_OPEN));
            assert_eq!(authority.open(&sealed, b"ward 3").unwrap(), plaintext);
        }

        let writes = dev.get(WARDEIN_WRITES).unwrap();
        assert_eq!(writes, dev.flash.writes as u64);
        let state = dev.flash.state.clone();
        drop(dev);
        assert_eq!(Dev::restored(&state, writes + 1).err(), Some(WARDEIN_ERR_ROLLED_BACK));
        Dev::restored(&state, writes).unwrap().authenticate(&mut authority);
    }
}

#[test]
fn no_message_leaves_before_its_state_is_saved() {
    let mut authority = Authority::new();
    let mut dev = Dev::new();
    let request = dev.begin(&authority.identity_key(), 1).unwrap();
    let reply = authority.enroll(&request).unwrap();

    dev.flash.is_broken = true;
    assert_eq!(dev.finish(&reply, 15), Err(WARDEIN_ERR_SAVE));
    assert_eq!(dev.error(), "the state was not saved: the callback returned 5");
    assert_eq!(dev.confirm(), Err(WARDEIN_ERR_SAVE), "it is tried again each time");
    assert_eq!(dev.ask(), WARDEIN_OK);
    dev.flash.is_broken = false;
    let confirmation = dev.confirm().unwrap();
    assert_eq!(dev.flash.writes, 1);
    authority.confirm(&confirmation).unwrap();

    dev.flash.is_broken = true;
    for call in [
        (|dev, offer| dev.prove(offer, "authenticate", b"").err()) as fn(&mut Dev, &[u8]) -> Option<Status>,
        |dev, offer| dev.rekey(offer, 1).err(),
        |dev, _| dev.seal(b"", b"x").err(),
    ] {
        assert_eq!(dev.ask(), WARDEIN_OK);
        assert_eq!(call(&mut dev, &authority.offer()), Some(WARDEIN_ERR_SAVE));
    }
    dev.flash.is_broken = false;
    dev.authenticate(&mut authority);
    dev.flash.is_broken = true;
    assert_eq!(dev.token(0, "a", b""), Err(WARDEIN_ERR_SAVE));
    // A rekey whose state cannot be saved is believed, and nothing leaves under the new keys before they are saved.
    dev.flash.is_broken = false;
    assert_eq!(dev.ask(), WARDEIN_OK);
    let (proof, body) = dev.rekey(&authority.offer(), 1).unwrap();
    let reply = authority.prove(&proof, &body).unwrap();
    dev.flash.is_broken = true;
    assert_eq!(dev.acknowledge(&reply), Err(WARDEIN_ERR_SAVE));
    assert_eq!(dev.ask(), WARDEIN_OK);
    assert_eq!(dev.prove(&authority.offer(), "authenticate", b""), Err(WARDEIN_ERR_SAVE));
    let before = dev.flash.writes;
    dev.flash.is_broken = false;
    dev.authenticate(&mut authority);
    assert!(dev.flash.writes > before);
    Dev::restored(&dev.flash.state, 0).unwrap();
}

#[test]
fn a_call_out_of_order_is_refused_and_does_nothing() {
    let mut authority = Authority::new();
    let mut dev = Dev::new();
    let offer = {
        Dev::enrolled(&mut authority, 1);
        authority.offer()
    };
    let out_of_order = Err(WARDEIN_ERR_ORDER);
    // Of one that holds nothing yet.
    assert_eq!(dev.confirm(), out_of_order);
    assert_eq!(dev.ask(), WARDEIN_ERR_ORDER);
    assert_eq!(dev.prove(&offer, "authenticate", b""), out_of_order);
    assert_eq!(dev.rekey(&offer, 1).err(), Some(WARDEIN_ERR_ORDER));
    assert_eq!(dev.token(0, "a", b""), out_of_order);
    assert_eq!(dev.seal(b"", b""), out_of_order);
    assert_eq!(dev.get(WARDEIN_GENERATION), Err(WARDEIN_ERR_ORDER));
    let mut authority = Authority::new();
    let request = dev.begin(&authority.identity_key(), 1).unwrap();
    let first = authority.enroll(&request).unwrap();
    // Begun again: the reply to the former request is not believed, and the enrollment starts over.
    dev.begin(&authority.identity_key(), 1).unwrap();
    assert_eq!(dev.finish(&first, 15), Err(WARDEIN_ERR_UNAUTHENTIC));
    assert_eq!(dev.finish(&first, 15), out_of_order);
    let request = dev.begin(&authority.identity_key(), 1).unwrap();
    let reply = authority.enroll(&request).unwrap();
    let confirmation = dev.finish(&reply, 15).unwrap();
    authority.confirm(&confirmation).unwrap();
    assert_eq!(dev.finish(&reply, 15), out_of_order);
    assert_eq!(dev.begin(&authority.identity_key(), 1), out_of_order);
    let state = dev.flash.state.clone();
    let restored = unsafe { wardein_device_restore(dev.handle, state.as_ptr(), state.len(), 0) };
    assert_eq!(restored, WARDEIN_ERR_ORDER);

    // A challenge that nobody asked for, one that is answered twice, a reply to nothing.
    let offer = authority.offer();
    assert_eq!(dev.prove(&offer, "authenticate", b""), out_of_order);
    assert_eq!(dev.ask(), WARDEIN_OK);
    let proof = dev.prove(&offer, "authenticate", b"").unwrap();
    assert_eq!(dev.prove(&offer, "authenticate", b""), out_of_order);
    let reply = authority.prove(&proof, b"").unwrap();
    assert_eq!(dev.acknowledge(&reply), Ok(vec![]));
    assert_eq!(dev.acknowledge(&reply), out_of_order);
    assert_eq!(dev.confirm(), out_of_order, "a proof was acknowledged");
}

#[test]
fn a_reply_that_is_not_believed_changes_nothing() {
    let mut authority = Authority::new();
    let mut dev = Dev::proven(&mut authority);
    assert_eq!(dev.ask(), WARDEIN_OK);
    let (proof, body) = dev.rekey(&authority.offer(), 1).unwrap();
    let mut reply = authority.prove(&proof, &body).unwrap();
    *reply.last_mut().unwrap() ^= 1;
    assert_eq!(dev.acknowledge(&reply), Err(WARDEIN_ERR_UNAUTHENTIC));
    assert_eq!(dev.get(WARDEIN_GENERATION), Ok(1));
    dev.authenticate(&mut authority);
}

#[test]
fn an_attribute_that_is_asked_for_must_be_measured() {
    let mut authority = Authority::new();
    let mut dev = Dev::proven(&mut authority);
    let offer = authority.offer();
    let asks = |name: &str| {
        let mut asks = 9;
        let status = unsafe {
            wardein_challenge_asks(offer.as_ptr(), offer.len(), chars(name), name.len(), &mut asks)
        };
        (status, asks)
    };
    assert_eq!((asks("firmware"), asks("board")), ((WARDEIN_OK, 1), (WARDEIN_OK, 0)));
    assert_eq!(dev.ask(), WARDEIN_OK);
    let measured = dev.prove_with(&offer, &[attribute("serial", "A-77")], "authenticate", b"");
    assert_eq!(measured, Err(WARDEIN_ERR_NOT_MEASURED));
    assert_eq!(dev.error(), "attribute firmware is required and was not measured");
}

#[test]
fn a_refusal_leads_to_the_epoch_that_it_names() {
    let mut authority = Authority::new();
    authority.max_uses = 1;
    let mut dev = Dev::enrolled(&mut authority, 1);
    // Its reply is lost; the epoch is full at the authority.
    assert_eq!(dev.ask(), WARDEIN_OK);
    let proof = dev.prove(&authority.offer(), "authenticate", b"").unwrap();
    authority.prove(&proof, b"").unwrap();
    assert_eq!(dev.ask(), WARDEIN_OK);
    let proof = dev.prove(&authority.offer(), "authenticate", b"").unwrap();
    let refused = authority.prove(&proof, b"").unwrap_err();
    assert_eq!(refused.code, "epoch-spent");
    assert_eq!(dev.refused(refused.code, refused.epoch), Advice::WARDEIN_ADVICE_TAKE_EPOCH as i32);
    dev.authenticate(&mut authority);
    for (code, advice) in [
        ("challenge-expired", Advice::WARDEIN_ADVICE_ASK_AGAIN),
        ("enrollment-pending", Advice::WARDEIN_ADVICE_CONFIRM),
        ("rekey-required", Advice::WARDEIN_ADVICE_REKEY),
        ("suite-not-allowed", Advice::WARDEIN_ADVICE_TAKE_SUITE),
        ("rate-limited", Advice::WARDEIN_ADVICE_WAIT),
        ("suspended", Advice::WARDEIN_ADVICE_SEEK_HELP),
        ("revoked", Advice::WARDEIN_ADVICE_STOP),
        ("csr-malformed", Advice::WARDEIN_ADVICE_MEND),
        ("of-a-later-release", Advice::WARDEIN_ADVICE_NONE),
    ] {
        assert_eq!(dev.refused(code, 0), advice as i32, "{code}");
    }
}

#[test]
fn a_device_without_keys_for_a_purpose_says_so() {
    let mut authority = Authority::new();
    let mut dev = Dev::new();
    let request = dev.begin(&authority.identity_key(), 1).unwrap();
    let reply = authority.enroll(&request).unwrap();
    assert_eq!(dev.finish(&reply, 16), Err(WARDEIN_ERR_ARGUMENT));
    let confirmation = dev.finish(&reply, 0).unwrap();
    authority.confirm(&confirmation).unwrap();
    dev.authenticate(&mut authority);
    assert_eq!(dev.token(0, "a", b""), Err(WARDEIN_ERR_NOT_KEPT));
    assert_eq!(dev.seal(b"", b""), Err(WARDEIN_ERR_NOT_KEPT));
}

#[test]
fn the_words_of_a_failure_are_kept_until_the_next_call() {
    let mut authority = Authority::new();
    let dev = Dev::proven(&mut authority);
    assert_eq!(dev.error(), "");
    assert_eq!(dev.get(99), Err(WARDEIN_ERR_ARGUMENT));
    assert_eq!(dev.error(), "what: is 99; it takes 1 to 6");
    // Cut to what there is room for, with a zero at the end, and the whole length is given.
    let (mut text, mut length) = ([0xffu8; 8], 0);
    let status = unsafe { wardein_device_error(dev.handle, text.as_mut_ptr().cast(), 5, &mut length) };
    assert_eq!((status, &text, length), (WARDEIN_OK, b"what\0\xff\xff\xff", 28));
    let status = unsafe { wardein_device_error(dev.handle, std::ptr::null_mut(), 0, &mut length) };
    assert_eq!((status, length), (WARDEIN_OK, 28));
    assert_eq!(dev.get(WARDEIN_SUITE), Ok(1));
    assert_eq!(dev.error(), "");
}

/// A handle that is called from within its own save callback, as from another thread at the same time.
#[test]
fn a_second_call_at_the_same_time_is_refused() {
    struct Within(*mut Device, Vec<Status>);
    unsafe extern "C" fn save(context: *mut c_void, _: *const u8, _: usize) -> c_int {
        // SAFETY: it is the test's own, and outlives the call.
        let Within(handle, said) = unsafe { &mut *context.cast() };
        let (mut text, mut length) = ([0u8; 64], 0);
        said.push(unsafe { wardein_ask(*handle) });
        said.push(unsafe { wardein_device_get(*handle, WARDEIN_SUITE, &mut 0) });
        // The words are not the call's that is under way, and may be had.
        said.push(unsafe { wardein_device_error(*handle, text.as_mut_ptr().cast(), 64, &mut length) });
        0
    }
    let mut authority = Authority::new();
    let mut within = Within(std::ptr::null_mut(), vec![]);
    let context: *mut Within = &mut within;
    unsafe {
        assert_eq!(wardein_device_new(Some(save), context.cast(), &raw mut (*context).0), WARDEIN_OK);
        let mut dev = Dev::of((*context).0);
        let request = dev.begin(&authority.identity_key(), 1).unwrap();
        let reply = authority.enroll(&request).unwrap();
        assert!(dev.finish(&reply, 15).is_ok());
        assert_eq!((*context).1, [WARDEIN_ERR_BUSY, WARDEIN_ERR_BUSY, WARDEIN_OK]);
        assert_eq!(dev.get(WARDEIN_SUITE), Ok(1));
    }
}
