//! A panic behind an entry ends in a status, and the handle takes no more calls.

use crate::cases::{Memory, cases};
use crate::common::Dev;
use crate::header;
use std::collections::BTreeSet;
use std::ptr::null_mut;
use wardein::Status::*;
use wardein::*;

#[test]
fn no_panic_leaves_an_entry() {
    let mut tried = BTreeSet::new();
    for case in cases() {
        let mut memory = Memory::new(&case);
        let given = memory.given(&case);
        wardein::test_panic::wardein_test_panic();
        assert_eq!((case.call)(&case.handles(), &given), WARDEIN_ERR_PANIC, "{}", case.name);
        let is_bound = ["_new", "_error", "_asks"].iter().all(|end| !case.name.ends_with(end));
        if is_bound {
            assert_eq!((case.call)(&case.handles(), &given), WARDEIN_ERR_PANIC, "{}: it goes on", case.name);
        }
        tried.insert(case.name.to_owned());
    }
    // What remains has nothing behind it that could panic, or is tried below.
    let rest = [
        "wardein_abi",
        "wardein_version",
        "wardein_status_text",
        "wardein_device_free",
        "wardein_session_free",
    ];
    let declared = header::functions().into_iter().filter(|name| !rest.contains(&name.as_str()));
    let declared =
        declared.filter(|name| cfg!(feature = "transport") || !name.starts_with("wardein_session_"));
    assert_eq!(tried, declared.collect());
}

#[test]
fn a_handle_that_failed_so_says_why_and_can_be_freed() {
    let mut dev = Dev::new();
    wardein::test_panic::wardein_test_panic();
    assert_eq!(dev.ask(), WARDEIN_ERR_PANIC);
    assert!(dev.error().starts_with("a fault of this library"), "{}", dev.error());
    assert_eq!(dev.confirm(), Err(WARDEIN_ERR_PANIC));
    assert!(dev.error().starts_with("an earlier call ended in a fault"), "{}", dev.error());
    // Also a panic while it is freed stays inside; here it comes before anything is freed.
    wardein::test_panic::wardein_test_panic();
    unsafe { wardein_device_free(dev.handle) };
    unsafe { wardein_device_free(dev.handle) };
    dev.handle = null_mut();
}
