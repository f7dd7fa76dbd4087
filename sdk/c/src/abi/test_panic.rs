//! A panic on demand, for the tests of what becomes of one.

use std::cell::Cell;

thread_local! {
    static IS_ASKED: Cell<bool> = const { Cell::new(false) };
}

/// Makes the next call of this thread panic behind its entry.
#[unsafe(no_mangle)]
pub extern "C" fn wardein_test_panic() {
    IS_ASKED.set(true);
}

#[allow(clippy::panic, reason = "that is its job")]
pub(crate) fn panic_if_asked() {
    if IS_ASKED.replace(false) {
        panic!("a test asked for it");
    }
}
