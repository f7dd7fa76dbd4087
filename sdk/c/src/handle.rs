//! What C holds: a value behind a lock, with the words of its last failure; and the one way in, which no panic leaves.
#![allow(unsafe_code, reason = "a handle is a pointer that C keeps")]

use crate::failure::Failure;
use crate::raw::{Call, Out};
use crate::status::Status;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError, TryLockError};

/// A value that C holds.
///
/// The lock makes what C does wrong visible instead of undefined: a second call at the same time, also from within the save
/// callback, finds it taken; and a call after a panic finds it poisoned.
pub(crate) struct Handle<T> {
    inner: Mutex<T>,
    text: Mutex<String>,
}

impl<T> Handle<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self { inner: Mutex::new(inner), text: Mutex::new(String::new()) }
    }

    fn call(&self, call: impl FnOnce(&mut T) -> Result<(), Failure>) -> Status {
        let done = match self.inner.try_lock() {
            Ok(mut inner) => call(&mut inner),
            Err(TryLockError::Poisoned(_)) => Err(Failure::new(
                Status::WARDEIN_ERR_PANIC,
                "an earlier call ended in a fault; free the handle",
            )),
            // The words of the call that is under way are its own to write.
            Err(TryLockError::WouldBlock) => return Status::WARDEIN_ERR_BUSY,
        };
        let (status, text) = match done {
            Ok(()) => (Status::WARDEIN_OK, String::new()),
            Err(Failure { status, text }) => (status, text),
        };
        self.say(text);
        status
    }

    fn say(&self, text: String) {
        *self.text.lock().unwrap_or_else(PoisonError::into_inner) = text;
    }
}

/// What the header declares and C never sees into.
pub(crate) trait Opaque {
    /// What it holds.
    type Inner;

    /// What holds it.
    fn handle(&self) -> &Handle<Self::Inner>;
}

/// Runs `call` on what `pointer` holds.
///
/// # Safety
///
/// `pointer`, where it is not null, is of a handle that was made here and is not freed before this returns.
pub(crate) unsafe fn enter<O: Opaque>(
    pointer: *const O,
    call: impl FnOnce(&mut O::Inner) -> Result<(), Failure>,
) -> Status {
    // SAFETY: the caller's promise is the same.
    let Some(opaque) = (unsafe { reference(pointer) }) else { return Status::WARDEIN_ERR_ARGUMENT };
    let handle = opaque.handle();
    // What a panic leaves half done is behind the lock that it poisons, and is never seen again.
    let ran = catch_unwind(AssertUnwindSafe(|| {
        handle.call(|inner| {
            panic_if_asked();
            call(inner)
        })
    }));
    ran.unwrap_or_else(|_| {
        handle.say(
            "a fault of this library; free the handle, and go on with the state that was saved last".into(),
        );
        Status::WARDEIN_ERR_PANIC
    })
}

/// Runs `call`, which needs no handle.
pub(crate) fn guarded(call: impl FnOnce() -> Result<(), Failure>) -> Status {
    let ran = catch_unwind(AssertUnwindSafe(|| {
        panic_if_asked();
        call()
    }));
    match ran {
        Ok(Ok(())) => Status::WARDEIN_OK,
        Ok(Err(failure)) => failure.status,
        Err(_) => Status::WARDEIN_ERR_PANIC,
    }
}

/// The words of the last failed call on `pointer`.
///
/// # Safety
///
/// As of [`enter`], and of [`Call::out`].
pub(crate) unsafe fn last_error<O: Opaque>(
    pointer: *const O,
    out: *mut std::ffi::c_char,
    capacity: usize,
    length: *mut usize,
) -> Status {
    guarded(|| {
        // SAFETY: the caller's promise is the same.
        let opaque = unsafe { reference(pointer) }.ok_or_else(|| Failure::argument("handle", "is NULL"))?;
        // SAFETY: the caller's promise is the same.
        let out: Out<'_> = unsafe { Call::default().out("out", out.cast(), capacity, length) }?;
        out.put_text(&opaque.handle().text.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(())
    })
}

/// Gives C a handle.
pub(crate) fn give<O>(opaque: O) -> *mut O {
    Box::into_raw(Box::new(opaque))
}

/// Takes a handle back and drops what it holds, secrets wiped.
///
/// # Safety
///
/// `pointer`, where it is not null, is of [`give`], is freed once, and no call on it is under way.
pub(crate) unsafe fn free<O>(pointer: *mut O) {
    if pointer.is_null() || !pointer.is_aligned() {
        return;
    }
    // A panic here leaves nothing that anyone could still reach.
    let _ended = catch_unwind(AssertUnwindSafe(|| {
        panic_if_asked();
        // SAFETY: the caller's promise is that it came from `Box::into_raw` and is nobody else's now.
        drop(unsafe { Box::from_raw(pointer) });
    }));
}

/// # Safety
///
/// As of [`enter`].
unsafe fn reference<'c, O>(pointer: *const O) -> Option<&'c O> {
    // SAFETY: where it is neither null nor misaligned, the caller vouches for it.
    (!pointer.is_null() && pointer.is_aligned()).then(|| unsafe { &*pointer })
}

#[cfg(not(feature = "test-panic"))]
fn panic_if_asked() {}

#[cfg(feature = "test-panic")]
use crate::abi::test_panic::panic_if_asked;
