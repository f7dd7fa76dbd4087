//! A key comes of the agreement that it is below, and not of what anyone may know: name, time, number.

use crate::common::{Counter, HOURLY, Setup};
use std::collections::HashSet;
use wardein_ddkg::KeyName;
use wardein_domain::Purpose;

#[test]
fn a_device_enrolled_again_and_again_at_one_time_gets_no_key_twice() {
    let (setup, mut entropy) = (Setup::new(HOURLY), Counter(0));
    let mut keys = HashSet::with_capacity(ENROLLMENTS * KEYS as usize);
    for _ in 0..ENROLLMENTS {
        let enrolling = setup.begin(&mut entropy);
        let owner = enrolling.request().device.clone();
        let (mut record, reply) = setup.answer(enrolling.request(), &mut entropy);
        let mut device = enrolling.finish(&reply, setup.purposes).unwrap();
        let confirmation = device.confirmation().unwrap().save(|_| Ok::<_, ()>(())).unwrap();
        assert_eq!(record.confirm(&confirmation), Ok(true));
        let mut name = KeyName { owner, generation: 1, purpose: Purpose::Data, epoch: 0, number: 0 };
        let delegation = record.delegate(name.purpose, name.epoch, name.epoch).unwrap();
        for number in 0..KEYS {
            name.number = number;
            assert!(keys.insert(*delegation.payload_key(&name).unwrap().expose()), "number {number}");
        }
    }
}

const ENROLLMENTS: usize = 20;

/// Of each: a million in all.
const KEYS: u64 = 50_000;
