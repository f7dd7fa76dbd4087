//! How deep the stack grew: it is painted below where it is, and later the lowest byte that lost its paint is found.
#![allow(unsafe_code, reason = "the stack below is memory that no value owns")]

use core::ptr::with_exposed_provenance_mut;

/// How far down it is painted. The image has more stack than that.
const DEPTH: usize = 256 << 10;
const PAINT: u32 = 0xc5c5_c5c5;

/// A painted stretch of stack.
pub(crate) struct Painted {
    top: usize,
}

impl Painted {
    /// Paints the stack below the caller.
    #[inline(never)]
    pub(crate) fn new() -> Self {
        // What this call itself pushes is spared.
        let top = (cortex_m::register::msp::read() as usize & !3) - 64;
        for address in (top - DEPTH..top).step_by(4) {
            // SAFETY: RAM between the heap and the stack pointer, which memory.x leaves free, and no interrupt is enabled.
            unsafe { with_exposed_provenance_mut::<u32>(address).write_volatile(PAINT) };
        }
        Self { top }
    }

    /// How many bytes below the caller of [`Painted::new`] have been written since, to within a hundred.
    #[inline(never)]
    pub(crate) fn depth(&self) -> usize {
        let bottom = self.top - DEPTH;
        // SAFETY: as above, and all of it was written then.
        let is_painted =
            |&address: &usize| unsafe { with_exposed_provenance_mut::<u32>(address).read_volatile() } == PAINT;
        self.top + 64 - (bottom..self.top).step_by(4).find(|address| !is_painted(address)).unwrap_or(self.top)
    }
}
