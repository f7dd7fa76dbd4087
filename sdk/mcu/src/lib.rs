//! What the images share: the heap, the line to the authority, and the measuring of what an operation takes.
//!
//! DDKG-1 itself is `wardein-ddkg` with its feature `rustcrypto`. A firmware depends on that crate and needs nothing of this one;
//! it brings its own heap, line, flash and random number generator, as this crate does for the board that QEMU emulates.
#![no_std]
extern crate alloc;

pub mod figures;
pub mod heap;
pub mod line;
#[cfg(feature = "figures")]
mod stack;

use core::panic::PanicInfo;
use cortex_m_semihosting::debug;

/// Ends the emulation, with its exit code.
pub fn end(is_good: bool) -> ! {
    debug::exit(if is_good { debug::EXIT_SUCCESS } else { debug::EXIT_FAILURE });
    // Without a debugger there is nobody to end it.
    loop {
        cortex_m::asm::wfi();
    }
}

#[panic_handler]
fn panicked(_info: &PanicInfo<'_>) -> ! {
    #[cfg(feature = "text")]
    cortex_m_semihosting::heprintln!("{}", _info);
    end(false)
}
