//! Null, short, huge, misaligned and overlapping arguments, for every pointer of every entry: refused, and nothing done.

use crate::authority::Authority;
use crate::cases::{Case, Given, Handles, Memory, PATTERN, WORDS, cases};
use crate::common::{Dev, ID, TENANT, attributes};
use std::ptr::{null, null_mut};
use wardein::Status::*;
use wardein::*;

/// Everything that can be wrong with one pointer or length of `given`, with a word for it.
fn wrong(case: &Case, given: &Given) -> Vec<(String, Given)> {
    let mut all = Vec::new();
    let mut with = |what: String, change: &dyn Fn(&mut Given)| {
        let mut changed = given.clone();
        change(&mut changed);
        all.push((what, changed));
    };
    let end = (usize::MAX - 7) as *mut u8;
    for i in 0..given.reads.len() {
        let (pointer, length) = given.reads[i];
        with(format!("read {i} null"), &|g| g.reads[i] = (null(), length));
        for huge in [usize::MAX, isize::MAX as usize, isize::MAX as usize + 1, 1 << 40] {
            with(format!("read {i} of {huge} bytes"), &|g| g.reads[i] = (pointer, huge));
        }
        with(format!("read {i} at the end of memory"), &|g| g.reads[i] = (end, length.max(8)));
    }
    for i in 0..given.outs.len() {
        let (pointer, capacity, length) = given.outs[i];
        with(format!("out {i} null"), &|g| g.outs[i] = (null_mut(), capacity, length));
        with(format!("length {i} null"), &|g| g.outs[i] = (pointer, capacity, null_mut()));
        with(format!("length {i} misaligned"), &|g| g.outs[i].2 = length.wrapping_byte_add(1));
        for huge in [usize::MAX, isize::MAX as usize + 1] {
            with(format!("out {i} of {huge} bytes"), &|g| g.outs[i].1 = huge);
        }
        with(format!("out {i} at the end of memory"), &|g| g.outs[i].0 = end);
        with(format!("length {i} in the buffer"), &|g| g.outs[i].2 = pointer.wrapping_add(64).cast());
        for (j, read) in given.reads.iter().enumerate() {
            with(format!("out {i} over read {j}"), &|g| g.outs[i].0 = read.0.cast_mut());
            with(format!("out {i} ends in read {j}"), &|g| {
                g.outs[i] = (read.0.cast_mut().wrapping_sub(7), 8, length)
            });
            with(format!("length {i} in read {j}"), &|g| g.outs[i].2 = read.0.cast_mut().cast());
        }
        for j in (0..given.outs.len()).filter(|j| *j != i) {
            with(format!("out {i} over out {j}"), &|g| g.outs[i].0 = given.outs[j].0);
            with(format!("length {i} is length {j}"), &|g| g.outs[i].2 = given.outs[j].2);
        }
    }
    for i in 0..given.places.len() {
        let pointer = given.places[i];
        with(format!("place {i} null"), &|g| g.places[i] = null_mut());
        if case.size > 1 {
            with(format!("place {i} misaligned"), &|g| g.places[i] = pointer.wrapping_byte_add(1));
        }
        for (j, read) in given.reads.iter().enumerate() {
            with(format!("place {i} in read {j}"), &|g| g.places[i] = read.0.cast_mut().cast());
        }
        for (j, out) in given.outs.iter().enumerate() {
            with(format!("place {i} in out {j}"), &|g| g.places[i] = out.0.cast());
        }
    }
    all
}

#[test]
fn what_is_null_huge_misaligned_or_overlapping_is_refused_and_nothing_done() {
    let mut tried = 0;
    for case in cases() {
        let mut memory = Memory::new(&case);
        let given = memory.given(&case);
        for (what, changed) in wrong(&case, &given) {
            let read: Vec<_> = case.read.clone();
            assert_eq!((case.call)(&case.handles(), &changed), WARDEIN_ERR_ARGUMENT, "{}: {what}", case.name);
            assert!(
                memory.is_untouched() && read == case.read,
                "{}: {what}: something was written",
                case.name
            );
            tried += 1;
        }
        let writes = case.dev.flash.writes;
        let status = (case.call)(&case.handles(), &given);
        assert_eq!(status, case.answer, "{}: {}", case.name, case.dev.error());
        assert!(case.dev.flash.writes >= writes);
    }
    assert!(tried > 200, "{tried}");
}

#[test]
fn a_handle_that_is_null_or_misaligned_is_refused() {
    for case in cases() {
        let takes_none = ["wardein_device_new", "wardein_challenge_asks", "wardein_session_new"];
        if takes_none.contains(&case.name) {
            continue;
        }
        let mut memory = Memory::new(&case);
        let given = memory.given(&case);
        assert_eq!(case.without_handle(&given), WARDEIN_ERR_ARGUMENT, "{}", case.name);
        let handles = case.handles();
        let askew = Handles {
            device: handles.device.wrapping_byte_add(1),
            #[cfg(feature = "transport")]
            session: handles.session.wrapping_byte_add(1),
        };
        assert_eq!((case.call)(&askew, &given), WARDEIN_ERR_ARGUMENT, "{}", case.name);
        assert!(memory.is_untouched(), "{}", case.name);
    }
    unsafe { wardein_device_free(null_mut()) };
    #[cfg(feature = "transport")]
    unsafe {
        wardein_session_free(null_mut());
    }
}

/// One byte less than is needed, and none: the length that would do is given, and nothing is used up by asking.
#[test]
fn a_short_buffer_costs_nothing_and_is_told_how_long_it_must_be() {
    for case in cases().into_iter().filter(|case| case.answer == WARDEIN_OK && case.outs > 0) {
        // Text is cut instead, and the reply to `authenticate` has no body.
        if case.name.ends_with("_error") || case.name == "wardein_acknowledge" {
            continue;
        }
        let mut memory = Memory::new(&case);
        let given = memory.given(&case);
        let short = |given: &Given| (case.call)(&case.handles(), given);
        let mut empty = given.clone();
        empty.outs.iter_mut().for_each(|out| (out.0, out.1) = (null_mut(), 0));
        let writes = case.dev.flash.writes;
        assert_eq!(short(&empty), WARDEIN_ERR_BUFFER, "{}", case.name);
        let needed = memory.lengths.clone();
        assert!(needed.iter().all(|length| (1..WORDS * 8).contains(length)), "{}: {needed:?}", case.name);
        for (i, needed) in needed.iter().enumerate() {
            let mut shorter = given.clone();
            shorter.outs[i].1 = needed - 1;
            assert_eq!(short(&shorter), WARDEIN_ERR_BUFFER, "{}", case.name);
            assert_eq!(memory.lengths[i], *needed, "{}", case.name);
        }
        assert_eq!(case.dev.flash.writes, writes, "{}: nothing was saved", case.name);
        assert!(memory.buffers.iter().flatten().all(|word| *word == PATTERN), "{}", case.name);
        let mut exact = given.clone();
        exact.outs.iter_mut().zip(&needed).for_each(|(out, needed)| out.1 = *needed);
        assert_eq!(short(&exact), WARDEIN_OK, "{}: {}", case.name, case.dev.error());
        // Only that of a sealed payload is a bound: its key's number is not drawn before.
        let slack = if case.name == "wardein_seal" { 256 } else { 0 };
        for (length, needed) in memory.lengths.iter().zip(needed) {
            assert!(*length <= needed && needed <= length + slack, "{}: {length}, {needed}", case.name);
        }
    }
}

#[test]
fn names_and_values_of_attributes_are_judged_one_by_one() {
    let identity = Authority::new().identity_key();
    let good = attributes()[0];
    let longer = "n".repeat(65);
    for (bad, why) in [
        (Attribute { name: null(), ..good }, "attribute name: is NULL"),
        (Attribute { value: null(), ..good }, "attribute value: is NULL"),
        (
            Attribute { name_length: usize::MAX, ..good },
            "attribute name: has 18446744073709551615 bytes; it takes at most 64",
        ),
        (
            Attribute { name: longer.as_ptr().cast(), name_length: 65, ..good },
            "attribute name: has 65 bytes; it takes at most 64",
        ),
        (Attribute { value_length: 4097, ..good }, "attribute value: has 4097 bytes; it takes at most 4096"),
        (
            Attribute { name_length: 0, ..good },
            "attribute name: attribute name has 0 bytes; it takes 1 to 64",
        ),
        (Attribute { name: b"\xff".as_ptr().cast(), name_length: 1, ..good }, "attribute name: is not UTF-8"),
        (good, "attributes: attribute name: is given twice"),
    ] {
        let list = [good, bad];
        let (dev, mut out, mut length) = (Dev::new(), vec![0; 4096], 0);
        let status = unsafe {
            wardein_enroll_begin(
                dev.handle,
                identity.as_ptr(),
                65,
                1,
                TENANT.as_ptr().cast(),
                TENANT.len(),
                ID.as_ptr().cast(),
                ID.len(),
                list.as_ptr(),
                2,
                out.as_mut_ptr(),
                out.len(),
                &mut length,
            )
        };
        assert_eq!((status, dev.error().as_str()), (WARDEIN_ERR_ARGUMENT, why));
    }
    // A value that a buffer would overwrite is found as well.
    let mut memory = vec![7u8; 4096];
    let list = [Attribute { value: memory.as_ptr().wrapping_add(8), value_length: 8, ..good }];
    let (dev, mut length) = (Dev::new(), 0);
    let status = unsafe {
        wardein_enroll_begin(
            dev.handle,
            identity.as_ptr(),
            65,
            1,
            TENANT.as_ptr().cast(),
            TENANT.len(),
            ID.as_ptr().cast(),
            ID.len(),
            list.as_ptr(),
            1,
            memory.as_mut_ptr(),
            memory.len(),
            &mut length,
        )
    };
    assert_eq!((status, dev.error().as_str()), (WARDEIN_ERR_ARGUMENT, "request: overlaps attribute value"));
}

#[test]
fn values_out_of_range_are_refused() {
    let mut authority = Authority::new();
    let identity = authority.identity_key();
    for suite in [0, 3, 65_537, u32::MAX] {
        assert_eq!(Dev::new().begin(&identity, suite), Err(WARDEIN_ERR_ARGUMENT), "{suite}");
    }
    let mut compressed = identity;
    compressed[0] = 2;
    assert_eq!(Dev::new().begin(&compressed, 1), Err(WARDEIN_ERR_ARGUMENT));
    let mut dev = Dev::proven(&mut authority);
    for what in [0, 7, u32::MAX] {
        assert_eq!(dev.get(what), Err(WARDEIN_ERR_ARGUMENT), "{what}");
    }
    assert_eq!(dev.token(u64::MAX, "", b""), Err(WARDEIN_ERR_ARGUMENT));
    assert_eq!(dev.token(0, "a", &[0; 65]), Err(WARDEIN_ERR_ARGUMENT));
    assert_eq!(dev.ask(), WARDEIN_OK);
    let offer = authority.offer();
    for action in ["rekey", "", "Authenticate", &"a".repeat(33)] {
        assert_eq!(dev.prove(&offer, action, b""), Err(WARDEIN_ERR_ARGUMENT), "{action:?}");
    }
    assert_eq!(dev.prove(&offer, "authenticate", &vec![0; (1 << 20) + 1]), Err(WARDEIN_ERR_ARGUMENT));
    assert_eq!(dev.seal(b"", &vec![0; (16 << 20) + 1]), Err(WARDEIN_ERR_ARGUMENT));
    // The farthest time that there is leads to a later epoch and to no harm.
    assert!(dev.token(u64::MAX, "a", b"").is_ok());
}
