//! What C hands over: here pointers become slices and places, judged first, and what is written to them is written here.
//!
//! A pointer that is not null cannot be judged, but for its alignment and where it reaches: that it leads to memory of the
//! caller is the caller's promise (`include/wardein.h`). Everything else is refused as
//! [`WARDEIN_ERR_ARGUMENT`](Status::WARDEIN_ERR_ARGUMENT).
#![allow(unsafe_code, reason = "only unsafe code can follow a pointer")]

use crate::failure::Failure;
use crate::status::Status;
use std::ffi::{c_char, c_int, c_void};
use std::marker::PhantomData;
use wardein_ddkg::device::Unsaved;
use wardein_ddkg::{Attributes, MAX_ATTRIBUTE_LEN, MAX_ATTRIBUTES};
use wardein_domain::AttributeName;

/// A measured attribute: a name of 1 to 64 graphic ASCII characters, and a value of at most 4096 bytes.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Attribute {
    /// The name, such as `firmware`; it needs no zero at its end.
    pub name: *const c_char,
    /// Bytes of the name.
    pub name_length: usize,
    /// The value.
    pub value: *const u8,
    /// Bytes of the value.
    pub value_length: usize,
}

/// Saves a state: returns 0 only once the `length` bytes at `state` are durable and whole, for instance written beside, synced
/// and renamed. Any other value fails the call that it was called in. The bytes are secret, and gone when it returns. It must
/// not free the handle, and is not left by an exception or longjmp.
pub type Save = Option<unsafe extern "C" fn(context: *mut c_void, state: *const u8, length: usize) -> c_int>;

/// The memory that the arguments of one call are in, so that no two of them are the same where one is written.
#[derive(Default)]
pub(crate) struct Call(Vec<Touched>);

struct Touched {
    field: &'static str,
    start: usize,
    end: usize,
    is_written: bool,
}

impl Call {
    /// At most `max` bytes.
    ///
    /// # Safety
    ///
    /// `pointer`, where it is not null, leads to `length` bytes that nobody changes for `'c`.
    pub(crate) unsafe fn bytes<'c>(
        &mut self,
        field: &'static str,
        pointer: *const u8,
        length: usize,
        max: usize,
    ) -> Result<&'c [u8], Failure> {
        if length > max {
            return Err(Failure::argument(field, format_args!("has {length} bytes; it takes at most {max}")));
        }
        if length == 0 {
            return Ok(&[]);
        }
        self.touch(field, pointer, length, false)?;
        // SAFETY: it is neither null nor beyond the end of memory, and the caller vouches for the rest.
        Ok(unsafe { std::slice::from_raw_parts(pointer, length) })
    }

    /// The same, for exactly `N` bytes.
    ///
    /// # Safety
    ///
    /// As of [`Call::bytes`].
    pub(crate) unsafe fn array<const N: usize>(
        &mut self,
        field: &'static str,
        pointer: *const u8,
        length: usize,
    ) -> Result<[u8; N], Failure> {
        // SAFETY: the caller's promise is the same.
        let bytes = unsafe { self.bytes(field, pointer, length, N) }?;
        bytes
            .try_into()
            .map_err(|_| Failure::argument(field, format_args!("has {length} bytes; it takes {N}")))
    }

    /// Text in UTF-8, with no zero at its end.
    ///
    /// # Safety
    ///
    /// As of [`Call::bytes`].
    pub(crate) unsafe fn text<'c>(
        &mut self,
        field: &'static str,
        pointer: *const c_char,
        length: usize,
        max: usize,
    ) -> Result<&'c str, Failure> {
        // SAFETY: the caller's promise is the same.
        let bytes = unsafe { self.bytes(field, pointer.cast(), length, max) }?;
        std::str::from_utf8(bytes).map_err(|_| Failure::argument(field, "is not UTF-8"))
    }

    /// The measured attributes.
    ///
    /// # Safety
    ///
    /// As of [`Call::bytes`], for the array and for each name and value in it.
    pub(crate) unsafe fn attributes(
        &mut self,
        pointer: *const Attribute,
        count: usize,
    ) -> Result<Attributes, Failure> {
        const FIELD: &str = "attributes";
        if count > MAX_ATTRIBUTES {
            return Err(Failure::argument(FIELD, format_args!("are {count}; at most {MAX_ATTRIBUTES}")));
        }
        let mut attributes = Attributes::new();
        if count == 0 {
            return Ok(attributes);
        }
        self.touch(FIELD, pointer, count, false)?;
        // SAFETY: it is neither null nor misaligned nor beyond the end of memory, and the caller vouches for the rest.
        for one in unsafe { std::slice::from_raw_parts(pointer, count) } {
            // SAFETY: the caller's promise reaches to the names.
            let name =
                unsafe { self.text("attribute name", one.name, one.name_length, AttributeName::MAX_LEN) }?;
            // SAFETY: and to the values.
            let value =
                unsafe { self.bytes("attribute value", one.value, one.value_length, MAX_ATTRIBUTE_LEN) }?;
            let name = name.parse().map_err(|error| Failure::argument("attribute name", error))?;
            attributes.insert(name, value).map_err(|error| Failure::argument(FIELD, error))?;
        }
        Ok(attributes)
    }

    /// Where a message goes.
    ///
    /// # Safety
    ///
    /// `pointer`, where it is not null, leads to `capacity` bytes, and `length`, where it is not null, to a number, of the
    /// caller's own for `'c`.
    pub(crate) unsafe fn out<'c>(
        &mut self,
        field: &'static str,
        pointer: *mut u8,
        capacity: usize,
        length: *mut usize,
    ) -> Result<Out<'c>, Failure> {
        self.touch("length", length.cast_const(), 1, true)?;
        if capacity > 0 {
            self.touch(field, pointer.cast_const(), capacity, true)?;
        }
        Ok(Out { field, pointer, capacity, length, memory: PhantomData })
    }

    /// Where one value goes.
    ///
    /// # Safety
    ///
    /// `pointer`, where it is not null, leads to a `T` of the caller's own for `'c`.
    pub(crate) unsafe fn place<'c, T>(
        &mut self,
        field: &'static str,
        pointer: *mut T,
    ) -> Result<Place<'c, T>, Failure> {
        self.touch(field, pointer.cast_const(), 1, true)?;
        Ok(Place(pointer, PhantomData))
    }

    fn touch<T>(
        &mut self,
        field: &'static str,
        pointer: *const T,
        count: usize,
        is_written: bool,
    ) -> Result<(), Failure> {
        if pointer.is_null() {
            return Err(Failure::argument(field, "is NULL"));
        }
        if !pointer.is_aligned() {
            return Err(Failure::argument(field, "is not aligned"));
        }
        let start = pointer.addr();
        let length = count.checked_mul(size_of::<T>()).filter(|length| isize::try_from(*length).is_ok());
        let end = length.and_then(|length| start.checked_add(length));
        let end = end.ok_or_else(|| Failure::argument(field, "reaches beyond the end of memory"))?;
        let meets =
            |other: &&Touched| (is_written || other.is_written) && start < other.end && other.start < end;
        if let Some(other) = self.0.iter().find(meets) {
            return Err(Failure::argument(field, format_args!("overlaps {}", other.field)));
        }
        self.0.push(Touched { field, start, end, is_written });
        Ok(())
    }
}

/// The caller's buffer for a message, with the place of its length.
pub(crate) struct Out<'c> {
    field: &'static str,
    pointer: *mut u8,
    capacity: usize,
    length: *mut usize,
    memory: PhantomData<&'c mut [u8]>,
}

impl Out<'_> {
    /// Whether `needed` bytes fit. Asked before anything is done that a buffer too small would make vain.
    pub(crate) fn room(&self, needed: usize) -> Result<(), Failure> {
        let is_enough = needed <= self.capacity;
        self.set_length(if is_enough { 0 } else { needed });
        if is_enough {
            return Ok(());
        }
        let why = format!("{} has room for {} bytes; {needed} are needed", self.field, self.capacity);
        Err(Failure::new(Status::WARDEIN_ERR_BUFFER, why))
    }

    /// Writes the message.
    pub(crate) fn put(&self, bytes: &[u8]) -> Result<(), Failure> {
        self.room(bytes.len())?;
        if !bytes.is_empty() {
            // SAFETY: the caller gave `capacity` bytes, which `bytes` do not exceed; ours cannot overlap memory that is the
            // caller's own.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.pointer, bytes.len()) };
        }
        self.set_length(bytes.len());
        Ok(())
    }

    /// Writes as much of a text as there is room for, with a zero behind it, and gives the length of all of it.
    pub(crate) fn put_text(&self, text: &str) {
        if let Some(room) = self.capacity.checked_sub(1) {
            let bytes = text.as_bytes().get(..room).unwrap_or(text.as_bytes());
            // SAFETY: as in `put`, with a byte to spare.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.pointer, bytes.len()) };
            // SAFETY: it is at most the last of `capacity` bytes.
            unsafe { self.pointer.add(bytes.len()).write(0) };
        }
        self.set_length(text.len());
    }

    fn set_length(&self, length: usize) {
        // SAFETY: it was judged when this was made, and is the caller's own.
        unsafe { self.length.write(length) };
    }
}

/// The place of one value.
pub(crate) struct Place<'c, T>(*mut T, PhantomData<&'c mut T>);

impl<T> Place<'_, T> {
    pub(crate) fn set(&self, value: T) {
        // SAFETY: it was judged when this was made, and is the caller's own.
        unsafe { self.0.write(value) };
    }
}

/// How the caller saves states.
pub(crate) struct Saver {
    save: unsafe extern "C" fn(*mut c_void, *const u8, usize) -> c_int,
    context: *mut c_void,
}

impl Saver {
    /// # Safety
    ///
    /// `save` takes `context` and is as its type says, for as long as this lives.
    pub(crate) unsafe fn new(save: Save, context: *mut c_void) -> Result<Self, Failure> {
        let save = save.ok_or_else(|| Failure::argument("save", "is NULL"))?;
        Ok(Self { save, context })
    }

    /// The message, once the state that it rests on is saved.
    pub(crate) fn save<M>(&self, unsaved: Unsaved<'_, M>) -> Result<M, Failure> {
        unsaved.save(|state| {
            let bytes = state.expose();
            // SAFETY: the bytes live until it returns, and `new` was promised the rest.
            match unsafe { (self.save)(self.context, bytes.as_ptr(), bytes.len()) } {
                0 => Ok(()),
                code => {
                    let why = format!("the state was not saved: the callback returned {code}");
                    Err(Failure::new(Status::WARDEIN_ERR_SAVE, why))
                }
            }
        })
    }
}
