//! Bytes from outside, cut at every length, followed by more, and with every bit turned.

use crate::authority::Authority;
use crate::common::Dev;
use wardein::Status::*;
use wardein::*;

/// Every shorter message, and one that is longer.
fn of_other_lengths(message: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let longer = [message, &[0]].concat();
    (0..message.len()).map(|length| message[..length].to_vec()).chain([longer])
}

#[test]
fn a_message_of_another_length_is_malformed_and_changes_nothing() {
    let mut authority = Authority::new();
    let mut dev = Dev::new();
    let request = dev.begin(&authority.identity_key(), 1).unwrap();
    let reply = authority.enroll(&request).unwrap();
    for cut in of_other_lengths(&reply) {
        assert_eq!(dev.finish(&cut, 15), Err(WARDEIN_ERR_MALFORMED), "{} bytes", cut.len());
    }
    let confirmation = dev.finish(&reply, 15).unwrap();
    authority.confirm(&confirmation).unwrap();

    assert_eq!(dev.ask(), WARDEIN_OK);
    let offer = authority.offer();
    for cut in of_other_lengths(&offer) {
        assert_eq!(dev.prove(&cut, "authenticate", b""), Err(WARDEIN_ERR_MALFORMED), "{} bytes", cut.len());
        assert_eq!(dev.rekey(&cut, 1).err(), Some(WARDEIN_ERR_MALFORMED), "{} bytes", cut.len());
    }
    let proof = dev.prove(&offer, "authenticate", b"").unwrap();
    let reply = authority.prove(&proof, b"").unwrap();
    for cut in of_other_lengths(&reply) {
        assert_eq!(dev.acknowledge(&cut), Err(WARDEIN_ERR_MALFORMED), "{} bytes", cut.len());
    }
    dev.acknowledge(&reply).unwrap();

    let sealed = dev.seal(b"", b"37.2").unwrap();
    for cut in of_other_lengths(&sealed) {
        assert_eq!(dev.open(b"", &cut), Err(WARDEIN_ERR_MALFORMED), "{} bytes", cut.len());
    }
    assert_eq!(dev.open(b"", &sealed).unwrap(), b"37.2");
    let state = dev.flash.state.clone();
    for cut in of_other_lengths(&state).filter(|cut| cut.len() <= WARDEIN_MAX_STATE) {
        assert_eq!(Dev::restored(&cut, 0).err(), Some(WARDEIN_ERR_MALFORMED), "{} bytes", cut.len());
    }
}

#[test]
fn a_message_with_a_bit_turned_is_never_believed() {
    let mut authority = Authority::new();
    let mut dev = Dev::proven(&mut authority);
    let sealed = dev.seal(b"ward", b"37.2").unwrap();
    let state = dev.flash.state.clone();
    let turned = |message: &[u8], bit: usize| {
        let mut turned = message.to_vec();
        turned[bit / 8] ^= 1 << (bit % 8);
        turned
    };
    for bit in 0..sealed.len() * 8 {
        let opened = dev.open(b"ward", &turned(&sealed, bit)).unwrap_err();
        let fitting = [WARDEIN_ERR_MALFORMED, WARDEIN_ERR_KEY_GONE, WARDEIN_ERR_OPEN];
        assert!(fitting.contains(&opened), "bit {bit}: {opened:?}");
    }
    for bit in 0..state.len() * 8 {
        assert_eq!(Dev::restored(&turned(&state, bit), 0).err(), Some(WARDEIN_ERR_MALFORMED), "bit {bit}");
    }
    assert_eq!(dev.ask(), WARDEIN_OK);
    let proof = dev.prove(&authority.offer(), "authenticate", b"").unwrap();
    let reply = authority.prove(&proof, b"").unwrap();
    for bit in (0..reply.len() * 8).step_by(7) {
        assert_eq!(dev.ask(), WARDEIN_OK);
        dev.prove(&authority.offer(), "authenticate", b"").unwrap();
        let taken = dev.acknowledge(&turned(&reply, bit)).unwrap_err();
        assert!([WARDEIN_ERR_MALFORMED, WARDEIN_ERR_UNAUTHENTIC].contains(&taken), "bit {bit}: {taken:?}");
    }
    dev.authenticate(&mut authority);
}
