//! The heap: a static place in RAM, and how much of it was ever in use at once.
#![allow(unsafe_code, reason = "an allocator is unsafe by its trait; this one only counts beside another")]

use core::alloc::{GlobalAlloc, Layout};
use core::mem::MaybeUninit;
use core::ptr::addr_of_mut;
use core::sync::atomic::{AtomicUsize, Ordering};
use embedded_alloc::LlffHeap;

/// Bytes of the heap. The vectors are a long text, of which each field is kept; a device needs no more than README.md says.
const SIZE: usize = if cfg!(feature = "vectors") { 2 << 20 } else { 32 << 10 };

/// Makes the heap. Call it once, before anything is allocated.
pub fn init() {
    static mut PLACE: [MaybeUninit<u8>; SIZE] = [MaybeUninit::uninit(); SIZE];
    // SAFETY: nothing else names the place, and the heap refuses to be made twice.
    unsafe { HEAP.heap.init(addr_of_mut!(PLACE) as usize, SIZE) }
}

/// Bytes in use now, with what the allocator rounds up.
pub fn used() -> usize {
    HEAP.heap.used()
}

/// The most bytes that were in use at once since the start.
pub fn most() -> usize {
    HEAP.most.load(Ordering::Relaxed)
}

/// The most bytes that were in use at once since the last call.
pub fn take_peak() -> usize {
    HEAP.peak.swap(used(), Ordering::Relaxed)
}

#[global_allocator]
static HEAP: Marked =
    Marked { heap: LlffHeap::empty(), peak: AtomicUsize::new(0), most: AtomicUsize::new(0) };

struct Marked {
    heap: LlffHeap,
    peak: AtomicUsize,
    most: AtomicUsize,
}

// SAFETY: both methods are those of the heap within.
unsafe impl GlobalAlloc for Marked {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is handed on.
        let place = unsafe { GlobalAlloc::alloc(&self.heap, layout) };
        if cfg!(feature = "text") {
            self.peak.fetch_max(self.heap.used(), Ordering::Relaxed);
            self.most.fetch_max(self.heap.used(), Ordering::Relaxed);
        }
        place
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is handed on.
        unsafe { GlobalAlloc::dealloc(&self.heap, place, layout) }
    }
}
