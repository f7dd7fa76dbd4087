//! A device's saved state. The target writes the checksum itself: otherwise nothing but the checksum would be tried.

use super::world::{self, Counter};
use wardein_crypto::{Digest, Secret};
use wardein_ddkg::DeviceName;
use wardein_ddkg::device::{Clock, DeviceError, DeviceState};
use wardein_ddkg::message::ChallengeOffer;
use wardein_ddkg::{Challenge, Recipe};

/// Restores `body` with its right checksum; what restores must have this one form, and take every order.
pub fn device_state(body: &[u8]) {
    assert!(DeviceState::restore(body, 0).is_err() || body.len() > CHECKSUM_LEN);
    let bytes = with_checksum(body);
    let Ok(mut device) = DeviceState::restore(&bytes, 0) else { return };
    let writes = device.writes();
    let rolled_back = writes.checked_add(1).map(|floor| DeviceState::restore(&bytes, floor).err());
    assert!(rolled_back.is_none_or(|e| matches!(e, Some(DeviceError::RolledBack { .. }))));

    let mut saved = bytes.clone();
    prove(&mut device, &mut saved);
    if saved != bytes {
        assert!(saved == proved(&bytes), "saved in another form than it was restored from");
    }
    use_keys(&mut device, &mut saved);
    if let Some(unsaved) = device.confirmation() {
        world::save(unsaved, &mut saved);
    }
    let again = DeviceState::restore(&saved, 0).expect("what a device saves it restores");
    assert_eq!(again.writes(), device.writes());
}

/// The body with its checksum behind it.
pub fn with_checksum(body: &[u8]) -> Vec<u8> {
    let digest = Digest::of(body);
    [body, &digest.as_ref()[..CHECKSUM_LEN]].concat()
}

fn prove(device: &mut DeviceState, saved: &mut Vec<u8>) {
    let offer = ChallengeOffer {
        challenge: Challenge::new(&[1]).expect("one byte"),
        server_time: device.known_time(),
        recipe: Recipe::default(),
    };
    let (ask, action) = (device.ask_challenge(), "authenticate".parse().expect("an action"));
    if let Ok(unsaved) = device.prove(ask, &offer, &Default::default(), action, b"", &mut Counter(1)) {
        world::save(unsaved, saved);
    }
}

/// Each purpose twice, with a restart between: no name of a key may come again.
fn use_keys(device: &mut DeviceState, saved: &mut Vec<u8>) {
    let clock = Clock { elapsed: 1, wall: None };
    let mut names = Vec::new();
    for _ in 0..2 {
        let audience = "platform.example".parse().expect("an audience");
        if let Ok(unsaved) = device.token(clock, audience, b"nonce") {
            names.push(world::save(unsaved, saved).key_name());
        }
        if let Ok(unsaved) = device.seal(clock, b"more", b"plain", &mut Counter(2)) {
            let sealed = world::save(unsaved, saved);
            let opened = device.open(&sealed, b"more").expect("its own, and just sealed");
            assert_eq!(opened.expose(), b"plain");
            assert!(device.open(&sealed, b"less").is_err());
            names.push(sealed.name().clone());
        }
        if let Ok(unsaved) = device.wrap_file_key(clock, &Secret::copied_from(&[3; 16])) {
            names.push(world::save(unsaved, saved).name().clone());
        }
        *device = DeviceState::restore(saved, device.writes()).expect("what a device saves it restores");
    }
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count, "a key was used twice");
}

/// What a restored state's first proof must leave on flash: one write more, and a block of numbers reserved.
fn proved(bytes: &[u8]) -> Vec<u8> {
    let mut body = bytes[..bytes.len() - CHECKSUM_LEN].to_vec();
    let device: DeviceName = DeviceState::restore(bytes, 0).expect("it restored before").device().clone();
    let names = device.tenant.as_str().len() + device.device.as_str().len();
    // Format, writes, two framed names, identity key, suite, generation, schedule, standing, confirmation, known time,
    // acknowledged epoch, acks, set of purposes; then of the tree of proofs the numbers reserved and taken.
    let reserved = 1 + 8 + 4 + 4 + names + 65 + 2 + 8 + 24 + 1 + 32 + 8 + 4 + 8 + 1;
    raise(&mut body, 1, 1);
    let raised = raise(&mut body, reserved, wardein_ddkg::model::NUMBER_BLOCK);
    raise(&mut body, reserved + 8, raised - 1);
    with_checksum(&body)
}

/// Raises the number at `offset`, which stops at its greatest; gives by how much it rose.
fn raise(body: &mut [u8], offset: usize, by: u64) -> u64 {
    let (_, rest) = body.split_at_mut(offset);
    let field: &mut [u8; 8] = rest.first_chunk_mut().expect("a number stands there");
    let old = u64::from_be_bytes(*field);
    let new = old.saturating_add(by);
    *field = new.to_be_bytes();
    new - old
}

const CHECKSUM_LEN: usize = 16;
